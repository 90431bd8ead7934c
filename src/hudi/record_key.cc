#include "hudi/record_key.h"

#include <arrow/api.h>
#include <arrow/util/decimal.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <ctime>
#include <unordered_map>

namespace tarn::hudi {
namespace {

constexpr std::string_view kNullText = "__null__", kEmptyText = "__empty__";

uint64_t FinalMix(uint64_t k) {
  k ^= k >> 33;
  k *= 0xff51afd7ed558ccdULL;
  k ^= k >> 33;
  k *= 0xc4ceb9fe1a85ec53ULL;
  return k ^ (k >> 33);
}

/// Appends a cell's text as Hudi renders key values; false when it is null.
class CellText {
 public:
  static Result<CellText> Make(const arrow::RecordBatch& rows, int column, const std::string& name) {
    if (column < 0) return MakeError(ErrorCode::kInvalidArgument, "the rows have no column '{}'", name);
    CellText text;
    text.array_ = rows.column(column).get();
    switch (text.array_->type_id()) {
      case arrow::Type::BOOL:
      case arrow::Type::INT32:
      case arrow::Type::INT64:
      case arrow::Type::DATE32:
      case arrow::Type::TIMESTAMP:
      case arrow::Type::STRING:
      case arrow::Type::BINARY:
      case arrow::Type::FLOAT:
      case arrow::Type::DOUBLE:
      case arrow::Type::DECIMAL128:
        return text;
      default:
        return MakeError(ErrorCode::kUnsupported, "column '{}' of type {} cannot be part of a key", name,
                         text.array_->type()->ToString());
    }
  }

  bool IsNull(int64_t row) const { return array_->IsNull(row); }

  /// The value's text; `scratch` may hold it.
  std::string_view Get(int64_t row, std::string* scratch) const {
    switch (array_->type_id()) {
      case arrow::Type::STRING:
      case arrow::Type::BINARY:
        return static_cast<const arrow::BinaryArray*>(array_)->GetView(row);
      case arrow::Type::BOOL:
        return static_cast<const arrow::BooleanArray*>(array_)->Value(row) ? "true" : "false";
      case arrow::Type::INT32:
        return Number(static_cast<const arrow::Int32Array*>(array_)->Value(row), scratch);
      case arrow::Type::INT64:
        return Number(static_cast<const arrow::Int64Array*>(array_)->Value(row), scratch);
      case arrow::Type::TIMESTAMP:
        return Number(static_cast<const arrow::TimestampArray*>(array_)->Value(row), scratch);
      case arrow::Type::DATE32:
        return Date(static_cast<const arrow::Date32Array*>(array_)->Value(row), scratch);
      case arrow::Type::FLOAT:
        *scratch = fmt::format("{}", static_cast<const arrow::FloatArray*>(array_)->Value(row));
        break;
      case arrow::Type::DOUBLE:
        *scratch = fmt::format("{}", static_cast<const arrow::DoubleArray*>(array_)->Value(row));
        break;
      default:
        *scratch = static_cast<const arrow::Decimal128Array*>(array_)->FormatValue(row);
        break;
    }
    return *scratch;
  }

