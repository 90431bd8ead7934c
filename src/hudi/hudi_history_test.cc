#include <arrow/api.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <random>

#include "hudi/file_name.h"
#include "hudi/table_history.h"
#include "hudi/test_folder.h"
#include "parquet/parquet_reader.h"
#include "storage/forwarding_storage.h"

namespace tarn::hudi {
namespace {

class HudiHistory : public testing::TestWithParam<bool> {};

TEST_P(HudiHistory, RandomHistoryAgreesWithAnOracleAtEveryInstant) {
  const uint32_t seed = TestSeed();
  RecordProperty("seed", static_cast<int>(seed));
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  const TestFolder folder;
  History history(folder.path(), GetParam());
  if (random() % 2 == 0) history.Load(300);
  for (int step = 0; step < 40; step++) {
    const auto dice = random() % 15;
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
    } else if (dice == 6) {
      const std::string instant = history.Next();
      auto reload = history.table().BeginReload(instant, NarrowSchema());
      ASSERT_TRUE(reload) << reload.error().message;
      Rows fresh;
      for (int i = 0; i < static_cast<int>(random() % 300); i++) {
        fresh[static_cast<int64_t>(random() % 400)] = {static_cast<int64_t>(random() % 6), "reloaded",
                                                       history.lsn()};
      }
      ASSERT_TRUE((*reload)->Append(*ToBatch(fresh)));
      if (random() % 4 == 0) continue;  // It is given up: nothing changes.
      const auto done = (*reload)->Finish({});
      ASSERT_TRUE(done) << done.error().message;
      history.rows() = fresh;
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

TEST_P(HudiHistory, AReloadMayRetypeAndThePastKeepsItsSchema) {
  const TestFolder folder;
  History history(folder.path(), GetParam());
  std::mt19937 random(7);
  history.Load(100);
  ASSERT_TRUE(history.table().EvolveSchema(WideSchema()));
  for (int i = 0; i < 3; i++) history.Change(random, 40, 250);
  const std::string before = history.history().rbegin()->first;
  arrow::FieldVector fields = WideSchema()->fields();
  fields.back() = arrow::field("price", arrow::utf8());
  const std::string instant = history.Next();
  {
    auto refused = history.table().BeginReload(instant, NarrowSchema());
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("lacks the column 'price'"), std::string::npos);
  }
  auto reload = history.table().BeginReload(instant, arrow::schema(fields));
  ASSERT_TRUE(reload) << reload.error().message;
  arrow::ArrayVector columns = ToBatch(history.rows())->columns();
  columns.push_back(*arrow::MakeArrayFromScalar(*arrow::MakeScalar("dear"), columns[0]->length()));
  ASSERT_TRUE(
      (*reload)->Append(*arrow::RecordBatch::Make(arrow::schema(fields), columns[0]->length(), columns)));
  ASSERT_TRUE((*reload)->Finish({}));
  reload->reset();
  history.Remember(instant);
  history.Change(random, 40, 250);
  history.CheckNewest();
  history.CheckAll();
  history.CheckLookup(250);
  EXPECT_EQ((*history.reader().PlanSnapshot(""))->schema->GetFieldByName("price")->type()->id(),
            arrow::Type::STRING);
  EXPECT_EQ((*history.reader().PlanSnapshot(before))->schema->GetFieldByName("price")->type()->id(),
            arrow::Type::DECIMAL128);
  history.Reopen(false);
  history.CheckLookup(250);
  ASSERT_TRUE(history.table().Compact(history.Next(), {}, {}, true));
  history.OpenReader();
  history.CheckNewest();
  history.CheckAll();
}

INSTANTIATE_TEST_SUITE_P(Layouts, HudiHistory, testing::Bool(),
                         [](const auto& layout) { return layout.param ? "Partitioned" : "Flat"; });

/// Before a file is read, `before_read` may change the table, or be the outcome.
class InterruptedStorage : public storage::ForwardingStorage {
 public:
  InterruptedStorage(storage::Storage* real, std::function<Status(const std::string& path)> before_read)
      : ForwardingStorage(real), before_read_(std::move(before_read)) {}

  Result<std::string> Read(const std::string& path) const override {
    TARN_RETURN_IF_ERROR(before_read_(path));
    return real()->Read(path);
  }
  Result<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const std::string& path) const override {
    TARN_RETURN_IF_ERROR(before_read_(path));
    return real()->Open(path);
  }
  Result<std::vector<storage::FileInfo>> List(const std::string& folder) const override {
    TARN_RETURN_IF_ERROR(before_read_(folder));
    return real()->List(folder);
  }
  Status Write(const std::string&, std::string_view) override { return ReadOnly(); }
  Status PutIfAbsent(const std::string&, std::string_view) override { return ReadOnly(); }
  Result<std::unique_ptr<storage::StagedFile>> Stage(const std::string&) override {
    return ReadOnly().error();
  }
  Status Move(const std::string&, const std::string&) override { return ReadOnly(); }
  Status CreateFolder(const std::string&) override { return ReadOnly(); }
  Status Remove(const std::string&) override { return ReadOnly(); }
  Status RemoveTree(const std::string&) override { return ReadOnly(); }
  Status DiscardUnpublished(const std::string&) override { return ReadOnly(); }

 private:
  static Status ReadOnly() { return Error{ErrorCode::kPermission, "a reader writes"}; }

  std::function<Status(const std::string&)> before_read_;
};

TEST_P(HudiHistory, WhatServicesRemoveBetweenListingAndReadingIsNotMissed) {
  const TestFolder folder;
  History history(folder.path(), GetParam());
  std::mt19937 random(3);
  history.Load(100);
  for (int i = 0; i < 12; i++) history.Change(random, 20, 150);
  const std::string compaction = history.Next();
  ASSERT_TRUE(history.table().Compact(compaction, {}, {}, true));
  history.Remember(compaction);
  for (int i = 0; i < 6; i++) history.Change(random, 20, 150);
  ServiceOptions options;
  options.keep_active_instants = 4;
  options.retain_micros = 1'000'000;
  bool cleaned = false, archived = false;
  InterruptedStorage storage(&history.storage(), [&](const std::string& path) -> Status {
    if (!cleaned && path.ends_with(".commit")) {
      const auto files = history.table().Clean(history.Next(), options);
      cleaned = files && *files > 0;
    }
    if (cleaned && !archived && path.ends_with(".deltacommit")) {
      const auto instants = history.table().Archive(history.Next(), options);
      archived = instants && *instants > 0;
    }
    return {};
  });
  auto reader = TableReader::Open(&storage, history.base(), "");
  ASSERT_TRUE(reader);
  const auto plan = (*reader)->PlanSnapshot("");
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_TRUE(cleaned && archived);
  EXPECT_EQ(RowsOf(history.storage(), **plan), history.rows());
}

/// Of a slice that is half gone when it is listed, no error tells: rows of the past would be those of before.
TEST_P(HudiHistory, ACleanWhileFilesAreListedGivesNoOtherPast) {
  const TestFolder folder;
  History history(folder.path(), GetParam());
  std::mt19937 random(3);
  history.Load(100);
  history.Change(random, 40, 150);
  const std::string past = history.history().rbegin()->first;
  ASSERT_TRUE(history.table().Compact(history.Next(), {}, {}, true));
  history.Change(random, 20, 150);
  ServiceOptions options;
  options.retain_micros = 0;
  int64_t cleaned = 0;
  // The clean ends behind the first of its files, a log.
  InterruptedStorage storage(&history.storage(), [&](const std::string& path) -> Status {
    if (cleaned > 0 || path.find(".hoodie") != std::string::npos) return {};
    history.failing().CountRemovals();
    history.failing().FailWrite(4);
    cleaned += history.table().Clean(history.Next(), options) ? 0 : 1;
    history.failing().FailWrite(0);
    return {};
  });
  auto reader = TableReader::Open(&storage, history.base(), "");
  ASSERT_TRUE(reader);
  const auto plan = (*reader)->PlanSnapshot(past);
  EXPECT_EQ(cleaned, 1);
  ASSERT_FALSE(plan);
  EXPECT_NE(plan.error().message.find("was cleaned away"), std::string::npos) << plan.error().message;
}

TEST(HudiTable, AFileThatIsListedAndNeverThereIsNamed) {
  const TestFolder folder;
  History history(folder.path(), false);
  history.Load(100);
  std::string lost;
  InterruptedStorage storage(&history.storage(), [&](const std::string& path) -> Status {
    if (!path.ends_with("commit")) return {};
    lost = path;
    return storage::ErrnoError(ENOENT, "open", path);
  });
  auto reader = TableReader::Open(&storage, history.base(), "");
  ASSERT_TRUE(reader);
  const auto plan = (*reader)->PlanSnapshot("");
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, ErrorCode::kCorrupt);
  EXPECT_FALSE(lost.empty());
  EXPECT_NE(plan.error().message.find(lost), std::string::npos) << plan.error().message;
}

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

/// Spark reads no file with dates before 1582 or times before 1900 that does not say so.
TEST(HudiTable, BaseFilesTellSparkWhichCalendarTheyAreIn) {
  const TestFolder folder;
  History history(folder.path(), false);
  history.Load(10);
  const auto plan = history.reader().PlanSnapshot("");
  ASSERT_TRUE(plan);
  ASSERT_EQ((*plan)->files.size(), 1U);
  const std::string& path = (*plan)->files.front().path;
  const auto reader = parquet::FileReader::Open(*history.storage().Open(path), path);
  ASSERT_TRUE(reader);
  EXPECT_EQ((*reader)->Metadata("org.apache.spark.version"), "3.5.0");
}

TEST(HudiTable, ColumnsMayBecomeNullableAndNotRequired) {
  const TestFolder folder;
  History history(folder.path(), false);
  arrow::FieldVector fields = NarrowSchema()->fields();
  fields[2] = fields[2]->WithNullable(false);
  const auto refused = history.table().EvolveSchema(arrow::schema(fields));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("column 'text' cannot become required"), std::string::npos);
  fields = NarrowSchema()->fields();
  fields[3] = fields[3]->WithNullable(true);
  EXPECT_TRUE(history.table().EvolveSchema(arrow::schema(fields)));
}

