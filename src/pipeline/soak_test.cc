#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "hudi/test_folder.h"
#include "pipeline/small_lake.h"

namespace tarn::pipeline {
namespace {

constexpr int64_t kMinute = 60'000'000;
constexpr int64_t kHour = 60 * kMinute;

/// The greatest of what was seen, but of times the least.
void Widen(LakeSize& most, const LakeSize& now) {
  most.files = std::max(most.files, now.files);
  most.instants = std::max(most.instants, now.instants);
  most.versions = std::max(most.versions, now.versions);
  most.logs_per_slice = std::max(most.logs_per_slice, now.logs_per_slice);
  most.sidecars = std::max(most.sidecars, now.sidecars);
  most.plan_micros = most.plan_micros == 0 ? now.plan_micros : std::min(most.plan_micros, now.plan_micros);
}

TEST(SoakTest, ADayOfCommitsUnderATwoHourWindowDoesNotGrow) {
  const unsigned seed = 24;
  std::printf("seed %u\n", seed);
  const hudi::TestFolder folder;
  hudi::ServiceOptions services;
  services.retain_micros = 2 * kHour;
  services.max_log_files = 20;
  auto made = SmallLake::Make(folder.path(), services, seed);
  ASSERT_TRUE(made) << made.error().message;
  SmallLake& lake = **made;
  std::map<int64_t, SmallLake::Rows> history;  ///< As of each commit inside the window.
  LakeSize first_half, second_half;
  const int commits = 24 * 60;
  for (int i = 1; i <= commits; i++) {
    lake.Advance(kMinute);
    const Status committed = lake.Commit();
    ASSERT_TRUE(committed) << committed.error().message;
    history[lake.now()] = lake.rows();
    while (history.begin()->first < lake.now() - 90 * kMinute) history.erase(history.begin());
    if (i % 10 != 0) continue;
    const Status served = lake.RunServices();
    ASSERT_TRUE(served) << served.error().message;
    // The first hours fill the window; they are no measure.
    if (i % 60 != 0 || i < 6 * 60) continue;
    const auto now = lake.Look();
    ASSERT_TRUE(now) << now.error().message;
    Widen(i <= commits / 2 ? first_half : second_half, *now);
    fmt::print(
        "hour {:2}: {} files, {} instant files, {} versions, {} logs in a slice, {} files of tarn's, planned "
        "in {} us\n",
        i / 60, now->files, now->instants, now->versions, now->logs_per_slice, now->sidecars,
        now->plan_micros);
  }
  EXPECT_LE(second_half.files, first_half.files * 11 / 10);
  EXPECT_LE(second_half.instants, first_half.instants * 11 / 10);
  EXPECT_LE(second_half.versions, first_half.versions + 1);
  EXPECT_LE(second_half.logs_per_slice, first_half.logs_per_slice + 10);
  EXPECT_LE(second_half.sidecars, first_half.sidecars * 11 / 10);
  // Not a time but a growth: twelve hours on it would be twice as long if planning read all history.
  EXPECT_LE(second_half.plan_micros, first_half.plan_micros * 3 / 2 + 2000);
  const auto newest = lake.Read(std::nullopt);
  ASSERT_TRUE(newest) << newest.error().message;
  EXPECT_EQ(*newest, lake.rows());
  // Every tenth state of the last hour and a half reads as it was.
  int at = 0;
  for (const auto& [micros, rows] : history) {
    if (at++ % 10 != 0) continue;
    const auto then = lake.Read(micros);
    ASSERT_TRUE(then) << then.error().message;
    EXPECT_EQ(*then, rows) << "as of " << FormatTimestamp(micros);
  }
}

}  // namespace
}  // namespace tarn::pipeline
