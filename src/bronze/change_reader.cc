#include "bronze/change_reader.h"

#include <arrow/api.h>

#include <algorithm>
#include <set>
#include <utility>

#include "bronze/schema_pool.h"

namespace tarn::bronze {
namespace {

constexpr size_t kMostWays = 48;  ///< At a time; further tables are opened anew each time.

/// The positions of a batch of changes.
class Positions {
 public:
  static Result<Positions> Of(const arrow::RecordBatch& rows, const std::string& path) {
    const auto column = [&](std::string_view name) {
      return std::dynamic_pointer_cast<arrow::Int64Array>(rows.GetColumnByName(std::string(name)));
    };
    Positions positions;
    positions.lsn_ = column(schema::kLsn);
    positions.ordinal_ = column(schema::kOrdinal);
    if (positions.lsn_ == nullptr || positions.ordinal_ == nullptr)
      return MakeError(ErrorCode::kCorrupt, "'{}' has no _lsn or _ordinal of type BIGINT", path);
    return positions;
  }
  schema::ChangePosition At(int64_t row) const { return {lsn_->Value(row), ordinal_->Value(row)}; }
  /// The first row, from `begin` on, that is beyond a position; positions rise from row to row.
  int64_t FirstBeyond(const schema::ChangePosition& position, int64_t begin) const {
    int64_t low = begin, high = lsn_->length();
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (At(middle) > position) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

 private:
  std::shared_ptr<arrow::Int64Array> lsn_, ordinal_;
};

/// The events of one table, manifest by manifest.
class TableWalk {
 public:
  using Take = std::function<Status(const TableRows&)>;
  TableWalk(const storage::Storage& storage, const std::string& lake, std::string table,
            const SourcePosition& from, const SourcePosition& to, const Take& take)
      : reader_(storage, lake),
        table_(std::move(table)),
        from_{OrderingValue(from), INT64_MAX},
        to_{OrderingValue(to), INT64_MAX},
        take_(take) {}

  Status Walk(const Manifest& manifest) {
    // A file has the rows of before a truncation and of behind it.
    std::vector<const ManifestEvent*> marks;
    for (const ManifestEvent& event : manifest.events) {
      if (event.at && event.table->lake_name == table_ && *event.at > from_ && *event.at <= to_)
        marks.push_back(&event);
    }
    std::sort(marks.begin(), marks.end(), [](const auto* a, const auto* b) { return *a->at < *b->at; });
    auto mark = marks.begin();
    for (const ManifestEvent& event : manifest.events) {
      if (event.at || event.table->lake_name != table_) continue;
      const auto table = pool_.Same(event.table);
      TARN_RETURN_IF_ERROR(reader_.Read(event.file, [&](const auto& rows) -> Status {
        TARN_ASSIGN(const Positions positions, Positions::Of(*rows, event.file.path));
        int64_t begin = positions.FirstBeyond(from_, 0);
        const int64_t end = positions.FirstBeyond(to_, begin);
        for (; mark != marks.end() && begin < end; ++mark) {
          const int64_t cut = std::min(positions.FirstBeyond(*(*mark)->at, begin), end);
          if (cut > begin) TARN_RETURN_IF_ERROR(take_({table, rows->Slice(begin, cut - begin)}));
          begin = cut;
          if (begin == end) break;  // What comes next may still be before the mark.
          TARN_RETURN_IF_ERROR(TakeMark(**mark));
        }
        return begin < end ? take_({table, rows->Slice(begin, end - begin)}) : Status{};
      }));
    }
    for (; mark != marks.end(); ++mark) TARN_RETURN_IF_ERROR(TakeMark(**mark));
    return {};
  }

 private:
  Status TakeMark(const ManifestEvent& mark) {
    return take_({pool_.Same(mark.table), nullptr, *mark.at, mark.copy_again});
  }

