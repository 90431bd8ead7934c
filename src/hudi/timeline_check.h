#pragma once

#include <string>

#include "base/error.h"
#include "hudi/table_check.h"
#include "hudi/timeline.h"
#include "storage/storage.h"

namespace tarn::hudi {

/// Parts of CheckTable that look at the timeline: what is wrong goes to the report.

/// Whether layout 2's archived instants are where its manifest says: the manifest that `_version_` names, its
/// files, their sizes and columns, each of an instant and when it completed.
void CheckArchived(const storage::Storage& storage, const std::string& base_path, TableReport* report);

/// State files: that an instant completed once, not before it was begun, and Hadoop's checksums beside them.
void CheckStateFiles(const storage::Storage& storage, const std::string& base_path, const Timeline& timeline,
                     TableReport* report);

/// Hadoop's local file system compares each file with the checksums beside it, where there are any.
/// `folder`: below the table's, "" for it; `crc`: the name of the checksums' file.
void CheckHadoopChecksum(const storage::Storage& storage, const std::string& base_path,
                         const std::string& folder, const std::string& crc, TableReport* report);

}  // namespace tarn::hudi
