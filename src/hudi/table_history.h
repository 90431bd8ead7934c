#pragma once

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "base/test_seed.h"
#include "hudi/staged_changes.h"
#include "hudi/table.h"
#include "hudi/table_check.h"
#include "parquet/parquet_reader.h"
#include "storage/failing_storage.h"
#include "storage/storage.h"

namespace tarn::hudi {

/// For tests: a small table with what it must hold.
struct Row {
  int64_t tenant = 0;
  std::string text;
  int64_t lsn = 0;
  bool operator==(const Row&) const = default;
};
using Rows = std::map<int64_t, Row>;

inline std::ostream& operator<<(std::ostream& out, const Row& row) {
  return out << "{tenant " << row.tenant << ", '" << row.text << "', " << row.lsn << "}";
}

inline std::shared_ptr<arrow::Schema> NarrowSchema() {
  return arrow::schema({arrow::field("tenant", arrow::int64()), arrow::field("id", arrow::int64(), false),
                        arrow::field("text", arrow::utf8()), arrow::field("_lsn", arrow::int64(), false)});
}

inline std::shared_ptr<arrow::Schema> WideSchema() {
  arrow::FieldVector fields = NarrowSchema()->fields();
  fields.push_back(arrow::field("price", arrow::decimal128(9, 2)));
  return arrow::schema(fields);
}

inline std::shared_ptr<arrow::RecordBatch> ToBatch(const Rows& rows) {
  arrow::Int64Builder tenant, id, lsn;
  arrow::StringBuilder text;
  for (const auto& [key, row] : rows) {
    EXPECT_TRUE(tenant.Append(row.tenant).ok() && id.Append(key).ok() && lsn.Append(row.lsn).ok());
    EXPECT_TRUE(text.Append(row.text).ok());
  }
  return arrow::RecordBatch::Make(NarrowSchema(), static_cast<int64_t>(rows.size()),
                                  {*tenant.Finish(), *id.Finish(), *text.Finish(), *lsn.Finish()});
}

inline std::shared_ptr<arrow::RecordBatch> ToIds(const std::vector<int64_t>& ids, int64_t lsn) {
  arrow::Int64Builder id, ordering;
  for (const int64_t one : ids) EXPECT_TRUE(id.Append(one).ok() && ordering.Append(lsn).ok());
  return arrow::RecordBatch::Make(
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("_lsn", arrow::int64())}),
      static_cast<int64_t>(ids.size()), {*id.Finish(), *ordering.Finish()});
}

inline void Collect(const arrow::RecordBatch& batch, const PositionBitmap* deleted, int64_t first,
                    Rows* rows) {
  const auto& tenant = static_cast<const arrow::Int64Array&>(*batch.GetColumnByName("tenant"));
  const auto& id = static_cast<const arrow::Int64Array&>(*batch.GetColumnByName("id"));
  const auto& text = static_cast<const arrow::StringArray&>(*batch.GetColumnByName("text"));
  const auto& lsn = static_cast<const arrow::Int64Array&>(*batch.GetColumnByName("_lsn"));
  for (int64_t i = 0; i < batch.num_rows(); i++) {
    const auto at = static_cast<uint64_t>(first + i);
    if (IsDeleted(deleted, at)) continue;
    EXPECT_TRUE(rows->emplace(id.Value(i), Row{tenant.Value(i), text.GetString(i), lsn.Value(i)}).second)
        << "row " << id.Value(i) << " is there twice";
  }
}

/// The rows that a plan stands for.
inline Rows RowsOf(const storage::Storage& storage, const ScanPlan& plan) {
  Rows rows;
  for (const ScanFile& file : plan.files) {
    auto reader = parquet::FileReader::Open(*storage.Open(file.path), file.path);
    EXPECT_TRUE(reader);
    EXPECT_EQ((*reader)->rows(), file.rows);
    const Status status = (*reader)->Scan({"tenant", "id", "text", "_lsn"}, 0, file.rows,
                                          [&](const auto& batch, int64_t first) -> Status {
                                            Collect(*batch, file.deleted.get(), first, &rows);
                                            return {};
                                          });
    EXPECT_TRUE(status);
  }
  for (const HotRows& hot : plan.hot) {
    EXPECT_TRUE(hot.rows->schema()->Equals(*plan.schema));
    Collect(*hot.rows, hot.deleted.get(), 0, &rows);
  }
  return rows;
}

