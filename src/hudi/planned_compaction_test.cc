#include "hudi/planned_compaction.h"

#include <gtest/gtest.h>

#include <set>

#include "base/test_seed.h"
#include "hudi/others_plan.h"
#include "hudi/test_folder.h"

namespace tarn::hudi {
namespace {

constexpr int64_t kIds = 150;

class HudiPlan : public testing::TestWithParam<bool> {
 protected:
  HudiPlan() : folder_(true), history_(folder_.path(), GetParam()), random_(TestSeed()) {
    RecordProperty("seed", std::to_string(TestSeed()));
    history_.Load(100);
    for (int i = 0; i < 3; i++) history_.Change(random_, 60, kIds);
    plan_ = PlanAsOthersDo(history_, [&](History& history) { history.Change(random_, 60, kIds); });
    history_.OpenReader();
    history_.CheckNewest();
  }
  /// Versions of logs that are named by the plan, by file group.
  std::map<std::string, std::vector<int>> LogsBehind() {
    std::map<std::string, std::vector<int>> found;
    const auto view = FileView::Load(history_.storage(), history_.base());
    for (const auto& [partition, groups] : view->partitions()) {
      for (const auto& [file_id, group] : groups) {
        if (!group.logs.contains(plan_)) continue;
        for (const LogFile& log : group.logs.at(plan_)) found[file_id].push_back(log.version);
      }
    }
    return found;
  }
  std::string ActionOf(const std::string& instant) {
    const auto timeline = ReadTimeline(history_.storage(), history_.base());
    const auto found = timeline->completed.find(instant);
    return found == timeline->completed.end() ? "" : found->second;
  }

  TestFolder folder_;
  History history_;
  std::mt19937 random_;
  std::string plan_;
};

TEST_P(HudiPlan, IsWrittenBehindAndMadeAsPlanned) {
  const Status opened = history_.TryOpen();
  ASSERT_TRUE(opened) << opened.error().message;
  history_.CheckNewest();
  history_.CheckLookup(kIds);
  for (int i = 0; i < 3; i++) {
    history_.Change(random_, 60, kIds);
    history_.CheckNewest();
    history_.CheckLookup(kIds);
    if (i == 1) history_.Reopen(true);
  }
  const auto behind = LogsBehind();
  ASSERT_FALSE(behind.empty());
  size_t most = 0;
  for (const auto& [file_id, versions] : behind) {
    most = std::max(most, versions.size());
    for (size_t i = 0; i < versions.size(); i++) EXPECT_EQ(versions[i], static_cast<int>(i) + 1) << file_id;
  }
  EXPECT_GT(most, 1U) << "nothing of ours is behind the plan";
  history_.CheckAll();

  const auto compacted = history_.table().Compact(history_.Next(), {}, {}, false);
  ASSERT_TRUE(compacted) << compacted.error().message;
  ASSERT_TRUE(*compacted);
  EXPECT_EQ((*compacted)->instant, plan_);
  EXPECT_EQ(ActionOf(plan_), "commit");
  EXPECT_GT(history_.table().LastInstant(), plan_);
  history_.CheckNewest();
  history_.CheckLookup(kIds);
  history_.CheckAll();
  history_.OpenReader();
  history_.CheckAll();
  for (int i = 0; i < 2; i++) history_.Change(random_, 60, kIds);
  history_.CheckNewest();
  history_.Reopen(false);
  history_.CheckLookup(kIds);
  const std::string next = history_.Next();
  ASSERT_TRUE(history_.table().Compact(next, {}, {}, true));
  history_.Remember(next);
  history_.CheckAll();
}

TEST_P(HudiPlan, ThatWasHalfMadeIsMadeAnew) {
  // Its writer died behind the first of its base files.
  storage::Storage& storage = history_.storage();
  const auto view = FileView::Load(storage, history_.base());
  for (const auto& [partition, groups] : view->partitions()) {
    for (const auto& [file_id, group] : groups) {
      if (!group.logs.contains(plan_)) continue;
      ASSERT_TRUE(storage.Write(
          JoinPath(JoinPath(history_.base(), partition), FormatBaseFileName(file_id, "3-14-15", plan_)),
          "PAR1, cut off"));
      break;
    }
  }
  ASSERT_TRUE(storage.Write(history_.base() + "/.hoodie/" + plan_ + ".compaction.inflight", ""));
  ASSERT_TRUE(history_.TryOpen());
  history_.CheckNewest();
  ASSERT_TRUE(history_.table().Compact(history_.Next(), {}, {}, true));
  EXPECT_EQ(ActionOf(plan_), "commit");
  history_.CheckNewest();
  history_.CheckLookup(kIds);
  history_.CheckValid();
}

TEST_P(HudiPlan, WhoseFilesAreGoneIsNotMade) {
  ASSERT_TRUE(history_.TryOpen());
  const auto plan = ReadCompactionPlan(history_.storage(), history_.base(), plan_);
  ASSERT_TRUE(plan);
  const auto& operation = plan->operations.back();
  ASSERT_TRUE(history_.storage().Remove(
      JoinPath(JoinPath(history_.base(), operation.partition), operation.logs.back())));
  const auto compacted = history_.table().Compact(history_.Next(), {}, {}, true);
  ASSERT_FALSE(compacted);
  EXPECT_EQ(compacted.error().code, ErrorCode::kCorrupt);
  EXPECT_NE(compacted.error().message.find(operation.logs.back()), std::string::npos);
  EXPECT_EQ(ActionOf(plan_), "");
}

TEST_P(HudiPlan, ReplacingWhatWasPlannedLeavesNothingOfIt) {
  ASSERT_TRUE(history_.TryOpen());
  const std::string instant = history_.Next();
  ASSERT_TRUE(history_.table().Truncate(instant, {}));
  history_.rows().clear();
  history_.Remember(instant);
  history_.CheckNewest();
  history_.Change(random_, 60, kIds);
  history_.CheckNewest();
  ASSERT_TRUE(history_.table().Compact(history_.Next(), {}, {}, false));
  history_.CheckNewest();
  history_.CheckLookup(kIds);
  history_.CheckAll();
}

INSTANTIATE_TEST_SUITE_P(Tables, HudiPlan, testing::Bool(),
                         [](const auto& info) { return info.param ? "Partitioned" : "Flat"; });

}  // namespace
}  // namespace tarn::hudi
