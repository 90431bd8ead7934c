#include "pipeline/differing_rows.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "base/test_seed.h"

namespace tarn::pipeline {
namespace {

constexpr uint32_t kInt8 = 20, kText = 25;

schema::TableSchema Table(bool with_key) {
  schema::TableSchema table;
  table.schema_name = "public";
  table.table_name = "items";
  table.columns.push_back({"id", "", kInt8, -1, schema::MakePgType(kInt8, -1), with_key});
  table.columns.push_back({"name", "", kText, -1, schema::MakePgType(kText, -1), false});
  table.columns.push_back({"n", "", kInt8, -1, schema::MakePgType(kInt8, -1), false});
  schema::AssignLakeNames(table);
  return table;
}

struct Item {
  int64_t id = 0;
  std::string name;
  std::optional<int64_t> n;
};

std::shared_ptr<arrow::RecordBatch> Batch(const std::vector<Item>& items) {
  arrow::Int64Builder ids, numbers;
  arrow::StringBuilder names;
  for (const Item& item : items) {
    (void)ids.Append(item.id);
    (void)names.Append(item.name);
    (void)(item.n ? numbers.Append(*item.n) : numbers.AppendNull());
  }
  return arrow::RecordBatch::Make(
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("name", arrow::utf8()),
                     arrow::field("n", arrow::int64())}),
      static_cast<int64_t>(items.size()), {*ids.Finish(), *names.Finish(), *numbers.Finish()});
}

std::vector<DifferingRow> Differences(const schema::TableSchema& table, const std::vector<Item>& source,
                                      const std::vector<Item>& lake) {
  using Side = DifferingRows::Side;
  DifferingRows rows(table);
  EXPECT_TRUE(rows.Count(Side::kSource, *Batch(source)));
  EXPECT_TRUE(rows.Count(Side::kLake, *Batch(lake)));
  rows.Choose();
  EXPECT_TRUE(rows.Collect(Side::kLake, *Batch(lake)));
  EXPECT_TRUE(rows.Collect(Side::kSource, *Batch(source)));
  return rows.Rows();
}

TEST(DifferingRowsTest, EachKindIsNamedWithItsKeyAndColumns) {
  const std::vector<Item> source{{1, "a", 1}, {2, "b", std::nullopt}, {3, "c", 3}, {4, "d", 4}};
  const std::vector<Item> lake{{4, "d", 4}, {3, "C", 0}, {2, "b", 0}, {5, "e", 5}};
  const auto found = Differences(Table(true), source, lake);
  std::vector<std::string> told;
  for (const DifferingRow& row : found)
    told.push_back(fmt::format("{} {} {}", row.key, DifferenceName(row.what), fmt::join(row.columns, " ")));
  std::sort(told.begin(), told.end());
  EXPECT_EQ(told, (std::vector<std::string>{"id=1 missing in the lake ", "id=2 different n",
                                            "id=3 different name n", "id=5 not in the source "}));
  EXPECT_TRUE(Differences(Table(true), source, source).empty());
}

TEST(DifferingRowsTest, WithoutAKeyARowIsItsValuesAndCounts) {
  const auto found = Differences(Table(false), {{1, "a", 1}, {1, "a", 1}}, {{1, "a", 1}});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].key, "id=1, name=a, n=1");
  EXPECT_EQ(found[0].what, DifferingRow::What::kMissing);
}

TEST(DifferingRowsTest, OfManyRowsSomeAreNamedAndAllOfFew) {
  const uint64_t seed = TestSeed();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937_64 random(seed);
  const schema::TableSchema table = Table(true);
  for (const size_t wrong : {1U, 3U, 15U, 500U}) {
    std::vector<Item> source;
    for (int64_t id = 0; id < 20'000; id++) source.push_back({id, std::to_string(random() % 100), id});
    std::vector<Item> lake = source;
    std::set<std::string> expected;
    while (expected.size() < wrong) {
      const size_t at = random() % lake.size();
      lake[at].n = -1;
      expected.insert(fmt::format("id={}", at));
    }
    std::shuffle(lake.begin(), lake.end(), random);
    const auto found = Differences(table, source, lake);
    EXPECT_EQ(found.size(), std::min(wrong, DifferingRows::kMostNamed));
    for (const DifferingRow& row : found) {
      EXPECT_TRUE(expected.contains(row.key)) << row.key;
      EXPECT_EQ(row.columns, std::vector<std::string>{"n"});
    }
  }
}

}  // namespace
}  // namespace tarn::pipeline
