#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "bronze/manifest.h"
#include "storage/storage.h"

namespace tarn::bronze {

/// A file of the archive: rows of one table in one shape.
struct ArchivedFile {
  std::shared_ptr<const schema::TableSchema> table;
  FileEntry file;  ///< "bronze_archive/public/orders/20261122-0001.parquet".
};

/// A closed day, written again in large files. Once it is there it says all that its flushes' manifests say;
/// they and their files may go. Layout: docs/formats/bronze.md.
struct ArchiveManifest {
  std::string day;  ///< "20261122": the date in the names of the day's change files.
  int64_t archived_micros = 0;
  std::vector<ArchivedFile> files;
  /// Those of the day's flushes, without a gap and in order; not empty. Their events name parts of `files`.
  std::vector<Manifest> manifests;

  int64_t first() const { return manifests.front().sequence; }
  int64_t last() const { return manifests.back().sequence; }
  SourcePosition position() const { return manifests.back().position(); }
  int64_t rows() const;
};

/// What the name of an archive's manifest tells: the flushes that it holds.
struct ArchiveRange {
  int64_t first = 0, last = 0;

  bool Holds(int64_t sequence) const { return sequence >= first && sequence <= last; }
};

/// Where a lake keeps the manifests of its archived days: "000000000001-000000000812.json".
std::string ArchiveFolder(const std::string& lake);
std::string ArchiveName(const ArchiveRange& range);
/// Where the archive has a table's files, below the lake: "bronze_archive/<schema>/<table>".
std::string ArchiveTableFolder(const schema::TableSchema& table);

std::string ToJson(const ArchiveManifest& archive);
Result<ArchiveManifest> ArchiveManifestFromJson(const std::string& json);

/// The archived days, oldest first. Files of other names are passed over.
Result<std::vector<ArchiveRange>> ListArchives(const storage::Storage& storage, const std::string& lake);
Result<ArchiveManifest> ReadArchive(const storage::Storage& storage, const std::string& lake,
                                    const ArchiveRange& range);

/// The manifests of flushes that no archive holds, in order, by name of file.
Result<std::vector<std::string>> ListUnarchived(const storage::Storage& storage, const std::string& lake,
                                                const std::vector<ArchiveRange>& archives);
/// "000000000007.json" is 7; -1 for another name.
int64_t SequenceOf(const std::string& manifest_name);

}  // namespace tarn::bronze
