#include "engine/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/clock.h"
#include "engine/test_lake.h"

namespace tarn::engine {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

using Rows = std::vector<std::string>;

govern::Decision Operator() { return govern::DecideForSystem("test"); }

govern::Decision Tenant(const std::string& tenant) {
  govern::Principal principal;
  principal.name = "reader of " + tenant;
  principal.tenant = tenant;
  principal.shared_tables = {"silver.calendar"};
  return govern::Decide(principal);
}

std::shared_ptr<arrow::RecordBatch> Numbers(const std::string& column, std::vector<int64_t> values) {
  arrow::Int64Builder builder;
  EXPECT_TRUE(builder.AppendValues(values).ok());
  return arrow::RecordBatch::Make(arrow::schema({arrow::field(column, arrow::int64())}),
                                  static_cast<int64_t>(values.size()), {builder.Finish().ValueOrDie()});
}

/// A lake with orders (by tenant), calendar (shared), secrets (no tenant), quarantine and Bronze.
class SessionTest : public testing::Test {
 protected:
  void SetUp() override {
    orders_ = MakeOrders(&lake_, "silver/orders", {true, true, 3000});
    lake_.Set({"silver", "orders"}, orders_.plan);
    lake_.Set({"quarantine", "orders"}, orders_.plan);
    AddPlain("silver", "calendar", {1, 2, 3});
    AddPlain("silver", "secrets", {42});
    AddPlain("bronze", "orders", {7, 8});
    AddPlain("gold", "revenue", {100});
  }

  void AddPlain(const std::string& schema, const std::string& name, std::vector<int64_t> values,
                int64_t from_micros = 0) {
    const auto rows = Numbers("n", std::move(values));
    auto plan = std::make_shared<hudi::ScanPlan>();
    plan->schema = rows->schema();
    plan->files.push_back(lake_.Write(fmt::format("{}/{}/{}.parquet", schema, name, from_micros), *rows, {}));
    lake_.Set({schema, name}, plan, from_micros);
  }

  std::unique_ptr<Session> Open(govern::Decision decision, SessionOptions options = {}) {
    options.open_file = lake_.Opener();
    auto session = Session::Open(&lake_, std::move(decision), options);
    EXPECT_TRUE(session) << session.error().message;
    return std::move(*session);
  }

