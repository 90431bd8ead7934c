#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "hudi/key_index.h"
#include "hudi/record_key.h"

namespace tarn::hudi {

/// Of many identities, the greatest number that was noted with each. Memory: the page cache's, 36 bytes an
/// identity. Threads: one.
class IdentityMarks {
 public:
  /// `folder` is this object's own: emptied now, and removed with it. `fields`: the columns of an identity.
  static Result<std::unique_ptr<IdentityMarks>> Make(std::string folder, std::vector<std::string> fields);
  ~IdentityMarks();
  IdentityMarks(const IdentityMarks&) = delete;
  IdentityMarks& operator=(const IdentityMarks&) = delete;

  /// `identities`: the fields as leading columns; a mark, not negative, for each row.
  Status Note(const arrow::RecordBatch& identities, std::span<const int64_t> marks);
  /// kNone where nothing was noted.
  Result<std::vector<int64_t>> Find(const arrow::RecordBatch& identities) const;
  int64_t size() const { return index_.size(); }

  static constexpr int64_t kNone = -1;

 private:
  IdentityMarks(std::string folder, KeyFormat keys) : folder_(std::move(folder)), keys_(std::move(keys)) {}

  const std::string folder_;
  const KeyFormat keys_;
  KeyIndex index_;
};

}  // namespace tarn::hudi
