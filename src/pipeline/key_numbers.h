#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tarn::pipeline {

/// Numbers the keys of a run of changes in the order in which they come: 0, 1, 2 and on. A map of strings
/// cost more than the rest of a row's reduction. Threads: one.
class KeyNumbers {
 public:
  /// For at most `keys` different ones.
  explicit KeyNumbers(int64_t keys);

  /// The number of the key in this row of its columns, which may be of any type and null; of a new one, how
  /// many there were. Equal keys are equal values of the same types.
  uint32_t Of(const std::vector<std::shared_ptr<arrow::Array>>& columns, int64_t row);

 private:
  std::string_view KeyAt(uint32_t number) const {
    return std::string_view(bytes_).substr(begins_[number], begins_[number + 1] - begins_[number]);
  }
  std::string bytes_;            ///< Of all keys, one behind the other.
  std::vector<size_t> begins_;   ///< Of each, and the end of the last.
  std::vector<uint32_t> slots_;  ///< Open addressing; a power of two, at most half full.
};

}  // namespace tarn::pipeline
