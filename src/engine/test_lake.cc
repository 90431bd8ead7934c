#include "engine/test_lake.h"

#include <arrow/io/file.h>
#include <parquet/arrow/writer.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "engine/lake_file_system.h"

namespace tarn::engine {

class TestVersion : public LakeVersion {
 public:
  TestVersion(TestLake* lake, int64_t as_of) : lake_(lake), as_of_(as_of), live_(lake->live_versions_) {
    ++*live_;
  }
  ~TestVersion() override { --*live_; }

  std::vector<TableName> Tables() const override {
    std::lock_guard lock(lake_->mutex_);
    std::vector<TableName> names;
    for (const auto& [name, states] : lake_->tables_) names.push_back(name);
    return names;
  }
  Result<std::shared_ptr<const hudi::ScanPlan>> Plan(const TableName& table, bool allow_held) override {
    std::lock_guard lock(lake_->mutex_);
    const auto found = lake_->tables_.find(table);
    if (found == lake_->tables_.end()) return MakeError(ErrorCode::kNotFound, "no {}", table.name);
    auto state = found->second.upper_bound(as_of_);
    if (state == found->second.begin()) return MakeError(ErrorCode::kNotFound, "no {} then", table.name);
    --state;
    if (state->second.error && !(allow_held && state->second.plan)) return *state->second.error;
    return state->second.plan;
  }
  std::string Describe() const override { return fmt::format("as of {}", as_of_); }

 private:
  TestLake* lake_;
  int64_t as_of_;
  std::shared_ptr<int64_t> live_;
};

TestLake::TestLake() {
  std::string name = (std::filesystem::temp_directory_path() / "tarn-engine-XXXXXX").string();
  folder_ = ::mkdtemp(name.data());
}

TestLake::~TestLake() { std::filesystem::remove_all(folder_); }

Result<std::shared_ptr<LakeVersion>> TestLake::Pin(std::optional<int64_t> as_of_micros) {
  if (as_of_micros && *as_of_micros < 0) return MakeError(ErrorCode::kNotFound, "nothing is older than 1970");
  return std::make_shared<TestVersion>(this, as_of_micros.value_or(std::numeric_limits<int64_t>::max() - 1));
}

void TestLake::Set(const TableName& table, std::shared_ptr<const hudi::ScanPlan> plan, int64_t from_micros) {
  std::lock_guard lock(mutex_);
  tables_[table][from_micros] = {std::move(plan), std::nullopt};
}

void TestLake::Fail(const TableName& table, Error error) {
  std::lock_guard lock(mutex_);
  tables_[table][0] = {nullptr, std::move(error)};
}

void TestLake::Hold(const TableName& table, Error error) {
  std::lock_guard lock(mutex_);
  for (auto& [from_micros, state] : tables_[table]) state.error = error;
}

hudi::ScanFile TestLake::Write(const std::string& name, const arrow::RecordBatch& rows,
                               std::vector<std::string> partition, int64_t row_group_rows) {
  hudi::ScanFile file;
  file.path = folder_ + "/" + name;
  std::filesystem::create_directories(std::filesystem::path(file.path).parent_path());
  auto out = arrow::io::FileOutputStream::Open(file.path).ValueOrDie();
  auto table = arrow::Table::FromRecordBatches({rows.Slice(0)}).ValueOrDie();
  PARQUET_THROW_NOT_OK(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), out, row_group_rows));
  PARQUET_THROW_NOT_OK(out->Close());
  file.size_bytes = static_cast<int64_t>(std::filesystem::file_size(file.path));
  file.rows = rows.num_rows();
  file.partition = std::move(partition);
  return file;
}

FileOpener TestLake::Opener() {
  return [this](const std::string& path) {
    {
      std::lock_guard lock(mutex_);
      opened_.insert(path);
    }
    return OpenLocalFile(path);
  };
}

std::set<std::string> TestLake::TakeOpened() {
  std::lock_guard lock(mutex_);
  return std::exchange(opened_, {});
}

