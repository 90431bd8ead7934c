#include "hudi/spooled_changes.h"

#include <gtest/gtest.h>

#include <random>

#include "hudi/table_history.h"
#include "hudi/test_folder.h"

namespace tarn::hudi {
namespace {

constexpr int64_t kIds = 400;

class Spooled : public testing::TestWithParam<bool> {};

TEST_P(Spooled, IsOneInstantWhateverItsSizeAndReadersSeeNothingBefore) {
  const uint32_t seed = TestSeed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  const TestFolder folder;
  History history(folder.path(), GetParam());
  if (random() % 2 == 0) history.Load(kIds / 2);
  for (int step = 0; step < 25; step++) {
    const auto dice = random() % 8;
    if (dice == 0) {
      history.Reopen(random() % 2 == 0);
    } else if (dice == 1) {
      ASSERT_TRUE(history.table().Compact(history.Next(), {}, {}, true));
    } else if (dice < 4) {
      history.Change(random, 20, kIds);
    } else {
      const Rows committed = history.rows();
      auto spooled = history.table().Spool();
      ASSERT_TRUE(spooled) << spooled.error().message;
      // From a few rows, which go to logs, to many times what a base file holds.
      const int pieces = 1 + static_cast<int>(random() % 12);
      const int most = random() % 2 == 0 ? 15 : 250;
      bool untouched = true;
      for (int piece = 0; piece < pieces; piece++) {
        history.Next();
        if (random() % 30 == 0) {
          ASSERT_TRUE((*spooled)->Truncate());
          history.rows().clear();
          untouched = false;
        }
        ASSERT_TRUE((*spooled)->Add(history.Draw(random, most, kIds)));
        if (random() % 4 == 0) {
          if (untouched) CheckFind(**spooled, committed, history.rows(), kIds);
          const Rows now = std::exchange(history.rows(), committed);
          history.CheckNewest();
          history.rows() = now;
        }
      }
      if (random() % 6 == 0) {  // Given up: nothing is changed.
        history.rows() = committed;
      } else {
        const std::string instant = history.Next();
        const auto done = (*spooled)->Commit(instant, {});
        ASSERT_TRUE(done) << done.error().message;
        history.Remember(instant);
      }
    }
    if (HasFatalFailure()) return;
    history.CheckNewest();
    history.CheckLookup(kIds);
  }
  history.CheckAll();
  history.Reopen(false);
  history.CheckLookup(kIds);
  history.OpenReader();
  history.CheckAll();
}

INSTANTIATE_TEST_SUITE_P(Tables, Spooled, testing::Bool(),
                         [](const auto& info) { return info.param ? "partitioned" : "unpartitioned"; });

TEST(SpooledChanges, AfterATruncationWhatWasThereIsDeleted) {
  const TestFolder folder;
  History history(folder.path(), true);
  history.Load(20);
  auto spooled = history.table().Spool();
  ASSERT_TRUE(spooled);
  ASSERT_TRUE((*spooled)->Truncate());
  history.rows() = {{3, {1, "again", 9}}};
  ASSERT_TRUE((*spooled)->Add({ToBatch(history.rows()), nullptr}));
  auto found = (*spooled)->Find(*ToIds({2, 3}, 0));
  ASSERT_TRUE(found);
  EXPECT_EQ((*found)[0].state, StagedChanges::Newest::State::kDeleted);
  EXPECT_EQ((*found)[1].state, StagedChanges::Newest::State::kLive);
  const std::string instant = history.Next();
  ASSERT_TRUE((*spooled)->Commit(instant, {}));
  history.Remember(instant);
  history.CheckAll();
}

TEST(SpooledChanges, WhatAKilledProcessLeftIsTakenAway) {
  const TestFolder folder;
  History history(folder.path(), true);
  const std::string left = history.side() + "/spool/0.arrow";
  ASSERT_TRUE(history.storage().Write(left, "a piece"));
  history.Reopen(false);
  EXPECT_FALSE(history.storage().Exists(left));
}

TEST(SpooledChanges, ManyChangesOfAGroupBecomeABaseFileAndFewALog) {
  for (const int rows : {5, 400}) {
    const TestFolder folder;
    History history(folder.path(), false);
    history.Load(kIds);
    auto spooled = history.table().Spool();
    ASSERT_TRUE(spooled);
    std::mt19937 random(3);
    history.Next();
    ASSERT_TRUE((*spooled)->Add(history.Draw(random, rows, kIds)));
    const std::string instant = history.Next();
    ASSERT_TRUE((*spooled)->Commit(instant, {}));
    history.Remember(instant);
    history.CheckAll();
    auto plan = history.reader().PlanSnapshot("");
    ASSERT_TRUE(plan);
    EXPECT_EQ((*plan)->hot.empty(), rows == 400) << rows;
  }
}

/// A store that fails its n-th publication of a file.
class SpooledFailure : public testing::TestWithParam<bool> {};

TEST_P(SpooledFailure, LeavesTheTableAsItWasAndTheNextCommitGood) {
  std::mt19937 random(11);
  for (int64_t fails_at = 1;; fails_at++) {
    const TestFolder folder;
    History history(folder.path(), GetParam());
    history.Load(kIds / 2);
    history.Change(random, 20, kIds);
    const Rows before = history.rows();
    auto spooled = history.table().Spool();
    ASSERT_TRUE(spooled);
    for (int piece = 0; piece < 3; piece++) {
      history.Next();
      ASSERT_TRUE((*spooled)->Add(history.Draw(random, 60, kIds)));
    }
    const Rows after = history.rows();
    history.FailWrite(fails_at);
    const std::string instant = history.Next();
    const auto done = (*spooled)->Commit(instant, {});
    history.FailWrite(0);
    if (!done) {
      history.rows() = before;
      ASSERT_TRUE(history.table().Settle());
      history.Next();  // The rollback took the instant behind the failed one.
    } else {
      history.Remember(instant);
    }
    history.CheckNewest();
    history.CheckLookup(kIds);
    if (!done) {  // The same changes once more, as a stream brings them.
      const std::string again = history.Next();
      const auto second = (*spooled)->Commit(again, {});
      ASSERT_TRUE(second) << second.error().message;
      history.rows() = after;
      history.Remember(again);
    }
    history.Change(random, 20, kIds);
    history.CheckAll();
    history.CheckLookup(kIds);
    if (done) {
      EXPECT_GT(fails_at, 4);
      return;
    }
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, SpooledFailure, testing::Bool(),
                         [](const auto& info) { return info.param ? "partitioned" : "unpartitioned"; });

}  // namespace
}  // namespace tarn::hudi
