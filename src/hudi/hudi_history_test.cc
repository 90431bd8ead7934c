#include <arrow/api.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "hudi/file_name.h"
#include "hudi/table.h"
#include "hudi/test_folder.h"
#include "parquet/parquet_reader.h"
#include "storage/storage.h"

namespace tarn::hudi {
namespace {

struct Row {
  int64_t tenant = 0;
  std::string text;
  int64_t lsn = 0;
  bool operator==(const Row&) const = default;
};
using Rows = std::map<int64_t, Row>;

std::ostream& operator<<(std::ostream& out, const Row& row) {
  return out << "{tenant " << row.tenant << ", '" << row.text << "', " << row.lsn << "}";
}

std::shared_ptr<arrow::Schema> NarrowSchema() {
  return arrow::schema({arrow::field("tenant", arrow::int64()), arrow::field("id", arrow::int64(), false),
                        arrow::field("text", arrow::utf8()), arrow::field("_lsn", arrow::int64(), false)});
}

std::shared_ptr<arrow::Schema> WideSchema() {
  arrow::FieldVector fields = NarrowSchema()->fields();
  fields.push_back(arrow::field("price", arrow::decimal128(9, 2)));
  return arrow::schema(fields);
}

std::shared_ptr<arrow::RecordBatch> ToBatch(const Rows& rows) {
  arrow::Int64Builder tenant, id, lsn;
  arrow::StringBuilder text;
  for (const auto& [key, row] : rows) {
    EXPECT_TRUE(tenant.Append(row.tenant).ok() && id.Append(key).ok() && lsn.Append(row.lsn).ok());
    EXPECT_TRUE(text.Append(row.text).ok());
  }
  return arrow::RecordBatch::Make(NarrowSchema(), static_cast<int64_t>(rows.size()),
                                  {*tenant.Finish(), *id.Finish(), *text.Finish(), *lsn.Finish()});
}

std::shared_ptr<arrow::RecordBatch> ToIds(const std::vector<int64_t>& ids, int64_t lsn) {
  arrow::Int64Builder id, ordering;
  for (const int64_t one : ids) EXPECT_TRUE(id.Append(one).ok() && ordering.Append(lsn).ok());
  return arrow::RecordBatch::Make(
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("_lsn", arrow::int64())}),
      static_cast<int64_t>(ids.size()), {*id.Finish(), *ordering.Finish()});
}

void Collect(const arrow::RecordBatch& batch, const PositionBitmap* deleted, int64_t first, Rows* rows) {
  const auto& tenant = static_cast<const arrow::Int64Array&>(*batch.GetColumnByName("tenant"));
  const auto& id = static_cast<const arrow::Int64Array&>(*batch.GetColumnByName("id"));
  const auto& text = static_cast<const arrow::StringArray&>(*batch.GetColumnByName("text"));
  const auto& lsn = static_cast<const arrow::Int64Array&>(*batch.GetColumnByName("_lsn"));
  for (int64_t i = 0; i < batch.num_rows(); i++) {
    const auto at = static_cast<uint64_t>(first + i);
    if (deleted != nullptr && ((*deleted)[at / 64] >> (at % 64) & 1) != 0) continue;
    EXPECT_TRUE(rows->emplace(id.Value(i), Row{tenant.Value(i), text.GetString(i), lsn.Value(i)}).second)
        << "row " << id.Value(i) << " is there twice";
  }
}

/// The rows that a plan stands for.
Rows RowsOf(const storage::Storage& storage, const ScanPlan& plan) {
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
    Collect(*hot.rows, nullptr, 0, &rows);
  }
  return rows;
}

