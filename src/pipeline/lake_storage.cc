#include "pipeline/lake_storage.h"

#include <nlohmann/json.hpp>
#include <random>

#include "bronze/manifest.h"
#include "catalog/lake_layout.h"

namespace tarn::pipeline {
namespace {

using nlohmann::json;

/// Which lake a Bronze belongs to: in the lake's folder and, without the path, beside the manifests.
struct Claim {
  std::string path, lake;
};

std::string LocalClaim(const PipelineOptions& options) {
  return options.lake + "/_tarn/bronze_store/claim.json";
}
std::string RemoteClaim(const PipelineOptions& options) {
  return options.bronze_path + "/_tarn/bronze/lake.json";
}

Result<std::optional<Claim>> ReadClaim(const storage::Storage& storage, const std::string& path) {
  const auto text = storage.Read(path);
  if (!text && text.error().code == ErrorCode::kNotFound) return std::optional<Claim>();
  if (!text) return text.error();
  const json claim = json::parse(*text, nullptr, false);
  if (!claim.is_object() || !claim.contains("lake"))
    return MakeError(ErrorCode::kCorrupt, "'{}' cannot be read: it names no lake", path);
  return std::optional(Claim{claim.value("path", ""), claim.value("lake", "")});
}

std::string RandomName() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

/// The lake may have begun with Bronze elsewhere; what it has of its changes would not follow on.
Status CheckPlace(const storage::Storage& storage, const PipelineOptions& options,
                  const std::optional<Claim>& own) {
  if (own && own->path != options.bronze_path) {
    return MakeError(
        ErrorCode::kConflict,
        "the lake '{}' has its Bronze at '{}', not {}: set [bronze] path to it, or choose another lake",
        options.lake, own->path,
        options.bronze_path.empty() ? "in its folder" : "'" + options.bronze_path + "'");
  }
  if (own || options.bronze_path.empty()) return {};
  for (const std::string& folder : {bronze::ManifestFolder(options.lake), bronze::LoadFolder(options.lake)}) {
    TARN_ASSIGN(const auto files, storage.List(folder));
    if (files.empty()) continue;
    return MakeError(
        ErrorCode::kConflict,
        "the lake '{}' has its Bronze in its folder: leave [bronze] path out, or choose another lake",
        options.lake);
  }
  return {};
}

Error NotOurs(const PipelineOptions& options) {
  return MakeError(
      ErrorCode::kConflict,
      "Bronze at '{}' is another lake's: choose another [bronze] path. If the folder of that lake is "
      "lost, `tarn rebuild` makes it again in '{}'",
      options.bronze_path, options.lake);
}

storage::S3Options StoreOptions(const PipelineOptions& options, bool read_only) {
  storage::S3Options store = options.s3;
  store.read_only = read_only;
  return store;
}

}  // namespace

Result<std::unique_ptr<storage::Storage>> OpenLakeStorage(const PipelineOptions& options) {
  TARN_ASSIGN(auto local, storage::OpenLocalStorage(catalog::LakeLayout(options.lake).Internal("staging")));
  if (options.bronze_path.empty()) return local;
  TARN_ASSIGN(auto remote, storage::OpenS3Storage(StoreOptions(options, false)));
  return storage::RouteStorage(std::move(local), std::move(remote));
}

std::unique_ptr<storage::Storage> OpenLakeStorageReadOnly(const PipelineOptions& options) {
  auto local = storage::OpenLocalStorageReadOnly();
  if (options.bronze_path.empty()) return local;
  return storage::RouteStorage(std::move(local), storage::OpenS3Storage(StoreOptions(options, true)));
}

engine::FileOpener OpenerOf(const storage::Storage* storage, const PipelineOptions& options) {
  if (options.bronze_path.empty()) return {};
  return [storage](const std::string& path) { return storage->Open(path); };
}

Status ClaimBronze(storage::Storage& storage, const PipelineOptions& options) {
  TARN_ASSIGN(auto own, ReadClaim(storage, LocalClaim(options)));
  // Of a lake that has nothing yet a wrong path may be corrected.
  const bool begun = storage.Exists(catalog::LakeLayout(options.lake).Internal("lake.json"));
  if (own && own->path != options.bronze_path && !begun) own.reset();
  TARN_RETURN_IF_ERROR(CheckPlace(storage, options, own));
  if (options.bronze_path.empty()) return {};
  TARN_ASSIGN(const auto there, ReadClaim(storage, RemoteClaim(options)));
  const bool others = there && (!own || there->lake != own->lake);
  if (others && (!options.adopt_bronze || begun)) return NotOurs(options);
  if (!own) {
    own = Claim{options.bronze_path, RandomName()};
    // Before the store has it: a crash between leaves nobody's claim there.
    TARN_RETURN_IF_ERROR(
        storage.Write(LocalClaim(options), json{{"path", own->path}, {"lake", own->lake}}.dump(1)));
  }
  const std::string text = json{{"lake", own->lake}}.dump(1);
  // Under a new name: the lake that it was, should it be found again, must not go on.
  if (others) TARN_RETURN_IF_ERROR(storage.Write(RemoteClaim(options), text));
  // What is there must not be written over, and in the end this lake's name is there.
  for (int attempt = 0; attempt < 2; attempt++) {
    const Status put = storage.PutIfAbsent(RemoteClaim(options), text);
    if (!put && put.error().code != ErrorCode::kAlreadyExists) return put;
    if (put && attempt == 0) continue;
    if (put) {
      return MakeError(
          ErrorCode::kUnsupported,
          "the object store of '{}' writes over what is there although asked not to "
          "(If-None-Match: *): two writers could each lose the other's changes; use a store or version "
          "that knows conditional writes",
          options.bronze_path);
    }
    break;
  }
  TARN_ASSIGN(const auto now, ReadClaim(storage, RemoteClaim(options)));
  if (!now || now->lake != own->lake) return NotOurs(options);
  return storage.DiscardUnpublished(options.bronze_path);
}

Status CheckNewLake(const storage::Storage& storage, const PipelineOptions& options) {
  for (const char* layer : {"bronze", "silver", "quarantine", "gold"}) {
    TARN_ASSIGN(const auto entries, storage.List(options.lake + "/" + layer));
    if (entries.empty()) continue;
    return MakeError(
        ErrorCode::kConflict,
        "'{0}' holds files of a lake ('{1}/{2}'), but not its '_tarn/lake.json': it was copied or restored "
        "without '{0}/_tarn' (whose name some tools take for a hidden one). Bring that back, or choose "
        "another "
        "[lake] path; nothing was removed",
        options.lake, layer, entries.front().name);
  }
  return {};
}

}  // namespace tarn::pipeline
