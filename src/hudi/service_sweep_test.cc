#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <set>

#include "base/test_seed.h"
#include "hudi/file_name.h"
#include "hudi/file_view.h"
#include "hudi/known_commits.h"
#include "hudi/log_block.h"
#include "hudi/others_plan.h"
#include "hudi/small_files.h"
#include "hudi/table_history.h"
#include "hudi/test_folder.h"
#include "hudi/timeline.h"

namespace tarn::hudi {
namespace {

using storage::Failure;

constexpr int64_t kIds = 60;

/// Updates, deletes and moves to other partitions; `rows`: what is there. `partition`: a new one, or 0.
ChangeSet Changes(int64_t lsn, int64_t partition, Rows* rows) {
  Rows upserts;
  std::vector<int64_t> deletes;
  for (int64_t id = lsn % 5; id < kIds; id += 7) {
    if (id % 4 == 1) {
      deletes.push_back(id);
      rows->erase(id);
      continue;
    }
    const int64_t tenant = id % 5 == 0 ? (id + lsn) % 2 : id % 2;
    upserts[id] = (*rows)[id] = {tenant, "row " + std::to_string(lsn), lsn};
  }
  if (partition > 0) upserts[1000 + lsn] = (*rows)[1000 + lsn] = {partition, "a new partition", lsn};
  return {ToBatch(upserts), ToIds(deletes, lsn)};
}

ServiceOptions Services() {
  ServiceOptions options;
  options.retain_micros = 4'000'000;
  options.keep_active_instants = 4;
  return options;
}

/// Something that writes to the table. `after`: the rows when it is done, before it those of now.
struct Operation {
  const char* name;
  std::function<void(History&)> prepare;
  std::function<Status(History&, const std::string& instant, Rows* after)> run;
  bool opens = false;       ///< It is what Open does: it begins with the table closed.
  bool is_foreign = false;  ///< What others left is not as tarn would leave it.
  bool restores = false;    ///< To the oldest savepoint.
};

std::ostream& operator<<(std::ostream& out, const Operation& operation) { return out << operation.name; }

void Commit(History& history) {
  const std::string instant = history.Next();
  const ChangeSet changes = Changes(history.lsn(), 0, &history.rows());
  history.Commit(instant, changes);
}

/// A table with what every service looks for: old slices, logs, compactions, instants enough to be archived.
void Live(History& history) {
  Rows first;
  for (int64_t id = 0; id < kIds / 2; id++) first[id] = {id % 2, "first", 1};
  const std::string begin = history.Next();
  {
    const auto bulk = history.table().BeginBulkInsert(begin);
    ASSERT_TRUE(bulk && (*bulk)->Append(*ToBatch(first)) && (*bulk)->Finish({}));
  }
  history.rows() = first;
  history.Remember(begin);
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 3; i++) Commit(history);
    if (round == 2) break;
    const std::string instant = history.Next();
    ASSERT_TRUE(history.table().Compact(instant, {}, {}, true));
    history.Remember(instant);
  }
}

/// As if the process had ended with everything written but the completion of its commit.
void LeaveCommit(History& history) {
  Live(history);
  const History::Moment before = {history.lsn(), history.rows(), history.history()};
  Commit(history);
  const std::string failed = history.table().LastInstant();
  ASSERT_TRUE(history.storage().Remove(history.base() + "/.hoodie/" + failed + ".deltacommit"));
  history.Forget(before);
}

/// The same of a clustering.
void LeaveClustering(History& history) {
  Live(history);
  LeaveSmallFiles(history, 2);
  const std::string failed = history.Next();
  ASSERT_TRUE(history.table().Cluster(failed, {}, {}));
  ASSERT_TRUE(history.storage().Remove(history.base() + "/.hoodie/" + failed + ".replacecommit"));
}

