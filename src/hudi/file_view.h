#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "storage/storage.h"

namespace tarn::hudi {

struct BaseFile {
  std::string name;
  std::string instant;
  int64_t size_bytes = 0;
  int64_t rows = -1;  ///< -1: not known yet, the footer has it.
};
struct LogFile {
  std::string name;
  int version = 0;
  std::string token;
  int64_t size_bytes = 0;
};

/// All files of one file group, whatever commit they belong to.
struct GroupFiles {
  std::map<std::string, BaseFile> bases;             ///< By instant.
  std::map<std::string, std::vector<LogFile>> logs;  ///< By base instant; ordered by version, then token.
};
using PartitionFiles = std::map<std::string, GroupFiles>;  ///< By file id.

/// Every folder below the table's but those whose name begins with a dot, the table's own ("") first, with
/// all its entries.
using TakeFolder =
    std::function<Status(const std::string& folder, const std::vector<storage::FileInfo>& entries)>;
Status ForEachFolder(const storage::Storage& storage, const std::string& base_path, const TakeFolder& take);
/// Whether a folder with these entries is a partition: it has .hoodie_partition_metadata.
bool IsPartition(const std::vector<storage::FileInfo>& entries);

/// The data files of a table, by partition path. Threads: one.
class FileView {
 public:
  /// Lists every partition (a folder with .hoodie_partition_metadata).
  static Result<FileView> Load(const storage::Storage& storage, const std::string& base_path);
  /// Adds a file by name, if it is a base or log file; known ones get the new size.
  void Add(const std::string& partition, const std::string& name, int64_t size_bytes, int64_t rows);
  void Remove(const std::string& partition, const std::string& name);
  Status ListPartition(const storage::Storage& storage, const std::string& base_path,
                       const std::string& partition);

  std::map<std::string, PartitionFiles>& partitions() { return partitions_; }
  const std::map<std::string, PartitionFiles>& partitions() const { return partitions_; }

 private:
  std::map<std::string, PartitionFiles> partitions_;
};

}  // namespace tarn::hudi
