#include "app/config.h"

#include <gtest/gtest.h>

namespace tarn::app {
namespace {

TEST(ConfigTest, WhatInitWritesIsUnderstood) {
  const auto text = ConfigTemplate("postgresql://tarn@db.example:5433/shop", "lake", "models", "tenant_id");
  ASSERT_TRUE(text) << text.error().message;
  const auto config = ParseConfig(*text, "/etc/shop/tarn.toml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_NE(config->pipeline.conninfo.find("host='db.example' port='5433' dbname='shop' user='tarn'"),
            std::string::npos)
      << config->pipeline.conninfo;
  EXPECT_EQ(config->pipeline.lake, "/etc/shop/lake");
  EXPECT_EQ(config->pipeline.models, "/etc/shop/models");
  EXPECT_EQ(config->pipeline.tenant_column, "tenant_id");
  EXPECT_EQ(config->pipeline.services.retain_micros, 168LL * 3600 * 1'000'000);
}

TEST(ConfigTest, ATypoIsNamedWithItsLineAndTheNearestKey) {
  const auto key = ParseConfig("[source]\nhost = \"h\"\n[silver]\ncomit_interval_ms = 5\n", "tarn.toml");
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().message,
            "tarn.toml:4: 'comit_interval_ms' is not known in [silver]; did you mean 'commit_interval_ms'?");
  const auto section = ParseConfig("[sorce]\nhost = \"h\"\n", "tarn.toml");
  EXPECT_NE(section.error().message.find("did you mean 'source'"), std::string::npos);
  const auto type = ParseConfig("[source]\nport = \"5432\"\n", "tarn.toml");
  EXPECT_EQ(type.error().message, "tarn.toml:2: 'port' must be a whole number");
  const auto syntax = ParseConfig("[source\n", "tarn.toml");
  EXPECT_NE(syntax.error().message.find("tarn.toml:1"), std::string::npos);
  EXPECT_FALSE(ParseConfig("[source]\n[query]\nmemory_mb = 1\n", "tarn.toml"));
}

TEST(ConfigTest, APasswordNeverGetsIntoTheFile) {
  const auto text = ConfigTemplate("postgresql://tarn:secret@db/shop", "lake", "", "");
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().message.find("secret"), std::string::npos);
}

TEST(ConfigTest, PrincipalsAreReadAndMayNotRepeat) {
  const std::string one =
      "[source]\n[tenants]\ncolumn = \"org\"\n[[principals]]\nname = \"a\"\ntenant = \"3\"\n";
  const auto config = ParseConfig(one, "tarn.toml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->principals.at("a").tenant_column, "org");
  EXPECT_FALSE(ParseConfig(one + "[[principals]]\nname = \"a\"\n", "tarn.toml"));
}

}  // namespace
}  // namespace tarn::app