std::shared_ptr<arrow::Schema> OrdersSchema() {
  return arrow::schema({
      arrow::field("_hoodie_commit_time", arrow::utf8()),
      arrow::field("_hoodie_commit_seqno", arrow::utf8()),
      arrow::field("_hoodie_record_key", arrow::utf8()),
      arrow::field("_hoodie_partition_path", arrow::utf8()),
      arrow::field("_hoodie_file_name", arrow::utf8()),
      arrow::field("id", arrow::int64()),
      arrow::field("tenant_id", arrow::utf8()),
      arrow::field("month", arrow::int32()),
      arrow::field("amount", arrow::decimal128(10, 2)),
      arrow::field("quantity", arrow::int64()),
      arrow::field("note", arrow::utf8()),
      arrow::field("created_at", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")),
      arrow::field("_lsn", arrow::int64()),
  });
}

namespace {

struct OrderRow {
  int64_t id;
  std::string tenant;
  int32_t month;
  int64_t cents;
  int32_t quantity;
  std::optional<std::string> note;
  int64_t created_micros;
  int64_t lsn;
};

#define TARN_TEST_OK(expression) PARQUET_THROW_NOT_OK(expression)

// `old_layout`: as a file written before `note` existed and before `quantity` was widened.
std::shared_ptr<arrow::RecordBatch> ToBatch(const std::vector<OrderRow>& rows, bool old_layout) {
  auto schema = OrdersSchema();
  if (old_layout) {
    schema = schema->SetField(9, arrow::field("quantity", arrow::int32())).ValueOrDie();
    schema = schema->RemoveField(10).ValueOrDie();
  }
  auto builder = arrow::RecordBatchBuilder::Make(schema, arrow::default_memory_pool()).ValueOrDie();
  for (const OrderRow& row : rows) {
    const std::string partition = fmt::format("tenant_id={}/month={}", row.tenant, row.month);
    TARN_TEST_OK(builder->GetFieldAs<arrow::StringBuilder>(0)->Append("20261122101500000"));
    TARN_TEST_OK(builder->GetFieldAs<arrow::StringBuilder>(1)->Append(fmt::format("seq_{}", row.lsn)));
    TARN_TEST_OK(builder->GetFieldAs<arrow::StringBuilder>(2)->Append(fmt::format("id:{}", row.id)));
    TARN_TEST_OK(builder->GetFieldAs<arrow::StringBuilder>(3)->Append(partition));
    TARN_TEST_OK(builder->GetFieldAs<arrow::StringBuilder>(4)->Append("file"));
    TARN_TEST_OK(builder->GetFieldAs<arrow::Int64Builder>(5)->Append(row.id));
    TARN_TEST_OK(builder->GetFieldAs<arrow::StringBuilder>(6)->Append(row.tenant));
    TARN_TEST_OK(builder->GetFieldAs<arrow::Int32Builder>(7)->Append(row.month));
    TARN_TEST_OK(builder->GetFieldAs<arrow::Decimal128Builder>(8)->Append(arrow::Decimal128(row.cents)));
    int column = 9;
    if (old_layout) {
      TARN_TEST_OK(builder->GetFieldAs<arrow::Int32Builder>(column++)->Append(row.quantity));
    } else {
      TARN_TEST_OK(builder->GetFieldAs<arrow::Int64Builder>(column++)->Append(row.quantity));
      auto* notes = builder->GetFieldAs<arrow::StringBuilder>(column++);
      TARN_TEST_OK(row.note ? notes->Append(*row.note) : notes->AppendNull());
    }
    TARN_TEST_OK(builder->GetFieldAs<arrow::TimestampBuilder>(column++)->Append(row.created_micros));
    TARN_TEST_OK(builder->GetFieldAs<arrow::Int64Builder>(column)->Append(row.lsn));
  }
  return builder->Flush().ValueOrDie();
}

}  // namespace

Orders MakeOrders(TestLake* lake, const std::string& folder, const OrdersOptions& options) {
  std::mt19937 random(options.seed);
  const auto roll = [&](int64_t below) {
    return std::uniform_int_distribution<int64_t>(0, below - 1)(random);
  };
  Orders result;
  result.plan = std::make_shared<hudi::ScanPlan>();
  result.plan->schema = OrdersSchema();
  result.plan->partition_fields = {"tenant_id", "month"};
  std::vector<OrderRow> current;
  int64_t next_id = 1;
  for (const std::string tenant : {"acme", "bolt", "crux"}) {
    for (const int32_t month : {202601, 202602}) {
      std::vector<OrderRow> hot;
      for (int part = 0; part < 2; ++part) {
        const bool old_layout = part == 0 && month == 202601;
        std::vector<OrderRow> rows;
        auto deleted = std::make_shared<hudi::PositionBitmap>((options.rows_per_file + 63) / 64);
        for (int64_t i = 0; i < options.rows_per_file; ++i, ++next_id) {
          OrderRow row{next_id, tenant,         month,  roll(1000000), static_cast<int32_t>(roll(50)),
                       {},      next_id * 1000, next_id};
          if (!old_layout && roll(3) > 0) row.note = fmt::format("note {} of {}", roll(100), tenant);
          rows.push_back(row);
          const bool is_deleted =
              options.with_deletes && (roll(25) == 0 || (part == 1 && i > 1000 && i < 3200));
          if (!is_deleted) {
            current.push_back(row);
            continue;
          }
          (*deleted)[static_cast<size_t>(i / 64)] |= uint64_t{1} << (i % 64);
          if (options.with_hot && roll(2) == 0) {
            row.cents += 1;
            row.lsn += 1000000;
            row.note = "hot";
            hot.push_back(row);
          }
        }
        const std::string name =
            fmt::format("{}/tenant_id={}/month={}/part-{}.parquet", folder, tenant, month, part);
        auto file = lake->Write(name, *ToBatch(rows, old_layout), {tenant, std::to_string(month)});
        if (options.with_deletes) file.deleted = deleted;
        result.plan->files.push_back(std::move(file));
      }
      if (options.with_hot) {
        for (int i = 0; i < 100; ++i, ++next_id) {
          hot.push_back({next_id, tenant, month, roll(1000000), 1, "new", next_id * 1000, next_id + 2000000});
        }
        current.insert(current.end(), hot.begin(), hot.end());
        result.plan->hot.push_back({{tenant, std::to_string(month)}, ToBatch(hot, false), 1234});
      }
    }
  }
  result.rows = ToBatch(current, false);
  return result;
}

std::vector<std::string> RowsOf(const arrow::RecordBatch& batch) {
  std::vector<std::string> rows;
  for (int64_t row = 0; row < batch.num_rows(); ++row) {
    std::string text;
    for (int column = 0; column < batch.num_columns(); ++column) {
      if (column > 0) text += '|';
      text += batch.column(column)->GetScalar(row).ValueOrDie()->ToString();
    }
    rows.push_back(std::move(text));
  }
  return rows;
}

std::vector<std::string> RowsOf(Session* session, const std::string& sql, ScanStatistics* statistics) {
  const auto failed = [](const Error& error) {
    return std::vector<std::string>{fmt::format("ERROR {}: {}", ErrorCodeName(error.code), error.message)};
  };
  auto stream = session->Query(sql);
  if (!stream) return failed(stream.error());
  std::vector<std::string> rows;
  while (true) {
    auto batch = (*stream)->Next();
    if (!batch) return failed(batch.error());
    if (*batch == nullptr) break;
    for (auto& row : RowsOf(**batch)) rows.push_back(std::move(row));
  }
  if (statistics != nullptr) *statistics = (*stream)->statistics();
  return rows;
}

std::vector<std::string> Sorted(std::vector<std::string> rows) {
  std::sort(rows.begin(), rows.end());
  return rows;
}

}  // namespace tarn::engine
