#include "pipeline/change_reducer.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "cdc/change_builder.h"

namespace tarn::pipeline {
namespace {

using cdc::WireValue;

/// A table (id int8 key, small text, large text) and the changes that a test makes of it.
class ReducerTest : public testing::Test {
 protected:
  ReducerTest() {
    schema::TableSchema table;
    table.schema_name = "public";
    table.table_name = "notes";
    for (const char* name : {"id", "small", "large"}) {
      const uint32_t oid = std::string(name) == "id" ? schema::kInt8Oid : schema::kTextOid;
      table.columns.push_back({name, "", oid, -1, schema::MakePgType(oid, -1), oid == schema::kInt8Oid});
    }
    schema::AssignLakeNames(table);
    table_ = std::make_shared<const schema::TableSchema>(table);
    builder_ = std::make_unique<cdc::ChangeBuilder>(table_);
  }

  static WireValue Value(const char* text) {
    if (text == nullptr) return {};
    if (std::string(text) == "~") return {WireValue::State::kUnchanged, {}};
    return {WireValue::State::kText, text};
  }
  /// "~" is an untouched TOAST value, nullptr is NULL.
  void Change(char op, const char* id, const char* small, const char* large, const char* old_id = nullptr) {
    lsn_++;
    std::optional<std::string> old_key;
    if (old_id != nullptr) old_key = std::string("{\"id\":\"") + old_id + "\"}";
    builder_->AppendRow({op, "2026-11-22 00:00:00.000000", lsn_, 1, 7},
                        {Value(id), Value(small), Value(large)}, old_key);
  }

  ReducedChanges Reduce(const std::map<int64_t, std::string>& lake = {}) {
    lookups_ = 0;
    auto reduced =
        ReduceChanges(*table_, {builder_->Finish()}, [&](const arrow::RecordBatch& keys) -> Result<BaseRows> {
          lookups_++;
          BaseRows base;
          arrow::StringBuilder large;
          for (int64_t row = 0; row < keys.num_rows(); row++) {
            const auto found = lake.find(static_cast<const arrow::Int64Array&>(*keys.column(0)).Value(row));
            base.found.push_back(found != lake.end());
            (void)(found != lake.end() ? large.Append(found->second) : large.AppendNull());
          }
          base.rows = arrow::RecordBatch::Make(arrow::schema({arrow::field("large", arrow::utf8())}),
                                               keys.num_rows(), {*large.Finish()});
          return base;
        });
    EXPECT_TRUE(reduced) << reduced.error().message;
    return *reduced;
  }

  static std::string Cell(const arrow::RecordBatch& rows, const char* column, int64_t row) {
    return (*rows.GetColumnByName(column)->GetScalar(row))->ToString();
  }

  std::shared_ptr<const schema::TableSchema> table_;
  std::unique_ptr<cdc::ChangeBuilder> builder_;
  int64_t lsn_ = 0;
  int lookups_ = 0;
};

TEST_F(ReducerTest, TheLastImageOfAKeyWins) {
  Change('I', "1", "a", "x");
  Change('I', "2", "b", "y");
  Change('U', "1", "c", "z");
  Change('D', "2", nullptr, nullptr);
  Change('I', "3", "d", "w");
  Change('D', "3", nullptr, nullptr);
  Change('I', "3", "again", "v");
  const ReducedChanges out = Reduce();
  ASSERT_EQ(out.rows->num_rows(), 2);
  EXPECT_EQ(Cell(*out.rows, "small", 0), "c");
  EXPECT_EQ(Cell(*out.rows, "small", 1), "again");
  ASSERT_EQ(out.deletes->num_rows(), 1);
  EXPECT_EQ(Cell(*out.deletes, "id", 0), "2");
  EXPECT_EQ(Cell(*out.deletes, "_lsn", 0), "4");
  EXPECT_EQ(lookups_, 0);
}

TEST_F(ReducerTest, AnUntouchedValueComesFromTheBatchOrElseFromTheLake) {
  Change('I', "1", "a", "in batch");
  Change('U', "1", "b", "~");
  Change('U', "1", "c", "~");
  Change('U', "2", "d", "~");
  Change('U', "2", "e", "~");
  const ReducedChanges out = Reduce({{2, "in lake"}});
  ASSERT_EQ(out.rows->num_rows(), 2);
  EXPECT_EQ(Cell(*out.rows, "small", 0), "c");
  EXPECT_EQ(Cell(*out.rows, "large", 0), "in batch");
  EXPECT_EQ(Cell(*out.rows, "small", 1), "e");
  EXPECT_EQ(Cell(*out.rows, "large", 1), "in lake");
  EXPECT_EQ(lookups_, 1);
  EXPECT_EQ(out.unresolved, 0);
}

TEST_F(ReducerTest, AKeyChangeCarriesTheValueAlongAndDeletesTheOldKey) {
  Change('U', "2", "moved", "~", "1");
  Change('U', "3", "again", "~", "2");
  const ReducedChanges out = Reduce({{1, "of one"}});
  ASSERT_EQ(out.rows->num_rows(), 1);
  EXPECT_EQ(Cell(*out.rows, "id", 0), "3");
  EXPECT_EQ(Cell(*out.rows, "large", 0), "of one");
  ASSERT_EQ(out.deletes->num_rows(), 2);
}

TEST_F(ReducerTest, AKeyThatMovesToItselfStays) {
  Change('U', "1", "a", "~", "1");
  Change('U', "1", "b", "~", "1");
  const ReducedChanges out = Reduce({{1, "of one"}});
  ASSERT_EQ(out.rows->num_rows(), 1);
  EXPECT_EQ(Cell(*out.rows, "small", 0), "b");
  EXPECT_EQ(Cell(*out.rows, "large", 0), "of one");
  EXPECT_EQ(out.deletes->num_rows(), 0);
  EXPECT_EQ(out.unresolved, 0);
}

TEST_F(ReducerTest, TwoKeysThatSwapBothLive) {
  Change('U', "9", "a", "A", "1");
  Change('U', "1", "b", "B", "2");
  Change('U', "2", "a", "A", "9");
  const ReducedChanges out = Reduce();
  ASSERT_EQ(out.rows->num_rows(), 2);
  ASSERT_EQ(out.deletes->num_rows(), 1);
  EXPECT_EQ(Cell(*out.deletes, "id", 0), "9");
}

TEST_F(ReducerTest, AValueWithoutABaseIsNeverAPlainNull) {
  Change('U', "5", "a", "~");
  const ReducedChanges out = Reduce();
  EXPECT_EQ(out.unresolved, 1);
  EXPECT_NE(Cell(*out.rows, "_bad", 0).find("no earlier one is known"), std::string::npos);
}

}  // namespace
}  // namespace tarn::pipeline
