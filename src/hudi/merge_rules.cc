#include "hudi/merge_rules.h"

#include <arrow/api.h>
#include <arrow/compute/cast.h>

#include <bit>

#include "hudi/avro_schema.h"
#include "hudi/big_endian.h"

namespace tarn::hudi {
namespace {

constexpr const char* kIsDeleted = "_hoodie_is_deleted";
/// Of the decimals in delete records.
constexpr int kDecimalScale = 15;

template <typename Array>
void CopyNumbers(const arrow::Array& column, bool as_double, std::vector<int64_t>* out) {
  const auto& array = static_cast<const Array&>(column);
  for (int64_t row = 0; row < array.length(); row++) {
    if (array.IsNull(row)) continue;
    const auto value = array.Value(row);
    (*out)[static_cast<size_t>(row)] =
        as_double ? RankOf(static_cast<double>(value)) : static_cast<int64_t>(value);
  }
}

/// Whether the type's values are numbers, which then are in `out`; `out` has a place for each row.
bool Numbers(const arrow::Array& column, bool as_double, std::vector<int64_t>* out) {
  switch (column.type_id()) {
    case arrow::Type::BOOL:
      CopyNumbers<arrow::BooleanArray>(column, as_double, out);
      return true;
    case arrow::Type::INT32:
      CopyNumbers<arrow::Int32Array>(column, as_double, out);
      return true;
    case arrow::Type::INT64:
      CopyNumbers<arrow::Int64Array>(column, as_double, out);
      return true;
    case arrow::Type::TIMESTAMP:
      CopyNumbers<arrow::TimestampArray>(column, as_double, out);
      return true;
    case arrow::Type::DATE32:
      CopyNumbers<arrow::Date32Array>(column, as_double, out);
      return true;
    case arrow::Type::FLOAT:
      CopyNumbers<arrow::FloatArray>(column, true, out);
      return true;
    case arrow::Type::DOUBLE:
      CopyNumbers<arrow::DoubleArray>(column, true, out);
      return true;
    default:
      return false;
  }
}

Status AppendRank(const arrow::Array& column, int64_t row, const std::string& name, TextRank* rank) {
  if (column.type_id() == arrow::Type::STRING || column.type_id() == arrow::Type::BINARY) {
    rank->AppendText(static_cast<const arrow::BinaryArray&>(column).GetView(row));
    return {};
  }
  if (column.type_id() == arrow::Type::DECIMAL128) {
    const auto& type = static_cast<const arrow::Decimal128Type&>(*column.type());
    const arrow::Decimal128 value(static_cast<const arrow::Decimal128Array&>(column).GetValue(row));
    const auto scaled = value.Rescale(type.scale(), kDecimalScale);
    if (scaled.ok()) {
      std::string bytes;
      PutI64(scaled->high_bits(), &bytes);
      PutI64(static_cast<int64_t>(scaled->low_bits()), &bytes);
      rank->AppendDecimal(bytes);
      return {};
    }
  }
  return MakeError(ErrorCode::kUnsupported, "the ordering field '{}' of type {} cannot be compared", name,
                   column.type()->ToString());
}

}  // namespace

MergeRules::Ranks RanksOf(const arrow::Schema& schema, const std::vector<std::string>& ordering_fields) {
  if (ordering_fields.size() > 1) return MergeRules::Ranks::kTexts;
  const auto field = ordering_fields.empty() ? nullptr : schema.GetFieldByName(ordering_fields.front());
  switch (field ? field->type()->id() : arrow::Type::INT64) {
    case arrow::Type::BOOL:
    case arrow::Type::INT32:
    case arrow::Type::INT64:
    case arrow::Type::DATE32:
    case arrow::Type::TIMESTAMP:
      return MergeRules::Ranks::kIntegers;
    case arrow::Type::FLOAT:
    case arrow::Type::DOUBLE:
      return MergeRules::Ranks::kFloats;
    default:
      return MergeRules::Ranks::kTexts;
  }
}

int64_t RankOf(double value) {
  if (value == 0) value = 0;  // Both zeros are one.
  const auto bits = std::bit_cast<int64_t>(value);
  return bits >= 0 ? bits : bits ^ INT64_MAX;
}

void TextRank::AppendNumber(int64_t value) {
  bytes_ += '\1';
  PutI64(static_cast<int64_t>(static_cast<uint64_t>(value) ^ (1ULL << 63)), &bytes_);
}

void TextRank::AppendText(std::string_view value) {
  bytes_ += '\1';
  // A zero byte has a one behind it, so that the end (0, 0) is below all that goes on.
  for (const char c : value) {
    bytes_ += c;
    if (c == '\0') bytes_ += '\1';
  }
  bytes_.append(2, '\0');
}

void TextRank::AppendDecimal(std::string_view value) {
  bytes_ += '\1';
  const bool negative = !value.empty() && (value.front() & 0x80) != 0;
  std::string wide(value.size() < 16 ? 16 - value.size() : 0, negative ? '\xff' : '\0');
  wide += value;
  wide.front() = static_cast<char>(wide.front() ^ 0x80);
  bytes_ += wide;
}

std::vector<int64_t> OrderingsOf(const arrow::RecordBatch& rows, const MergeRules& rules) {
  std::vector<int64_t> orderings(static_cast<size_t>(rows.num_rows()), 0);
  if (rules.ordering_fields.size() != 1 || rules.ranks == MergeRules::Ranks::kTexts) return orderings;
  const auto column = rows.GetColumnByName(rules.ordering_fields.front());
  if (column) Numbers(*column, rules.ranks == MergeRules::Ranks::kFloats, &orderings);
  return orderings;
}

Result<std::vector<std::string>> OrderingTextsOf(const arrow::RecordBatch& rows, const MergeRules& rules) {
  if (rules.ranks != MergeRules::Ranks::kTexts) return std::vector<std::string>();
  std::vector<TextRank> ranks(static_cast<size_t>(rows.num_rows()));
  for (const std::string& name : rules.ordering_fields) {
    const auto column = rows.GetColumnByName(name);
    std::vector<int64_t> numbers(ranks.size(), 0);
    const bool has_numbers = column && Numbers(*column, false, &numbers);
    for (size_t row = 0; row < ranks.size(); row++) {
      if (!column || column->IsNull(static_cast<int64_t>(row))) {
        ranks[row].AppendNull();
      } else if (has_numbers) {
        ranks[row].AppendNumber(numbers[row]);
      } else {
        TARN_RETURN_IF_ERROR(AppendRank(*column, static_cast<int64_t>(row), name, &ranks[row]));
      }
    }
  }
  std::vector<std::string> texts;
  texts.reserve(ranks.size());
  for (TextRank& rank : ranks) texts.push_back(rank.Take());
  return texts;
}

std::vector<bool> DeletingRows(const arrow::RecordBatch& rows, const MergeRules& rules) {
  std::vector<bool> deleting;
  const auto mark = [&](int64_t row) {
    deleting.resize(static_cast<size_t>(rows.num_rows()));
    deleting[static_cast<size_t>(row)] = true;
  };
  const auto flag = std::dynamic_pointer_cast<arrow::BooleanArray>(rows.GetColumnByName(kIsDeleted));
  for (int64_t row = 0; flag && row < rows.num_rows(); row++) {
    if (flag->IsValid(row) && flag->Value(row)) mark(row);
  }
  if (rules.delete_field.empty()) return deleting;
  const auto column = rows.GetColumnByName(rules.delete_field);
  for (int64_t row = 0; column && row < rows.num_rows(); row++) {
    if (column->IsNull(row)) continue;
    const auto value = column->GetScalar(row);
    if (value.ok() && (*value)->ToString() == rules.delete_marker) mark(row);
  }
  return deleting;
}

Result<std::vector<std::string>> KeysOf(const arrow::RecordBatch& rows, const MergeRules& rules) {
  std::vector<std::string> keys(static_cast<size_t>(rows.num_rows()));
  const bool stored = rules.key_fields.empty();
  const std::vector<std::string> fields = stored ? std::vector<std::string>{kRecordKey} : rules.key_fields;
  for (const std::string& name : fields) {
    auto column = rows.GetColumnByName(name);
    if (!column) return MakeError(ErrorCode::kUnsupported, "rows without the key column {}", name);
    auto cast = arrow::compute::Cast(*column, arrow::utf8());
    if (!cast.ok()) {
      return MakeError(ErrorCode::kUnsupported, "the key column '{}' of type {} cannot be compared", name,
                       column->type()->ToString());
    }
    const auto texts = std::static_pointer_cast<arrow::StringArray>(*cast);
    for (size_t row = 0; row < keys.size(); row++) {
      if (fields.size() > 1) keys[row] += (keys[row].empty() ? "" : ",") + name + ":";
      const auto at = static_cast<int64_t>(row);
      keys[row] += texts->IsValid(at) ? texts->GetView(at) : "__null__";
    }
  }
  return keys;
}

std::vector<std::string> RuleColumns(const MergeRules& rules) {
  std::vector<std::string> columns = rules.key_fields;
  if (columns.empty()) columns.push_back(kRecordKey);
  for (const std::string& name : rules.ordering_fields) {
    if (std::find(columns.begin(), columns.end(), name) == columns.end()) columns.push_back(name);
  }
  return columns;
}

}  // namespace tarn::hudi
