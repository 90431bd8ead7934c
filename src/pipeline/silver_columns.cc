#include "pipeline/silver_columns.h"

#include <arrow/api.h>

#include <algorithm>

#include "cdc/source_catalog.h"
#include "pipeline/change_reducer.h"
#include "pipeline/equal_rows.h"
#include "pipeline/refused_key.h"

namespace tarn::pipeline {
namespace {

bool Has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void AddOurs(const catalog::RegisteredTable& table, arrow::FieldVector& fields) {
  fields.push_back(arrow::field(std::string(schema::kLsn), arrow::int64()));
  if (table.source.append_only) fields.push_back(arrow::field(std::string(schema::kOrdinal), arrow::int64()));
  if (cdc::IsKeyless(table.source)) fields.push_back(arrow::field(kRowName, arrow::utf8()));
  if (!table.month_of.empty()) fields.push_back(arrow::field(kMonth, arrow::utf8()));
}

}  // namespace

arrow::FieldVector SilverFields(const catalog::RegisteredTable& table, const SilverShape& shape) {
  arrow::FieldVector fields;
  for (const SilverColumn& column : shape.columns()) fields.push_back(arrow::field(column.name, column.type));
  AddOurs(table, fields);
  return fields;
}

arrow::FieldVector RefusedFields(const catalog::RegisteredTable& table) {
  arrow::FieldVector fields;
  for (const schema::Column& column : table.source.columns)
    fields.push_back(arrow::field(column.lake_name, schema::ArrowType(column.type)));
  AddOurs(table, fields);
  return fields;
}

hudi::TableOptions SilverOptions(const catalog::RegisteredTable& table, const SilverShape& shape,
                                 const catalog::LakeLayout& layout) {
  hudi::TableOptions options;
  options.name = table.source.lake_name;
  options.database = "silver";
  options.type = hudi::TableType::kMergeOnRead;
  options.identity_fields = IdentityFields(table.source);
  options.key_fields = options.identity_fields;
  if (!table.tenant_column.empty()) {
    options.partition_fields = {table.tenant_column};
    if (!Has(options.key_fields, table.tenant_column)) {
      options.key_fields.insert(options.key_fields.begin(), table.tenant_column);
    }
  }
  if (!table.month_of.empty()) options.partition_fields.push_back(kMonth);
  // A partitioned table's record key has two fields or more: readers disagree about a single one.
  if (!options.partition_fields.empty() && options.key_fields.size() < 2) {
    options.key_fields.insert(options.key_fields.begin(), options.partition_fields.back());
  }
  options.schema = arrow::schema(SilverFields(table, shape));
  options.sidecar_folder = layout.Sidecar("silver", options.name);
  return options;
}

hudi::TableOptions QuarantineOptions(const catalog::RegisteredTable& table,
                                     const catalog::LakeLayout& layout) {
  hudi::TableOptions options;
  options.name = table.source.lake_name;
  options.database = "quarantine";
  options.type = hudi::TableType::kMergeOnRead;
  options.identity_fields = options.key_fields = IdentityFields(table.source);
  arrow::FieldVector fields = RefusedFields(table);
  for (const char* name : {kRule, kReason, "_bad", kRefusedOp})
    fields.push_back(arrow::field(name, arrow::utf8()));
  if (KeyMayBeRefused(table.source)) {
    options.identity_fields.emplace_back(kRefusedKey);
    options.key_fields.emplace_back(kRefusedKey);
    fields.push_back(arrow::field(kRefusedKey, arrow::utf8()));
  }
  options.schema = arrow::schema(std::move(fields));
  options.sidecar_folder = layout.Sidecar("quarantine", options.name);
  return options;
}

std::shared_ptr<arrow::Array> Months(const arrow::Array& times) {
  arrow::StringBuilder builder;
  for (int64_t row = 0; row < times.length(); row++) {
    if (times.IsNull(row)) {
      (void)builder.AppendNull();
      continue;
    }
    const int64_t micros = times.type_id() == arrow::Type::DATE32
                               ? static_cast<const arrow::Date32Array&>(times).Value(row) * 86'400'000'000LL
                               : static_cast<const arrow::TimestampArray&>(times).Value(row);
    (void)builder.Append(FormatTimestamp(micros).substr(0, 7));
  }
  return *builder.Finish();
}

std::shared_ptr<arrow::Array> Texts(const std::vector<std::string>& values) {
  arrow::StringBuilder builder;
  (void)builder.AppendValues(values);
  return *builder.Finish();
}

}  // namespace tarn::pipeline
