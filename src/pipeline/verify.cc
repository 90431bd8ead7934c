#include "pipeline/verify.h"

#include <arrow/api.h>
#include <arrow/compute/cast.h>

#include <mutex>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "cdc/snapshot.h"
#include "engine/session.h"
#include "hudi/record_key.h"
#include "pipeline/row_rules.h"

namespace tarn::pipeline {
namespace {

template <typename ArrayType>
void AppendFixed(const arrow::Array& column, std::vector<std::string>& rows) {
  const auto& values = static_cast<const ArrayType&>(column);
  for (int64_t row = 0; row < values.length(); row++) {
    const auto value = values.IsNull(row) ? typename ArrayType::value_type{} : values.Value(row);
    std::string& out = rows[static_cast<size_t>(row)];
    out += values.IsNull(row) ? '\0' : '\1';
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
}

void AppendBytes(const arrow::Array& column, std::vector<std::string>& rows) {
  const auto& values = static_cast<const arrow::BinaryArray&>(column);
  for (int64_t row = 0; row < values.length(); row++) {
    std::string& out = rows[static_cast<size_t>(row)];
    out += values.IsNull(row) ? '\0' : '\1';
    if (values.IsNull(row)) continue;
    const auto value = values.GetView(row);
    const auto size = static_cast<uint32_t>(value.size());
    out.append(reinterpret_cast<const char*>(&size), sizeof size);
    out.append(value);
  }
}

Status AppendColumn(const std::shared_ptr<arrow::Array>& column, std::vector<std::string>& rows) {
  switch (column->type_id()) {
    case arrow::Type::INT32:
      AppendFixed<arrow::Int32Array>(*column, rows);
      return {};
    case arrow::Type::INT64:
      AppendFixed<arrow::Int64Array>(*column, rows);
      return {};
    case arrow::Type::DATE32:
      AppendFixed<arrow::Date32Array>(*column, rows);
      return {};
    case arrow::Type::TIMESTAMP:
      AppendFixed<arrow::TimestampArray>(*column, rows);
      return {};
    case arrow::Type::FLOAT:
      AppendFixed<arrow::FloatArray>(*column, rows);
      return {};
    case arrow::Type::DOUBLE:
      AppendFixed<arrow::DoubleArray>(*column, rows);
      return {};
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      AppendBytes(*column, rows);
      return {};
    case arrow::Type::BOOL:
    case arrow::Type::DECIMAL128:
      break;
    default:
      return MakeError(ErrorCode::kInternal, "no digest of type {}", column->type()->ToString());
  }
  for (int64_t row = 0; row < column->length(); row++) {
    std::string& out = rows[static_cast<size_t>(row)];
    out += column->IsNull(row) ? '\0' : '\1';
    if (column->IsNull(row)) continue;
    if (column->type_id() == arrow::Type::BOOL) {
      out += static_cast<const arrow::BooleanArray&>(*column).Value(row) ? '\1' : '\0';
    } else {
      const auto& decimals = static_cast<const arrow::Decimal128Array&>(*column);
      out.append(reinterpret_cast<const char*>(decimals.GetValue(row)), 16);
    }
  }
  return {};
}

/// Adds the rows of a batch, by the table's source columns and their types.
Status AddRows(const schema::TableSchema& table, const arrow::RecordBatch& batch, TableDigest& digest) {
  std::vector<std::string> rows(static_cast<size_t>(batch.num_rows()));
  for (const schema::Column& column : table.columns) {
    auto values = batch.GetColumnByName(column.lake_name);
    if (values == nullptr) return MakeError(ErrorCode::kInternal, "column '{}' is missing", column.lake_name);
    const auto type = schema::ArrowType(column.type);
    if (!values->type()->Equals(*type)) {
      auto cast = arrow::compute::Cast(*values, type);
      if (!cast.ok()) return MakeError(ErrorCode::kInternal, "Arrow: {}", cast.status().message());
      values = *cast;
    }
    TARN_RETURN_IF_ERROR(AppendColumn(values, rows));
  }
  for (const std::string& row : rows) {
    const hudi::Hash128 hash = hudi::HashText(row);
    digest.low += hash.low;
    digest.high += hash.high;
  }
  digest.rows += batch.num_rows();
  return {};
}

class FixedLake : public engine::Lake {
 public:
  explicit FixedLake(std::shared_ptr<engine::LakeVersion> version) : version_(std::move(version)) {}
  Result<std::shared_ptr<engine::LakeVersion>> Pin(std::optional<int64_t>) override { return version_; }

 private:
  std::shared_ptr<engine::LakeVersion> version_;
};

Status DigestLake(engine::Session& session, const schema::TableSchema& table, const std::string& database,
                  TableDigest& digest) {
  std::string columns;
  for (const schema::Column& column : table.columns) {
    columns += (columns.empty() ? "" : ", ") + cdc::QuoteName(column.lake_name);
  }
  TARN_ASSIGN(auto stream, session.Query("SELECT " + columns + " FROM " + database + "." +
                                         cdc::QuoteName(table.lake_name)));
  while (true) {
    TARN_ASSIGN(const auto batch, stream->Next());
    if (batch == nullptr) return {};
    TARN_RETURN_IF_ERROR(AddRows(table, *batch, digest));
  }
}

Status DigestSource(const Runner& runner, const cdc::ExportedSnapshot& snapshot,
                    const cdc::SourceTable& table, const SilverModel* model, const CancelToken& cancel,
                    TableVerification& out) {
  TARN_ASSIGN(auto rules, RowRules::Make(table.schema, model));
  cdc::CopyOptions copy;
  copy.conninfo = runner.options().conninfo;
  copy.snapshot_name = snapshot.name;
  copy.snapshot_lsn = snapshot.lsn;
  copy.workers = 1;
  cdc::CopyProgress progress;
  return cdc::CopyTable(table, copy, cancel, &progress, [&](int, auto rows) -> Status {
    TARN_ASSIGN(const RuledRows ruled, rules->Apply(rows));
    TARN_RETURN_IF_ERROR(AddRows(table.schema, *ruled.accepted, out.source_good));
    return AddRows(table.schema, *ruled.refused, out.source_refused);
  });
}

nlohmann::json DigestJson(const TableDigest& digest) {
  return {{"rows", digest.rows}, {"checksum", fmt::format("{:016x}{:016x}", digest.high, digest.low)}};
}

}  // namespace

bool Verification::ok() const {
  for (const TableVerification& table : tables) {
    if (!table.equal() && !table.append_only) return false;
  }
  return true;
}

std::string Verification::ToJson() const {
  nlohmann::json list = nlohmann::json::array();
  for (const TableVerification& table : tables) {
    list.push_back({{"table", table.table},
                    {"equal", table.equal()},
                    {"append_only", table.append_only},
                    {"source_good", DigestJson(table.source_good)},
                    {"silver", DigestJson(table.silver)},
                    {"source_refused", DigestJson(table.source_refused)},
                    {"quarantine", DigestJson(table.quarantine)}});
  }
  return nlohmann::json{
      {"ok", ok()}, {"lsn", lsn}, {"version", version}, {"seconds", seconds}, {"tables", list}}
      .dump();
}

Result<Verification> Verify(Runner& runner, const CancelToken& cancel,
                            const std::function<void(const std::string& table)>& report) {
  const int64_t started = MonotonicMicros();
  TARN_ASSIGN(auto connection, cdc::PgConnection::Connect(runner.options().conninfo,
                                                          cdc::PgConnection::Kind::kOrdinary, "verify"));
  TARN_ASSIGN(const auto tables, cdc::LoadTables(*connection, runner.options().patterns));
  TARN_ASSIGN(const Runner::Aligned aligned, runner.AlignWithSource(cancel));
  TARN_ASSIGN(auto pinned, runner.view()->PinVersion(aligned.version));
  FixedLake lake(std::move(pinned));
  TARN_ASSIGN(auto session, engine::Session::Open(&lake, govern::DecideForSystem("verify")));
  const std::map<std::string, SilverModel>& models = runner.silver()->models();
  Verification out;
  out.lsn = aligned.snapshot.lsn.ToString();
  out.version = aligned.version.instant;
  for (const cdc::SourceTable& table : tables) {
    const std::string& name = table.schema.lake_name;
    report(name);
    TableVerification result;
    result.table = name;
    result.append_only = table.schema.append_only;
    const auto model = models.find(name);
    TARN_RETURN_IF_ERROR(DigestSource(runner, aligned.snapshot, table,
                                      model == models.end() ? nullptr : &model->second, cancel, result));
    TARN_RETURN_IF_ERROR(DigestLake(*session, table.schema, "silver", result.silver));
    TARN_RETURN_IF_ERROR(DigestLake(*session, table.schema, "quarantine", result.quarantine));
    out.tables.push_back(std::move(result));
  }
  out.seconds = static_cast<double>(MonotonicMicros() - started) / 1e6;
  return out;
}

}  // namespace tarn::pipeline
