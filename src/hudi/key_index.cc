#include "hudi/key_index.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "storage/storage.h"

namespace tarn::hudi {
namespace {

constexpr uint64_t kMagic = 0x3130'5845'444e'4954ULL;
constexpr size_t kHeaderBytes = 4096;
constexpr uint64_t kMinCapacity = 1024;
constexpr size_t kPrefetchAhead = 12;

/// Slots so that `keys` fill at most two thirds.
uint64_t CapacityFor(int64_t keys) {
  uint64_t capacity = kMinCapacity;
  while (capacity * 2 / 3 < static_cast<uint64_t>(keys)) capacity *= 2;
  return capacity;
}

/// A key of two zeros would read as a free slot.
Hash128 Normalised(const Hash128& key) { return key.low == 0 && key.high == 0 ? Hash128{1, 0} : key; }

}  // namespace

struct KeyIndex::Header {
  uint64_t magic;
  uint64_t capacity;
  uint64_t size;
  uint32_t clean;
  uint32_t group_checksum;
  char instant[24];
};

KeyIndex::~KeyIndex() { Unmap(); }

void KeyIndex::Unmap() {
  if (header_ != nullptr) ::munmap(header_, mapped_bytes_);
  if (fd_ >= 0) ::close(fd_);
  header_ = nullptr;
  slots_ = nullptr;
  fd_ = -1;
}

Status KeyIndex::Map(const std::string& path, uint64_t capacity, bool create) {
  Unmap();
  fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_TRUNC : 0), 0644);
  if (fd_ < 0) return storage::ErrnoError(errno, "open key index", path);
  mapped_bytes_ = kHeaderBytes + capacity * sizeof(Slot);
  // Space is taken now: a full disk must be an error here, not a signal at some later store.
  if (create) {
    const int failed = ::posix_fallocate(fd_, 0, static_cast<off_t>(mapped_bytes_));
    if (failed != 0) return storage::ErrnoError(failed, "make room for the key index", path);
  }
  void* at = ::mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  if (at == MAP_FAILED) return storage::ErrnoError(errno, "map key index", path);
  header_ = static_cast<Header*>(at);
  slots_ = reinterpret_cast<Slot*>(static_cast<char*>(at) + kHeaderBytes);
  mask_ = capacity - 1;
  path_ = path;
  if (create) *header_ = Header{kMagic, capacity, 0, 0, 0, {}};
  return {};
}

Result<bool> KeyIndex::Load(const std::string& folder, const std::string& instant, uint32_t group_checksum) {
  folder_ = folder;
  const std::string path = folder + "/keys.idx";
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || info.st_size < static_cast<off_t>(kHeaderBytes)) return false;
  const uint64_t capacity = (static_cast<uint64_t>(info.st_size) - kHeaderBytes) / sizeof(Slot);
  if (capacity < kMinCapacity || (capacity & (capacity - 1)) != 0) return false;
  TARN_RETURN_IF_ERROR(Map(path, capacity, false));
  const bool usable =
      header_->magic == kMagic && header_->capacity == capacity && header_->clean == 1 &&
      header_->group_checksum == group_checksum && instant.size() < sizeof(header_->instant) &&
      instant == std::string(header_->instant, strnlen(header_->instant, sizeof(header_->instant)));
  if (!usable) Unmap();
  return usable;
}

Status KeyIndex::Reset(const std::string& folder, int64_t keys) {
  folder_ = folder;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return storage::ErrnoError(error.value(), "create folder", folder);
  return Map(folder + "/keys.idx", CapacityFor(keys), true);
}

Status KeyIndex::MarkUnclean() {
  if (header_->clean == 0) return {};
  header_->clean = 0;
  if (::msync(header_, kHeaderBytes, MS_SYNC) != 0)
    return storage::ErrnoError(errno, "sync key index", path_);
  return {};
}

