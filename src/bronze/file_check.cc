#include "bronze/file_check.h"

#include <arrow/api.h>
#include <zlib.h>

#include "base/lsn.h"
#include "parquet/parquet_reader.h"
#include "storage/arrow_status.h"

namespace tarn::bronze {
namespace {

constexpr int64_t kChunkBytes = 1 << 20;

std::string PositionText(const schema::ChangePosition& at) {
  return fmt::format("({}, {})", OrderingPosition(at.lsn).lsn.ToString(), at.ordinal);
}

class FileChecker {
 public:
  FileChecker(const storage::Storage& storage, const std::string& lake, const FileExpectation& expected,
              schema::ChangePosition& newest, const std::function<void(int64_t)>& on_bytes)
      : path_(lake + "/" + expected.file.path),
        storage_(storage),
        expected_(expected),
        newest_(newest),
        on_bytes_(on_bytes) {}

  std::vector<ChainFault> Run() && {
    Status outcome = CheckBytes();
    if (outcome && faults_.empty()) outcome = CheckContent();
    if (!outcome) {
      const bool missing = outcome.error().code == ErrorCode::kNotFound;
      Add(missing ? "is not there" : "cannot be read: " + outcome.error().message);
    }
    return std::move(faults_);
  }

 private:
  void Add(std::string what) {
    std::string fix = fmt::format(
        "restore the file that {} names from a backup; without one, `tarn resync {}` makes a newer copy, "
        "which "
        "needs no earlier file",
        expected_.named_by, expected_.table->QualifiedName());
    if (expected_.file.path.starts_with("bronze_archive/")) {
      fix = fmt::format(
                "while the small files of its day are there, remove {}: the day is archived again. Else ",
                expected_.named_by) +
            fix;
    }
    faults_.push_back({expected_.file.path, std::move(what), std::move(fix)});
  }

  Status CheckBytes() {
    TARN_ASSIGN(const auto input, storage_.Open(path_));
    const auto size = input->GetSize();
    TARN_RETURN_IF_ERROR(storage::FromArrow(size.status(), ErrorCode::kIo, "its size"));
    if (*size != expected_.file.size_bytes) {
      Add(fmt::format("has {} bytes, its manifest says {}", *size, expected_.file.size_bytes));
      return {};
    }
    TARN_ASSIGN(const uint32_t crc, ChecksumOf(*input, *size, on_bytes_));
    if (crc != expected_.file.crc32) {
      Add(
          fmt::format("has the CRC-32 {:08x}, its manifest says {:08x}: its bytes are not those that were "
                      "written",
                      crc, expected_.file.crc32));
    }
    return {};
  }

  Status CheckContent() {
    TARN_ASSIGN(auto input, storage_.Open(path_));
    TARN_ASSIGN(const auto reader, parquet::FileReader::Open(std::move(input), expected_.file.path));
    if (reader->rows() != expected_.file.rows)
      Add(fmt::format("has {} rows, its manifest says {}", reader->rows(), expected_.file.rows));
    const auto names = reader->schema()->field_names();
    const auto wanted = schema::ChangeSchema(*expected_.table)->field_names();
    if (names != wanted) {
      Add(fmt::format("has the columns {}, its manifest's schema has {}", fmt::join(names, ", "),
                      fmt::join(wanted, ", ")));
      return {};
    }
    const std::vector<std::string> positions = {std::string(schema::kLsn), std::string(schema::kOrdinal)};
    return reader->Scan(positions, 0, reader->rows(),
                        [&](const auto& rows, int64_t first) { return CheckRows(*rows, first); });
  }

  Status CheckRows(const arrow::RecordBatch& rows, int64_t first) {
    const auto lsn =
        std::dynamic_pointer_cast<arrow::Int64Array>(rows.GetColumnByName(std::string(schema::kLsn)));
    const auto ordinal =
        std::dynamic_pointer_cast<arrow::Int64Array>(rows.GetColumnByName(std::string(schema::kOrdinal)));
    if (lsn == nullptr || ordinal == nullptr)
      return MakeError(ErrorCode::kCorrupt, "_lsn or _ordinal is not BIGINT");
    for (int64_t row = 0; row < rows.num_rows(); row++)
      CheckRow({lsn->Value(row), ordinal->Value(row)}, first + row);
    return {};
  }

  void CheckRow(const schema::ChangePosition& at, int64_t row) {
    const FilePart part = PartAt(row);
    const bool inside = at.lsn > part.after && at.lsn <= part.last;
    if (!inside && !told_range_) {
      told_range_ = true;
      Add(fmt::format("row {} has the _lsn {} ({}), its manifest holds those beyond {} up to {}", row, at.lsn,
                      OrderingPosition(at.lsn).lsn.ToString(), OrderingPosition(part.after).lsn.ToString(),
                      OrderingPosition(part.last).lsn.ToString()));
    }
    if (at > newest_) {
      newest_ = at;
      return;
    }
    if (told_order_) return;
    told_order_ = true;
    Add(at == newest_ ? fmt::format("row {} has the (_lsn, _ordinal) {} once more: a change stands twice",
                                    row, PositionText(at))
                      : fmt::format("row {} has the (_lsn, _ordinal) {}, behind a row that has {}: changes "
                                    "are out of order",
                                    row, PositionText(at), PositionText(newest_)));
  }

  /// Rows come in order. Of rows beyond all parts the last one's range counts.
  FilePart PartAt(int64_t row) {
    if (expected_.parts.empty()) return {};
    while (part_ + 1 < expected_.parts.size() && row >= before_part_ + expected_.parts[part_].rows)
      before_part_ += expected_.parts[part_++].rows;
    return expected_.parts[part_];
  }

  std::string path_;
  const storage::Storage& storage_;
  const FileExpectation& expected_;
  schema::ChangePosition& newest_;
  const std::function<void(int64_t)>& on_bytes_;
  std::vector<ChainFault> faults_;
  bool told_range_ = false, told_order_ = false;
  size_t part_ = 0;
  int64_t before_part_ = 0;  ///< Rows of the parts before it.
};

}  // namespace

FilePart PartOf(const Manifest& manifest, std::optional<int64_t> epoch_before, int64_t rows) {
  const bool same_epoch = epoch_before == manifest.epoch;
  return {rows, OrderingValue(manifest.epoch, same_epoch ? manifest.after : Lsn{}),
          OrderingValue(manifest.position())};
}

Result<uint32_t> ChecksumOf(arrow::io::RandomAccessFile& input, int64_t size,
                            const std::function<void(int64_t)>& on_bytes) {
  uint32_t crc = 0;
  for (int64_t at = 0; at < size; at += kChunkBytes) {
    const auto chunk = input.ReadAt(at, std::min(kChunkBytes, size - at));
    TARN_RETURN_IF_ERROR(storage::FromArrow(chunk.status(), ErrorCode::kIo, "its bytes"));
    crc = static_cast<uint32_t>(crc32_z(crc, (*chunk)->data(), static_cast<size_t>((*chunk)->size())));
    on_bytes((*chunk)->size());
  }
  return crc;
}

std::vector<ChainFault> CheckFile(const storage::Storage& storage, const std::string& lake,
                                  const FileExpectation& expected, schema::ChangePosition& newest,
                                  const std::function<void(int64_t)>& on_bytes) {
  return FileChecker(storage, lake, expected, newest, on_bytes).Run();
}

}  // namespace tarn::bronze
