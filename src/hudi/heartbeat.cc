#include "hudi/heartbeat.h"

#include <algorithm>
#include <chrono>

#include "base/log.h"

namespace tarn::hudi {
namespace {

std::string FolderOf(const std::string& base_path) { return base_path + "/.hoodie/.heartbeat"; }

int64_t ToleratedMicros(const SharingOptions& sharing) {
  return sharing.heartbeat_micros * std::max(sharing.tolerated_heartbeat_misses, 1);
}

}  // namespace

Result<std::unique_ptr<Heartbeat>> Heartbeat::Begin(storage::Storage* storage, const std::string& base_path,
                                                    const std::string& instant,
                                                    const SharingOptions& sharing) {
  std::unique_ptr<Heartbeat> heartbeat(new Heartbeat(storage, FolderOf(base_path) + "/" + instant, sharing));
  const Status begun = storage->PutIfAbsent(heartbeat->path_, "");
  if (!begun && begun.error().code == ErrorCode::kAlreadyExists) {
    return MakeError(ErrorCode::kConflict,
                     "'{}': another writer's commit has the instant {}: take a later one", base_path,
                     instant);
  }
  TARN_RETURN_IF_ERROR(begun);
  heartbeat->thread_ = std::thread([beating = heartbeat.get()] { beating->Beat(); });
  return heartbeat;
}

Heartbeat::Heartbeat(storage::Storage* storage, std::string path, const SharingOptions& sharing)
    : storage_(storage),
      path_(std::move(path)),
      sharing_(sharing),
      last_micros_(sharing.clock->NowMicros()) {}

Heartbeat::~Heartbeat() { Stop(); }

void Heartbeat::Beat() {
  std::unique_lock lock(mutex_);
  const auto interval = std::chrono::microseconds(sharing_.heartbeat_micros);
  while (!changed_.wait_for(lock, interval, [this] { return stopped_; })) {
    const int64_t now = sharing_.clock->NowMicros();
    const Status written = storage_->Write(path_, "");
    if (written)
      last_micros_ = now;
    else
      spdlog::warn("heartbeat '{}': {}", path_, written.error().message);
  }
}

bool Heartbeat::HasLapsed() const {
  return sharing_.clock->NowMicros() - last_micros_ >= ToleratedMicros(sharing_);
}

void Heartbeat::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Heartbeat::End() {
  Stop();
  // Of a complete commit it means nothing; the next recovery takes one that stays.
  const Status removed = storage_->Remove(path_);
  if (!removed) spdlog::warn("heartbeat '{}': {}", path_, removed.error().message);
}

Result<Life> LifeOf(const storage::Storage& storage, const std::string& base_path, const std::string& instant,
                    const SharingOptions& sharing) {
  TARN_ASSIGN(const auto beating, storage.List(FolderOf(base_path)));
  for (const auto& file : beating) {
    if (file.name != instant) continue;
    const bool late = sharing.clock->NowMicros() - file.modified_micros > ToleratedMicros(sharing);
    return late ? Life::kDead : Life::kAlive;
  }
  return Life::kUnknown;
}

Status RemoveDeadHeartbeats(storage::Storage& storage, const std::string& base_path, const Timeline& timeline,
                            const SharingOptions& sharing) {
  TARN_ASSIGN(const auto beating, storage.List(FolderOf(base_path)));
  for (const auto& file : beating) {
    const bool is_pending =
        std::any_of(timeline.pending.begin(), timeline.pending.end(),
                    [&](const PendingAction& pending) { return pending.instant == file.name; });
    const bool late = sharing.clock->NowMicros() - file.modified_micros > ToleratedMicros(sharing);
    if (late && !is_pending) TARN_RETURN_IF_ERROR(storage.Remove(FolderOf(base_path) + "/" + file.name));
  }
  return {};
}

}  // namespace tarn::hudi
