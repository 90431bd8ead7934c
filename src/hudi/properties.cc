#include "hudi/properties.h"

#include <zlib.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <sstream>

#include "hudi/avro_schema.h"

namespace tarn::hudi {
namespace {

constexpr const char* kPayload = "org.apache.hudi.common.model.DefaultHoodieRecordPayload";
constexpr const char* kEventTimeMerger = "eeb8d96f-b1e4-49fd-bbf8-28ac514178e5";

std::string JoinNames(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ","));
}

std::vector<std::string> SplitNames(const std::string& text) {
  std::vector<std::string> names;
  std::stringstream stream(text);
  for (std::string name; std::getline(stream, name, ',');) {
    // Later releases append the generator's type: "field:SIMPLE".
    names.push_back(name.substr(0, name.find(':')));
  }
  return names;
}

/// A character of the basic plane as UTF-8, from four hexadecimal digits; how many characters were taken.
size_t AppendCodeUnit(std::string_view digits, std::string* out) {
  uint32_t code = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
  if (error != std::errc() || end != digits.data() + digits.size()) return 0;
  if (code < 0x80) {
    out->push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out->push_back(static_cast<char>(0xc0 | (code >> 6)));
    out->push_back(static_cast<char>(0x80 | (code & 0x3f)));
  } else {
    out->push_back(static_cast<char>(0xe0 | (code >> 12)));
    out->push_back(static_cast<char>(0x80 | ((code >> 6) & 0x3f)));
    out->push_back(static_cast<char>(0x80 | (code & 0x3f)));
  }
  return digits.size();
}

std::string Unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out.push_back(text[i]);
      continue;
    }
    const char next = text[++i];
    if (next == 'n')
      out.push_back('\n');
    else if (next == 't')
      out.push_back('\t');
    else if (next == 'r')
      out.push_back('\r');
    else if (next == 'u' && i + 4 < text.size())
      i += AppendCodeUnit(text.substr(i + 1, 4), &out);
    else
      out.push_back(next);
  }
  return out;
}

std::string Get(const Properties& properties, const std::string& key, const std::string& fallback = "") {
  const auto it = properties.find(key);
  return it == properties.end() ? fallback : it->second;
}

Status CheckVersion(const Properties& properties, bool writing) {
  const std::string name = Get(properties, "hoodie.table.name");
  const std::string version = Get(properties, "hoodie.table.version");
  const std::string layout = Get(properties, "hoodie.timeline.layout.version", "1");
  if (name.empty() || version.empty()) {
    return Error{ErrorCode::kCorrupt, "hoodie.properties lacks hoodie.table.name or hoodie.table.version"};
  }
  const bool is_current = (version == "8" || version == "9") && layout == "2";
  if (!(version == "6" && layout == "1") && !(is_current && !writing)) {
    return MakeError(
        ErrorCode::kUnsupported,
        "table '{}' has hoodie.table.version {} and hoodie.timeline.layout.version {}; tarn reads versions "
        "6, 8 "
        "and 9, and writes version 6 (another writer upgraded it? set hoodie.write.table.version=6 and "
        "hoodie.write.auto.upgrade=false there)",
        name, version, layout);
  }
  if (writing && !Get(properties, "hoodie.table.metadata.partitions").empty()) {
    return MakeError(ErrorCode::kUnsupported,
                     "table '{}' has a metadata table, which our commits would not update: set "
                     "hoodie.metadata.enable=false in the other writer, whose next commit removes it",
                     name);
  }
  return {};
}

/// What would give wrong rows if it were passed over.
Status CheckReadable(const Properties& properties) {
  struct Limit {
    const char* property;
    const char* must;
    const char* advice;
  };
  static constexpr Limit kLimits[] = {
      {"hoodie.table.base.file.format", "PARQUET", "only base files in Parquet are read"},
      {"hoodie.datasource.write.drop.partition.columns", "false",
       "the files lack the partition columns: write the table with this property false"},
      {"hoodie.table.format", "native", "only tables in Hudi's own format are read"},
      {"hoodie.table.multiple.base.file.formats.enable", "false", "only base files in Parquet are read"},
      {"hoodie.bootstrap.base.path", "",
       "its rows are in files elsewhere: rewrite the table with a full bootstrap"},
  };
  for (const Limit& limit : kLimits) {
    std::string value = Get(properties, limit.property, limit.must);
    std::transform(value.begin(), value.end(), value.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    std::string must = limit.must;
    std::transform(must.begin(), must.end(), must.begin(), [](unsigned char c) { return std::tolower(c); });
    if (value == must) continue;
    return MakeError(ErrorCode::kUnsupported, "table '{}' has {}={}: {}",
                     Get(properties, "hoodie.table.name"), limit.property, value, limit.advice);
  }
  return {};
}

}  // namespace

Properties ParseProperties(std::string_view text) {
  Properties properties;
  std::stringstream stream{std::string(text)};
  for (std::string line; std::getline(stream, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    const size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string::npos || line[begin] == '#' || line[begin] == '!') continue;
    size_t split = begin;
    while (split < line.size() && line[split] != '=' && line[split] != ':')
      split += line[split] == '\\' ? 2 : 1;
    if (split >= line.size()) continue;
    properties[Unescape(std::string_view(line).substr(begin, split - begin))] =
        Unescape(std::string_view(line).substr(split + 1));
  }
  return properties;
}

