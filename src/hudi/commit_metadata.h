#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"

namespace tarn::hudi {

/// One file that a commit wrote.
struct WriteStat {
  std::string partition, file_id;
  std::string path;         ///< Relative to the table's folder.
  std::string prev_commit;  ///< Base instant before; "null" for a new group.
  int64_t writes = 0, inserts = 0, updates = 0, deletes = 0;
  int64_t bytes = 0;
  /// Of a log file: its version, the slice's base file and all its logs, this one included (bare names).
  bool is_log = false;
  int log_version = 0;
  std::string base_file;
  std::vector<std::string> log_files;
  /// Of a compaction.
  int64_t log_records = 0, logs_compacted = 0, log_bytes_compacted = 0;
};

/// Key in a commit's extraMetadata: the oldest instant that cleaning kept.
inline constexpr const char* kHistoryFrom = "tarn.history.from";

struct CommitMetadata {
  std::string operation;  ///< Java's enum name: "UPSERT", "BULK_INSERT", "COMPACT", …
  bool compacted = false;
  std::vector<WriteStat> stats;
  std::map<std::string, std::string> extra;  ///< With "schema".
  std::map<std::string, std::vector<std::string>>
      replaced_groups;  ///< Of a replacecommit: partition → file ids.
};

std::string FormatCommit(const CommitMetadata& commit);
/// kCorrupt names `name`.
Result<CommitMetadata> ParseCommit(const std::string& json, const std::string& name);

}  // namespace tarn::hudi
