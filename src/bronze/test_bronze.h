#pragma once

#include <arrow/api.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bronze/change_log.h"
#include "bronze/load_writer.h"

namespace tarn::bronze {

/// A lake in a folder of its own, with one table, public.notes (id BIGINT key, price NUMERIC(12,2)).
class BronzeTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "tarn-bronze-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    lake_ = pattern;
    storage_ = std::move(*storage::OpenLocalStorage(lake_ + "/_tarn/staging"));
    schema::TableSchema table;
    table.oid = 5;
    table.schema_name = "public";
    table.table_name = "notes";
    table.columns = {{"id", "", schema::kInt8Oid, -1, schema::MakePgType(schema::kInt8Oid, -1), true},
                     {"price", "", schema::kNumericOid, ((12 << 16) | 2) + 4,
                      schema::MakePgType(schema::kNumericOid, ((12 << 16) | 2) + 4), false}};
    schema::AssignLakeNames(table);
    table_ = std::make_shared<const schema::TableSchema>(table);
  }
  void TearDown() override { std::filesystem::remove_all(lake_); }

  /// A copy that begins; of one range.
  Result<std::unique_ptr<LoadWriter>> BeginCopy(storage::Storage* storage, const BronzePlace& place,
                                                Lsn snapshot, int workers) {
    CopyProgress progress;
    progress.table = table_;
    progress.starts = {0};
    progress.runs_done = {CopyProgress::kMissing};
    progress.runs = {{snapshot, 1, 1}};
    return LoadWriter::Begin(storage, place, progress, {workers});
  }

  /// A row for each position; id is the number of the row, from `first` on, and other columns come from it.
  std::shared_ptr<arrow::RecordBatch> RowsAt(const std::vector<schema::ChangePosition>& positions,
                                             int64_t first = 1) {
    return RowsOf(*table_, positions, first);
  }
  static std::shared_ptr<arrow::RecordBatch> RowsOf(const schema::TableSchema& table,
                                                    const std::vector<schema::ChangePosition>& positions,
                                                    int64_t first) {
    const auto shape = schema::ChangeSchema(table);
    auto builder = *arrow::RecordBatchBuilder::Make(shape, arrow::default_memory_pool());
    const int behind = shape->num_fields() - schema::kTrailingColumns;
    for (const schema::ChangePosition& at : positions) {
      (void)builder->GetFieldAs<arrow::StringBuilder>(0)->Append("I");
      (void)builder->GetFieldAs<arrow::StringBuilder>(1)->Append("2026-11-22 10:15:00.000000");
      for (int column = schema::kLeadingColumns; column < behind; column++) {
        const auto type = shape->field(column)->type()->id();
        if (type == arrow::Type::INT64) {
          (void)builder->GetFieldAs<arrow::Int64Builder>(column)->Append(first);
        } else if (type == arrow::Type::DECIMAL128) {
          (void)builder->GetFieldAs<arrow::Decimal128Builder>(column)->Append(arrow::Decimal128(first * 100));
        } else {
          (void)builder->GetFieldAs<arrow::StringBuilder>(column)->Append(fmt::format("text {}", first));
        }
      }
      (void)builder->GetFieldAs<arrow::Int64Builder>(behind)->Append(at.lsn);
      (void)builder->GetFieldAs<arrow::Int64Builder>(behind + 1)->Append(at.ordinal);
      (void)builder->GetFieldAs<arrow::Int64Builder>(behind + 2)->Append(9);
      for (int column = behind + 3; column < shape->num_fields(); column++)
        (void)builder->GetField(column)->AppendNull();
      first++;
    }
    return *builder->Flush();
  }

  std::shared_ptr<arrow::RecordBatch> Rows(int64_t first, int64_t count) {
    std::vector<schema::ChangePosition> positions;
    for (int64_t i = first; i < first + count; i++) positions.push_back({1000 + i, i});
    return RowsAt(positions, first);
  }

  FlushInput Input(uint64_t commit, std::shared_ptr<arrow::RecordBatch> rows) {
    FlushInput input;
    input.events = {{table_, std::move(rows)}};
    input.last_commit = Lsn{commit};
    input.end = Lsn{commit + 8};
    input.transactions = 1;
    return input;
  }
  FlushInput Input(uint64_t commit, int64_t first, int64_t count) {
    return Input(commit, Rows(first, count));
  }

  std::string lake_;
  std::unique_ptr<storage::Storage> storage_;
  std::shared_ptr<const schema::TableSchema> table_;
  ManualClock clock_{1'795'515'300'000'000};
};

}  // namespace tarn::bronze
