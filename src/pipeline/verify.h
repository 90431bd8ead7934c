#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "pipeline/runner.h"

namespace tarn::pipeline {

/// One side of one table: how many rows, and a sum over hashes of all their columns that no order changes.
struct TableDigest {
  int64_t rows = 0;
  uint64_t low = 0, high = 0;
  bool operator==(const TableDigest&) const = default;
};

struct TableVerification {
  std::string table;
  TableDigest source_good, source_refused;  ///< The source's rows, parted by the rules.
  TableDigest silver, quarantine;
  bool append_only = false;  ///< Then updates and deletes of the source are not followed.
  std::string held =
      {};  ///< Why the table has no answers now, so that nothing was compared; empty otherwise.
  bool equal() const { return held.empty() && source_good == silver && source_refused == quarantine; }
};

struct Verification {
  std::string lsn;
  std::string version;
  double seconds = 0;
  std::vector<TableVerification> tables;
  /// No difference but in append-only tables, and nothing held.
  bool ok() const;
  std::string ToJson() const;
};

/// Compares the source with Silver and quarantine at one LSN while changes go on.
Result<Verification> Verify(Runner& runner, const CancelToken& cancel,
                            const std::function<void(const std::string& table)>& report);

}  // namespace tarn::pipeline
