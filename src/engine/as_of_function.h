#pragma once

#include <atomic>
#include <cstdint>

#include "engine/duckdb_headers.h"

namespace tarn::engine {

inline constexpr const char* kAsOfFunction = "as_of";

/// What as_of() is for the statement that is being bound, in microseconds UTC.
struct AsOfState : duckdb::ClientContextState {
  int64_t micros = 0;
  bool keeps_calls = false;             ///< as_of() stays a call in plans, for their analysis.
  std::atomic<bool> was_called{false};  ///< Such a call was worked out: its value is in the plan somewhere.

  // Prepared statements are bound again at every EXECUTE: as_of() and the lake have moved on.
  bool CanRequestRebind() override { return true; }
  duckdb::RebindQueryInfo OnExecutePrepared(duckdb::ClientContext&, duckdb::PreparedStatementCallbackInfo&,
                                            duckdb::RebindQueryInfo) override {
    return duckdb::RebindQueryInfo::ATTEMPT_TO_REBIND;
  }
};

/// Registers the scalar function as_of() and its state in the connection.
duckdb::shared_ptr<AsOfState> RegisterAsOf(duckdb::Connection& connection);

}  // namespace tarn::engine
