#include "pipeline/verify.h"

#include <arrow/api.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "base/clock.h"
#include "cdc/snapshot.h"
#include "engine/session.h"
#include "pipeline/row_rules.h"

namespace tarn::pipeline {
namespace {

class FixedLake : public engine::Lake {
 public:
  explicit FixedLake(std::shared_ptr<engine::LakeVersion> version) : version_(std::move(version)) {}
  Result<std::shared_ptr<engine::LakeVersion>> Pin(std::optional<int64_t>) override { return version_; }

 private:
  std::shared_ptr<engine::LakeVersion> version_;
};

Result<std::set<std::string>> ColumnsOf(engine::Session& session, const std::string& table) {
  std::set<std::string> columns;
  TARN_ASSIGN(auto stream, session.Query("SELECT column_name FROM (DESCRIBE " + table + ")"));
  while (true) {
    TARN_ASSIGN(const auto batch, stream->Next());
    if (batch == nullptr) return columns;
    const auto& names = static_cast<const arrow::StringArray&>(*batch->column(0));
    for (int64_t row = 0; row < names.length(); row++) columns.insert(names.GetString(row));
  }
}

using TakeRows = std::function<Status(const arrow::RecordBatch&)>;

Status ReadLake(engine::Session& session, const schema::TableSchema& table, const std::string& database,
                const TakeRows& take) {
  const std::string name = database + "." + cdc::QuoteName(table.lake_name);
  TARN_ASSIGN(const auto known, ColumnsOf(session, name));
  std::string columns;
  for (const schema::Column& column : table.columns) {
    if (!known.contains(column.lake_name)) continue;
    columns += (columns.empty() ? "" : ", ") + cdc::QuoteName(column.lake_name);
  }
  TARN_ASSIGN(auto stream, session.Query("SELECT " + columns + " FROM " + name));
  while (true) {
    TARN_ASSIGN(const auto batch, stream->Next());
    if (batch == nullptr) return {};
    TARN_RETURN_IF_ERROR(take(*batch));
  }
}

/// Compares tables at one position of the source.
class Comparison {
 public:
  static Result<Comparison> Begin(Runner& runner, const CancelToken& cancel,
                                  const Runner::AlignOptions& options) {
    TARN_ASSIGN(Runner::Aligned aligned, runner.AlignWithSource(cancel, options));
    Comparison comparison(runner, cancel, std::move(aligned));
    TARN_ASSIGN(auto pinned, runner.view()->PinVersion(comparison.aligned_.version));
    comparison.lake_ = std::make_unique<FixedLake>(std::move(pinned));
    TARN_ASSIGN(comparison.session_,
                engine::Session::Open(comparison.lake_.get(), govern::DecideForSystem("verify")));
    return comparison;
  }

  const Runner::Aligned& aligned() const { return aligned_; }

  /// nullopt: the table was rewritten since, so that this position says nothing of it. `connection`: one at
  /// the
  /// snapshot, or null.
  Result<std::optional<TableVerification>> Compare(const cdc::SourceTable& table,
                                                   cdc::PgConnection* connection) {
    TableVerification result;
    result.table = table.schema.lake_name;
    result.append_only = table.schema.append_only;
    const auto& members = aligned_.version.tables;
    if (std::find(members.begin(), members.end(), result.table) == members.end()) {
      const auto held = aligned_.version.held.find(result.table);
      result.held = held != aligned_.version.held.end() ? held->second : "it is not in the lake yet";
      return std::optional<TableVerification>(std::move(result));
    }
    TARN_ASSIGN(const schema::TableSchema silver, SilverOf(table.schema));
    const auto into = [](const schema::TableSchema& of, TableDigest& digest) -> TakeRows {
      return [&](const auto& rows) { return AddRows(of, rows, digest); };
    };
    TARN_ASSIGN(const bool compared,
                ReadBoth(table, silver, connection, into(silver, result.source_good),
                         into(table.schema, result.source_refused), into(silver, result.silver),
                         into(table.schema, result.quarantine)));
    if (!compared) return std::optional<TableVerification>();
    if (!result.equal() && !result.append_only) {
      TARN_ASSIGN(const bool named, NameRows(table, silver, connection, result));
      if (!named) return std::optional<TableVerification>();
    }
    return std::optional<TableVerification>(std::move(result));
  }

 private:
  Comparison(Runner& runner, const CancelToken& cancel, Runner::Aligned aligned)
      : runner_(&runner), cancel_(&cancel), aligned_(std::move(aligned)) {}

