#include "engine/batch_sql.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.h"
#include "engine/referenced_tables.h"
#include "engine/test_lake.h"

namespace tarn::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::shared_ptr<arrow::RecordBatch> Sequence(int64_t rows) {
  arrow::Int64Builder ids;
  arrow::StringBuilder texts;
  for (int64_t i = 0; i < rows; ++i) {
    EXPECT_TRUE(ids.Append(i).ok());
    EXPECT_TRUE((i % 3 == 0 ? texts.AppendNull() : texts.Append(" Text " + std::to_string(i))).ok());
  }
  return arrow::RecordBatch::Make(
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("text", arrow::utf8())}), rows,
      {ids.Finish().ValueOrDie(), texts.Finish().ValueOrDie()});
}

class BatchSqlTest : public testing::Test {
 protected:
  void SetUp() override {
    auto sql = BatchSql::Open();
    ASSERT_TRUE(sql) << sql.error().message;
    sql_ = std::move(*sql);
  }
  std::unique_ptr<BatchSql> sql_;
};

TEST_F(BatchSqlTest, KeepsTheOrderOfRows) {
  for (const int64_t rows : {0, 1, 2047, 2048, 2049, 10000, 200000}) {
    auto result = sql_->Run("SELECT id, trim(lower(text)) AS text, text IS NULL AS missing FROM changes",
                            {{"changes", Sequence(rows)}});
    ASSERT_TRUE(result) << result.error().message;
    ASSERT_EQ((*result)->num_rows(), rows);
    EXPECT_TRUE((*result)->ValidateFull().ok());
    const auto& ids = static_cast<const arrow::Int64Array&>(*(*result)->column(0));
    for (int64_t i = 0; i < rows; ++i) ASSERT_EQ(ids.Value(i), i);
  }
}

TEST_F(BatchSqlTest, JoinsSeveralTablesAndSlices) {
  const auto rows = Sequence(100);
  auto result =
      sql_->Run("WITH b AS (SELECT id FROM second) SELECT a.id, a.text FROM First a JOIN b USING (id)",
                {{"first", rows}, {"second", rows->Slice(97, 2)}});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_THAT(Sorted(RowsOf(**result)), ElementsAre("97| Text 97", "98| Text 98"));
}

TEST_F(BatchSqlTest, TheCallersTablesAreGoneAfterwards) {
  ASSERT_TRUE(sql_->Run("SELECT 1 FROM t", {{"t", Sequence(1)}}));
  auto result = sql_->Run("SELECT 1 FROM t", {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kSql);
  EXPECT_THAT(result.error().message, HasSubstr("does not exist"));
}

TEST_F(BatchSqlTest, NothingButSelects) {
  for (const char* sql : {"CREATE TABLE x AS SELECT 1", "SET threads = 8", "COPY (SELECT 1) TO '/tmp/x'",
                          "SELECT 1; SELECT 2"}) {
    auto result = sql_->Run(sql, {});
    ASSERT_FALSE(result) << sql;
    EXPECT_EQ(result.error().code, ErrorCode::kPermission) << sql;
  }
  auto result = sql_->Run("SELECT * FROM read_text('/etc/passwd')", {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kPermission);
  EXPECT_FALSE(sql_->Run("SELECT * FROM '/etc/passwd'", {}));
}

TEST_F(BatchSqlTest, ErrorsShowTheirPlace) {
  auto result = sql_->Run("SELECT\n  nothing FROM t", {{"t", Sequence(1)}});
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("line 2, column 3"));
  auto division = sql_->Run("SELECT CAST(text AS INTEGER) FROM t", {{"t", Sequence(5)}});
  ASSERT_FALSE(division);
  EXPECT_EQ(division.error().code, ErrorCode::kSql);
}

TEST_F(BatchSqlTest, ACallCostsAboutAMillisecond) {
  const auto rows = Sequence(5000);
  const std::string rule =
      "SELECT id, CASE WHEN text IS NULL THEN 'missing text' END AS reason, trim(text) FROM t";
  ASSERT_TRUE(sql_->Run(rule, {{"t", rows}}));
  const int64_t start = MonotonicMicros();
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(sql_->Run(rule, {{"t", rows}}));
  const double ms = static_cast<double>(MonotonicMicros() - start) / 50000;
  RecordProperty("ms_per_call", std::to_string(ms));
  EXPECT_LT(ms, 50) << "far above what a call takes on any machine";
}

TEST(ReferencedTables, FindsTablesAndNotCtes) {
  const auto names = [](const std::string& sql) {
    auto tables = ReferencedTables(sql);
    std::vector<std::string> result;
    if (!tables) return std::vector<std::string>{"ERROR " + tables.error().message};
    for (const auto& table : *tables) result.push_back(table.schema + "." + table.name);
    return result;
  };
  EXPECT_THAT(
      names("SELECT * FROM silver.Orders o JOIN customers USING (id) JOIN lake.gold.revenue r ON true"),
      ElementsAre("silver.orders", ".customers", "gold.revenue"));
  EXPECT_THAT(names("WITH a AS (SELECT * FROM x), b AS (SELECT * FROM a, y) SELECT * FROM b, a, silver.a"),
              ElementsAre(".x", ".y", "silver.a"));
  EXPECT_THAT(names("WITH orders AS (SELECT * FROM orders) SELECT * FROM orders"), ElementsAre(".orders"));
  EXPECT_THAT(
      names("WITH RECURSIVE r AS (SELECT 1 AS i FROM seed UNION ALL SELECT i + 1 FROM r, limits) FROM r"),
      ElementsAre(".seed", ".limits"));
  EXPECT_THAT(names("SELECT (SELECT max(i) FROM a), i IN (SELECT i FROM b) FROM c WHERE EXISTS (FROM d) "
                    "GROUP BY ALL HAVING sum(i) > (SELECT 1 FROM e) ORDER BY (SELECT 1 FROM f)"),
              testing::UnorderedElementsAre(".a", ".b", ".c", ".d", ".e", ".f"));
  EXPECT_THAT(
      names("SELECT * FROM a FOR TIMESTAMP AS OF '2026-01-01' UNION ALL SELECT * FROM (SELECT * FROM b) "
            "EXCEPT SELECT * FROM c JOIN d ON c.i = (SELECT 1 FROM e)"),
      testing::UnorderedElementsAre(".a", ".b", ".c", ".d", ".e"));
  EXPECT_THAT(names("SELECT * FROM range(10), generate_series(1, 2), (VALUES (1)) v"), testing::IsEmpty());
  EXPECT_THAT(names("INSERT INTO x SELECT 1"), ElementsAre(HasSubstr("a model is one SELECT")));
  EXPECT_THAT(names("SELECT FROM WHERE"), ElementsAre(HasSubstr("line 1")));
}

}  // namespace
}  // namespace tarn::engine
