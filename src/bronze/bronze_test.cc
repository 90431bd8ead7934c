#include <arrow/api.h>
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
  auto writer = std::move(*LoadWriter::Begin(storage_.get(), lake_, *table_, 2));
  ASSERT_TRUE(writer->Append(0, *Rows(0, 10)));
  ASSERT_TRUE(writer->Append(1, *Rows(10, 5)));
  ASSERT_TRUE(writer->Finish(0, Lsn{50}, 1));
  const auto loads = ChangeLog::ReadLoads(*storage_, lake_);
  ASSERT_TRUE(loads);
  EXPECT_EQ(loads->at("notes").back().rows, 15);
  EXPECT_EQ(storage_->List(lake_ + "/bronze/public/notes")->size(), 2U);
}

TEST_F(BronzeTest, ASecondCopyStandsBesideTheFirst) {
  for (int copy = 0; copy < 2; copy++) {
    auto writer = std::move(*LoadWriter::Begin(storage_.get(), lake_, *table_, 1));
    ASSERT_TRUE(writer->Append(0, *Rows(0, 10 + copy)));
    ASSERT_TRUE(writer->Finish(0, Lsn{50U + static_cast<uint64_t>(copy)}, 1));
  }
  // A third that was cut off leaves nothing behind when the next one begins.
  ASSERT_TRUE(storage_->Write(lake_ + "/bronze/public/notes/LOAD00000003.parquet", "torn"));
  ASSERT_TRUE(LoadWriter::Begin(storage_.get(), lake_, *table_, 1));
  const auto loads = ChangeLog::ReadLoads(*storage_, lake_);
  ASSERT_EQ(loads->at("notes").size(), 2U);
  EXPECT_EQ(loads->at("notes")[0].rows, 10);
  EXPECT_EQ(loads->at("notes")[1].rows, 11);
  EXPECT_EQ(loads->at("notes")[1].files[0].path, "bronze/public/notes/LOAD00000002.parquet");
  EXPECT_EQ(storage_->List(lake_ + "/bronze/public/notes")->size(), 2U);
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
