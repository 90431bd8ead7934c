#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/lsn.h"
#include "catalog/lake_layout.h"
#include "storage/storage.h"

namespace tarn::catalog {

/// All member tables, each read as of `instant`, are at one commit LSN.
struct LakeVersion {
  std::string instant;
  int64_t epoch = 0;
  Lsn lsn;                                  ///< Commit LSN of the newest transaction inside.
  int64_t commit_micros = 0;                ///< Its time on the source.
  std::vector<std::string> tables;          ///< Silver members, with their quarantine.
  std::vector<std::string> bronze_alone;    ///< Tables that are in Bronze only.
  std::map<std::string, std::string> held;  ///< Tables that cannot follow, with the reason.

  SourcePosition position() const { return {epoch, lsn}; }
};

/// A run of Gold: its tables, read as of `instant`, were computed from `source_instant`.
struct GoldVersion {
  std::string instant;
  std::string source_instant;
  int64_t commit_micros = 0;  ///< Of the lake version that it read.
  std::vector<std::string> models;
};

/// The published versions of a lake, oldest first. Threads: any. A file a version in `_tarn/versions` and
/// `_tarn/gold_versions`, named by instant and source commit time, so that finding one reads no others.
class LakeVersions {
 public:
  /// Reads the names that are there. `storage` outlives it.
  static Result<std::unique_ptr<LakeVersions>> Open(const storage::Storage* storage,
                                                    const LakeLayout& layout);

  /// Durability: on return the version survives a crash and is what new statements see.
  Status Publish(storage::Storage& storage, const LakeVersion& version);
  Status PublishGold(storage::Storage& storage, const GoldVersion& version);
  /// Looks for versions that another process published.
  Status Refresh();

  /// The newest, or the newest whose source commit is at or before `as_of_micros`. kNotFound when there is
  /// none, saying from when on there are any.
  Result<LakeVersion> Find(std::optional<int64_t> as_of_micros);
  /// The newest Gold made of `version` or one before it; nullopt when there is none.
  Result<std::optional<GoldVersion>> FindGold(const LakeVersion& version);
  /// Forgets versions with a source commit before `micros`, except the newest of them. Returns how many.
  Result<int64_t> Prune(storage::Storage& storage, int64_t micros);
  size_t size();

 private:
  struct Entry {
    std::string instant;
    int64_t commit_micros;
  };
  LakeVersions(const storage::Storage* storage, LakeLayout layout)
      : storage_(storage), layout_(std::move(layout)) {}
  static Result<std::vector<Entry>> List(const storage::Storage& storage, const std::string& folder);
  std::string PathOf(const std::string& folder, const Entry& entry) const;

  const storage::Storage* storage_;
  LakeLayout layout_;
  std::mutex mutex_;
  std::vector<Entry> entries_;
  std::vector<Entry> gold_entries_;  ///< `instant` is Gold's, `commit_micros` that of what it read.
  std::optional<LakeVersion> newest_;
  std::map<std::string, GoldVersion> gold_;  ///< Read so far, by instant.
};

}  // namespace tarn::catalog
