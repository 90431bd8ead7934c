#include "engine/model_analysis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/test_seed.h"
#include "engine/referenced_tables.h"
#include "engine/session.h"
#include "engine/test_lake.h"
#include "engine/test_shop.h"

namespace tarn::engine {
namespace {

using testing::HasSubstr;

constexpr int64_t kNow = 1'790'000'000'000'000;
constexpr const char* kNull = "__HIVE_DEFAULT_PARTITION__";

/// A SELECT, its partition column, and why it is not partition-local; empty: it is.
struct Verdict {
  std::string sql;
  std::string partition = "tenant_id";
  std::string reason = "";
};

const std::vector<Verdict>& Verdicts() {
  static const std::vector<Verdict> verdicts = {
      // Rows one by one.
      {"SELECT tenant_id, id FROM orders"},
      {"SELECT tenant_id, id FROM orders WHERE total > 100 ORDER BY id"},
      {"SELECT *, total * 2 AS twice FROM (SELECT tenant_id, id, total FROM orders)"},
      {"SELECT tenant_id AS t, id FROM orders", "t"},
      {"SELECT tenant_id + 0 AS tenant_id, id FROM orders", "tenant_id", "not proven to be the partition"},
      {"SELECT CASE WHEN id > 5 THEN tenant_id ELSE 1 END AS tenant_id FROM orders", "tenant_id",
       "not proven"},
      {"SELECT customer_id AS tenant_id, id FROM orders", "tenant_id", "not proven"},
      {"SELECT id FROM orders", "tenant_id", "no column 'tenant_id'"},
      {"SELECT tenant_id FROM orders", "", "not partitioned"},
      {"SELECT id AS tenant_id FROM tenants", "tenant_id", "reads no partitioned table"},
      {"SELECT tenant_id, unnest([1, 2, 3]) AS n FROM orders"},
      // Limits.
      {"SELECT tenant_id, id FROM orders ORDER BY id LIMIT 5", "tenant_id",
       "LIMIT counts rows of all partitions of orders"},
      {"SELECT tenant_id, id FROM orders OFFSET 3", "tenant_id", "LIMIT"},
      {"SELECT o.tenant_id, o.id FROM orders o CROSS JOIN (SELECT id FROM tenants ORDER BY id LIMIT 1)"},
      {"SELECT tenant_id, id FROM orders USING SAMPLE 3 ROWS", "tenant_id", "not known here"},
      // Groups.
      {"SELECT tenant_id, count(*) FROM orders GROUP BY tenant_id"},
      {"SELECT tenant_id, status, sum(total) FROM orders GROUP BY 1, 2 HAVING count(*) > 1"},
      {"SELECT status, count(*) AS n FROM orders GROUP BY 1", "n", "grouped without their partition"},
      {"SELECT min(tenant_id) AS tenant_id FROM orders", "tenant_id", "aggregate over all rows of orders"},
      {"SELECT max(tenant_id) AS tenant_id, status FROM orders GROUP BY status", "tenant_id",
       "without their partition"},
      {"SELECT tenant_id % 2 AS tenant_id, count(*) FROM orders GROUP BY 1", "tenant_id",
       "without their partition"},
      {"SELECT tenant_id, status, count(*) FROM orders GROUP BY GROUPING SETS ((tenant_id, status), "
       "(tenant_id))"},
      {"SELECT tenant_id, status, count(*) FROM orders GROUP BY ROLLUP (tenant_id, status)", "tenant_id",
       "without their partition"},
      {"SELECT tenant_id, status, count(*) FROM orders GROUP BY GROUPING SETS ((tenant_id), (status))",
       "tenant_id", "without their partition"},
      {"SELECT tenant_id, count(*) FROM orders GROUP BY CUBE (tenant_id)", "tenant_id",
       "without their partition"},
      {"SELECT any_value(tenant_id) AS tenant_id, tenant_id AS t FROM orders GROUP BY tenant_id", "tenant_id",
       "not proven"},
      // DISTINCT.
      {"SELECT DISTINCT tenant_id, status FROM orders"},
      {"SELECT DISTINCT ON (tenant_id, status) tenant_id, status, id FROM orders ORDER BY id"},
      {"SELECT DISTINCT ON (status) tenant_id, id FROM orders ORDER BY id", "tenant_id",
       "DISTINCT over orders"},
      {"SELECT tenant_id FROM orders SEMI JOIN (SELECT DISTINCT status FROM orders) s USING (status)",
       "tenant_id", "DISTINCT over orders"},
      // Windows.
      {"SELECT tenant_id, row_number() OVER (PARTITION BY status, tenant_id ORDER BY id) AS n FROM orders"},
      {"SELECT tenant_id, id FROM orders QUALIFY row_number() OVER (PARTITION BY tenant_id ORDER BY id) <= "
       "2"},
      {"SELECT tenant_id, row_number() OVER (ORDER BY id) AS n FROM orders", "tenant_id", "spans partitions"},
      {"SELECT tenant_id, count(*) OVER () AS n FROM orders", "tenant_id", "spans partitions"},
      {"SELECT tenant_id, sum(total) OVER (PARTITION BY tenant_id), sum(total) OVER (PARTITION BY status) "
       "FROM orders",
       "tenant_id", "spans partitions"},
      {"SELECT tenant_id, count(*) OVER (PARTITION BY tenant_id % 2) FROM orders", "tenant_id",
       "spans partitions"},
      // Joins of partitioned tables.
      {"SELECT o.tenant_id, i.id FROM orders o JOIN order_items i ON i.tenant_id = o.tenant_id AND "
       "i.order_id = o.id"},
      {"SELECT i.tenant_id, i.id FROM orders o, order_items i WHERE i.tenant_id = o.tenant_id AND i.order_id "
       "= o.id"},
      {"SELECT o.tenant_id FROM orders o, order_items i, products p "
       "WHERE i.tenant_id = o.tenant_id AND i.order_id = o.id AND p.id = i.product_id AND p.tenant_id = "
       "i.tenant_id"},
      {"SELECT o.tenant_id FROM orders o JOIN order_items i USING (tenant_id)"},
      {"SELECT o.tenant_id, i.id FROM orders o JOIN order_items i ON i.order_id = o.id", "tenant_id",
       "the join of orders and order_items does not ask for the same partition"},
      {"SELECT o.tenant_id FROM orders o, order_items i WHERE i.order_id = o.id", "tenant_id",
       "does not ask"},
      {"SELECT o.tenant_id FROM orders o JOIN order_items i ON i.tenant_id = o.customer_id", "tenant_id",
       "does not ask"},
      {"SELECT o.tenant_id FROM orders o JOIN order_items i ON i.tenant_id >= o.tenant_id", "tenant_id",
       "does not ask"},
      {"SELECT o.tenant_id FROM orders o JOIN order_items i ON i.tenant_id = o.tenant_id OR i.id = o.id",
       "tenant_id", "does not ask"},
      {"SELECT o.tenant_id FROM orders o JOIN order_items i ON i.tenant_id = o.tenant_id + 1", "tenant_id",
       "does not ask"},
      {"SELECT a.tenant_id, b.id FROM orders a JOIN orders b ON b.tenant_id = a.tenant_id AND b.id = a.id + "
       "1"},
      {"SELECT a.tenant_id, b.id FROM orders a JOIN orders b ON b.id = a.id + 1", "tenant_id",
       "does not ask"},
      {"SELECT o.tenant_id FROM orders o CROSS JOIN products p", "tenant_id", "does not ask"},
      {"SELECT o.tenant_id FROM orders o POSITIONAL JOIN products p", "tenant_id", "not known here"},
      {"SELECT o.tenant_id FROM orders o ASOF JOIN orders p ON p.tenant_id = o.tenant_id AND o.placed_at >= "
       "p.placed_at",
       "tenant_id", "not known here"},
      {"SELECT o.tenant_id, i.id FROM orders o LEFT JOIN order_items i "
       "ON i.tenant_id = o.tenant_id AND i.order_id = o.id"},
      {"SELECT o.tenant_id, i.id FROM orders o LEFT JOIN order_items i "
       "ON i.tenant_id = o.tenant_id AND i.order_id = o.id AND (i.id > 3 OR o.id > 3)"},
      {"SELECT i.tenant_id, o.id FROM orders o LEFT JOIN order_items i "
       "ON i.tenant_id = o.tenant_id AND i.order_id = o.id",
       "tenant_id", "not proven"},
      {"SELECT i.tenant_id, o.id FROM orders o RIGHT JOIN order_items i "
       "ON i.tenant_id = o.tenant_id AND i.order_id = o.id"},
      {"SELECT o.tenant_id, i.id FROM orders o FULL JOIN order_items i ON i.tenant_id = o.tenant_id",
       "tenant_id", "FULL JOIN of orders and order_items"},
      {"SELECT coalesce(o.tenant_id, i.tenant_id) AS tenant_id FROM orders o FULL JOIN order_items i USING "
       "(tenant_id)",
       "tenant_id", "FULL JOIN"},
      {"SELECT o.tenant_id, o.id FROM orders o SEMI JOIN order_items i ON i.tenant_id = o.tenant_id AND "
       "i.order_id = o.id"},
      {"SELECT o.tenant_id, o.id FROM orders o ANTI JOIN order_items i ON i.tenant_id = o.tenant_id AND "
       "i.order_id = o.id"},
      {"SELECT o.tenant_id, o.id FROM orders o ANTI JOIN order_items i ON i.order_id = o.id", "tenant_id",
       "does not ask"},
      // Joins with a table that has no partitions.
      {"SELECT o.tenant_id, t.name FROM orders o JOIN tenants t ON t.id = o.tenant_id"},
      {"SELECT t.id AS tenant_id, o.id FROM orders o JOIN tenants t ON t.id = o.tenant_id"},
      {"SELECT t.id AS tenant_id, count(*) FROM orders o JOIN tenants t ON t.id = o.tenant_id GROUP BY 1"},
      {"SELECT t.id AS tenant_id, count(*) FROM orders o JOIN tenants t ON t.id = o.customer_id GROUP BY 1",
       "tenant_id", "without their partition"},
      {"SELECT o.tenant_id, t.name FROM orders o LEFT JOIN tenants t ON t.id = o.customer_id"},
      {"SELECT o.tenant_id, t.name FROM orders o CROSS JOIN tenants t"},
      {"SELECT t.id AS tenant_id, o.id AS o FROM tenants t LEFT JOIN orders o ON o.tenant_id = t.id",
       "tenant_id", "the join of tenants and orders keeps rows of a table without partitions"},
      {"SELECT o.tenant_id FROM orders o RIGHT JOIN tenants t ON t.id = o.tenant_id", "tenant_id",
       "keeps rows"},
      {"SELECT t.id AS tenant_id FROM tenants t ANTI JOIN orders o ON o.tenant_id = t.id", "tenant_id",
       "keeps rows"},
      {"SELECT t.id AS tenant_id FROM tenants t SEMI JOIN orders o ON o.tenant_id = t.id", "tenant_id",
       "keeps rows"},
      // Subqueries.
      {"SELECT tenant_id, (SELECT max(total) FROM orders) AS most FROM orders", "tenant_id",
       "aggregate over all rows"},
      {"SELECT tenant_id, (SELECT max(id) FROM tenants) AS newest FROM orders"},
      {"SELECT tenant_id, id FROM orders WHERE id IN (SELECT order_id FROM order_items)", "tenant_id",
       "join of orders and order_items"},
      {"SELECT tenant_id, id FROM orders WHERE tenant_id NOT IN (SELECT tenant_id FROM order_items)",
       "tenant_id", "IN over order_items asks rows of all partitions"},
      {"SELECT tenant_id, id FROM orders WHERE tenant_id IN (SELECT id FROM tenants WHERE name < 'tenant "
       "5')"},
      {"SELECT tenant_id, id FROM orders o WHERE EXISTS (SELECT 1 FROM order_items i WHERE i.tenant_id = "
       "o.tenant_id)",
       "tenant_id", "correlated subquery"},
      {"SELECT tenant_id, (SELECT count(*) FROM order_items i WHERE i.order_id = o.id) FROM orders o",
       "tenant_id", "correlated subquery"},
      {"SELECT tenant_id, l.n FROM orders o, LATERAL (SELECT count(*) AS n FROM order_items i WHERE i.id < "
       "o.id) l",
       "tenant_id", "correlated subquery"},
      // Set operations.
      {"SELECT tenant_id, id FROM orders UNION ALL SELECT tenant_id, id FROM products"},
      {"SELECT tenant_id, id FROM orders UNION SELECT tenant_id, id FROM products"},
      {"SELECT tenant_id, id FROM orders UNION ALL SELECT id, tenant_id FROM products", "tenant_id",
       "not proven"},
      {"SELECT tenant_id FROM orders UNION ALL SELECT id FROM tenants", "tenant_id",
       "UNION with rows of a table without partitions"},
      {"SELECT tenant_id FROM orders UNION ALL SELECT 1", "tenant_id", "UNION with rows"},
      {"SELECT tenant_id, id FROM orders EXCEPT SELECT tenant_id, id FROM products"},
      {"SELECT tenant_id, id FROM orders EXCEPT SELECT id, tenant_id FROM products", "tenant_id",
       "EXCEPT of orders, products"},
      {"SELECT tenant_id, id FROM orders EXCEPT SELECT id, id FROM tenants"},
      {"SELECT id AS tenant_id FROM tenants EXCEPT SELECT tenant_id FROM orders", "tenant_id",
       "begins with a table"},
      {"SELECT tenant_id, id FROM orders INTERSECT SELECT tenant_id, id FROM products"},
      // CTEs.
      {"WITH a AS (SELECT tenant_id AS t, id FROM orders), b AS MATERIALIZED (SELECT tenant_id, id FROM "
       "products) "
       "SELECT a.t AS tenant_id, count(*) FROM a JOIN b ON b.tenant_id = a.t GROUP BY 1"},
      {"WITH a AS (SELECT id AS tenant_id, tenant_id AS id FROM orders) SELECT tenant_id FROM a", "tenant_id",
       "not proven"},
      {"WITH a AS (SELECT tenant_id, id FROM orders) SELECT x.tenant_id FROM a x JOIN a y ON x.id = y.id",
       "tenant_id", "the join of a and a"},
      {"WITH RECURSIVE a AS (SELECT tenant_id, 1 AS n FROM orders UNION ALL SELECT tenant_id, n + 1 FROM a "
       "WHERE n < 3) "
       "SELECT * FROM a",
       "tenant_id", "not known here"},
      // What is not the same at each run.
      {"SELECT tenant_id, random() AS r FROM orders", "tenant_id", "random() gives another value"},
      {"SELECT tenant_id FROM orders WHERE random() < 0.5", "tenant_id", "random()"},
      {"SELECT tenant_id, list_transform([id], x -> x + random()) AS r FROM orders", "tenant_id", "lambda"},
      {"SELECT tenant_id, n FROM orders, range(3) r(n)", "tenant_id", "range() in FROM"},
      {"SELECT tenant_id, _hoodie_file_name AS f FROM places", "tenant_id",
       "where rows of places are stored"},
  };
  return verdicts;
}

class ModelAnalysisTest : public testing::Test {
 protected:
  void SetUp() override {
    seed_ = TestSeed();
    RecordProperty("seed", std::to_string(seed_));
    random_.seed(seed_);
    ShopDraw draw(&random_, 5, kNow);
    for (const ShopTable& table : ShopTables()) {
      for (int64_t id = 0; id < (table.is_partitioned ? 80 : 5); id++) {
        ShopRow row = draw.Row(table.name, id);
        if (table.is_partitioned && draw.OneIn(15)) row[1] = {};
        rows_[table.name][id] = std::move(row);
      }
    }
    for (const ShopTable& table : ShopTables()) AddTable(table);
    AddPlaces();
    SessionOptions options;
    options.now_micros = kNow;
    session_ = *Session::Open(&whole_, govern::DecideForSystem("test"), options);
  }

