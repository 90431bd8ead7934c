#include "cdc/shape_change.h"

#include <gtest/gtest.h>

#include "cdc/test_table.h"

namespace tarn::cdc {
namespace {

constexpr uint32_t kInt4 = schema::kInt4Oid;
constexpr uint32_t kInt8 = schema::kInt8Oid;
constexpr uint32_t kText = schema::kTextOid;

schema::Column Column(const std::string& name, uint32_t type, int16_t attnum, bool key = false) {
  schema::Column column;
  column.name = column.lake_name = name;
  column.type_oid = type;
  column.type = schema::MakePgType(type, -1);
  column.attnum = attnum;
  column.is_key = key;
  return column;
}

/// A table "public.notes" (id, body) as it was copied, and the source as it is now.
class ShapeTest : public testing::Test {
 protected:
  ShapeTest() {
    known_.schema.oid = 5;
    known_.schema.schema_name = "public";
    known_.schema.table_name = "notes";
    known_.schema.lake_name = "notes";
    known_.schema.columns = {Column("id", kInt4, 1, true), Column("body", kText, 2)};
    known_.storage = "5:100";
    now_.schema = known_.schema;
    now_.storage = known_.storage;
  }
  StreamRelation Message() const { return RelationOf(now_); }
  ShapeChange Follow() const { return FollowShape(Message(), &known_, now_); }