  /// The source's rows, parted by the rules, then the lake's. False when the table was rewritten since.
  Result<bool> ReadBoth(const cdc::SourceTable& table, const schema::TableSchema& silver_table,
                        cdc::PgConnection* connection, const TakeRows& good, const TakeRows& refused,
                        const TakeRows& silver, const TakeRows& quarantine) {
    TARN_ASSIGN(const cdc::CopyOutcome outcome, ReadSource(table, connection, good, refused));
    if (outcome == cdc::CopyOutcome::kRewritten) return false;
    TARN_RETURN_IF_ERROR(ReadLake(*session_, silver_table, "silver", silver));
    TARN_RETURN_IF_ERROR(ReadLake(*session_, table.schema, "quarantine", quarantine));
    return true;
  }

  /// False when the table was rewritten since.
  Result<bool> NameRows(const cdc::SourceTable& table, const schema::TableSchema& silver_table,
                        cdc::PgConnection* connection, TableVerification& result) {
    using Side = DifferingRows::Side;
    DifferingRows silver(silver_table), quarantine(table.schema);
    const auto read = [&](Status (DifferingRows::*take)(Side, const arrow::RecordBatch&)) -> Result<bool> {
      const auto into = [&](DifferingRows& rows, Side side) -> TakeRows {
        return [&rows, side, take](const auto& batch) { return (rows.*take)(side, batch); };
      };
      return ReadBoth(table, silver_table, connection, into(silver, Side::kSource),
                      into(quarantine, Side::kSource), into(silver, Side::kLake),
                      into(quarantine, Side::kLake));
    };
    TARN_ASSIGN(const bool counted, read(&DifferingRows::Count));
    if (!counted) return false;
    silver.Choose();
    quarantine.Choose();
    TARN_ASSIGN(const bool collected, read(&DifferingRows::Collect));
    result.differing_silver = silver.Rows();
    result.differing_quarantine = quarantine.Rows();
    return collected;
  }

  /// The table as Silver has it.
  Result<schema::TableSchema> SilverOf(const schema::TableSchema& source) const {
    const auto model = runner_->silver()->ModelOf(source.lake_name);
    TARN_ASSIGN(const SilverShape shape, SilverShape::Make(source, model.get()));
    return shape.AsTable(source);
  }

  Result<cdc::CopyOutcome> ReadSource(const cdc::SourceTable& table, cdc::PgConnection* connection,
                                      const TakeRows& good, const TakeRows& refused) {
    const auto model = runner_->silver()->ModelOf(table.schema.lake_name);
    TARN_ASSIGN(auto rules, RowRules::Make(table.schema, model.get()));
    cdc::CopyOptions copy;
    copy.conninfo = runner_->options().conninfo;
    copy.connection = connection;
    copy.snapshot_name = aligned_.snapshot.name;
    copy.snapshot_lsn = aligned_.snapshot.lsn;
    copy.workers = 1;
    copy.mappings = runner_->options().patterns.mappings;
    cdc::CopyProgress progress;
    cdc::CopySink sink;
    sink.rows = [&](int, const cdc::CopyRange&, auto rows) -> Status {
      TARN_ASSIGN(const RuledRows ruled, rules->Apply(rows));
      TARN_RETURN_IF_ERROR(good(*ruled.accepted));
      return refused(*ruled.refused);
    };
    return cdc::CopyTable(table, copy, *cancel_, &progress, sink);
  }

