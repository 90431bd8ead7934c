#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>

#include "base/test_seed.h"
#include "hudi/file_view.h"
#include "hudi/heartbeat.h"
#include "hudi/properties.h"
#include "hudi/table_history.h"
#include "hudi/table_lock.h"
#include "hudi/test_folder.h"
#include "hudi/timeline.h"

extern char** environ;

namespace tarn::hudi {
namespace {

using storage::FailingStorage;
using storage::Failure;

constexpr int64_t kMinute = 60'000'000;

/// Calls something just before its n-th write.
class InterruptedStorage : public storage::ForwardingStorage {
 public:
  using ForwardingStorage::ForwardingStorage;
  void Interrupt(int64_t nth, std::function<void()> with) {
    left_ = nth;
    with_ = std::move(with);
  }
  bool was_interrupted() const { return left_ == 0; }

  Status Write(const std::string& path, std::string_view bytes) override {
    Count();
    return real()->Write(path, bytes);
  }
  Status PutIfAbsent(const std::string& path, std::string_view bytes) override {
    Count();
    return real()->PutIfAbsent(path, bytes);
  }
  Status Remove(const std::string& path) override {
    Count();
    return real()->Remove(path);
  }

 private:
  void Count() {
    if (left_ == 0 || --left_ > 0) return;
    std::exchange(with_, nullptr)();
  }
  int64_t left_ = 0;
  std::function<void()> with_;
};

/// One of several writers of a table, as a process of its own would be.
class Writer {
 public:
  Writer(const std::string& folder, const std::string& name, const Clock& clock = Clock::System())
      : base_(folder + "/orders"), side_(folder + "/side-" + name) {
    failing_ = std::make_unique<FailingStorage>(*storage::OpenLocalStorage(folder + "/staging-" + name));
    failing_->CountRemovals();
    storage_ = std::make_unique<InterruptedStorage>(failing_.get());
    sharing_.lock_wait_micros = 0;
    sharing_.clock = &clock;
    Open();
  }
  void Open() {
    table_.reset();
    auto table = Table::Open(storage_.get(), base_, side_, sharing_);
    ASSERT_TRUE(table) << table.error().message;
    table_ = std::move(*table);
  }
  Table& table() { return *table_; }
  InterruptedStorage& storage() { return *storage_; }
  FailingStorage& failing() { return *failing_; }
  SharingOptions& sharing() { return sharing_; }

  Result<CommitResult> Upsert(const std::string& instant, const Rows& rows,
                              const std::vector<int64_t>& deletes = {}) {
    return table_->Upsert(instant, {ToBatch(rows), ToIds(deletes, 1000)}, {});
  }

 private:
  std::string base_, side_;
  std::unique_ptr<FailingStorage> failing_;
  std::unique_ptr<InterruptedStorage> storage_;
  SharingOptions sharing_;
  std::unique_ptr<Table> table_;
};

/// A table that a process alone has loaded, with what it must hold.
class Shared {
 public:
  explicit Shared(bool partitioned = true) : folder_(true), history_(folder_.path(), partitioned) {
    history_.Load(40);
    EXPECT_TRUE(history_.table().Close());
  }
  const std::string& folder() const { return folder_.path(); }
  std::string base() const { return history_.base(); }
  std::string Next() { return history_.Next(); }
  Rows& rows() { return history_.rows(); }
  storage::Storage& storage() { return history_.storage(); }
  History& history() { return history_; }

  void Put(const Rows& rows) {
    for (const auto& [id, row] : rows) history_.rows()[id] = row;
  }
  /// What readers find is what must be there, and the table is as any reader wants it.
  void Check() {
    history_.OpenReader();
    history_.CheckNewest();
    const auto report = CheckTable(storage(), base(), folder_.path() + "/scratch");
    ASSERT_TRUE(report) << report.error().message;
    for (const TableFault& fault : report->faults) ADD_FAILURE() << fault.where << ": " << fault.what;
    EXPECT_EQ(report->rows, static_cast<int64_t>(rows().size()));
    EXPECT_FALSE(storage().Exists(base() + "/.hoodie/lock"));
  }
  void CheckNothingIsLeft() {
    EXPECT_TRUE(ReadTimeline(storage(), base())->pending.empty());
    EXPECT_TRUE(storage().List(base() + "/.hoodie/.heartbeat")->empty());
  }

