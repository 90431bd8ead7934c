#include "engine/statement_policy.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace tarn::engine {
namespace {

using duckdb::StatementType;

constexpr std::array<std::string_view, 8> kSettings = {"timezone",    "calendar",       "schema",
                                                       "search_path", "default_order",  "default_null_order",
                                                       kAsOfSetting,  kAllowHeldSetting};

std::string KindOf(StatementType type) {
  std::string name = duckdb::StatementTypeToString(type);
  constexpr std::string_view kSuffix = "_STATEMENT";
  if (name.ends_with(kSuffix)) name.resize(name.size() - kSuffix.size());
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

Status CheckSetting(const duckdb::SetStatement& statement) {
  const std::string name = duckdb::StringUtil::Lower(statement.name);
  const bool is_listed = std::find(kSettings.begin(), kSettings.end(), name) != kSettings.end();
  if (is_listed && statement.scope != duckdb::SetScope::VARIABLE) return {};
  return MakeError(ErrorCode::kPermission, "SET {} is not allowed: sessions may set {}", statement.name,
                   fmt::join(kSettings, ", "));
}

}  // namespace

Status CheckStatement(const duckdb::SQLStatement& statement) {
  switch (statement.type) {
    case StatementType::SELECT_STATEMENT:
    case StatementType::EXECUTE_STATEMENT:
      return {};
    case StatementType::EXPLAIN_STATEMENT:
      return CheckStatement(*statement.Cast<duckdb::ExplainStatement>().stmt);
    case StatementType::PREPARE_STATEMENT:
      return CheckStatement(*statement.Cast<duckdb::PrepareStatement>().statement);
    case StatementType::SET_STATEMENT:
      return CheckSetting(statement.Cast<duckdb::SetStatement>());
    case StatementType::DROP_STATEMENT:
      if (statement.Cast<duckdb::DropStatement>().info->type == duckdb::CatalogType::PREPARED_STATEMENT)
        return {};
      break;
    case StatementType::MULTI_STATEMENT:
      return MakeError(ErrorCode::kUnsupported,
                       "PIVOT needs its values listed: PIVOT ... ON column IN (...)");
    default:
      break;
  }
  return MakeError(
      ErrorCode::kPermission,
      "{} is not allowed: sessions read, with SELECT, EXPLAIN, DESCRIBE, SHOW, SUMMARIZE, PREPARE and "
      "EXECUTE",
      KindOf(statement.type));
}

}  // namespace tarn::engine
