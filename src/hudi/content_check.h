#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "hudi/file_view.h"
#include "hudi/merge_rules.h"
#include "hudi/table_check.h"
#include "hudi/timeline.h"
#include "storage/storage.h"

namespace tarn::hudi {

/// Parts of CheckTable that read what is in the files. Errors: only when the scratch folder cannot be
/// written; what is wrong goes to the report.

/// Frames of the log files, their records, and that done instants rise from file to file, or under layout 2
/// are those of the files' names.
void CheckLogs(const storage::Storage& storage, const std::string& base_path, const FileView& files,
               const MergeRules& rules, const Timeline& timeline, TableReport* report);

/// All rows of the newest snapshot: that columns are what the schema says, each row of a base file names its
/// file and folder, keys are unique in their partition and sequence numbers in the table; without
/// `has_meta_columns` only that they can be read.
Status CheckRows(const storage::Storage& storage, const std::string& base_path, const std::string& scratch,
                 bool has_meta_columns, TableReport* report);

/// Whether `sums` are Hadoop's checksums of `bytes`. Source: Hadoop, ChecksumFileSystem.
bool FitsHadoopChecksums(std::string_view bytes, std::string_view sums);

}  // namespace tarn::hudi
