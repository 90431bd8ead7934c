#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "hudi/table.h"

namespace tarn::hudi {

/// A name for a text that two texts share with negligible probability.
struct Hash128 {
  uint64_t low = 0, high = 0;
  bool operator==(const Hash128&) const = default;
};
/// MurmurHash3 x64 128.
Hash128 HashText(std::string_view text);
struct HashOfHash {
  size_t operator()(const Hash128& hash) const { return hash.low; }
};

inline constexpr const char* kNullPartition = "__HIVE_DEFAULT_PARTITION__";

/// A key value with `,` `:` and `%` escaped, so that joined values stay apart.
void AppendKeyValue(std::string_view value, std::string* out);
/// A partition value as a folder name. Source: Hudi's PartitionPathEncodeUtils.
void AppendPathValue(std::string_view value, std::string* out);
/// Unescaped values of a hive-style path, in its order; a part without '=' is its own value.
std::vector<std::string> PartitionValues(const std::string& path);

/// Keys and partitions of a batch's rows.
struct RowKeys {
  std::shared_ptr<arrow::StringArray> keys;  ///< _hoodie_record_key
  std::vector<Hash128> identities;
  std::vector<uint32_t> partitions;  ///< Index in paths.
  std::vector<std::string> paths;
};
/// Identities of a batch of identity columns.
struct IdentityKeys {
  std::vector<std::string> pieces;  ///< identity_fields.size() escaped values a row.
  std::vector<Hash128> identities;
};

/// Makes record keys as Hudi's key generators do, from rows or from an identity and a partition. Threads:
/// any.
class KeyFormat {
 public:
  /// kInvalidArgument when a key field is neither a partition nor an identity column, or a field does not
  /// exist.
  static Result<KeyFormat> Make(const TableOptions& options);
  Result<RowKeys> FromRows(const arrow::RecordBatch& rows) const;
  /// `rows`: identity_fields as the leading columns.
  Result<IdentityKeys> FromIdentities(const arrow::RecordBatch& rows) const;
  /// The record key of one identity's row in a partition.
  std::string KeyIn(const std::string& partition_path, const std::string* pieces) const;
  /// The identity inside a record key.
  Hash128 IdentityOf(std::string_view record_key) const;
  /// The identity's escaped values, as IdentityKeys has them.
  std::vector<std::string> PiecesOf(std::string_view record_key) const;

 private:
  static std::vector<std::string_view> ValuesOf(std::string_view record_key);
  struct Part {
    std::string name;
    int identity = -1;   ///< Index in identity_fields, or -1:
    int partition = -1;  ///< index in partition_fields.
  };
  bool single_ = false;  ///< One field and no partitions: the key is the plain value.
  std::vector<Part> parts_;
  std::vector<size_t> identity_parts_;  ///< For each identity field its index in parts_.
  std::vector<std::string> identity_fields_, partition_fields_;
};

}  // namespace tarn::hudi
