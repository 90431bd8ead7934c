#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "hudi/file_view.h"
#include "hudi/small_files.h"
#include "hudi/table_history.h"
#include "hudi/table_state.h"
#include "hudi/test_folder.h"
#include "hudi/timeline.h"

namespace tarn::hudi {
namespace {

size_t GroupCount(History& history) {
  return DescribeTable(history.storage(), history.base())->slices.size();
}

void Cluster(History& history, size_t expected_files) {
  const std::string instant = history.Next();
  const auto done = history.table().Cluster(instant, {}, {{"why", "small files"}});
  ASSERT_TRUE(done) << done.error().message;
  ASSERT_TRUE(*done);
  EXPECT_EQ((*done)->files, static_cast<int64_t>(expected_files));
  history.Remember(instant);
}

class Clustering : public testing::TestWithParam<bool> {};

TEST_P(Clustering, PutsSmallFilesTogetherAndChangesNoRow) {
  const TestFolder folder(true);
  History history(folder.path(), GetParam());
  history.Load(40);
  LeaveSmallFiles(history, 4);
  const size_t before = GroupCount(history);
  ASSERT_GE(before, 5U);
  Cluster(history, GetParam() ? 2 : 1);
  // Of the first load's partitions, two got no small files.
  EXPECT_EQ(GroupCount(history), GetParam() ? 4U : 1U);
  history.CheckNewest();
  history.CheckAll();
  history.CheckLookup(40);
  EXPECT_EQ(**history.table().LastProperty("why"), "small files");
  // The index knows where everything is.
  std::mt19937 random(7);
  for (int i = 0; i < 3; i++) history.Change(random, 20, 60);
  history.CheckNewest();
  history.Reopen(true);
  history.Change(random, 20, 60);
  history.Reopen(false);
  history.Change(random, 20, 60);
  history.OpenReader();
  history.CheckNewest();
  history.CheckAll();
}

TEST_P(Clustering, IsNotMadeOfWhatIsLargeOrAlone) {
  const TestFolder folder(true);
  History history(folder.path(), GetParam());
  history.Load(40);
  const auto alone = history.table().Cluster(history.Next(), {}, {});
  ASSERT_TRUE(alone);
  EXPECT_FALSE(*alone);
  LeaveSmallFiles(history, 3);
  ServiceOptions options;
  options.small_file_bytes = 10;
  const auto large = history.table().Cluster(history.Next(), options, {});
  ASSERT_TRUE(large);
  EXPECT_FALSE(*large);
  EXPECT_TRUE(ReadTimeline(history.storage(), history.base())->pending.empty());
}

TEST_P(Clustering, OldGroupsAreCleanedAndItsInstantArchived) {
  const TestFolder folder(true);
  History history(folder.path(), GetParam());
  history.Load(40);
  LeaveSmallFiles(history, 3);
  Cluster(history, GetParam() ? 2 : 1);
  const std::string clustered = history.table().LastInstant();
  ServiceOptions options;
  options.retain_micros = 3'000'000;
  options.keep_active_instants = 4;
  std::mt19937 random(7);
  for (int i = 0; i < 12; i++) {
    history.Change(random, 10, 60);
    const std::string instant = history.Next();
    ASSERT_TRUE(history.table().Clean(instant, options));
    ASSERT_TRUE(history.table().Archive(instant, options));
    // Its old files are gone before it is, or they would count again.
    history.OpenReader();
    history.CheckNewest();
  }
  const auto timeline = ReadTimeline(history.storage(), history.base());
  EXPECT_FALSE(timeline->files.contains(clustered)) << "the archive stops at it";
  const auto view = FileView::Load(history.storage(), history.base());
  size_t groups = 0;
  for (const auto& [partition, files] : view->partitions()) groups += files.size();
  EXPECT_EQ(groups, GroupCount(history));
  history.CheckValid();
  history.Reopen(false);
  history.CheckNewest();
}

TEST(ClusteringOfSavepoints, KeepsWhatASavepointNames) {
  const TestFolder folder(true);
  History history(folder.path(), true);
  history.Load(40);
  LeaveSmallFiles(history, 3);
  const std::string saved = history.table().LastInstant();
  ASSERT_TRUE(history.table().CreateSavepoint(saved, "test", "before"));
  Cluster(history, 2);
  std::mt19937 random(7);
  for (int i = 0; i < 5; i++) history.Change(random, 10, 60);
  ServiceOptions options;
  options.retain_micros = 1'000'000;
  ASSERT_TRUE(history.table().Clean(history.Next(), options));
  history.OpenReader();
  const auto plan = history.reader().PlanSnapshot(saved);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(RowsOf(history.storage(), **plan), history.history().at(saved));
  const auto restored = history.table().Restore(history.Next(), saved);
  ASSERT_TRUE(restored) << restored.error().message;
  history.ReturnTo(saved);
  history.OpenReader();
  history.CheckNewest();
  history.CheckValid();
}

TEST(ClusteringPlan, IsWhatSparkReads) {
  const TestFolder folder(true);
  History history(folder.path(), true);
  history.Load(40);
  LeaveSmallFiles(history, 2);
  Cluster(history, 2);
  const std::string path = history.base() + "/.hoodie/" + history.table().LastInstant() + ".replacecommit";
  const auto plan = FirstRecord(*history.storage().Read(path + ".requested"));
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ((*plan)["operationType"], "CLUSTER");
  const auto& groups = (*plan)["clusteringPlan"]["inputGroups"];
  ASSERT_EQ(groups.size(), 2U);
  const auto commit = nlohmann::json::parse(*history.storage().Read(path));
  for (const auto& group : groups) {
    for (const auto& slice : group["slices"]) {
      const auto& ids = commit["partitionToReplaceFileIds"][slice["partitionPath"].get<std::string>()];
      EXPECT_NE(std::find(ids.begin(), ids.end(), slice["fileId"]), ids.end());
      EXPECT_TRUE(history.storage().Exists(slice["dataFilePath"]));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, Clustering, testing::Bool(),
                         [](const auto& info) { return info.param ? "Partitioned" : "Flat"; });

}  // namespace
}  // namespace tarn::hudi
