#include "app/output.h"

#include <arrow/api.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/clock.h"

namespace tarn::app {
namespace {

constexpr size_t kHeldRows = 1000;
constexpr size_t kMaxWidth = 60;

bool IsNumber(const arrow::DataType& type) {
  return arrow::is_integer(type.id()) || arrow::is_floating(type.id()) || arrow::is_decimal(type.id());
}

/// Characters, not bytes, of UTF-8.
size_t TextWidth(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string Printable(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r' || c == '\t') c = ' ';
  }
  if (TextWidth(text) <= kMaxWidth) return text;
  size_t end = 0;
  for (size_t width = 0; end < text.size() && width < kMaxWidth - 1; end++)
    width += (text[end + 1] & 0xC0) != 0x80;
  return text.substr(0, end) + "…";
}

std::string CsvCell(const arrow::Array& column, int64_t row) {
  if (column.IsNull(row)) return "";
  const std::string text = CellText(column, row, "");
  if (!text.empty() && text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

/// JSON has no NaN and no infinity: text, and not the null that the library writes.
nlohmann::json JsonNumber(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

nlohmann::ordered_json JsonCell(const arrow::Array& column, int64_t row);

nlohmann::ordered_json JsonList(const arrow::ListArray& lists, int64_t row) {
  nlohmann::ordered_json items = nlohmann::ordered_json::array();
  for (int64_t at = lists.value_offset(row); at < lists.value_offset(row + 1); at++)
    items.push_back(JsonCell(*lists.values(), at));
  return items;
}

/// An object, whose names are the keys' texts.
nlohmann::ordered_json JsonMap(const arrow::MapArray& maps, int64_t row) {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  for (int64_t at = maps.value_offset(row); at < maps.value_offset(row + 1); at++)
    object[CellText(*maps.keys(), at, "")] = JsonCell(*maps.items(), at);
  return object;
}

nlohmann::ordered_json JsonStruct(const arrow::StructArray& structs, int64_t row) {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  for (int i = 0; i < structs.num_fields(); i++)
    object[structs.struct_type()->field(i)->name()] = JsonCell(*structs.field(i), row);
  return object;
}

nlohmann::ordered_json JsonCell(const arrow::Array& column, int64_t row) {
  if (column.IsNull(row)) return nullptr;
  switch (column.type_id()) {
    case arrow::Type::BOOL:
      return static_cast<const arrow::BooleanArray&>(column).Value(row);
    case arrow::Type::INT8:
      return static_cast<const arrow::Int8Array&>(column).Value(row);
    case arrow::Type::INT16:
      return static_cast<const arrow::Int16Array&>(column).Value(row);
    case arrow::Type::INT32:
      return static_cast<const arrow::Int32Array&>(column).Value(row);
    case arrow::Type::INT64:
      return static_cast<const arrow::Int64Array&>(column).Value(row);
    case arrow::Type::UINT64:
      return static_cast<const arrow::UInt64Array&>(column).Value(row);
    case arrow::Type::FLOAT:
      return JsonNumber(static_cast<const arrow::FloatArray&>(column).Value(row));
    case arrow::Type::DOUBLE:
      return JsonNumber(static_cast<const arrow::DoubleArray&>(column).Value(row));
    case arrow::Type::LIST:
      return JsonList(static_cast<const arrow::ListArray&>(column), row);
    case arrow::Type::MAP:
      return JsonMap(static_cast<const arrow::MapArray&>(column), row);
    case arrow::Type::STRUCT:
      return JsonStruct(static_cast<const arrow::StructArray&>(column), row);
    default:
      return CellText(column, row, "");
  }
}

}  // namespace

std::string CellText(const arrow::Array& column, int64_t row, const std::string& null_text) {
  if (column.IsNull(row)) return null_text;
  switch (column.type_id()) {
    case arrow::Type::STRING:
      return static_cast<const arrow::StringArray&>(column).GetString(row);
    case arrow::Type::DOUBLE:
      return fmt::format("{}", static_cast<const arrow::DoubleArray&>(column).Value(row));
    case arrow::Type::BINARY: {
      std::string text = "\\x";  // As PostgreSQL writes it.
      for (const char byte : static_cast<const arrow::BinaryArray&>(column).GetView(row))
        text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
      return text;
    }
    case arrow::Type::TIMESTAMP: {
      const auto& type = static_cast<const arrow::TimestampType&>(*column.type());
      if (type.unit() != arrow::TimeUnit::MICRO) break;
      std::string text = FormatTimestamp(static_cast<const arrow::TimestampArray&>(column).Value(row));
      while (text.back() == '0') text.pop_back();
      if (text.back() == '.') text.pop_back();
      return type.timezone().empty() ? text : text + "+00";
    }
    case arrow::Type::LIST:
    case arrow::Type::MAP:
    case arrow::Type::STRUCT:
      return JsonCell(column, row).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    default:
      break;
  }
  const auto scalar = column.GetScalar(row);
  return scalar.ok() ? (*scalar)->ToString() : scalar.status().message();
}

Status Written(std::FILE* out, const std::function<void()>& print) {
  try {
    print();
  } catch (const std::system_error& error) {
    return MakeError(ErrorCode::kIo, "the output cannot be written: {}", error.code().message());
  }
  if (std::ferror(out) != 0)
    return MakeError(ErrorCode::kIo, "the output cannot be written: {}",
                     std::generic_category().message(errno));
  return {};
}

Status ResultPrinter::Print(const arrow::RecordBatch& batch) {
  return Written(out_, [&] { PrintRows(batch); });
}

void ResultPrinter::PrintRows(const arrow::RecordBatch& batch) {
  if (names_.empty()) {
    names_ = batch.schema()->field_names();
    for (const auto& field : batch.schema()->fields()) right_.push_back(IsNumber(*field->type()));
    if (format_ == OutputFormat::kCsv) {
      for (size_t i = 0; i < names_.size(); i++) {
        arrow::StringBuilder name;
        (void)name.Append(names_[i]);
        fmt::print(out_, "{}{}", i == 0 ? "" : ",", CsvCell(**name.Finish(), 0));
      }
      fmt::print(out_, "\n");
    }
  }
  for (int64_t row = 0; row < batch.num_rows(); row++) {
    if (format_ == OutputFormat::kJson) {
      nlohmann::ordered_json object;
      for (int i = 0; i < batch.num_columns(); i++)
        object[names_[static_cast<size_t>(i)]] = JsonCell(*batch.column(i), row);
      fmt::print(out_, "{}\n", object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      continue;
    }
    if (format_ == OutputFormat::kCsv) {
      for (int i = 0; i < batch.num_columns(); i++)
        fmt::print(out_, "{}{}", i == 0 ? "" : ",", CsvCell(*batch.column(i), row));
      fmt::print(out_, "\n");
      continue;
    }
    Cells cells;
    for (int i = 0; i < batch.num_columns(); i++)
      cells.push_back(Printable(CellText(*batch.column(i), row, "")));
    if (header_done_) {
      PrintTableRow(cells);
    } else {
      held_.push_back(std::move(cells));
      if (held_.size() >= kHeldRows) FlushTable();
    }
  }
}

void ResultPrinter::PrintTableRow(const Cells& cells) {
  for (size_t i = 0; i < cells.size(); i++) {
    const size_t width = TextWidth(cells[i]);
    const std::string padding(widths_[i] > width ? widths_[i] - width : 0, ' ');
    fmt::print(out_, "{}{}{}{}", i == 0 ? " " : " | ", right_[i] ? padding : "", cells[i],
               right_[i] ? "" : padding);
  }
  fmt::print(out_, "\n");
}

void ResultPrinter::FlushTable() {
  for (size_t i = 0; i < names_.size(); i++) {
    size_t width = TextWidth(names_[i]);
    for (const Cells& cells : held_) width = std::max(width, TextWidth(cells[i]));
    widths_.push_back(width);
  }
  PrintTableRow(names_);
  for (size_t i = 0; i < names_.size(); i++)
    fmt::print(out_, "{}{}", i == 0 ? "-" : "-+-", std::string(widths_[i], '-'));
  fmt::print(out_, "-\n");
  for (const Cells& cells : held_) PrintTableRow(cells);
  held_.clear();
  header_done_ = true;
}

Status ResultPrinter::Finish() {
  return Written(out_, [&] {
    if (format_ == OutputFormat::kTable && !header_done_ && !names_.empty()) FlushTable();
    std::fflush(out_);
  });
}

std::string BytesText(int64_t bytes) {
  const char* units[] = {"B", "KB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  for (; value >= 1000 && unit < 4; unit++) value /= 1000;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, units[unit]);
}

void PrintJson(const nlohmann::json& json) {
  fmt::print("{}\n", json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace tarn::app
