#pragma once

#include <arrow/api.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/batch_sql.h"
#include "engine/lake.h"
#include "engine/session.h"

namespace tarn::engine {

/// A lake for tests: plans made by hand over Parquet files in a folder of its own, and the same rows in
/// memory.
class TestLake : public Lake {
 public:
  TestLake();
  ~TestLake() override;

  Result<std::shared_ptr<LakeVersion>> Pin(std::optional<int64_t> as_of_micros) override;

  /// `from_micros`: when this state of the table begins.
  void Set(const TableName& table, std::shared_ptr<const hudi::ScanPlan> plan, int64_t from_micros = 0);
  void Fail(const TableName& table, Error error);
  /// What was set stays for statements that allow held tables.
  void Hold(const TableName& table, Error error);
  /// Writes a file below the lake's folder; `row_group_rows` as Parquet's writer takes it.
  hudi::ScanFile Write(const std::string& name, const arrow::RecordBatch& rows,
                       std::vector<std::string> partition, int64_t row_group_rows = 2000);
  const std::string& folder() const { return folder_; }

  /// An opener that remembers which paths were opened.
  FileOpener Opener();
  std::set<std::string> TakeOpened();

  int64_t live_versions() const { return *live_versions_; }

 private:
  friend class TestVersion;
  struct State {
    std::shared_ptr<const hudi::ScanPlan> plan;
    std::optional<Error> error;
  };
  std::string folder_;
  mutable std::mutex mutex_;
  std::map<TableName, std::map<int64_t, State>> tables_;
  std::set<std::string> opened_;
  std::shared_ptr<int64_t> live_versions_ = std::make_shared<int64_t>(0);
};

struct OrdersOptions {
  bool with_deletes = false;
  bool with_hot = false;
  int64_t rows_per_file = 5000;
  unsigned seed = 7;
};

/// "orders", partitioned by tenant_id and month, and the rows that a scan of it must give.
struct Orders {
  std::shared_ptr<hudi::ScanPlan> plan;
  std::shared_ptr<arrow::RecordBatch> rows;
};
Orders MakeOrders(TestLake* lake, const std::string& folder, const OrdersOptions& options);

std::shared_ptr<arrow::Schema> OrdersSchema();

/// Rows as text, in their order.
std::vector<std::string> RowsOf(const arrow::RecordBatch& batch);
/// Runs a statement to its end. An error gives one row "ERROR <code>: <message>".
std::vector<std::string> RowsOf(Session* session, const std::string& sql,
                                ScanStatistics* statistics = nullptr);

std::vector<std::string> Sorted(std::vector<std::string> rows);

}  // namespace tarn::engine
