#include "engine/select_list.h"

#include <arrow/api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tarn::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::shared_ptr<arrow::Schema> kColumns =
    arrow::schema({arrow::field("id", arrow::int64()), arrow::field("Name", arrow::utf8()),
                   arrow::field("at", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")),
                   arrow::field("price", arrow::decimal128(9, 2))});

std::vector<SelectedColumn> Analyzed(const std::string& sql) {
  auto columns = AnalyzeSelectList(sql, "item", *kColumns);
  EXPECT_TRUE(columns) << columns.error().message;
  return columns ? *std::move(columns) : std::vector<SelectedColumn>();
}

std::string Refusal(const std::string& sql) {
  const auto columns = AnalyzeSelectList(sql, "item", *kColumns);
  EXPECT_FALSE(columns) << sql;
  return columns ? "" : columns.error().message;
}

TEST(SelectListTest, TellsCopiesFromWhatIsComputed) {
  const auto columns =
      Analyzed("SELECT ID, i.name AS label, trim(i.name) AS name, price * id AS sum FROM item i");
  ASSERT_EQ(columns.size(), 4U);
  EXPECT_EQ(columns[0].name, "id");
  EXPECT_EQ(columns[0].copied_from, "id");
  EXPECT_EQ(columns[1].name, "label");
  EXPECT_EQ(columns[1].copied_from, "Name");
  EXPECT_EQ(columns[2].copied_from, "");
  EXPECT_THAT(columns[2].reads, ElementsAre("Name"));
  EXPECT_THAT(columns[3].reads, ElementsAre("id", "price"));
  EXPECT_EQ(columns[2].expression.find("i."), std::string::npos) << columns[2].expression;
}

TEST(SelectListTest, StarsTakeExcludeAndReplace) {
  const auto columns = Analyzed("SELECT * EXCLUDE (price) REPLACE (upper(name) AS name), 1 AS one FROM item");
  std::vector<std::string> names;
  for (const auto& column : columns) names.push_back(column.name);
  ASSERT_THAT(names, ElementsAre("id", "Name", "at", "one"));
  EXPECT_EQ(columns[1].copied_from, "");
  EXPECT_EQ(columns[3].type->id(), arrow::Type::INT32);
}

TEST(SelectListTest, TypesAreTheBindersInTheLakesWords) {
  const auto columns = Analyzed(
      "SELECT id > 1 AS a, CAST(id AS SMALLINT) AS b, id + 1 AS c, sqrt(id) AS d, price + 1 AS e, "
      "CAST(\"at\" AS "
      "DATE) AS f, "
      "CAST(\"at\" AS TIMESTAMP) AS g, name || 'x' AS h, encode(name) AS i, CAST(price AS FLOAT) AS j FROM "
      "item");
  std::vector<std::string> types;
  for (const auto& column : columns) types.push_back(column.type->ToString());
  EXPECT_THAT(types, ElementsAre("bool", "int32", "int64", "double", "decimal128(13, 2)", "date32[day]",
                                 "timestamp[us, tz=UTC]", "string", "binary", "float"));
}

TEST(SelectListTest, WhatIsNoExpressionOverOneRowIsRefusedAtItsPlace) {
  EXPECT_THAT(Refusal("SELECT id,\n  max(price) OVER () AS m FROM item"), HasSubstr("line 2, column 3"));
  EXPECT_THAT(Refusal("SELECT id, (SELECT 1) AS s FROM item"), HasSubstr("line 1, column 12"));
  EXPECT_THAT(Refusal("SELECT id, nothing AS n FROM item"), HasSubstr("line 1, column 12"));
  EXPECT_THAT(Refusal("SELECT id, count(*) AS n FROM item GROUP BY id"), HasSubstr("GROUP BY"));
  EXPECT_THAT(Refusal("SELECT max(id) AS n FROM item"), HasSubstr("aggregates"));
  EXPECT_THAT(Refusal("SELECT id FROM item WHERE id = 1"), HasSubstr("WHERE"));
  EXPECT_THAT(Refusal("SELECT id FROM item UNION SELECT 1"), HasSubstr("UNION"));
  EXPECT_THAT(Refusal("WITH item AS (SELECT 1 AS id) SELECT id FROM item"), HasSubstr("WITH"));
  EXPECT_THAT(Refusal("SELECT id FROM item LIMIT 1"), HasSubstr("LIMIT"));
  EXPECT_THAT(Refusal("SELECT id FROM item, item b"), HasSubstr("no joins"));
  EXPECT_THAT(Refusal("SELECT id FROM read_parquet('x')"), HasSubstr("alone"));
  EXPECT_THAT(Refusal("SELECT id FROM item; SELECT 1"), HasSubstr("one SELECT"));
  EXPECT_THAT(Refusal("SELECT uuid() AS u FROM item"), HasSubstr("another value"));
  EXPECT_THAT(Refusal("SELECT current_date AS d FROM item"), HasSubstr("another value"));
  EXPECT_THAT(Refusal("SELECT {'a': id} AS s FROM item"), HasSubstr("lakes do not have"));
  EXPECT_THAT(Refusal("SELECT * EXCLUDE (nothing) FROM item"), HasSubstr("nothing"));
}

}  // namespace
}  // namespace tarn::engine
