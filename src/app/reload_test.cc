#include "app/reload.h"

#include <gtest/gtest.h>

namespace tarn::app {
namespace {

using Names = std::vector<std::string>;

TEST(ReloadTest, NamesTheSettingsThatAreNotTheSame) {
  const std::string before = "[source]\nport = 5432\n[tables]\ninclude = [\"a.*\", \"b.c\"]\n";
  EXPECT_EQ(ChangedSettings(before, before), Names());
  EXPECT_EQ(
      ChangedSettings(before, "# Said otherwise.\n[source]\nport=5432\n\n[tables]\ninclude=['a.*','b.c']"),
      Names());
  EXPECT_EQ(ChangedSettings(before, "[source]\nport = 5433\n[tables]\ninclude = [\"a.*\"]\nexclude = []\n"),
            Names({"source.port", "tables.exclude", "tables.include"}));
  EXPECT_EQ(ChangedSettings(before, "[source]\n"), Names({"source.port", "tables.include"}));
}

TEST(ReloadTest, NamesMappingsAndPrincipalsAsWholes) {
  const std::string before = "[[mapping]]\ntables = \"a.*\"\n[principals.x]\ntenant = 1\n";
  EXPECT_EQ(ChangedSettings(before, "[[mapping]]\ntables = \"a.b\"\n[principals.x]\ntenant = 1\n"),
            Names({"mapping"}));
  EXPECT_EQ(ChangedSettings(before, before + "[principals.y]\ntenant = 2\n"), Names({"principals"}));
}

}  // namespace
}  // namespace tarn::app
