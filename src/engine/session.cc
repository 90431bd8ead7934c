#include "engine/session.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <utility>

#include "base/clock.h"
#include "engine/arrow_results.h"
#include "engine/as_of_function.h"
#include "engine/lake_catalog.h"
#include "engine/lake_file_system.h"
#include "engine/plan_analysis.h"
#include "engine/sealed_database.h"
#include "engine/sql_error.h"
#include "engine/statement_policy.h"
#include "engine/time_travel.h"

namespace tarn::engine {
namespace {

constexpr const char* kLostReason =
    "the statement failed, and the engine lost the reason as it had ended another thread first; asked again, "
    "the same statement shows it";

constexpr idx_t kRowsPerBatch = 8 * STANDARD_VECTOR_SIZE;

/// The engine of one session. Its streams share it, so that it outlives them.
struct SessionCore {
  ~SessionCore() {
    connection.reset();
    database.reset();
    std::error_code ignored;
    if (!spill_folder.empty()) std::filesystem::remove_all(spill_folder, ignored);
  }

  std::string spill_folder;
  std::shared_ptr<ScanRegistry> registry = std::make_shared<ScanRegistry>();
  duckdb::shared_ptr<CatalogState> catalog = duckdb::make_shared_ptr<CatalogState>();
  duckdb::shared_ptr<AsOfState> as_of;
  std::shared_ptr<ScanFunction> scan_function;
  duckdb::unique_ptr<duckdb::DuckDB> database;
  duckdb::unique_ptr<duckdb::Connection> connection;
  std::atomic<uint64_t> interrupts_begun{0}, interrupts_done{0};
  uint64_t interrupts_before = 0;  ///< The newest statement.

  /// Whether somebody interrupted the newest statement, or is about to.
  bool IsInterrupted() const { return interrupts_begun > interrupts_before; }
};

/// A statement's text, and its errors in terms of that text.
struct StatementText {
  std::string original;
  RewrittenSql rewritten;

  /// `asked`: whether somebody interrupted the statement.
  Error Explain(const duckdb::ErrorData& error, const PinnedStatement* statement, bool asked = false) const {
    const auto failure = statement != nullptr ? statement->Failure() : std::nullopt;
    // DuckDB ends all threads when one fails, and may tell of an end before it tells of the failure.
    const bool is_lost = error.Type() == duckdb::ExceptionType::INTERRUPT && !asked;
    // DuckDB knows only the text of what the lake answered; its code is here.
    if (failure && (is_lost || error.RawMessage().find(failure->message) != std::string::npos))
      return *failure;
    if (is_lost) return Error{ErrorCode::kSql, kLostReason};
    return SqlError(error, original, rewritten);
  }
};

class ResultStream : public QueryStream {
 public:
  ResultStream(std::shared_ptr<SessionCore> core, std::shared_ptr<PinnedStatement> statement,
               StatementText text, std::unique_ptr<ArrowResults> results)
      : core_(std::move(core)),
        statement_(std::move(statement)),
        text_(std::move(text)),
        results_(std::move(results)),
        number_(core_->catalog->statement_number) {}

  std::shared_ptr<arrow::Schema> schema() const override { return results_->schema(); }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    // DuckDB would end the rows here as if they were all.
    if (number_ != core_->catalog->statement_number) {
      return Error{ErrorCode::kCancelled, "a newer statement of the session has ended this one"};
    }
    duckdb::ErrorData error;
    try {
      auto batch = results_->Next(kRowsPerBatch, &error);
      if (!error.HasError()) return batch;
    } catch (const std::exception& exception) {
      error = duckdb::ErrorData(exception);
    }
    return text_.Explain(error, statement_.get(), core_->IsInterrupted());
  }

  ScanStatistics statistics() const override { return statement_->Statistics(); }

 private:
  std::shared_ptr<SessionCore> core_;
  std::shared_ptr<PinnedStatement> statement_;
  StatementText text_;
  std::unique_ptr<ArrowResults> results_;
  idx_t number_;
};

/// What a setting of ours answers: no columns, no rows.
class EmptyStream : public QueryStream {
 public:
  std::shared_ptr<arrow::Schema> schema() const override { return arrow::schema(arrow::FieldVector{}); }
  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    return std::shared_ptr<arrow::RecordBatch>();
  }
  ScanStatistics statistics() const override { return {}; }
};

class SessionImpl : public Session {
 public:
  SessionImpl(Lake* lake, govern::Decision decision, SessionOptions options)
      : lake_(lake),
        decision_(std::make_shared<const govern::Decision>(std::move(decision))),
        options_(std::move(options)),
        as_of_micros_(options_.as_of_micros),
        allow_held_(options_.allow_held) {}

  Status Start();
  Result<std::unique_ptr<QueryStream>> Query(const std::string& sql) override;
  Result<ModelAnalysis> Analyze(const std::string& sql, const std::string& partition_column) override;
  void Interrupt() override {
    core_->interrupts_begun++;
    core_->connection->Interrupt();
    core_->interrupts_done++;
  }

