#include "hudi/table_lock.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "base/log.h"
#include "hudi/file_name.h"
#include "hudi/record_key.h"

namespace tarn::hudi {
namespace {

constexpr int64_t kFirstPauseMicros = 2'000, kLongestPauseMicros = 200'000;
/// By how much the clocks of two machines may differ.
constexpr int64_t kDriftMicros = 500'000;

std::string PathOf(const std::string& base_path) { return base_path + "/.hoodie/lock"; }

/// Until when a lock of ours was taken; nullopt for one of Spark's, which does not say.
std::optional<int64_t> UntilOf(const std::string& content) {
  const auto json = nlohmann::json::parse(content, nullptr, false);
  if (!json.is_object() || json.value("writer", "") != "tarn") return std::nullopt;
  const auto until = json.find("validUntil");
  if (until == json.end() || !until->is_number_integer()) return std::nullopt;
  return until->get<int64_t>() * 1000;
}

/// Somebody's lock, as it was seen.
struct SeenLock {
  std::string content;
  bool is_expired = false;
};

/// nullopt when it is free by now.
Result<std::optional<SeenLock>> Look(const storage::Storage& storage, const std::string& base_path,
                                     const SharingOptions& sharing) {
  auto content = storage.Read(PathOf(base_path));
  if (!content && content.error().code == ErrorCode::kNotFound) return std::optional<SeenLock>();
  if (!content) return std::move(content).error();
  SeenLock seen{std::move(*content)};
  const int64_t now = sharing.clock->NowMicros();
  if (const auto until = UntilOf(seen.content)) {
    seen.is_expired = now > *until + kDriftMicros;
  } else if (sharing.foreign_lock_expiry_micros > 0) {
    TARN_ASSIGN(const auto files, storage.List(base_path + "/.hoodie"));
    seen.is_expired = std::any_of(files.begin(), files.end(), [&](const auto& file) {
      return file.name == "lock" && now - file.modified_micros > sharing.foreign_lock_expiry_micros;
    });
  }
  return std::optional(std::move(seen));
}

/// Takes an expired lock away. Who may is decided by a file that is named by it, so that nobody can take one
/// away that another has made since. Whether it was us.
Result<bool> Break(storage::Storage* storage, const std::string& base_path, const SeenLock& seen) {
  const Hash128 hash = HashText(seen.content);
  const std::string claim =
      fmt::format("{}/.hoodie/.lock_broken_{:016x}{:016x}", base_path, hash.high, hash.low);
  const Status claimed = storage->PutIfAbsent(claim, "");
  if (!claimed && claimed.error().code == ErrorCode::kAlreadyExists) return false;  // Another one does it.
  TARN_RETURN_IF_ERROR(claimed);
  const auto now = storage->Read(PathOf(base_path));
  if (now && *now == seen.content) {
    spdlog::warn("'{}': the lock's time is over: {}", PathOf(base_path), seen.content.substr(0, 200));
    TARN_RETURN_IF_ERROR(storage->Remove(PathOf(base_path)));
    // Hadoop's checksum of Spark's.
    TARN_RETURN_IF_ERROR(storage->Remove(base_path + "/.hoodie/.lock.crc"));
  }
  TARN_RETURN_IF_ERROR(storage->Remove(claim));
  return true;
}

}  // namespace

TableLock::TableLock(storage::Storage* storage, std::string path, std::string content, int64_t until,
                     const Clock* clock)
    : storage_(storage),
      path_(std::move(path)),
      content_(std::move(content)),
      until_micros_(until),
      clock_(clock) {}

Result<std::unique_ptr<TableLock>> TableLock::Acquire(storage::Storage* storage, const std::string& base_path,
                                                      const SharingOptions& sharing, int64_t lease_micros) {
  const int64_t deadline = MonotonicMicros() + sharing.lock_wait_micros;
  const std::string owner = NewFileId();
  for (int64_t pause = kFirstPauseMicros;; pause = std::min(2 * pause, kLongestPauseMicros)) {
    const int64_t until = sharing.clock->NowMicros() + lease_micros;
    const std::string content = nlohmann::json{
        {"writer", "tarn"},
        {"owner", owner},
        {"process", ::getpid()},
        {"validUntil",
         until / 1000}}.dump();
    std::unique_ptr<TableLock> lock(new TableLock(storage, PathOf(base_path), content, until, sharing.clock));
    const Status put = storage->PutIfAbsent(lock->path_, content);
    if (put || put.error().code != ErrorCode::kAlreadyExists)
      lock->held_ = true;  // Perhaps: it is looked at.
    if (put) {
      return lock;
    }
    if (put.error().code != ErrorCode::kAlreadyExists) return put.error();
    TARN_ASSIGN(const auto seen, Look(*storage, base_path, sharing));
    if (!seen) continue;
    if (seen->is_expired) {
      TARN_ASSIGN(const bool broken, Break(storage, base_path, *seen));
      if (broken) continue;
    }
    if (MonotonicMicros() >= deadline) {
      return MakeError(ErrorCode::kConflict,
                       "'{}' is there for {} s already, by another writer: {}; try again, or remove it, and "
                       ".lock_broken_* beside it, when that writer does not live any more",
                       PathOf(base_path), sharing.lock_wait_micros / 1'000'000, seen->content.substr(0, 200));
    }
    std::this_thread::sleep_for(std::chrono::microseconds(pause));
  }
}

Status TableLock::CheckHeld() const {
  const auto now = storage_->Read(path_);
  if (now && *now == content_ && clock_->NowMicros() < until_micros_ - kDriftMicros) return {};
  if (!now && now.error().code != ErrorCode::kNotFound) return now.error();
  return MakeError(ErrorCode::kConflict, "'{}' was held too long, and is not ours any more: try again",
                   path_);
}

TableLock::~TableLock() {
  if (!held_) return;
  const auto now = storage_->Read(path_);
  if (!now || *now != content_) return;
  const Status removed = storage_->Remove(path_);
  if (!removed) spdlog::warn("'{}' cannot be given back: {}", path_, removed.error().message);
}

}  // namespace tarn::hudi
