#include "cdc/transaction_spool.h"

#include <arrow/record_batch.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "cdc/change_collector.h"
#include "cdc/test_source.h"

namespace tarn::cdc {
namespace {

namespace fs = std::filesystem;

class SpoolTest : public testing::Test {
 protected:
  SpoolTest()
      : folder_(testing::TempDir() + "spool_" + std::to_string(::getpid()) + "_" +
                testing::UnitTest::GetInstance()->current_test_info()->name()) {}
  ~SpoolTest() override { fs::remove_all(folder_); }

  int Files() const {
    if (!fs::exists(folder_)) return 0;
    return static_cast<int>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  const std::string folder_;
};

/// What the segments of a stream hold, however they were cut.
struct Contents {
  std::map<std::string, std::vector<std::string>> rows, truncates;  ///< By table.
  int64_t transactions = 0;
  Lsn last_commit, end;
  bool operator==(const Contents&) const = default;

  void Take(ChangeCollector& collector) {
    while (const auto segment = collector.Take(std::chrono::milliseconds(0))) {
      for (const TableEvent& event : segment->events) {
        const std::string& table = event.table->table_name;
        if (event.rows == nullptr && event.copy_again.empty())
          truncates[table].push_back(fmt::format("{} {}", event.at.lsn, event.at.ordinal));
        for (int64_t i = 0; event.rows && i < event.rows->num_rows(); i++)
          rows[table].push_back(event.rows->Slice(i, 1)->ToString());
      }
      if (!segment->open) end = segment->end;
      last_commit = segment->last_commit;
      transactions += segment->transactions - (segment->open ? 1 : 0);
    }
  }
};

/// Feeds as ReplicationStream does, taking whatever is there when the collector is full.
Contents Follow(const std::vector<std::string>& messages, const CollectorOptions& options,
                const SpoolOptions& spool_options) {
  ChangeCollector collector(options);
  TransactionSpool spool(spool_options, &collector);
  Contents contents;
  const auto expect = [](const Status& status) { EXPECT_TRUE(status) << status.error().message; };
  for (const std::string& message : messages) {
    expect(spool.Take(message));
    while (spool.is_replaying() || collector.IsFull()) {
      if (collector.IsFull()) {
        contents.Take(collector);
      } else {
        expect(spool.ReplayStep());
      }
    }
    if (testing::Test::HasFailure()) break;
  }
  contents.Take(collector);
  EXPECT_EQ(spool.transactions(), 0);
  EXPECT_EQ(spool.bytes(), 0);
  return contents;
}

TEST_F(SpoolTest, RandomHistoriesGiveWhatAStreamOfWholeTransactionsGives) {
  int blocks = 0, subtransaction_rollbacks = 0, rollbacks = 0;
  constexpr unsigned kFirstSeed = 20261125;
  std::printf("seeds from %u\n", kFirstSeed);
  for (unsigned seed = kFirstSeed; seed < kFirstSeed + 60; seed++) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    TestSource source(seed);
    for (int step = 0; step < 600; step++) source.Step();
    source.CommitAll();
    // Everything in files, some of it, nothing; collectors that cut inside of transactions and that do not.
    const int64_t memory = std::array<int64_t, 3>{0, 2'000, 1 << 20}[seed % 3];
    CollectorOptions options{.epoch = 1, .max_bytes = seed % 2 == 0 ? 4'000 : 1 << 20};
    if (seed % 5 == 0) options.skip_up_to = Lsn{1500};
    const Contents got = Follow(source.streamed, options, {folder_, memory});
    const Contents expected = Follow(source.plain, options, {folder_, memory});
    ASSERT_EQ(got.rows, expected.rows);
    ASSERT_TRUE(got == expected);
    ASSERT_FALSE(got.rows.empty());
    ASSERT_EQ(Files(), 0);
    blocks += source.blocks;
    subtransaction_rollbacks += source.subtransaction_rollbacks;
    rollbacks += source.rollbacks;
  }
  EXPECT_GT(std::min({blocks, subtransaction_rollbacks, rollbacks}), 100);
}

TEST_F(SpoolTest, WhatIsOpenIsInAFileAndAnAbortLeavesNothing) {
  ChangeCollector collector(CollectorOptions{});
  {
    TransactionSpool spool({folder_, 10'000}, &collector);
    for (const uint32_t xid : {7, 8}) {
      ASSERT_TRUE(spool.Take(StreamStart(xid, true)));
      ASSERT_TRUE(spool.Take(Within(xid, Relation())));
      for (int i = 0; i < 1'000; i++)
        ASSERT_TRUE(spool.Take(Within(xid, Insert(std::to_string(i), std::string(50, 'x')))));
      EXPECT_TRUE(spool.is_ahead());
      ASSERT_TRUE(spool.Take(StreamStop()));
    }
    EXPECT_EQ(spool.transactions(), 2);
    EXPECT_GT(spool.bytes(), 150'000);
    EXPECT_EQ(Files(), 2);
    ASSERT_TRUE(spool.Take(StreamAbort(7, 7)));
    EXPECT_TRUE(spool.is_ahead());
    EXPECT_EQ(Files(), 1);
    EXPECT_EQ(spool.transactions(), 1);
    EXPECT_FALSE(collector.HasWork());
  }
  EXPECT_EQ(Files(), 0) << "a connection that ends leaves nothing";
  // A killed process does.
  fs::create_directories(folder_ + "/sub");
  std::ofstream(folder_ + "/9.messages") << "left";
  TransactionSpool spool({folder_}, &collector);
  ASSERT_TRUE(spool.Clear());
  EXPECT_EQ(Files(), 0);
  fs::remove_all(folder_);
  ASSERT_TRUE(spool.Clear());
}

TEST_F(SpoolTest, AReplayIsAsTheBarrierAndTheSnapshotsWantIt) {
  ChangeCollector collector(CollectorOptions{});
  schema::TableSchema table_6;
  table_6.oid = 6;
  collector.Follow({table_6, Lsn{2000}, ""});
  TransactionSpool spool({folder_}, &collector);
  ASSERT_TRUE(spool.Take(StreamStart(7, true)));
  for (const uint32_t table : {5, 6}) {
    ASSERT_TRUE(spool.Take(Within(7, Relation(table))));
    ASSERT_TRUE(spool.Take(Within(7, Insert("1", "a", table))));
  }
  ASSERT_TRUE(spool.Take(StreamStop()));
  collector.SetBarrier(Lsn{1500});
  EXPECT_FALSE(collector.MustWait()) << "nothing has been committed yet";
  ASSERT_TRUE(spool.Take(StreamCommit(7, 1900)));
  EXPECT_FALSE(spool.is_ahead());
  EXPECT_TRUE(spool.is_replaying());
  EXPECT_TRUE(collector.MustWait());
  EXPECT_FALSE(spool.Take(StreamStart(8, true))) << "not before the replay has ended";
  collector.SetBarrier(std::nullopt);
  EXPECT_FALSE(collector.MustWait());
  EXPECT_TRUE(collector.HasWork());
  while (spool.is_replaying()) ASSERT_TRUE(spool.ReplayStep());
  const auto segment = collector.Take(std::chrono::milliseconds(0));
  ASSERT_TRUE(segment);
  EXPECT_EQ(segment->rows, 1) << "the snapshot of table 6 has the other one";
  EXPECT_EQ(segment->first_commit.value, 1900U);
  EXPECT_EQ(segment->end.value, 1908U);
}

TEST_F(SpoolTest, AFolderThatCannotBeWrittenIsAnErrorThatIsTriedAgain) {
  std::ofstream(folder_) << "a file where the folder belongs";
  ChangeCollector collector(CollectorOptions{});
  TransactionSpool spool({folder_, 0}, &collector);
  ASSERT_TRUE(spool.Take(StreamStart(7, true)));
  const Status status = spool.Take(Within(7, Relation()));
  ASSERT_FALSE(status);
  EXPECT_TRUE(IsRetryable(status.error().code));
  EXPECT_NE(status.error().message.find(folder_ + "/7.messages"), std::string::npos)
      << status.error().message;
  EXPECT_FALSE(spool.Clear());
}

TEST_F(SpoolTest, MessagesOutOfTurnAreErrors) {
  const auto refused = [&](std::vector<std::string> messages) {
    ChangeCollector collector(CollectorOptions{});
    TransactionSpool spool({folder_}, &collector);
    for (size_t i = 0; i + 1 < messages.size(); i++) EXPECT_TRUE(spool.Take(messages[i])) << i;
    const Status status = spool.Take(messages.back());
    return !status && status.error().code == ErrorCode::kCorrupt;
  };
  EXPECT_TRUE(refused({StreamStart(7, false)})) << "its first block is missing";
  EXPECT_TRUE(refused({StreamStart(7, true), StreamStop(), StreamStart(7, true)})) << "it has begun already";
  EXPECT_TRUE(refused({StreamStart(7, true), StreamStart(8, true)}));
  EXPECT_TRUE(refused({StreamStop()}));
  EXPECT_TRUE(refused({StreamCommit(7, 100)}));
  EXPECT_TRUE(refused({StreamStart(7, true), StreamCommit(7, 100)}));
  EXPECT_TRUE(refused({StreamStart(7, true), StreamAbort(7, 7)}));
  EXPECT_TRUE(refused({StreamStart(7, true), Begin(100)}));
  EXPECT_TRUE(refused({StreamStart(7, true), "I"}));
  EXPECT_TRUE(refused({StreamStart(7, true).substr(0, 5)}));
  EXPECT_TRUE(refused({StreamAbort(7, 7) + "x"}));
}

}  // namespace
}  // namespace tarn::cdc
