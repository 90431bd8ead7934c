#include <arrow/api.h>

#include <algorithm>
#include <map>

#include "hudi/avro_schema.h"
#include "hudi/file_name.h"
#include "hudi/hudi_table.h"
#include "parquet/parquet_reader.h"

namespace tarn::hudi {
namespace {

/// Rows found so far and, for each identity asked for, which of them is its own.
struct Found {
  std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
  int64_t rows = 0;
  std::vector<int64_t> row_of;  ///< -1: not found.

  Status Add(const std::shared_ptr<arrow::RecordBatch>& part, const std::shared_ptr<arrow::Schema>& schema,
             const std::vector<size_t>& askers) {
    TARN_ASSIGN(auto projected, ProjectTo(part, schema));
    for (size_t i = 0; i < askers.size(); i++) row_of[askers[i]] = rows + static_cast<int64_t>(i);
    rows += projected->num_rows();
    parts.push_back(std::move(projected));
    return {};
  }
};

/// The rows in the order asked for, null where nothing was found.
Result<std::shared_ptr<arrow::RecordBatch>> Gather(const Found& found,
                                                   const std::shared_ptr<arrow::Schema>& schema) {
  std::shared_ptr<arrow::RecordBatch> all;
  if (found.parts.empty()) {
    auto empty = arrow::RecordBatch::MakeEmpty(schema);
    TARN_RETURN_IF_ERROR(FromArrow(empty.status(), "look rows up"));
    all = *empty;
  } else {
    auto whole = arrow::ConcatenateRecordBatches(found.parts);
    TARN_RETURN_IF_ERROR(FromArrow(whole.status(), "look rows up"));
    all = *whole;
  }
  // One row of nulls at the end stands for every identity that was not found.
  arrow::ArrayVector columns;
  for (const auto& column : all->columns()) {
    auto null = arrow::MakeArrayOfNull(column->type(), 1);
    TARN_RETURN_IF_ERROR(FromArrow(null.status(), "look rows up"));
    auto both = arrow::Concatenate({column, *null});
    TARN_RETURN_IF_ERROR(FromArrow(both.status(), "look rows up"));
    columns.push_back(*both);
  }
  const auto with_null = arrow::RecordBatch::Make(schema, all->num_rows() + 1, std::move(columns));
  std::vector<int64_t> rows;
  for (const int64_t row : found.row_of) rows.push_back(row < 0 ? all->num_rows() : row);
  return TakeRows(*with_null, rows);
}

}  // namespace

Result<Table::Lookup> HudiTable::LookupRows(const arrow::RecordBatch& identities) {
  if (!has_index_) {
    return MakeError(ErrorCode::kUnsupported,
                     "table '{}' has no key index: rows are looked up in merge-on-read tables",
                     options_.name);
  }
  if (sharing_) TARN_RETURN_IF_ERROR(Settle());
  TARN_ASSIGN(const IdentityKeys asked, keys_.FromIdentities(identities));
  const size_t width = options_.identity_fields.size();
  std::vector<RowPlace> places;
  index_.FindAll(asked.identities, &places);
  Lookup lookup;
  Found found;
  found.row_of.assign(places.size(), -1);
  std::map<uint32_t, std::vector<std::pair<int64_t, size_t>>> in_base;  // (position, asker) by group
  std::map<uint32_t, std::vector<size_t>> in_log;
  for (size_t i = 0; i < places.size(); i++) {
    // A bulk insert that has not finished indexes groups that are not there yet.
    lookup.found.push_back(places[i].group < groups_.size());
    if (places[i].group >= groups_.size()) continue;
    if (places[i].position == RowPlace::kInLog)
      in_log[places[i].group].push_back(i);
    else
      in_base[places[i].group].emplace_back(places[i].position, i);
  }
  for (auto& [ordinal, wanted] : in_base) {
    std::sort(wanted.begin(), wanted.end());
    std::vector<int64_t> positions;
    std::vector<size_t> askers;
    // An identity asked for twice is read once.
    std::vector<std::pair<size_t, size_t>> repeats;
    for (const auto& [position, asker] : wanted) {
      if (!positions.empty() && positions.back() == position) {
        repeats.emplace_back(asker, askers.back());
        continue;
      }
      positions.push_back(position);
      askers.push_back(asker);
    }
    const std::string path = JoinPath(FolderOf(groups_[ordinal].partition), groups_[ordinal].base.name);
    TARN_ASSIGN(auto file, storage_->Open(path));
    TARN_ASSIGN(const auto reader, parquet::FileReader::Open(std::move(file), path));
    TARN_ASSIGN(const auto rows, reader->ReadRows(options_.schema->field_names(), positions));
    TARN_RETURN_IF_ERROR(found.Add(rows, options_.schema, askers));
    for (const auto& [asker, like] : repeats) found.row_of[asker] = found.row_of[like];
  }
  if (!in_log.empty()) {
    TARN_ASSIGN(const Timeline timeline, ReadTimeline(*storage_, base_path_));
    for (const auto& [ordinal, askers] : in_log) {
      const WriterGroup& group = groups_[ordinal];
      const std::string& partition = partitions_[group.partition];
      LogMerge merge(options_.schema, rules_);
      // Without its base file the slice is merged without looking for replaced positions.
      Slice slice = SliceOf(group);
      slice.base = nullptr;
      Roaring unused;
      TARN_RETURN_IF_ERROR(
          MergeLogs(Context(&timeline), partition, group.file_id, slice, 0, "", 0, &merge, &unused));
      TARN_ASSIGN(const auto hot, merge.Rows());
      std::vector<int64_t> rows;
      for (const size_t asker : askers) {
        const std::string key = keys_.KeyIn(partition, &asked.pieces[asker * width]);
        const LogMerge::Entry* entry = merge.Find(HashText(key), 0);
        if (entry == nullptr || entry->row < 0) {
          return MakeError(ErrorCode::kInternal, "table '{}': the key index places '{}' in logs that lack it",
                           options_.name, key);
        }
        rows.push_back(entry->row);
      }
      TARN_ASSIGN(const auto taken, TakeRows(*hot, rows));
      TARN_RETURN_IF_ERROR(found.Add(taken, options_.schema, askers));
    }
  }
  TARN_ASSIGN(lookup.rows, Gather(found, options_.schema));
  return lookup;
}

}  // namespace tarn::hudi
