#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "hudi/record_key.h"

namespace tarn::hudi {

/// Where an identity's newest row is.
struct RowPlace {
  static constexpr uint32_t kNowhere = UINT32_MAX;
  static constexpr uint32_t kInLog = UINT32_MAX;
  uint32_t group = kNowhere;   ///< Ordinal of the file group, or kNowhere.
  uint32_t position = kInLog;  ///< Row in the group's newest base file, or kInLog.
};

/// Identity → place: an open-addressing table in a memory-mapped local file. A cache: it says which instant
/// it is of and whether it was closed cleanly, and is thrown away otherwise. Threads: one.
class KeyIndex {
 public:
  ~KeyIndex();
  KeyIndex() = default;
  KeyIndex(const KeyIndex&) = delete;
  KeyIndex& operator=(const KeyIndex&) = delete;

  /// Maps `folder`/keys.idx when it is clean and of (`instant`, `group_checksum`); false when it must be
  /// rebuilt.
  Result<bool> Load(const std::string& folder, const std::string& instant, uint32_t group_checksum);
  /// An empty table with room for about `keys`.
  Status Reset(const std::string& folder, int64_t keys);
  /// Makes room for `keys` more, growing into a file twice as large when needed; changes follow without
  /// failing.
  Status Reserve(int64_t keys);

  RowPlace Find(const Hash128& identity) const;
  void FindAll(std::span<const Hash128> identities, std::vector<RowPlace>* places) const;
  /// Sets the place; false when the identity was there before.
  bool Put(const Hash128& identity, RowPlace place);
  void Erase(const Hash128& identity);
  int64_t size() const;
  uint64_t capacity() const { return mask_ + 1; }
  /// The slot at which the search for an identity begins.
  uint64_t HomeOf(const Hash128& identity) const;
  /// Gives the pages that are mapped back to the page cache; what is in them stays.
  void ReleaseMemory();
  static constexpr uint64_t kSlotBytes = sizeof(Hash128) + sizeof(RowPlace);

  /// Durability: on return the file is what the next Load may use. The first change after it makes it
  /// unclean.
  Status CloseCleanly(const std::string& instant, uint32_t group_checksum);
  /// Unmaps and removes the file.
  void Discard();

 private:
  struct Header;
  struct Slot {
    Hash128 key;  ///< Both zero: free.
    RowPlace place;
  };
  Status Map(const std::string& path, uint64_t capacity, bool create);
  void Unmap();
  Status MarkUnclean();
  Slot* FindSlot(const Hash128& identity) const;

  std::string folder_, path_;
  Header* header_ = nullptr;
  Slot* slots_ = nullptr;
  uint64_t mask_ = 0;
  size_t mapped_bytes_ = 0;
  int fd_ = -1;
};

}  // namespace tarn::hudi
