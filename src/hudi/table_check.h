#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "storage/storage.h"

namespace tarn::hudi {

/// Something that makes a table invalid for one of its readers.
struct TableFault {
  std::string where;  ///< A path below the table's folder.
  std::string what;
};

struct TableReport {
  static constexpr size_t kMostListed = 1000;  ///< The others are counted.

  std::vector<TableFault> faults;
  int64_t fault_count = 0;
  int64_t instants = 0, partitions = 0, groups = 0, base_files = 0, log_files = 0;
  int64_t rows = 0;  ///< Of the newest snapshot.

  bool valid() const { return fault_count == 0; }
  void Add(std::string where, std::string what);
};

/// Whether a table (versions 6, 8 and 9) is what every reader takes it for: properties and their checksum;
/// commits and the files they tell of; listing, file groups, and no leftovers; log blocks; rows, whose
/// columns, file names, keys and sequence numbers must be right; Hadoop's checksum files. Reads the newest
/// snapshot and all files' frames; changes nothing in the table. `scratch`: a local folder of its own, for
/// the keys. Memory: a batch, a log file; the keys are the page cache's. Errors: kNotFound when the folder is
/// no table, kUnsupported names its version; what is wrong in it is in the report. Source: hudi-format,
/// section 11.
Result<TableReport> CheckTable(const storage::Storage& storage, const std::string& base_path,
                               const std::string& scratch);

}  // namespace tarn::hudi
