#pragma once

#include <arrow/io/type_fwd.h>
#include <arrow/type_fwd.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "engine/lake.h"
#include "engine/model_analysis.h"
#include "govern/decision.h"

namespace tarn::engine {

/// Opens one file of a plan for reading. Threads: called from several at once; so is ReadAt of what it
/// returns.
using FileOpener =
    std::function<Result<std::shared_ptr<arrow::io::RandomAccessFile>>(const std::string& path)>;

struct SessionOptions {
  int64_t memory_limit_bytes = int64_t{1} << 30;  ///< Soft: single huge values can pass it.
  int threads = 2;
  std::string spill_folder;  ///< Each session spills into a folder of its own below; empty: no spilling.
  std::optional<int64_t> as_of_micros;  ///< All tables as of then, until SET tarn.as_of says otherwise.
  bool allow_held = false;            ///< Held tables answer with what they have, until SET tarn.allow_held.
  std::optional<int64_t> now_micros;  ///< What as_of() gives at the present; unset: the statement's start.
  FileOpener open_file;               ///< Null: the local file system.
};

/// What a statement's scans were offered and what they opened, so far. Each table counts once per version.
struct ScanStatistics {
  int64_t tables = 0;
  int64_t partitions_total = 0;
  int64_t partitions_read = 0;
  int64_t files_total = 0;
  int64_t files_read = 0;
  int64_t bytes_total = 0;
  int64_t bytes_read = 0;     ///< Sizes of the files that were opened, not what was fetched from them.
  int64_t rows_in_files = 0;  ///< Of the files that were opened, deleted rows included.
  int64_t hot_rows = 0;       ///< Rows from log files and the tail that were read.
};

/// The rows of one statement. It pins the lake's version until it is destroyed. Threads: one at a time.
/// It must not outlive its session; the session's next Query ends it.
class QueryStream {
 public:
  virtual ~QueryStream() = default;
  /// Timestamps with time zone are microseconds in UTC, decimals decimal128.
  virtual std::shared_ptr<arrow::Schema> schema() const = 0;
  /// The next rows; null at the end. Errors: kSql, kPermission, kCancelled after Interrupt, kIo.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Next() = 0;
  virtual ScanStatistics statistics() const = 0;
};

/// A governed SQL session: its engine can open only the files that the decision leaves of a statement's
/// plans. Threads: Query and its streams belong to one thread at a time; Interrupt may come from any.
class Session {
 public:
  virtual ~Session() = default;

  /// `lake` outlives the session. Errors: kIo when the spill folder cannot be made.
  static Result<std::unique_ptr<Session>> Open(Lake* lake, govern::Decision decision,
                                               SessionOptions options = {});

  /// Of the engine whose answers sessions give.
  static std::string EngineVersion();

  /// Starts one statement on one version of the lake (and one more for each other time that it names).
  /// Shape: SELECT, EXPLAIN, DESCRIBE, SHOW, SUMMARIZE, PREPARE, EXECUTE, DEALLOCATE, and SET of a few names.
  /// Errors: kSql with line, column and an excerpt where they are known; kPermission for statements, settings
  /// and functions that a governed session does not have; what Lake::Pin returns.
  virtual Result<std::unique_ptr<QueryStream>> Query(const std::string& sql) = 0;
  /// What the result of one SELECT depends on, over the tables of the version that is newest now; nothing is
  /// run. `partition_column`: of its output; empty: none. Ends a running stream. Errors: as Query.
  virtual Result<ModelAnalysis> Analyze(const std::string& sql, const std::string& partition_column) = 0;
  /// Cancels what is running. The next Query is not affected.
  virtual void Interrupt() = 0;
};

}  // namespace tarn::engine
