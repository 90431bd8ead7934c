#include "hudi/key_spool.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "storage/storage.h"

namespace tarn::hudi {
namespace {

constexpr uint64_t kStretchBytes = 96 << 20;

}  // namespace

KeySpool::~KeySpool() {
  if (fd_ >= 0) ::close(fd_);
}

Status KeySpool::Add(const Hash128& identity, RowPlace place) {
  chunk_.push_back({identity, place});
  return chunk_.size() < kChunkEntries ? Status{} : Spill();
}

Status KeySpool::Spill() {
  const std::string path = folder_ + "/keys.spool";
  if (fd_ < 0) {
    std::error_code error;
    std::filesystem::create_directories(folder_, error);
    if (error) return storage::ErrnoError(error.value(), "create folder", folder_);
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd_ < 0) return storage::ErrnoError(errno, "open", path);
    // It has no name any more, so that nothing is left of it whatever happens.
    ::unlink(path.c_str());
  }
  const char* at = reinterpret_cast<const char*>(chunk_.data());
  for (size_t left = chunk_.size() * sizeof(Entry); left > 0;) {
    const ssize_t written = ::write(fd_, at, left);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return storage::ErrnoError(errno, "write", path);
    at += written;
    left -= static_cast<size_t>(written);
  }
  spilled_ += static_cast<int64_t>(chunk_.size());
  chunk_.clear();
  return {};
}

Status KeySpool::PutStretch(KeyIndex* index, uint64_t from, uint64_t to, RowPlace* twice) {
  const auto put = [&](const Entry& entry) {
    const uint64_t home = index->HomeOf(entry.identity);
    if (home < from || home >= to) return;
    if (!index->Put(entry.identity, entry.place)) *twice = entry.place;
  };
  std::vector<Entry> read(kChunkEntries);
  for (int64_t first = 0; first < spilled_; first += static_cast<int64_t>(kChunkEntries)) {
    const auto count = static_cast<size_t>(std::min<int64_t>(kChunkEntries, spilled_ - first));
    const size_t bytes = count * sizeof(Entry);
    const auto offset = static_cast<off_t>(first) * static_cast<off_t>(sizeof(Entry));
    const ssize_t got = ::pread(fd_, read.data(), bytes, offset);
    if (got != static_cast<ssize_t>(bytes)) {
      return storage::ErrnoError(got < 0 ? errno : EIO, "read", folder_ + "/keys.spool");
    }
    std::for_each(read.begin(), read.begin() + static_cast<std::ptrdiff_t>(count), put);
  }
  std::for_each(chunk_.begin(), chunk_.end(), put);
  return {};
}

Status KeySpool::BuildInto(KeyIndex* index, RowPlace* twice) {
  const int64_t keys = spilled_ + static_cast<int64_t>(chunk_.size());
  if (index->size() == 0) {
    TARN_RETURN_IF_ERROR(index->Reset(folder_, keys));
  } else {
    TARN_RETURN_IF_ERROR(index->Reserve(keys));
  }
  const uint64_t stretch = std::max<uint64_t>(kStretchBytes / KeyIndex::kSlotBytes, 1);
  for (uint64_t from = 0; from < index->capacity(); from += stretch) {
    TARN_RETURN_IF_ERROR(PutStretch(index, from, from + stretch, twice));
    index->ReleaseMemory();
  }
  chunk_.clear();
  return {};
}

}  // namespace tarn::hudi
