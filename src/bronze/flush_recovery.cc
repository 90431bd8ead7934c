#include <algorithm>
#include <set>

#include "base/log.h"
#include "bronze/change_log.h"

namespace tarn::bronze {
namespace {

/// No store does a request that it has not done by then.
constexpr int64_t kLateMicros = 60'000'000;

std::string Stem(const std::string& path) {
  const size_t from = path.rfind('/') + 1;
  return path.substr(from, path.rfind('.') - from);
}

}  // namespace

Status ChangeLog::Announce(const Manifest& manifest) {
  RemoveAbandoned();
  intent_ = FlushIntent{manifest.sequence, manifest.epoch, {}, abandoned_};
  for (const Pending& pending : pending_) {
    if (pending.file) intent_->files.push_back(pending.event.file.path);
  }
  if (!place_.is_remote()) return {};
  return WriteFlushIntent(*storage_, place_, *intent_);
}

Result<std::optional<Manifest>> ChangeLog::SettledManifest() {
  const std::string path = ManifestPath(intent_->sequence);
  auto json = storage_->Read(path);
  if (!json && json.error().code == ErrorCode::kNotFound) {
    if (!place_.is_remote()) return std::optional<Manifest>();
    // What an earlier process sent may come yet. The number is taken, so that it is refused then.
    Manifest nothing = last_.value_or(Manifest{});
    nothing.sequence = intent_->sequence;
    if (!last_) nothing.epoch = intent_->epoch;
    nothing.after = nothing.last_commit;
    nothing.transactions = nothing.rows = 0;
    nothing.last_file_name = last_name_;
    nothing.events.clear();
    const Status taken = storage_->PutIfAbsent(path, ToJson(nothing));
    if (!taken && taken.error().code != ErrorCode::kAlreadyExists) return taken.error();
    json = storage_->Read(path);
  }
  if (!json) return std::move(json).error();
  TARN_ASSIGN(Manifest manifest, ManifestFromJson(*json));
  return std::optional(std::move(manifest));
}

Status ChangeLog::Recover() {
  pending_.clear();
  if (!intent_) return {};
  for (const std::string& file : intent_->files) last_name_ = std::max(last_name_, Stem(file));
  TARN_ASSIGN(auto manifest, SettledManifest());
  std::set<std::string> named;
  if (manifest) {
    for (const ManifestEvent& event : manifest->events) named.insert(event.file.path);
    last_name_ = std::max(last_name_, manifest->last_file_name);
    if (!last_ || last_->sequence < manifest->sequence) last_ = std::move(manifest);
  }
  std::vector<std::string> left = intent_->abandoned;
  for (const std::string& file : intent_->files) {
    if (!named.contains(file)) left.push_back(file);
  }
  for (const std::string& file : left) {
    spdlog::info("bronze: removing {}, left by a flush that was cut off", file);
    TARN_RETURN_IF_ERROR(storage_->Remove(lake_ + "/" + file));
  }
  if (place_.is_remote()) {
    abandoned_ = std::move(left);
    abandoned_until_ = MonotonicMicros() + kLateMicros;
  }
  intent_.reset();
  return {};
}

void ChangeLog::RemoveAbandoned() {
  if (abandoned_.empty() || MonotonicMicros() < abandoned_until_) return;
  for (const std::string& file : abandoned_) {
    // The next flush tries again.
    if (!storage_->Remove(lake_ + "/" + file)) return;
  }
  abandoned_.clear();
}

}  // namespace tarn::bronze
