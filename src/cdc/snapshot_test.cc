#include "cdc/snapshot.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/test_seed.h"

namespace tarn::cdc {
namespace {

std::vector<std::pair<int64_t, int64_t>> Split(std::vector<int64_t> pages, int64_t pages_per_range) {
  SourceTable table;
  table.pages = std::move(pages);
  std::vector<std::pair<int64_t, int64_t>> ranges;
  for (const PageRange& range : SplitPages(table, pages_per_range)) ranges.emplace_back(range.from, range.to);
  return ranges;
}

using Ranges = std::vector<std::pair<int64_t, int64_t>>;

TEST(SplitPagesTest, OneRelation) {
  EXPECT_EQ(Split({0}, 100), (Ranges{{0, -1}}));
  EXPECT_EQ(Split({100}, 100), (Ranges{{0, -1}}));
  EXPECT_EQ(Split({101}, 100), (Ranges{{0, 100}, {100, -1}}));
  EXPECT_EQ(Split({250}, 100), (Ranges{{0, 100}, {100, 200}, {200, -1}}));
}

TEST(SplitPagesTest, PagesOfSeveralRelationsTogether) {
  EXPECT_EQ(Split({}, 100), (Ranges{{0, -1}})) << "they are not known";
  EXPECT_EQ(Split({40, 60}, 100), (Ranges{{0, -1}}));
  EXPECT_EQ(Split({100, 100}, 100), (Ranges{{0, 50}, {50, -1}}));
  // Behind the end of the small one there is more room for the large one.
  EXPECT_EQ(Split({10, 300}, 100), (Ranges{{0, 90}, {90, 190}, {190, 290}, {290, -1}}));
  EXPECT_EQ(Split(std::vector<int64_t>(1000, 2), 100), (Ranges{{0, 1}, {1, -1}})) << "a page of each";
}

TEST(SplitPagesTest, RandomRelations) {
  const unsigned seed = TestSeed();
  std::mt19937 random(seed);
  for (int turn = 0; turn < 200; turn++) {
    std::vector<int64_t> pages(1 + random() % 20);
    for (int64_t& count : pages) count = static_cast<int64_t>(random() % 3000);
    const int64_t per_range = 50 + static_cast<int64_t>(random() % 500);
    const Ranges ranges = Split(pages, per_range);
    int64_t next = 0;
    for (const auto& [from, to] : ranges) {
      ASSERT_EQ(from, next) << "seed " << seed;
      next = to;
      int64_t taken = 0;
      for (const int64_t count : pages)
        taken += std::clamp<int64_t>((to < 0 ? count : std::min(to, count)) - from, 0, count);
      EXPECT_LE(taken, per_range) << "seed " << seed;
      if (to < 0) continue;
      EXPECT_GT(taken, per_range - static_cast<int64_t>(pages.size()) - 1) << "seed " << seed;
    }
    EXPECT_EQ(next, -1) << "seed " << seed;
  }
}

}  // namespace
}  // namespace tarn::cdc
