#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "pipeline/differing_rows.h"
#include "pipeline/row_digest.h"
#include "pipeline/runner.h"

namespace tarn::pipeline {

struct TableVerification {
  std::string table;
  TableDigest source_good, source_refused;  ///< The source's rows, parted by the rules.
  TableDigest silver, quarantine;
  bool append_only = false;  ///< Then updates and deletes of the source are not followed.
  std::string held =
      {};  ///< Why the table has no answers now, so that nothing was compared; empty otherwise.
  /// Some of the rows that differ, of the rows that should be in Silver and in quarantine.
  std::vector<DifferingRow> differing_silver = {}, differing_quarantine = {};
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

/// Compares the source with Silver and quarantine at one LSN while changes go on. A table that differs is
/// read twice more, at the same LSN, to name rows. Memory: that of a batch, and of DifferingRows.
Result<Verification> Verify(Runner& runner, const CancelToken& cancel,
                            const std::function<void(const std::string& table)>& report);

}  // namespace tarn::pipeline