 private:
  static std::string_view Number(int64_t value, std::string* scratch) {
    scratch->resize(24);
    const auto end = std::to_chars(scratch->data(), scratch->data() + 24, value).ptr;
    return {scratch->data(), static_cast<size_t>(end - scratch->data())};
  }
  static std::string_view Date(int32_t days, std::string* scratch) {
    const std::time_t time = static_cast<std::time_t>(days) * 86400;
    std::tm tm{};
    gmtime_r(&time, &tm);
    *scratch = fmt::format("{:04}-{:02}-{:02}", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
    return *scratch;
  }
  const arrow::Array* array_ = nullptr;
};

std::string_view OrPlaceholder(std::string_view value) { return value.empty() ? kEmptyText : value; }

/// A partition's folder says the same of null, empty and this; deletes make the key from the folder.
bool IsNullFolder(std::string_view value) { return value == kNullPartition; }

/// The whole record key of a table with one key column: the value as it is, but for those that read like a
/// placeholder or like what became of one.
void AppendSingleKey(std::string_view value, std::string* out) {
  const bool like_escaped =
      value.starts_with('%') && (value.ends_with("_null__") || value.ends_with("_empty__"));
  if (like_escaped || value == kNullText || value == kEmptyText)
    AppendKeyValue(value, out);
  else
    out->append(value);
}

}  // namespace

Hash128 HashText(std::string_view text) {
  constexpr uint64_t c1 = 0x87c37b91114253d5ULL, c2 = 0x4cf5ad432745937fULL;
  uint64_t h1 = 0x9747b28c, h2 = 0x9747b28c;
  const char* at = text.data();
  size_t left = text.size();
  const auto round = [&](uint64_t k1, uint64_t k2) {
    h1 ^= std::rotl(k1 * c1, 31) * c2;
    h1 = (std::rotl(h1, 27) + h2) * 5 + 0x52dce729;
    h2 ^= std::rotl(k2 * c2, 33) * c1;
    h2 = (std::rotl(h2, 31) + h1) * 5 + 0x38495ab5;
  };
  for (; left >= 16; left -= 16, at += 16) {
    uint64_t k[2];
    std::memcpy(k, at, 16);
    round(k[0], k[1]);
  }
  uint64_t tail[2] = {0, 0};
  std::memcpy(tail, at, left);
  h2 ^= std::rotl(tail[1] * c2, 33) * c1;
  h1 ^= std::rotl(tail[0] * c1, 31) * c2;
  h1 ^= text.size();
  h2 ^= text.size();
  h1 += h2;
  h2 += h1;
  h1 = FinalMix(h1);
  h2 = FinalMix(h2);
  h1 += h2;
  return {h1, h2 + h1};
}

void AppendKeyValue(std::string_view value, std::string* out) {
  // A value that reads like a placeholder must not become one.
  if (value == kNullText || value == kEmptyText) {
    out->append("%5F").append(value.substr(1));
    return;
  }
  for (const char c : value) {
    if (c == ',')
      out->append("%2C");
    else if (c == ':')
      out->append("%3A");
    else if (c == '%')
      out->append("%25");
    else
      out->push_back(c);
  }
}

void AppendPathValue(std::string_view value, std::string* out) {
  static const std::array<bool, 256> kEscaped = [] {
    std::array<bool, 256> escaped{};
    for (int c = 0; c < 0x20; c++) escaped[static_cast<size_t>(c)] = true;
    escaped[0x7f] = true;
    for (const char c : std::string_view("\"#%'*/:=?\\{[]^")) escaped[static_cast<uint8_t>(c)] = true;
    return escaped;
  }();
  for (const char c : value) {
    if (kEscaped[static_cast<uint8_t>(c)])
      out->append(fmt::format("%{:02X}", static_cast<uint8_t>(c)));
    else
      out->push_back(c);
  }
}

std::vector<std::string> PartitionValues(const std::string& path) {
  std::vector<std::string> values;
  for (size_t begin = 0; !path.empty() && begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    std::string_view part(path.data() + begin, end - begin);
    const size_t equals = part.find('=');
    if (equals != std::string_view::npos) part.remove_prefix(equals + 1);
    std::string value;
    for (size_t i = 0; i < part.size(); i++) {
      unsigned code = 0;
      if (part[i] == '%' && i + 2 < part.size() &&
          std::from_chars(part.data() + i + 1, part.data() + i + 3, code, 16).ptr == part.data() + i + 3) {
        value.push_back(static_cast<char>(code));
        i += 2;
      } else {
        value.push_back(part[i]);
      }
    }
    values.push_back(std::move(value));
    begin = end + 1;
  }
  return values;
}

Result<KeyFormat> KeyFormat::Make(const TableOptions& options) {
  KeyFormat format;
  format.identity_fields_ = options.identity_fields;
  format.partition_fields_ = options.partition_fields;
  format.single_ = options.key_fields.size() == 1 && options.partition_fields.empty();
  const auto index = [](const std::vector<std::string>& names, const std::string& name) {
    const auto it = std::find(names.begin(), names.end(), name);
    return it == names.end() ? -1 : static_cast<int>(it - names.begin());
  };
  for (const std::string& name : options.key_fields) {
    Part part{name, index(options.identity_fields, name), index(options.partition_fields, name)};
    if (part.identity < 0 && part.partition < 0) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "table '{}': key column '{}' is neither identity nor partition", options.name, name);
    }
    format.parts_.push_back(std::move(part));
  }
  for (const std::string& name : options.identity_fields) {
    const int at = index(options.key_fields, name);
    if (at < 0) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "table '{}': identity column '{}' is not among the key columns", options.name, name);
    }
    format.identity_parts_.push_back(static_cast<size_t>(at));
  }
  if (format.identity_parts_.empty()) {
    return MakeError(ErrorCode::kInvalidArgument, "table '{}' has no identity columns", options.name);
  }
  return format;
}