Status KeyIndex::Reserve(int64_t keys) {
  TARN_RETURN_IF_ERROR(MarkUnclean());
  const uint64_t needed = CapacityFor(static_cast<int64_t>(header_->size) + keys);
  if (needed <= mask_ + 1) return {};
  KeyIndex larger;
  larger.folder_ = folder_;
  const std::string temporary = folder_ + "/keys.grow";
  TARN_RETURN_IF_ERROR(larger.Map(temporary, std::max(needed, (mask_ + 1) * 2), true));
  for (uint64_t i = 0; i <= mask_; i++) {
    if (slots_[i].key.low != 0 || slots_[i].key.high != 0) larger.Put(slots_[i].key, slots_[i].place);
  }
  const std::string path = folder_ + "/keys.idx";
  if (std::rename(temporary.c_str(), path.c_str()) != 0) return storage::ErrnoError(errno, "rename to", path);
  std::swap(header_, larger.header_);
  std::swap(slots_, larger.slots_);
  std::swap(mask_, larger.mask_);
  std::swap(mapped_bytes_, larger.mapped_bytes_);
  std::swap(fd_, larger.fd_);
  path_ = path;
  return {};
}

KeyIndex::Slot* KeyIndex::FindSlot(const Hash128& key) const {
  for (uint64_t i = key.high & mask_;; i = (i + 1) & mask_) {
    Slot& slot = slots_[i];
    if (slot.key == key || (slot.key.low == 0 && slot.key.high == 0)) return &slot;
  }
}

RowPlace KeyIndex::Find(const Hash128& identity) const {
  const Hash128 key = Normalised(identity);
  const Slot* slot = FindSlot(key);
  return slot->key == key ? slot->place : RowPlace{};
}

void KeyIndex::FindAll(std::span<const Hash128> identities, std::vector<RowPlace>* places) const {
  places->resize(identities.size());
  for (size_t i = 0; i < identities.size(); i++) {
    if (i + kPrefetchAhead < identities.size()) {
      __builtin_prefetch(&slots_[identities[i + kPrefetchAhead].high & mask_]);
    }
    (*places)[i] = Find(identities[i]);
  }
}

bool KeyIndex::Put(const Hash128& identity, RowPlace place) {
  const Hash128 key = Normalised(identity);
  Slot* slot = FindSlot(key);
  const bool added = !(slot->key == key);
  slot->key = key;
  slot->place = place;
  header_->size += added ? 1 : 0;
  return added;
}

void KeyIndex::Erase(const Hash128& identity) {
  const Hash128 key = Normalised(identity);
  Slot* hole = FindSlot(key);
  if (!(hole->key == key)) return;
  header_->size--;
  uint64_t at = static_cast<uint64_t>(hole - slots_);
  // Later entries of the run move up, so that no search ends too early and no tombstones pile up.
  for (uint64_t i = (at + 1) & mask_;; i = (i + 1) & mask_) {
    const Slot& slot = slots_[i];
    if (slot.key.low == 0 && slot.key.high == 0) break;
    const uint64_t home = slot.key.high & mask_;
    if (((i - home) & mask_) >= ((i - at) & mask_)) {
      slots_[at] = slot;
      at = i;
    }
  }
  slots_[at] = Slot{};
}

uint64_t KeyIndex::HomeOf(const Hash128& identity) const { return Normalised(identity).high & mask_; }

void KeyIndex::ReleaseMemory() {
  // Of a shared mapping only the mapping goes; failing does no harm.
  if (header_ != nullptr) (void)::madvise(header_, mapped_bytes_, MADV_DONTNEED);
}

int64_t KeyIndex::size() const { return header_ == nullptr ? 0 : static_cast<int64_t>(header_->size); }

Status KeyIndex::CloseCleanly(const std::string& instant, uint32_t group_checksum) {
  if (header_ == nullptr) return {};
  if (::msync(header_, mapped_bytes_, MS_SYNC) != 0)
    return storage::ErrnoError(errno, "sync key index", path_);
  std::memset(header_->instant, 0, sizeof(header_->instant));
  std::memcpy(header_->instant, instant.data(), std::min(instant.size(), sizeof(header_->instant) - 1));
  header_->group_checksum = group_checksum;
  header_->clean = 1;
  if (::msync(header_, kHeaderBytes, MS_SYNC) != 0)
    return storage::ErrnoError(errno, "sync key index", path_);
  return {};
}

void KeyIndex::Discard() {
  Unmap();
  if (!folder_.empty()) ::unlink((folder_ + "/keys.idx").c_str());
}

}  // namespace tarn::hudi