/// What became of each id, by StagedChanges or SpooledChanges alone.
template <typename Changes>
void CheckFind(Changes& changes, const Rows& committed, const Rows& now, int64_t count) {
  std::vector<int64_t> ids;
  for (int64_t id = 0; id < count; id++) ids.push_back(id);
  auto found = changes.Find(*ToIds(ids, 0));
  ASSERT_TRUE(found) << found.error().message;
  using State = StagedChanges::Newest::State;
  for (const int64_t id : ids) {
    const auto& newest = (*found)[static_cast<size_t>(id)];
    const auto row = now.find(id);
    if (newest.state == State::kLive) {
      ASSERT_NE(row, now.end()) << id;
      const auto& text = static_cast<const arrow::StringArray&>(*newest.batch->GetColumnByName("text"));
      EXPECT_EQ(text.GetString(newest.row), row->second.text) << id;
    } else if (newest.state == State::kDeleted) {
      EXPECT_EQ(row, now.end()) << id;
    } else {
      const auto before = committed.find(id);
      ASSERT_EQ(before == committed.end(), row == now.end()) << id;
      if (row != now.end()) {
        EXPECT_EQ(row->second, before->second) << id;
      }
    }
  }
}

/// A table with what it must hold as of each instant.
class History {
 public:
  History(const std::string& folder, bool partitioned) : folder_(folder) {
    auto storage = storage::OpenLocalStorage(folder + "/staging");
    EXPECT_TRUE(storage);
    storage_ = std::make_unique<storage::FailingStorage>(std::move(*storage));
    TableOptions options;
    options.name = "orders";
    options.database = "silver";
    options.identity_fields = {"id"};
    options.key_fields =
        partitioned ? std::vector<std::string>{"tenant", "id"} : std::vector<std::string>{"id"};
    if (partitioned) options.partition_fields = {"tenant"};
    options.schema = NarrowSchema();
    options.sidecar_folder = folder + "/side";
    options.target_file_bytes = 12'000;
    auto table = Table::Create(storage_.get(), base(), options);
    EXPECT_TRUE(table) << table.error().message;
    table_ = std::move(*table);
    OpenReader();
  }

