#include "govern/decision.h"

#include <gtest/gtest.h>

namespace tarn::govern {
namespace {

Principal Tenant(std::string tenant) {
  Principal principal;
  principal.name = "reader";
  principal.tenant = std::move(tenant);
  principal.shared_tables = {"silver.calendar", "quarantine.granted"};
  return principal;
}

TEST(Decision, TenantReadsOnlyTablesPartitionedByTheTenantFirst) {
  const Decision decision = Decide(Tenant("7"));
  EXPECT_EQ(decision.ForTable("silver", "orders", {"tenant_id"}), Access::kTenantPartitions);
  EXPECT_EQ(decision.ForTable("gold", "revenue", {"tenant_id", "month"}), Access::kTenantPartitions);
  EXPECT_EQ(decision.ForTable("silver", "orders", {"month", "tenant_id"}), Access::kDenied);
  EXPECT_EQ(decision.ForTable("silver", "orders", {"Tenant_Id"}), Access::kDenied);
  EXPECT_EQ(decision.ForTable("silver", "countries", {}), Access::kDenied);
  EXPECT_EQ(decision.tenant(), "7");
}

TEST(Decision, TenantNeverReadsQuarantineOrBronzeUnlessSharedByName) {
  const Decision decision = Decide(Tenant("7"));
  EXPECT_EQ(decision.ForTable("quarantine", "orders", {"tenant_id"}), Access::kDenied);
  EXPECT_EQ(decision.ForTable("bronze", "orders", {"tenant_id"}), Access::kDenied);
  EXPECT_EQ(decision.ForTable("elsewhere", "orders", {"tenant_id"}), Access::kDenied);
  EXPECT_EQ(decision.ForTable("quarantine", "granted", {}), Access::kAll);
}

TEST(Decision, SharedTablesAreReadWhole) {
  const Decision decision = Decide(Tenant("7"));
  EXPECT_EQ(decision.ForTable("silver", "calendar", {}), Access::kAll);
  EXPECT_EQ(decision.ForName("silver", "calendar"), Access::kAll);
  EXPECT_EQ(decision.ForTable("gold", "calendar", {}), Access::kDenied);
}

TEST(Decision, WithoutATenantOnlySharedTablesRemain) {
  for (const char* tenant : {"", "__HIVE_DEFAULT_PARTITION__"}) {
    const Decision decision = Decide(Tenant(tenant));
    EXPECT_EQ(decision.ForTable("silver", "orders", {"tenant_id"}), Access::kDenied) << tenant;
    EXPECT_EQ(decision.ForTable("silver", "calendar", {}), Access::kAll) << tenant;
  }
}

TEST(Decision, TheTenantColumnIsConfigurable) {
  Principal principal = Tenant("7");
  principal.tenant_column = "shop";
  const Decision decision = Decide(principal);
  EXPECT_EQ(decision.ForTable("silver", "orders", {"shop"}), Access::kTenantPartitions);
  EXPECT_EQ(decision.ForTable("silver", "orders", {"tenant_id"}), Access::kDenied);
}

TEST(Decision, OperatorAndSystemReadAll) {
  Principal principal;
  principal.is_operator = true;
  for (const Decision& decision : {Decide(principal), DecideForSystem("model gold.revenue")}) {
    EXPECT_EQ(decision.ForTable("quarantine", "orders", {}), Access::kAll);
    EXPECT_EQ(decision.ForTable("bronze", "orders", {}), Access::kAll);
    EXPECT_TRUE(decision.is_operator());
  }
}

}  // namespace
}  // namespace tarn::govern
