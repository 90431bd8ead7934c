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

TEST(ConfigTest, ArchivingOfBronzeIsANumberOrFalse) {
  const auto parse = [](const std::string& keys) {
    return ParseConfig("[source]\n[bronze]\n" + keys + "\n", "tarn.toml");
  };
  EXPECT_EQ(parse("")->pipeline.archive_after_hours, 6);
  EXPECT_EQ(parse("")->pipeline.keep_days, 0) << "for ever";
  EXPECT_EQ(parse("archive_after_hours = false\nkeep_days = 7")->pipeline.archive_after_hours, 0);
  EXPECT_EQ(parse("archive_after_hours = 0")->pipeline.archive_after_hours, 0);
  EXPECT_EQ(parse("keep_days = 7")->pipeline.keep_days, 7);
  EXPECT_EQ(parse("keep_days = false")->pipeline.keep_days, 0);
  for (const char* wrong :
       {"keep_days = 0", "keep_days = true", "keep_days = 99999999999", "keep_days = -1"}) {
    const auto config = parse(wrong);
    ASSERT_FALSE(config) << wrong;
    EXPECT_EQ(config.error().message,
              "tarn.toml:3: 'keep_days' must be a number of days, 1 or more, or false");
  }
}

TEST(ConfigTest, ATypoIsNamedWithItsLineAndTheNearestKey) {
  const auto key = ParseConfig("[source]\nhost = \"h\"\n[silver]\ncomit_interval_ms = 5\n", "tarn.toml");
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().message,
            "tarn.toml:4: 'comit_interval_ms' is not known in [silver]; did you mean 'commit_interval_ms'?");
  const auto section = ParseConfig("[sorce]\nhost = \"h\"\n", "tarn.toml");
  EXPECT_NE(section.error().message.find("did you mean 'source'"), std::string::npos);
  const auto type = ParseConfig("[source]\nhost = 5\n", "tarn.toml");
  ASSERT_FALSE(type);
  EXPECT_EQ(type.error().message, "tarn.toml:2: 'host' must be a text in quotes");
  const auto syntax = ParseConfig("[source\n", "tarn.toml");
  EXPECT_NE(syntax.error().message.find("tarn.toml:1"), std::string::npos);
  EXPECT_FALSE(ParseConfig("[source]\n[query]\nmemory_mb = 1\n", "tarn.toml"));
}

TEST(ConfigTest, APasswordNeverGetsIntoTheFile) {
  for (const char* source : {"postgresql://tarn:secret@db/shop", "host=db password=secret",
                             "postgresql://tarn@db/shop?password=secret",
                             "postgresql://tarn:secret@db:port/x%zz", "host = db password = 'secret"}) {
    const auto text = ConfigTemplate(source, "lake", "", "");
    ASSERT_FALSE(text) << source;
    EXPECT_EQ(text.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(text.error().message.find("secret"), std::string::npos) << text.error().message;
  }
}

TEST(ConfigTest, EverySpellingOfASourceIsUnderstood) {
  const std::vector<std::pair<std::string, std::string>> spellings = {
      {"postgresql://tarn@db.example/shop?sslmode=require&connect_timeout=3",
       "host='db.example' port='5432' dbname='shop' user='tarn' connect_timeout='3' sslmode='require'"},
      {"postgres://ta%40rn@[::1]:5433/the%20shop", "host='::1' port='5433' dbname='the shop' user='ta@rn'"},
      {"host=/var/run/postgresql dbname='it''s' user=x", ""},
      {"host=/var/run/postgresql dbname='it\\'s' user=x",
       "host='/var/run/postgresql' port='5432' dbname='it\\'s' user='x'"}};
  for (const auto& [source, wanted] : spellings) {
    const auto text = ConfigTemplate(source, "lake", "", "");
    EXPECT_EQ(text.has_value(), !wanted.empty()) << source;
    if (!text) continue;
    const auto config = ParseConfig(*text, "/etc/tarn.toml");
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->pipeline.conninfo, wanted);
  }
}

