#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "hudi/table.h"

namespace tarn::hudi {

/// An instant of the active timeline.
struct InstantState {
  std::string instant;
  std::string action;     ///< As its file says: a compaction completes as "commit".
  std::string state;      ///< "completed", "inflight" or "requested".
  std::string operation;  ///< Of a completed commit: Java's name, such as "UPSERT"; else empty.
  int64_t files = 0, inserts = 0, updates = 0, deletes = 0, bytes = 0;  ///< Of a completed commit.
};

/// The newest slice of a file group.
struct SliceState {
  std::string partition, file_id;
  std::string base_file, base_instant;  ///< Empty without a base file.
  int64_t base_rows = 0, base_bytes = 0;
  int64_t log_files = 0, log_bytes = 0;
};

struct TableState {
  TableOptions options;
  std::string version;                 ///< hoodie.table.version
  std::vector<InstantState> timeline;  ///< Oldest first.
  std::vector<SliceState> slices;      ///< By partition and file id.
};

/// What a table is made of, of ours or another's making: reads the timeline, the listing and the footers of
/// base files, no rows. Errors: kNotFound and kUnsupported as TableReader::Open; kCorrupt names the file.
Result<TableState> DescribeTable(const storage::Storage& storage, const std::string& base_path);

}  // namespace tarn::hudi
