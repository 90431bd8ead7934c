// The scan must give what the same rows in memory give, whatever the shape of the query.

#include <gtest/gtest.h>

#include "engine/test_lake.h"

namespace tarn::engine {
namespace {

govern::Decision Operator() { return govern::DecideForSystem("test"); }

// Rows are compared in order where the query orders them, else as sets.
const char* const kQueries[] = {
    "SELECT count(*) FROM orders",
    "SELECT count(*), count(note), sum(amount), min(id), max(_lsn) FROM orders",
    "SELECT * FROM orders",
    "SELECT id, note FROM orders WHERE amount > 9000 AND quantity < 10",
    "SELECT id FROM orders WHERE note IS NULL",
    "SELECT id FROM orders WHERE note = 'hot'",
    "SELECT id, amount FROM orders WHERE id IN (1, 77, 5004, 12000, 29999, 60001)",
    "SELECT tenant_id, count(*), sum(amount) FROM orders GROUP BY tenant_id",
    "SELECT tenant_id, month, avg(quantity) FROM orders GROUP BY ALL HAVING count(*) > 10",
    "SELECT * FROM orders ORDER BY amount DESC, id LIMIT 10",
    "SELECT * FROM orders WHERE tenant_id = 'bolt' ORDER BY amount DESC, id LIMIT 10",
    "SELECT * FROM orders WHERE tenant_id = 'crux' AND month = 202602 ORDER BY created_at DESC LIMIT 7",
    "SELECT id FROM orders ORDER BY id LIMIT 20 OFFSET 9990",
    "SELECT a.id, b.amount FROM orders a JOIN orders b ON a.id = b.id + 1 WHERE a.quantity = 3",
    "SELECT a.tenant_id, count(*) FROM orders a JOIN orders b ON a.id = b.id AND a.tenant_id = b.tenant_id "
    "GROUP BY 1",
    "SELECT o.id FROM orders o JOIN (VALUES ('acme', 202601)) v(t, m) ON o.tenant_id = v.t AND o.month = v.m "
    "WHERE o.quantity = 5",
    "SELECT id FROM orders WHERE id IN (SELECT id FROM orders WHERE quantity = 7)",
    "SELECT id FROM orders o WHERE NOT EXISTS (SELECT 1 FROM orders p WHERE p.id = o.id AND p.quantity > 2)",
    "SELECT id, row_number() OVER (PARTITION BY tenant_id ORDER BY amount, id) AS n FROM orders QUALIFY n <= "
    "3",
    "SELECT id, lag(amount) OVER (PARTITION BY tenant_id, month ORDER BY id) FROM orders WHERE quantity = 11",
    "WITH x AS (SELECT * FROM orders WHERE quantity = 4) SELECT count(*) FROM x a, x b WHERE a.id = b.id",
    "WITH x AS NOT MATERIALIZED (SELECT * FROM orders WHERE quantity = 4) SELECT count(*) FROM x a JOIN x b "
    "USING (id)",
    "WITH x AS NOT MATERIALIZED (SELECT id, amount FROM orders ORDER BY amount DESC, id LIMIT 5) "
    "SELECT * FROM x UNION ALL SELECT * FROM x",
    "SELECT id FROM orders WHERE quantity = 1 UNION SELECT id FROM orders WHERE quantity = 2",
    "SELECT DISTINCT tenant_id, month FROM orders",
    "SELECT count(DISTINCT note) FROM orders WHERE month = 202602",
    "SELECT count(*) FROM orders WHERE tenant_id LIKE 'b%'",
    "SELECT count(*) FROM orders WHERE tenant_id IN ('acme', 'crux') AND month + 1 = 202603",
    "SELECT count(*) FROM orders WHERE tenant_id = 'nobody'",
    "SELECT sum(quantity) FROM orders WHERE month BETWEEN 202602 AND 202699",
    "SELECT max(month), min(tenant_id) FROM orders",
    "SELECT approx_count_distinct(tenant_id) FROM orders",
    "SELECT count(*) FROM orders TABLESAMPLE 100%",
    "SELECT quantity, list(id ORDER BY id)[1:3] FROM orders GROUP BY quantity",
    "SELECT date_trunc('second', created_at) AS s, count(*) FROM orders GROUP BY s",
    "SELECT id, amount FROM orders WHERE amount = (SELECT max(amount) FROM orders)",
    "SELECT count(*) FROM orders WHERE note LIKE '%of acme' OR quantity IN (1, 2)",
    "FROM orders SELECT tenant_id, id WHERE id % 1000 = 0",
    "SELECT o.id FROM orders o ANTI JOIN (SELECT id FROM orders WHERE quantity < 49) p USING (id)",
    "SELECT tenant_id, sum(amount) FROM orders GROUP BY ROLLUP (tenant_id)",
};

struct Variant {
  bool deletes;
  bool hot;
  int threads;
};

class ScanShapes : public testing::TestWithParam<Variant> {};

TEST_P(ScanShapes, GiveWhatTheRowsInMemoryGive) {
  TestLake lake;
  const Orders orders = MakeOrders(&lake, "silver/orders", {GetParam().deletes, GetParam().hot});
  lake.Set({"silver", "orders"}, orders.plan);
  SessionOptions options;
  options.threads = GetParam().threads;
  auto session = Session::Open(&lake, Operator(), options);
  ASSERT_TRUE(session) << session.error().message;
  auto reference = BatchSql::Open();
  ASSERT_TRUE(reference) << reference.error().message;
  for (const std::string sql : kQueries) {
    auto expected = (*reference)->Run(sql, {{"orders", orders.rows}});
    ASSERT_TRUE(expected) << sql << "\n" << expected.error().message;
    auto want = RowsOf(**expected);
    auto got = RowsOf(session->get(), sql);
    if (sql.find("ORDER BY") == std::string::npos || sql.find("OVER") != std::string::npos ||
        sql.find("UNION") != std::string::npos || sql.find("GROUP BY quantity") != std::string::npos) {
      want = Sorted(want);
      got = Sorted(got);
    }
    EXPECT_EQ(got.size(), want.size()) << sql;
    EXPECT_TRUE(got == want) << sql << "\n got: " << (got.empty() ? "" : got[0])
                             << "\nwant: " << (want.empty() ? "" : want[0]);
  }
}

INSTANTIATE_TEST_SUITE_P(All, ScanShapes,
                         testing::Values(Variant{false, false, 1}, Variant{false, false, 2},
                                         Variant{true, false, 1}, Variant{true, false, 2},
                                         Variant{false, true, 2}, Variant{true, true, 1},
                                         Variant{true, true, 2}),
                         [](const auto& info) {
                           return fmt::format("{}{}{}threads", info.param.deletes ? "deletes" : "",
                                              info.param.hot ? "hot" : "", info.param.threads);
                         });

}  // namespace
}  // namespace tarn::engine
