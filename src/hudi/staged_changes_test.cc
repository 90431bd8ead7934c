#include "hudi/staged_changes.h"

#include <gtest/gtest.h>

#include <random>

#include "hudi/table_history.h"
#include "hudi/test_folder.h"

namespace tarn::hudi {
namespace {

constexpr int64_t kIds = 60;

class Staged : public testing::TestWithParam<bool> {};

TEST_P(Staged, ReadersSeeEveryStepOverEveryCommit) {
  const uint32_t seed = TestSeed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  const TestFolder folder;
  History history(folder.path(), GetParam());
  if (random() % 2 == 0) history.Load(kIds / 2);
  auto staged = history.table().Stage();
  Rows committed = history.rows();
  ServiceOptions services;
  services.min_log_files = 1;
  services.max_log_ratio = 0;
  for (int step = 0; step < 120; step++) {
    const auto dice = random() % 10;
    if (dice < 7) {
      history.Next();
      ASSERT_TRUE(staged->Add(history.Draw(random, 1 + static_cast<int>(random() % 12), kIds)));
      if (random() % 3 == 0) history.CheckStaged(*staged);
      if (random() % 3 == 0) CheckFind(*staged, committed, history.rows(), kIds);
    } else {
      history.CheckStaged(*staged);
      auto merged = staged->Merged();
      ASSERT_TRUE(merged) << merged.error().message;
      history.Commit(history.Next(), *merged);
      // The files have it now; what readers pinned before is the overlay's own.
      staged->Clear();
      EXPECT_TRUE(staged->empty());
      committed = history.rows();
      history.CheckNewest();
      if (dice == 9) {
        const auto compacted = history.table().Compact(history.Next(), services, {}, false);
        ASSERT_TRUE(compacted) << compacted.error().message;
        history.CheckNewest();
      }
    }
    if (HasFatalFailure()) return;
  }
  history.CheckAll();
}

INSTANTIATE_TEST_SUITE_P(Tables, Staged, testing::Bool(),
                         [](const auto& info) { return info.param ? "partitioned" : "unpartitioned"; });

TEST(StagedOverlay, OlderSnapshotsKeepWhatTheyShow) {
  const TestFolder folder;
  History history(folder.path(), true);
  history.Load(20);
  std::mt19937 random(7);
  auto staged = history.table().Stage();
  ASSERT_TRUE(staged->Add(history.Draw(random, 8, 20)));
  auto before = staged->Snapshot();
  ASSERT_TRUE(before);
  const Rows then = history.rows();
  auto plan = history.reader().PlanSnapshot("");
  ASSERT_TRUE(plan);
  OverlaidPlan overlaid(*plan);
  for (int i = 0; i < 20; i++) {
    ASSERT_TRUE(staged->Add(history.Draw(random, 8, 20)));
    ASSERT_TRUE(staged->Snapshot());
  }
  auto laid = overlaid.Under(*before);
  ASSERT_TRUE(laid);
  EXPECT_EQ(RowsOf(history.storage(), **laid), then);
}

}  // namespace
}  // namespace tarn::hudi
