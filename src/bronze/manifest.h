#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/lsn.h"
#include "schema/table_schema.h"

namespace tarn::bronze {

/// A Parquet file of Bronze.
struct FileEntry {
  std::string path;  ///< Below the lake's folder: "bronze/public/orders/20261122-101500123.parquet".
  int64_t rows = 0;
  int64_t size_bytes = 0;
  uint32_t crc32 = 0;
  /// Where a part of the file is meant, as of an archive's, which has the rows of many flushes: `rows` of its
  /// `file_rows`, from `first_row` on. 0: all of it.
  int64_t first_row = 0, file_rows = 0;

  bool is_part() const { return file_rows != 0; }
};

/// A file of a table's changes; or, without a file, the position at which the table was truncated (rows at or
/// before it, in whatever file, are gone), or from which on only a newer copy tells what it holds.
struct ManifestEvent {
  std::shared_ptr<const schema::TableSchema> table;
  FileEntry file;
  std::optional<schema::ChangePosition> at = std::nullopt;  ///< Without a file.
  std::string copy_again = {};  ///< Why it must be copied again; empty: it was truncated.
};

/// What one flush made durable. The chain is complete when each manifest's `after` is the one before's
/// `last_commit`. Layout: docs/formats/bronze.md.
struct Manifest {
  int64_t sequence = 0;
  int64_t epoch = 0;
  Lsn after;  ///< Commit LSN before the first one in here.
  Lsn last_commit;
  Lsn end;  ///< What was confirmed to the source with it.
  int64_t last_commit_micros = 0;
  int64_t transactions = 0, rows = 0;
  std::string last_file_name;  ///< Greatest file name used so far, without ".parquet".
  std::vector<ManifestEvent> events;

  SourcePosition position() const { return {epoch, last_commit}; }
};

/// A file of a copy.
struct LoadFile : FileEntry {
  Lsn snapshot;  ///< Of its rows: the copy's, or an earlier one when it was cut off and went on.
  /// Rows that were written since an earlier snapshot, or seem to be: of their keys there may be rows in
  /// files of that snapshot, which count for nothing.
  bool again = false;
};

/// A finished copy of a table: its first, or one that took the place of what came before it. When it was cut
/// off and went on, its files are of several snapshots: a row of one stands for the copy's own snapshot
/// unless its key was changed in between, or is in a file of rows that were read again.
struct LoadManifest {
  std::shared_ptr<const schema::TableSchema> table;
  int64_t epoch = 0;
  Lsn snapshot;  ///< Exact position of the copy.
  int64_t snapshot_micros = 0;
  int64_t rows = 0;
  std::vector<LoadFile> files;
  /// It came to nothing: its number is taken, so that it cannot come late. The rest says nothing then.
  bool cut_off = false;

  SourcePosition position() const { return {epoch, snapshot}; }
  /// The oldest snapshot of its files.
  Lsn least_snapshot() const;
};

/// Where a lake keeps the manifests of its flushes ("<sequence>.json"), and those of its copies.
std::string ManifestFolder(const std::string& lake);
std::string LoadFolder(const std::string& lake);
/// "000000000007.json".
std::string ManifestName(int64_t sequence);
/// "orders.json", "orders.2.json": of the first copy, of the second.
std::string LoadManifestName(const std::string& table, int64_t copy);

std::string ToJson(const Manifest& manifest);
Result<Manifest> ManifestFromJson(const std::string& json);
std::string ToJson(const LoadManifest& manifest);
Result<LoadManifest> LoadManifestFromJson(const std::string& json);

}  // namespace tarn::bronze
