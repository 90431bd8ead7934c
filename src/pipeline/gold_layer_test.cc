#include "pipeline/gold_layer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iostream>

#include "base/test_seed.h"
#include "engine/test_shop.h"
#include "hudi/test_folder.h"
#include "pipeline/gold_rows.h"

namespace tarn::pipeline {
namespace {

using engine::ShopRows;
using engine::ShopTable;
using testing::HasSubstr;

constexpr int64_t kHour = 3'600'000'000;
constexpr int64_t kStart = 1'790'000'000'000'000;
constexpr int64_t kTenants = 5;

/// Silver's tables of a small shop, as Hudi tables, with what each must hold.
class SmallShop {
 public:
  SmallShop(storage::Storage* storage, const catalog::LakeLayout& layout, std::mt19937* random)
      : random_(*random), draw_(random, kTenants, kStart) {
    for (const ShopTable& shop : engine::ShopTables()) {
      Table& table = tables_[shop.name];
      table.shop = WithSilverColumns(shop);
      hudi::TableOptions options;
      options.name = shop.name;
      options.database = "silver";
      options.identity_fields = options.key_fields = {"id"};
      if (shop.is_partitioned) {
        options.key_fields.insert(options.key_fields.begin(), "tenant_id");
        options.partition_fields = {"tenant_id"};
        if (HasMonth(shop.name)) options.partition_fields.push_back("_month");
      }
      options.schema = table.shop.schema;
      options.sidecar_folder = layout.Sidecar("silver", shop.name);
      table.table = *hudi::Table::Create(storage, layout.Silver(shop.name), options);
    }
  }

  /// Fills every table at one instant.
  void Fill(const std::string& instant) {
    for (auto& [name, table] : tables_) {
      ShopRows rows;
      for (int64_t id = 0; id < (table.shop.is_partitioned ? 60 : kTenants); id++) rows[id] = Draw(name, id);
      Commit(table, instant, rows, {});
    }
  }

  /// Changes some rows of some tables; returns what it did, for messages.
  std::string Change(const std::string& instant) {
    std::string done;
    for (auto& [name, table] : tables_) {
      if (!draw_.OneIn(table.shop.is_partitioned ? 3 : 8)) continue;
      if (draw_.OneIn(25) && table.shop.is_partitioned) {
        EXPECT_TRUE(table.table->Truncate(instant, {}));
        table.rows.clear();
        done += " truncated " + name;
        continue;
      }
      done += " changed " + name;
      ChangeRows(name, table, instant);
    }
    return done;
  }

  void ChangeRow(const std::string& name, const std::string& instant, int64_t id, engine::ShopRow row) {
    Commit(tables_[name], instant, {{id, WithSilverValues(name, std::move(row))}}, {});
  }
  engine::ShopRow RowOf(const std::string& name, int64_t id) {
    engine::ShopRow row = tables_[name].rows.at(id);
    row.resize(static_cast<size_t>(ShopOf(name).schema->num_fields()));
    return row;
  }
  void Compact(const std::string& instant) {
    for (auto& [name, table] : tables_) EXPECT_TRUE(table.table->Compact(instant, {}, {}, true));
  }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& [name, table] : tables_) names.push_back(name);
    return names;
  }

 private:
  struct Table {
    ShopTable shop;
    std::unique_ptr<hudi::Table> table;
    ShopRows rows;
  };

  static bool HasMonth(const std::string& name) { return name == "orders" || name == "events"; }
  static const ShopTable& ShopOf(const std::string& name) {
    return *std::find_if(engine::ShopTables().begin(), engine::ShopTables().end(),
                         [&](const ShopTable& table) { return table.name == name; });
  }
  static ShopTable WithSilverColumns(ShopTable shop) {
    auto fields = shop.schema->fields();
    fields.push_back(arrow::field("_lsn", arrow::int64()));
    if (HasMonth(shop.name)) fields.push_back(arrow::field("_month", arrow::utf8()));
    shop.schema = arrow::schema(fields);
    return shop;
  }
  engine::ShopRow WithSilverValues(const std::string& name, engine::ShopRow row) {
    row.emplace_back(++lsn_);
    if (!HasMonth(name)) return row;
    const auto at = static_cast<size_t>(
        ShopOf(name).schema->GetFieldIndex(name == "orders" ? "placed_at" : "occurred_at"));
    row.emplace_back(FormatTimestamp(std::get<int64_t>(row[at])).substr(0, 7));
    return row;
  }
  engine::ShopRow Draw(const std::string& name, int64_t id) {
    engine::ShopRow row = draw_.Row(name, id);
    if (tables_[name].shop.is_partitioned && draw_.OneIn(20)) row[1] = {};
    return WithSilverValues(name, std::move(row));
  }