  FollowedTable known_;
  SourceTable now_;
};

TEST_F(ShapeTest, ANullableColumnIsFollowed) {
  now_.schema.columns.push_back(Column("extra", kText, 3));
  const ShapeChange change = Follow();
  EXPECT_EQ(change.copy_again, "");
  EXPECT_EQ(change.table.columns[2].lake_name, "extra");
  EXPECT_EQ(change.table.columns[2].attnum, 3);
}

TEST_F(ShapeTest, TheCatalogueMayBeBehindTheStream) {
  const StreamRelation before = Message();
  EXPECT_FALSE(IsBehind(now_, before, &known_));
  EXPECT_TRUE(IsBehind(std::nullopt, before, &known_));
  now_.schema.columns.push_back(Column("extra", kText, 3));
  // A column that the stream comes to later is no sign of it; one that the stream has already is.
  EXPECT_FALSE(IsBehind(now_, before, &known_));
  const StreamRelation added = Message();
  now_.schema.columns.pop_back();
  EXPECT_TRUE(IsBehind(now_, added, &known_));
  StreamRelation dropped = before;
  dropped.columns.pop_back();
  EXPECT_TRUE(IsBehind(now_, dropped, &known_));
  StreamRelation retyped = before;
  retyped.columns[0].type_oid = kInt8;
  EXPECT_TRUE(IsBehind(now_, retyped, &known_));
}

TEST_F(ShapeTest, AColumnWithADefaultFillsRowsThatNoMessageTells) {
  now_.schema.columns.push_back(Column("extra", kInt4, 3));
  now_.filled = {"extra"};
  EXPECT_NE(Follow().copy_again.find("'extra' was added with a default"), std::string::npos);
  // A volatile default, an identity or a generated column rewrites the table.
  now_.filled.clear();
  now_.storage = "5:101";
  EXPECT_NE(Follow().copy_again.find("the table was rewritten"), std::string::npos);
}

TEST_F(ShapeTest, AGeneratedColumnThatIsOneLikeOthersNowHasValuesThatNoMessageTold) {
  known_.storage = "5:100/n:3,1:7,2:7";
  now_.schema.columns.push_back(Column("total", kInt4, 3));
  now_.storage = "5:100/n:3,1:7,2:7,3:9";
  EXPECT_NE(Follow().copy_again.find("'total' was there before, generated"), std::string::npos);
  // One with a greater number was added since.
  now_.schema.columns.back().attnum = 4;
  now_.storage = "5:100/n:4,1:7,2:7,4:9";
  EXPECT_EQ(Follow().copy_again, "");
  // One that the stream saw dropped, in a look at the catalogue from before.
  now_.schema.columns.back() = Column("extra", kInt4, 2);
  known_.schema.columns.pop_back();
  EXPECT_EQ(FollowShape(now_, known_).copy_again, "");
  EXPECT_FALSE(WasGenerated(known_.storage, 2));
  EXPECT_TRUE(WasGenerated(known_.storage, 3));
  EXPECT_FALSE(WasGenerated(known_.storage, 4));
  EXPECT_FALSE(WasGenerated("5:100/1:7", 2));
}

TEST_F(ShapeTest, ATypeOfAnotherTextNeedsACopyEvenIfNothingWasRewritten) {
  constexpr uint32_t kCidr = 650, kInet = 869;
  known_.schema.columns[1] = Column("body", kCidr, 2);
  now_.schema.columns[1] = Column("body", kInet, 2);
  EXPECT_NE(Follow().copy_again.find("the type of column 'body' changed"), std::string::npos);
  known_.schema.columns[1] = Column("body", schema::kVarcharOid, 2);
  now_.schema.columns[1] = Column("body", kText, 2);
  EXPECT_EQ(Follow().copy_again, "");
}

TEST_F(ShapeTest, ARenameKeepsTheLakesNames) {
  now_.schema.columns[1].name = "content";
  now_.schema.table_name = "remarks";
  const ShapeChange change = Follow();
  EXPECT_EQ(change.copy_again, "");
  EXPECT_EQ(change.table.columns[1].name, "content");
  EXPECT_EQ(change.table.columns[1].lake_name, "body");
  EXPECT_EQ(change.table.lake_name, "notes");
  EXPECT_EQ(change.table.QualifiedName(), "public.notes");
}

TEST_F(ShapeTest, ANewColumnOfAnOldNameIsAnotherColumn) {
  now_.schema.columns[1].attnum = 3;
  EXPECT_NE(Follow().copy_again.find("'body' was dropped and made again"), std::string::npos);
  EXPECT_EQ(Follow().table.columns[1].lake_name, "body");
  // Beside the renamed old one it gets a name of its own.
  now_.schema.columns = {Column("id", kInt4, 1, true), Column("old_body", kText, 2),
                         Column("body", kText, 3)};
  const ShapeChange change = Follow();
  EXPECT_EQ(change.table.columns[1].lake_name, "body");
  EXPECT_EQ(change.table.columns[2].lake_name, "body_2");
}

TEST_F(ShapeTest, ADroppedColumnIsFollowed) {
  now_.schema.columns.pop_back();
  EXPECT_EQ(Follow().copy_again, "");
  EXPECT_EQ(Follow().table.columns.size(), 1U);
}

TEST_F(ShapeTest, AChangeOfTypeNeedsACopyUnlessNothingWasRewritten) {
  now_.schema.columns[1] = Column("body", kInt8, 2);
  EXPECT_NE(Follow().copy_again.find("the type of column 'body' changed"), std::string::npos);
  now_.schema.columns[1] = Column("body", kText, 2);
  now_.schema.columns[1].typmod = 24;
  EXPECT_EQ(Follow().copy_again, "") << "varchar(10) to varchar(20) rewrites nothing";
  now_.storage = "5:101";
  EXPECT_NE(Follow().copy_again, "");
}

TEST_F(ShapeTest, WhatTheCatalogueDoesNotConfirmIsNotTakenForGranted) {
  const StreamRelation message = [&] {
    now_.schema.columns.push_back(Column("extra", kText, 3));
    return Message();
  }();
  now_.schema.columns.pop_back();  // It is gone again.
  EXPECT_NE(FollowShape(message, &known_, now_).copy_again.find("changed more than once"), std::string::npos);
  EXPECT_NE(FollowShape(message, &known_, std::nullopt).copy_again, "");
}

TEST_F(ShapeTest, ColumnsThatAreAddedLaterMakeNoDoubt) {
  now_.schema.columns.push_back(Column("first", kText, 3));
  const StreamRelation message = Message();
  now_.schema.columns.push_back(Column("second", kText, 4));
  now_.filled = {"second"};
  const ShapeChange change = FollowShape(message, &known_, now_);
  EXPECT_EQ(change.copy_again, "");
  EXPECT_EQ(change.table.columns.size(), 3U);
  const FollowedTable then{change.table, known_.start, known_.storage};
  EXPECT_NE(FollowShape(Message(), &then, now_).copy_again.find("'second' was added with a default"),
            std::string::npos);
}

TEST_F(ShapeTest, AnotherKeyIsNoticed) {
  now_.schema.columns[1].is_key = true;
  EXPECT_EQ(Follow().copy_again, "its key changed");
}

TEST_F(ShapeTest, ATableThatWasMadeAgainIsMatchedByNamesAlone) {
  now_.schema.oid = 6;
  now_.storage = "6:200";
  now_.schema.columns = {Column("body", kText, 1), Column("id", kInt4, 2, true)};
  const ShapeChange change = FollowShape(now_, known_);
  EXPECT_EQ(change.copy_again, "the table was dropped and made again");
  EXPECT_EQ(change.table.columns[0].lake_name, "body");
  EXPECT_EQ(change.table.columns[1].lake_name, "id");
  EXPECT_EQ(change.table.oid, 6U);
}

TEST_F(ShapeTest, ARewriteCountsWhereDdlTouchedAColumn) {
  known_.storage = "5:100/1:700,2:700";
  now_.storage = "5:101/1:700,2:700";
  EXPECT_EQ(Follow().copy_again, "") << "TRUNCATE or VACUUM FULL";
  now_.storage = "5:100/1:700,2:720";
  EXPECT_EQ(Follow().copy_again, "") << "SET NOT NULL";
  now_.storage = "5:101/1:700,2:720";
  EXPECT_EQ(Follow().copy_again, "ALTER TABLE rewrote it") << "TYPE int USING n * 10";
}

TEST_F(ShapeTest, PartitionsThatComeOrGoWithRows) {
  known_.storage = "10:1,11:2/p10:700,p11:701a,1:600,2:600";
  const auto why = [&](const char* storage) {
    now_.storage = storage;
    return Follow().copy_again;
  };
  EXPECT_EQ(why("10:1,11:2/p10:700,p11:701a,1:600,2:600"), "");
  EXPECT_EQ(why("10:5,11:2,12:3/p10:700,p11:701a,p12:800,1:600,2:600"), "")
      << "made empty; one was truncated";
  EXPECT_EQ(why("10:1,11:2,12:3/p10:700,p11:701a,p12:800a,1:600,2:600"),
            "a partition was attached, whose rows no message tells");
  EXPECT_EQ(why("10:1/p10:700,1:600,2:600"), "a partition was detached or dropped");
  EXPECT_EQ(why("/1:600,2:600"), "a partition was detached or dropped") << "the last one";
  EXPECT_EQ(why("10:1,11:2/p10:750a,p11:701a,1:600,2:600"), "a partition was detached and attached again");
  EXPECT_EQ(why("10:1,11:2/p10:700a,p11:701,1:600,2:600"), "") << "what is known was altered";
}

TEST(StorageTest, PartitionsThatWereTruncatedByThemselves) {
  const std::string before = "10:10@700,11:11@701,12:50@900/p10:700,p11:701,p12:702,1:600";
  const auto why = [&](const std::string& leaves) {
    return WhyOtherPartitions(before, leaves + "/p10:700,p11:701,p12:702,1:600");
  };
  const std::string alone =
      "a partition was truncated, or rewritten, by its own name, which no message tells";
  EXPECT_EQ(why("10:10@700,11:11@701,12:50@900"), "");
  EXPECT_EQ(why("10:10@950,11:11@701,12:50@900"), "") << "GRANT";
  EXPECT_EQ(why("10:60@950,11:11@701,12:50@900"), alone);
  EXPECT_EQ(why("10:60@950,11:61@950,12:50@900"), alone) << "two of three, in one statement";
  EXPECT_EQ(why("10:60@950,11:61@950,12:62@950"), "") << "the root";
  EXPECT_EQ(why("10:60@950,11:63@960,12:62@950"), alone) << "the root, then one of them";
  EXPECT_EQ(why("10:60@950,11:61@950,12:62@950,13:13@960"), "") << "the root, then a new one";
  EXPECT_EQ(why("10:10@700,11:11@701,12:50@900,13:13@960"), "") << "a new one";
  EXPECT_EQ(why("10:10@700,11:11@701,12:50@900,13:70@960"), alone)
      << "a new one, truncated before it was seen";
  EXPECT_EQ(why("10:60@950,11:61@950,12:62@950,13:70@950"), "") << "a new one, then the root";
  EXPECT_EQ(
      WhyOtherPartitions("10:10,11:11/p10:700,p11:701,1:600", "10:60@950,11:11@701/p10:700,p11:701,1:600"),
      alone)
      << "noted by an earlier version";
  EXPECT_EQ(WhyOtherPartitions("5:100/1:700", "5:101/1:700"), "") << "no partition";
  EXPECT_EQ(WhyOtherPartitions("10:10@700/p10:700,1:600", "10:60@950/p10:700,1:600"), "")
      << "the only one, which the root may have been";
  EXPECT_FALSE(StorageReplaced(before, "10:10@950,11:11@701,12:50@900/p10:700,p11:701,p12:702,1:600"));
  EXPECT_TRUE(StorageReplaced(before, "10:60@700,11:11@701,12:50@900/p10:700,p11:701,p12:702,1:600"));
  EXPECT_TRUE(RowsKeptPlaces(before, "10:10@950,11:11@701,12:50@900/p10:700,p11:701,p12:702,1:600"));
}

TEST(StorageTest, PartitionsThatWereTruncatedTogether) {
  const auto needed = [](const std::string& leaves) {
    const std::string behind = "/p10:700,p11:701,1:600";
    return NeedsTruncate("10:10@700,11:50@900" + behind, leaves + behind);
  };
  EXPECT_TRUE(needed("10:60@950,11:61@950"));
  EXPECT_TRUE(needed("10:60@950,11:61@950,12:70@950")) << "with one that came";
  EXPECT_TRUE(needed("10:60@950,11:61@950,12:12@960")) << "one came behind it";
  EXPECT_FALSE(needed("10:10@950,11:50@950")) << "GRANT";
  EXPECT_FALSE(needed("10:60@950,11:50@900")) << "one of them";
  EXPECT_FALSE(needed("10:60@950,11:61@951")) << "one after the other";
  EXPECT_TRUE(NeedsTruncate("10:10@700/p10:700,1:600", "10:60@950/p10:700,1:600")) << "the only one";
  EXPECT_FALSE(NeedsTruncate("5:100/1:700", "5:101/1:700")) << "no partition";
  EXPECT_FALSE(NeedsTruncate("", "10:60@950/p10:700,1:600")) << "nothing known";
}

TEST(StorageTest, RowsThatKeepTheirPlaces) {
  const std::string before = "10:1,11:2/p10:700,p11:701a,1:600,2:600,t20000:aa";
  EXPECT_TRUE(RowsKeptPlaces(before, before));
  EXPECT_TRUE(RowsKeptPlaces(before, "10:1,11:2,12:3/p10:700a,p11:701a,p12:800,1:600,2:600,t20000:aa"));
  const std::map<std::string, std::string> others = {
      {"truncated", "10:5,11:2/p10:700,p11:701a,1:600,2:600,t20000:aa"},
      {"dropped", "11:2/p11:701a,1:600,2:600,t20000:aa"},
      {"attached", "10:1,11:2,12:3/p10:700,p11:701a,p12:800a,1:600,2:600,t20000:aa"},
      {"attached again", "10:1,11:2/p10:750a,p11:701a,1:600,2:600,t20000:aa"},
      {"column touched", "10:1,11:2/p10:700,p11:701a,1:600,2:620,t20000:aa"},
      {"column added", "10:1,11:2/p10:700,p11:701a,1:600,2:600,3:800,t20000:aa"},
      {"type altered", "10:1,11:2/p10:700,p11:701a,1:600,2:600,t20000:bb"},
      {"label added", "10:1,11:2/p10:700,p11:701a,1:600,2:600,t20000:aa,t20001:bb"}};
  for (const auto& [what, now] : others) EXPECT_FALSE(RowsKeptPlaces(before, now)) << what;
  EXPECT_TRUE(RowsKeptPlaces("5:100/1:700", "5:100/1:700"));
  EXPECT_FALSE(RowsKeptPlaces("5:100/1:700", "5:101/1:700"));
}

TEST_F(ShapeTest, PartitionsMayComeButNotGo) {
  EXPECT_FALSE(StorageReplaced("1:10,2:20", "1:10,2:20,3:30"));
  EXPECT_TRUE(StorageReplaced("1:10,2:20", "1:10"));
  EXPECT_TRUE(StorageReplaced("1:10", "1:11"));
  EXPECT_FALSE(StorageReplaced("", "1:11"));
}

TEST(StorageTest, TypesThatHaveAnotherForm) {
  const std::string before = "5:100/1:700,2:700,t20000:aa,t20001:bb";
  EXPECT_FALSE(TypesReformed(before, before));
  EXPECT_FALSE(TypesReformed(before, "5:101/1:701,2:700,t20000:aa,t20001:bb,t20002:cc"));
  EXPECT_TRUE(TypesReformed(before, "5:100/1:700,2:700,t20000:aa,t20001:ee"));
  EXPECT_FALSE(TypesReformed("5:100/1:700", before));
  EXPECT_FALSE(ColumnsTouched(before, "5:100/1:700,2:700,t20000:aa,t20001:ee"));
}

}  // namespace
}  // namespace tarn::cdc
