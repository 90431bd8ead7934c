#include "hudi/spooled_commit.h"

#include <arrow/api.h>

#include <algorithm>
#include <limits>

#include "base/fault.h"
#include "hudi/avro_schema.h"
#include "hudi/file_name.h"
#include "hudi/upsert_plan.h"

namespace tarn::hudi {
namespace {

/// Shares of a full base file: changes and logs of one group that are worth a new base file, and new rows of
/// a partition that are worth one of their own.
constexpr int64_t kMergeShare = 4, kFreshShare = 5;
constexpr size_t kRowsAtATime = 65'536;
/// Logs wait in memory up to this much, and then in their staged files.
constexpr int64_t kMostWaitingLogBytes = 64 << 20;

const arrow::StringArray& KeysOf(const arrow::RecordBatch& gathered) {
  return static_cast<const arrow::StringArray&>(*gathered.column(gathered.num_columns() - 2));
}

std::shared_ptr<arrow::RecordBatch> TableColumns(const arrow::RecordBatch& gathered,
                                                 const std::shared_ptr<arrow::Schema>& schema) {
  const arrow::ArrayVector columns(gathered.columns().begin(), gathered.columns().end() - 2);
  return arrow::RecordBatch::Make(schema, gathered.num_rows(), columns);
}

}  // namespace

SpooledCommit::SpooledCommit(HudiTable* table, ChangeSpool* spool, const std::vector<std::string>& paths,
                             std::string instant)
    : table_(table), spool_(spool) {
  content_.instant = std::move(instant);
  content_.metadata.operation = "UPSERT";
  for (const std::string& path : paths) partitions_.push_back(table_->PartitionIndex(path));
  row_bytes_ = spool_->bytes() / std::max<int64_t>(spool_->rows(), 1);
  arrow::FieldVector fields = table_->options_.schema->fields();
  fields.push_back(arrow::field(kRecordKey, arrow::utf8()));
  fields.push_back(ChangeSpool::IdentityField());
  gathered_ = arrow::schema(std::move(fields));
}

Result<CommitResult> SpooledCommit::Run(const CommitProperties& properties) {
  TARN_RETURN_IF_ERROR(table_->Begin(content_.instant));
  TARN_RETURN_IF_ERROR(Sort());
  PlaceFresh();
  TARN_RETURN_IF_ERROR(table_->index_.Reserve(spool_->rows()));
  // From here on the index goes ahead of the commit: whatever fails, it is made again.
  table_->needs_recovery_ = true;
  for (auto& [partition, rows] : fresh_) TARN_RETURN_IF_ERROR(WriteFresh(partition, std::exchange(rows, {})));
  for (auto& [ordinal, work] : groups_) TARN_RETURN_IF_ERROR(WriteGroup(ordinal, work));
  TARN_RETURN_IF_ERROR(EraseRemoved());
  TARN_FAULT_POINT("hudi.spooled.before_commit");
  TARN_ASSIGN(CommitResult result, table_->Complete(content_, properties));
  table_->CatchUp();
  return result;
}

Status SpooledCommit::Sort() {
  std::vector<RowPlace> places;
  for (uint32_t piece = 0; piece < spool_->pieces(); piece++) {
    TARN_ASSIGN(const ChangeSpool::LiveRows live, spool_->Live(piece));
    table_->index_.FindAll(live.identities, &places);
    if (spool_->AreDeletes(piece)) {
      for (size_t i = 0; i < live.rows.size(); i++) {
        if (places[i].group == RowPlace::kNowhere) {
          if (table_->sharing_) content_.fresh.push_back(live.identities[i]);
          continue;
        }
        Work& work = groups_[places[i].group];
        work.removed.push_back({piece, live.rows[i]});
        if (places[i].position != RowPlace::kInLog) work.replaced.add(places[i].position);
      }
      continue;
    }
    const auto& paths = static_cast<const arrow::UInt32Array&>(*live.batch->GetColumnByName(kPath));
    for (size_t i = 0; i < live.rows.size(); i++) {
      if (table_->sharing_ && places[i].group == RowPlace::kNowhere)
        content_.fresh.push_back(live.identities[i]);
      SortRow({piece, live.rows[i]}, places[i], partitions_[paths.Value(live.rows[i])]);
    }
  }
  return {};
}

void SpooledCommit::SortRow(SpooledRow row, const RowPlace& place, uint32_t partition) {
  if (place.group == RowPlace::kNowhere) {
    fresh_[partition].push_back(row);
    return;
  }
  Work& work = groups_[place.group];
  if (place.position != RowPlace::kInLog) work.replaced.add(place.position);
  if (table_->groups_[place.group].partition == partition) {
    work.rows.push_back(row);
    work.updates++;
  } else {
    work.removed.push_back(row);
    fresh_[partition].push_back(row);
  }
}

void SpooledCommit::PlaceFresh() {
  for (auto it = fresh_.begin(); it != fresh_.end();) {
    HudiTable::UpsertPlan chosen;
    const uint32_t group = BytesOf(it->second.size()) >= table_->options_.target_file_bytes / kFreshShare
                               ? NewBase::kNewGroup
                               : table_->GroupForInserts(it->first, &chosen);
    if (group == NewBase::kNewGroup) {
      ++it;
      continue;
    }
    Work& work = groups_[group];
    work.inserts += static_cast<int64_t>(it->second.size());
    work.rows.insert(work.rows.end(), it->second.begin(), it->second.end());
    it = fresh_.erase(it);
  }
}

Result<size_t> SpooledCommit::AppendTo(BaseFileWriter* file, uint32_t ordinal,
                                       std::span<const SpooledRow> rows, int64_t most_bytes) {
  size_t done = 0;
  while (done < rows.size() && file->bytes() < most_bytes) {
    const auto some = rows.subspan(done, std::min(kRowsAtATime, rows.size() - done));
    TARN_ASSIGN(const auto gathered, spool_->Gather(some, gathered_));
    for (int64_t row = 0; row < gathered->num_rows(); row++) {
      table_->index_.Put(ChangeSpool::IdentityAt(*gathered, row),
                         {ordinal, static_cast<uint32_t>(file->rows() + row)});
    }
    TARN_RETURN_IF_ERROR(file->Append(*TableColumns(*gathered, table_->options_.schema), KeysOf(*gathered)));
    done += some.size();
  }
  return done;
}

Status SpooledCommit::WriteFresh(uint32_t partition, std::span<const SpooledRow> rows) {
  while (!rows.empty()) {
    TARN_ASSIGN(auto file,
                table_->OpenBase(table_->partitions_[partition], NewFileId(), content_.instant, NextFile()));
    const auto ordinal = static_cast<uint32_t>(table_->groups_.size()) + new_groups_++;
    TARN_ASSIGN(const size_t done, AppendTo(file.get(), ordinal, rows, table_->options_.target_file_bytes));
    TARN_RETURN_IF_ERROR(file->Close());
    content_.metadata.stats.push_back(table_->BaseStat(*file, ""));
    content_.bases.push_back({NewBase::kNewGroup, std::move(file)});
    rows = rows.subspan(done);
  }
  return {};
}

Status SpooledCommit::WriteGroup(uint32_t ordinal, Work& work) {
  const int64_t bytes = BytesOf(work.rows.size() + work.removed.size());
  const bool merge =
      bytes + table_->groups_[ordinal].log_bytes >= table_->options_.target_file_bytes / kMergeShare;
  TARN_RETURN_IF_ERROR(merge ? MergeGroup(ordinal, work) : WriteLog(ordinal, work));
  work = Work{};
  return {};
}

Status SpooledCommit::MergeGroup(uint32_t ordinal, const Work& work) {
  HudiTable::Rewrite rewrite;
  rewrite.gone = work.replaced;
  if (!table_->groups_[ordinal].logs.empty()) {
    const auto key_only = arrow::schema({arrow::field(kRecordKey, arrow::utf8())});
    for (size_t from = 0; from < work.rows.size(); from += kRowsAtATime) {
      const std::span rows(work.rows);
      TARN_ASSIGN(const auto keys,
                  spool_->Gather(rows.subspan(from, std::min(kRowsAtATime, rows.size() - from)), key_only));
      const auto& column = static_cast<const arrow::StringArray&>(*keys->column(0));
      for (int64_t row = 0; row < column.length(); row++)
        rewrite.gone_keys.push_back(HashText(column.GetView(row)));
    }
    TARN_ASSIGN(const auto removed, Removed(ordinal, work.removed));
    for (const DeleteRecord& record : removed) rewrite.gone_keys.push_back(HashText(record.key));
  }
  TARN_RETURN_IF_ERROR(table_->RewriteSlice(content_.instant, table_->WorkOf(ordinal), NextFile(), &rewrite,
                                            [&](const Hash128& identity, uint32_t position) {
                                              table_->index_.Put(identity, {ordinal, position});
                                            }));
  TARN_ASSIGN([[maybe_unused]] const size_t all,
              AppendTo(rewrite.file.get(), ordinal, work.rows, std::numeric_limits<int64_t>::max()));
  TARN_RETURN_IF_ERROR(rewrite.file->Close());
  WriteStat stat = table_->BaseStat(*rewrite.file, table_->groups_[ordinal].base.instant);
  stat.inserts = work.inserts;
  stat.updates = work.updates;
  stat.deletes = static_cast<int64_t>(work.removed.size());
  content_.metadata.stats.push_back(std::move(stat));
  content_.bases.push_back({ordinal, std::move(rewrite.file)});
  return {};
}

Status SpooledCommit::WriteLog(uint32_t ordinal, Work& work) {
  TARN_ASSIGN(const auto gathered, spool_->Gather(work.rows, gathered_));
  HudiTable::UpsertPlan plan;
  HudiTable::GroupChange& change = plan.changes[ordinal];
  for (int64_t row = 0; row < gathered->num_rows(); row++) {
    change.rows.push_back(row);
    table_->index_.Put(ChangeSpool::IdentityAt(*gathered, row), {ordinal, RowPlace::kInLog});
  }
  change.inserts = work.inserts;
  change.updates = work.updates;
  change.replaced = std::move(work.replaced);
  TARN_ASSIGN(change.deletes, Removed(ordinal, work.removed));
  plan.keys.keys = std::make_shared<arrow::StringArray>(KeysOf(*gathered).data());
  plan.first_seqno = logged_rows_;
  logged_rows_ += gathered->num_rows();
  const auto rows = TableColumns(*gathered, table_->options_.schema);
  TARN_RETURN_IF_ERROR(table_->WriteLogs(content_.instant, plan, rows.get(), &content_));
  return SpillLog(&content_.logs.back());
}

Status SpooledCommit::SpillLog(NewLog* log) {
  const auto bytes = static_cast<int64_t>(log->bytes.size());
  if (waiting_log_bytes_ + bytes <= kMostWaitingLogBytes) {
    waiting_log_bytes_ += bytes;
    return {};
  }
  TARN_ASSIGN(log->staged, table_->storage_->Stage(log->path));
  TARN_RETURN_IF_ERROR(FromArrow(log->staged->stream()->Write(log->bytes), "write " + log->path));
  log->bytes = std::string();
  return {};
}

Result<std::vector<DeleteRecord>> SpooledCommit::Removed(uint32_t ordinal, std::span<const SpooledRow> rows) {
  const std::string& path = table_->partitions_[table_->groups_[ordinal].partition];
  const size_t width = table_->options_.identity_fields.size();
  std::vector<DeleteRecord> records;
  TARN_RETURN_IF_ERROR(
      spool_->ForEachStretch(rows, [&](uint32_t piece, const auto& batch, const auto& selected) -> Status {
        TARN_ASSIGN(const auto taken, TakeRows(*batch, selected));
        const bool deletes = spool_->AreDeletes(piece);
        const std::string ordering = deletes ? taken->schema()->field(static_cast<int>(width))->name()
                                             : table_->options_.ordering_field;
        const std::vector<int64_t> orderings = OrderingsOf(*taken, OrderedBy(ordering));
        if (deletes) {
          TARN_ASSIGN(const IdentityKeys keys, table_->keys_.FromIdentities(*taken));
          for (size_t row = 0; row < orderings.size(); row++)
            records.push_back({table_->keys_.KeyIn(path, &keys.pieces[row * width]), path, orderings[row]});
          return {};
        }
        // Rows that live in another partition now; their key there has the identity's values, too.
        const auto& keys = static_cast<const arrow::StringArray&>(*taken->GetColumnByName(kRecordKey));
        for (size_t row = 0; row < orderings.size(); row++) {
          const auto pieces = table_->keys_.PiecesOf(keys.GetView(static_cast<int64_t>(row)));
          records.push_back({table_->keys_.KeyIn(path, pieces.data()), path, orderings[row]});
        }
        return {};
      }));
  return records;
}

Status SpooledCommit::EraseRemoved() {
  for (uint32_t piece = 0; piece < spool_->pieces(); piece++) {
    if (!spool_->AreDeletes(piece)) continue;
    TARN_ASSIGN(const ChangeSpool::LiveRows live, spool_->Live(piece));
    for (const Hash128& identity : live.identities) table_->index_.Erase(identity);
  }
  return {};
}

}  // namespace tarn::hudi
