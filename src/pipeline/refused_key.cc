#include "pipeline/refused_key.h"

#include <arrow/api.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace tarn::pipeline {

using schema::PgKind;

bool KeyMayBeRefused(const schema::TableSchema& table) {
  return !table.append_only &&
         std::any_of(table.columns.begin(), table.columns.end(), [](const schema::Column& column) {
           const PgKind kind = column.type.kind;
           return column.is_key &&
                  (kind == PgKind::kDecimal || kind == PgKind::kDate || kind == PgKind::kTimestamp);
         });
}

std::string RefusedKeyText(const schema::TableSchema& table, const nlohmann::json& texts) {
  auto key = nlohmann::json::object();
  for (const schema::Column& column : table.columns) {
    if (column.is_key && texts.contains(column.lake_name)) key[column.lake_name] = texts[column.lake_name];
  }
  return key.empty() ? "" : key.dump();
}

std::shared_ptr<arrow::Array> RefusedKeys(const schema::TableSchema& table,
                                          const arrow::RecordBatch& changes) {
  const auto column = changes.GetColumnByName(std::string(schema::kBad));
  const auto& bad = static_cast<const arrow::StringArray&>(*column);
  arrow::StringBuilder keys;
  for (int64_t row = 0; row < bad.length(); row++) {
    auto texts = nlohmann::json::object();
    const auto values =
        bad.IsNull(row) ? nlohmann::json() : nlohmann::json::parse(bad.GetView(row), nullptr, false);
    for (const schema::Column& of : table.columns) {
      if (values.is_object() && values.contains(of.lake_name))
        texts[of.lake_name] = values[of.lake_name]["value"];
    }
    const std::string key = RefusedKeyText(table, texts);
    (void)(key.empty() ? keys.AppendNull() : keys.Append(key));
  }
  return *keys.Finish();
}

}  // namespace tarn::pipeline