/// What Spark leaves when it is killed: several logs of a slice, the last of them cut off, and its markers.
void LeaveSparkCommit(History& history) {
  LeaveCommit(history);
  storage::Storage& storage = history.storage();
  const std::string hoodie = history.base() + "/.hoodie/";
  const std::string failed = ReadTimeline(storage, history.base())->pending.front().instant;
  const auto view = FileView::Load(storage, history.base());
  for (const auto& [partition, groups] : view->partitions()) {
    for (const auto& [file_id, group] : groups) {
      const auto& [base_instant, logs] = *group.logs.rbegin();
      const std::string folder = JoinPath(history.base(), partition) + "/";
      const std::string bytes = *storage.Read(folder + logs.back().name);
      if (ParseBlocks(bytes, "")->back().instant != failed) continue;
      const auto name = [&](int more) {
        return FormatLogFileName(file_id, base_instant, logs.back().version + more, "1-5-33");
      };
      ASSERT_TRUE(storage.Write(folder + name(1), bytes));
      ASSERT_TRUE(storage.Write(folder + name(2), std::string_view(bytes).substr(0, bytes.size() / 2)));
      ASSERT_TRUE(storage.Write(folder + name(3), ""));
      ASSERT_TRUE(storage.Write(hoodie + ".temp/" + failed + "/" + JoinPath(partition, file_id) + "_1-5-33_" +
                                    base_instant + ".parquet.marker.APPEND",
                                ""));
    }
  }
}

/// The same of a clean whose files are half gone.
void LeaveClean(History& history) {
  Live(history);
  history.failing().CountRemovals();
  history.failing().FailWrite(5);
  ASSERT_FALSE(history.table().Clean(history.Next(), Services()));
  history.failing().FailWrite(0);
}

/// An instant in the midst, with logs from before and after it.
std::string Midst(History& history) { return std::next(history.history().begin(), 5)->first; }

void Save(History& history, const std::string& instant) {
  const auto savepoint = history.table().CreateSavepoint(instant, "sweep", "to go back to");
  ASSERT_TRUE(savepoint) << savepoint.error().message;
}

void LiveWithSavepoint(History& history) {
  Live(history);
  Save(history, Midst(history));
}

Status Restore(History& history, const std::string& instant, Rows* after) {
  TARN_ASSIGN(const Timeline timeline, ReadTimeline(history.storage(), history.base()));
  const std::string& savepoint = *timeline.savepoints.begin();
  *after = history.history().at(savepoint);
  TARN_RETURN_IF_ERROR(history.table().Restore(instant, savepoint));
  return {};
}

/// A restore in which some commits are gone, one half.
void LeaveRestore(History& history) {
  LiveWithSavepoint(history);
  history.failing().CountRemovals();
  history.failing().FailWrite(12);
  Rows after;
  ASSERT_FALSE(Restore(history, history.Next(), &after));
  history.failing().FailWrite(0);
  history.ReturnTo(Midst(history));
}

Status Finished(const Result<CommitResult>& result) {
  if (!result) return result.error();
  return {};
}

Status Reload(History& history, const std::string& instant, Rows* after) {
  TARN_ASSIGN(const auto reload, history.table().BeginReload(instant, NarrowSchema()));
  after->clear();
  for (int64_t id = 0; id < kIds; id += 3) (*after)[id] = {id % 3, "reloaded", history.lsn()};
  TARN_RETURN_IF_ERROR(reload->Append(*ToBatch(*after)));
  return Finished(reload->Finish({}));
}

Status Replace(History& history, const std::string& instant, Rows* after) {
  const bool partitioned = !history.table().options().partition_fields.empty();
  std::erase_if(*after, [&](const auto& entry) { return !partitioned || entry.second.tenant == 1; });
  Rows fresh;
  // Some of these live in other partitions: they move.
  for (int64_t id = 0; id < kIds; id += 5) (*after)[id] = fresh[id] = {1, "replaced", history.lsn()};
  return Finished(
      history.table().ReplacePartitions(instant, {partitioned ? "tenant=1" : ""}, {ToBatch(fresh)}, {}));
}

