#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "hudi/decoded_log.h"
#include "hudi/record_key.h"

namespace tarn::hudi {

/// Merges log blocks: of each key the greatest ordering value wins, of equals the later; deletes take part.
/// Keys of different file groups are kept apart by `salt`. Threads: one.
class LogMerge {
 public:
  struct Entry {
    /// nullopt: a delete without ordering, which wins over whatever came before it.
    std::optional<int64_t> ordering;
    int64_t row = -1;  ///< Among the rows added; -1: deleted.
  };

  /// `schema`: of the rows given out, with _hoodie_ columns.
  explicit LogMerge(std::shared_ptr<arrow::Schema> schema) : schema_(std::move(schema)) {}
  Status Add(const DecodedBlock& block, uint64_t salt);
  const Entry* Find(const Hash128& key, uint64_t salt) const;
  /// Takes the key's row out, because the base file's row is newer.
  void Suppress(const Hash128& key, uint64_t salt);
  /// The live rows; null when there are none. Row numbers of entries are then those of this batch.
  Result<std::shared_ptr<arrow::RecordBatch>> Rows();
  /// Gives the live rows out part by part, and lets go of them: nothing can be asked afterwards.
  Status TakeLive(const std::function<Status(const std::shared_ptr<arrow::RecordBatch>&)>& take);
  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }

 private:
  static Hash128 Salted(const Hash128& key, uint64_t salt) { return {key.low ^ salt, key.high}; }

  std::shared_ptr<arrow::Schema> schema_;
  std::unordered_map<Hash128, Entry, HashOfHash> entries_;
  std::vector<std::shared_ptr<arrow::RecordBatch>> parts_;
  int64_t rows_ = 0;
  bool settled_ = true;  ///< parts_ is one batch without dead rows.
};

}  // namespace tarn::hudi