/// A table with what it must hold as of each instant.
class History {
 public:
  History(const std::string& folder, bool partitioned) : folder_(folder) {
    auto storage = storage::OpenLocalStorage(folder + "/staging");
    EXPECT_TRUE(storage);
    storage_ = std::move(*storage);
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
  Table& table() { return *table_; }
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
    table_.reset();
    auto table = Table::Open(storage_.get(), base(), side());
    ASSERT_TRUE(table) << table.error().message;
    table_ = std::move(*table);
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
  void Change(std::mt19937& random, int changes, int64_t ids) {
    const std::string instant = Next();
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
    auto result =
        table_->Upsert(instant, {ToBatch(upserts), ToIds(deletes, lsn())}, {{"lsn", std::to_string(lsn())}});
    ASSERT_TRUE(result) << result.error().message;
    Remember(instant);
  }
  void Remember(const std::string& instant) { history_[instant] = rows_; }
  void ForgetBefore(const std::string& instant) {
    history_.erase(history_.begin(), history_.lower_bound(instant));
  }
  const std::map<std::string, Rows>& history() const { return history_; }

  void CheckNewest() {
    auto plan = reader_->PlanSnapshot("");
    ASSERT_TRUE(plan) << plan.error().message;
    EXPECT_EQ(RowsOf(*storage_, **plan), rows_);
  }
  void CheckAll() {
    for (const auto& [instant, rows] : history_) {
      auto plan = reader_->PlanSnapshot(instant);
      ASSERT_TRUE(plan) << instant << ": " << plan.error().message;
      EXPECT_EQ(RowsOf(*storage_, **plan), rows) << "as of " << instant;
    }
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
  std::string folder_;
  std::unique_ptr<storage::Storage> storage_;
  std::unique_ptr<Table> table_;
  std::unique_ptr<TableReader> reader_;
  int64_t count_ = 0;
  Rows rows_;
  std::map<std::string, Rows> history_;
};

class HudiHistory : public testing::TestWithParam<bool> {};

TEST_P(HudiHistory, RandomHistoryAgreesWithAnOracleAtEveryInstant) {
  const uint32_t seed = std::random_device{}();
  RecordProperty("seed", static_cast<int>(seed));
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  const TestFolder folder;
  History history(folder.path(), GetParam());
  if (random() % 2 == 0) history.Load(300);
  for (int step = 0; step < 40; step++) {
    const auto dice = random() % 14;
    if (dice == 0) {
      history.Reopen(random() % 2 == 0);
    } else if (dice == 1 || dice == 2) {
      const std::string instant = history.Next();
      const auto compacted = history.table().Compact(instant, {}, {}, dice == 1);
      ASSERT_TRUE(compacted) << compacted.error().message;
      if (*compacted) history.Remember(instant);
    } else if (dice == 3) {
      const std::string instant = history.Next();
      ServiceOptions options;
      options.retain_micros = 8'000'000;
      const auto cleaned = history.table().Clean(instant, options);
      ASSERT_TRUE(cleaned) << cleaned.error().message;
      if (*cleaned > 0) {
        history.ForgetBefore(FormatInstant(*ParseInstant(instant) - options.retain_micros));
      }
    } else if (dice == 4) {
      ServiceOptions options;
      options.keep_active_instants = 4;
      const auto archived = history.table().Archive(history.Next(), options);
      ASSERT_TRUE(archived) << archived.error().message;
    } else if (dice == 5) {
      const std::string instant = history.Next();
      Rows fresh;
      const auto tenant = static_cast<int64_t>(random() % 6);
      std::erase_if(history.rows(),
                    [&](const auto& entry) { return !GetParam() || entry.second.tenant == tenant; });
      // Some of these live in other partitions: they move.
      for (int i = 0; i < 30; i++) {
        const auto id = static_cast<int64_t>(random() % 400);
        history.rows()[id] = fresh[id] = {tenant, "replaced", history.lsn()};
      }
      const std::string path = GetParam() ? "tenant=" + std::to_string(tenant) : "";
      const auto replaced = history.table().ReplacePartitions(instant, {path}, {ToBatch(fresh)}, {});
      ASSERT_TRUE(replaced) << replaced.error().message;
      history.Remember(instant);
    } else {
      history.Change(random, 40, 400);
    }
    if (HasFatalFailure()) return;
    history.CheckNewest();
  }
  history.CheckAll();
  history.CheckLookup(400);
  history.OpenReader();
  history.CheckAll();
}

TEST_P(HudiHistory, LostSidecarsAndIndexChangeNothing) {
  const TestFolder folder;
  History history(folder.path(), GetParam());
  std::mt19937 random(5);
  history.Load(200);
  for (int i = 0; i < 6; i++) history.Change(random, 40, 250);
  std::filesystem::remove_all(history.side() + "/positions");
  history.OpenReader();
  history.CheckNewest();
  history.CheckAll();
  ASSERT_TRUE(history.table().Close());
  std::filesystem::remove_all(history.side());
  history.Reopen(false);
  for (int i = 0; i < 3; i++) history.Change(random, 40, 250);
  history.CheckLookup(250);
  const std::string instant = history.Next();
  ASSERT_TRUE(history.table().Compact(instant, {}, {}, true));
  history.Remember(instant);
  history.CheckNewest();
  history.CheckAll();
  history.CheckLookup(250);
}

INSTANTIATE_TEST_SUITE_P(Layouts, HudiHistory, testing::Bool(),
                         [](const auto& layout) { return layout.param ? "Partitioned" : "Flat"; });

TEST(HudiTable, CreateRefusesWhatCannotWork) {
  const TestFolder folder;
  const History history(folder.path(), true);
  auto storage = storage::OpenLocalStorage(folder.path() + "/staging2");
  TableOptions options;
  options.name = "orders";
  options.schema = NarrowSchema();
  options.identity_fields = options.key_fields = {"id"};
  EXPECT_EQ(Table::Create(storage->get(), folder.path() + "/orders", options).error().code,
            ErrorCode::kAlreadyExists);
  options.partition_fields = {"tenant"};
  EXPECT_EQ(Table::Create(storage->get(), folder.path() + "/x", options).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(TableReader::Open(storage->get(), folder.path() + "/nothing", "").error().code,
            ErrorCode::kNotFound);
}

TEST(HudiTable, LeftoversOfACrashAreRolledBackOnOpen) {
  const TestFolder folder;
  History history(folder.path(), true);
  std::mt19937 random(3);
  history.Load(100);
  history.Change(random, 30, 150);
  const std::string newest = history.table().LastInstant();
  const Rows before = history.rows();
  const auto history_before = history.history();
  history.Change(random, 30, 150);
  // As if the process had stopped just before the last commit completed.
  const std::string failed = history.table().LastInstant();
  ASSERT_TRUE(history.storage().Remove(history.base() + "/.hoodie/" + failed + ".deltacommit"));
  history.rows() = before;
  history.OpenReader();
  history.CheckNewest();
  history.Reopen(false);
  EXPECT_EQ(history.table().LastInstant(), newest);
  EXPECT_FALSE(history.storage().Exists(history.base() + "/.hoodie/" + failed + ".deltacommit.requested"));
  const auto names = *history.storage().List(history.base() + "/.hoodie");
  EXPECT_TRUE(std::any_of(names.begin(), names.end(),
                          [](const auto& file) { return file.name.ends_with(".rollback"); }));
  const auto partitions = *history.storage().List(history.base());
  for (const auto& partition : partitions) {
    const auto files = *history.storage().List(history.base() + "/" + partition.name);
    for (const auto& file : files) EXPECT_EQ(file.name.find(failed), std::string::npos) << file.name;
  }
  history.CheckNewest();
  history.Next();
  history.Change(random, 30, 150);
  history.OpenReader();
  history.CheckNewest();
  const auto property = history.table().LastProperty("lsn");
  ASSERT_TRUE(property);
  EXPECT_EQ(*property, std::to_string(history.lsn()));
}

TEST(HudiTable, AnAbandonedLoadLeavesNothing) {
  const TestFolder folder;
  History history(folder.path(), true);
  Rows rows;
  for (int64_t id = 0; id < 50; id++) rows[id] = {id % 3, "lost", 1};
  {
    auto bulk = history.table().BeginBulkInsert(history.Next());
    ASSERT_TRUE(bulk);
    ASSERT_TRUE((*bulk)->Append(*ToBatch(rows)));
    EXPECT_EQ(history.table().Upsert(history.Next(), {}, {}).error().code, ErrorCode::kConflict);
  }
  history.Load(80);
  history.CheckNewest();
  history.CheckLookup(100);
}

TEST(HudiTable, NewColumnsAreNullInOlderRows) {
  const TestFolder folder;
  History history(folder.path(), true);
  std::mt19937 random(9);
  history.Load(100);
  history.Change(random, 30, 150);
  EXPECT_FALSE(history.table().EvolveSchema(arrow::schema({arrow::field("id", arrow::utf8())})));
  ASSERT_TRUE(history.table().EvolveSchema(WideSchema()));
  history.Change(random, 30, 150);
  history.CheckNewest();
  history.Reopen(true);
  EXPECT_TRUE(history.table().options().schema->Equals(*WideSchema()));
  history.CheckLookup(150);
  const std::string instant = history.Next();
  ASSERT_TRUE(history.table().Compact(instant, {}, {}, true));
  history.Remember(instant);
  history.CheckNewest();
  history.CheckAll();
}

TEST(HudiTable, AsOfBeforeTheFirstCommitIsNotFound) {
  const TestFolder folder;
  History history(folder.path(), true);
  history.Load(10);
  auto reader = TableReader::Open(&history.storage(), history.base(), history.side());
  ASSERT_TRUE(reader);
  EXPECT_EQ((*reader)->PlanSnapshot("20000101000000000").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace tarn::hudi