  void ChangeRows(const std::string& name, Table& table, const std::string& instant) {
    ShopRows upserts;
    std::vector<int64_t> deletes;
    const int64_t ids = table.shop.is_partitioned ? 70 : kTenants;
    for (int64_t i = 0; i <= draw_.Below(4); i++) {
      const int64_t id = draw_.Below(ids);
      if (upserts.contains(id) || std::count(deletes.begin(), deletes.end(), id) > 0) continue;
      const auto known = table.rows.find(id);
      if (known != table.rows.end() && draw_.OneIn(4) && table.shop.is_partitioned) {
        deletes.push_back(id);
        continue;
      }
      engine::ShopRow row = Draw(name, id);
      // Most changes leave a row in its partition.
      if (known != table.rows.end() && table.shop.is_partitioned && !draw_.OneIn(3))
        row[1] = known->second[1];
      upserts[id] = std::move(row);
    }
    Commit(table, instant, upserts, deletes);
  }

  void Commit(Table& table, const std::string& instant, const ShopRows& upserts,
              const std::vector<int64_t>& deletes) {
    arrow::Int64Builder ids, lsns;
    for (const int64_t id : deletes) EXPECT_TRUE(ids.Append(id).ok() && lsns.Append(++lsn_).ok());
    const auto deleted = arrow::RecordBatch::Make(
        arrow::schema({arrow::field("id", arrow::int64()), arrow::field("_lsn", arrow::int64())}),
        static_cast<int64_t>(deletes.size()), {*ids.Finish(), *lsns.Finish()});
    const auto done = table.table->Upsert(instant, {engine::ToBatch(table.shop, upserts), deleted}, {});
    EXPECT_TRUE(done) << done.error().message;
    for (const auto& [id, row] : upserts) table.rows[id] = row;
    for (const int64_t id : deletes) table.rows.erase(id);
  }

  std::mt19937& random_;
  engine::ShopDraw draw_;
  std::map<std::string, Table> tables_;
  int64_t lsn_ = 1;
};

class GoldLayerTest : public testing::Test {
 protected:
  GoldLayerTest()
      : storage_(*storage::OpenLocalStorage(folder_.path() + "/_tarn/staging")),
        layout_(folder_.path()),
        versions_(*catalog::LakeVersions::Open(storage_.get(), layout_)),
        view_(storage_.get(), layout_, versions_.get(), false),
        clock_(&Clock::System()),
        seed_(TestSeed()),
        random_(seed_),
        shop_(storage_.get(), layout_, &random_) {
    std::cout << "TARN_SEED=" << seed_ << "\n";
    options_.lake = folder_.path();
    options_.models = folder_.path() + "/models";
    std::filesystem::create_directories(options_.models + "/gold");
    for (const auto& entry : std::filesystem::directory_iterator("models/gold")) {
      std::filesystem::copy(entry.path(), options_.models + "/gold/");
    }
    AddModel("newest_orders", "id", "", "SELECT id, total FROM orders ORDER BY placed_at DESC, id LIMIT 5");
    AddModel(
        "age_of_orders", "tenant_id", "tenant_id",
        "SELECT tenant_id, CAST(count(*) FILTER (placed_at < as_of() - INTERVAL 36 HOURS) AS BIGINT) AS old "
        "FROM orders GROUP BY 1");
    AddModel("best_day", "tenant_id, currency", "tenant_id",
             "SELECT tenant_id, currency, max(revenue) AS revenue FROM revenue_daily GROUP BY 1, 2");
    shop_.Fill(NextInstant());
    Publish();
    Open();
  }