  static std::string PartitionOf(const ShopRow& row) {
    const auto* tenant = std::get_if<int64_t>(&row[1]);
    return tenant == nullptr ? kNull : std::to_string(*tenant);
  }

  void AddTable(const ShopTable& table) {
    std::map<std::string, ShopRows> parts;
    for (const auto& [id, row] : rows_[table.name])
      parts[table.is_partitioned ? PartitionOf(row) : ""][id] = row;
    auto plan = std::make_shared<hudi::ScanPlan>();
    plan->schema = table.schema;
    if (table.is_partitioned) plan->partition_fields = {"tenant_id"};
    for (const auto& [partition, part] : parts) {
      const auto name = fmt::format("{}/{}.parquet", table.name, partition);
      std::vector<std::string> values;
      if (table.is_partitioned) values.push_back(partition);
      plan->files.push_back(whole_.Write(name, *ToBatch(table, part), values));
    }
    plans_[table.name] = plan;
    whole_.Set({"silver", table.name}, plan);
  }

  void AddPlaces() {
    auto plan = std::make_shared<hudi::ScanPlan>();
    plan->schema = arrow::schema(
        {arrow::field("_hoodie_file_name", arrow::utf8()), arrow::field("tenant_id", arrow::int64())});
    plan->partition_fields = {"tenant_id"};
    whole_.Set({"silver", "places"}, plan);
  }

