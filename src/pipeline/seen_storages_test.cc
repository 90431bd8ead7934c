#include "pipeline/seen_storages.h"

#include <gtest/gtest.h>

namespace tarn::pipeline {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// Decides with a stream that has passed `position`.
SeenStorages::Decided At(SeenStorages& storages, uint64_t position) {
  return storages.Decide([&](Lsn at) { return at.value <= position; });
}

TEST(SeenStoragesTest, WhatNeedsNoTruncateIsNotedAtOnce) {
  SeenStorages storages;
  storages.See({"sale", "1:2", std::nullopt, Lsn{900}});
  EXPECT_EQ(At(storages, 0).noted, (Pairs{{"sale", "1:2"}}));
  EXPECT_TRUE(At(storages, 1000).noted.empty()) << "once";
}

TEST(SeenStoragesTest, ATruncateThatTheStreamToldExplainsIt) {
  SeenStorages storages;
  storages.See({"sale", "1:2", Lsn{100}, Lsn{900}});
  EXPECT_TRUE(At(storages, 899).noted.empty());
  storages.Truncated("sale", Lsn{500});
  EXPECT_EQ(At(storages, 899).noted, (Pairs{{"sale", "1:2"}}));
}

TEST(SeenStoragesTest, OneOfBeforeOrOfAnotherTableDoesNot) {
  SeenStorages storages;
  storages.Truncated("sale", Lsn{100});
  storages.Truncated("shop", Lsn{500});
  storages.See({"sale", "1:2", Lsn{100}, Lsn{900}});
  EXPECT_TRUE(At(storages, 899).untold.empty()) << "it may come yet";
  EXPECT_EQ(At(storages, 900).untold, (std::vector<std::string>{"sale"}));
  EXPECT_TRUE(At(storages, 900).untold.empty()) << "told once a look";
}

TEST(SeenStoragesTest, LaterLooksDoNotPutOffTheDecision) {
  SeenStorages storages;
  storages.See({"sale", "1:2", Lsn{100}, Lsn{900}});
  storages.See({"sale", "1:2", Lsn{100}, Lsn{2000}});
  EXPECT_EQ(At(storages, 900).untold, (std::vector<std::string>{"sale"}));
  storages.See({"sale", "1:2", Lsn{100}, Lsn{900}});
  storages.See({"sale", "1:3", Lsn{100}, Lsn{2000}});
  EXPECT_TRUE(At(storages, 900).untold.empty()) << "another storage is another question";
  storages.Clear();
  EXPECT_TRUE(At(storages, 3000).untold.empty());
}

}  // namespace
}  // namespace tarn::pipeline