 private:
  Status MakeSpillFolder();
  void StartEngine();
  Result<duckdb::unique_ptr<duckdb::SQLStatement>> Parse(const StatementText& text) const;
  Result<std::unique_ptr<QueryStream>> Run(duckdb::unique_ptr<duckdb::SQLStatement> statement,
                                           StatementText text);
  Result<std::shared_ptr<PinnedStatement>> Pin();
  /// The value of a SET of ours, as SQL's `type`: one row. Errors: kSql when it is none of that type, or
  /// NULL.
  Result<std::shared_ptr<arrow::RecordBatch>> ValueOf(const duckdb::SetStatement& statement, const char* type,
                                                      const StatementText& text);
  Status SetAsOf(const duckdb::SetStatement& statement, const StatementText& text);
  Status SetAllowHeld(const duckdb::SetStatement& statement, const StatementText& text);

  Lake* lake_;
  std::shared_ptr<const govern::Decision> decision_;
  SessionOptions options_;
  std::optional<int64_t> as_of_micros_;
  bool allow_held_;
  std::shared_ptr<SessionCore> core_ = std::make_shared<SessionCore>();
};

Status SessionImpl::MakeSpillFolder() {
  if (options_.spill_folder.empty()) return {};
  static std::atomic<uint64_t> next{0};
  // DuckDB's temporary files have fixed names: two sessions in one folder would overwrite each other's.
  const std::string folder =
      fmt::format("{}/session-{}-{}-{}", options_.spill_folder, ::getpid(), next.fetch_add(1),
                  std::chrono::steady_clock::now().time_since_epoch().count());
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return MakeError(ErrorCode::kIo, "spill folder {}: {}", folder, error.message());
  core_->spill_folder = folder;
  return {};
}

Status SessionImpl::Start() {
  TARN_RETURN_IF_ERROR(MakeSpillFolder());
  if (!options_.open_file) options_.open_file = OpenLocalFile;
  try {
    StartEngine();
    return {};
  } catch (const std::exception& exception) {
    return MakeError(ErrorCode::kInternal, "the SQL engine does not start: {}",
                     duckdb::ErrorData(exception).RawMessage());
  }
}

void SessionImpl::StartEngine() {
  DatabaseOptions options;
  options.memory_limit_bytes = options_.memory_limit_bytes;
  options.threads = options_.threads;
  options.spill_folder = core_->spill_folder;
  core_->database = OpenDatabase(
      options, duckdb::make_uniq<LakeFileSystem>(options_.open_file, core_->spill_folder, core_->registry));
  core_->connection = duckdb::make_uniq<duckdb::Connection>(*core_->database);
  auto& connection = *core_->connection;
  core_->scan_function = ScanFunction::Register(connection, core_->registry);
  core_->as_of = RegisterAsOf(connection);
  RegisterLakeCatalog(*core_->database, core_->catalog);
  Execute(connection, "ATTACH '' AS lake (TYPE tarn)");
  Execute(connection, "SET search_path = 'lake.silver,lake.gold'");
  Seal(connection, kScanFunctionName);
  duckdb::DBConfig::GetConfig(*core_->database->instance).replacement_scans.clear();
}

Result<duckdb::unique_ptr<duckdb::SQLStatement>> SessionImpl::Parse(const StatementText& text) const {
  try {
    duckdb::Parser parser(core_->connection->context->GetParserOptions());
    parser.ParseQuery(text.rewritten.text);
    if (parser.statements.empty()) return Error{ErrorCode::kSql, "the statement is empty"};
    if (parser.statements.size() > 1) return Error{ErrorCode::kSql, "one statement at a time, please"};
    return std::move(parser.statements.front());
  } catch (const std::exception& exception) {
    return text.Explain(duckdb::ErrorData(exception), nullptr);
  }
}

Result<std::shared_ptr<PinnedStatement>> SessionImpl::Pin() {
  auto pinned = std::make_shared<PinnedStatement>(lake_, decision_, core_->registry, core_->scan_function,
                                                  as_of_micros_, allow_held_);
  const int64_t now = options_.now_micros.value_or(Clock::System().NowMicros());
  TARN_RETURN_IF_ERROR(pinned->Start());
  core_->as_of->micros = as_of_micros_.value_or(now);
  core_->catalog->statement = pinned;
  ++core_->catalog->statement_number;
  return pinned;
}

Result<std::unique_ptr<QueryStream>> SessionImpl::Query(const std::string& sql) {
  StatementText text;
  text.original = sql;
  TARN_ASSIGN(text.rewritten, RewriteTimeTravel(sql));
  TARN_ASSIGN(auto statement, Parse(text));
  TARN_RETURN_IF_ERROR(CheckStatement(*statement));
  if (statement->type == duckdb::StatementType::SET_STATEMENT) {
    const auto& set = statement->Cast<duckdb::SetStatement>();
    if (duckdb::StringUtil::CIEquals(set.name, kAsOfSetting)) {
      TARN_RETURN_IF_ERROR(SetAsOf(set, text));
      return std::make_unique<EmptyStream>();
    }
    if (duckdb::StringUtil::CIEquals(set.name, kAllowHeldSetting)) {
      TARN_RETURN_IF_ERROR(SetAllowHeld(set, text));
      return std::make_unique<EmptyStream>();
    }
  }
  return Run(std::move(statement), std::move(text));
}