Result<RowKeys> KeyFormat::FromRows(const arrow::RecordBatch& rows) const {
  std::vector<CellText> key_cells, path_cells;
  for (const Part& part : parts_) {
    TARN_ASSIGN(auto cell, CellText::Make(rows, rows.schema()->GetFieldIndex(part.name), part.name));
    key_cells.push_back(cell);
  }
  for (const std::string& name : partition_fields_) {
    TARN_ASSIGN(auto cell, CellText::Make(rows, rows.schema()->GetFieldIndex(name), name));
    path_cells.push_back(cell);
  }
  RowKeys result;
  const int64_t count = rows.num_rows();
  result.identities.reserve(static_cast<size_t>(count));
  result.partitions.reserve(static_cast<size_t>(count));
  arrow::StringBuilder keys;
  if (!keys.Reserve(count).ok()) return Error{ErrorCode::kNoSpace, "out of memory"};
  std::unordered_map<std::string, uint32_t> path_index;
  std::string key, path, last_path, identity, scratch;
  std::vector<std::pair<size_t, size_t>> spans(parts_.size());
  for (int64_t row = 0; row < count; row++) {
    key.clear();
    for (size_t i = 0; i < parts_.size(); i++) {
      if (!single_) {
        if (i > 0) key.push_back(',');
        key.append(parts_[i].name).push_back(':');
      }
      const size_t begin = key.size();
      if (key_cells[i].IsNull(row)) {
        key.append(kNullText);
      } else {
        const std::string_view value = key_cells[i].Get(row, &scratch);
        const bool is_partition = parts_[i].partition >= 0;
        if (value.empty() || (is_partition && IsNullFolder(value)))
          key.append(is_partition ? kNullText : kEmptyText);
        else if (single_)
          AppendSingleKey(value, &key);
        else
          AppendKeyValue(value, &key);
      }
      spans[i] = {begin, key.size() - begin};
    }
    identity.clear();
    for (size_t i = 0; i < identity_parts_.size(); i++) {
      if (i > 0) identity.push_back(',');
      const auto [begin, size] = spans[identity_parts_[i]];
      identity.append(key, begin, size);
    }
    result.identities.push_back(HashText(identity));
    if (!keys.Append(key).ok()) return Error{ErrorCode::kNoSpace, "record keys of one batch pass 2 GiB"};
    path.clear();
    for (size_t i = 0; i < path_cells.size(); i++) {
      if (i > 0) path.push_back('/');
      path.append(partition_fields_[i]).push_back('=');
      const std::string_view value = path_cells[i].IsNull(row) ? "" : path_cells[i].Get(row, &scratch);
      if (value.empty())
        path.append(kNullPartition);
      else
        AppendPathValue(value, &path);
    }
    if (row > 0 && path == last_path) {
      result.partitions.push_back(result.partitions.back());
      continue;
    }
    const auto [it, added] = path_index.emplace(path, static_cast<uint32_t>(result.paths.size()));
    if (added) result.paths.push_back(path);
    result.partitions.push_back(it->second);
    last_path = path;
  }
  std::shared_ptr<arrow::Array> array;
  if (!keys.Finish(&array).ok()) return Error{ErrorCode::kNoSpace, "out of memory"};
  result.keys = std::static_pointer_cast<arrow::StringArray>(array);
  return result;
}