const Operation kOperations[] = {
    {"Commit", Live,
     [](History& history, const auto& instant, Rows* after) {
       const ChangeSet changes = Changes(history.lsn(), 9, after);
       return Finished(history.table().Upsert(instant, changes, {}));
     }},
    {"Compaction", Live,
     [](History& history, const auto& instant, Rows*) -> Status {
       TARN_RETURN_IF_ERROR(history.table().Compact(instant, {}, {}, true));
       return {};
     }},
    {"Clean", Live,
     [](History& history, const auto& instant, Rows*) -> Status {
       TARN_RETURN_IF_ERROR(history.table().Clean(instant, Services()));
       return {};
     }},
    {"Archive", Live,
     [](History& history, const auto& instant, Rows*) -> Status {
       TARN_RETURN_IF_ERROR(history.table().Archive(instant, Services()));
       return {};
     }},
    {"SecondArchive",
     [](History& history) {
       Live(history);
       ASSERT_TRUE(history.table().Archive(history.Next(), Services()));
       for (int i = 0; i < 6; i++) Commit(history);
     },
     [](History& history, const auto& instant, Rows*) -> Status {
       TARN_RETURN_IF_ERROR(history.table().Archive(instant, Services()));
       return {};
     }},
    {"ReplacePartitions", Live, Replace},
    {"Truncate", Live,
     [](History& history, const auto& instant, Rows* after) {
       after->clear();
       return Finished(history.table().Truncate(instant, {}));
     }},
    {"Reload", Live, Reload},
    {"Rollback", LeaveCommit, [](History& history, const auto&, Rows*) { return history.TryOpen(); }, true},
    {"RollbackOfSpark", LeaveSparkCommit,
     [](History& history, const auto&, Rows*) { return history.TryOpen(); }, true, true},
    {"CleanThatWasCutOff", LeaveClean, [](History& history, const auto&, Rows*) { return history.TryOpen(); },
     true},
    {"Savepoint", Live,
     [](History& history, const auto&, Rows*) -> Status {
       const std::string newest = history.table().LastInstant();
       TARN_RETURN_IF_ERROR(history.table().CreateSavepoint(newest, "sweep", "of a sweep"));
       return {};
     }},
    {"DeletedSavepoint",
     [](History& history) {
       Live(history);
       for (const auto& [instant, rows] : history.history()) Save(history, instant);
     },
     [](History& history, const auto&, Rows*) -> Status {
       TARN_ASSIGN(const auto savepoints, history.table().ListSavepoints());
       return history.table().DeleteSavepoint(savepoints.back().instant);
     }},
    {"CleanBesideSavepoint", LiveWithSavepoint,
     [](History& history, const auto& instant, Rows*) -> Status {
       TARN_RETURN_IF_ERROR(history.table().Clean(instant, Services()));
       return {};
     }},
    {"Restore", LiveWithSavepoint, Restore, false, false, true},
    {"RestoreThatWasCutOff", LeaveRestore,
     [](History& history, const auto&, Rows*) { return history.TryOpen(); }, true, false, true},
    // Half-made, it has base files of a commit that did not complete.
    {"PlannedCompaction",
     [](History& history) {
       Live(history);
       PlanAsOthersDo(history, Commit);
       ASSERT_TRUE(history.TryOpen());
     },
     [](History& history, const auto& instant, Rows*) -> Status {
       TARN_RETURN_IF_ERROR(history.table().Compact(instant, {}, {}, false));
       return {};
     },
     false, true},
    {"Clustering",
     [](History& history) {
       Live(history);
       LeaveSmallFiles(history, 2);
     },
     [](History& history, const auto& instant, Rows*) -> Status {
       TARN_RETURN_IF_ERROR(history.table().Cluster(instant, {}, {}));
       return {};
     }},
    {"RollbackOfClustering", LeaveClustering,
     [](History& history, const auto&, Rows*) { return history.TryOpen(); }, true},
    {"CleanOfClustered",
     [](History& history) {
       Live(history);
       LeaveSmallFiles(history, 2);
       const std::string instant = history.Next();
       ASSERT_TRUE(history.table().Cluster(instant, {}, {}));
       history.Remember(instant);
       for (int i = 0; i < 5; i++) Commit(history);
     },
     [](History& history, const auto& instant, Rows*) -> Status {
       TARN_RETURN_IF_ERROR(history.table().Clean(instant, Services()));
       TARN_RETURN_IF_ERROR(history.table().Archive(instant, Services()));
       return {};
     }},
    {"CloseAndOpen", Live,
     [](History& history, const auto&, Rows*) -> Status {
       TARN_RETURN_IF_ERROR(history.table().Close());
       return history.TryOpen();
     }},
};

