#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "hudi/table.h"
#include "hudi/timeline.h"
#include "storage/storage.h"

namespace tarn::hudi {

/// Savepoints as they stand in a table's folder, of ours or another's making. A savepoint is two files of the
/// timeline with its commit's instant; the completed one names the data files. Beside a writer that is
/// cleaning one may come too late for files that are just being taken: have the writer make it, or none run.

/// Oldest first. Errors: kCorrupt names the file.
Result<std::vector<Savepoint>> ReadSavepoints(const storage::Storage& storage, const std::string& base_path,
                                              const Timeline& timeline);
/// Names of the data files that savepoints keep.
Result<std::set<std::string>> SavepointFiles(const storage::Storage& storage, const std::string& base_path,
                                             const Timeline& timeline);
/// See Table::CreateSavepoint. An empty `instant` means the newest commit. Nothing is rolled back.
Result<Savepoint> WriteSavepoint(storage::Storage& storage, const std::string& base_path,
                                 const std::string& instant, const std::string& user,
                                 const std::string& comment);
/// See Table::DeleteSavepoint.
Status RemoveSavepoint(storage::Storage& storage, const std::string& base_path, const std::string& instant);

}  // namespace tarn::hudi