Result<ModelAnalysis> SessionImpl::Analyze(const std::string& sql, const std::string& partition_column) {
  StatementText text;
  text.original = sql;
  TARN_ASSIGN(text.rewritten, RewriteTimeTravel(sql));
  TARN_ASSIGN(auto statement, Parse(text));
  TARN_RETURN_IF_ERROR(CheckStatement(*statement));
  if (statement->type != duckdb::StatementType::SELECT_STATEMENT) {
    return Error{ErrorCode::kSql, "only a SELECT can be analysed"};
  }
  TARN_ASSIGN(const auto pinned, Pin());
  statement->query.clear();
  core_->as_of->keeps_calls = true;
  core_->as_of->was_called = false;
  ModelAnalysis analysis;
  std::optional<duckdb::ErrorData> error;
  try {
    core_->connection->context->RunFunctionInTransaction([&] {
      duckdb::Planner planner(*core_->connection->context);
      planner.CreatePlan(std::move(statement));
      analysis = AnalyzePlan(*planner.plan, {planner.names.begin(), planner.names.end()}, partition_column);
    });
  } catch (const std::exception& exception) {
    error = duckdb::ErrorData(exception);
  }
  core_->as_of->keeps_calls = false;
  if (error) return text.Explain(*error, pinned.get());
  if (core_->as_of->was_called) {
    analysis.time = TimeDependence::kMoment;
    analysis.time_reason = "as_of() where the statement needs its value before it begins";
  }
  return analysis;
}

Result<std::unique_ptr<QueryStream>> SessionImpl::Run(duckdb::unique_ptr<duckdb::SQLStatement> statement,
                                                      StatementText text) {
  TARN_ASSIGN(auto pinned, Pin());
  // With a text DuckDB would put an excerpt of the rewritten statement into its errors, and drop the
  // position.
  statement->query.clear();
  core_->interrupts_before = core_->interrupts_done;
  const auto explain = [&](const duckdb::ErrorData& error) {
    return text.Explain(error, pinned.get(), core_->IsInterrupted());
  };
  try {
    auto pending =
        core_->connection->PendingQuery(std::move(statement), duckdb::QueryResultOutputType::ALLOW_STREAMING);
    if (pending->HasError()) return explain(pending->GetErrorObject());
    auto result = pending->Execute();
    if (result->HasError()) return explain(result->GetErrorObject());
    auto results = std::make_unique<ArrowResults>(std::move(result));
    return std::make_unique<ResultStream>(core_, std::move(pinned), std::move(text), std::move(results));
  } catch (const std::exception& exception) {
    return explain(duckdb::ErrorData(exception));
  }
}

Result<std::shared_ptr<arrow::RecordBatch>> SessionImpl::ValueOf(const duckdb::SetStatement& statement,
                                                                 const char* type,
                                                                 const StatementText& text) {
  const auto& value = *static_cast<const duckdb::SetVariableStatement&>(statement).value;
  StatementText query;
  query.original = query.rewritten.text = fmt::format("SELECT CAST(({}) AS {})", value.ToString(), type);
  TARN_ASSIGN(auto select, Parse(query));
  TARN_ASSIGN(auto stream, Run(std::move(select), text));
  TARN_ASSIGN(auto batch, stream->Next());
  if (batch->column(0)->IsNull(0))
    return MakeError(ErrorCode::kSql, "SET {0} = NULL: use RESET {0}", statement.name);
  return batch;
}

Status SessionImpl::SetAllowHeld(const duckdb::SetStatement& statement, const StatementText& text) {
  if (statement.set_type == duckdb::SetType::RESET) {
    allow_held_ = false;
    return {};
  }
  TARN_ASSIGN(const auto batch, ValueOf(statement, "BOOLEAN", text));
  allow_held_ = static_cast<const arrow::BooleanArray&>(*batch->column(0)).Value(0);
  return {};
}

Status SessionImpl::SetAsOf(const duckdb::SetStatement& statement, const StatementText& text) {
  if (statement.set_type == duckdb::SetType::RESET) {
    as_of_micros_.reset();
    return {};
  }
  TARN_ASSIGN(const auto batch, ValueOf(statement, "TIMESTAMPTZ", text));
  const auto& times = static_cast<const arrow::TimestampArray&>(*batch->column(0));
  TARN_RETURN_IF_ERROR(lake_->Pin(times.Value(0)));
  as_of_micros_ = times.Value(0);
  return {};
}

}  // namespace

std::string Session::EngineVersion() { return duckdb::DuckDB::LibraryVersion(); }

Result<std::unique_ptr<Session>> Session::Open(Lake* lake, govern::Decision decision,
                                               SessionOptions options) {
  auto session = std::make_unique<SessionImpl>(lake, std::move(decision), std::move(options));
  TARN_RETURN_IF_ERROR(session->Start());
  return session;
}

}  // namespace tarn::engine
