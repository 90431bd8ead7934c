#include "cdc/pgoutput_decoder.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <gtest/gtest.h>

#include <random>

#include "cdc/change_collector.h"
#include "cdc/test_messages.h"

namespace tarn::cdc {
namespace {

class StreamTest : public testing::Test {
 protected:
  StreamTest() : collector_(CollectorOptions{.epoch = 1, .max_bytes = 1 << 20}), decoder_(&collector_) {}
  void Feed(const std::string& message) {
    const Status status = decoder_.Decode(message);
    ASSERT_TRUE(status) << status.error().message;
  }
  ChangeCollector collector_;
  PgoutputDecoder decoder_;
};

std::string Cell(const arrow::RecordBatch& batch, const std::string& column, int64_t row) {
  return batch.GetColumnByName(column)->GetScalar(row).ValueOrDie()->ToString();
}

TEST_F(StreamTest, ATransactionIsTakenWholeAndInOrder) {
  Feed(Begin(1000));
  Feed(Relation());
  Feed(Insert("1", "one"));
  EXPECT_FALSE(collector_.Take(std::chrono::milliseconds(0))) << "not before its commit";
  // A key change with an untouched TOAST column.
  Feed("U" + Big(5, 4) + "K" + Big(2, 2) + Value("1") + "n" + "N" + Big(2, 2) + Value("2") + "u");
  Feed("D" + Big(5, 4) + "K" + Big(2, 2) + Value("2") + "n");
  Feed(Commit(1000));
  const auto segment = collector_.Take(std::chrono::milliseconds(0));
  ASSERT_TRUE(segment);
  EXPECT_EQ(segment->end.value, 1008U);
  ASSERT_EQ(segment->events.size(), 1U);
  const auto& rows = *segment->events[0].rows;
  ASSERT_EQ(rows.num_rows(), 3);
  EXPECT_EQ(Cell(rows, "Op", 0) + Cell(rows, "Op", 1) + Cell(rows, "Op", 2), "IUD");
  EXPECT_EQ(Cell(rows, "_unchanged", 1), "body");
  EXPECT_EQ(Cell(rows, "_old_key", 1), "{\"id\":\"1\"}");
  EXPECT_EQ(Cell(rows, "_ordinal", 2), "3");
  EXPECT_EQ(Cell(rows, "_lsn", 0), std::to_string(OrderingValue(1, Lsn{1000})));
  EXPECT_TRUE(collector_.IsIdle());
}

TEST_F(StreamTest, TruncateStandsBetweenTheRowsAroundIt) {
  Feed(Begin(1));
  Feed(Relation());
  Feed(Insert("1", "a"));
  Feed("T" + Big(1, 4) + Big(0, 1) + Big(5, 4));
  Feed(Insert("2", "b"));
  Feed(Commit(1));
  const auto segment = collector_.Take(std::chrono::milliseconds(0));
  ASSERT_EQ(segment->events.size(), 2U);
  // Its position tells which rows of the batch it took away.
  EXPECT_EQ(segment->events[0].rows, nullptr);
  EXPECT_EQ(segment->events[0].at.lsn, OrderingValue(1, Lsn{1}));
  EXPECT_EQ(segment->events[0].at.ordinal, 2);
  const auto& rows = *segment->events[1].rows;
  ASSERT_EQ(rows.num_rows(), 2);
  EXPECT_EQ(Cell(rows, "id", 0) + Cell(rows, "_ordinal", 0) + Cell(rows, "id", 1) + Cell(rows, "_ordinal", 1),
            "1123");
}

TEST_F(StreamTest, WhatTheSnapshotHasIsDropped) {
  schema::TableSchema table;
  table.oid = 5;
  collector_.Follow({table, Lsn{2000}, ""});
  // What commits at the consistent point itself, 2001, is not in the snapshot.
  for (const uint64_t lsn : {1999, 2000, 2001}) {
    Feed(Begin(lsn));
    Feed(Relation());
    Feed(Insert(std::to_string(lsn), "x"));
    Feed(Commit(lsn));
  }
  const auto segment = collector_.Take(std::chrono::milliseconds(0));
  ASSERT_EQ(segment->events.size(), 1U);
  ASSERT_EQ(segment->events[0].rows->num_rows(), 1);
  EXPECT_EQ(Cell(*segment->events[0].rows, "id", 0), "2001");
}

TEST(CollectorTest, ATransactionLargerThanMemoryComesInPieces) {
  ChangeCollector collector(CollectorOptions{.max_bytes = 1000});
  PgoutputDecoder decoder(&collector);
  ASSERT_TRUE(decoder.Decode(Begin(9)));
  ASSERT_TRUE(decoder.Decode(Relation()));
  ASSERT_TRUE(decoder.Decode(Insert("1", std::string(2000, 'x'))));
  EXPECT_FALSE(collector.IsFull());
  const auto first = collector.Take(std::chrono::milliseconds(0));
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->open);
  EXPECT_EQ(first->end.value, 0U);
  ASSERT_TRUE(decoder.Decode(Commit(9)));
  const auto last = collector.Take(std::chrono::milliseconds(0));
  ASSERT_TRUE(last);
  EXPECT_FALSE(last->open);
  EXPECT_EQ(last->end.value, 17U);
}

TEST(PgoutputDecoderTest, TornMessagesAreErrorsNeverCrashes) {
  const unsigned seed = 20261122;
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  const std::vector<std::string> messages = {Begin(1), Relation(), Insert("1", "one"), Commit(1)};
  for (int round = 0; round < 20'000; round++) {
    ChangeCollector collector(CollectorOptions{});
    PgoutputDecoder decoder(&collector);
    ASSERT_TRUE(decoder.Decode(Relation()));
    std::string message = messages[random() % messages.size()];
    for (unsigned i = 0; i < 1 + random() % 3; i++)
      message[random() % message.size()] = static_cast<char>(random());
    message.resize(random() % (message.size() + 1));
    (void)decoder.Decode(message).has_value();
  }
  ChangeCollector collector(CollectorOptions{});
  PgoutputDecoder decoder(&collector);
  EXPECT_EQ(decoder.Decode(Insert("1", "one").substr(0, 12)).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(decoder.Decode("Z").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(decoder.Decode(Insert("1", "x")).error().code, ErrorCode::kCorrupt) << "no relation yet";
}

TEST_F(StreamTest, ATimeBeyondAllTimesIsRefused) {
  const Status status = decoder_.Decode("B" + Big(100, 8) + Big(0x7fffffffffffffff, 8) + Big(77, 4));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace tarn::cdc
