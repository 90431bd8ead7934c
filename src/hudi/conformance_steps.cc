#include <algorithm>

#include "hudi/conformance_history.h"

namespace tarn::hudi {

std::vector<Cell> ConformanceHistory::Drawn(int64_t number) {
  std::vector<Cell> cells = DrawRow(random_, *schema_, number, count_ + 1, case_.ancient);
  const auto known = rows_.find(number);
  // One change in five may move its row to another partition.
  if (known == rows_.end() || random_() % 5 == 0) return cells;
  for (const std::string& name : case_.partitions) {
    const auto at = static_cast<size_t>(schema_->GetFieldIndex(name));
    cells[at] = known->second.cells[at];
  }
  return cells;
}

std::vector<Cell> ConformanceHistory::IdentityOf(const std::vector<Cell>& cells) const {
  std::vector<Cell> identity;
  for (const std::string& name : case_.identities)
    identity.push_back(cells[static_cast<size_t>(schema_->GetFieldIndex(name))]);
  return identity;
}

Result<std::shared_ptr<arrow::RecordBatch>> ConformanceHistory::Rows(
    const std::vector<int64_t>& numbers) const {
  std::vector<const std::vector<Cell>*> rows;
  for (const int64_t number : numbers) rows.push_back(&rows_.at(number).cells);
  return BatchOf(schema_, rows);
}

Result<ChangeSet> ConformanceHistory::Draw(int upserts, int deletes) {
  const std::string instant = FormatInstant(1'790'000'000'000'000 + 1'000'000 * (count_ + 1));
  std::set<int64_t> upserted, deleted;
  for (int i = 0; i < upserts; i++)
    upserted.insert(static_cast<int64_t>(random_() % static_cast<uint64_t>(case_.numbers)));
  arrow::FieldVector fields;
  for (const std::string& name : case_.identities) fields.push_back(schema_->GetFieldByName(name));
  fields.push_back(schema_->GetFieldByName("_lsn"));
  std::vector<std::vector<Cell>> identities;
  for (int i = 0; i < deletes && !rows_.empty(); i++) {
    auto at = rows_.lower_bound(static_cast<int64_t>(random_() % static_cast<uint64_t>(case_.numbers)));
    if (at == rows_.end()) at = rows_.begin();
    if (upserted.contains(at->first)) continue;
    identities.push_back(IdentityOf(at->second.cells));
    identities.back().push_back(arrow::MakeScalar(count_ + 1));
    rows_.erase(at);
  }
  for (const int64_t number : upserted) rows_[number] = {Drawn(number), instant};
  ChangeSet changes;
  TARN_ASSIGN(changes.upserts, Rows({upserted.begin(), upserted.end()}));
  std::vector<const std::vector<Cell>*> gone;
  for (const auto& identity : identities) gone.push_back(&identity);
  TARN_ASSIGN(changes.deletes, BatchOf(arrow::schema(fields), gone));
  return changes;
}

Status ConformanceHistory::First() {
  if (case_.type == TableType::kMergeOnRead && random_() % 4 == 0) return Step("insert");
  const std::string instant = Next();
  std::vector<int64_t> numbers;
  for (int64_t number = 0; number < case_.numbers; number += 2) {
    rows_[number] = {DrawRow(random_, *schema_, number, count_, case_.ancient), instant};
    numbers.push_back(number);
  }
  TARN_ASSIGN(auto bulk, table_->BeginBulkInsert(instant));
  TARN_ASSIGN(const auto rows, Rows(numbers));
  TARN_RETURN_IF_ERROR(bulk->Append(*rows));
  TARN_RETURN_IF_ERROR(bulk->Finish(Properties()));
  Print("bulk_insert");
  return {};
}

Status ConformanceHistory::Upsert(int upserts, int deletes) {
  TARN_ASSIGN(const ChangeSet changes, Draw(upserts, deletes));
  TARN_RETURN_IF_ERROR(table_->Upsert(Next(), changes, Properties()));
  Print(upserts == 0 ? deletes == 0 ? "nothing" : "delete" : deletes == 0 ? "insert" : "upsert");
  return {};
}

Result<std::map<std::string, std::vector<int64_t>>> ConformanceHistory::ByPartition() const {
  std::vector<int64_t> numbers;
  for (const auto& [number, row] : rows_) numbers.push_back(number);
  TARN_ASSIGN(const auto rows, Rows(numbers));
  TARN_ASSIGN(const KeyFormat format, KeyFormat::Make(table_->options()));
  TARN_ASSIGN(const RowKeys keys, format.FromRows(*rows));
  std::map<std::string, std::vector<int64_t>> partitions;
  for (size_t i = 0; i < numbers.size(); i++)
    partitions[keys.paths[keys.partitions[i]]].push_back(numbers[i]);
  return partitions;
}

Status ConformanceHistory::ReplaceSome(const std::string& step) {
  TARN_ASSIGN(const auto partitions, ByPartition());
  std::set<std::string> chosen;
  for (const auto& [path, numbers] : partitions) {
    if (step == "replace_all" || step == "truncate" || random_() % 3 == 0) chosen.insert(path);
  }
  if (chosen.empty() && !partitions.empty()) chosen.insert(partitions.begin()->first);
  const std::string instant = Next();
  std::vector<int64_t> fresh;
  for (const std::string& path : chosen) {
    for (const int64_t number : partitions.at(path)) {
      // Some rows stay, with other content; the others go.
      if ((step != "replace" && step != "replace_all") || random_() % 3 == 0) {
        rows_.erase(number);
        continue;
      }
      const std::vector<Cell> kept = rows_.at(number).cells;
      std::vector<Cell> cells = DrawRow(random_, *schema_, number, count_, case_.ancient);
      for (const std::string& name : case_.partitions) {
        const auto at = static_cast<size_t>(schema_->GetFieldIndex(name));
        cells[at] = kept[at];
      }
      rows_[number] = {std::move(cells), instant};
      fresh.push_back(number);
    }
  }
  if (step == "truncate") {
    TARN_RETURN_IF_ERROR(table_->Truncate(instant, Properties()));
  } else {
    TARN_ASSIGN(const auto rows, Rows(fresh));
    TARN_RETURN_IF_ERROR(
        table_->ReplacePartitions(instant, {chosen.begin(), chosen.end()}, {rows}, Properties()));
  }
  Print(step);
  return {};
}

Status ConformanceHistory::Reload(const std::string& step) {
  const std::string instant = Next();
  const bool given_up = step == "reload" && random_() % 5 == 0;
  ExpectedRows rows;
  for (int64_t i = 0; i < case_.numbers / 2; i++) {
    const auto number = static_cast<int64_t>(random_() % static_cast<uint64_t>(case_.numbers));
    rows[number] = {DrawRow(random_, *schema_, number, count_, case_.ancient), instant};
  }
  TARN_ASSIGN(auto reload, table_->BeginReload(instant, schema_));
  std::vector<const std::vector<Cell>*> cells;
  for (const auto& [number, row] : rows) cells.push_back(&row.cells);
  TARN_ASSIGN(const auto batch, BatchOf(schema_, cells));
  TARN_RETURN_IF_ERROR(reload->Append(*batch));
  if (given_up) return {};
  TARN_RETURN_IF_ERROR(reload->Finish(Properties()));
  rows_ = std::move(rows);
  Print(step);
  return {};
}

Status ConformanceHistory::Spool(bool truncate) {
  TARN_ASSIGN(const auto spooled, table_->Spool());
  for (int piece = 0; piece < 4; piece++) {
    if (truncate && piece == 2) {
      TARN_RETURN_IF_ERROR(spooled->Truncate());
      rows_.clear();
    }
    TARN_ASSIGN(const ChangeSet changes, Draw(20 + 50 * piece, 10));
    TARN_RETURN_IF_ERROR(spooled->Add(changes));
  }
  TARN_RETURN_IF_ERROR(spooled->Commit(Next(), Properties()));
  Print(truncate ? "spool_truncate" : "spool");
  return {};
}

}  // namespace tarn::hudi
