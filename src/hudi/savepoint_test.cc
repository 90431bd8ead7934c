#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "base/test_seed.h"
#include "hudi/file_name.h"
#include "hudi/file_view.h"
#include "hudi/log_block.h"
#include "hudi/table_history.h"
#include "hudi/test_folder.h"
#include "hudi/timeline.h"

namespace tarn::hudi {
namespace {

constexpr int64_t kIds = 60;

class HudiSavepoint : public testing::TestWithParam<bool> {
 protected:
  HudiSavepoint() : folder_(true), history_(folder_.path(), GetParam()), random_(TestSeed()) {
    RecordProperty("seed", std::to_string(TestSeed()));
  }
  void Change(int commits) {
    for (int i = 0; i < commits; i++) history_.Change(random_, 20, kIds);
  }
  void Compact() {
    const std::string instant = history_.Next();
    const auto compacted = history_.table().Compact(instant, {}, {}, true);
    ASSERT_TRUE(compacted && *compacted);
    history_.Remember(instant);
  }
  /// Keeps as little as there may be.
  void Clean(const std::string& instant) {
    ServiceOptions services;
    services.retain_micros = 1;
    const auto cleaned = history_.table().Clean(instant, services);
    ASSERT_TRUE(cleaned) << cleaned.error().message;
  }
  std::string Save() {
    const std::string instant = history_.table().LastInstant();
    const auto saved = history_.table().CreateSavepoint(instant, "ada", "before the import");
    EXPECT_TRUE(saved) << saved.error().message;
    return instant;
  }
  void CheckAsOf(const std::string& instant, const Rows& rows) {
    const auto plan = history_.reader().PlanSnapshot(instant);
    ASSERT_TRUE(plan) << plan.error().message;
    EXPECT_EQ(RowsOf(history_.storage(), **plan), rows) << "as of " << instant;
  }
  ErrorCode CodeAsOf(const std::string& instant) {
    const auto plan = history_.reader().PlanSnapshot(instant);
    return plan ? ErrorCode::kInternal : plan.error().code;
  }
  void Restore(const std::string& savepoint) {
    const auto restored = history_.table().Restore(history_.Next(), savepoint);
    ASSERT_TRUE(restored) << restored.error().message;
    history_.ReturnTo(savepoint);
  }

