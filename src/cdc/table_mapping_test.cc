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
}

}  // namespace
}  // namespace tarn::cdc