  ModelAnalysis Analyze(const std::string& sql, const std::string& partition) {
    auto analysis = session_->Analyze(sql, partition);
    EXPECT_TRUE(analysis) << sql << ": " << analysis.error().message;
    return analysis ? *analysis : ModelAnalysis();
  }

  /// That the result over some tenants' partitions is that part of the whole result.
  void CheckLocal(const std::string& sql, const std::string& partition) {
    std::set<std::string> chosen;
    for (const std::string tenant : {"0", "1", "2", "3", "4", kNull}) {
      if (random_() % 2 == 0) chosen.insert(tenant);
    }
    TestLake part;
    for (const auto& [name, plan] : plans_) {
      auto narrowed = std::make_shared<hudi::ScanPlan>(*plan);
      if (!plan->partition_fields.empty()) {
        std::erase_if(narrowed->files, [&](const auto& file) { return !chosen.contains(file.partition[0]); });
      }
      part.Set({"silver", name}, narrowed);
    }
    SessionOptions options;
    options.now_micros = kNow;
    auto narrow = *Session::Open(&part, govern::DecideForSystem("test"), options);
    const std::string quoted =
        fmt::format("SELECT \"{}\"::VARCHAR AS _partition, * FROM ({}\n)", partition, sql);
    std::vector<std::string> expected;
    for (const auto& row : RowsOf(session_.get(), quoted)) {
      ASSERT_FALSE(row.starts_with("ERROR")) << sql << ": " << row;
      const std::string tenant = row.substr(0, row.find('|'));
      if (chosen.contains(tenant == "null" ? kNull : tenant)) expected.push_back(row);
    }
    EXPECT_EQ(Sorted(RowsOf(narrow.get(), quoted)), Sorted(expected))
        << "seed " << seed_ << ", partitions " << fmt::format("{}", fmt::join(chosen, " ")) << ": " << sql;
  }

