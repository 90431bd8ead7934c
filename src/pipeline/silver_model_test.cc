#include "pipeline/silver_model.h"

#include <gtest/gtest.h>

namespace tarn::pipeline {
namespace {

TEST(SilverModelTest, ReadsRulesAndChecks) {
  const auto model = ParseSilverModel(R"(
table: products
month_of: created_at
rules:
  - name: stock_is_not_negative
    check: stock >= 0
    explain: count the shelf
  - {name: soft, check: price > 0, action: warn}
checks:
  - {name: sku_unique, sql: "SELECT sku FROM products GROUP BY sku HAVING count(*) > 1"}
)",
                                      "products.yml");
  ASSERT_TRUE(model) << model.error().message;
  ASSERT_EQ(model->rules.size(), 2U);
  EXPECT_EQ(model->rules[0].action, RuleAction::kQuarantine);
  EXPECT_EQ(model->rules[1].action, RuleAction::kWarn);
  EXPECT_EQ(model->checks[0].name, "sku_unique");
}

TEST(SilverModelTest, WhatIsWrongIsNamedWithItsPlace) {
  const auto typo = ParseSilverModel("table: t\nrules:\n  - name: a\n    chek: x > 0\n", "t.yml");
  ASSERT_FALSE(typo);
  EXPECT_NE(typo.error().message.find("t.yml:4: 'chek' is not known here"), std::string::npos)
      << typo.error().message;
  const auto action =
      ParseSilverModel("table: t\nrules:\n  - {name: a, check: x, action: explode}\n", "t.yml");
  EXPECT_NE(action.error().message.find("'explode' is no action"), std::string::npos);
  EXPECT_FALSE(ParseSilverModel("rules: []", "t.yml"));
  EXPECT_FALSE(ParseSilverModel("table: [", "t.yml"));
}

}  // namespace
}  // namespace tarn::pipeline
