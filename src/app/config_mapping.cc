#include "app/config_section.h"
#include "app/source_conninfo.h"
#include "cdc/pg_connection.h"

namespace tarn::app {
namespace {

/// The text inside of single quotes, which stand doubled for themselves; nullopt when it is not written so.
std::optional<std::string> Unquoted(const std::string& value) {
  if (value.size() < 2 || value.front() != '\'' || value.back() != '\'') return std::nullopt;
  std::string text;
  for (size_t i = 1; i + 1 < value.size(); i++) {
    if (value[i] == '\'' && (value[++i] != '\'' || i + 1 == value.size())) return std::nullopt;
    text += value[i];
  }
  return text;
}

/// A text in single quotes, or a word for what the source is called.
Result<cdc::AddedColumn> ReadAdded(const Section& section, const std::string& name,
                                   const std::string& value) {
  using From = cdc::AddedColumn::From;
  if (value == "database") return cdc::AddedColumn{From::kDatabase};
  if (value == "schema") return cdc::AddedColumn{From::kSchema};
  if (value == "table") return cdc::AddedColumn{From::kTable};
  const auto text = Unquoted(value);
  if (text) return cdc::AddedColumn{From::kText, *text};
  return section.Wrong(
      section.at("add"),
      fmt::format("'{}' of 'add' must be a text in single quotes inside of the double ones, such "
                  "as \"'shop-eu'\", or database, schema or table",
                  name));
}

/// One table, so that no two come to have the name.
Status CheckTableName(const Section& section, const cdc::TableMapping& mapping) {
  const std::string& name = mapping.table_name;
  if (name.empty()) return {};
  if (mapping.tables.find_first_of("*?") != std::string::npos)
    return section.Wrong(section.at("table_name"), "table_name is for one table: give it without * and ?");
  const bool usable = name[0] >= 'a' && name[0] <= 'z' &&
                      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
  if (usable) return {};
  return section.Wrong(section.at("table_name"),
                       fmt::format("'{}' cannot be a table's name in the lake: small letters, digits and _, "
                                   "beginning with a letter",
                                   name));
}

Status ReadMapping(const toml::node& node, const std::string& file, const std::string& tenant_column,
                   cdc::TableMapping& mapping) {
  Section section(node.as_table(), "[[mapping]]", file);
  TARN_RETURN_IF_ERROR(section.Read("tables", mapping.tables));
  TARN_RETURN_IF_ERROR(section.Read("drop", mapping.drop));
  TARN_RETURN_IF_ERROR(section.Read("hash", mapping.hash));
  TARN_RETURN_IF_ERROR(section.Read("rename", mapping.rename));
  std::string filter;
  std::map<std::string, std::string> add;
  TARN_RETURN_IF_ERROR(section.Read("filter", filter));
  TARN_RETURN_IF_ERROR(section.Read("add", add));
  TARN_RETURN_IF_ERROR(section.Read("table_name", mapping.table_name));
  TARN_RETURN_IF_ERROR(section.CheckKnown());
  mapping.place = fmt::format("{}:{}", file, node.source().begin.line);
  if (node.as_table()->contains("filter")) {
    auto parsed = cdc::ParseFilter(filter);
    if (!parsed) return section.Wrong(section.at("filter"), "filter: " + parsed.error().message);
    mapping.filter = std::move(*parsed);
    mapping.place = fmt::format("{}:{}", file, section.at("filter").source().begin.line);
  }
  if (mapping.tables.empty())
    return section.Wrong(node, "a mapping needs tables, such as tables = \"public.customer\"");
  for (const auto& [name, value] : add) {
    TARN_ASSIGN(mapping.add[name], ReadAdded(section, name, value));
  }
  TARN_RETURN_IF_ERROR(CheckTableName(section, mapping));
  if (mapping.drop.empty() && mapping.hash.empty() && mapping.rename.empty() && !mapping.filter &&
      mapping.add.empty() && mapping.table_name.empty())
    return section.Wrong(node, "a mapping needs filter, drop, hash, rename, add or table_name");
  if (!tenant_column.empty() && mapping.add.contains(tenant_column))
    return section.Wrong(
        node, fmt::format("the tenant column '{}' is the source's and cannot be added", tenant_column));
  for (const auto& patterns : {mapping.drop, mapping.hash}) {
    for (const std::string& pattern : patterns) {
      if (tenant_column.empty() || !cdc::MatchesPattern(pattern, tenant_column)) continue;
      return section.Wrong(node, fmt::format("'{}' would take away the tenant column '{}', by which rows are "
                                             "kept apart",
                                             pattern, tenant_column));
    }
  }
  if (mapping.rename.contains(tenant_column))
    return section.Wrong(node, fmt::format("the tenant column '{}' cannot be renamed", tenant_column));
  return {};
}

}  // namespace

Status ReadMappings(const toml::table& root, const std::string& file, const std::string& secret_file,
                    pipeline::PipelineOptions& options) {
  cdc::TableMappings& mappings = options.patterns.mappings;
  TARN_ASSIGN(mappings.hash_secret, ReadSecret("TARN_HASH_SECRET", "[tables] hash_secret_file", secret_file));
  TARN_ASSIGN(const auto settings, cdc::ParseConninfo(options.conninfo));
  if (settings.contains("dbname")) mappings.database = settings.at("dbname");
  TARN_ASSIGN(const toml::array* entries, EntriesOf(root, "mapping", file));
  if (entries == nullptr) return {};
  for (const toml::node& node : *entries) {
    cdc::TableMapping mapping;
    TARN_RETURN_IF_ERROR(ReadMapping(node, file, options.tenant_column, mapping));
    if (!mapping.hash.empty() && mappings.hash_secret.empty()) {
      return MakeError(
          ErrorCode::kInvalidArgument,
          "{}:{}: hash needs a secret, without which anybody could try out values: put one into a "
          "file ([tables] hash_secret_file) or into TARN_HASH_SECRET, and keep it",
          file, node.source().begin.line);
    }
    mappings.list.push_back(std::move(mapping));
  }
  return {};
}

}  // namespace tarn::app
