#include <arrow/api.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <random>

#include "cdc/change_builder.h"
#include "engine/session.h"
#include "pipeline/lake_view.h"
#include "pipeline/silver_layer.h"

namespace tarn::pipeline {
namespace {

namespace fs = std::filesystem;
constexpr int64_t kMinute = 60'000'000;
constexpr int64_t kHour = 60 * kMinute;

/// What must not grow while a table lives.
struct Measure {
  int64_t files = 0, instants = 0, versions = 0, logs_per_slice = 0;
  int64_t sidecars = 0;     ///< Files of the lake's own, `_tarn`, and of quarantine.
  int64_t plan_micros = 0;  ///< The best: what is more is the machine's noise.
};

/// A day of one commit a minute under a window of two hours, on a clock that the test moves.
class SoakTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "tarn-soak-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    storage_ = std::move(*storage::OpenLocalStorage(root_ + "/_tarn/staging"));
    options_.lake = root_;
    options_.services.retain_micros = 2 * kHour;
    options_.services.max_log_files = 20;
    const catalog::LakeLayout layout(root_);
    versions_ = std::move(*catalog::LakeVersions::Open(storage_.get(), layout));
    silver_ = std::move(*SilverLayer::Open(storage_.get(), layout, options_, &clock_, versions_.get()));
    table_ = std::make_shared<const schema::TableSchema>(MakeTable());
    catalog::RegisteredTable registered;
    registered.source = *table_;
    registered.tenant_column = "tenant_id";
    ASSERT_TRUE(silver_->AddTable(registered));
    SilverTable& table = *silver_->Find("notes");
    ASSERT_TRUE(table.BeginLoad(silver_->instants()->Next(), 1));
    cdc::ChangeBuilder builder(table_);
    for (int id = 0; id < 500; id++) Append(builder, 'I', id, 0);
    ASSERT_TRUE(table.Load(0, builder.Finish()));
    ASSERT_TRUE(table.FinishLoad(1));
    ASSERT_TRUE(silver_->Publish({0, Lsn{1}}, clock_.NowMicros()));
  }
  void TearDown() override { fs::remove_all(root_); }

  static schema::TableSchema MakeTable() {
    schema::TableSchema table;
    table.oid = 1;
    table.schema_name = "public";
    table.table_name = "notes";
    for (const char* name : {"id", "tenant_id", "value"}) {
      table.columns.push_back({name, "", schema::kInt8Oid, -1, schema::MakePgType(schema::kInt8Oid, -1),
                               std::string(name) == "id"});
    }
    schema::AssignLakeNames(table);
    return table;
  }

  void Append(cdc::ChangeBuilder& builder, char op, int64_t id, int64_t lsn) {
    const std::string texts[] = {std::to_string(id), std::to_string(id % 3), std::to_string(lsn)};
    std::vector<cdc::WireValue> values;
    for (const std::string& text : texts) values.push_back({cdc::WireValue::State::kText, text});
    builder.AppendRow({op, "2026-11-22 00:00:00.000000", lsn, 1, 1}, values, std::nullopt);
    if (op == 'D') {
      rows_.erase(id);
    } else {
      rows_[id] = lsn;
    }
  }

  void Commit(std::mt19937& random, int64_t lsn) {
    cdc::ChangeBuilder builder(table_);
    for (int i = 0; i < 20; i++) {
      const int64_t id = random() % 1000;
      const bool exists = rows_.contains(id);
      Append(builder, !exists ? 'I' : random() % 5 == 0 ? 'D' : 'U', id, lsn);
    }
    SilverStep step;
    step.events = {{table_, builder.Finish()}};
    step.position = {0, Lsn{static_cast<uint64_t>(lsn)}};
    step.commit_micros = clock_.NowMicros();
    const Status applied = silver_->Apply(step);
    ASSERT_TRUE(applied) << applied.error().message;
  }

  Measure Look() {
    Measure measure;
    std::map<std::string, int64_t> logs;
    for (const auto& entry : fs::recursive_directory_iterator(root_ + "/silver/notes")) {
      if (!entry.is_regular_file()) continue;
      const std::string name = entry.path().filename();
      if (entry.path().parent_path().filename() == ".hoodie") {
        measure.instants++;
      } else {
        measure.files++;
      }
      const size_t log = name.find(".log.");
      if (log != std::string::npos) logs[name.substr(0, log)]++;
    }
    for (const auto& [slice, count] : logs) measure.logs_per_slice = std::max(measure.logs_per_slice, count);
    measure.versions = static_cast<int64_t>(versions_->size());
    LakeView view(storage_.get(), catalog::LakeLayout(root_), versions_.get(), false);
    measure.plan_micros = PlanMicros(view);
    for (int i = 0; i < 4; i++) {
      LakeView fresh(storage_.get(), catalog::LakeLayout(root_), versions_.get(), false);
      measure.plan_micros = std::min(measure.plan_micros, PlanMicros(fresh));
    }
    for (const char* folder : {"/_tarn", "/quarantine"}) {
      for (const auto& entry : fs::recursive_directory_iterator(root_ + folder))
        measure.sidecars += entry.is_regular_file() ? 1 : 0;
    }
    return measure;
  }

