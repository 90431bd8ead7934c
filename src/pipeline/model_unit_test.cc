#include "pipeline/model_unit_test.h"

#include <arrow/api.h>

#include <algorithm>
#include <set>

#include "cdc/pg_connection.h"
#include "engine/read_all.h"
#include "engine/referenced_tables.h"
#include "engine/session.h"
#include "pipeline/gold_model.h"

namespace tarn::pipeline {
namespace {

using cdc::QuoteName;
using Batch = std::shared_ptr<arrow::RecordBatch>;

/// Where rows are compared; no model reads them.
const engine::TableName kTexts{"bronze", "texts"}, kExpected{"bronze", "expected"},
    kActual{"bronze", "actual"};

/// A lake of a few rows in memory.
class GivenLake : public engine::Lake, public engine::LakeVersion {
 public:
  Result<std::shared_ptr<engine::LakeVersion>> Pin(std::optional<int64_t>) override {
    return std::shared_ptr<engine::LakeVersion>(std::make_shared<GivenLake>(*this));
  }
  std::vector<engine::TableName> Tables() const override {
    std::vector<engine::TableName> names;
    for (const auto& [name, plan] : tables_) names.push_back(name);
    return names;
  }
  Result<std::shared_ptr<const hudi::ScanPlan>> Plan(const engine::TableName& table, bool) override {
    return tables_.at(table);
  }
  std::string Describe() const override { return "the rows of a unit test"; }

  void Set(const engine::TableName& table, const Batch& rows) {
    auto plan = std::make_shared<hudi::ScanPlan>();
    plan->schema = rows->schema();
    plan->hot.push_back({{}, rows, 0, nullptr});
    tables_[table] = std::move(plan);
  }

 private:
  std::map<engine::TableName, std::shared_ptr<const hudi::ScanPlan>> tables_;
};

Result<std::string> SqlType(const arrow::Field& field) {
  switch (field.type()->id()) {
    case arrow::Type::BOOL:
      return std::string("BOOLEAN");
    case arrow::Type::INT8:
    case arrow::Type::INT16:
    case arrow::Type::INT32:
      return std::string("INTEGER");
    case arrow::Type::INT64:
      return std::string("BIGINT");
    case arrow::Type::FLOAT:
      return std::string("FLOAT");
    case arrow::Type::DOUBLE:
      return std::string("DOUBLE");
    case arrow::Type::STRING:
    case arrow::Type::LARGE_STRING:
      return std::string("VARCHAR");
    case arrow::Type::BINARY:
      return std::string("BLOB");
    case arrow::Type::DATE32:
      return std::string("DATE");
    case arrow::Type::TIMESTAMP:
      return std::string(static_cast<const arrow::TimestampType&>(*field.type()).timezone().empty()
                             ? "TIMESTAMP"
                             : "TIMESTAMPTZ");
    case arrow::Type::DECIMAL128: {
      const auto& type = static_cast<const arrow::Decimal128Type&>(*field.type());
      return fmt::format("DECIMAL({}, {})", type.precision(), type.scale());
    }
    default:
      return MakeError(ErrorCode::kInvalidArgument,
                       "the column '{}' has the type {}, which no unit test can give", field.name(),
                       field.type()->ToString());
  }
}

std::string RowText(const arrow::RecordBatch& batch, int64_t row) {
  std::string text;
  for (int i = 0; i < batch.num_columns(); i++) {
    const auto& column = batch.column(i);
    text += (i == 0 ? "" : ", ") + batch.schema()->field(i)->name() + "=" +
            (column->IsNull(row) ? "NULL" : (*column->GetScalar(row))->ToString());
  }
  return text;
}

class UnitTestRun {
 public:
  UnitTestRun(const std::vector<GoldModel>& models, const ModelUnitTest& test, const SchemaFinder& silver)
      : models_(models), test_(test), silver_(silver) {}

  Result<UnitTestOutcome> Run(const GoldModel& model) {
    engine::SessionOptions options;
    options.now_micros = test_.as_of_micros;
    options.threads = 1;
    TARN_ASSIGN(session_,
                engine::Session::Open(&lake_, govern::DecideForSystem("unit test"), std::move(options)));
    TARN_ASSIGN(const std::string sql, SqlOf(model));
    for (const auto& [name, rows] : test_.given) {
      if (!used_.contains(name))
        return MakeError(ErrorCode::kInvalidArgument, "'{}' is given, and gold.{} does not read it", name,
                         model.name);
    }
    TARN_ASSIGN(const Batch actual, Query(sql));
    TARN_ASSIGN(const Batch expected, Typed(*actual->schema(), test_.expected, true, "gold." + model.name));
    lake_.Set(kActual, actual);
    lake_.Set(kExpected, expected);
    std::string columns;
    for (const auto& field : expected->schema()->fields())
      columns += (columns.empty() ? "" : ", ") + QuoteName(field->name());
    UnitTestOutcome outcome;
    TARN_ASSIGN(outcome.missing, Without(columns, "expected", "actual"));
    TARN_ASSIGN(outcome.unexpected, Without(columns, "actual", "expected"));
    return outcome;
  }

 private:
  Result<Batch> Query(const std::string& sql) {
    TARN_ASSIGN(const auto stream, session_->Query(sql));
    return engine::ReadAll(*stream);
  }

