#include "pipeline/row_rules.h"

#include <arrow/api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tarn::pipeline {
namespace {

using testing::HasSubstr;

schema::TableSchema Table() {
  schema::TableSchema table;
  table.lake_name = "item";
  table.columns = {{"id", "id", schema::kInt4Oid, -1, {schema::PgKind::kInt32}, true},
                   {"text", "text", schema::kTextOid, -1, {schema::PgKind::kText}},
                   {"more", "more", schema::kTextOid, -1, {schema::PgKind::kText}}};
  return table;
}

/// Inserts of ids from 1 on, with these texts.
std::shared_ptr<arrow::RecordBatch> Changes(const std::vector<std::string>& texts) {
  const auto schema = schema::ChangeSchema(Table());
  arrow::Int32Builder ids;
  arrow::StringBuilder values;
  for (size_t i = 0; i < texts.size(); i++) {
    EXPECT_TRUE(ids.Append(static_cast<int32_t>(i) + 1).ok());
    EXPECT_TRUE(values.Append(texts[i]).ok());
  }
  const auto id = ids.Finish().ValueOrDie(), text = values.Finish().ValueOrDie();
  arrow::ArrayVector columns;
  for (const auto& field : schema->fields()) {
    columns.push_back(field->name() == "id" ? id
                      : field->name() == "text"
                          ? text
                          : arrow::MakeArrayOfNull(field->type(), id->length()).ValueOrDie());
  }
  return arrow::RecordBatch::Make(schema, id->length(), columns);
}

SilverModel Model(const std::string& select, const std::string& check = "") {
  SilverModel model;
  model.select = select;
  model.select_file = "item.sql";
  if (!check.empty()) model.rules = {{"sound", check, "because"}};
  return model;
}

RuledRows Applied(const SilverModel& model, const std::vector<std::string>& texts) {
  auto rules = RowRules::Make(Table(), &model);
  EXPECT_TRUE(rules) << rules.error().message;
  auto ruled = (*rules)->Apply(Changes(texts));
  EXPECT_TRUE(ruled) << ruled.error().message;
  return *std::move(ruled);
}

TEST(RowRulesTest, RowsThatFailAreRefusedAndTheOthersKeepTheirOrder) {
  std::vector<std::string> texts;
  for (int i = 0; i < 5000; i++) texts.push_back(i % 7 == 3 || i > 4990 ? "no number" : std::to_string(i));
  const auto ruled = Applied(Model("SELECT id, CAST(text AS INTEGER) AS number FROM item"), texts);
  EXPECT_EQ(ruled.accepted->num_rows() + ruled.refused->num_rows(), 5000);
  const auto& ids = static_cast<const arrow::Int32Array&>(*ruled.accepted->GetColumnByName("id"));
  const auto& numbers = static_cast<const arrow::Int32Array&>(*ruled.accepted->GetColumnByName("number"));
  for (int64_t row = 0; row < ids.length(); row++) {
    ASSERT_EQ(numbers.Value(row), ids.Value(row) - 1);
    ASSERT_NE(numbers.Value(row) % 7, 3);
  }
  ASSERT_FALSE(ruled.rules.empty());
  EXPECT_EQ(ruled.rules[0], "select");
  EXPECT_THAT(ruled.reasons[0], HasSubstr("'number' cannot be computed"));
  EXPECT_NE(ruled.refused->GetColumnByName("text"), nullptr) << "a refused row is as it came";
}

TEST(RowRulesTest, ChecksSeeSilversColumnsAndMayFail) {
  const auto ruled = Applied(Model("SELECT id, trim(text) AS text FROM item", "CAST(text AS INTEGER) < 10"),
                             {" 1 ", "50", "x", "2"});
  EXPECT_EQ(ruled.accepted->num_rows(), 2);
  ASSERT_EQ(ruled.rules.size(), 2U);
  EXPECT_EQ(ruled.reasons[0], "because");
  EXPECT_EQ(ruled.rules[1], "sound");
  EXPECT_THAT(ruled.reasons[1], HasSubstr("the check cannot be computed"));
}

TEST(SilverShapeTest, LargeValuesThatNoColumnIsACopyOfAreKept) {
  const auto shape = SilverShape::Make(Table(), nullptr);
  ASSERT_TRUE(shape);
  EXPECT_EQ(shape->StoredAs("text"), "text");
  const SilverModel model = Model("SELECT id, md5(text) AS hash, more AS rest FROM item");
  const auto made = SilverShape::Make(Table(), &model);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->StoredAs("text"), "_source_text");
  EXPECT_EQ(made->StoredAs("more"), "rest");
  EXPECT_EQ(made->AsTable(Table()).columns.size(), 3U);
}

}  // namespace
}  // namespace tarn::pipeline