  TestLake lake_;
  Orders orders_;
};

TEST_F(SessionTest, ResolvesNamesInSilverThenGold) {
  auto session = Open(Operator());
  EXPECT_THAT(RowsOf(session.get(), "SELECT n FROM calendar ORDER BY n"), ElementsAre("1", "2", "3"));
  EXPECT_THAT(RowsOf(session.get(), "SELECT n FROM revenue"), ElementsAre("100"));
  EXPECT_THAT(RowsOf(session.get(), "SELECT n FROM gold.revenue"), ElementsAre("100"));
  EXPECT_THAT(RowsOf(session.get(), "SELECT sum(n) FROM lake.bronze.orders"), ElementsAre("15"));
  EXPECT_THAT(RowsOf(session.get(), "SELECT sum(N) FROM CALENDAR c"), ElementsAre("6"));
}

TEST_F(SessionTest, ListsAndDescribesTables) {
  auto session = Open(Operator());
  const auto names = RowsOf(session.get(), "SHOW TABLES");
  EXPECT_THAT(names, testing::Contains("orders"));
  EXPECT_THAT(names, testing::Contains("revenue"));
  EXPECT_THAT(RowsOf(session.get(), "DESCRIBE calendar"), ElementsAre(HasSubstr("n|BIGINT")));
  EXPECT_THAT(RowsOf(session.get(), "SUMMARIZE calendar"), ElementsAre(HasSubstr("n|BIGINT|1|3")));
  EXPECT_THAT(RowsOf(session.get(),
                     "SELECT count(*) FROM information_schema.columns WHERE table_name = 'orders' AND "
                     "table_schema = 'silver'"),
              ElementsAre("13"));
}

TEST_F(SessionTest, StreamsBatchesOfArrow) {
  auto session = Open(Operator());
  auto stream = session->Query(
      "SELECT amount, created_at, uuid() AS u, 'a'::ENUM('a', 'b') AS e, 12::HUGEINT AS h, INTERVAL 1 DAY AS "
      "i, "
      "[1, 2] AS l, {'x': 1} AS s, '{}'::JSON AS j, NULL AS nothing FROM orders");
  ASSERT_TRUE(stream) << stream.error().message;
  const auto schema = (*stream)->schema();
  EXPECT_TRUE(schema->field(0)->type()->Equals(arrow::decimal128(10, 2)));
  EXPECT_TRUE(schema->field(1)->type()->Equals(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")));
  EXPECT_TRUE(schema->field(2)->type()->Equals(arrow::utf8()));
  int64_t rows = 0;
  int batches = 0;
  while (true) {
    auto batch = (*stream)->Next();
    ASSERT_TRUE(batch) << batch.error().message;
    if (*batch == nullptr) break;
    EXPECT_TRUE((*batch)->ValidateFull().ok());
    rows += (*batch)->num_rows();
    ++batches;
  }
  EXPECT_EQ(rows, orders_.rows->num_rows());
  EXPECT_GE(batches, 1);
}

TEST_F(SessionTest, KeepsUtcWhateverTheTimeZoneIs) {
  auto session = Open(Operator());
  EXPECT_THAT(RowsOf(session.get(), "SET TimeZone = 'America/New_York'"), IsEmpty());
  auto stream = session->Query("SELECT TIMESTAMPTZ '2026-01-01 00:00:00' AS t");
  ASSERT_TRUE(stream) << stream.error().message;
  EXPECT_TRUE((*stream)->schema()->field(0)->type()->Equals(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")));
  EXPECT_THAT(RowsOf(**(*stream)->Next()), ElementsAre("2026-01-01 05:00:00.000000Z"));
}

TEST_F(SessionTest, CountsWhatItReads) {
  auto session = Open(Operator());
  ScanStatistics statistics;
  lake_.TakeOpened();
  RowsOf(session.get(), "SELECT sum(amount) FROM orders WHERE tenant_id = 'acme' AND month = 202601",
         &statistics);
  EXPECT_EQ(statistics.tables, 1);
  EXPECT_EQ(statistics.partitions_total, 6);
  EXPECT_EQ(statistics.partitions_read, 1);
  EXPECT_EQ(statistics.files_total, 12);
  EXPECT_EQ(statistics.files_read, 2);
  EXPECT_EQ(statistics.rows_in_files, 6000);
  EXPECT_EQ(statistics.bytes_read, orders_.plan->files[0].size_bytes + orders_.plan->files[1].size_bytes);
  EXPECT_EQ(statistics.hot_rows, orders_.plan->hot[0].rows->num_rows());
  EXPECT_EQ(lake_.TakeOpened().size(), 2u);
}

TEST_F(SessionTest, ExplainShowsWhatIsRead) {
  auto session = Open(Operator());
  lake_.TakeOpened();
  const auto plan = RowsOf(session.get(), "EXPLAIN SELECT sum(amount) FROM orders WHERE tenant_id = 'acme'");
  ASSERT_EQ(plan.size(), 1u);
  EXPECT_THAT(plan[0], AllOf(HasSubstr("silver.orders"), HasSubstr("2 of 6"), HasSubstr("4 of 12"),
                             HasSubstr("Bytes")));
  EXPECT_THAT(lake_.TakeOpened(), IsEmpty()) << "EXPLAIN opens nothing";
  EXPECT_THAT(RowsOf(session.get(), "EXPLAIN ANALYZE SELECT count(*) FROM orders"),
              ElementsAre(AllOf(HasSubstr("silver.orders"), Not(HasSubstr("tarn:/")))));
}

TEST_F(SessionTest, JoinsPruneThePartitionsOfTheOtherSide) {
  auto session = Open(Operator());
  ScanStatistics statistics;
  EXPECT_THAT(RowsOf(session.get(),
                     "SELECT count(*) > 0 FROM orders o JOIN (SELECT 'bolt' AS t) v ON o.tenant_id = v.t",
                     &statistics),
              ElementsAre("true"));
  EXPECT_EQ(statistics.partitions_read, 2);
}

// --- traps
// ------------------------------------------------------------------------------------------------------

TEST_F(SessionTest, TopNOverAPrunedListReturnsThatPartitionsRows) {
  auto session = Open(Operator());
  for (const char* tenant : {"acme", "bolt", "crux"}) {
    const auto rows =
        RowsOf(session.get(), fmt::format("SELECT tenant_id, id, note FROM orders WHERE tenant_id = '{}' "
                                          "ORDER BY amount DESC LIMIT 5",
                                          tenant));
    ASSERT_EQ(rows.size(), 5u);
    for (const auto& row : rows) EXPECT_THAT(row, testing::StartsWith(tenant));
  }
}

TEST_F(SessionTest, TopNIsRightWithFiltersThatFoldLate) {
  const std::string sql =
      "SELECT {} FROM orders WHERE tenant_id > 'acme' || current_schema() ORDER BY amount DESC, id LIMIT 5";
  auto session = Open(Operator());
  // The plan joins the ranked row numbers back to the table.
  EXPECT_THAT(RowsOf(session.get(), "EXPLAIN " + fmt::format(fmt::runtime(sql), "*")),
              ElementsAre(AllOf(HasSubstr("file_row_number"), HasSubstr("SEMI"), HasSubstr("4 of 6"))));
  const auto want = RowsOf(session.get(),
                           "SELECT tenant_id, id, amount FROM (SELECT * FROM orders ORDER BY random()) "
                           "WHERE tenant_id > 'acmesilver' ORDER BY amount DESC, id LIMIT 5");
  const auto got = RowsOf(session.get(),
                          "SELECT tenant_id, id, amount FROM (" + fmt::format(fmt::runtime(sql), "*") + ")");
  EXPECT_EQ(Sorted(got), Sorted(want));
}

TEST_F(SessionTest, CountsNeverComeFromFooters) {
  auto session = Open(Operator());
  const std::string want = std::to_string(orders_.rows->num_rows());
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(RowsOf(session.get(), "SELECT count(*) FROM orders"), ElementsAre(want));
    EXPECT_THAT(RowsOf(session.get(), "SELECT count(_lsn) FROM orders"), ElementsAre(want));
  }
}

TEST_F(SessionTest, VirtualColumnsTellNoPath) {
  auto session = Open(Operator());
  EXPECT_THAT(RowsOf(session.get(), "SELECT filename FROM orders LIMIT 1"),
              ElementsAre(HasSubstr("ERROR sql")));
  EXPECT_THAT(RowsOf(session.get(), "SELECT rowid FROM calendar LIMIT 1"),
              ElementsAre(HasSubstr("ERROR sql")));
  EXPECT_THAT(RowsOf(session.get(), "SELECT count(*) FROM calendar"), ElementsAre("3"))
      << "the session still works";
}

TEST_F(SessionTest, TheScanFunctionCannotBeCalled) {
  auto session = Open(Operator());
  for (const char* sql : {"SELECT * FROM tarn_scan('x')", "SELECT * FROM tarn_scan('tarn:/file/0')"}) {
    EXPECT_THAT(RowsOf(session.get(), sql), ElementsAre(HasSubstr("ERROR permission")));
  }
}

TEST_F(SessionTest, EmptyTablesWork) {
  auto plan = std::make_shared<hudi::ScanPlan>();
  plan->schema = OrdersSchema();
  plan->partition_fields = {"tenant_id", "month"};
  lake_.Set({"silver", "empty"}, plan);
  auto session = Open(Operator());
  EXPECT_THAT(RowsOf(session.get(), "SELECT count(*), sum(id) FROM empty"), ElementsAre("0|null"));
  EXPECT_THAT(RowsOf(session.get(), "SELECT * FROM empty ORDER BY id LIMIT 3"), IsEmpty());
}

TEST_F(SessionTest, PartitionsWithoutACertainValueAreNotPruned) {
  // NULL and '' share Hudi's default partition; "07" is not how 7 is written.
  arrow::StringBuilder tenants;
  ASSERT_TRUE(tenants.AppendNull().ok());
  ASSERT_TRUE(tenants.Append("").ok());
  const auto rows = arrow::RecordBatch::Make(arrow::schema({arrow::field("tenant_id", arrow::utf8())}), 2,
                                             {tenants.Finish().ValueOrDie()});
  auto plan = std::make_shared<hudi::ScanPlan>();
  plan->schema = rows->schema();
  plan->partition_fields = {"tenant_id"};
  plan->files.push_back(lake_.Write("d.parquet", *rows, {"__HIVE_DEFAULT_PARTITION__"}));
  lake_.Set({"silver", "loose"}, plan);
  auto numbers = std::make_shared<hudi::ScanPlan>();
  numbers->schema = Numbers("n", {7})->schema();
  numbers->partition_fields = {"n"};
  numbers->files.push_back(lake_.Write("n.parquet", *Numbers("n", {7}), {"07"}));
  lake_.Set({"silver", "padded"}, numbers);
  auto session = Open(Operator());
  EXPECT_THAT(RowsOf(session.get(), "SELECT count(*) FROM loose WHERE tenant_id IS NULL"), ElementsAre("1"));
  EXPECT_THAT(RowsOf(session.get(), "SELECT count(*) FROM loose WHERE tenant_id = ''"), ElementsAre("1"));
  EXPECT_THAT(RowsOf(session.get(), "SELECT count(*) FROM padded WHERE n = 7"), ElementsAre("1"));
}

// --- isolation
// --------------------------------------------------------------------------------------------------

TEST_F(SessionTest, ATenantSeesItsPartitionsOnly) {
  auto session = Open(Tenant("bolt"));
  lake_.TakeOpened();
  EXPECT_THAT(RowsOf(session.get(), "SELECT DISTINCT tenant_id FROM orders"), ElementsAre("bolt"));
  EXPECT_THAT(RowsOf(session.get(), "SELECT count(*) FROM orders WHERE tenant_id <> 'bolt'"),
              ElementsAre("0"));
  EXPECT_THAT(RowsOf(session.get(), "SELECT count(*) FROM orders WHERE note LIKE '%acme%'"),
              ElementsAre("0"));
  EXPECT_THAT(RowsOf(session.get(), "SELECT count(*) FROM calendar"), ElementsAre("3"));
  for (const auto& path : lake_.TakeOpened()) {
    EXPECT_THAT(path, testing::AnyOf(HasSubstr("tenant_id=bolt"), HasSubstr("calendar")));
  }
  ScanStatistics statistics;
  RowsOf(session.get(), "SELECT count(*) FROM orders", &statistics);
  EXPECT_EQ(statistics.partitions_total, 2);
  EXPECT_EQ(statistics.files_total, 4);
}

TEST_F(SessionTest, OtherTablesDoNotExistForATenant) {
  auto session = Open(Tenant("bolt"));
  for (const char* name : {"secrets", "silver.secrets", "quarantine.orders", "bronze.orders", "gold.revenue",
                           "lake.quarantine.orders", "no_such_table"}) {
    const auto rows = RowsOf(session.get(), fmt::format("SELECT * FROM {}", name));
    ASSERT_THAT(rows, ElementsAre(HasSubstr("ERROR sql")));
    EXPECT_THAT(rows[0], AllOf(HasSubstr("does not exist"), Not(HasSubstr(lake_.folder()))));
  }
  EXPECT_THAT(Sorted(RowsOf(session.get(), "SHOW TABLES")), ElementsAre("calendar", "orders"));
  EXPECT_THAT(RowsOf(session.get(), "SELECT n FROM secret"), ElementsAre(Not(HasSubstr("secrets"))));
  EXPECT_THAT(RowsOf(session.get(), "SELECT count(*) FROM information_schema.tables"), ElementsAre("2"));
  EXPECT_THAT(RowsOf(session.get(), "SELECT count(*) FROM duckdb_tables()"), ElementsAre("2"));
  EXPECT_THAT(RowsOf(session.get(), "SELECT count(*) FROM duckdb_columns() WHERE table_name = 'secrets'"),
              ElementsAre("0"));
}

TEST_F(SessionTest, TheLakesReasonsGoToOperatorsOnly) {
  lake_.Fail({"silver", "copying"}, Error{ErrorCode::kUnavailable, "/lake/x: 30 % copied"});
  EXPECT_THAT(RowsOf(Open(Operator()).get(), "SELECT * FROM copying"),
              ElementsAre("ERROR unavailable: /lake/x: 30 % copied"));
  EXPECT_THAT(RowsOf(Open(Tenant("bolt")).get(), "SELECT * FROM copying"),
              ElementsAre("ERROR unavailable: silver.copying cannot be read now; ask the operator"));
  EXPECT_THAT(RowsOf(Open(Operator()).get(), "SHOW TABLES"), Not(IsEmpty()));
}

TEST_F(SessionTest, HostileStatementsAreRefused) {
  auto session = Open(Tenant("bolt"));
  const std::string other = orders_.plan->files[0].path;
  const std::string out = lake_.folder() + "/out";
  lake_.TakeOpened();
  const Rows statements = {
      "COPY (SELECT 1) TO '" + out + "'",
      "COPY orders FROM '" + other + "'",
      "ATTACH '" + out + ".db' AS x",
      "ATTACH ':memory:' AS x",
      "DETACH lake",
      "INSTALL httpfs",
      "LOAD httpfs",
      "SET enable_external_access = true",
      "SET lock_configuration = false",
      "SET threads = 64",
      "SET memory_limit = '1TB'",
      "SET temp_directory = '/tmp'",
      "SET VARIABLE x = 1",
      "SET GLOBAL profile_output = '" + out + "'",
      "SET profiling_output = '" + out + "'",
      "SET log_query_path = '" + out + "'",
      "RESET enable_external_access",
      "PRAGMA enable_profiling",
      "PRAGMA profile_output = '" + out + "'",
      "PRAGMA database_list",
      "PRAGMA table_info('orders')",
      "CALL enable_logging(storage = 'file', storage_path = '" + out + "')",
      "CALL pragma_version()",
      "EXPORT DATABASE '" + out + "'",
      "IMPORT DATABASE '" + out + "'",
      "CREATE TABLE x (a INT)",
      "CREATE TABLE memory.main.x AS SELECT 1",
      "CREATE TEMP TABLE x (a INT)",
      "CREATE VIEW v AS SELECT * FROM orders",
      "CREATE MACRO m() AS 1",
      "CREATE SECRET s (TYPE s3)",
      "CREATE SCHEMA x",
      "CREATE TYPE t AS ENUM ('a')",
      "INSERT INTO orders VALUES (1)",
      "DELETE FROM orders",
      "UPDATE orders SET id = 1",
      "TRUNCATE orders",
      "DROP TABLE orders",
      "ALTER TABLE orders ADD COLUMN x INT",
      "MERGE INTO orders USING calendar ON true WHEN MATCHED THEN DELETE",
      "VACUUM",
      "ANALYZE",
      "CHECKPOINT",
      "BEGIN",
      "PREPARE p AS DELETE FROM orders",
      "PREPARE p AS COPY (SELECT 1) TO '" + out + "'",
      "EXPLAIN COPY (SELECT 1) TO '" + out + "'",
      "EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1",
      "SELECT 1; SELECT 2",
      "PIVOT orders ON month USING sum(amount)",
  };
  for (const auto& sql : statements) {
    const auto rows = RowsOf(session.get(), sql);
    ASSERT_EQ(rows.size(), 1u) << sql;
    EXPECT_THAT(rows[0],
                AllOf(testing::StartsWith("ERROR"), Not(HasSubstr("internal")), Not(HasSubstr("acme"))))
        << sql;
  }
  EXPECT_THAT(lake_.TakeOpened(), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(out));
  EXPECT_THAT(RowsOf(session.get(), "SELECT count(*) FROM calendar"), ElementsAre("3"))
      << "the session still works";
}

TEST_F(SessionTest, HostileFunctionsAreGone) {
  auto session = Open(Tenant("bolt"));
  const std::string other = orders_.plan->files[0].path;
  lake_.TakeOpened();
  const Rows queries = {
      "SELECT * FROM read_parquet('" + other + "')",
      "SELECT * FROM parquet_scan('" + other + "')",
      "SELECT * FROM parquet_metadata('" + other + "')",
      "SELECT * FROM parquet_schema('" + other + "')",
      "SELECT * FROM parquet_kv_metadata('" + other + "')",
      "SELECT * FROM parquet_file_metadata('" + other + "')",
      "SELECT * FROM read_csv('" + other + "')",
      "SELECT * FROM read_csv_auto('" + other + "')",
      "SELECT * FROM sniff_csv('" + other + "')",
      "SELECT * FROM read_text('/etc/passwd')",
      "SELECT * FROM read_blob('/etc/passwd')",
      "SELECT * FROM read_json('/etc/passwd')",
      "SELECT * FROM read_ndjson_objects('/etc/passwd')",
      "SELECT * FROM read_duckdb('/tmp/x.db')",
      "SELECT * FROM glob('/*')",
      "SELECT * FROM '" + other + "'",
      "FROM '" + other + "'",
      "SELECT * FROM \"" + other + "\"",
      "SELECT * FROM 'tarn:/file/00000000000000000000000000000000'",
      "SELECT getenv('HOME')",
      "SELECT current_setting('temp_directory')",
      "SELECT stats(id) FROM orders",
      "SELECT * FROM query('SELECT 1')",
      "SELECT * FROM query_table('orders')",
      "SELECT write_log('x')",
      "SELECT * FROM duckdb_settings()",
      "SELECT * FROM duckdb_secrets()",
      "SELECT * FROM duckdb_extensions()",
      "SELECT * FROM duckdb_external_file_cache()",
      "SELECT * FROM duckdb_temporary_files()",
      "SELECT * FROM duckdb_logs()",
      "SELECT * FROM duckdb_logs",
      "SELECT * FROM pg_catalog.pg_settings",
      "SELECT * FROM pragma_storage_info('orders')",
      "SELECT * FROM pragma_user_agent()",
      "SELECT * FROM which_secret('s3://x', 's3')",
      "SELECT * FROM arrow_scan(1, 2, 3)",
      "SELECT * FROM arrow_scan_dumb(1::POINTER, 2::POINTER, 3::POINTER)",
      "SELECT * FROM seq_scan()",
      "SELECT * FROM json_execute_serialized_sql('{}')",
      "SELECT json_serialize_plan('SELECT * FROM orders')",
      "SELECT * FROM enable_logging()",
      "SELECT * FROM checkpoint()",
      "SELECT * FROM system.main.read_text('/etc/passwd')",
      "SELECT nextval('x')",
      "PREPARE p AS SELECT * FROM read_text('/etc/passwd')",
      "EXPLAIN ANALYZE SELECT * FROM read_text('/etc/passwd')",
      "SET TimeZone = (SELECT content FROM read_text('/etc/passwd'))",
      "SET tarn.as_of = (SELECT content FROM read_text('/etc/passwd'))",
  };
  for (const auto& sql : queries) {
    const auto rows = RowsOf(session.get(), sql);
    ASSERT_EQ(rows.size(), 1u) << sql;
    EXPECT_THAT(rows[0], AllOf(testing::StartsWith("ERROR"), Not(HasSubstr("internal")))) << sql;
  }
  EXPECT_THAT(RowsOf(session.get(), "SELECT * FROM read_text('/etc/passwd')"),
              ElementsAre(HasSubstr("ERROR permission: function read_text is not available")));
  EXPECT_THAT(lake_.TakeOpened(), IsEmpty());
  EXPECT_THAT(RowsOf(session.get(), "SELECT count(*) FROM calendar"), ElementsAre("3"))
      << "the session still works";
}

TEST_F(SessionTest, WhatRemainsVisibleNamesNobodyElse) {
  auto session = Open(Tenant("bolt"), [&] {
    SessionOptions options;
    options.spill_folder = lake_.folder() + "/spill";
    return options;
  }());
  RowsOf(session.get(), "SELECT count(*) FROM orders");
  for (const char* sql :
       {"SELECT * FROM duckdb_databases()", "SELECT * FROM duckdb_schemas()", "SELECT * FROM duckdb_tables()",
        "SELECT * FROM duckdb_columns()", "SELECT * FROM duckdb_views() WHERE NOT internal",
        "SELECT * FROM information_schema.tables", "SELECT * FROM information_schema.schemata",
        "SELECT * FROM pg_catalog.pg_class", "SELECT * FROM pg_catalog.pg_tables", "SHOW ALL TABLES",
        "SHOW DATABASES", "SELECT * FROM duckdb_variables()", "SELECT current_query()",
        "SELECT * FROM sqlite_master", "EXPLAIN SELECT * FROM orders", "EXPLAIN ANALYZE SELECT * FROM orders",
        "EXPLAIN (FORMAT json) SELECT * FROM orders", "SELECT * FROM pg_catalog.pg_database"}) {
    for (const auto& row : RowsOf(session.get(), sql)) {
      EXPECT_THAT(row, AllOf(Not(HasSubstr("acme")), Not(HasSubstr("crux")), Not(HasSubstr("secrets")),
                             Not(HasSubstr(lake_.folder())), Not(HasSubstr("ERROR internal"))))
          << sql;
    }
  }
}

TEST_F(SessionTest, ErrorsOfMissingFilesNameNoPath) {
  auto plan = std::make_shared<hudi::ScanPlan>(*orders_.plan);
  for (auto& file : plan->files) file.path += ".gone";
  lake_.Set({"silver", "orders"}, plan, 5);
  const auto rows = RowsOf(Open(Tenant("bolt")).get(), "SELECT sum(id) FROM orders");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_THAT(rows[0],
              AllOf(HasSubstr("ERROR io"), HasSubstr("silver.orders"), Not(HasSubstr(lake_.folder()))));
}

// --- prepared statements, errors, cancelling
// ----------------------------------------------------------------------

TEST_F(SessionTest, PreparedStatementsReadTheNewestVersion) {
  auto session = Open(Operator());
  EXPECT_THAT(RowsOf(session.get(), "PREPARE p AS SELECT sum(n) FROM calendar WHERE n > $1"), IsEmpty());
  EXPECT_THAT(RowsOf(session.get(), "EXECUTE p(1)"), ElementsAre("5"));
  AddPlain("silver", "calendar", {10, 20}, 5);
  EXPECT_THAT(RowsOf(session.get(), "EXECUTE p(1)"), ElementsAre("30"));
  EXPECT_THAT(RowsOf(session.get(), "SET tarn.as_of = '1970-01-01 00:00:00.000001'"), IsEmpty());
  EXPECT_THAT(RowsOf(session.get(), "EXECUTE p(1)"), ElementsAre("5"));
  EXPECT_THAT(RowsOf(session.get(), "DEALLOCATE p"), IsEmpty());
  EXPECT_THAT(RowsOf(session.get(), "EXECUTE p(1)"), ElementsAre(HasSubstr("ERROR")));
}

TEST_F(SessionTest, HeldTablesAnswerWhereItIsAllowed) {
  const auto held = ElementsAre("ERROR unavailable: the table 'calendar' is held: why");
  lake_.Hold({"silver", "calendar"}, {ErrorCode::kUnavailable, "the table 'calendar' is held: why"});
  auto session = Open(Operator());
  EXPECT_THAT(RowsOf(session.get(), "SELECT sum(n) FROM calendar"), held);
  EXPECT_THAT(RowsOf(session.get(), "SET tarn.allow_held = true"), IsEmpty());
  EXPECT_THAT(RowsOf(session.get(), "SELECT sum(n) FROM calendar"), ElementsAre("6"));
  EXPECT_THAT(RowsOf(session.get(), "SET tarn.allow_held = 'perhaps'"), ElementsAre(HasSubstr("ERROR sql")));
  EXPECT_THAT(RowsOf(session.get(), "SET tarn.allow_held = NULL"),
              ElementsAre("ERROR sql: SET tarn.allow_held = NULL: use RESET tarn.allow_held"));
  EXPECT_THAT(RowsOf(session.get(), "SELECT sum(n) FROM calendar"), ElementsAre("6"));
  EXPECT_THAT(RowsOf(session.get(), "SET tarn.allow_held = false"), IsEmpty());
  EXPECT_THAT(RowsOf(session.get(), "SELECT sum(n) FROM calendar"), held);
  EXPECT_THAT(RowsOf(session.get(), "SET tarn.allow_held = 1"), IsEmpty());
  EXPECT_THAT(RowsOf(session.get(), "RESET tarn.allow_held"), IsEmpty());
  EXPECT_THAT(RowsOf(session.get(), "SELECT sum(n) FROM calendar"), held);
  SessionOptions options;
  options.allow_held = true;
  EXPECT_THAT(RowsOf(Open(Operator(), options).get(), "SELECT sum(n) FROM calendar"), ElementsAre("6"));
  // It changes nothing about what a principal may see.
  lake_.Hold({"silver", "orders"}, {ErrorCode::kUnavailable, "the table 'orders' is held: why"});
  auto tenant = Open(Tenant("bolt"));
  EXPECT_THAT(RowsOf(tenant.get(), "SELECT DISTINCT tenant_id FROM orders"), ElementsAre(HasSubstr("ERROR")));
  EXPECT_THAT(RowsOf(tenant.get(), "SET tarn.allow_held = true"), IsEmpty());
  EXPECT_THAT(RowsOf(tenant.get(), "SELECT DISTINCT tenant_id FROM orders"), ElementsAre("bolt"));
}

TEST_F(SessionTest, AVersionIsPinnedWhileItsRowsAreRead) {
  auto session = Open(Operator());
  EXPECT_EQ(lake_.live_versions(), 0);
  auto stream = session->Query("SELECT * FROM orders");
  ASSERT_TRUE(stream);
  EXPECT_EQ(lake_.live_versions(), 1);
  ASSERT_TRUE((*stream)->Next());
  EXPECT_EQ(lake_.live_versions(), 1);
  stream->reset();
  ASSERT_TRUE(session->Query("SELECT 1"));
  session.reset();
  EXPECT_EQ(lake_.live_versions(), 0);
}

TEST_F(SessionTest, ErrorsShowTheirPlace) {
  auto session = Open(Operator());
  EXPECT_THAT(RowsOf(session.get(), "SELECT id\nFROM orders\nWHERE nonsense = 1"),
              ElementsAre(AllOf(HasSubstr("ERROR sql"),
                                HasSubstr("line 3, column 7:\nWHERE nonsense = 1\n      ^"))));
  EXPECT_THAT(RowsOf(session.get(), "SELEKT 1"), ElementsAre(HasSubstr("line 1, column 1:\nSELEKT 1\n^")));
  EXPECT_THAT(
      RowsOf(session.get(), "SELECT 1 FROM orders FOR TIMESTAMP AS OF '2026-01-01' AS o WHERE nonsense = 1"),
      ElementsAre(HasSubstr("FOR TIMESTAMP AS OF '2026-01-01' AS o WHERE nonsense = 1\n")));
  EXPECT_THAT(RowsOf(session.get(), ""), ElementsAre(HasSubstr("ERROR sql: the statement is empty")));
}

TEST_F(SessionTest, InterruptStopsAStatementAndNotTheNext) {
  auto session = Open(Operator());
  std::atomic<bool> done{false};
  std::thread other([&] {
    // Again and again: one that comes before the statement began has no effect.
    while (!done) {
      session->Interrupt();
      std::this_thread::yield();
    }
  });
  const auto rows =
      RowsOf(session.get(),
             "SELECT sum(a.i * b.i) FROM range(10000000) a(i), range(1000000) b(i) WHERE a.i + b.i > 3");
  done = true;
  other.join();
  EXPECT_THAT(rows, ElementsAre("ERROR cancelled: the statement was cancelled"));
  EXPECT_THAT(RowsOf(session.get(), "SELECT count(*) FROM calendar"), ElementsAre("3"));
}

TEST_F(SessionTest, InterruptStopsAStreamInItsMiddle) {
  auto session = Open(Operator());
  auto stream = session->Query("SELECT * FROM range(1000000) a(i), range(1000000) b(i)");
  ASSERT_TRUE(stream);
  ASSERT_TRUE((*stream)->Next());
  session->Interrupt();
  auto batch = (*stream)->Next();
  for (int i = 0; i < 1000 && batch; ++i) batch = (*stream)->Next();
  ASSERT_FALSE(batch);
  EXPECT_EQ(batch.error().code, ErrorCode::kCancelled);
}

TEST_F(SessionTest, ErrorsInTheMiddleOfAStreamAreReported) {
  auto session = Open(Operator());
  std::vector<std::string> rows;
  // The engine may lose the reason; never is what nobody cancelled called so.
  do {
    rows = RowsOf(session.get(),
                  "SELECT CASE WHEN i = 900000 THEN error('stop here') ELSE i END FROM range(1000000) t(i)");
  } while (rows.size() == 1 && rows[0].find("lost the reason") != std::string::npos);
  EXPECT_THAT(rows, ElementsAre(HasSubstr("ERROR sql: stop here")));
}

TEST_F(SessionTest, ANewStatementEndsTheStreamBefore) {
  auto session = Open(Operator());
  auto first = session->Query("SELECT * FROM range(10000000)");
  ASSERT_TRUE(first);
  ASSERT_TRUE((*first)->Next());
  EXPECT_THAT(RowsOf(session.get(), "SELECT 1"), ElementsAre("1"));
  const auto batch = (*first)->Next();
  ASSERT_FALSE(batch);
  EXPECT_EQ(batch.error().code, ErrorCode::kCancelled);
}

TEST_F(SessionTest, SpillsIntoAFolderOfItsOwnAndRemovesIt) {
  SessionOptions options;
  options.spill_folder = lake_.folder() + "/spill";
  options.memory_limit_bytes = 64 << 20;
  {
    auto session = Open(Operator(), options);
    EXPECT_THAT(RowsOf(session.get(),
                       "SELECT count(*) FROM (SELECT DISTINCT i, i::VARCHAR || 'padding padding padding' "
                       "FROM range(3000000) t(i))"),
                ElementsAre("3000000"));
    EXPECT_FALSE(std::filesystem::is_empty(options.spill_folder));
  }
  EXPECT_TRUE(std::filesystem::is_empty(options.spill_folder));
}

// --- time travel
// --------------------------------------------------------------------------------------------------

class AsOfTest : public SessionTest {
 protected:
  void SetUp() override {
    SessionTest::SetUp();
    AddPlain("silver", "calendar", {10}, Micros(2026, 3));
    AddPlain("silver", "calendar", {20, 30}, Micros(2026, 6));
    AddPlain("gold", "revenue", {500}, Micros(2026, 6));
  }
  static int64_t Micros(int year, int month) {
    return *ParseTimestamp(fmt::format("{}-{:02}-01", year, month));
  }
};

TEST_F(AsOfTest, EveryDialectReadsThePast) {
  auto session = Open(Operator());
  EXPECT_THAT(RowsOf(session.get(), "SELECT sum(n) FROM calendar"), ElementsAre("50"));
  for (const char* sql :
       {"SELECT sum(n) FROM calendar FOR TIMESTAMP AS OF TIMESTAMP '2026-04-01 00:00:00'",
        "SELECT sum(n) FROM calendar FOR TIMESTAMP AS OF TIMESTAMP '2026-04-01 00:00:00 UTC'",
        "SELECT sum(c.n) FROM calendar FOR SYSTEM_TIME AS OF '2026-04-01' AS c",
        "SELECT sum(n) FROM silver.calendar TIMESTAMP AS OF '2026-04-01'",
        "SELECT sum(n) FROM calendar AT (TIMESTAMP => TIMESTAMPTZ '2026-04-01 00:00:00+00')",
        "SELECT sum(n) FROM lake.silver.calendar AT (TIMESTAMP => '2026-04-01') c",
        "SELECT sum(n) FROM calendar FOR TIMESTAMP AS OF TIMESTAMP '2026-04-02' - INTERVAL 1 DAY",
        "SELECT sum(n) FROM calendar FOR TIMESTAMP AS OF DATE '2026-04-01'"}) {
    EXPECT_THAT(RowsOf(session.get(), sql), ElementsAre("10")) << sql;
  }
}

TEST_F(AsOfTest, OneStatementReadsSeveralTimes) {
  auto session = Open(Operator());
  EXPECT_THAT(RowsOf(session.get(),
                     "SELECT (SELECT sum(n) FROM calendar), (SELECT sum(n) FROM calendar FOR TIMESTAMP AS "
                     "OF '2026-04-01'), (SELECT sum(n) FROM calendar FOR TIMESTAMP AS OF '2026-01-01')"),
              ElementsAre("50|10|6"));
  EXPECT_THAT(RowsOf(session.get(),
                     "SELECT now.n FROM calendar now LEFT JOIN calendar TIMESTAMP AS OF '2026-04-01' old "
                     "ON now.n = old.n WHERE old.n IS NULL ORDER BY 1"),
              ElementsAre("20", "30"));
}

TEST_F(AsOfTest, TheSessionsTimeMovesAllTables) {
  auto session = Open(Operator());
  EXPECT_THAT(RowsOf(session.get(), "SET tarn.as_of = '2026-04-01'"), IsEmpty());
  EXPECT_THAT(RowsOf(session.get(), "SELECT (SELECT sum(n) FROM calendar), (SELECT sum(n) FROM revenue)"),
              ElementsAre("10|100"));
  EXPECT_THAT(RowsOf(session.get(), "SELECT as_of()"), ElementsAre("2026-04-01 00:00:00.000000Z"));
  EXPECT_THAT(RowsOf(session.get(), "SELECT sum(n) FROM calendar FOR TIMESTAMP AS OF '2026-07-01'"),
              ElementsAre("50"));
  EXPECT_THAT(RowsOf(session.get(), "SET tarn.as_of = TIMESTAMPTZ '2026-06-01 00:00:00+00' - INTERVAL 1 DAY"),
              IsEmpty());
  EXPECT_THAT(RowsOf(session.get(), "SELECT sum(n) FROM calendar"), ElementsAre("10"));
  EXPECT_THAT(RowsOf(session.get(), "RESET tarn.as_of"), IsEmpty());
  EXPECT_THAT(RowsOf(session.get(), "SELECT sum(n) FROM calendar"), ElementsAre("50"));
}

TEST_F(AsOfTest, OptionsGiveTheTimes) {
  SessionOptions options;
  options.as_of_micros = Micros(2026, 4);
  EXPECT_THAT(RowsOf(Open(Operator(), options).get(), "SELECT sum(n), as_of() FROM calendar"),
              ElementsAre("10|2026-04-01 00:00:00.000000Z"));
  options.as_of_micros.reset();
  options.now_micros = Micros(2027, 1);
  EXPECT_THAT(RowsOf(Open(Operator(), options).get(), "SELECT sum(n), as_of() FROM calendar"),
              ElementsAre("50|2027-01-01 00:00:00.000000Z"));
}

TEST_F(AsOfTest, BadTimesAreExplained) {
  auto session = Open(Operator());
  EXPECT_THAT(RowsOf(session.get(), "SELECT * FROM calendar AT (VERSION => 3)"),
              ElementsAre(HasSubstr("use AT (TIMESTAMP => ...)")));
  EXPECT_THAT(RowsOf(session.get(), "SELECT * FROM calendar FOR VERSION AS OF 3"),
              ElementsAre(HasSubstr("ERROR sql: VERSION AS OF is not supported")));
  EXPECT_THAT(RowsOf(session.get(), "SELECT * FROM calendar FOR TIMESTAMP AS OF 'rubbish'"),
              ElementsAre(HasSubstr("ERROR sql")));
  EXPECT_THAT(RowsOf(session.get(), "SELECT * FROM calendar FOR TIMESTAMP AS OF '1969-01-01'"),
              ElementsAre("ERROR not_found: nothing is older than 1970"));
  EXPECT_THAT(RowsOf(session.get(), "SET tarn.as_of = '1969-01-01'"),
              ElementsAre("ERROR not_found: nothing is older than 1970"));
  EXPECT_THAT(RowsOf(session.get(), "SET tarn.as_of = NULL"), ElementsAre(HasSubstr("ERROR sql")));
  EXPECT_THAT(RowsOf(session.get(), "SELECT sum(n) FROM calendar"), ElementsAre("50"));
}

TEST_F(AsOfTest, ThePastIsGovernedByTodaysDecision) {
  auto session = Open(Tenant("bolt"));
  EXPECT_THAT(RowsOf(session.get(), "SELECT DISTINCT tenant_id FROM orders FOR TIMESTAMP AS OF '2026-04-01'"),
              ElementsAre("bolt"));
  EXPECT_THAT(RowsOf(session.get(), "SELECT * FROM secrets FOR TIMESTAMP AS OF '2026-04-01'"),
              ElementsAre(HasSubstr("does not exist")));
}

}  // namespace
}  // namespace tarn::engine
