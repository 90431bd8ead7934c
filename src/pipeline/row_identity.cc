#include "pipeline/row_identity.h"

#include <arrow/api.h>
#include <arrow/compute/api_vector.h>

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

std::shared_ptr<arrow::RecordBatch> AsIdentified(const std::shared_ptr<arrow::RecordBatch>& identities,
                                                 const hudi::TableOptions& table) {
  const int refused_key = identities == nullptr ? -1 : identities->schema()->GetFieldIndex(kRefusedKey);
  if (refused_key < 0 ||
      std::count(table.identity_fields.begin(), table.identity_fields.end(), kRefusedKey) > 0)
    return identities;
  return *identities->RemoveColumn(refused_key);
}

Result<std::shared_ptr<arrow::RecordBatch>> TakeRows(const std::shared_ptr<arrow::RecordBatch>& rows,
                                                     const std::vector<int64_t>& positions) {
  if (static_cast<int64_t>(positions.size()) == rows->num_rows()) return rows;
  arrow::Int64Builder builder;
  (void)builder.AppendValues(positions);
  const auto indices = *builder.Finish();
  auto taken = arrow::compute::Take(arrow::Datum(rows), arrow::Datum(indices));
  if (!taken.ok()) return MakeError(ErrorCode::kInternal, "Arrow: {}", taken.status().message());
  return taken->record_batch();
}

}  // namespace tarn::pipeline