  uint32_t seed_ = 0;
  std::mt19937 random_;
  std::map<std::string, ShopRows> rows_;
  std::map<std::string, std::shared_ptr<hudi::ScanPlan>> plans_;
  TestLake whole_;
  std::unique_ptr<Session> session_;
};

std::map<std::string, std::string> Models() {
  std::map<std::string, std::string> models;
  for (const auto& entry : std::filesystem::directory_iterator("models/gold")) {
    if (entry.path().extension() != ".sql") continue;
    std::ostringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    models[entry.path().stem()] = text.str();
  }
  return models;
}

TEST_F(ModelAnalysisTest, ProvesWhatIsLocalAndSaysWhyNot) {
  for (const Verdict& verdict : Verdicts()) {
    const auto analysis = Analyze(verdict.sql, verdict.partition);
    EXPECT_EQ(analysis.is_partition_local, analysis.why_not_local.empty());
    if (verdict.reason.empty()) {
      EXPECT_EQ(analysis.why_not_local, "") << verdict.sql;
    } else {
      EXPECT_THAT(analysis.why_not_local, HasSubstr(verdict.reason)) << verdict.sql;
    }
  }
}

TEST_F(ModelAnalysisTest, WhatIsLocalGivesTheSameOverItsPartitionsAlone) {
  for (const Verdict& verdict : Verdicts()) {
    if (!Analyze(verdict.sql, verdict.partition).is_partition_local) continue;
    for (int round = 0; round < 3; round++) CheckLocal(verdict.sql, verdict.partition);
  }
}

/// A model with those that it reads.
std::string WithItsModels(const std::map<std::string, std::string>& models, const std::string& name) {
  std::string with;
  const auto tables = ReferencedTables(models.at(name));
  for (const TableName& table : *tables) {
    if (!models.contains(table.name)) continue;
    with +=
        (with.empty() ? "WITH " : ", ") + table.name + " AS (" + WithItsModels(models, table.name) + "\n)";
  }
  return with.empty() ? models.at(name) : with + " SELECT * FROM (" + models.at(name) + "\n)";
}

TEST_F(ModelAnalysisTest, EveryModelOfTheShopIsLocalAndOfTheDayAtMost) {
  const auto models = Models();
  ASSERT_GE(models.size(), 21u);
  for (const auto& [name, own_sql] : models) {
    const std::string sql = WithItsModels(models, name);
    const auto analysis = Analyze(sql, "tenant_id");
    EXPECT_EQ(analysis.why_not_local, "") << name;
    EXPECT_NE(analysis.time, TimeDependence::kMoment) << name << ": " << analysis.time_reason;
    EXPECT_EQ(analysis.time == TimeDependence::kDay, sql.find("as_of() AT") != std::string::npos) << name;
    for (int round = 0; round < 3; round++) CheckLocal(sql, "tenant_id");
  }
}

TEST_F(ModelAnalysisTest, FindsOutWhatDependsOnTheTime) {
  const auto time_of = [&](const std::string& expression) {
    return Analyze("SELECT o.tenant_id, " + expression +
                       " AS x FROM orders o JOIN tenants t ON t.id = o.tenant_id",
                   "tenant_id")
        .time;
  };
  for (const char* none : {"o.placed_at", "date_trunc('day', o.placed_at)", "CAST(o.placed_at AS DATE)"}) {
    EXPECT_EQ(time_of(none), TimeDependence::kNone) << none;
  }
  for (const char* day :
       {"CAST(as_of() AT TIME ZONE t.time_zone AS DATE)", "CAST(as_of() AS DATE)", "as_of()::DATE - 5",
        "date_trunc('month', as_of() AT TIME ZONE 'Asia/Kathmandu')", "date_trunc('DAY', as_of())",
        "CAST(as_of() AT TIME ZONE t.time_zone AS DATE) - CAST(o.placed_at AS DATE) > 3"}) {
    EXPECT_EQ(time_of(day), TimeDependence::kDay) << day;
  }
  for (const char* moment :
       {"as_of()", "as_of() - INTERVAL 1 DAY", "CAST(as_of() - INTERVAL 7 MINUTES AS DATE)",
        "date_trunc('hour', as_of())", "date_trunc(o.status, as_of())", "o.placed_at < as_of()", "now()",
        "CAST(now() AS DATE)", "CAST(as_of() AT TIME ZONE 'UTC' AS VARCHAR)", "extract('hour' FROM as_of())",
        "list_transform([1], x -> as_of())", "CAST(CAST(as_of() AS TIME) AS VARCHAR)"}) {
    EXPECT_EQ(time_of(moment), TimeDependence::kMoment) << moment;
  }
  const auto analysis =
      Analyze("SELECT tenant_id FROM orders WHERE placed_at > as_of() - INTERVAL 3 DAYS", "tenant_id");
  EXPECT_THAT(analysis.time_reason, HasSubstr("as_of() in "));
  EXPECT_TRUE(analysis.is_partition_local);
  EXPECT_EQ(
      Analyze("SELECT * FROM generate_series(TIMESTAMP '2026-01-01', as_of()::TIMESTAMP, INTERVAL 1 DAY)", "")
          .time,
      TimeDependence::kMoment);
  EXPECT_EQ(Analyze("SELECT id FROM orders LIMIT date_part('day', as_of())", "").time,
            TimeDependence::kMoment);
  // The session's own statements still have it as a constant.
  EXPECT_EQ(RowsOf(session_.get(), "SELECT epoch_us(as_of())"),
            std::vector<std::string>{std::to_string(kNow)});
}

TEST_F(ModelAnalysisTest, FollowsValuesFromTheTables) {
  const auto analysis = Analyze(
      "WITH sales AS (SELECT o.tenant_id, o.currency, i.quantity * i.unit_price AS amount, o.status FROM "
      "orders o "
      "JOIN order_items i ON i.tenant_id = o.tenant_id AND i.order_id = o.id) "
      "SELECT s.tenant_id, t.name, sum(s.amount) AS revenue, count(*) AS n, "
      "rank() OVER (PARTITION BY s.tenant_id ORDER BY sum(s.amount)) AS place "
      "FROM sales s JOIN tenants t ON t.id = s.tenant_id WHERE s.status = 'paid' GROUP BY 1, 2, s.currency",
      "tenant_id");
  const auto names = [](const std::set<SourceColumn>& columns) {
    std::string text;
    for (const auto& column : columns)
      text += (text.empty() ? "" : " ") + column.table.name + "." + column.column;
    return text;
  };
  ASSERT_EQ(analysis.columns.size(), 5u);
  EXPECT_EQ(names(analysis.columns[0].sources), "orders.tenant_id");
  EXPECT_EQ(names(analysis.columns[1].sources), "tenants.name");
  EXPECT_EQ(names(analysis.columns[2].sources), "order_items.quantity order_items.unit_price");
  EXPECT_EQ(analysis.columns[2].name, "revenue");
  EXPECT_EQ(names(analysis.columns[3].sources), "");
  EXPECT_EQ(names(analysis.columns[4].sources),
            "order_items.quantity order_items.unit_price orders.tenant_id");
  EXPECT_EQ(
      names(analysis.row_columns),
      "order_items.order_id order_items.tenant_id orders.currency orders.id orders.status orders.tenant_id "
      "tenants.id tenants.name");
  EXPECT_EQ(analysis.partitioned, (std::set<TableName>{{"silver", "order_items"}, {"silver", "orders"}}));
  EXPECT_EQ(analysis.unpartitioned, (std::set<TableName>{{"silver", "tenants"}}));
}

TEST_F(ModelAnalysisTest, FollowsValuesThroughSubqueriesAndRecursion) {
  const auto sources = [&](const std::string& sql) {
    std::string text;
    const auto analysis = Analyze(sql, "");
    for (const auto& column : analysis.columns[0].sources) text += column.column + " ";
    return text;
  };
  EXPECT_EQ(
      sources("SELECT (SELECT max(i.discount) FROM order_items i WHERE i.order_id = o.id) FROM orders o"),
      "discount ");
  EXPECT_EQ(sources("SELECT total FROM orders UNION ALL SELECT cost FROM products"), "total cost ");
  EXPECT_EQ(sources("WITH RECURSIVE a AS (SELECT id AS x, stock AS y FROM products UNION ALL "
                    "SELECT y, x FROM a WHERE x < 3) SELECT x FROM a"),
            "id stock ");
}

TEST_F(ModelAnalysisTest, RefusesWhatIsNoSelect) {
  EXPECT_EQ(session_->Analyze("SET tarn.as_of = '2026-01-01'", "").error().code, ErrorCode::kSql);
  EXPECT_EQ(session_->Analyze("DROP TABLE orders", "").error().code, ErrorCode::kPermission);
  EXPECT_THAT(session_->Analyze("SELECT nothing FROM orders", "").error().message, HasSubstr("nothing"));
}

}  // namespace
}  // namespace tarn::engine