  static int64_t PlanMicros(LakeView& view) {
    const int64_t started = MonotonicMicros();
    const auto pinned = view.Pin(std::nullopt);
    EXPECT_TRUE((*pinned)->Plan({"silver", "notes"}, false));
    return MonotonicMicros() - started;
  }

  /// The value column of every row as of a time.
  std::map<int64_t, int64_t> Read(std::optional<int64_t> as_of) {
    LakeView view(storage_.get(), catalog::LakeLayout(root_), versions_.get(), false);
    auto session = engine::Session::Open(&view, govern::DecideForSystem("soak"), {.as_of_micros = as_of});
    EXPECT_TRUE(session);
    auto stream = (*session)->Query("SELECT id, value FROM notes");
    EXPECT_TRUE(stream) << stream.error().message;
    std::map<int64_t, int64_t> rows;
    while (auto batch = (*stream)->Next().value()) {
      const auto& ids = static_cast<const arrow::Int64Array&>(*batch->column(0));
      const auto& values = static_cast<const arrow::Int64Array&>(*batch->column(1));
      for (int64_t row = 0; row < batch->num_rows(); row++)
        EXPECT_TRUE(rows.emplace(ids.Value(row), values.Value(row)).second);
    }
    return rows;
  }

  std::string root_;
  ManualClock clock_{1'795'515'300'000'000};
  std::unique_ptr<storage::Storage> storage_;
  PipelineOptions options_;
  std::unique_ptr<catalog::LakeVersions> versions_;
  std::unique_ptr<SilverLayer> silver_;
  std::shared_ptr<const schema::TableSchema> table_;
  std::map<int64_t, int64_t> rows_;
};

TEST_F(SoakTest, ADayOfCommitsUnderATwoHourWindowDoesNotGrow) {
  const unsigned seed = 24;
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  std::map<int64_t, std::map<int64_t, int64_t>> history;  ///< Rows as of each commit inside the window.
  Measure first_half;
  Measure second_half;
  const int commits = 24 * 60;
  for (int i = 1; i <= commits; i++) {
    clock_.Advance(kMinute);
    Commit(random, 1000 + i);
    if (HasFatalFailure()) return;
    history[clock_.NowMicros()] = rows_;
    while (history.begin()->first < clock_.NowMicros() - 90 * kMinute) history.erase(history.begin());
    if (i % 10 != 0) continue;
    const Status served = silver_->RunServices();
    ASSERT_TRUE(served) << served.error().message;
    ASSERT_TRUE(versions_->Prune(*storage_, clock_.NowMicros() - 2 * kHour));
    // The first hours fill the window; they are no measure.
    if (i % 60 != 0 || i < 6 * 60) continue;
    const Measure now = Look();
    Measure& half = i <= commits / 2 ? first_half : second_half;
    half = {std::max(half.files, now.files),
            std::max(half.instants, now.instants),
            std::max(half.versions, now.versions),
            std::max(half.logs_per_slice, now.logs_per_slice),
            std::max(half.sidecars, now.sidecars),
            half.plan_micros == 0 ? now.plan_micros : std::min(half.plan_micros, now.plan_micros)};
    std::printf(
        "hour %2d: %lld files, %lld instant files, %lld versions, %lld logs in a slice, %lld files of "
        "tarn's, planned in %lld us\n",
        i / 60, static_cast<long long>(now.files), static_cast<long long>(now.instants),
        static_cast<long long>(now.versions), static_cast<long long>(now.logs_per_slice),
        static_cast<long long>(now.sidecars), static_cast<long long>(now.plan_micros));
  }
  EXPECT_LE(second_half.files, first_half.files * 11 / 10);
  EXPECT_LE(second_half.instants, first_half.instants * 11 / 10);
  EXPECT_LE(second_half.versions, first_half.versions + 1);
  EXPECT_LE(second_half.logs_per_slice, first_half.logs_per_slice + 10);
  EXPECT_LE(second_half.sidecars, first_half.sidecars * 11 / 10);
  // Not a time but a growth: twelve hours on it would be twice as long if planning read all history.
  EXPECT_LE(second_half.plan_micros, first_half.plan_micros * 3 / 2 + 2000);
  EXPECT_EQ(Read(std::nullopt), rows_);
  // Every tenth state of the last hour and a half reads as it was.
  int at = 0;
  for (const auto& [micros, rows] : history) {
    if (at++ % 10 != 0) continue;
    EXPECT_EQ(Read(micros), rows) << "as of " << FormatTimestamp(micros);
  }
}

}  // namespace
}  // namespace tarn::pipeline