TEST(ConfigTest, SeveralHostsAndTheirPorts) {
  const std::vector<std::pair<std::string, std::string>> spellings = {
      {"postgresql://tarn@a:5433,b:5434/shop?target_session_attrs=read-write",
       "host='a,b' port='5433,5434' dbname='shop' user='tarn' target_session_attrs='read-write'"},
      {"postgresql://a,b:5434,c/shop", "host='a,b,c' port='5432,5434,5432' dbname='shop'"},
      {"host=a,b port=5433 dbname=shop", "host='a,b' port='5433' dbname='shop'"}};
  for (const auto& [source, wanted] : spellings) {
    const auto text = ConfigTemplate(source, "lake", "", "");
    ASSERT_TRUE(text) << text.error().message;
    const auto config = ParseConfig(*text, "/etc/tarn.toml");
    ASSERT_TRUE(config) << config.error().message << *text;
    EXPECT_EQ(config->pipeline.conninfo, wanted);
  }
}

TEST(ConfigTest, FilesOfTlsAreRelativeToTheConfiguration) {
  const auto config = ParseConfig(
      "[source]\nhost = \"h\"\nconnection = \"sslmode=verify-full sslrootcert=ca.crt sslkey='/k y'\"\n",
      "/etc/shop/tarn.toml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->pipeline.conninfo,
            "host='h' port='5432' sslkey='/k y' sslmode='verify-full' sslrootcert='/etc/shop/ca.crt'");
  const auto system = ParseConfig("[source]\nconnection = \"sslrootcert=system\"\n", "/etc/shop/tarn.toml");
  ASSERT_TRUE(system) << system.error().message;
  EXPECT_EQ(system->pipeline.conninfo, "port='5432' sslrootcert='system'");
}

TEST(ConfigTest, NoPasswordIsTakenFromTheFile) {
  for (const char* connection : {"password=hush", "sslpassword=hush", "postgresql://u:hush@h/d",
                                 "password='hush", "sslmode=disable pasword=hush password=hush"}) {
    const auto config =
        ParseConfig("[source]\nconnection = \"" + std::string(connection) + "\"\n", "tarn.toml");
    ASSERT_FALSE(config) << connection;
    EXPECT_EQ(config.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(config.error().message.find("hush"), std::string::npos) << config.error().message;
  }
}

TEST(ConfigTest, AWrongValueIsNamedWithItsLine) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"source = \"postgresql://h/d\"\n", "tarn.toml:1: 'source' is a section: write [source]"},
      {"[source]\n[[silver]]\n", "tarn.toml:2: 'silver' is a section"},
      {"[source]\nport = \"54x\"\n", "tarn.toml:2: 'port' must be a whole number, or one for each host"},
      {"[source]\nhost = \"a,b,c\"\nport = \"1,2\"\n",
       "tarn.toml:1: [source] 'port' names 2 ports for 3 hosts"},
      {"[source]\nconnection = \"sslmod=require\"\n",
       "tarn.toml:1: [source] 'connection' is not understood: invalid connection option \"sslmod\""},
      {"[source]\n[log]\nlevel = \"inof\"\n",
       "tarn.toml:3: [log] level 'inof' is none of trace, debug, info, warn, error, "
       "critical, off; did you mean 'info'?"},
      {"[source]\n[query]\n\nthreads = 0\n", "tarn.toml:4: [query] threads is 0, it must be 1 or more"},
      {"[source]\n[gold]\ninterval_ms = -1\n", "tarn.toml:3: [gold] interval_ms is -1"},
      {"[source]\n[principals]\nname = \"a\"\n", "tarn.toml:2: principals must be written as [[principals]]"},
      {"principals = []\n[source]\n", ""},
      {"principals = [1]\n[source]\n", "tarn.toml:1: principals must be"},
      {"[source]\n[[principals]]\nname = \"operator\"\ntenant = \"1\"\n",
       "tarn.toml:2: the principal 'operator' is always there"},
      {"[source]\n[[principals]]\nname = \"a\"\ntenant = \"1\"\noperator = true\n",
       "tarn.toml:2: the principal 'a' is either"},
      {"[source]\n[[principals]]\nname = \"a\"\ntenant = 1\n",
       "tarn.toml:4: 'tenant' must be a text in quotes"}};
  for (const auto& [text, words] : wrong) {
    const auto config = ParseConfig(text, "tarn.toml");
    EXPECT_EQ(config.has_value(), words.empty()) << text;
    if (config) continue;
    EXPECT_NE(config.error().message.find(words), std::string::npos) << config.error().message;
  }
}

