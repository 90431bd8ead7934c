#include "hudi/identity_map.h"

#include <gtest/gtest.h>

#include <random>
#include <unordered_map>

#include "base/test_seed.h"

namespace tarn::hudi {
namespace {

TEST(IdentityMapTest, HoldsWhatAMapHolds) {
  const uint32_t seed = TestSeed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  IdentityMap<int64_t> map;
  std::unordered_map<Hash128, int64_t, HashOfHash> expected;
  EXPECT_TRUE(map.find({1, 2}) == map.end());
  for (int64_t i = 0; i < 20'000; i++) {
    // Many meet in their low bits, some are equal, and one would look free.
    const Hash128 identity{random() % 5'000 << (random() % 3 * 20), random() % 3};
    const auto [it, added] = map.try_emplace(identity);
    const auto [known, is_new] = expected.try_emplace(identity);
    if (identity == Hash128{0, 1} || identity == Hash128{0, 0}) {
      it->second = known->second = -1;  // These two are one.
      expected.try_emplace({0, 0}).first->second = expected.try_emplace({0, 1}).first->second = -1;
      map.try_emplace({0, 1}).first->second = -1;
      continue;
    }
    ASSERT_EQ(added, is_new);
    ASSERT_EQ(it->second, known->second);
    it->second = known->second = i;
  }
  size_t walked = 0;
  for (const auto& [identity, value] : map) {
    ASSERT_EQ(expected.at(identity), value);
    walked++;
  }
  EXPECT_EQ(walked, map.size());
  EXPECT_EQ(map.size(), expected.size() - expected.count({0, 0}));
  for (const auto& [identity, value] : expected) ASSERT_EQ(map.at(identity), value);
  EXPECT_TRUE(map.find({77, 77}) == map.end());
  map.clear();
  EXPECT_TRUE(map.empty());
  EXPECT_TRUE(map.begin() == map.end());
}

}  // namespace
}  // namespace tarn::hudi