TEST(HudiTable, AsOfBeforeTheFirstCommitIsNotFound) {
  const TestFolder folder;
  History history(folder.path(), true);
  history.Load(10);
  auto reader = TableReader::Open(&history.storage(), history.base(), history.side());
  ASSERT_TRUE(reader);
  EXPECT_EQ((*reader)->PlanSnapshot("20000101000000000").error().code, ErrorCode::kNotFound);
}

/// Its files are gone and no completed clean says so yet: who reads the past would read what is left of it.
TEST_P(HudiHistory, ACleanThatWasCutOffIsFinished) {
  std::mt19937 random(7);
  const TestFolder folder;
  History history(folder.path(), GetParam());
  history.Load(200);
  const std::string first = history.history().begin()->first;
  ServiceOptions services;
  services.min_log_files = 1;
  services.max_log_ratio = 0;
  services.retain_micros = 1'000'000;
  for (int i = 0; i < 3; i++) {
    history.Change(random, 40, 300);
    ASSERT_TRUE(history.table().Compact(history.Next(), services, {}, true));
  }
  history.FailWrite(3);  // Behind the plan in its two states: what says that it is complete.
  ASSERT_FALSE(history.table().Clean(history.Next(), services));
  history.FailWrite(0);
  history.Reopen(false);
  history.OpenReader();
  const auto plan = history.reader().PlanSnapshot(first);
  ASSERT_FALSE(plan);
  EXPECT_NE(plan.error().message.find("was cleaned away"), std::string::npos) << plan.error().message;
  history.CheckNewest();
  history.CheckValid();
}

}  // namespace
}  // namespace tarn::hudi