Result<IdentityKeys> KeyFormat::FromIdentities(const arrow::RecordBatch& rows) const {
  std::vector<CellText> cells;
  for (size_t i = 0; i < identity_fields_.size(); i++) {
    const int column = static_cast<int>(i) < rows.num_columns() ? static_cast<int>(i) : -1;
    TARN_ASSIGN(auto cell, CellText::Make(rows, column, identity_fields_[i]));
    cells.push_back(cell);
  }
  IdentityKeys result;
  std::string identity, scratch;
  for (int64_t row = 0; row < rows.num_rows(); row++) {
    identity.clear();
    for (size_t i = 0; i < cells.size(); i++) {
      std::string piece;
      const bool is_partition = parts_[identity_parts_[i]].partition >= 0;
      if (cells[i].IsNull(row)) {
        piece = kNullText;
      } else {
        const std::string_view value = cells[i].Get(row, &scratch);
        if (value.empty() || (is_partition && IsNullFolder(value)))
          piece = is_partition ? kNullText : OrPlaceholder(value);
        else if (single_)
          AppendSingleKey(value, &piece);
        else
          AppendKeyValue(value, &piece);
      }
      if (i > 0) identity.push_back(',');
      identity.append(piece);
      result.pieces.push_back(std::move(piece));
    }
    result.identities.push_back(HashText(identity));
  }
  return result;
}

std::string KeyFormat::KeyIn(const std::string& partition_path, const std::string* pieces) const {
  if (single_) return pieces[0];
  const std::vector<std::string> values = PartitionValues(partition_path);
  std::string key;
  for (const Part& part : parts_) {
    if (!key.empty()) key.push_back(',');
    key.append(part.name).push_back(':');
    if (part.identity >= 0) {
      key.append(pieces[part.identity]);
    } else {
      const auto at = static_cast<size_t>(part.partition);
      if (at >= values.size() || values[at].empty() || values[at] == kNullPartition)
        key.append(kNullText);
      else
        AppendKeyValue(values[at], &key);
    }
  }
  return key;
}

std::vector<std::string> KeyFormat::PiecesOf(std::string_view record_key) const {
  if (single_) return {std::string(record_key)};
  const std::vector<std::string_view> values = ValuesOf(record_key);
  std::vector<std::string> pieces;
  for (const size_t part : identity_parts_) pieces.emplace_back(part < values.size() ? values[part] : "");
  return pieces;
}

Hash128 KeyFormat::IdentityOf(std::string_view record_key) const {
  if (single_) return HashText(record_key);
  const std::vector<std::string_view> values = ValuesOf(record_key);
  thread_local std::string identity;
  identity.clear();
  for (size_t i = 0; i < identity_parts_.size(); i++) {
    if (i > 0) identity.push_back(',');
    if (identity_parts_[i] < values.size()) identity.append(values[identity_parts_[i]]);
  }
  return HashText(identity);
}

std::vector<std::string_view> KeyFormat::ValuesOf(std::string_view record_key) {
  std::vector<std::string_view> values;
  for (size_t begin = 0; begin <= record_key.size();) {
    const size_t end = std::min(record_key.find(',', begin), record_key.size());
    const std::string_view part = record_key.substr(begin, end - begin);
    // The first colon ends the column's name: it is one of ours, values have none.
    values.push_back(part.substr(std::min(part.find(':') + 1, part.size())));
    begin = end + 1;
  }
  return values;
}

}  // namespace tarn::hudi
