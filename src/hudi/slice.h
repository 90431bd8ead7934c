#pragma once

#include <map>
#include <optional>
#include <roaring/roaring.hh>
#include <string>
#include <vector>

#include "base/error.h"
#include "hudi/decoded_log.h"
#include "hudi/file_view.h"
#include "hudi/log_merge.h"
#include "hudi/timeline.h"

namespace tarn::hudi {

/// A file group as of one instant.
struct Slice {
  const BaseFile* base = nullptr;    ///< Null for a group of logs alone.
  std::vector<const LogFile*> logs;  ///< In merge order.
};

/// The slice of a group that a reader of `as_of` (empty: everything completed) must read; nullopt when none.
/// Source: hudi-format, section 9.
std::optional<Slice> ChooseSlice(const GroupFiles& group, const Timeline& timeline, const std::string& as_of);

/// By file id, when a replacecommit took the file group away.
using ReplacedInstants = std::map<std::string, std::string>;
/// File groups that replacecommits of the active timeline up to `as_of` (empty: all) took away.
Result<ReplacedInstants> ReplacedGroups(const storage::Storage& storage, const std::string& base_path,
                                        const Timeline& timeline, const std::string& as_of);

/// What reading a slice needs to know.
struct SliceContext {
  const storage::Storage* storage = nullptr;
  LogCache* logs = nullptr;  ///< Null: logs are decoded for this once.
  const Timeline* timeline = nullptr;
  std::string base_path, sidecar_folder;
  MergeRules rules = {};
  bool bases_only = false;  ///< As if there were no logs.
};

/// Adds blocks of the logs from `first_log` on, as far as they are completed at or before `as_of`, to
/// `merge`, and the base-file rows they replace or delete to `replaced`.
Status MergeLogs(const SliceContext& context, const std::string& partition, const std::string& file_id,
                 const Slice& slice, size_t first_log, const std::string& as_of, uint64_t salt,
                 LogMerge* merge, Roaring* replaced);

/// Whether every block of the log is completed at or before as_of.
Result<bool> IsWhole(const SliceContext& context, const std::string& partition, const LogFile& log,
                     const std::string& as_of);

}  // namespace tarn::hudi