 private:
  TestFolder folder_;
  History history_;
};

Rows RowsOfTenant(int64_t tenant, const std::string& text, int64_t lsn) {
  Rows rows;
  for (int64_t id = tenant; id < 40; id += 4) rows[id] = {tenant, text, lsn};
  return rows;
}

/// Runs `other` just before the n-th write of `one`, for each n, in a fresh table.
void AtEveryStep(const std::function<void(Shared&, Writer&, Writer&, int64_t nth)>& run) {
  int64_t nth = 1;
  for (bool was = true; was && nth < 100; nth++) {
    SCOPED_TRACE(fmt::format("before write {}", nth));
    Shared shared;
    Writer one(shared.folder(), "one"), other(shared.folder(), "other");
    run(shared, one, other, nth);
    was = one.storage().was_interrupted();
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(nth, 6);
}

TEST(SharedTable, CommitsToDifferentGroupsBothStayAtEveryStep) {
  AtEveryStep([](Shared& shared, Writer& one, Writer& other, int64_t nth) {
    const std::string first = shared.Next(), second = shared.Next();
    const Rows ones = RowsOfTenant(0, "one", 10), others = RowsOfTenant(1, "other", 10);
    Result<CommitResult> interrupted = CommitResult();
    one.storage().Interrupt(nth, [&] { interrupted = other.Upsert(second, others); });
    const auto done = one.Upsert(first, ones);
    ASSERT_TRUE(done) << done.error().message;
    shared.Put(ones);
    if (!interrupted) {
      // The lock was held.
      EXPECT_EQ(interrupted.error().code, ErrorCode::kConflict);
      EXPECT_NE(interrupted.error().message.find("/.hoodie/lock'"), std::string::npos);
      ASSERT_TRUE(other.Upsert(shared.Next(), others));
    } else if (!one.storage().was_interrupted()) {
      ASSERT_TRUE(other.Upsert(second, others));
    }
    shared.Put(others);
    shared.Check();
    shared.CheckNothingIsLeft();
    // Both know what the other one did.
    ASSERT_TRUE(one.table().Refresh() && other.table().Refresh());
    for (Writer* writer : {&one, &other}) {
      const auto found = writer->table().LookupRows(*ToIds({0, 1}, 0));
      ASSERT_TRUE(found) << found.error().message;
      const auto& texts = static_cast<const arrow::StringArray&>(*found->rows->GetColumnByName("text"));
      EXPECT_EQ(texts.GetString(0) + texts.GetString(1), "oneother");
    }
  });
}

TEST(SharedTable, OfTwoCommitsToOneGroupTheLaterFailsAtEveryStep) {
  AtEveryStep([](Shared& shared, Writer& one, Writer& other, int64_t nth) {
    const std::string first = shared.Next(), second = shared.Next();
    const Rows ones = {{0, {0, "one", 10}}}, others = {{4, {0, "other", 10}}};
    Result<CommitResult> interrupted = MakeError(ErrorCode::kInternal, "never");
    one.storage().Interrupt(nth, [&] { interrupted = other.Upsert(second, others); });
    const auto done = one.Upsert(first, ones);
    if (interrupted) {
      ASSERT_FALSE(done);
      EXPECT_EQ(done.error().code, ErrorCode::kConflict);
      EXPECT_TRUE(IsRetryable(done.error().code));
      EXPECT_NE(done.error().message.find(second), std::string::npos) << done.error().message;
      EXPECT_NE(done.error().message.find("file group"), std::string::npos) << done.error().message;
      shared.Put(others);
      shared.Check();
      ASSERT_TRUE(one.Upsert(shared.Next(), ones));
      shared.Put(ones);
    } else {
      ASSERT_TRUE(done) << done.error().message;
      shared.Put(ones);
      if (interrupted.error().code != ErrorCode::kInternal) {
        EXPECT_EQ(interrupted.error().code, ErrorCode::kConflict) << interrupted.error().message;
      }
      shared.Check();
      // Its state is of before: that it did not try yet does not help.
      if (interrupted.error().code == ErrorCode::kInternal) {
        ASSERT_FALSE(other.Upsert(shared.Next(), others));
      }
      ASSERT_TRUE(other.Upsert(shared.Next(), others));
      shared.Put(others);
    }
    shared.Check();
    shared.CheckNothingIsLeft();
  });
}

TEST(SharedTable, AKeyThatBothInsertIsThereOnce) {
  AtEveryStep([](Shared& shared, Writer& one, Writer& other, int64_t nth) {
    const std::string first = shared.Next(), second = shared.Next();
    // Two partitions, neither of which is there: no file group is touched by both.
    const Rows ones = {{100, {7, "one", 10}}}, others = {{100, {8, "other", 11}}};
    Result<CommitResult> interrupted = MakeError(ErrorCode::kInternal, "never");
    one.storage().Interrupt(nth, [&] { interrupted = other.Upsert(second, others); });
    const auto done = one.Upsert(first, ones);
    if (interrupted) {
      ASSERT_FALSE(done);
      EXPECT_EQ(done.error().code, ErrorCode::kConflict);
      EXPECT_NE(done.error().message.find("id:100"), std::string::npos) << done.error().message;
    } else {
      ASSERT_TRUE(done) << done.error().message;
    }
    shared.Put(interrupted ? others : ones);
    shared.Check();
    ASSERT_TRUE(one.table().Refresh() && other.table().Refresh());
    shared.CheckNothingIsLeft();
  });
}

TEST(SharedTable, WhatReplacesAPartitionConflictsWithWhatIsInsertedThere) {
  AtEveryStep([](Shared& shared, Writer& one, Writer& other, int64_t nth) {
    const std::string first = shared.Next(), second = shared.Next();
    const Rows ones = {{0, {0, "one", 10}}}, others = {{100, {0, "other", 10}}};
    Result<CommitResult> interrupted = MakeError(ErrorCode::kInternal, "never");
    one.storage().Interrupt(nth, [&] { interrupted = other.Upsert(second, others); });
    const auto done = one.table().ReplacePartitions(first, {"tenant=0"}, {ToBatch(ones)}, {});
    EXPECT_NE(done.has_value(), interrupted.has_value());
    if (done) std::erase_if(shared.rows(), [](const auto& entry) { return entry.second.tenant == 0; });
    shared.Put(done ? ones : others);
    shared.Check();
    ASSERT_TRUE(one.table().Refresh() && other.table().Refresh());
    shared.CheckNothingIsLeft();
  });
}

TEST(SharedTable, ACommitAndACompactionLoseNothingAtEveryStep) {
  AtEveryStep([](Shared& shared, Writer& one, Writer& other, int64_t nth) {
    ASSERT_TRUE(one.Upsert(shared.Next(), RowsOfTenant(0, "log", 5)));
    shared.Put(RowsOfTenant(0, "log", 5));
    ASSERT_TRUE(other.table().Refresh());
    const Rows ones = {{0, {0, "one", 10}}};
    const std::string first = shared.Next();
    bool compacted = false;
    one.storage().Interrupt(nth, [&] {
      const auto done = other.table().Compact(shared.Next(), {}, {}, true);
      compacted = done.has_value();
      if (!done) {
        EXPECT_EQ(done.error().code, ErrorCode::kConflict) << done.error().message;
      }
    });
    const auto done = one.Upsert(first, ones);
    EXPECT_EQ(done.has_value(), !compacted);
    if (!done) {
      ASSERT_TRUE(one.Upsert(shared.Next(), ones));
    }
    shared.Put(ones);
    shared.Check();
    ASSERT_TRUE(one.table().Refresh() && other.table().Refresh());
    shared.CheckNothingIsLeft();
  });
}

TEST(SharedTable, CommitsStandBehindACompactionThatIsUnderWay) {
  AtEveryStep([](Shared& shared, Writer& one, Writer& other, int64_t nth) {
    ASSERT_TRUE(one.Upsert(shared.Next(), RowsOfTenant(0, "log", 5)));
    shared.Put(RowsOfTenant(0, "log", 5));
    const Rows others = {{0, {0, "other", 10}}};
    const std::string plan = shared.Next();
    Result<CommitResult> behind = MakeError(ErrorCode::kInternal, "never");
    one.storage().Interrupt(nth, [&] {
      if (other.table().Refresh()) behind = other.Upsert(shared.Next(), others);
    });
    const auto done = one.table().Compact(plan, {}, {}, true);
    const bool was_begun = nth > 2;  // The sign of life and the lock.
    if (behind) shared.Put(others);
    if (done) {
      shared.Check();
      ASSERT_TRUE(one.table().Refresh() && other.table().Refresh());
      shared.CheckNothingIsLeft();
    } else {
      EXPECT_EQ(done.error().code, ErrorCode::kConflict) << done.error().message;
      EXPECT_TRUE(behind.has_value() && nth <= 3) << done.error().message << was_begun;
      shared.Check();
    }
    ASSERT_TRUE(other.table().Refresh());
    ASSERT_TRUE(other.Upsert(shared.Next(), {{8, {0, "after", 20}}}));
    shared.Put({{8, {0, "after", 20}}});
    shared.Check();
  });
}

/// One dies at its n-th write; another goes on, at once and when the sign of life is too old.
class SharedDeath : public testing::TestWithParam<bool> {};

TEST_P(SharedDeath, ADeadCommitIsRolledBackByTheOtherButNotALivingOne) {
  const bool compacts = GetParam();
  for (int64_t nth = 1; nth < 60; nth++) {
    SCOPED_TRACE(fmt::format("dies at write {}", nth));
    ManualClock clock(Clock::System().NowMicros());
    Shared shared;
    auto one = std::make_unique<Writer>(shared.folder(), "one", clock);
    ASSERT_TRUE(one->Upsert(shared.Next(), RowsOfTenant(1, "log", 5)));
    shared.Put(RowsOfTenant(1, "log", 5));
    Writer other(shared.folder(), "other", clock);
    Rows ones = {{0, {0, "one", 10}}, {1, {1, "one", 10}}, {200, {9, "one", 10}}};
    one->failing().FailWrite(nth, Failure::kGone);
    const std::string instant = shared.Next();
    bool done = false;
    if (compacts) {
      done = one->table().Compact(instant, {}, {}, true).has_value();
      ones.clear();
    } else {
      done = one->Upsert(instant, ones).has_value();
    }
    one.reset();
    const auto left = ReadTimeline(shared.storage(), shared.base());
    const bool is_new = left->completed.contains(instant);
    EXPECT_TRUE(is_new || !done);
    if (is_new) shared.Put(ones);
    // Its time is not over: the other one leaves it alone.
    const auto refreshed = other.table().Refresh();
    ASSERT_TRUE(refreshed) << refreshed.error().message;
    EXPECT_EQ(ReadTimeline(shared.storage(), shared.base())->pending.size(), left->pending.size());
    const auto beside = other.Upsert(shared.Next(), {{2, {2, "beside", 10}}});
    if (beside)
      shared.Put({{2, {2, "beside", 10}}});
    else
      EXPECT_EQ(beside.error().code, ErrorCode::kConflict) << beside.error().message;
    clock.Advance(5 * kMinute);
    other.Open();
    ASSERT_FALSE(testing::Test::HasFailure());
    const auto after = other.Upsert(shared.Next(), {{1, {1, "after", 20}}, {2, {2, "after", 20}}});
    ASSERT_TRUE(after) << after.error().message;
    shared.Put({{1, {1, "after", 20}}, {2, {2, "after", 20}}});
    shared.Check();
    if (compacts) {
      // A plan stays, for others may stand behind it; the next compaction makes it.
      const auto compacted = other.table().Compact(shared.Next(), {}, {}, true);
      ASSERT_TRUE(compacted) << compacted.error().message;
    }
    shared.Check();
    EXPECT_TRUE(ReadTimeline(shared.storage(), shared.base())->pending.empty());
    if (HasFailure() || done) break;
  }
}

INSTANTIATE_TEST_SUITE_P(Of, SharedDeath, testing::Bool(),
                         [](const auto& info) { return info.param ? "Compaction" : "Commit"; });

TEST(SharedTable, RandomHistoriesOfTwoWritersEqualTheOracle) {
  const uint32_t seed = TestSeed();
  SCOPED_TRACE(fmt::format("TARN_SEED={}", seed));
  std::mt19937 random(seed);
  Shared shared;
  Writer one(shared.folder(), "one"), other(shared.folder(), "other");
  int conflicts = 0, commits = 0, interrupted = 0;
  // Whether it was done; what must be there follows.
  const auto step = [&](Writer& writer) {
    // What it changes rests upon a state that it knows: no row of it has a later _lsn.
    const Status ready = random() % 2 == 0 ? writer.table().Refresh() : writer.table().Settle();
    if (!ready) {
      // The other one has the lock.
      ASSERT_EQ(ready.error().code, ErrorCode::kConflict) << ready.error().message;
      conflicts++;
      return;
    }
    const std::string instant = shared.Next();
    Status done;
    Rows upserts;
    std::vector<int64_t> deletes;
    const auto kind = random() % 10;
    if (kind == 0) {
      const auto compacted = writer.table().Compact(instant, {}, {}, true);
      if (!compacted) done = compacted.error();
    } else if (kind == 1) {
      ServiceOptions options;
      options.retain_micros = 8'000'000;
      options.keep_active_instants = 8;
      const auto cleaned = writer.table().Clean(instant, options);
      if (!cleaned) done = cleaned.error();
      const auto archived = cleaned ? writer.table().Archive(instant, options) : cleaned;
      if (!archived) done = archived.error();
    } else {
      for (int i = 0; i < 3; i++) {
        const auto id = static_cast<int64_t>(random() % 60);
        if (random() % 4 == 0)
          deletes.push_back(id);
        else
          upserts[id] = {static_cast<int64_t>(random() % 6), "row " + std::to_string(random() % 1000),
                         shared.history().lsn()};
      }
      std::erase_if(deletes, [&](int64_t id) { return upserts.contains(id); });
      const auto committed =
          writer.table().Upsert(instant, {ToBatch(upserts), ToIds(deletes, shared.history().lsn())}, {});
      if (!committed) done = committed.error();
    }
    if (!done) {
      // An instant that the other one has overtaken is no instant of ours any more.
      const bool is_old = done.error().message.find("is not after") != std::string::npos;
      ASSERT_TRUE(done.error().code == ErrorCode::kConflict || is_old) << done.error().message;
      conflicts++;
      return;
    }
    commits++;
    for (const int64_t id : deletes) shared.rows().erase(id);
    shared.Put(upserts);
  };
  for (int round = 0; round < 70 && !HasFailure(); round++) {
    Writer& first = random() % 2 == 0 ? one : other;
    Writer& second = &first == &one ? other : one;
    first.storage().Interrupt(1 + random() % 12, [&] {
      interrupted++;
      step(second);
    });
    step(first);
    first.storage().Interrupt(0, nullptr);
    if (round % 10 == 9) shared.Check();
  }
  shared.Check();
  EXPECT_GT(conflicts, 5);
  EXPECT_GT(commits, 20);
  EXPECT_GT(interrupted, 20);
}

/// What a process of ProcessesThatCountTogether does: adds one to rows that it looks up, again and again.
void CountUp(const std::string& folder, int number) {
  Writer writer(folder, std::to_string(number));
  writer.sharing().lock_wait_micros = 20'000'000;
  writer.Open();
  std::mt19937 random(static_cast<uint32_t>(number));
  for (int done = 0; done < 15;) {
    ASSERT_TRUE(writer.table().Refresh());
    const auto id = static_cast<int64_t>(random() % 3);
    const auto found = writer.table().LookupRows(*ToIds({id}, 0));
    ASSERT_TRUE(found) << found.error().message;
    ASSERT_TRUE(found->found[0]);
    const auto& lsns = static_cast<const arrow::Int64Array&>(*found->rows->GetColumnByName("_lsn"));
    const int64_t now = Clock::System().NowMicros();
    const std::string instant =
        std::max(FormatInstant(now), FormatInstant(*ParseInstant(writer.table().LastInstant()) + 1000));
    const auto counted = writer.Upsert(instant, {{id, {id % 4, "counted", lsns.Value(0) + 1}}});
    if (counted) done++;
    if (counted || counted.error().message.find("is not after") != std::string::npos) continue;
    ASSERT_EQ(counted.error().code, ErrorCode::kConflict) << counted.error().message;
  }
}

TEST(SharedTable, ProcessesThatCountTogether) {
  if (const char* folder = std::getenv("TARN_SHARED_FOLDER")) {
    CountUp(folder, std::atoi(std::getenv("TARN_SHARED_NUMBER")));
    return;
  }
  Shared shared;
  std::vector<pid_t> processes;
  for (int number = 0; number < 3; number++) {
    ASSERT_EQ(setenv("TARN_SHARED_FOLDER", shared.folder().c_str(), 1), 0);
    ASSERT_EQ(setenv("TARN_SHARED_NUMBER", std::to_string(number).c_str(), 1), 0);
    std::string program = "/proc/self/exe", filter = "--gtest_filter=SharedTable.ProcessesThatCountTogether";
    char* const arguments[] = {program.data(), filter.data(), nullptr};
    pid_t process = 0;
    ASSERT_EQ(posix_spawn(&process, std::filesystem::read_symlink(program).c_str(), nullptr, nullptr,
                          arguments, environ),
              0);
    processes.push_back(process);
  }
  unsetenv("TARN_SHARED_FOLDER");
  for (const pid_t process : processes) {
    int status = 0;
    ASSERT_EQ(waitpid(process, &status, 0), process);
    EXPECT_EQ(status, 0);
  }
  shared.history().OpenReader();
  const auto plan = shared.history().reader().PlanSnapshot("");
  const Rows found = RowsOf(shared.storage(), **plan);
  int64_t counted = 0;
  for (int64_t id = 0; id < 3; id++) counted += found.at(id).lsn - shared.rows().at(id).lsn;
  EXPECT_EQ(counted, 45);
}

TEST(SharedTable, ATableThatWasUpgradedMeanwhileIsRefusedWithTheFix) {
  struct Case {
    const char* property;
    const char* value;
    const char* fix;
  };
  for (const Case& changed :
       {Case{"hoodie.table.version", "8", "hoodie.write.auto.upgrade=false"},
        Case{"hoodie.table.metadata.partitions", "files", "hoodie.metadata.enable=false"}}) {
    for (int64_t nth = 1;; nth++) {
      Shared shared;
      Writer one(shared.folder(), "one");
      const std::string path = shared.base() + "/.hoodie/hoodie.properties";
      one.storage().Interrupt(nth, [&] {
        Properties properties = ParseProperties(*shared.storage().Read(path));
        properties[changed.property] = changed.value;
        ASSERT_TRUE(shared.storage().Write(path, FormatProperties(properties)));
      });
      const auto done = one.Upsert(shared.Next(), RowsOfTenant(0, "one", 10));
      if (!one.storage().was_interrupted()) break;
      const bool was_complete = !ReadTimeline(shared.storage(), shared.base())->completed.empty() && done;
      if (was_complete) continue;  // Its completion was on its way.
      EXPECT_EQ(done.error().code, ErrorCode::kUnsupported);
      EXPECT_NE(done.error().message.find(changed.fix), std::string::npos) << done.error().message;
    }
  }
}

TEST(SharedTable, AlonePropertiesAreReadBeforeEachCommit) {
  Shared shared;
  auto table = Table::Open(&shared.storage(), shared.base(), shared.folder() + "/side");
  ASSERT_TRUE(table);
  const std::string path = shared.base() + "/.hoodie/hoodie.properties";
  Properties properties = ParseProperties(*shared.storage().Read(path));
  properties["hoodie.table.metadata.partitions"] = "files";
  ASSERT_TRUE(shared.storage().Write(path, FormatProperties(properties)));
  const auto done = (*table)->Upsert(shared.Next(), {ToBatch({{0, {0, "one", 10}}}), nullptr}, {});
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("hoodie.metadata.enable=false"), std::string::npos);
  EXPECT_TRUE(ReadTimeline(shared.storage(), shared.base())->pending.empty());
}

TEST(TableLock, OneThatAnotherHasIsToldAndItsTimeEnds) {
  Shared shared;
  ManualClock clock(Clock::System().NowMicros());
  SharingOptions sharing;
  sharing.lock_wait_micros = 0;
  sharing.clock = &clock;
  auto first = TableLock::Acquire(&shared.storage(), shared.base(), sharing, kMinute);
  ASSERT_TRUE(first);
  EXPECT_TRUE((*first)->CheckHeld());
  const auto second = TableLock::Acquire(&shared.storage(), shared.base(), sharing, kMinute);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kConflict);
  clock.Advance(2 * kMinute);
  EXPECT_FALSE((*first)->CheckHeld());
  // The wait is long enough to look once more after it was taken away.
  sharing.lock_wait_micros = kMinute;
  auto third = TableLock::Acquire(&shared.storage(), shared.base(), sharing, kMinute);
  ASSERT_TRUE(third) << third.error().message;
  first->reset();
  EXPECT_TRUE((*third)->CheckHeld()) << "the one before gave back what is not its own";
}

TEST(TableLock, OneOfSparkEndsOnlyWhereThatIsAskedFor) {
  Shared shared;
  ManualClock clock(Clock::System().NowMicros());
  SharingOptions sharing;
  sharing.lock_wait_micros = 0;
  sharing.clock = &clock;
  ASSERT_TRUE(
      shared.storage().Write(shared.base() + "/.hoodie/lock",
                             R"({"lockThreadName":"main","lockCreateTime":"2026-11-27 10:00:00.000"})"));
  clock.Advance(100 * kMinute);
  const auto refused = TableLock::Acquire(&shared.storage(), shared.base(), sharing, kMinute);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("lockThreadName"), std::string::npos) << refused.error().message;
  sharing.foreign_lock_expiry_micros = 10 * kMinute;
  sharing.lock_wait_micros = kMinute;
  EXPECT_TRUE(TableLock::Acquire(&shared.storage(), shared.base(), sharing, kMinute));
}

TEST(SharedTable, ALapsedSignOfLifeEndsTheCommit) {
  Shared shared;
  ManualClock clock(Clock::System().NowMicros());
  Writer one(shared.folder(), "one", clock);
  one.storage().Interrupt(4, [&] { clock.Advance(3 * kMinute); });
  const auto done = one.Upsert(shared.Next(), RowsOfTenant(0, "one", 10));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kConflict) << done.error().message;
  EXPECT_NE(done.error().message.find("sign of life"), std::string::npos) << done.error().message;
  shared.Check();
  shared.CheckNothingIsLeft();
}

}  // namespace
}  // namespace tarn::hudi
