#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "hudi/conformance_rows.h"
#include "hudi/record_key.h"
#include "hudi/spooled_changes.h"
#include "hudi/table.h"
#include "storage/failing_storage.h"

namespace tarn::hudi {

/// What table to make, and what is to happen to it.
struct ConformanceCase {
  std::string name;
  TableType type = TableType::kMergeOnRead;
  std::vector<std::string> keys, identities, partitions;
  std::vector<std::string> changes;  ///< Of the schema, in this order; see Evolved.
  std::vector<std::string>
      steps;                      ///< Drawn from at random; one that stands there twice comes twice as often.
  std::vector<std::string> last;  ///< Steps at the end, in this order.
  uint64_t seed = 0;
  int commits = 12;
  int64_t numbers = 300;  ///< Rows have numbers below.
  int64_t target_file_bytes = 30'000;
  bool ancient = false;
};

/// A table, a random history of it, and what it must hold after every commit, printed as JSON lines:
/// {"table", "columns": [[name, type]]} where the schema is new,
/// {"table", "instant", "step", "rows": [[cells]], "gone": [[identity]]} for each commit: rows that are new,
/// {"table", "instant", "step", "from"} where instants before `from` cannot be read any more. Threads: one.
class ConformanceHistory {
 public:
  /// Makes `<folder>/<name>`.
  static Result<std::unique_ptr<ConformanceHistory>> Make(const std::string& folder, ConformanceCase made);
  /// All of it. Errors: what the table answered, with the step that asked.
  Status Run();

 private:
  explicit ConformanceHistory(ConformanceCase made) : case_(std::move(made)), random_(case_.seed) {}
  Status Open();
  Status Step(const std::string& step);
  /// Does not commit a change of rows; nullopt when the step is none of these.
  std::optional<Status> Service(const std::string& step);
  Status Compact(const std::string& step);
  Status Clean();
  Status Archive();
  Status Cluster();
  Status Evolve();
  Status Fail();
  Status Reopen(bool cleanly);

  // Steps that commit.
  Status First();
  Status Upsert(int upserts, int deletes);
  Status ReplaceSome(const std::string& step);
  Status Reload(const std::string& step);
  Status Spool(bool truncate);
  /// What is in no memory of the table yet: applied to rows_ and given back.
  Result<ChangeSet> Draw(int upserts, int deletes);
  Result<std::shared_ptr<arrow::RecordBatch>> Rows(const std::vector<int64_t>& numbers) const;
  /// Numbers of rows by the partition that they are in.
  Result<std::map<std::string, std::vector<int64_t>>> ByPartition() const;
  std::vector<Cell> Drawn(int64_t number);
  std::vector<Cell> IdentityOf(const std::vector<Cell>& cells) const;

  std::string Next();
  std::string LastInstant() const;
  CommitProperties Properties() const { return {{"tarn.lsn", std::to_string(count_)}}; }
  void Print(const std::string& step);
  void PrintColumns() const;

  const ConformanceCase case_;
  Random random_;
  std::string path_, sidecars_;
  std::unique_ptr<storage::FailingStorage> storage_;
  std::unique_ptr<Table> table_;
  std::shared_ptr<arrow::Schema> schema_;
  size_t changed_ = 0;  ///< Changes of the schema that were made.
  int64_t count_ = 0;   ///< Instants given out.
  ExpectedRows rows_, printed_;
};

}  // namespace tarn::hudi