  TestFolder folder_;
  History history_;
  std::mt19937 random_;
};

TEST_P(HudiSavepoint, KeepsItsStateThroughCleaningUntilItIsDeleted) {
  history_.Load(30);
  Change(2);
  const std::string before = history_.table().LastInstant();
  Compact();
  Change(2);
  const std::string saved = Save();
  const Rows then = history_.rows();
  for (int i = 0; i < 2; i++) {
    Change(2);
    Compact();
  }
  Clean(history_.Next());
  history_.CheckNewest();
  CheckAsOf(saved, then);
  EXPECT_EQ(CodeAsOf(before), ErrorCode::kNotFound);
  history_.CheckValid();
  // Also by who looks for the first time, and the writer that opens the table.
  history_.OpenReader();
  CheckAsOf(saved, then);
  history_.Reopen(false);
  Clean(history_.Next());
  CheckAsOf(saved, then);

  ASSERT_TRUE(history_.table().DeleteSavepoint(saved));
  EXPECT_EQ(CodeAsOf(saved), ErrorCode::kNotFound);
  Change(1);
  Compact();
  Clean(history_.Next());
  const auto view = FileView::Load(history_.storage(), history_.base());
  for (const auto& [partition, groups] : view->partitions()) {
    for (const auto& [file_id, group] : groups) EXPECT_LE(group.bases.size(), 2U) << partition << file_id;
  }
  history_.CheckNewest();
  history_.CheckValid();
}

TEST_P(HudiSavepoint, SaysWhatItKeeps) {
  history_.Load(30);
  Change(3);
  const std::string first = Save();
  Change(1);
  const std::string second = Save();
  const auto all = history_.table().ListSavepoints();
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ((*all)[0].instant, first);
  EXPECT_EQ((*all)[1].instant, second);
  EXPECT_EQ((*all)[0].user, "ada");
  EXPECT_EQ((*all)[0].comment, "before the import");
  EXPECT_GT((*all)[0].created_micros, 0);
  // All of the slices, but no log of what came later.
  for (const Savepoint& savepoint : *all) {
    for (const auto& [partition, names] : savepoint.files) {
      EXPECT_FALSE(names.empty());
      for (const std::string& name : names) {
        const std::string path = JoinPath(JoinPath(history_.base(), partition), name);
        ASSERT_TRUE(history_.storage().Exists(path));
        if (!ParseLogFileName(name)) continue;
        const std::string bytes = *history_.storage().Read(path);
        EXPECT_LE(ParseBlocks(bytes, name)->front().instant, savepoint.instant);
      }
    }
  }
}

TEST_P(HudiSavepoint, RefusesWhatCannotBeKeptOrRestored) {
  Table& table = history_.table();
  EXPECT_EQ(table.CreateSavepoint("", "ada", "").error().code, ErrorCode::kNotFound);
  history_.Load(30);
  const std::string first = history_.table().LastInstant();
  Change(1);
  Compact();
  const std::string saved = Save();
  EXPECT_EQ(table.CreateSavepoint(saved, "ada", "").error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(table.CreateSavepoint("20200101000000000", "ada", "").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(table.DeleteSavepoint(first).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(table.Restore(history_.Next(), first).error().code, ErrorCode::kNotFound);
  Change(1);
  Compact();
  Clean(history_.Next());
  const auto cleaned = table.CreateSavepoint(first, "ada", "");
  ASSERT_FALSE(cleaned);
  EXPECT_EQ(cleaned.error().code, ErrorCode::kNotFound);
  EXPECT_NE(cleaned.error().message.find("cleaning took"), std::string::npos);
  const std::string later = Save();
  const auto refused = table.Restore(history_.Next(), saved);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
  EXPECT_NE(refused.error().message.find(later), std::string::npos);
  history_.CheckNewest();

  // A file of it that is gone.
  ASSERT_TRUE(table.DeleteSavepoint(later));
  const auto all = *table.ListSavepoints();
  const auto& [partition, names] = *all.front().files.begin();
  ASSERT_TRUE(history_.storage().Remove(JoinPath(JoinPath(history_.base(), partition), names.front())));
  const auto damaged = table.Restore(history_.Next(), saved);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, ErrorCode::kCorrupt);
  EXPECT_NE(damaged.error().message.find(names.front()), std::string::npos);
  history_.CheckNewest();
  const auto report = CheckTable(history_.storage(), history_.base(), folder_.path() + "/scratch");
  ASSERT_FALSE(report->valid());
}

TEST_P(HudiSavepoint, ArchivingStopsBeforeIt) {
  history_.Load(30);
  Change(3);
  const std::string saved = Save();
  const Rows then = history_.rows();
  Change(12);
  ServiceOptions services;
  services.keep_active_instants = 2;
  const auto archived = history_.table().Archive(history_.Next(), services);
  ASSERT_TRUE(archived);
  EXPECT_EQ(*archived, 3);
  EXPECT_EQ(ReadTimeline(history_.storage(), history_.base())->completed.begin()->first, saved);
  CheckAsOf(saved, then);
  history_.CheckValid();
  // All that is left of commits is the savepoint's: what is archived still counts.
  Restore(saved);
  history_.CheckNewest();
  history_.CheckValid();
  history_.CheckLookup(kIds);
  history_.OpenReader();
  history_.CheckNewest();
  Change(3);
  history_.CheckNewest();
  history_.CheckValid();
}

TEST_P(HudiSavepoint, RestoresWhatWasThenAndGoesOn) {
  history_.Load(30);
  Change(3);
  Compact();
  Change(2);
  const std::string saved = Save();
  for (int round = 0; round < 3; round++) {
    SCOPED_TRACE("round " + std::to_string(round));
    Change(2);
    if (round != 1) Compact();
    if (round == 2) Clean(history_.Next());
    Change(1);
    if (round != 0) history_.CheckNewest();  // Fills the reader's caches.
    Restore(saved);
    if (round != 2) history_.CheckNewest();  // Else the reader sees restore and commits at once.
    history_.CheckLookup(kIds);
    Change(2);
    history_.CheckNewest();
    history_.CheckLookup(kIds);
    history_.CheckValid();
    if (round == 2) break;
    history_.CheckAll();
  }
  const Rows then = history_.history().at(saved);
  // What is before a restore is what was restored: cleans that were undone do not hide it.
  ASSERT_TRUE(history_.table().DeleteSavepoint(saved));
  CheckAsOf(saved, then);
  history_.Reopen(true);
  Change(1);
  CheckAsOf(saved, then);
  history_.OpenReader();
  CheckAsOf(saved, then);
  history_.CheckValid();
}

/// The rows of a plan; nullopt when a restore took a file of it meanwhile.
std::optional<Rows> RowsIfThere(const storage::Storage& storage, const ScanPlan& plan) {
  std::vector<std::shared_ptr<arrow::io::RandomAccessFile>> open;
  for (const ScanFile& file : plan.files) {
    auto opened = storage.Open(file.path);
    if (!opened) return std::nullopt;
    open.push_back(std::move(*opened));
  }
  Rows rows;
  for (size_t i = 0; i < open.size(); i++) {
    const auto reader = parquet::FileReader::Open(open[i], plan.files[i].path);
    EXPECT_TRUE(reader);
    EXPECT_TRUE((*reader)->Scan({"tenant", "id", "text", "_lsn"}, 0, plan.files[i].rows,
                                [&](const auto& batch, int64_t first) -> Status {
                                  Collect(*batch, plan.files[i].deleted.get(), first, &rows);
                                  return {};
                                }));
  }
  for (const HotRows& hot : plan.hot) Collect(*hot.rows, hot.deleted.get(), 0, &rows);
  return rows;
}

TEST_P(HudiSavepoint, WhoeverReadsBesideRestoresGetsTheRowsOfTheInstantThatHeIsTold) {
  history_.Load(30);
  Change(2);
  const std::string saved = Save();
  std::mutex mutex;
  std::map<std::string, Rows> known{{saved, history_.rows()}};
  std::atomic<bool> done{false};
  std::atomic<int64_t> read{0};
  std::thread readers([&] {
    while (!done) {
      const auto plan = history_.reader().PlanSnapshot("");
      ASSERT_TRUE(plan) << plan.error().message;
      const auto rows = RowsIfThere(history_.storage(), **plan);
      if (!rows) continue;
      read++;
      std::lock_guard lock(mutex);
      ASSERT_TRUE(known.contains((*plan)->instant)) << (*plan)->instant;
      ASSERT_EQ(*rows, known.at((*plan)->instant)) << "at " << (*plan)->instant;
    }
  });
  for (int round = 0; round < 12; round++) {
    for (int i = 0; i < 2; i++) {
      const std::string instant = history_.Next();
      const ChangeSet changes = history_.Draw(random_, 20, kIds);
      {
        std::lock_guard lock(mutex);
        known[instant] = history_.rows();
      }
      history_.Commit(instant, changes);
      // Compactions change what files there are, and no row.
      const std::string compaction = history_.Next();
      {
        std::lock_guard lock(mutex);
        known[compaction] = history_.rows();
      }
      if (i == 0) continue;
      EXPECT_TRUE(history_.table().Compact(compaction, {}, {}, true));
    }
    Restore(saved);
  }
  for (const int64_t seen = read; read == seen && !HasFailure();) std::this_thread::yield();
  done = true;
  readers.join();
  history_.CheckNewest();
}

TEST_P(HudiSavepoint, RestoringWhatIsTheNewestDoesNothing) {
  history_.Load(30);
  Change(1);
  const std::string saved = Save();
  const auto files = ReadTimeline(history_.storage(), history_.base())->files;
  const auto restored = history_.table().Restore(history_.Next(), saved);
  ASSERT_TRUE(restored);
  EXPECT_TRUE(restored->rolled_back.empty());
  EXPECT_EQ(ReadTimeline(history_.storage(), history_.base())->files, files);
  history_.CheckNewest();
}

TEST_P(HudiSavepoint, LogsAreNeverNamedAsThoseThatWereRestoredAway) {
  history_.Load(30);
  Change(1);
  const std::string saved = Save();
  std::set<std::string> gone;
  const auto logs = [&] {
    std::set<std::string> names;
    const auto view = FileView::Load(history_.storage(), history_.base());
    for (const auto& [partition, groups] : view->partitions())
      for (const auto& [file_id, group] : groups)
        for (const auto& [instant, all] : group.logs)
          for (const LogFile& log : all) names.insert(log.name);
    return names;
  };
  const auto kept = logs();
  for (int round = 0; round < 3; round++) {
    Change(2);
    for (const std::string& name : logs()) {
      if (kept.contains(name)) continue;
      EXPECT_TRUE(gone.insert(name).second) << name;
    }
    Restore(saved);
    EXPECT_EQ(logs(), kept);
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, HudiSavepoint, testing::Bool(),
                         [](const auto& info) { return info.param ? "Partitioned" : "Flat"; });

}  // namespace
}  // namespace tarn::hudi
