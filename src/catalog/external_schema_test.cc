#include "catalog/external_schema.h"

#include <arrow/type.h>
#include <gtest/gtest.h>

#include "catalog/external_table.h"

namespace tarn::catalog {
namespace {

using arrow::field;

TEST(MergedSchemaTest, ColumnsAreTheUnionAndTypesTheWidest) {
  MergedSchema merged;
  ASSERT_TRUE(merged.Add(*arrow::schema({field("Id", arrow::int32()), field("price", arrow::decimal128(9, 2)),
                                         field("weight", arrow::float32())}),
                         "a"));
  ASSERT_TRUE(
      merged.Add(*arrow::schema({field("price", arrow::decimal128(10, 4)), field("id", arrow::int64()),
                                 field("at", arrow::timestamp(arrow::TimeUnit::NANO, "Europe/Paris")),
                                 field("nothing", arrow::null())}),
                 "b"));
  ASSERT_TRUE(
      merged.Add(*arrow::schema({field("weight", arrow::float64()), field("nothing", arrow::utf8())}), "c"));
  const auto expected = arrow::schema({field("Id", arrow::int64()), field("price", arrow::decimal128(11, 4)),
                                       field("weight", arrow::float64()),
                                       field("at", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")),
                                       field("nothing", arrow::utf8())});
  EXPECT_TRUE(merged.schema()->Equals(*expected)) << merged.schema()->ToString();
  EXPECT_TRUE(merged.left_out().empty());
}

TEST(MergedSchemaTest, WhatDoesNotGoTogetherNamesBothFiles) {
  const std::pair<std::shared_ptr<arrow::DataType>, std::shared_ptr<arrow::DataType>> kPairs[] = {
      {arrow::int64(), arrow::utf8()},
      {arrow::int32(), arrow::uint32()},
      {arrow::int64(), arrow::float64()},
      {arrow::date32(), arrow::timestamp(arrow::TimeUnit::MICRO)},
      {arrow::timestamp(arrow::TimeUnit::MICRO), arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")},
      {arrow::decimal128(38, 0), arrow::decimal128(5, 2)}};
  for (const auto& [first, second] : kPairs) {
    MergedSchema merged;
    ASSERT_TRUE(merged.Add(*arrow::schema({field("v", first)}), "one.parquet"));
    const Status added = merged.Add(*arrow::schema({field("V", second)}), "two.parquet");
    ASSERT_FALSE(added) << first->ToString();
    EXPECT_EQ(added.error().message,
              fmt::format("the column 'v' is {} in 'one.parquet' and {} in 'two.parquet'",
                          *ExternalTypeText(*first), *ExternalTypeText(*second)));
  }
}

TEST(MergedSchemaTest, NestedColumnsAreLeftOutAndNamed) {
  MergedSchema merged;
  ASSERT_TRUE(merged.Add(
      *arrow::schema({field("id", arrow::int64()), field("tags", arrow::list(arrow::utf8()))}), "a"));
  EXPECT_EQ(merged.schema()->num_fields(), 1);
  ASSERT_EQ(merged.left_out().size(), 1U);
  EXPECT_EQ(merged.left_out().begin()->first, "tags");
}

TEST(MergedSchemaTest, GoesOnWithWhatWasKnown) {
  MergedSchema merged(*arrow::schema({field("id", arrow::int32())}), {{"tags", "list"}});
  ASSERT_TRUE(merged.Add(*arrow::schema({field("id", arrow::int64()), field("more", arrow::utf8())}), "b"));
  EXPECT_TRUE(
      merged.schema()->Equals(*arrow::schema({field("id", arrow::int64()), field("more", arrow::utf8())})));
  EXPECT_EQ(merged.left_out().size(), 1U);
}

TEST(PartitionTypeTest, OnlyValuesThatComeBackTheSameAreNumbersOrDates) {
  EXPECT_EQ(PartitionType({"1", "-20", "0"})->id(), arrow::Type::INT64);
  EXPECT_EQ(PartitionType({"1", "01"})->id(), arrow::Type::STRING);
  EXPECT_EQ(PartitionType({"9223372036854775808"})->id(), arrow::Type::STRING);
  EXPECT_EQ(PartitionType({"2026-11-27", "2024-02-29"})->id(), arrow::Type::DATE32);
  EXPECT_EQ(PartitionType({"2026-02-30"})->id(), arrow::Type::STRING);
  EXPECT_EQ(PartitionType({"2026-02-29"})->id(), arrow::Type::STRING);
  EXPECT_EQ(PartitionType({"2026-11-2x"})->id(), arrow::Type::STRING);
  EXPECT_EQ(PartitionType({"1", "x"})->id(), arrow::Type::STRING);
  EXPECT_EQ(PartitionType({})->id(), arrow::Type::STRING);
}

TEST(ExternalTypeTest, TextsComeBackAsTypes) {
  for (const auto& type : {arrow::boolean(), arrow::int8(), arrow::uint64(), arrow::float32(), arrow::utf8(),
                           arrow::binary(), arrow::date32(), arrow::timestamp(arrow::TimeUnit::MICRO),
                           arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), arrow::decimal128(38, 10)}) {
    const auto text = ExternalTypeText(*type);
    ASSERT_TRUE(text) << type->ToString();
    EXPECT_TRUE(ExternalType(*text)->Equals(*type)) << *text;
  }
  for (const char* wrong : {"", "decimal", "decimal(", "decimal(9", "decimal(9,", "decimal(9,2",
                            "decimal(39,2)", "decimal(9,2)x", "list"})
    EXPECT_EQ(ExternalType(wrong), nullptr) << wrong;
}

}  // namespace
}  // namespace tarn::catalog