  Runner* runner_;
  const CancelToken* cancel_;
  Runner::Aligned aligned_;
  std::unique_ptr<FixedLake> lake_;
  std::unique_ptr<engine::Session> session_;
};

constexpr int kMostAttempts = 6;
/// How long a TRUNCATE may have to wait for the stream; the comparison comes on top, as with any reader.
constexpr int64_t kLockedPatienceMicros = 10'000'000;

/// Begins a transaction at the snapshot that keeps the tables from being truncated or rewritten for as long
/// as it lives; reads and writes go on.
Status LockAtSnapshot(cdc::PgConnection& connection, const std::string& snapshot,
                      const std::vector<cdc::SourceTable>& tables) {
  std::string names;
  for (const cdc::SourceTable& table : tables) {
    names += (names.empty() ? "" : ", ") + table.from;
  }
  TARN_RETURN_IF_ERROR(cdc::BeginAtSnapshot(connection, snapshot));
  TARN_RETURN_IF_ERROR(connection.Execute("SET LOCAL lock_timeout = '5s'"));
  return connection.Execute("LOCK TABLE " + names + " IN ACCESS SHARE MODE");
}

/// As the source has them now, under the lake's names; of those in `only`, where given.
Result<std::vector<cdc::SourceTable>> TablesToCompare(Runner& runner, cdc::PgConnection& connection,
                                                      const std::set<std::string>* only) {
  TARN_ASSIGN(auto tables, cdc::LoadTables(connection, runner.patterns(), cdc::Sizes::kNoted));
  const auto followed = runner.Followed();
  std::vector<cdc::SourceTable> chosen;
  for (cdc::SourceTable& table : tables) {
    if (only != nullptr && !only->contains(table.from)) continue;
    chosen.push_back(UnderLakeNames(std::move(table), FindFollowed(followed, table)));
  }
  return chosen;
}

nlohmann::json DigestJson(const TableDigest& digest) {
  return {{"rows", digest.rows}, {"checksum", fmt::format("{:016x}{:016x}", digest.high, digest.low)}};
}

nlohmann::json RowsJson(const TableVerification& table) {
  nlohmann::json rows = nlohmann::json::array();
  const auto add = [&](const char* database, const std::vector<DifferingRow>& differing) {
    for (const DifferingRow& row : differing) {
      rows.push_back(
          {{"in", database}, {"key", row.key}, {"what", DifferenceName(row.what)}, {"columns", row.columns}});
    }
  };
  add("silver", table.differing_silver);
  add("quarantine", table.differing_quarantine);
  return rows;
}

}  // namespace

bool Verification::ok() const {
  for (const TableVerification& table : tables) {
    if (!table.held.empty() || (!table.equal() && !table.append_only)) return false;
  }
  return true;
}

std::string Verification::ToJson() const {
  nlohmann::json list = nlohmann::json::array();
  for (const TableVerification& table : tables) {
    list.push_back({{"table", table.table},
                    {"equal", table.equal()},
                    {"append_only", table.append_only},
                    {"held", table.held},
                    {"source_good", DigestJson(table.source_good)},
                    {"silver", DigestJson(table.silver)},
                    {"source_refused", DigestJson(table.source_refused)},
                    {"quarantine", DigestJson(table.quarantine)},
                    {"differing", RowsJson(table)}});
  }
  return nlohmann::json{
      {"ok", ok()}, {"lsn", lsn}, {"version", version}, {"seconds", seconds}, {"tables", list}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<Verification> Verify(Runner& runner, const CancelToken& cancel,
                            const std::function<void(const std::string& table)>& report) {
  const int64_t started = MonotonicMicros();
  if (!runner.options().with_silver) {
    return Error{
        ErrorCode::kInvalidArgument,
        "silver.enabled is false, so that there is nothing to compare with the source; `tarn bronze verify` "
        "proves that Bronze is complete"};
  }
  TARN_ASSIGN(auto connection, cdc::PgConnection::Connect(runner.options().conninfo,
                                                          cdc::PgConnection::Kind::kOrdinary, "verify"));
  Verification out;
  std::vector<cdc::SourceTable> tables;
  std::set<std::string> again;  // By source name.
  // Nobody waits for a first comparison. Tables that were emptied or rewritten during it are compared
  // again, with a lock that TRUNCATE waits for. It can be taken only behind the snapshot: a TRUNCATE that
  // waits for a lock has a transaction number, and making a snapshot with an exact position waits for those.
  for (int attempt = 0; attempt == 0 || (attempt < kMostAttempts && !again.empty()); attempt++) {
    TARN_ASSIGN(tables, TablesToCompare(runner, *connection, attempt > 0 ? &again : nullptr));
    again.clear();
    if (tables.empty()) break;
    Runner::AlignOptions options;
    if (attempt > 0) {
      options.patience_micros = kLockedPatienceMicros;
      options.when_exported = [&](const cdc::ExportedSnapshot& snapshot) {
        return LockAtSnapshot(*connection, snapshot.name, tables);
      };
    }
    TARN_ASSIGN(Comparison comparison, Comparison::Begin(runner, cancel, options));
    out.lsn = comparison.aligned().snapshot.lsn.ToString();
    out.version = comparison.aligned().version.instant;
    for (const cdc::SourceTable& table : tables) {
      TARN_RETURN_IF_ERROR(cancel.Check());
      report(table.schema.lake_name);
      // On the connection that has the lock: another one would queue behind whoever waits for it.
      TARN_ASSIGN(auto result, comparison.Compare(table, attempt > 0 ? connection.get() : nullptr));
      if (result) {
        out.tables.push_back(std::move(*result));
      } else {
        again.insert(table.from);
      }
    }
    if (attempt > 0) TARN_RETURN_IF_ERROR(connection->Execute("ROLLBACK"));
  }
  if (!again.empty()) {
    return MakeError(
        ErrorCode::kConflict,
        "{} is truncated or rewritten faster than it can be compared; run `tarn verify` when it rests",
        *again.begin());
  }
  out.seconds = static_cast<double>(MonotonicMicros() - started) / 1e6;
  return out;
}

}  // namespace tarn::pipeline
