#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/lsn.h"
#include "bronze/chain_fault.h"
#include "storage/storage.h"

namespace tarn::bronze {

/// How far a verification is; the totals are those of the listing that it began with.
struct ChainProgress {
  int64_t files = 0, files_total = 0;
  int64_t bytes = 0, bytes_total = 0;
};

struct ChainOptions {
  /// A position that the rest of the lake has reached: Bronze must have, too.
  SourcePosition reached = {};
  /// Tables that the rest of the lake was made from copies of (by lake name, the newest copy's position):
  /// Bronze must have the manifest of that copy, or of a newer one.
  std::map<std::string, SourcePosition> copied = {};
  std::function<void(const ChainProgress&)> on_progress = [](const ChainProgress&) {};
};

/// A place at which the source's changes did not follow on: its log was another one, or its slot was lost.
struct ChainBreak {
  SourcePosition after, until;  ///< What changed between is in no file; all tables were to be copied again.
  std::string why;
};

/// What a verification found.
struct ChainReport {
  static constexpr size_t kMostListed = 1000;  ///< Of faults, and of warnings; the others are counted.

  std::vector<ChainFault> faults;    ///< Something is missing or wrong.
  std::vector<ChainFault> warnings;  ///< Files that no manifest names: a flush or a copy may be under way.
  int64_t fault_count = 0, warning_count = 0;
  std::vector<ChainBreak> breaks;  ///< No faults: newer copies tell what the tables held then.
  /// `manifests`, `rows`: of each flush once, whether an archived day's manifest has it or its own, or both.
  /// `files`, `bytes`: that were read.
  int64_t manifests = 0, archived_days = 0, copies = 0, files = 0, rows = 0, bytes = 0;
  SourcePosition newest;  ///< That a manifest or copy has.

  bool complete() const { return fault_count == 0; }
};

/// Proves that Bronze is complete: the manifests follow each other without a gap, every file that they name
/// is there byte for byte, and every row stands once, in order, where its manifest says (docs/formats/
/// bronze.md). Of an archived day that is the archive; what there still is of its flushes must be as it says.
/// Changes nothing; a writer may go on meanwhile. Memory: one batch of rows, a position a table, the names of
/// all files. Errors: only when folders cannot be listed; what is wrong in them is in the report.
Result<ChainReport> VerifyChain(const storage::Storage& storage, const std::string& lake,
                                const ChainOptions& options);

}  // namespace tarn::bronze
