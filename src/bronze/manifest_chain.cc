#include <algorithm>

#include "bronze/archive_manifest.h"
#include "bronze/change_log.h"

namespace tarn::bronze {
namespace {

/// The first of `count` things in order whose position is beyond `after`, found by halving.
Result<size_t> FirstBeyond(size_t count, const SourcePosition& after,
                           const std::function<Result<SourcePosition>(size_t)>& position_of) {
  size_t low = 0, high = count;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    TARN_ASSIGN(const SourcePosition position, position_of(middle));
    if (position > after) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

}  // namespace

Status ChangeLog::ForEachManifest(const storage::Storage& storage, const std::string& lake,
                                  const SourcePosition& after,
                                  const std::function<Status(const Manifest&)>& take) {
  // The archived days first: what is archived between the two listings is still there in small files, which
  // stay for a day at least.
  TARN_ASSIGN(const auto archives, ListArchives(storage, lake));
  TARN_ASSIGN(const auto names, ListUnarchived(storage, lake, archives));
  const auto read = [&](size_t at) -> Result<Manifest> {
    TARN_ASSIGN(const std::string json, storage.Read(ManifestFolder(lake) + "/" + names[at]));
    return ManifestFromJson(json);
  };
  TARN_ASSIGN(size_t at, FirstBeyond(names.size(), after, [&](size_t middle) -> Result<SourcePosition> {
                TARN_ASSIGN(const Manifest manifest, read(middle));
                return manifest.position();
              }));
  // An archived day's manifest is large: none is read for what is beyond them all.
  if (at == 0 && !archives.empty()) {
    TARN_ASSIGN(size_t day, FirstBeyond(archives.size(), after, [&](size_t middle) -> Result<SourcePosition> {
                  TARN_ASSIGN(const ArchiveManifest archive, ReadArchive(storage, lake, archives[middle]));
                  return archive.position();
                }));
    for (; day < archives.size(); day++) {
      // Flushes before that day of which there is no archive.
      for (; at < names.size() && SequenceOf(names[at]) < archives[day].first; at++) {
        TARN_ASSIGN(const Manifest manifest, read(at));
        TARN_RETURN_IF_ERROR(take(manifest));
      }
      TARN_ASSIGN(const ArchiveManifest archive, ReadArchive(storage, lake, archives[day]));
      for (const Manifest& manifest : archive.manifests) {
        if (manifest.position() > after) TARN_RETURN_IF_ERROR(take(manifest));
      }
    }
  }
  for (; at < names.size(); at++) {
    TARN_ASSIGN(const Manifest manifest, read(at));
    TARN_RETURN_IF_ERROR(take(manifest));
  }
  return {};
}

}  // namespace tarn::bronze
