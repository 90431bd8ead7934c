#include <arrow/type.h>
#include <gtest/gtest.h>

#include "schema/table_schema.h"

namespace tarn::schema {
namespace {

TEST(PgTypeTest, NumericCarriesPrecisionAndScale) {
  const int32_t typmod = ((12 << 16) | 2) + 4;
  EXPECT_EQ(ArrowType(MakePgType(kNumericOid, typmod))->ToString(), "decimal128(12, 2)");
  EXPECT_EQ(MakePgType(kNumericOid, -1).kind, PgKind::kTextCast) << "unconstrained: never rounded";
  EXPECT_EQ(MakePgType(kNumericOid, ((39 << 16) | 2) + 4).kind, PgKind::kTextCast);
  const int32_t negative_scale = ((5 << 16) | (-2 & 0x7ff)) + 4;
  EXPECT_EQ(MakePgType(kNumericOid, negative_scale).kind, PgKind::kTextCast);
}

TEST(TableSchemaTest, OddNamesBecomeAvroNamesAndStayApart) {
  TableSchema table;
  table.schema_name = "Sales Dept";
  table.table_name = "Order \"Lines\"";
  for (const char* name : {"Mixed Case", "mixed_case", "1st", "Op", "_lsn", "_rule", "größe"}) {
    table.columns.push_back({.name = name, .type_oid = kTextOid});
  }
  AssignLakeNames(table);
  std::vector<std::string> names;
  for (const Column& column : table.columns) names.push_back(column.lake_name);
  EXPECT_EQ(names, (std::vector<std::string>{"Mixed_Case", "mixed_case_2", "_1st", "Op_2", "_lsn_2",
                                             "_rule_2", "gr____e"}));
  EXPECT_EQ(table.lake_name, "sales_dept__order__lines_");
}

TEST(TableSchemaTest, JsonRoundTrips) {
  TableSchema table{7,    "public", "t", "t", {{"id", "id", kInt8Oid, -1, MakePgType(kInt8Oid, -1), true}},
                    false};
  const auto back = TableSchemaFromJson(ToJson(table));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->columns, table.columns);
  EXPECT_EQ(back->oid, 7U);
  EXPECT_FALSE(TableSchemaFromJson("{}"));
}

}  // namespace
}  // namespace tarn::schema
