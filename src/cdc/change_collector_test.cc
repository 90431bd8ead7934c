#include "cdc/change_collector.h"

#include <gtest/gtest.h>

#include "cdc/test_table.h"

namespace tarn::cdc {
namespace {

SourceTable Notes(size_t columns) {
  std::vector<std::string> names{"id", "body", "extra"};
  names.resize(columns);
  return TextTable("notes", names);
}

/// Events of the table after a column was added, when the catalogue shows it from the given look on.
std::vector<TableEvent> AddColumn(int looks_before_it_shows) {
  int looks = 0;
  CollectorOptions options;
  options.describe = [&](uint32_t) -> Result<std::optional<SourceTable>> {
    return std::optional(Notes(looks++ < looks_before_it_shows ? 2 : 3));
  };
  ChangeCollector collector(options);
  collector.Follow({Notes(2).schema, Lsn{}, Notes(2).storage});
  EXPECT_TRUE(collector.OnBegin({7, Lsn{100}, 1'700'000'000'000'000}));
  EXPECT_TRUE(collector.OnRelation(RelationOf(Notes(3))));
  const std::vector<WireValue> row(3, {WireValue::State::kText, "x"});
  EXPECT_TRUE(collector.OnRow('I', 5, row, {}));
  EXPECT_TRUE(collector.OnCommit(Lsn{110}));
  auto segment = collector.Take(std::chrono::milliseconds(0));
  EXPECT_TRUE(segment);
  return segment ? segment->events : std::vector<TableEvent>();
}

TEST(ChangeCollector, AsksAgainWhereTheCatalogueIsBehind) {
  const auto events = AddColumn(3);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_NE(events[0].rows, nullptr);
}

TEST(ChangeCollector, TakesNothingForGrantedWhereTheCatalogueNeverShowsIt) {
  const auto events = AddColumn(1'000);
  ASSERT_EQ(events.size(), 2U);
  EXPECT_NE(events[0].copy_again.find("changed more than once"), std::string::npos);
}

}  // namespace
}  // namespace tarn::cdc
