#include "hudi/merge_rules.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hudi/log_block.h"
#include "hudi/log_merge.h"
#include "hudi/properties.h"
#include "hudi/timeline.h"

namespace tarn::hudi {
namespace {

template <typename Builder, typename Value>
std::shared_ptr<arrow::Array> Column(const std::vector<std::optional<Value>>& values) {
  Builder builder;
  for (const auto& value : values) EXPECT_TRUE((value ? builder.Append(*value) : builder.AppendNull()).ok());
  return *builder.Finish();
}

std::shared_ptr<arrow::Schema> PairSchema() {
  return arrow::schema({arrow::field("a", arrow::int64()), arrow::field("b", arrow::utf8())});
}

/// One row of columns a and b, of key 1.
DecodedBlock Block(std::optional<int64_t> a, std::optional<std::string> b, int64_t ordering) {
  DecodedBlock block;
  block.instant = "20261122101500123";
  block.keys = {HashText("1")};
  block.orderings = {ordering};
  block.rows = arrow::RecordBatch::Make(
      PairSchema(), 1,
      {Column<arrow::Int64Builder, int64_t>({a}), Column<arrow::StringBuilder, std::string>({b})});
  return block;
}

std::string Merged(LogMerge& merge) {
  const auto rows = merge.Rows();
  EXPECT_TRUE(rows);
  if (!*rows || (*rows)->num_rows() == 0) return "none";
  EXPECT_EQ((*rows)->num_rows(), 1);
  return (*(*rows)->column(0)->GetScalar(0))->ToString() + " " +
         (*(*rows)->column(1)->GetScalar(0))->ToString();
}

TEST(MergeRules, RanksOfFloatsKeepTheirOrder) {
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> values{-inf, -1e300, -2.5, -1e-300, 0, 1e-300, 0.5, 1, 1.5, 1e300, inf};
  for (size_t i = 1; i < values.size(); i++) EXPECT_LT(RankOf(values[i - 1]), RankOf(values[i])) << values[i];
  EXPECT_EQ(RankOf(-0.0), RankOf(0.0));
}

TEST(MergeRules, RanksOfSeveralColumnsCompareColumnByColumn) {
  MergeRules rules{.ordering_fields = {"b", "a"}, .ranks = MergeRules::Ranks::kTexts};
  using Text = std::optional<std::string>;
  using Number = std::optional<int64_t>;
  const std::vector<Text> texts{std::nullopt, "", std::string("\0", 1), "a", "a", "a", "ab", "b"};
  const std::vector<Number> numbers{9, 9, 9, std::nullopt, -5, 7, 0, 0};
  const auto rows = arrow::RecordBatch::Make(
      PairSchema(), 8,
      {Column<arrow::Int64Builder, int64_t>(numbers), Column<arrow::StringBuilder, std::string>(texts)});
  const auto ranks = OrderingTextsOf(*rows, rules);
  ASSERT_TRUE(ranks);
  for (size_t i = 1; i < ranks->size(); i++) EXPECT_LT((*ranks)[i - 1], (*ranks)[i]) << i;
}

TEST(MergeRules, FollowPayloadsAndModes) {
  Properties properties{{"hoodie.table.version", "6"},
                        {"hoodie.table.type", "MERGE_ON_READ"},
                        {"hoodie.table.precombine.field", "ts"}};
  const auto rules = [&](const char* payload) {
    properties["hoodie.compaction.payload.class"] = payload;
    return MergeRulesOf(properties);
  };
  EXPECT_EQ(rules("a.b.DefaultHoodieRecordPayload")->winner, MergeRules::Winner::kOrdering);
  EXPECT_EQ(rules("a.b.OverwriteWithLatestAvroPayload")->winner, MergeRules::Winner::kOrderingInLogs);
  EXPECT_EQ(rules("a.b.PartialUpdateAvroPayload")->fill, MergeRules::Fill::kWhereNull);
  EXPECT_EQ(rules("a.b.AWSDmsAvroPayload")->delete_marker, "D");
  const auto unknown = rules("com.example.Mine");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(unknown.error().message.find("hoodie.compaction.payload.class is 'com.example.Mine'"),
            std::string::npos);
  properties = {{"hoodie.table.version", "9"},
                {"hoodie.table.type", "MERGE_ON_READ"},
                {"hoodie.table.ordering.fields", "a,b"},
                {"hoodie.record.merge.mode", "COMMIT_TIME_ORDERING"},
                {"hoodie.table.partial.update.mode", "FILL_UNAVAILABLE"}};
  const auto latest = MergeRulesOf(properties);
  ASSERT_TRUE(latest);
  EXPECT_EQ(latest->winner, MergeRules::Winner::kArrival);
  EXPECT_EQ(latest->fill, MergeRules::Fill::kWhereMarked);
  EXPECT_EQ(latest->ordering_fields, (std::vector<std::string>{"a", "b"}));
  properties["hoodie.record.merge.mode"] = "CUSTOM";
  EXPECT_FALSE(MergeRulesOf(properties));
}

TEST(MergeRules, WinnersTakeWhatTheyLackFromOthers) {
  LogMerge filling(PairSchema(), {.ordering_fields = {"a"}, .fill = MergeRules::Fill::kWhereNull});
  ASSERT_TRUE(filling.Add(Block(5, "five", 5), 0));
  ASSERT_TRUE(filling.Add(Block(6, std::nullopt, 6), 0));
  ASSERT_TRUE(filling.Add(Block(4, "late", 4), 0));
  EXPECT_EQ(Merged(filling), "6 five");

  LogMerge marked(PairSchema(), {.fill = MergeRules::Fill::kWhereMarked, .unavailable = "?"});
  ASSERT_TRUE(marked.Add(Block(1, "kept", 1), 0));
  ASSERT_TRUE(marked.Add(Block(2, "?", 2), 0));
  EXPECT_EQ(Merged(marked), "2 kept");
  ASSERT_TRUE(marked.Add(Block(3, std::nullopt, 3), 0));
  EXPECT_EQ(Merged(marked), "3 null");
}

TEST(MergeRules, PartialRowsReplaceTheirColumnsAlone) {
  LogMerge merge(PairSchema(), {.ordering_fields = {"a"}});
  DecodedBlock partial = Block(7, std::nullopt, 7);
  partial.is_partial = true;
  partial.rows = *partial.rows->RemoveColumn(1);
  ASSERT_TRUE(merge.Add(partial, 0));
  EXPECT_TRUE(merge.combines());
  const auto base = Block(3, "base", 3);
  ASSERT_TRUE(merge.AddBase(base.rows, base.keys, base.orderings, {}, 0));
  EXPECT_EQ(Merged(merge), "7 base");
}

TEST(MergeRules, TheLaterWinsByArrivalAndBaseRowsGiveWay) {
  LogMerge merge(PairSchema(), {.ordering_fields = {"a"}, .winner = MergeRules::Winner::kArrival});
  ASSERT_TRUE(merge.Add(Block(9, "nine", 9), 0));
  ASSERT_TRUE(merge.Add(Block(2, "two", 2), 0));
  EXPECT_EQ(Merged(merge), "2 two");
  EXPECT_TRUE(merge.MeetBase(HashText("1"), 0, 100, ""));
  LogMerge ordered(PairSchema(), {.ordering_fields = {"a"}});
  ASSERT_TRUE(ordered.Add(Block(2, "two", 2), 0));
  EXPECT_FALSE(ordered.MeetBase(HashText("1"), 0, 100, "")) << "the base file's row is newer";
  EXPECT_EQ(Merged(ordered), "none");
}

TEST(Timeline, ThatHadCompletedAtATime) {
  Timeline timeline;
  timeline.layout = TimelineLayout::kTwo;
  timeline.completed = {{"20260101000000000", "deltacommit"}, {"20260101000001000", "commit"}};
  timeline.completions = {{"20260101000000000", "20260101000009000"},
                          {"20260101000001000", "20260101000002000"}};
  timeline.files = {{"20260101000000000", {"a"}}, {"20260101000001000", {"b"}}};
  timeline.first_commit = "20260101000000000";
  EXPECT_EQ(timeline.CompletedPath("20260101000001000"),
            "timeline/20260101000001000_20260101000002000.commit");
  const Timeline then = timeline.Until("20260101000002000");
  EXPECT_EQ(then.Commits(), std::vector<std::string>{"20260101000001000"}) << "the older one completed later";
  EXPECT_FALSE(then.IsDone("20260101000000000"));
  EXPECT_TRUE(then.IsDone("20251231000000000")) << "archived";
  EXPECT_TRUE(timeline.Until("20260101000002000", true).Commits().empty());
}

}  // namespace
}  // namespace tarn::hudi
