#include "catalog/external_schema.h"

#include <arrow/type.h>
#include <arrow/type_traits.h>

#include <algorithm>
#include <charconv>

#include "catalog/external_table.h"
#include "schema/table_schema.h"

namespace tarn::catalog {
namespace {

constexpr int kMostDigits = 38;

/// What a column of a file is in the lake; null when it has no such type.
std::shared_ptr<arrow::DataType> LakeType(const std::shared_ptr<arrow::DataType>& type) {
  switch (type->id()) {
    case arrow::Type::TIMESTAMP:
      return arrow::timestamp(
          arrow::TimeUnit::MICRO,
          static_cast<const arrow::TimestampType&>(*type).timezone().empty() ? "" : "UTC");
    case arrow::Type::TIME32:
    case arrow::Type::TIME64:
      return arrow::time64(arrow::TimeUnit::MICRO);
    case arrow::Type::DATE64:
      return arrow::date32();
    case arrow::Type::LARGE_STRING:
      return arrow::utf8();
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::FIXED_SIZE_BINARY:
      return arrow::binary();
    case arrow::Type::DECIMAL32:
    case arrow::Type::DECIMAL64: {
      const auto& decimal = static_cast<const arrow::DecimalType&>(*type);
      return arrow::decimal128(decimal.precision(), decimal.scale());
    }
    case arrow::Type::DICTIONARY:
      return LakeType(static_cast<const arrow::DictionaryType&>(*type).value_type());
    default:
      return ExternalTypeText(*type) ? type : nullptr;
  }
}

std::shared_ptr<arrow::DataType> WiderDecimal(const arrow::DataType& a, const arrow::DataType& b) {
  const auto& left = static_cast<const arrow::Decimal128Type&>(a);
  const auto& right = static_cast<const arrow::Decimal128Type&>(b);
  const int scale = std::max(left.scale(), right.scale());
  const int whole = std::max(left.precision() - left.scale(), right.precision() - right.scale());
  return whole + scale > kMostDigits ? nullptr : arrow::decimal128(whole + scale, scale);
}

/// Null when no type holds the values of both.
std::shared_ptr<arrow::DataType> Wider(const std::shared_ptr<arrow::DataType>& a,
                                       const std::shared_ptr<arrow::DataType>& b) {
  if (a->Equals(*b)) return a;
  const auto width = [](const auto& type) {
    return static_cast<const arrow::FixedWidthType&>(*type).bit_width();
  };
  const bool both_signed = arrow::is_signed_integer(a->id()) && arrow::is_signed_integer(b->id());
  const bool both_unsigned = arrow::is_unsigned_integer(a->id()) && arrow::is_unsigned_integer(b->id());
  const bool both_floats = arrow::is_floating(a->id()) && arrow::is_floating(b->id());
  if (both_signed || both_unsigned || both_floats) return width(a) > width(b) ? a : b;
  if (a->id() == arrow::Type::DECIMAL128 && b->id() == arrow::Type::DECIMAL128) return WiderDecimal(*a, *b);
  return nullptr;
}

bool IsPlainInteger(const std::string& text) {
  int64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && std::to_string(value) == text;
}

bool IsPlainDate(const std::string& text) {
  const auto digits = [&](size_t at, size_t count) {
    return std::all_of(text.begin() + static_cast<std::ptrdiff_t>(at),
                       text.begin() + static_cast<std::ptrdiff_t>(at + count),
                       [](char c) { return c >= '0' && c <= '9'; });
  };
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
  if (!digits(0, 4) || !digits(5, 2) || !digits(8, 2)) return false;
  const int month = std::stoi(text.substr(5, 2)), day = std::stoi(text.substr(8, 2));
  constexpr int kDays[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month >= 1 && month <= 12 && day >= 1 && day <= kDays[month - 1] &&
         (text.substr(5) != "02-29" || std::stoi(text.substr(0, 4)) % 4 == 0);
}

}  // namespace

MergedSchema::MergedSchema(const arrow::Schema& known, std::map<std::string, std::string> left_out)
    : left_out_(std::move(left_out)) {
  for (const auto& field : known.fields()) {
    places_[schema::LowerName(field->name())] = columns_.size();
    columns_.push_back({field->name(), field->type(), "an earlier file"});
  }
}

Status MergedSchema::Add(const arrow::Schema& file, const std::string& name) {
  for (const auto& field : file.fields()) TARN_RETURN_IF_ERROR(AddField(*field, name));
  return {};
}

Status MergedSchema::AddField(const arrow::Field& field, const std::string& file) {
  const auto type = LakeType(field.type());
  if (type == nullptr) {
    // A column of nothing but NULLs says nothing yet.
    if (field.type()->id() != arrow::Type::NA) left_out_[field.name()] = field.type()->ToString();
    return {};
  }
  const auto [place, is_new] = places_.emplace(schema::LowerName(field.name()), columns_.size());
  if (is_new) {
    columns_.push_back({field.name(), type, file});
    return {};
  }
  Column& column = columns_[place->second];
  const auto wider = Wider(column.type, type);
  if (wider == nullptr) {
    return MakeError(ErrorCode::kUnsupported, "the column '{}' is {} in '{}' and {} in '{}'", column.name,
                     *ExternalTypeText(*column.type), column.file, *ExternalTypeText(*type), file);
  }
  column.type = wider;
  return {};
}

std::shared_ptr<arrow::Schema> MergedSchema::schema() const {
  arrow::FieldVector fields;
  for (const Column& column : columns_) fields.push_back(arrow::field(column.name, column.type));
  return arrow::schema(std::move(fields));
}

std::shared_ptr<arrow::DataType> PartitionType(const std::vector<std::string>& values) {
  if (values.empty()) return arrow::utf8();
  if (std::all_of(values.begin(), values.end(), IsPlainInteger)) return arrow::int64();
  if (std::all_of(values.begin(), values.end(), IsPlainDate)) return arrow::date32();
  return arrow::utf8();
}

}  // namespace tarn::catalog