  Result<std::vector<std::string>> Without(const std::string& columns, const char* these, const char* those) {
    TARN_ASSIGN(const Batch rows,
                Query(fmt::format("SELECT {0} FROM bronze.{1} EXCEPT ALL SELECT {0} FROM bronze.{2} "
                                  "ORDER BY ALL",
                                  columns, these, those)));
    std::vector<std::string> texts;
    for (int64_t row = 0; row < rows->num_rows(); row++) texts.push_back(RowText(*rows, row));
    return texts;
  }

  /// The rows in the types of the schema: all its columns, or `only` those that a row names.
  Result<Batch> Typed(const arrow::Schema& schema, const std::vector<GivenRow>& rows, bool only,
                      const std::string& table) {
    std::set<std::string> named;
    for (const GivenRow& row : rows) {
      for (const auto& [column, value] : row) named.insert(column);
    }
    for (const std::string& column : named) {
      if (schema.GetFieldByName(column) == nullptr)
        return MakeError(ErrorCode::kInvalidArgument, "{} has no column '{}'; it has {}", table, column,
                         fmt::join(schema.field_names(), ", "));
    }
    std::string select;
    arrow::FieldVector fields{arrow::field("_row", arrow::int64())};
    arrow::Int64Builder numbers;
    for (size_t row = 0; row < rows.size(); row++) (void)numbers.Append(static_cast<int64_t>(row));
    arrow::ArrayVector columns{*numbers.Finish()};
    for (const auto& field : schema.fields()) {
      const bool is_named = named.contains(field->name());
      if (only && !is_named && !rows.empty()) continue;
      TARN_ASSIGN(const std::string type, SqlType(*field));
      const std::string value = is_named ? QuoteName(field->name()) : "NULL";
      select += fmt::format("{}CAST({} AS {}) AS {}", select.empty() ? "" : ", ", value, type,
                            QuoteName(field->name()));
      if (!is_named) continue;
      arrow::StringBuilder builder;
      for (const GivenRow& row : rows) {
        const auto cell = row.find(field->name());
        (void)(cell == row.end() || !cell->second ? builder.AppendNull() : builder.Append(*cell->second));
      }
      fields.push_back(arrow::field(field->name(), arrow::utf8()));
      columns.push_back(*builder.Finish());
    }
    lake_.Set(kTexts,
              arrow::RecordBatch::Make(arrow::schema(fields), static_cast<int64_t>(rows.size()), columns));
    auto typed = Query("SELECT " + select + " FROM bronze.texts ORDER BY _row");
    if (!typed) return std::move(typed).error().In(table);
    return typed;
  }

  /// Puts what is given where the model's SQL finds it.
  Status Give(const std::string& table) {
    TARN_ASSIGN(const auto schema, silver_(table));
    const auto given = test_.given.find(table);
    if (given == test_.given.end())
      return MakeError(ErrorCode::kInvalidArgument,
                       "'{}' is read and not given; give it `rows: []` when it is empty", table);
    used_.insert(table);
    TARN_ASSIGN(const Batch rows, Typed(*schema, given->second, false, "silver." + table));
    lake_.Set({"silver", table}, rows);
    return {};
  }

  /// The model's SQL, with what it reads in the lake or before it.
  Result<std::string> SqlOf(const GoldModel& model) {
    TARN_ASSIGN(const auto tables, engine::ReferencedTables(model.sql));
    std::string with;
    for (const engine::TableName& table : tables) {
      if (!model.gold.contains(table.name)) {
        TARN_RETURN_IF_ERROR(Give(table.name));
        continue;
      }
      TARN_ASSIGN(const std::string sql, RowsOf(table.name));
      with += (with.empty() ? "WITH " : ", ") + QuoteName(table.name) + " AS (" + sql + "\n)";
    }
    return with.empty() ? model.sql : with + " SELECT * FROM (" + model.sql + "\n)";
  }

  /// Of a model that another one reads.
  Result<std::string> RowsOf(const std::string& name) {
    TARN_ASSIGN(const GoldModel* model, FindModel(models_, name));
    const auto given = test_.given.find(name);
    if (given == test_.given.end()) return SqlOf(*model);
    used_.insert(name);
    // Its columns are those that it gives of nothing.
    ModelUnitTest nothing;
    for (const std::string& table : model->silver) nothing.given[table] = {};
    UnitTestRun empty(models_, nothing, silver_);
    TARN_ASSIGN(const auto schema, empty.SchemaOf(*model));
    TARN_ASSIGN(const Batch rows, Typed(*schema, given->second, false, "gold." + name));
    lake_.Set({"gold", name}, rows);
    return "SELECT * FROM gold." + QuoteName(name);
  }

  Result<std::shared_ptr<arrow::Schema>> SchemaOf(const GoldModel& model) {
    TARN_ASSIGN(session_, engine::Session::Open(&lake_, govern::DecideForSystem("unit test"), {}));
    TARN_ASSIGN(const std::string sql, SqlOf(model));
    TARN_ASSIGN(const Batch nothing, Query(sql));
    return nothing->schema();
  }

  const std::vector<GoldModel>& models_;
  const ModelUnitTest& test_;
  const SchemaFinder& silver_;
  GivenLake lake_;
  std::unique_ptr<engine::Session> session_;
  std::set<std::string> used_;  ///< Of what is given.
};

}  // namespace

Result<UnitTestOutcome> RunUnitTest(const std::vector<GoldModel>& models, const GoldModel& model,
                                    const ModelUnitTest& test, const SchemaFinder& silver) {
  return UnitTestRun(models, test, silver).Run(model);
}

}  // namespace tarn::pipeline
