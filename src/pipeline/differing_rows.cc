#include "pipeline/differing_rows.h"

#include <arrow/api.h>

#include <algorithm>

#include "hudi/record_key.h"

namespace tarn::pipeline {
namespace {

constexpr size_t kParts = 1 << 16;
constexpr size_t kMostChosen = 64;
constexpr size_t kMostKeyText = 300;  ///< Bytes: of a table without a key it is the row.

uint64_t Signed(DifferingRows::Side side, uint64_t value) {
  return side == DifferingRows::Side::kSource ? value : -value;
}

size_t PartOf(const std::string& key) { return hudi::HashText(key).high % kParts; }

}  // namespace

std::string_view DifferenceName(DifferingRow::What what) {
  switch (what) {
    case DifferingRow::What::kMissing:
      return "missing in the lake";
    case DifferingRow::What::kExtra:
      return "not in the source";
    case DifferingRow::What::kOther:
      return "different";
  }
  return "";
}

DifferingRows::DifferingRows(const schema::TableSchema& table)
    : table_(table), parts_(kParts), chosen_(kParts) {
  for (const schema::Column& column : table.columns) {
    if (column.is_key) key_.push_back(column);
  }
  if (key_.empty()) key_ = table.columns;
}

Status DifferingRows::Count(Side side, const arrow::RecordBatch& batch) {
  TARN_ASSIGN(const auto keys, RowBytes(key_, batch));
  TARN_ASSIGN(const auto rows, RowBytes(table_.columns, batch));
  for (size_t row = 0; row < rows.size(); row++)
    parts_[PartOf(keys[row])] += Signed(side, hudi::HashText(rows[row]).low);
  return {};
}

void DifferingRows::Choose() {
  size_t chosen = 0;
  for (size_t part = 0; part < kParts && chosen < kMostChosen; part++) {
    chosen_[part] = parts_[part] != 0;
    chosen += chosen_[part] ? 1 : 0;
  }
}

std::string DifferingRows::TextOf(const arrow::RecordBatch& batch, int64_t row) const {
  std::string text;
  for (const schema::Column& column : key_) {
    const auto values = SourceColumn(batch, column);
    const auto value = values ? (*values)->GetScalar(row) : arrow::Status::Invalid("");
    text += (text.empty() ? "" : ", ") + column.lake_name + "=" + (value.ok() ? (*value)->ToString() : "?");
  }
  if (text.size() > kMostKeyText) text = text.substr(0, kMostKeyText) + "…";
  return text;
}

Status DifferingRows::Collect(Side side, const arrow::RecordBatch& batch) {
  TARN_ASSIGN(const auto keys, RowBytes(key_, batch));
  std::vector<size_t> wanted;
  for (size_t row = 0; row < keys.size(); row++) {
    if (chosen_[PartOf(keys[row])]) wanted.push_back(row);
  }
  for (const size_t row : wanted) {
    Row& found = rows_[keys[row]];
    if (found.columns.empty()) {
      found.columns.resize(table_.columns.size());
      found.text = TextOf(batch, static_cast<int64_t>(row));
    }
    (side == Side::kSource ? found.source : found.lake)++;
  }
  for (size_t at = 0; !wanted.empty() && at < table_.columns.size(); at++) {
    TARN_ASSIGN(const auto values, SourceColumn(batch, table_.columns[at]));
    for (const size_t row : wanted) {
      std::vector<std::string> bytes(1);
      TARN_RETURN_IF_ERROR(AppendColumn(*values->Slice(static_cast<int64_t>(row), 1), bytes));
      rows_[keys[row]].columns[at] += Signed(side, hudi::HashText(bytes[0]).low);
    }
  }
  return {};
}

std::vector<DifferingRow> DifferingRows::Rows() const {
  std::vector<DifferingRow> found;
  for (const auto& [key, row] : rows_) {
    if (found.size() == kMostNamed) break;
    DifferingRow differing{row.text, DifferingRow::What::kOther, {}};
    if (row.source != row.lake) {
      differing.what = row.source > row.lake ? DifferingRow::What::kMissing : DifferingRow::What::kExtra;
    } else {
      for (size_t at = 0; at < row.columns.size(); at++) {
        if (row.columns[at] != 0) differing.columns.push_back(table_.columns[at].lake_name);
      }
      if (differing.columns.empty()) continue;
    }
    found.push_back(std::move(differing));
  }
  return found;
}

}  // namespace tarn::pipeline