  void AddModel(const std::string& name, const std::string& key, const std::string& partition,
                const std::string& sql) {
    const std::string path = options_.models + "/gold/" + name;
    std::ofstream(path + ".sql") << sql;
    std::ofstream(path + ".yml") << "description: of a test\nkey: [" << key << "]\n"
                                 << (partition.empty() ? "" : "partition: " + partition + "\n");
  }

  std::string NextInstant() { return instant_ = clock_.Next(); }
  void Publish() {
    version_ = {instant_, 0, Lsn{++lsn_}, kStart + static_cast<int64_t>(lsn_), shop_.names(), {}, {}};
    ASSERT_TRUE(versions_->Publish(*storage_, version_));
  }
  void Open() {
    layer_.reset();
    auto layer =
        GoldLayer::Open(storage_.get(), layout_, options_, shop_.names(), versions_.get(), &view_, &clock_);
    ASSERT_TRUE(layer) << layer.error().message;
    layer_ = std::move(*layer);
  }
  /// Runs Gold; gives what it did, by model.
  std::map<std::string, GoldRun> Run() {
    const CancelToken cancel;
    const auto known = ReadRuns(*storage_, layout_, "", 100'000);
    const Status done = layer_->Run(version_, as_of_, cancel);
    EXPECT_TRUE(done) << done.error().message;
    const auto runs = ReadRuns(*storage_, layout_, "", 100'000);
    std::map<std::string, GoldRun> mine;
    for (size_t i = 0; i + known->size() < runs->size(); i++) mine[(*runs)[i].model] = (*runs)[i];
    for (const auto& [name, run] : mine) EXPECT_EQ(run.error, "") << name;
    return mine;
  }

  static std::vector<std::string> Ask(engine::Session& session, const std::string& sql) {
    auto stream = session.Query(sql);
    EXPECT_TRUE(stream) << sql << ": " << stream.error().message;
    std::vector<std::string> rows;
    while (stream) {
      const auto batch = (*stream)->Next();
      EXPECT_TRUE(batch) << sql;
      if (!batch || *batch == nullptr) break;
      for (int64_t row = 0; row < (*batch)->num_rows(); row++) {
        std::string text;
        for (const auto& column : (*batch)->columns()) text += (*column->GetScalar(row))->ToString() + "|";
        rows.push_back(std::move(text));
      }
    }
    std::sort(rows.begin(), rows.end());
    return rows;
  }

  std::string SqlOf(const GoldModel& model) {
    std::string sql = model.sql;
    for (const GoldModel& other : layer_->models()) {
      if (model.gold.contains(other.name))
        sql = "WITH " + other.name + " AS (" + SqlOf(other) + "\n) SELECT * FROM (" + sql + "\n)";
    }
    return sql;
  }

  /// That every Gold table holds what its SELECT gives now.
  void CheckAll(const std::string& what) {
    engine::SessionOptions options;
    options.now_micros = as_of_;
    const auto session = *engine::Session::Open(&view_, govern::DecideForSystem("test"), options);
    for (const GoldModel& model : layer_->models()) {
      const auto stored = Ask(
          *session,
          "SELECT COLUMNS(c -> NOT starts_with(c, '_hoodie_') AND c NOT IN ('_lsn', '_model')) FROM gold." +
              model.name);
      ASSERT_EQ(stored, Ask(*session, "SELECT * FROM (" + SqlOf(model) + "\n)"))
          << model.name << " seed " << seed_ << ": " << what;
    }
  }

  hudi::TestFolder folder_{true};
  std::unique_ptr<storage::Storage> storage_;
  catalog::LakeLayout layout_;
  std::unique_ptr<catalog::LakeVersions> versions_;
  LakeView view_;
  InstantClock clock_;
  PipelineOptions options_;
  uint32_t seed_;
  std::mt19937 random_;
  SmallShop shop_;
  std::unique_ptr<GoldLayer> layer_;
  std::string instant_;
  uint64_t lsn_ = 0;
  catalog::LakeVersion version_;
  int64_t as_of_ = kStart + 10;
};

TEST_F(GoldLayerTest, IncrementalIsWhatAFullRecomputeGivesAfterAnyHistory) {
  Run();
  CheckAll("the first run");
  int narrow = 0, all = 0;
  for (int step = 0; step < 14; step++) {
    std::string what = fmt::format("step {}:", step);
    const auto changes = 1 + random_() % 3;
    for (unsigned i = 0; i < changes; i++) {
      what += shop_.Change(NextInstant());
      if (random_() % 8 == 0) shop_.Compact(NextInstant());
      Publish();
    }
    if (random_() % 4 == 0) as_of_ += kHour / 2 * static_cast<int64_t>(random_() % 60);
    if (random_() % 5 == 0) {
      what += " restarted";
      Open();
    }
    for (const auto& [name, run] : Run()) (run.kind == GoldStep::Kind::kAll ? all : narrow)++;
    CheckAll(what);
    if (HasFatalFailure()) return;
  }
  // Both ways were gone.
  EXPECT_GT(narrow, 20);
  EXPECT_GT(all, 20);
}

TEST_F(GoldLayerTest, ComputesTheTouchedPartitionsAlone) {
  auto runs = Run();
  ASSERT_EQ(runs.size(), layer_->models().size());
  EXPECT_EQ(runs["revenue_daily"].reason, "it was never computed");
  EXPECT_TRUE(Run().empty());

  auto row = shop_.RowOf("orders", 7);
  const auto* tenant = std::get_if<int64_t>(&row[1]);
  const int64_t before = tenant != nullptr ? *tenant : -1;
  row[1] = int64_t{(before + 1) % kTenants};
  row[3] = std::string("paid");
  shop_.ChangeRow("orders", NextInstant(), 7, row);
  Publish();
  runs = Run();
  EXPECT_EQ(runs["revenue_daily"].kind, GoldStep::Kind::kPartitions);
  EXPECT_EQ(runs["revenue_daily"].reason, "2 partitions were touched");
  EXPECT_EQ(runs["revenue_daily"].partitions_computed, 2);
  EXPECT_EQ(runs["best_day"].kind, GoldStep::Kind::kPartitions);
  EXPECT_EQ(runs["newest_orders"].kind, GoldStep::Kind::kAll);
  EXPECT_EQ(runs["newest_orders"].reason, "silver.orders changed, and it is not partitioned");
  EXPECT_FALSE(runs.contains("conversion_funnel"));
  CheckAll("one order moved");
}

TEST_F(GoldLayerTest, AModelTakesWhatItReadsOfAnotherFromTheSameRun) {
  AddModel("best_ever", "tenant_id", "tenant_id",
           "SELECT tenant_id, max(revenue) AS revenue FROM best_day GROUP BY 1");
  AddModel("days_of_all", "day", "",
           "SELECT day, CAST(count(*) AS BIGINT) AS rows FROM revenue_daily GROUP BY 1");
  Open();
  auto runs = Run();
  EXPECT_GT(runs["revenue_daily"].bytes_read, 0);
  for (const char* reader : {"best_day", "best_ever", "days_of_all"})
    EXPECT_EQ(runs[reader].bytes_read, 0) << reader;
  CheckAll("the first run");
  // Of the second run revenue_daily has one partition, which is all that best_day needs, and not what
  // days_of_all needs.
  auto row = shop_.RowOf("orders", 7);
  row[3] = std::string("paid");
  row[1] = int64_t{1};
  shop_.ChangeRow("orders", NextInstant(), 7, row);
  Publish();
  runs = Run();
  EXPECT_EQ(runs["revenue_daily"].kind, GoldStep::Kind::kPartitions);
  EXPECT_EQ(runs["best_ever"].bytes_read, 0);
  EXPECT_GT(runs["days_of_all"].bytes_read, 0);
  CheckAll("an order of one tenant");
  // Alone: there is nothing in memory.
  ASSERT_TRUE(layer_->Backfill("best_ever", {"1"}));
  runs = Run();
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_GT(runs["best_ever"].bytes_read, 0);
  CheckAll("a backfill of one that reads others");
}

TEST_F(GoldLayerTest, AModelReadsAnotherByItsNameAlone) {
  AddModel("best_ever", "tenant_id", "tenant_id",
           "SELECT tenant_id, max(revenue) AS r FROM gold.best_day GROUP BY 1");
  const auto layer =
      GoldLayer::Open(storage_.get(), layout_, options_, shop_.names(), versions_.get(), &view_, &clock_);
  ASSERT_FALSE(layer);
  EXPECT_THAT(layer.error().message,
              HasSubstr("best_ever.sql: 'gold.best_day' may be older than the rest: name"));
}

TEST_F(GoldLayerTest, ARunThatChangesNothingWritesNoCommit) {
  Run();
  const auto table_instants = [&](const std::string& model) {
    auto reader =
        hudi::TableReader::Open(storage_.get(), layout_.Gold(model), layout_.Sidecar("gold", model));
    return *(*reader)->Instants();
  };
  const auto before = table_instants("revenue_daily");
  // The stock of a product counts for nothing in it; a pending order neither.
  auto row = shop_.RowOf("orders", 3);
  row[3] = std::string("pending");
  shop_.ChangeRow("orders", NextInstant(), 3, row);
  Publish();
  Run();
  const auto between = table_instants("revenue_daily");
  shop_.ChangeRow("orders", NextInstant(), 3, row);
  Publish();
  auto runs = Run();
  EXPECT_EQ(runs["revenue_daily"].partitions_computed, 1);
  EXPECT_EQ(runs["revenue_daily"].partitions_changed, 0);
  EXPECT_EQ(table_instants("revenue_daily"), between);
  CheckAll("nothing that counts has changed");
}

TEST_F(GoldLayerTest, ComputesAllWhereItCannotTell) {
  Run();
  // Another day may have begun for those that ask for it.
  as_of_ += kHour;
  auto runs = Run();
  EXPECT_THAT(runs["customer_churn"].reason, HasSubstr("depends on the day"));
  EXPECT_THAT(runs["age_of_orders"].reason, HasSubstr("depends on the moment: as_of() in "));
  EXPECT_FALSE(runs.contains("revenue_daily"));
  // A table without partitions.
  auto tenant = shop_.RowOf("tenants", 2);
  tenant[2] = std::string("America/New_York");
  shop_.ChangeRow("tenants", NextInstant(), 2, tenant);
  Publish();
  runs = Run();
  EXPECT_EQ(runs["revenue_daily"].reason, "silver.tenants, which has no partitions, changed");
  EXPECT_FALSE(runs.contains("customer_lifetime_value"));
  CheckAll("a zone changed");
  // Another SELECT.
  AddModel("best_day", "tenant_id, currency", "tenant_id",
           "SELECT tenant_id, currency, min(revenue) AS revenue FROM revenue_daily GROUP BY 1, 2");
  Open();
  runs = Run();
  EXPECT_THAT(runs["best_day"].reason, HasSubstr("its SQL"));
  EXPECT_FALSE(runs.contains("customer_lifetime_value"));
  CheckAll("another SELECT");
}

TEST_F(GoldLayerTest, BackfillsWhatIsAskedFor) {
  Run();
  ASSERT_TRUE(layer_->Backfill("revenue_daily", {"1", "3"}));
  Open();  // The request is still there.
  auto runs = Run();
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs["revenue_daily"].partitions_computed, 2);
  EXPECT_EQ(runs["revenue_daily"].partitions_changed, 2);
  EXPECT_TRUE(Run().empty());
  ASSERT_TRUE(layer_->Backfill("customer_churn", {}));
  runs = Run();
  EXPECT_EQ(runs["customer_churn"].reason, "asked for by `tarn backfill`");
  EXPECT_EQ(runs["customer_churn"].partitions_changed, runs["customer_churn"].partitions_computed);
  EXPECT_EQ(layer_->Backfill("nothing", {}).error().code, ErrorCode::kNotFound);
  CheckAll("backfills");
}

TEST_F(GoldLayerTest, WhatWasCommittedBeforeARunWasCutOffIsPublishedByTheNext) {
  Run();
  // As if the process had ended before it published.
  std::filesystem::remove_all(layout_.Internal("gold_versions"));
  ASSERT_TRUE(versions_->Refresh());
  ASSERT_FALSE(*versions_->FindGold(version_));
  Open();
  EXPECT_TRUE(Run().empty());
  CheckAll("left over");
}

}  // namespace
}  // namespace tarn::pipeline
