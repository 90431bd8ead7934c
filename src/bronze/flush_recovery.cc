#include <algorithm>
#include <future>

#include "base/fault.h"
#include "base/log.h"
#include "bronze/change_log.h"
#include "bronze/write_intent.h"

namespace tarn::bronze {
namespace {

constexpr size_t kUploads = 8;  ///< At a time.

/// The file has its place, or gets it. It waits no more when it got it before.
Status PlaceFile(storage::Storage* storage, const BronzePlace& place, const FileEntry& file) {
  const std::string to = place.root + "/" + file.path;
  const Status moved = storage->Move(WaitingFolder(place) + "/" + FileName(file.path), to);
  if (moved || moved.error().code != ErrorCode::kNotFound) return moved;
  TARN_ASSIGN(const auto there, storage->Open(to));
  return {};
}

/// Puts the manifest, or finds that it is there.
Status PutManifest(storage::Storage* storage, const std::string& path, const std::string& json) {
  const Status put = storage->PutIfAbsent(path, json);
  if (put || put.error().code != ErrorCode::kAlreadyExists) return put;
  TARN_ASSIGN(const std::string there, storage->Read(path));
  if (there == json) return {};
  return MakeError(ErrorCode::kCorrupt,
                   "'{}' is there and says something else than this lake was about to write: another tarn "
                   "writes there, or a backup was restored in part. `tarn bronze verify` tells more",
                   path);
}

}  // namespace

Status ChangeLog::Place(const std::vector<ManifestEvent>& events) {
  // In an object store each takes a while: side by side.
  const size_t together = place_.is_remote() ? kUploads : 1;
  const auto policy = place_.is_remote() ? std::launch::async : std::launch::deferred;
  for (size_t from = 0; from < events.size(); from += together) {
    std::vector<std::future<Status>> placed;
    for (size_t at = from; at < std::min(events.size(), from + together); at++) {
      if (events[at].at) continue;
      placed.push_back(std::async(policy, [&, at] { return PlaceFile(storage_, place_, events[at].file); }));
    }
    Status outcome;
    for (auto& one : placed) {
      if (Status status = one.get(); !status && outcome) outcome = std::move(status);
    }
    TARN_RETURN_IF_ERROR(outcome);
    TARN_FAULT_POINT("bronze.flush.between_files");
  }
  return {};
}

Status ChangeLog::Deliver(const Manifest& manifest) {
  TARN_RETURN_IF_ERROR(Place(manifest.events));
  TARN_FAULT_POINT("bronze.flush.before_manifest");
  return PutManifest(storage_, ManifestPath(manifest.sequence), ToJson(manifest));
}

Status ChangeLog::Recover() {
  pending_.clear();
  TARN_ASSIGN(auto announced, ReadFlushIntent(*storage_, place_));
  const int64_t newest = last_ ? last_->sequence : 0;
  if (announced && announced->sequence > newest + 1) {
    return MakeError(
        ErrorCode::kCorrupt,
        "Bronze at '{}' ends with manifest {}, but this lake wrote number {}: restore the newest "
        "ones from a backup, or point [bronze] path at where they are",
        lake_, newest, announced->sequence - 1);
  }
  if (announced && announced->sequence == newest + 1) {
    spdlog::info("bronze: finishing flush {}, which was cut off", announced->sequence);
    TARN_RETURN_IF_ERROR(Deliver(*announced));
    last_name_ = std::max(last_name_, announced->last_file_name);
    last_ = std::move(announced);
  }
  TARN_ASSIGN(const auto waiting, storage_->List(WaitingFolder(place_)));
  for (const auto& file : waiting)
    TARN_RETURN_IF_ERROR(storage_->Remove(WaitingFolder(place_) + "/" + file.name));
  return {};
}

}  // namespace tarn::bronze