Result<Properties> ReadProperties(const storage::Storage& storage, const std::string& base_path) {
  const auto text = storage.Read(base_path + "/.hoodie/hoodie.properties");
  if (text) return ParseProperties(*text);
  // The file is replaced by delete and write; meanwhile its backup holds.
  const auto backup = storage.Read(base_path + "/.hoodie/hoodie.properties.backup");
  if (backup) return ParseProperties(*backup);
  return MakeError(ErrorCode::kNotFound, "'{}' is not a Hudi table: {}", base_path, text.error().message);
}

std::string FormatProperties(const Properties& properties) {
  std::string text = "#Properties of a Hudi table\n";
  for (const auto& [key, value] : properties) {
    text += key + "=";
    for (const char c : value) {
      if (c == '\\')
        text += "\\\\";
      else if (c == '\n')
        text += "\\n";
      else
        text.push_back(c);
    }
    text += "\n";
  }
  return text;
}

std::string TableChecksum(const std::string& database, const std::string& table) {
  const std::string text = database + "." + table;
  return std::to_string(
      crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size())));
}

Result<Properties> PropertiesOf(const TableOptions& options) {
  TARN_ASSIGN(const std::string schema, TableAvroSchema(*options.schema, options.name));
  const bool merge_on_read = options.type == TableType::kMergeOnRead;
  const bool partitioned = !options.partition_fields.empty();
  Properties properties{
      {"hoodie.table.name", options.name},
      {"hoodie.table.type", merge_on_read ? "MERGE_ON_READ" : "COPY_ON_WRITE"},
      {"hoodie.table.version", "6"},
      {"hoodie.timeline.layout.version", "1"},
      {"hoodie.table.checksum", TableChecksum(options.database, options.name)},
      {"hoodie.table.recordkey.fields", JoinNames(options.key_fields)},
      {"hoodie.table.keygenerator.class", partitioned ? "org.apache.hudi.keygen.ComplexKeyGenerator"
                                                      : "org.apache.hudi.keygen.NonpartitionedKeyGenerator"},
      {"hoodie.table.precombine.field", options.ordering_field},
      {"hoodie.compaction.payload.class", kPayload},
      {"hoodie.compaction.record.merger.strategy", kEventTimeMerger},
      {"hoodie.datasource.write.hive_style_partitioning", "true"},
      {"hoodie.datasource.write.partitionpath.urlencode", "true"},
      {"hoodie.datasource.write.drop.partition.columns", "false"},
      {"hoodie.table.base.file.format", "PARQUET"},
      {"hoodie.archivelog.folder", "archived"},
      {"hoodie.populate.meta.fields", "true"},
      {"hoodie.table.timeline.timezone", "UTC"},
      {"hoodie.table.create.schema", schema},
      {"tarn.identity.fields", JoinNames(options.identity_fields)},
      {"tarn.target.file.bytes", std::to_string(options.target_file_bytes)},
  };
  if (!options.database.empty()) properties["hoodie.database.name"] = options.database;
  if (partitioned) properties["hoodie.table.partition.fields"] = JoinNames(options.partition_fields);
  return properties;
}

Result<TableOptions> OptionsOf(const Properties& properties, bool writing) {
  TARN_RETURN_IF_ERROR(CheckVersion(properties, writing));
  TARN_RETURN_IF_ERROR(CheckReadable(properties));
  TableOptions options;
  options.version = Get(properties, "hoodie.table.version").front() - '0';
  options.has_meta_columns = Get(properties, "hoodie.populate.meta.fields", "true") != "false";
  options.name = Get(properties, "hoodie.table.name");
  options.database = Get(properties, "hoodie.database.name");
  options.type = Get(properties, "hoodie.table.type") == "MERGE_ON_READ" ? TableType::kMergeOnRead
                                                                         : TableType::kCopyOnWrite;
  options.key_fields = SplitNames(Get(properties, "hoodie.table.recordkey.fields"));
  options.partition_fields = SplitNames(Get(properties, "hoodie.table.partition.fields"));
  options.ordering_field =
      Get(properties, "hoodie.table.ordering.fields", Get(properties, "hoodie.table.precombine.field"));
  options.identity_fields = SplitNames(Get(properties, "tarn.identity.fields"));
  if (options.identity_fields.empty()) {
    for (const std::string& field : options.key_fields) {
      const auto& partition = options.partition_fields;
      if (std::find(partition.begin(), partition.end(), field) == partition.end()) {
        options.identity_fields.push_back(field);
      }
    }
  }
  const std::string target = Get(properties, "tarn.target.file.bytes");
  if (!target.empty() && target.find_first_not_of("0123456789") == std::string::npos && target.size() < 18) {
    options.target_file_bytes = std::stoll(target);
  }
  const std::string schema = Get(properties, "hoodie.table.create.schema");
  if (!schema.empty()) {
    TARN_ASSIGN(options.schema, TableSchemaFromAvro(schema));
  }
  return options;
}

}  // namespace tarn::hudi
