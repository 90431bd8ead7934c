#include "pipeline/equal_rows.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/test_seed.h"
#include "cdc/change_builder.h"

namespace tarn::pipeline {
namespace {

using cdc::WireValue;

schema::TableSchema Table(const std::vector<std::pair<std::string, uint32_t>>& columns) {
  schema::TableSchema table;
  table.schema_name = "public";
  table.table_name = "events";
  for (const auto& [name, oid] : columns)
    table.columns.push_back({name, "", oid, -1, schema::MakePgType(oid, -1), false});
  schema::AssignLakeNames(table);
  return table;
}

/// A lake that holds what reduced changes say, by the rows' names.
class EqualRowsTest : public testing::Test {
 protected:
  using Values = std::vector<const char*>;

  void Shape(const std::vector<std::pair<std::string, uint32_t>>& columns) {
    table_ = std::make_shared<const schema::TableSchema>(Table(columns));
    builder_ = std::make_unique<cdc::ChangeBuilder>(table_);
  }

  void Change(char op, const Values& values) {
    std::vector<WireValue> row;
    for (const char* value : values) {
      row.emplace_back();
      if (value != nullptr) row.back() = {WireValue::State::kText, value};
    }
    builder_->AppendRow({op, "2026-11-22 00:00:00.000000", ++lsn_, 1, 7}, row, std::nullopt);
  }

  Status Reduce() {
    TARN_ASSIGN(const ReducedChanges reduced,
                ReduceByValues(*table_, {builder_->Finish()},
                               [&](const arrow::RecordBatch& names) -> Result<BaseRows> {
                                 lookups_++;
                                 BaseRows base;
                                 for (int64_t row = 0; row < names.num_rows(); row++)
                                   base.found.push_back(lake_.contains(Cell(names, kRowName, row)));
                                 return base;
                               }));
    for (int64_t row = 0; row < reduced.deletes->num_rows(); row++)
      EXPECT_EQ(lake_.erase(Cell(*reduced.deletes, kRowName, row)), 1);
    Store(*reduced.rows);
    return {};
  }

  void Copy() {
    EqualRows equal;
    const auto named = equal.Name(*table_, builder_->Finish());
    ASSERT_TRUE(named);
    Store(**named);
  }

  void Store(const arrow::RecordBatch& rows) {
    for (int64_t row = 0; row < rows.num_rows(); row++) {
      const std::string name = Cell(rows, kRowName, row);
      EXPECT_FALSE(lake_.contains(name));
      lake_[name] = Cell(rows, table_->columns[0].lake_name, row);
    }
  }

  std::map<std::string, int> Counts() const {
    std::map<std::string, int> counts;
    for (const auto& [name, value] : lake_) counts[value]++;
    return counts;
  }

  static std::string Cell(const arrow::RecordBatch& rows, const std::string& column, int64_t row) {
    return (*rows.GetColumnByName(column)->GetScalar(row))->ToString();
  }

  std::shared_ptr<const schema::TableSchema> table_;
  std::unique_ptr<cdc::ChangeBuilder> builder_;
  std::map<std::string, std::string> lake_;
  int64_t lsn_ = 0;
  int lookups_ = 0;
};

TEST_F(EqualRowsTest, OfEqualRowsOneGoes) {
  Shape({{"v", schema::kTextOid}, {"n", schema::kInt4Oid}});
  for (int i = 0; i < 3; i++) Change('I', {"a", "1"});
  Change('I', {"b", nullptr});
  Copy();
  Change('D', {"a", "1"});
  Change('D', {"b", nullptr});
  Change('I', {"b", "1"});
  ASSERT_TRUE(Reduce());
  EXPECT_EQ(Counts(), (std::map<std::string, int>{{"a", 2}, {"b", 1}}));
  // What comes and goes within one run leaves nothing.
  Change('I', {"c", "1"});
  Change('D', {"c", "1"});
  ASSERT_TRUE(Reduce());
  EXPECT_EQ(Counts(), (std::map<std::string, int>{{"a", 2}, {"b", 1}}));
}

TEST_F(EqualRowsTest, AColumnThatIsAddedChangesNoName) {
  Shape({{"v", schema::kTextOid}});
  Change('I', {"a"});
  Copy();
  Shape({{"v", schema::kTextOid}, {"later", schema::kTextOid}});
  Change('D', {"a", nullptr});
  ASSERT_TRUE(Reduce());
  EXPECT_TRUE(lake_.empty());
}

TEST_F(EqualRowsTest, ValuesThatTheLakeCannotHoldTellRowsApart) {
  Shape({{"v", schema::kTextOid}, {"day", schema::kDateOid}});
  Change('I', {"a", "infinity"});
  Change('I', {"b", "-infinity"});
  Copy();
  Change('D', {"a", "-infinity"});
  EXPECT_FALSE(Reduce());
  Change('D', {"a", "infinity"});
  ASSERT_TRUE(Reduce());
  EXPECT_EQ(Counts(), (std::map<std::string, int>{{"b", 1}}));
}

TEST_F(EqualRowsTest, ValuesDoNotRunIntoEachOther) {
  Shape({{"v", schema::kTextOid}, {"w", schema::kTextOid}});
  for (const Values& values : std::vector<Values>{
           {"a", "b"}, {"ab", ""}, {"ab", nullptr}, {"", "ab"}, {nullptr, "ab"}, {nullptr, nullptr}})
    Change('I', values);
  Copy();
  EXPECT_EQ(lake_.size(), 6);
  for (const auto& [name, value] : lake_) EXPECT_TRUE(name.ends_with(".1")) << name;
}

TEST_F(EqualRowsTest, WhatIsNotThereCannotGo) {
  Shape({{"v", schema::kTextOid}});
  Change('I', {"a"});
  Copy();
  Change('D', {"a"});
  Change('D', {"a"});
  Change('I', {"a"});
  const Status reduced = Reduce();
  ASSERT_FALSE(reduced);
  EXPECT_EQ(reduced.error().code, ErrorCode::kUnsupported);
}

TEST_F(EqualRowsTest, AnyRunsOfChangesComeToTheSameAsOneByOne) {
  const uint32_t seed = TestSeed();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  Shape({{"v", schema::kTextOid}, {"n", schema::kInt8Oid}});
  const std::vector<const char*> words = {"a", "b", "c", "d"};
  std::map<std::string, int> source;
  for (int run = 0; run < 200; run++) {
    const int changes = 1 + static_cast<int>(random() % 40);
    for (int i = 0; i < changes; i++) {
      const char* word = words[random() % words.size()];
      if (random() % 5 < 3 || source[word] == 0) {
        Change('I', {word, "7"});
        source[word]++;
      } else {
        Change('D', {word, "7"});
        source[word]--;
      }
    }
    std::erase_if(source, [](const auto& entry) { return entry.second == 0; });
    lookups_ = 0;
    ASSERT_TRUE(Reduce());
    ASSERT_EQ(Counts(), source);
    EXPECT_LE(lookups_, 2 * 14);
  }
}

}  // namespace
}  // namespace tarn::pipeline
