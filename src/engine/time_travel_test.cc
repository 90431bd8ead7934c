#include "engine/time_travel.h"

#include <gtest/gtest.h>

namespace tarn::engine {
namespace {

std::string Rewrite(std::string_view sql) {
  auto rewritten = RewriteTimeTravel(sql);
  return rewritten ? rewritten->text : "ERROR: " + rewritten.error().message;
}

TEST(TimeTravel, RewritesEveryDialect) {
  EXPECT_EQ(Rewrite("SELECT * FROM orders FOR TIMESTAMP AS OF TIMESTAMP '2026-01-01'"),
            "SELECT * FROM orders AT (TIMESTAMP => TIMESTAMP '2026-01-01')");
  EXPECT_EQ(Rewrite("SELECT * FROM orders FOR SYSTEM_TIME AS OF now() - INTERVAL 1 HOUR WHERE id = 1"),
            "SELECT * FROM orders AT (TIMESTAMP => now() - INTERVAL 1 HOUR) WHERE id = 1");
  EXPECT_EQ(Rewrite("select * from orders timestamp as of '2026-01-01' order by 1"),
            "select * from orders AT (TIMESTAMP => '2026-01-01') order by 1");
}

TEST(TimeTravel, PutsTheAliasFirst) {
  EXPECT_EQ(Rewrite("SELECT o.id FROM orders FOR TIMESTAMP AS OF '2026-01-01' AS o JOIN x ON o.id = x.id"),
            "SELECT o.id FROM orders AS o AT (TIMESTAMP => '2026-01-01') JOIN x ON o.id = x.id");
  EXPECT_EQ(Rewrite("SELECT 1 FROM orders TIMESTAMP AS OF '2026-01-01' o, x"),
            "SELECT 1 FROM orders o AT (TIMESTAMP => '2026-01-01'), x");
  EXPECT_EQ(Rewrite("SELECT 1 FROM orders AT (TIMESTAMP => now() - INTERVAL '1' DAY) o(a, b) LIMIT 1"),
            "SELECT 1 FROM orders o(a, b) AT (TIMESTAMP => now() - INTERVAL '1' DAY) LIMIT 1");
  EXPECT_EQ(Rewrite("SELECT 1 FROM orders o FOR SYSTEM_TIME AS OF '2026-01-01'"),
            "SELECT 1 FROM orders o AT (TIMESTAMP => '2026-01-01')");
}

TEST(TimeTravel, HostileTextsEnd) {
  // Of a length that a recursion a word, or a search of the rest a word, would not survive.
  const auto repeated = [](const std::string& text, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all += text;
    return all;
  };
  for (const char* word : {"INTERVAL ", "(", "- ", "a.", "x::y", "AT TIME ZONE ", "FOR TIMESTAMP AS OF ",
                           "AT (TIMESTAMP => ", "a("}) {
    Rewrite("SELECT * FROM orders FOR TIMESTAMP AS OF " + repeated(word, 100'000));
    Rewrite("SELECT * FROM orders AT (TIMESTAMP => " + repeated(word, 100'000));
  }
}

TEST(TimeTravel, HandlesSeveralTablesAndSubqueries) {
  EXPECT_EQ(Rewrite("SELECT * FROM (SELECT 1 FROM a FOR TIMESTAMP AS OF '1') x JOIN s.\"b c\" TIMESTAMP AS "
                    "OF '2' USING (i)"),
            "SELECT * FROM (SELECT 1 FROM a AT (TIMESTAMP => '1')) x JOIN s.\"b c\" AT (TIMESTAMP => '2') "
            "USING (i)");
  EXPECT_EQ(Rewrite("SELECT 1 FROM a FOR TIMESTAMP AS OF CAST('1' AS TIMESTAMP)::TIMESTAMPTZ AT TIME ZONE "
                    "'UTC' UNION SELECT 2"),
            "SELECT 1 FROM a AT (TIMESTAMP => CAST('1' AS TIMESTAMP)::TIMESTAMPTZ AT TIME ZONE 'UTC') UNION "
            "SELECT 2");
}

TEST(TimeTravel, LeavesEverythingElseAlone) {
  for (const char* sql :
       {"SELECT 'x FOR TIMESTAMP AS OF y' FROM t", "SELECT 1 -- FROM t FOR TIMESTAMP AS OF '1'\n FROM t",
        "SELECT /* a /* t TIMESTAMP AS OF '1' */ */ 1", "SELECT timestamp AS of FROM t",
        "SELECT x, timestamp AS of, y FROM t", "SELECT $$t FOR TIMESTAMP AS OF '1'$$",
        "SELECT \"t FOR TIMESTAMP AS OF '1'\" FROM t", "SELECT E'it\\'s t TIMESTAMP AS OF ' FROM t",
        "SELECT * FROM t AT (TIMESTAMP => '1')", "SELECT a AT TIME ZONE 'UTC' b FROM t", "", "x", "'",
        "SELECT * FROM t FOR", "(((", "SELECT $1"}) {
    EXPECT_EQ(Rewrite(sql), sql);
  }
}

TEST(TimeTravel, ExplainsThatVersionsHaveNoNumbers) {
  EXPECT_EQ(Rewrite("SELECT * FROM t FOR VERSION AS OF 3"),
            "ERROR: VERSION AS OF is not supported: name a time, as in FOR TIMESTAMP AS OF '...'");
}

TEST(TimeTravel, MapsOffsetsBackToTheOriginal) {
  const std::string sql = "SELECT 1 FROM orders FOR TIMESTAMP AS OF '2026-01-01' AS o WHERE nonsense = 1";
  auto rewritten = RewriteTimeTravel(sql);
  ASSERT_TRUE(rewritten);
  EXPECT_EQ(rewritten->OriginalOffset(rewritten->text.find("nonsense")), sql.find("nonsense"));
  EXPECT_EQ(rewritten->OriginalOffset(rewritten->text.find("'2026")), sql.find("'2026"));
  EXPECT_EQ(rewritten->OriginalOffset(rewritten->text.find("AS o")), sql.find("AS o"));
  EXPECT_EQ(rewritten->OriginalOffset(3), 3u);
}

}  // namespace
}  // namespace tarn::engine
