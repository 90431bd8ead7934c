#include "pipeline/row_identity.h"

#include <arrow/api.h>

#include <algorithm>

#include "pipeline/change_reducer.h"
#include "pipeline/refused_key.h"

namespace tarn::pipeline {

std::vector<std::string> FullIdentityFields(const schema::TableSchema& table) {
  std::vector<std::string> fields = IdentityFields(table);
  if (KeyMayBeRefused(table)) fields.emplace_back(kRefusedKey);
  return fields;
}

std::shared_ptr<arrow::RecordBatch> RowIdentities(const schema::TableSchema& table,
                                                  const arrow::RecordBatch& rows) {
  arrow::FieldVector fields;
  arrow::ArrayVector columns;
  const auto add = [&](const std::string& name) {
    fields.push_back(rows.schema()->GetFieldByName(name));
    columns.push_back(rows.GetColumnByName(name));
  };
  const std::vector<std::string> names = IdentityFields(table);
  for (const std::string& name : names) add(name);
  if (KeyMayBeRefused(table)) {
    fields.push_back(arrow::field(kRefusedKey, arrow::utf8()));
    columns.push_back(RefusedKeys(table, rows));
  }
  if (std::count(names.begin(), names.end(), schema::kLsn) == 0) add(std::string(schema::kLsn));
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), rows.num_rows(), std::move(columns));
}

}  // namespace tarn::pipeline
