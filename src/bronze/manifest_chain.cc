#include <optional>

#include "bronze/archive_manifest.h"
#include "bronze/change_log.h"

namespace tarn::bronze {
namespace {

/// An archived day, or a flush that no archive holds.
struct Link {
  std::optional<ArchiveRange> archive;
  std::string name;  ///< Of the flush's manifest.
};

class Chain {
 public:
  Chain(const storage::Storage& storage, const std::string& lake) : storage_(storage), lake_(lake) {}

  Status List() {
    // The archived days first: what is archived between the two listings is still there in small files, which
    // stay for a day at least.
    TARN_ASSIGN(const auto archives, ListArchives(storage_, lake_));
    TARN_ASSIGN(const auto names, ListUnarchived(storage_, lake_, archives));
    auto name = names.begin();
    for (const ArchiveRange& archive : archives) {
      // Flushes before that day of which the archive is gone.
      for (; name != names.end() && SequenceOf(*name) < archive.first; ++name)
        links_.push_back({std::nullopt, *name});
      links_.push_back({archive, ""});
      behind_archive_ = links_.size();
    }
    for (; name != names.end(); ++name) links_.push_back({std::nullopt, *name});
    return {};
  }

  Status Walk(const SourcePosition& after, const std::function<Status(const Manifest&)>& take) const {
    // An archived day's manifest is large: none is read for what is beyond them all.
    size_t at = 0;
    if (after != SourcePosition{}) {
      TARN_ASSIGN(at, FirstBeyond(behind_archive_, links_.size(), after));
      if (at == behind_archive_) {
        TARN_ASSIGN(at, FirstBeyond(0, behind_archive_, after));
      }
    }
    const size_t begin = at;
    for (; at < links_.size(); at++) {
      TARN_ASSIGN(const auto manifests, Read(links_[at]));
      if (at == begin) TARN_RETURN_IF_ERROR(CheckBefore(at, manifests.front(), after));
      for (const Manifest& manifest : manifests) {
        if (manifest.position() > after) TARN_RETURN_IF_ERROR(take(manifest));
      }
    }
    return {};
  }

 private:
  /// That nothing beyond `after` is missing before the first link that has something beyond it.
  Status CheckBefore(size_t at, const Manifest& first, const SourcePosition& after) const {
    if (after == SourcePosition{} || first.position() <= after) return {};
    const int64_t before = at == 0 ? 0 : NewestSequence(links_[at - 1]);
    const bool follows_on = first.epoch == after.epoch && first.after <= after.lsn;
    if (first.sequence == before + 1 || follows_on) return {};
    return ManifestsMissing(before + 1, first.sequence - 1);
  }

  static int64_t NewestSequence(const Link& link) {
    return link.archive ? link.archive->last : SequenceOf(link.name);
  }

  Result<std::vector<Manifest>> Read(const Link& link) const {
    if (link.archive) {
      TARN_ASSIGN(ArchiveManifest archive, ReadArchive(storage_, lake_, *link.archive));
      return std::move(archive.manifests);
    }
    TARN_ASSIGN(const std::string json, storage_.Read(ManifestFolder(lake_) + "/" + link.name));
    TARN_ASSIGN(Manifest manifest, ManifestFromJson(json));
    return std::vector<Manifest>{std::move(manifest)};
  }

  /// The first of [low, high) whose newest position is beyond `after`, found by halving: they rise.
  Result<size_t> FirstBeyond(size_t low, size_t high, const SourcePosition& after) const {
    while (low < high) {
      const size_t middle = (low + high) / 2;
      TARN_ASSIGN(const auto manifests, Read(links_[middle]));
      if (manifests.back().position() > after) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  const storage::Storage& storage_;
  const std::string& lake_;
  std::vector<Link> links_;
  size_t behind_archive_ = 0;  ///< From here on links are flushes.
};

}  // namespace

Error ManifestsMissing(int64_t first, int64_t last) {
  return MakeError(
      ErrorCode::kCorrupt,
      "the manifests {} to {} of Bronze are not there, and with them changes: restore them from a "
      "backup; without one, `tarn resync` of every table makes newer copies, which need no "
      "earlier manifest. `tarn bronze verify` tells more",
      first, last);
}

Status ChangeLog::ForEachManifest(const storage::Storage& storage, const std::string& lake,
                                  const SourcePosition& after,
                                  const std::function<Status(const Manifest&)>& take) {
  Chain chain(storage, lake);
  TARN_RETURN_IF_ERROR(chain.List());
  return chain.Walk(after, take);
}

}  // namespace tarn::bronze
