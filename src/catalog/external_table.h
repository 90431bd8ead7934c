#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "catalog/lake_layout.h"
#include "storage/storage.h"

namespace tarn::catalog {

/// A Parquet file of a external table, as it was when its folder was crawled.
struct ExternalFile {
  int64_t size_bytes = 0;
  int64_t modified_micros = 0;
  int64_t rows = 0;
  std::vector<std::string> partition;  ///< Values of the partition fields, unescaped.
};

/// A folder that others write, which SQL sees as external.<name>.
struct ExternalTable {
  enum class Kind { kParquet, kHudi };
  Kind kind = Kind::kParquet;
  std::string path;  ///< Its folder.
  std::string root;  ///< The folder that was crawled, which it is in, or which it is.
  /// Merged over all files; of Parquet the partition fields, which stand in folders' names alone, come last.
  std::shared_ptr<arrow::Schema> schema;
  std::vector<std::string> partition_fields;
  std::map<std::string, std::string> left_out;  ///< Columns whose type the lake does not have, and the type.
  std::map<std::string, ExternalFile> files;    ///< Of Parquet, by path below `path`.
  std::string instant;                          ///< Of Hudi, the newest when it was crawled.
  int64_t crawled_micros = 0;

  bool operator==(const ExternalTable& other) const;
};

/// The external tables of a lake, by name (`_tarn/external.json`). Threads: one.
class ExternalTables {
 public:
  /// Empty when nothing was ever crawled.
  static Result<ExternalTables> Read(const storage::Storage& storage, const LakeLayout& layout);
  static Result<ExternalTables> Parse(const std::string& json);
  std::string ToJson() const;
  /// Durability: on return it survives a crash.
  Status Write(storage::Storage& storage, const LakeLayout& layout) const;
  static std::string Path(const LakeLayout& layout) { return layout.Internal("external.json"); }

  std::map<std::string, ExternalTable> tables;
};

/// The types that external tables may have, as texts, and back. Null: it is none of them.
std::optional<std::string> ExternalTypeText(const arrow::DataType& type);
std::shared_ptr<arrow::DataType> ExternalType(const std::string& text);

}  // namespace tarn::catalog
