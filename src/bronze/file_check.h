#pragma once

#include <arrow/io/interfaces.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bronze/chain_fault.h"
#include "bronze/manifest.h"
#include "schema/table_schema.h"
#include "storage/storage.h"

namespace tarn::bronze {

/// Rows of a file that follow each other, and between which ordering values their _lsn lies.
struct FilePart {
  int64_t rows = 0;
  int64_t after = 0;  ///< Every row's _lsn is beyond it.
  int64_t last = 0;   ///< The greatest that one may have.
};

/// Where the changes of a manifest lie, of which `rows` stand in a file: behind its `after`; from the epoch's
/// beginning, when `epoch_before`, of the manifest before it, is another or nobody knows it.
FilePart PartOf(const Manifest& manifest, std::optional<int64_t> epoch_before, int64_t rows);

/// What a manifest says of one of its files.
struct FileExpectation {
  std::string named_by;  ///< The manifest, below the lake's folder.
  FileEntry file;        ///< As a whole.
  std::shared_ptr<const schema::TableSchema> table;
  std::vector<FilePart> parts;  ///< In the file's order; not empty unless the file is.
};

/// The CRC-32 of so many bytes from the beginning. `on_bytes` is told of bytes read.
Result<uint32_t> ChecksumOf(arrow::io::RandomAccessFile& input, int64_t size,
                            const std::function<void(int64_t)>& on_bytes);

/// Reads a file whole and holds it against its manifest: size and CRC-32, then number of rows and columns,
/// then that (_lsn, _ordinal) rises from row to row and stays in the manifest's range. `newest`: the table's
/// greatest position so far, moved on by this file's rows. A kind of fault is told once a file; bytes that
/// are not the manifest's are not looked into. Memory: one batch of rows. `on_bytes` is told of bytes read.
std::vector<ChainFault> CheckFile(const storage::Storage& storage, const std::string& lake,
                                  const FileExpectation& expected, schema::ChangePosition& newest,
                                  const std::function<void(int64_t)>& on_bytes);

}  // namespace tarn::bronze