TEST(ConfigTest, PrincipalsAreReadAndMayNotRepeat) {
  const std::string one =
      "[source]\n[tenants]\ncolumn = \"org\"\n[[principals]]\nname = \"a\"\ntenant = \"3\"\n";
  const auto config = ParseConfig(one, "tarn.toml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->principals.at("a").tenant_column, "org");
  EXPECT_FALSE(ParseConfig(one + "[[principals]]\nname = \"a\"\n", "tarn.toml"));
  // Partitions go by the column's name in the lake.
  const auto odd =
      ParseConfig("[source]\n[tenants]\ncolumn = \"Org Id\"\n[[principals]]\nname = \"a\"\n", "tarn.toml");
  ASSERT_TRUE(odd) << odd.error().message;
  EXPECT_EQ(odd->principals.at("a").tenant_column, "Org_Id");
}

TEST(ConfigTest, AnObjectStoreForBronze) {
  const std::string source = "[source]\nhost = \"h\"\n";
  const auto config =
      ParseConfig(source +
                      "[bronze]\npath = \"s3://lake/a/b/\"\n[s3]\nregion = \"r\"\nsse = \"aws:kms\"\n"
                      "kms_key_id = \"k\"\npath_style = false\nca_file = \"ca.pem\"\n",
                  "/etc/tarn.toml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->pipeline.bronze_root(), "s3://lake/a/b");
  EXPECT_EQ(config->pipeline.s3.bucket, "lake");
  EXPECT_EQ(config->pipeline.s3.path_style, false);
  EXPECT_EQ(config->pipeline.s3.ca_file, "/etc/ca.pem");
  EXPECT_TRUE(config->pipeline.bronze().is_remote());
  const auto local = ParseConfig(source, "/etc/tarn.toml");
  EXPECT_EQ(local->pipeline.bronze_root(), "/etc/lake");
  EXPECT_FALSE(local->pipeline.bronze().is_remote());
  const std::string path = "[bronze]\npath = \"s3://lake/a\"\n";
  for (const auto& [text, says] : std::vector<std::pair<std::string, std::string>>{
           {"[bronze]\npath = \"/data/bronze\"\n",
            "tarn.toml:4: [bronze] path '/data/bronze' is not written as s3://"},
           {"[bronze]\npath = \"s3://lake\"\n",
            "tarn.toml:4: [bronze] path 's3://lake' names the bucket as a whole"},
           {"[bronze]\npath = \"s3://LAKE/x\"\n", "is no name of a bucket"},
           {"[s3]\nregion = \"r\"\n", "[s3] is of no use without [bronze] path"},
           {path + "[s3]\nsse = \"AES\"\n", "tarn.toml:6: [s3] sse 'AES' is neither AES256 nor aws:kms"},
           {path + "[s3]\nkms_key_id = \"k\"\n", "tarn.toml:6: [s3] kms_key_id needs sse"},
           {path + "[s3]\nretry_seconds = 0\n", "tarn.toml:6: [s3] retry_seconds must be 1 or more"},
           {path + "[s3]\nregio = \"r\"\n", "did you mean 'region'?"}}) {
    const auto refused = ParseConfig(source + text, "tarn.toml");
    ASSERT_FALSE(refused) << text;
    EXPECT_NE(refused.error().message.find(says), std::string::npos) << refused.error().message;
  }
}

}  // namespace
}  // namespace tarn::app