/// Rows of one of these, told which; what neither is fails the test.
bool IsNew(const Rows& found, const Rows& before, const Rows& after) {
  EXPECT_TRUE(found == before || found == after) << "neither the state before nor the one after";
  return found == after;
}

Rows Newest(History& history) {
  const auto plan = history.reader().PlanSnapshot("");
  EXPECT_TRUE(plan) << plan.error().message;
  return plan ? RowsOf(history.storage(), **plan) : Rows();
}

/// Whoever reads the past gets what was there then, or is told that it is gone.
void CheckPast(History& history, const std::string& instant) {
  const std::string kept = FormatInstant(*ParseInstant(instant) - Services().retain_micros);
  const auto savepoints = ReadTimeline(history.storage(), history.base())->savepoints;
  for (const auto& [then, rows] : history.history()) {
    const auto plan = history.reader().PlanSnapshot(then);
    if (!plan) {
      EXPECT_FALSE(savepoints.contains(then)) << plan.error().message;
      EXPECT_EQ(plan.error().code, ErrorCode::kNotFound) << plan.error().message;
      EXPECT_LT(then, kept) << plan.error().message;
    } else {
      EXPECT_EQ(RowsOf(history.storage(), **plan), rows) << "as of " << then;
    }
  }
}

using Sweep = std::tuple<Operation, Failure, bool>;
class HudiSweep : public testing::TestWithParam<Sweep> {};

/// One operation whose nth input or output fails, and what comes after.
class SweepRun {
 public:
  SweepRun(History& history, const Operation& operation, Failure how, int64_t nth)
      : history_(history), operation_(operation), how_(how), nth_(nth) {}

  /// Whether there was an nth.
  bool Run() {
    if (!operation_.opens) history_.Reopen(false);
    const std::string instant = history_.Next();
    const Rows before = history_.rows();
    Rows after = before;
    commits_ = KnownCommits(history_.storage(), history_.base());
    history_.failing().FailWrite(nth_, how_);
    const Status done = operation_.run(history_, instant, &after);
    const bool failed = history_.failing().failed();
    history_.failing().FailWrite(0);
    history_.rows() = before;
    // As others find the table, before its writer looks at it again.
    history_.OpenReader();
    const bool is_new = IsNew(Newest(history_), before, after);
    EXPECT_TRUE(is_new || !done);
    if (is_new) Return();
    CheckPast(history_, instant);
    if (how_ != Failure::kTorn && !operation_.is_foreign) CheckTold(is_new ? after : before);
    Recover();
    if (testing::Test::HasFailure()) return failed;
    EXPECT_EQ(IsNew(Newest(history_), before, after), is_new) << "recovery changes what there is";
    if (is_new) history_.rows() = after;
    if (history_.table().LastInstant() == instant) history_.Remember(instant);
    CheckAll(instant);
    Again();
    return failed;
  }

