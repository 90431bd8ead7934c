#include "cdc/change_collector.h"

#include <gtest/gtest.h>

#include <atomic>
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
