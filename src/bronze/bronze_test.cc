#include <arrow/api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bronze/change_log.h"
#include "bronze/test_bronze.h"

namespace tarn::bronze {
namespace {

TEST_F(BronzeTest, AFlushIsReadBackExactlyAndTheChainIsComplete) {
  auto log = std::move(*ChangeLog::Open(storage_.get(), lake_, &clock_));
  ASSERT_TRUE(log->Flush(Input(100, 1, 3)));
  ASSERT_TRUE(log->Flush(Input(200, 4, 2)));
  // A second writer of the lake sees where the first one ended.
  log = std::move(*ChangeLog::Open(storage_.get(), lake_, &clock_));
  ASSERT_TRUE(log->last());
  EXPECT_EQ(log->last()->end.value, 208U);
  ASSERT_TRUE(log->Flush(Input(300, 6, 1)));

  std::vector<Manifest> manifests;
  ASSERT_TRUE(ChangeLog::ForEachManifest(*storage_, lake_, SourcePosition{0, Lsn{100}},
                                         [&](const Manifest& manifest) -> Status {
                                           manifests.push_back(manifest);
                                           return {};
                                         }));
  ASSERT_EQ(manifests.size(), 2U);
  EXPECT_EQ(manifests[0].after.value, 100U);
  EXPECT_EQ(manifests[1].after, manifests[0].last_commit);
  int64_t rows = 0;
  ASSERT_TRUE(ReadChangeFile(*storage_, lake_, manifests[0].events[0].file, [&](auto batch) -> Status {
    EXPECT_TRUE(batch->schema()->field(3)->type()->Equals(arrow::decimal128(12, 2)));
    EXPECT_TRUE(batch->column(2)->Equals(Rows(4, 2)->column(2)));
    EXPECT_TRUE(batch->column(3)->Equals(Rows(4, 2)->column(3)));
    rows += batch->num_rows();
    return {};
  }));
  EXPECT_EQ(rows, 2);
  EXPECT_LT(manifests[0].last_file_name, manifests[1].last_file_name)
      << "names rise though the clock stands still";
}

TEST_F(BronzeTest, FilesThatNoManifestNamesAreRemoved) {
  auto log = std::move(*ChangeLog::Open(storage_.get(), lake_, &clock_));
  ASSERT_TRUE(log->Flush(Input(100, 1, 3)));
  const std::string orphan = lake_ + "/bronze/public/notes/29990101-000000000.parquet";
  ASSERT_TRUE(storage_->Write(orphan, "torn"));
  log = std::move(*ChangeLog::Open(storage_.get(), lake_, &clock_));
  EXPECT_FALSE(storage_->Exists(orphan));
  EXPECT_TRUE(storage_->Exists(lake_ + "/" + log->last()->events[0].file.path));
}

TEST_F(BronzeTest, ALakeThatLostItsManifestsKeepsItsFiles) {
  auto log = std::move(*ChangeLog::Open(storage_.get(), lake_, &clock_));
  ASSERT_TRUE(log->Flush(Input(100, 1, 3)));
  const std::string file = lake_ + "/" + log->last()->events[0].file.path;
  log.reset();
  std::filesystem::remove_all(lake_ + "/_tarn/bronze");
  const auto refused = ChangeLog::Open(storage_.get(), lake_, &clock_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
  EXPECT_NE(refused.error().message.find(file), std::string::npos) << refused.error().message;
  EXPECT_TRUE(storage_->Exists(file));
}

TEST_F(BronzeTest, AnOpenTransactionShowsNothing) {
  auto log = std::move(*ChangeLog::Open(storage_.get(), lake_, &clock_));
  FlushInput first = Input(100, 1, 3);
  first.open = true;
  ASSERT_TRUE(log->Flush(first));
  EXPECT_TRUE(storage_->List(lake_ + "/bronze/public/notes")->empty());
  const auto manifest = log->Flush(Input(100, 4, 1));
  ASSERT_TRUE(manifest);
  EXPECT_EQ((*manifest)->rows, 4);
  EXPECT_EQ((*manifest)->events.size(), 1U);
}

TEST_F(BronzeTest, LoadsReplaceAnUnfinishedCopy) {
  ASSERT_TRUE(storage_->Write(lake_ + "/bronze/public/notes/LOAD00000007.parquet", "torn"));
  auto writer = std::move(*BeginCopy(storage_.get(), lake_, Lsn{50}, 2));
  ASSERT_TRUE(writer->Append(0, *Rows(0, 10)));
  ASSERT_TRUE(writer->Append(1, *Rows(10, 5)));
  ASSERT_TRUE(writer->Finish());
  const auto loads = ChangeLog::ReadLoads(*storage_, lake_);
  ASSERT_TRUE(loads);
  EXPECT_EQ(loads->at("notes").back().rows, 15);
  EXPECT_EQ(storage_->List(lake_ + "/bronze/public/notes")->size(), 2U);
}

/// A copy's operation and time are mostly one value in a whole file; nothing may rest on that.
TEST_F(BronzeTest, ACopyOfSeveralOperationsAndTimesIsReadBackExactly) {
  const auto with_times = [&](const std::vector<std::string>& times) {
    auto rows = RowsAt(std::vector<schema::ChangePosition>(times.size(), {50, 1}));
    arrow::StringBuilder builder;
    EXPECT_TRUE(builder.AppendValues(times).ok());
    return *rows->SetColumn(1, rows->schema()->field(1), *builder.Finish());
  };
  const std::vector<std::vector<std::string>> batches = {
      {"early", "early", "early"}, {"early"}, {"early", "later"}, {"later", ""}, {"later", "later"}};
  auto writer = std::move(*BeginCopy(storage_.get(), lake_, Lsn{50}, 1));
  std::vector<std::string> expected;
  for (const auto& times : batches) {
    ASSERT_TRUE(writer->Append(0, *with_times(times)));
    expected.insert(expected.end(), times.begin(), times.end());
  }
  ASSERT_TRUE(writer->Finish());
  const auto loads = ChangeLog::ReadLoads(*storage_, lake_);
  std::vector<std::string> found;
  ASSERT_TRUE(ReadChangeFile(*storage_, lake_, loads->at("notes")[0].files[0], [&](auto batch) -> Status {
    EXPECT_TRUE(batch->schema()->field(1)->type()->Equals(arrow::utf8()));
    const auto& times = static_cast<const arrow::StringArray&>(*batch->column(1));
    for (int64_t row = 0; row < batch->num_rows(); row++) {
      EXPECT_EQ(static_cast<const arrow::StringArray&>(*batch->column(0)).GetView(row), "I");
      found.push_back(times.GetString(row));
    }
    return {};
  }));
  EXPECT_EQ(found, expected);
}

TEST_F(BronzeTest, SparkCanTellInWhichCalendarOldDatesAre) {
  auto log = std::move(*ChangeLog::Open(storage_.get(), lake_, &clock_));
  ASSERT_TRUE(log->Flush(Input(100, 1, 3)));
  const FileEntry& file = log->last()->events[0].file;
  const auto reader = OpenChangeFile(*storage_->Open(lake_ + "/" + file.path), file);
  ASSERT_TRUE(reader);
  EXPECT_EQ((*reader)->Metadata("org.apache.spark.version"), "3.5.0");
}

TEST_F(BronzeTest, ASecondCopyStandsBesideTheFirst) {
  for (int copy = 0; copy < 2; copy++) {
    auto writer = std::move(*BeginCopy(storage_.get(), lake_, Lsn{50U + static_cast<uint64_t>(copy)}, 1));
    ASSERT_TRUE(writer->Append(0, *Rows(0, 10 + copy)));
    ASSERT_TRUE(writer->Finish());
  }
  // A third that was cut off leaves nothing behind when the next one begins.
  ASSERT_TRUE(storage_->Write(lake_ + "/bronze/public/notes/LOAD00000003.parquet", "torn"));
  ASSERT_TRUE(BeginCopy(storage_.get(), lake_, Lsn{60}, 1));
  const auto loads = ChangeLog::ReadLoads(*storage_, lake_);
  ASSERT_EQ(loads->at("notes").size(), 2U);
  EXPECT_EQ(loads->at("notes")[0].rows, 10);
  EXPECT_EQ(loads->at("notes")[1].rows, 11);
  EXPECT_EQ(loads->at("notes")[1].files[0].path, "bronze/public/notes/LOAD00000002.parquet");
  EXPECT_EQ(storage_->List(lake_ + "/bronze/public/notes")->size(), 2U);
}

/// Three ranges of pages; the first run gets through the first two.
CopyProgress ThreeRanges(const std::shared_ptr<const schema::TableSchema>& table) {
  CopyProgress progress;
  progress.table = table;
  progress.source = "storage 1";
  progress.starts = {0, 10, 20};
  progress.runs_done = {CopyProgress::kMissing, CopyProgress::kMissing, CopyProgress::kMissing};
  progress.runs = {{Lsn{50}, 1, 700}};
  return progress;
}

TEST_F(BronzeTest, ACopyThatIsCutOffGoesOnFromWhatItSaved) {
  {
    auto writer = std::move(*LoadWriter::Begin(storage_.get(), lake_, ThreeRanges(table_), {1, 0}));
    for (size_t range = 0; range < 2; range++) {
      ASSERT_TRUE(writer->Append(0, *RowsAt({{50, 1}, {50, 2}}, static_cast<int64_t>(range) * 10)));
      ASSERT_TRUE(writer->Complete(0, range));
    }
    ASSERT_TRUE(writer->Append(0, *RowsAt({{50, 3}}, 99)));  // Of a range that is not whole.
  }
  auto progress = ReadCopyProgress(*storage_, lake_, "notes");
  ASSERT_TRUE(progress && *progress);
  EXPECT_THAT((*progress)->runs_done, testing::ElementsAre(0, 0, CopyProgress::kMissing));
  EXPECT_EQ((*progress)->rows(), 4);
  EXPECT_EQ((*progress)->source, "storage 1");

  (*progress)->runs.push_back({Lsn{80}, 2, 900});
  auto writer = std::move(*LoadWriter::Begin(storage_.get(), lake_, **progress, {1}));
  ASSERT_TRUE(writer->Append(0, *RowsAt({{80, 1}, {80, 2}}, 20)));
  ASSERT_TRUE(writer->Append(0, *RowsAt({{80, 3}}, 0), true));
  const auto load = writer->Finish();
  ASSERT_TRUE(load);
  const auto read = ChangeLog::ReadLoads(*storage_, lake_)->at("notes").at(0);
  EXPECT_EQ(read.snapshot, Lsn{80});
  EXPECT_EQ(read.least_snapshot(), Lsn{50});
  EXPECT_EQ(read.rows, 7);
  std::vector<std::pair<uint64_t, bool>> files;
  for (const LoadFile& file : read.files) files.emplace_back(file.snapshot.value, file.again);
  EXPECT_THAT(files, testing::ElementsAre(std::pair(50U, false), std::pair(50U, false), std::pair(80U, false),
                                          std::pair(80U, true)));
  EXPECT_EQ(storage_->List(lake_ + "/bronze/public/notes")->size(), 4U);
  EXPECT_FALSE(*ReadCopyProgress(*storage_, lake_, "notes"));
}

TEST_F(BronzeTest, ACopyWhoseFilesAreGoneCannotGoOn) {
  {
    auto writer = std::move(*LoadWriter::Begin(storage_.get(), lake_, ThreeRanges(table_), {1, 0}));
    ASSERT_TRUE(writer->Append(0, *RowsAt({{50, 1}})));
    ASSERT_TRUE(writer->Complete(0, 0));
  }
  auto progress = **ReadCopyProgress(*storage_, lake_, "notes");
  ASSERT_TRUE(storage_->Remove(lake_ + "/" + progress.files[0].path));
  progress.runs.push_back({Lsn{80}, 2, 900});
  const auto writer = LoadWriter::Begin(storage_.get(), lake_, progress, {1});
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().code, ErrorCode::kNotFound);
  EXPECT_NE(writer.error().message.find("LOAD00000001.parquet"), std::string::npos) << writer.error().message;
}

TEST_F(BronzeTest, ADamagedRecordOfACopyIsNamed) {
  const std::string path = lake_ + "/_tarn/bronze/copying/notes.json";
  for (const char* text : {"{", "{}", R"({"table": {}, "epoch": 0})"}) {
    ASSERT_TRUE(storage_->Write(path, text));
    const auto progress = ReadCopyProgress(*storage_, lake_, "notes");
    ASSERT_FALSE(progress);
    EXPECT_EQ(progress.error().code, ErrorCode::kCorrupt);
    EXPECT_NE(progress.error().message.find(path), std::string::npos) << progress.error().message;
  }
}

TEST_F(BronzeTest, WhatOnlyANewCopyTellsStandsInTheManifest) {
  auto log = std::move(*ChangeLog::Open(storage_.get(), lake_, &clock_));
  FlushInput input = Input(100, 1, 3);
  input.events.push_back({table_, nullptr, {100, 2}, "the type of column 'price' changed"});
  const auto manifest = log->Flush(input);
  ASSERT_TRUE(manifest);
  const auto read = ManifestFromJson(ToJson(**manifest));
  ASSERT_TRUE(read);
  ASSERT_EQ(read->events.size(), 2U);
  EXPECT_EQ(read->events[1].copy_again, "the type of column 'price' changed");
  EXPECT_EQ(read->events[1].at, (schema::ChangePosition{100, 2}));
}

}  // namespace
}  // namespace tarn::bronze