  ChangeReader reader_;
  SchemaPool pool_;
  const std::string table_;
  const schema::ChangePosition from_, to_;
  const Take& take_;
};

/// The manifests that may have changes beyond `from` and up to `to`.
Status ForEachBetween(const storage::Storage& storage, const std::string& lake, const SourcePosition& from,
                      const SourcePosition& to, const std::function<Status(const Manifest&)>& take) {
  bool enough = false;
  UnbrokenChain chain;
  const Status outcome =
      ChangeLog::ForEachManifest(storage, lake, from, [&](const Manifest& manifest) -> Status {
        TARN_RETURN_IF_ERROR(chain.Follow(manifest));
        TARN_RETURN_IF_ERROR(take(manifest));
        enough = manifest.position() >= to;
        return enough ? Status(Error{ErrorCode::kCancelled, "the rest is not asked for"}) : Status{};
      });
  return enough ? Status{} : outcome;
}

}  // namespace

Status UnbrokenChain::Follow(const Manifest& manifest) {
  const int64_t before = std::exchange(sequence_, manifest.sequence);
  if (before == 0 || manifest.sequence == before + 1) return {};
  return ManifestsMissing(before + 1, manifest.sequence - 1);
}

Result<ChangeReader::Way*> ChangeReader::Find(const FileEntry& file) {
  const auto found = ways_.find(file.path);
  if (found != ways_.end() && found->second.at == file.first_row) return &found->second;
  if (found == ways_.end() && ways_.size() >= kMostWays) return nullptr;
  TARN_ASSIGN(auto input, storage_.Open(lake_ + "/" + file.path));
  TARN_ASSIGN(auto reader, OpenChangeFile(std::move(input), file));
  Way& way = ways_[file.path];
  way = {parquet::FileReader::Stream(std::move(reader), file.first_row), nullptr, file.first_row};
  return &way;
}

Status ChangeReader::Read(const FileEntry& file,
                          const std::function<Status(std::shared_ptr<arrow::RecordBatch>)>& take) {
  if (!file.is_part()) return ReadChangeFile(storage_, lake_, file, take);
  TARN_ASSIGN(Way * way, Find(file));
  if (way == nullptr) return ReadChangeFile(storage_, lake_, file, take);
  const int64_t end = file.first_row + file.rows;
  while (way->at < end) {
    if (way->rest == nullptr) {
      TARN_ASSIGN(way->rest, way->rows->Next());
      if (way->rest == nullptr)
        return MakeError(ErrorCode::kCorrupt, "'{}' ends at row {} of {}", file.path, way->at,
                         file.file_rows);
    }
    const int64_t wanted = std::min(end - way->at, way->rest->num_rows());
    const auto rows = way->rest->Slice(0, wanted);
    way->rest = wanted == way->rest->num_rows() ? nullptr : way->rest->Slice(wanted);
    way->at += wanted;
    TARN_RETURN_IF_ERROR(take(rows));
  }
  if (end == file.file_rows) ways_.erase(file.path);
  return {};
}

Status ReadChanges(const storage::Storage& storage, const BronzePlace& place, const std::string& table,
                   const SourcePosition& from, const SourcePosition& to,
                   const std::function<Status(const TableRows&)>& take) {
  TableWalk walk(storage, place.root, table, from, to, take);
  return ForEachBetween(storage, place.root, from, to,
                        [&](const Manifest& manifest) { return walk.Walk(manifest); });
}

Result<std::string> FindCopyMark(const storage::Storage& storage, const BronzePlace& place,
                                 const std::string& table, const SourcePosition& from,
                                 const SourcePosition& to) {
  std::string reason;
  const int64_t after = OrderingValue(from), last = OrderingValue(to);
  TARN_RETURN_IF_ERROR(ForEachBetween(storage, place.root, from, to, [&](const Manifest& manifest) -> Status {
    for (const ManifestEvent& event : manifest.events) {
      const bool is_mark = event.at && !event.copy_again.empty() && event.table->lake_name == table;
      if (is_mark && event.at->lsn > after && event.at->lsn <= last) reason = event.copy_again;
    }
    return {};
  }));
  return reason;
}

Status ReadShapes(const storage::Storage& storage, const BronzePlace& place, const std::string& table,
                  const SourcePosition& from, const SourcePosition& to,
                  const std::function<void(const std::shared_ptr<const schema::TableSchema>&)>& take) {
  SchemaPool pool;
  std::set<const schema::TableSchema*> told;
  return ForEachBetween(storage, place.root, from, to, [&](const Manifest& manifest) -> Status {
    for (const ManifestEvent& event : manifest.events) {
      if (event.table->lake_name != table) continue;
      const auto shape = pool.Same(event.table);
      if (told.insert(shape.get()).second) take(shape);
    }
    return {};
  });
}

}  // namespace tarn::bronze
