#include "cdc/table_mapping.h"

#include <gtest/gtest.h>

#include "cdc/shape_change.h"
#include "cdc/test_table.h"

namespace tarn::cdc {
namespace {

SourceTable Customer() { return TextTable("customer", {"id", "secret", "email", "note"}); }

TableMappings Mappings() { return {{{"public.c*", {"sec*"}, {"email"}, {{"note", "remark"}}}}, "pepper"}; }

SourceTable Mapped(const TableMappings& mappings) {
  SourceTable table = Customer();
  EXPECT_TRUE(mappings.Apply(table));
  return table;
}

std::string WhyCopied(const SourceTable& before, const SourceTable& now) {
  return FollowShape(now, {before.schema, Lsn{}, before.storage}).copy_again;
}

TEST(TableMapping, HashesAreHmacSha256) {
  // RFC 4231, test case 2.
  EXPECT_EQ(HashedText("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(TableMapping, CatalogueAndStreamAgree) {
  const SourceTable mapped = Mapped(Mappings());
  StreamRelation relation = RelationOf(Customer());
  EXPECT_EQ(Mappings().Apply(relation), (std::vector<size_t>{0, 2, 3}));
  EXPECT_TRUE(SameShape(relation, mapped.schema));
  const ShapeChange change = FollowShape(relation, nullptr, mapped);
  EXPECT_EQ(change.table.columns, mapped.schema.columns);
  EXPECT_EQ(change.table.columns[2].lake_name, "remark");
  EXPECT_FALSE(SameShape(RelationOf(Customer()), mapped.schema));
}

TEST(TableMapping, WhatTheRegistryKeepsIsTheSame) {
  const SourceTable mapped = Mapped(Mappings());
  const auto kept = schema::TableSchemaFromJson(schema::ToJson(mapped.schema));
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->columns, mapped.schema.columns);
}

TableMappings WithAdded() {
  TableMappings mappings = Mappings();
  mappings.list[0].add = {{"origin", {AddedColumn::From::kText, "shop-eu"}},
                          {"from_table", {AddedColumn::From::kTable}}};
  return mappings;
}

TEST(TableMapping, AddedColumnsStandBehindTheSources) {
  const SourceTable mapped = Mapped(WithAdded());
  ASSERT_EQ(mapped.schema.columns.size(), 5);
  EXPECT_EQ(mapped.schema.columns[3].name, "from_table");
  EXPECT_EQ(mapped.schema.columns[3].constant, "customer");
  EXPECT_EQ(mapped.schema.columns[4].constant, "shop-eu");
  StreamRelation relation = RelationOf(Customer());
  EXPECT_EQ(WithAdded().Apply(relation), (std::vector<size_t>{0, 2, 3}));
  EXPECT_TRUE(SameShape(relation, mapped.schema));
  EXPECT_EQ(FollowShape(relation, nullptr, mapped).table.columns, mapped.schema.columns);
  const auto kept = schema::TableSchemaFromJson(schema::ToJson(mapped.schema));
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->columns, mapped.schema.columns);
}

TEST(TableMapping, AnAddedColumnIsNoneOfTheSource) {
  for (const char* name : {"email", "EMAIL", "remark", "note", "_lsn", "two words"}) {
    TableMappings mappings = Mappings();
    mappings.list[0].add = {{name, {AddedColumn::From::kDatabase}}};
    SourceTable table = Customer();
    const Status applied = mappings.Apply(table);
    ASSERT_FALSE(applied) << name;
    EXPECT_NE(applied.error().message.find(fmt::format("cannot add '{}'", name)), std::string::npos);
  }
}

TEST(TableMapping, AColumnOfTheSourceGoesBeforeAddedOnes) {
  const SourceTable mapped = Mapped(WithAdded());
  SourceTable wider = TextTable("customer", {"id", "secret", "email", "note", "more"});
  StreamRelation relation = RelationOf(wider);
  EXPECT_TRUE(WithAdded().Apply(wider));
  WithAdded().Apply(relation);
  const FollowedTable known{mapped.schema, Lsn{}, mapped.storage};
  const ShapeChange change = FollowShape(relation, &known, wider);
  EXPECT_EQ(change.copy_again, "");
  EXPECT_EQ(change.table.columns, wider.schema.columns);
}

TEST(TableMapping, AColumnThatTheCatalogueHadBeforeTheStreamCameToItWasNotKeptOut) {
  SourceTable before = TextTable("customer", {"id", "email"});
  SourceTable now = TextTable("customer", {"id", "email", "later"});
  const FollowedTable known{before.schema, Lsn{}, now.storage};
  EXPECT_EQ(FollowShape(RelationOf(now), &known, now).copy_again, "");
}

TEST(TableMapping, AChangedMappingIsAReasonToCopy) {
  const SourceTable mapped = Mapped(Mappings());
  EXPECT_EQ(WhyCopied(mapped, mapped), "");
  TableMappings other = Mappings();
  other.hash_secret = "salt";
  EXPECT_NE(WhyCopied(mapped, Mapped(other)).find("'email' is hashed otherwise"), std::string::npos);
  other = Mappings();
  other.list[0].drop.clear();
  EXPECT_NE(WhyCopied(mapped, Mapped(other)).find("'secret' was kept out"), std::string::npos);
  EXPECT_NE(WhyCopied(Mapped(other), mapped).find("'secret' is kept out"), std::string::npos);
  other = Mappings();
  other.list[0].rename["note"] = "memo";
  EXPECT_NE(WhyCopied(mapped, Mapped(other)).find("'note' has another name"), std::string::npos);
  EXPECT_NE(WhyCopied(mapped, Mapped(WithAdded())).find("'from_table' is added"), std::string::npos);
  EXPECT_NE(WhyCopied(Mapped(WithAdded()), mapped).find("'from_table' is no longer added"),
            std::string::npos);
  other = WithAdded();
  other.list[0].add["origin"].text = "shop-us";
  EXPECT_NE(WhyCopied(Mapped(WithAdded()), Mapped(other)).find("'origin' is added"), std::string::npos);
}

}  // namespace
}  // namespace tarn::cdc
