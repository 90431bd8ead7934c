#pragma once

#include <arrow/type_fwd.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tarn::parquet {

/// Gives a text column of few different values the form that spares the Parquet writer a look at each:
/// indices into a dictionary, which stays the same through a row group, as the format wants it. What is
/// stored is the same. Memory: 256 values of 1 kB. Threads: one.
class TextDictionary {
 public:
  /// The rows as dictionary<int32, utf8>; null where they have a value that the row group's dictionary lacks,
  /// which the next one has: then, and up to the group's end, they are written as they are.
  std::shared_ptr<arrow::Array> Encode(const arrow::StringArray& rows);
  /// The next rows begin a row group.
  void BeginGroup();
  /// Whether the column had more different values than are worth it: null from now on.
  bool gave_up() const { return gave_up_; }

 private:
  static constexpr size_t kMostValues = 256, kSlots = 1024, kLongestValue = 1024;
  /// A value with its first and last eight bytes, which are all of it up to sixteen.
  struct Key {
    uint64_t first = 0, last = 0;
    std::string_view text;
    explicit Key(std::string_view value);
    bool operator==(const Key& other) const;
    size_t slot() const;
  };
  /// The value's index; it is added where it is new. -1: it is one too many.
  int32_t IndexOf(const Key& key);

  std::vector<std::unique_ptr<std::string>> values_;
  std::vector<Key> keys_;                     ///< Of values_.
  std::array<uint16_t, kSlots> slots_ = {};   ///< Index + 1; zero: free.
  std::shared_ptr<arrow::Array> dictionary_;  ///< Of the row group; null before its first rows.
  bool is_dense_ = false;                     ///< The rest of the row group is written as it is.
  bool gave_up_ = false;
};

}  // namespace tarn::parquet
