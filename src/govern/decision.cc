#include "govern/decision.h"

#include <utility>

namespace tarn::govern {
namespace {

// Hudi files NULL and the empty string under this name: it is nobody's tenant.
constexpr std::string_view kDefaultPartition = "__HIVE_DEFAULT_PARTITION__";

bool CanHoldTenants(std::string_view schema) { return schema == "silver" || schema == "gold"; }

}  // namespace

Access Decision::ForName(std::string_view schema, std::string_view table) const {
  if (is_operator_) return Access::kAll;
  if (shared_tables_.contains(std::string(schema) + "." + std::string(table))) return Access::kAll;
  if (tenant_.empty() || !CanHoldTenants(schema)) return Access::kDenied;
  return Access::kTenantPartitions;
}

Access Decision::ForTable(std::string_view schema, std::string_view table,
                          const std::vector<std::string>& partition_fields) const {
  const Access access = ForName(schema, table);
  if (access != Access::kTenantPartitions) return access;
  const bool is_tenants = !partition_fields.empty() && partition_fields.front() == tenant_column_;
  return is_tenants ? Access::kTenantPartitions : Access::kDenied;
}

Decision Decide(const Principal& principal) {
  Decision decision;
  decision.principal_ = principal.name;
  decision.is_operator_ = principal.is_operator;
  if (principal.tenant != kDefaultPartition) decision.tenant_ = principal.tenant;
  decision.tenant_column_ = principal.tenant_column;
  decision.shared_tables_.insert(principal.shared_tables.begin(), principal.shared_tables.end());
  return decision;
}

Decision DecideForSystem(std::string job) {
  Principal principal;
  principal.name = std::move(job);
  principal.is_operator = true;
  return Decide(principal);
}

}  // namespace tarn::govern