 private:
  void CheckTold(const Rows& rows) {
    const auto report = CheckTable(history_.storage(), history_.base(), history_.side() + "/scratch");
    ASSERT_TRUE(report) << report.error().message;
    for (const TableFault& fault : report->faults) {
      // A restore under way is told of.
      if (operation_.restores && !recovered_ && fault.where.find(".restore.") != std::string::npos) continue;
      ADD_FAILURE() << fault.where << ": " << fault.what;
    }
    EXPECT_EQ(report->rows, static_cast<int64_t>(rows.size()));
  }
  /// After a restore there is no more history than that.
  void Return() {
    if (!operation_.restores) return;
    const std::string savepoint = *ReadTimeline(history_.storage(), history_.base())->savepoints.begin();
    history_.ReturnTo(savepoint);
    commits_.erase(commits_.upper_bound(savepoint), commits_.end());
  }
  /// The same process goes on, or another one begins.
  void Recover() {
    const bool goes_on = how_ != Failure::kGone && nth_ % 2 == 0 && history_.is_open();
    const Status done = goes_on ? history_.table().Settle() : history_.TryOpen();
    ASSERT_TRUE(done) << done.error().message;
    recovered_ = true;
  }
  void CheckAll(const std::string& instant) {
    history_.CheckNewest();
    CheckPast(history_, instant);
    history_.CheckLookup(kIds);
    history_.OpenReader();
    history_.CheckNewest();
    CheckTold(history_.rows());
    EXPECT_TRUE(history_.storage().List(history_.base() + "/.hoodie/.temp")->empty());
    const auto partition = history_.storage().Read(history_.base() + "/tenant=9/.hoodie_partition_metadata");
    if (partition && history_.rows().contains(1000 + history_.lsn())) {
      EXPECT_NE(partition->find("partitionDepth="), std::string::npos);
    }
    const std::set<std::string> commits = KnownCommits(history_.storage(), history_.base());
    EXPECT_TRUE(how_ == Failure::kTorn || std::ranges::includes(commits, commits_))
        << "the archive lost what it had";
  }
  /// The next commit and the next run of the same, to which nothing happens.
  void Again() {
    history_.Next();
    Commit(history_);
    if (testing::Test::HasFatalFailure()) return;
    const std::string instant = history_.Next();
    if (operation_.opens) history_.Reopen(false);
    Rows after = history_.rows();
    const Status done = operation_.run(history_, instant, &after);
    ASSERT_TRUE(done) << done.error().message;
    history_.rows() = after;
    if (!operation_.opens) Return();
    if (history_.table().LastInstant() == instant) history_.Remember(instant);
    CheckAll(instant);
  }

  History& history_;
  const Operation& operation_;
  const Failure how_;
  const int64_t nth_;
  std::set<std::string> commits_;
  bool recovered_ = false;
};

TEST_P(HudiSweep, LeavesTheOldStateOrTheNewAndWhatFollowsSucceeds) {
  const auto& [operation, how, partitioned] = GetParam();
  const TestFolder folder(true);
  History history(folder.path(), partitioned);
  operation.prepare(history);
  ASSERT_FALSE(HasFailure());
  const History::Moment begin = history.Keep();
  history.failing().CountAll();
  // The odd ones or the even ones, as the seed says: neighbours mostly fail in the same code.
  // TARN_EVERY_IO=1: all.
  const bool all = std::getenv("TARN_EVERY_IO") != nullptr;
  const uint32_t seed = TestSeed();
  RecordProperty("seed", std::to_string(seed));
  int64_t nth = 1 + (all ? 0 : seed % 2);
  for (;; nth += all ? 1 : 2) {
    SCOPED_TRACE(fmt::format("operation {}, TARN_SEED={}", nth, seed));
    history.Rewind(begin);
    const bool failed = SweepRun(history, operation, how, nth).Run();
    if (HasFailure() || !failed) break;
  }
  EXPECT_GT(nth, 3);
  RecordProperty("failures", static_cast<int>(nth - 1));
}

std::string NameOf(const testing::TestParamInfo<Sweep>& info) {
  const char* const kFailures[] = {"Refused", "Unheard", "Torn", "Gone"};
  return std::string(std::get<0>(info.param).name) + kFailures[static_cast<size_t>(std::get<1>(info.param))] +
         (std::get<2>(info.param) ? "Partitioned" : "Flat");
}

/// Each operation with each failure, half of them in a table with partitions; all of them would take twice as
/// long and meet the same code.
std::vector<Sweep> Sweeps() {
  std::vector<Sweep> sweeps;
  for (const Operation& operation : kOperations) {
    for (const Failure how : {Failure::kRefused, Failure::kUnheard, Failure::kTorn, Failure::kGone})
      sweeps.emplace_back(operation, how, (sweeps.size() + sweeps.size() / 4) % 2 == 0);
  }
  return sweeps;
}

INSTANTIATE_TEST_SUITE_P(Operations, HudiSweep, testing::ValuesIn(Sweeps()), NameOf);

}  // namespace
}  // namespace tarn::hudi
