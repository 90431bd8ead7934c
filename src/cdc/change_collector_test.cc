#include "cdc/change_collector.h"

#include <gtest/gtest.h>

namespace tarn::cdc {
namespace {

SourceTable Notes(int columns) {
  SourceTable table;
  table.schema.oid = 5;
  table.schema.schema_name = "public";
  table.schema.table_name = "notes";
  table.storage = "5:100/1:7,2:7";
  for (int16_t attnum = 1; attnum <= columns; attnum++) {
    schema::Column column;
    column.name = "c" + std::to_string(attnum);
    column.type_oid = schema::kTextOid;
    column.type = schema::MakePgType(column.type_oid, -1);
    column.is_key = attnum == 1;
    column.attnum = attnum;
    table.schema.columns.push_back(column);
  }
  schema::AssignLakeNames(table.schema);
  return table;
}

StreamRelation RelationOf(const SourceTable& table) {
  StreamRelation relation{table.schema.oid, "public", "notes", 'd', {}};
  for (const schema::Column& column : table.schema.columns)
    relation.columns.push_back({column.name, column.type_oid, -1, column.is_key});
  return relation;
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

}  // namespace
}  // namespace tarn::cdc
