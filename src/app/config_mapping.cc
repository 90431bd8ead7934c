#include "app/config_section.h"
#include "app/source_conninfo.h"

namespace tarn::app {
namespace {

Status ReadMapping(const toml::node& node, const std::string& file, const std::string& tenant_column,
                   cdc::TableMapping& mapping) {
  Section section(node.as_table(), "[[mapping]]", file);
  TARN_RETURN_IF_ERROR(section.Read("tables", mapping.tables));
  TARN_RETURN_IF_ERROR(section.Read("drop", mapping.drop));
  TARN_RETURN_IF_ERROR(section.Read("hash", mapping.hash));
  TARN_RETURN_IF_ERROR(section.Read("rename", mapping.rename));
  std::string filter;
  TARN_RETURN_IF_ERROR(section.Read("filter", filter));
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
  if (mapping.drop.empty() && mapping.hash.empty() && mapping.rename.empty() && !mapping.filter)
    return section.Wrong(node, "a mapping needs filter, drop, hash or rename");
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