  std::string base() const { return folder_ + "/orders"; }
  std::string side() const { return folder_ + "/side"; }
  storage::Storage& storage() { return *storage_; }
  /// The n-th write from now on fails; 0: none does.
  void FailWrite(int64_t nth) { storage_->FailWrite(nth); }
  storage::FailingStorage& failing() { return *storage_; }
  Table& table() { return *table_; }
  TableReader& reader() { return *reader_; }
  Rows& rows() { return rows_; }
  std::string Next() { return FormatInstant(1'790'000'000'000'000 + 1'000'000 * ++count_); }
  int64_t lsn() const { return count_; }

  void OpenReader() {
    auto reader = TableReader::Open(storage_.get(), base(), side());
    ASSERT_TRUE(reader) << reader.error().message;
    reader_ = std::move(*reader);
  }
  void Reopen(bool cleanly) {
    if (cleanly) {
      ASSERT_TRUE(table_->Close());
    }
    const Status opened = TryOpen();
    ASSERT_TRUE(opened) << opened.error().message;
  }
  /// As a new process would, which may fail.
  Status TryOpen() {
    table_.reset();
    TARN_ASSIGN(table_, Table::Open(storage_.get(), base(), side()));
    return {};
  }
  /// Everything as it is, files and what they must hold.
  struct Moment {
    int64_t count;
    Rows rows;
    std::map<std::string, Rows> history;
  };
  Moment Keep() {
    for (const char* part : {"orders", "side"}) CopyAnew(folder_ + "/" + part, folder_ + "/kept/" + part);
    return {count_, rows_, history_};
  }
  /// The reverse; the table is closed afterwards.
  void Rewind(const Moment& moment) {
    table_.reset();
    reader_.reset();
    for (const char* part : {"orders", "side"}) CopyAnew(folder_ + "/kept/" + part, folder_ + "/" + part);
    count_ = moment.count;
    rows_ = moment.rows;
    history_ = moment.history;
  }
  void Load(int64_t count) {
    const std::string instant = Next();
    for (int64_t id = 0; id < count; id++) rows_[id] = {id % 4, "first " + std::to_string(id), lsn()};
    auto bulk = table_->BeginBulkInsert(instant);
    ASSERT_TRUE(bulk);
    ASSERT_TRUE((*bulk)->Append(*ToBatch(rows_)));
    ASSERT_TRUE((*bulk)->Finish({{"lsn", std::to_string(lsn())}}));
    Remember(instant);
  }
  /// Changes what must be there, and how.
  ChangeSet Draw(std::mt19937& random, int changes, int64_t ids) {
    Rows upserts;
    std::vector<int64_t> deletes;
    std::map<int64_t, bool> used;
    for (int i = 0; i < changes; i++) {
      const auto id = static_cast<int64_t>(random() % static_cast<uint64_t>(ids));
      if (!used.emplace(id, true).second) continue;
      if (random() % 4 == 0) {
        deletes.push_back(id);
        rows_.erase(id);
        continue;
      }
      const auto at = rows_.find(id);
      const bool moves = at == rows_.end() || random() % 6 == 0;
      const Row row{moves ? static_cast<int64_t>(random() % 6) : at->second.tenant,
                    "row " + std::to_string(random() % 1000), lsn()};
      upserts[id] = rows_[id] = row;
    }
    return {ToBatch(upserts), ToIds(deletes, lsn())};
  }
  void Change(std::mt19937& random, int changes, int64_t ids) {
    const std::string instant = Next();
    Commit(instant, Draw(random, changes, ids));
  }
  void Commit(const std::string& instant, const ChangeSet& changes) {
    auto result = table_->Upsert(instant, changes, {{"lsn", std::to_string(lsn())}});
    ASSERT_TRUE(result) << result.error().message;
    Remember(instant);
  }
  void Remember(const std::string& instant) { history_[instant] = rows_; }
  bool is_open() const { return table_ != nullptr; }
  /// What must be there is what was then; instants go on.
  void Forget(const Moment& since) {
    rows_ = since.rows;
    history_ = since.history;
  }
  /// What must be there is what was at this instant, and nothing came after it.
  void ReturnTo(const std::string& instant) {
    rows_ = history_.at(instant);
    history_.erase(history_.upper_bound(instant), history_.end());
  }
  void ForgetBefore(const std::string& instant) {
    history_.erase(history_.begin(), history_.lower_bound(instant));
  }
  const std::map<std::string, Rows>& history() const { return history_; }

  void CheckNewest() {
    auto plan = reader_->PlanSnapshot("");
    ASSERT_TRUE(plan) << plan.error().message;
    EXPECT_EQ(RowsOf(*storage_, **plan), rows_);
  }
  /// What readers see with the staged changes over the newest commit.
  void CheckStaged(StagedChanges& staged) {
    auto plan = reader_->PlanSnapshot("");
    ASSERT_TRUE(plan) << plan.error().message;
    if (!overlaid_ || overlaid_->base() != *plan) overlaid_ = std::make_unique<OverlaidPlan>(*plan);
    auto overlay = staged.Snapshot();
    ASSERT_TRUE(overlay) << overlay.error().message;
    auto laid = overlaid_->Under(*overlay);
    ASSERT_TRUE(laid) << laid.error().message;
    EXPECT_EQ(RowsOf(*storage_, **laid), rows_);
  }
  void CheckAll() {
    for (const auto& [instant, rows] : history_) {
      auto plan = reader_->PlanSnapshot(instant);
      ASSERT_TRUE(plan) << instant << ": " << plan.error().message;
      EXPECT_EQ(RowsOf(*storage_, **plan), rows) << "as of " << instant;
    }
    CheckValid();
  }
  /// As any reader wants the table.
  void CheckValid() {
    const auto report = CheckTable(*storage_, base(), folder_ + "/scratch");
    ASSERT_TRUE(report) << report.error().message;
    for (const TableFault& fault : report->faults) ADD_FAILURE() << fault.where << ": " << fault.what;
    const Rows& committed = history_.empty() ? rows_ : history_.rbegin()->second;
    EXPECT_EQ(report->rows, static_cast<int64_t>(committed.size()));
  }
  void CheckLookup(int64_t ids) {
    std::vector<int64_t> wanted;
    for (int64_t id = ids - 1; id >= 0; id--) wanted.push_back(id);
    wanted.push_back(0);
    auto lookup = table_->LookupRows(*ToIds(wanted, 0));
    ASSERT_TRUE(lookup) << lookup.error().message;
    ASSERT_EQ(lookup->rows->num_rows(), static_cast<int64_t>(wanted.size()));
    const auto& text = static_cast<const arrow::StringArray&>(*lookup->rows->GetColumnByName("text"));
    for (size_t i = 0; i < wanted.size(); i++) {
      const auto at = rows_.find(wanted[i]);
      ASSERT_EQ(lookup->found[i], at != rows_.end()) << wanted[i];
      EXPECT_EQ(text.IsNull(static_cast<int64_t>(i)), at == rows_.end());
      if (at != rows_.end()) {
        EXPECT_EQ(text.GetString(static_cast<int64_t>(i)), at->second.text) << wanted[i];
      }
    }
  }

 private:
  static void CopyAnew(const std::string& from, const std::string& to) {
    std::filesystem::remove_all(to);
    std::filesystem::create_directories(to);
    std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
  }

  std::string folder_;
  std::unique_ptr<storage::FailingStorage> storage_;
  std::unique_ptr<Table> table_;
  std::unique_ptr<TableReader> reader_;
  std::unique_ptr<OverlaidPlan> overlaid_;
  int64_t count_ = 0;
  Rows rows_;
  std::map<std::string, Rows> history_;
};

}  // namespace tarn::hudi
