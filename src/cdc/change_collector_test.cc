#include "cdc/change_collector.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>

#include "cdc/replication_stream.h"
#include "cdc/test_table.h"

namespace tarn::cdc {
namespace {

SourceTable Notes(size_t columns) {
  std::vector<std::string> names{"id", "body", "extra"};
  names.resize(columns);
  return TextTable("notes", names);
}

/// Events of the table after a column was added, when the catalogue shows it from the given look on.
std::vector<TableEvent> AddColumn(int looks_before_it_shows) {
  int looks = 0;
  CollectorOptions options;
  options.describe = [&](uint32_t) -> Result<std::optional<SourceTable>> {
    return std::optional(Notes(looks++ < looks_before_it_shows ? 2 : 3));
  };
  ChangeCollector collector(options);
  collector.Follow({Notes(2).schema, Lsn{}, Notes(2).storage});
  EXPECT_TRUE(collector.OnBegin({7, Lsn{100}, 1'700'000'000'000'000}));
  EXPECT_TRUE(collector.OnRelation(RelationOf(Notes(3))));
  const std::vector<WireValue> row(3, {WireValue::State::kText, "x"});
  EXPECT_TRUE(collector.OnRow('I', 5, row, {}));
  EXPECT_TRUE(collector.OnCommit(Lsn{110}));
  auto segment = collector.Take(std::chrono::milliseconds(0));
  EXPECT_TRUE(segment);
  return segment ? segment->events : std::vector<TableEvent>();
}

TEST(ChangeCollector, AsksAgainWhereTheCatalogueIsBehind) {
  const auto events = AddColumn(3);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_NE(events[0].rows, nullptr);
}

TEST(ChangeCollector, TakesNothingForGrantedWhereTheCatalogueNeverShowsIt) {
  const auto events = AddColumn(1'000);
  ASSERT_EQ(events.size(), 2U);
  EXPECT_NE(events[0].copy_again.find("changed more than once"), std::string::npos);
}

TEST(ChangeCollector, AKnownCommitComesAgain) {
  CollectorOptions options;
  options.skip_up_to = Lsn{100};
  options.known_commit = {Lsn{100}, 1'700'000'000'000'000};
  ChangeCollector collector(options);
  EXPECT_TRUE(collector.OnBegin({7, Lsn{90}, 5}));
  EXPECT_TRUE(collector.Reached(Lsn{100}));
  EXPECT_TRUE(collector.AwaitsKnownCommit());
  EXPECT_TRUE(collector.OnBegin({8, Lsn{100}, 1'700'000'000'000'000}));
  EXPECT_FALSE(collector.AwaitsKnownCommit());
  EXPECT_TRUE(collector.Reached(Lsn{500}));
  EXPECT_TRUE(collector.OnBegin({9, Lsn{200}, 1'700'000'000'000'001}));
  EXPECT_FALSE(collector.HasOtherHistory());
}

TEST(ChangeCollector, ALogWithoutTheKnownCommitIsAnother) {
  CollectorOptions options;
  options.known_commit = {Lsn{100}, 1'700'000'000'000'000};
  const auto later = [](ChangeCollector& collector) { return collector.OnBegin({8, Lsn{120}, 9}); };
  const auto other_time = [](ChangeCollector& collector) { return collector.OnBegin({8, Lsn{100}, 9}); };
  const auto none = [](ChangeCollector& collector) { return collector.Reached(Lsn{101}); };
  for (const std::function<Status(ChangeCollector&)>& tells :
       std::vector<std::function<Status(ChangeCollector&)>>{later, other_time, none}) {
    ChangeCollector collector(options);
    const Status told = tells(collector);
    ASSERT_FALSE(told);
    EXPECT_EQ(told.error().code, ErrorCode::kUnavailable);
    EXPECT_NE(told.error().message.find("no commit at 0/64 of 2023-11-14"), std::string::npos);
    EXPECT_TRUE(collector.HasOtherHistory());
    EXPECT_TRUE(collector.AwaitsKnownCommit());
  }
}

/// A key whose value is stored out of line comes as the old key, although it stays what it was.
TEST(ChangeCollector, AKeyThatStaysIsNoKeyChange) {
  ChangeCollector collector(CollectorOptions{});
  collector.Follow({Notes(2).schema, Lsn{}, Notes(2).storage});
  ASSERT_TRUE(collector.OnBegin({7, Lsn{100}, 1'700'000'000'000'000}));
  ASSERT_TRUE(collector.OnRelation(RelationOf(Notes(2))));
  const WireValue untouched{WireValue::State::kUnchanged, {}}, null, key{WireValue::State::kText, "long"};
  const WireValue other{WireValue::State::kText, "other"}, body{WireValue::State::kText, "body"};
  ASSERT_TRUE(collector.OnRow('U', 5, {untouched, body}, {key, null}));
  ASSERT_TRUE(collector.OnRow('U', 5, {untouched, untouched}, {key, null}));
  ASSERT_TRUE(collector.OnRow('U', 5, {other, untouched}, {key, null}));
  ASSERT_TRUE(collector.OnCommit(Lsn{110}));
  const auto segment = collector.Take(std::chrono::milliseconds(0));
  ASSERT_TRUE(segment);
  const auto& rows = *segment->events.at(0).rows;
  const auto cell = [&](std::string_view column, int64_t row) {
    return (*rows.GetColumnByName(std::string(column))->GetScalar(row))->ToString();
  };
  EXPECT_EQ(cell("id", 0), "long");
  EXPECT_EQ(cell(schema::kOldKey, 0), "null");
  EXPECT_EQ(cell("id", 1), "long");
  EXPECT_EQ(cell(schema::kOldKey, 1), "null");
  EXPECT_EQ(cell(schema::kUnchanged, 1), "body");
  EXPECT_EQ(cell(schema::kOldKey, 2), R"({"id":"long"})");
}

/// Transactions without rows come one behind another, and somebody takes them.
class Following {
 public:
  Following() {
    source_ = std::thread([this] {
      for (uint64_t lsn = 1; !done_; lsn++) {
        (void)collector_.OnBegin({7, Lsn{lsn}, 0}).has_value();
        (void)collector_.OnCommit(Lsn{lsn}).has_value();
        positions_.brought = lsn;
        // Now and then all of it is taken before the next one comes.
        while (lsn % 4 == 0 && taken_in_ < lsn && !done_) std::this_thread::yield();
      }
    });
    taker_ = std::thread([this] {
      while (!done_) {
        const auto segment = collector_.Take(std::chrono::milliseconds(1));
        if (!segment) continue;
        taken_in_ = segment->last_commit.value;
        collector_.Done();
      }
    });
  }
  ~Following() {
    done_ = true;
    source_.join();
    taker_.join();
  }

  StreamPositions positions_;
  ChangeCollector collector_{CollectorOptions{}};
  std::atomic<uint64_t> taken_in_{0};

 private:
  std::atomic<bool> done_{false};
  std::thread source_, taker_;
};

TEST(HasTakenIn, WhatComesBetweenItsLooksIsNotTakenIn) {
  Following following;
  int answers = 0;
  for (uint64_t at = 1; answers < 200; at++) {
    // Asked again and again while `at` is on its way.
    while (!HasTakenIn(following.positions_, following.collector_, Lsn{at})) {
    }
    ASSERT_GE(following.taken_in_.load(), at);
    answers++;
    at = following.taken_in_.load();
  }
}

}  // namespace
}  // namespace tarn::cdc
