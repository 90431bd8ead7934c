#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "hudi/key_index.h"

namespace tarn::hudi {

/// Places of many new identities, collected in a file and put into the index in the end, one stretch of it
/// after the other: at random they would touch all of its pages again and again. Memory: about a megabyte,
/// and a stretch of the index while it is built. Threads: one.
class KeySpool {
 public:
  explicit KeySpool(std::string folder) : folder_(std::move(folder)) {}
  ~KeySpool();
  KeySpool(const KeySpool&) = delete;
  KeySpool& operator=(const KeySpool&) = delete;

  Status Add(const Hash128& identity, RowPlace place);
  /// Nothing of the index is synced. `twice`: the place of an identity that was there before; then the index
  /// is not to be used.
  Status BuildInto(KeyIndex* index, RowPlace* twice);

 private:
  struct Entry {
    Hash128 identity;
    RowPlace place;
  };
  static constexpr size_t kChunkEntries = 32 * 1024;
  Status Spill();
  Status PutStretch(KeyIndex* index, uint64_t from, uint64_t to, RowPlace* twice);

  const std::string folder_;
  std::vector<Entry> chunk_;
  int fd_ = -1;
  int64_t spilled_ = 0;  ///< Entries in the file.
};

}  // namespace tarn::hudi
