#pragma once

#include <arrow/type_fwd.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "engine/session.h"
#include "govern/decision.h"

namespace tarn::server {

/// Principals by name; "operator" is always there.
class Principals {
 public:
  explicit Principals(std::map<std::string, govern::Principal> principals)
      : principals_(std::move(principals)) {}
  /// kNotFound names those that there are.
  Result<govern::Decision> Decide(const std::string& name) const;

 private:
  std::map<std::string, govern::Principal> principals_;
};

struct QueryRequest {
  std::string sql;
  std::string principal = "operator";
  std::optional<int64_t> as_of_micros;
  bool allow_held = false;
  /// "now", or a position of the source: the answer has all that was committed up to there. Empty: at once.
  std::string fresh = {};
  double within_seconds = 30;  ///< How long to wait for it.
};

/// What an answer was made of, for people and scripts.
struct QueryOutcome {
  engine::ScanStatistics statistics;
  int64_t rows = 0;
  double milliseconds = 0;
  double seconds_behind = 0;  ///< Age of the newest change seen while the source has newer ones; else 0.
  std::string ToJson() const;
};

/// What a connection keeps from one statement to the next: opening an engine costs more than most statements,
/// and settings last as long as the connection. Threads: one.
struct KeptSession {
  std::string principal;
  std::optional<int64_t> as_of_micros;
  bool allow_held = false;
  std::unique_ptr<engine::Session> session;  ///< Null: none.
};

/// Runs one statement, in the kept session when it is of the same principal, time and allowance, and hands
/// over its batches (the schema first, with no rows, so that an empty answer has one). `is_gone` is asked all
/// the while, from another thread too; true cancels.
Result<QueryOutcome> RunQuery(engine::Lake* lake, const Principals& principals, const QueryRequest& request,
                              const engine::SessionOptions& options, KeptSession* kept,
                              const std::function<bool()>& is_gone,
                              const std::function<Status(std::shared_ptr<arrow::RecordBatch>)>& take);

}  // namespace tarn::server
