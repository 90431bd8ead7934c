// What services ask of the storage, and leave behind, while a table lives under a window of time.
#include <gtest/gtest.h>

#include <random>
#include <utility>

#include "hudi/known_commits.h"
#include "hudi/savepoint.h"
#include "hudi/table_history.h"
#include "hudi/test_folder.h"
#include "storage/counting_storage.h"

namespace tarn::hudi {
namespace {

constexpr int64_t kSecond = 1'000'000;

/// A table whose newest slices have predecessors, written through a store that counts.
class WindowServices : public testing::Test {
 protected:
  WindowServices() : history_(folder_.path(), true), counting_(&history_.storage()) {
    history_.Load(100);
    auto table = Table::Open(&counting_, history_.base(), history_.side());
    EXPECT_TRUE(table);
    table_ = std::move(*table);
    for (int i = 0; i < 3; i++) Compact();
  }

  void Compact(const CommitProperties& properties = {}) {
    const std::string changed = history_.Next();
    ASSERT_TRUE(table_->Upsert(changed, history_.Draw(random_, 40, 150), properties));
    const auto compacted = table_->Compact(history_.Next(), {}, {}, true);
    ASSERT_TRUE(compacted && *compacted);
  }

  using Cleaned = std::pair<int64_t, int64_t>;
  /// How many files went, and how often the table was listed for that.
  Cleaned Clean(int64_t retain_micros) {
    ServiceOptions options;
    options.retain_micros = retain_micros;
    const int64_t before = counting_.listings(history_.base());
    const auto files = table_->Clean(history_.Next(), options);
    EXPECT_TRUE(files) << files.error().message;
    return {files ? *files : -1, counting_.listings(history_.base()) - before};
  }

  const TestFolder folder_;
  std::mt19937 random_{11};
  History history_;
  storage::CountingStorage counting_;
  std::unique_ptr<Table> table_;
};

TEST_F(WindowServices, CleaningListsFilesOnlyWhenSomeMayBeOld) {
  const Cleaned nothing{0, 0};
  EXPECT_EQ(Clean(100 * kSecond), Cleaned(0, 1));
  for (int i = 0; i < 3; i++) EXPECT_EQ(Clean(100 * kSecond), nothing);
  // The window moves over the slices: what is looked for is found at once, and no sooner.
  const Cleaned some = Clean(kSecond);
  EXPECT_GT(some.first, 0);
  EXPECT_EQ(some.second, 1);
  EXPECT_EQ(Clean(0), nothing);
  Compact();
  EXPECT_EQ(Clean(20 * kSecond), nothing);
  const Cleaned more = Clean(0);
  EXPECT_GT(more.first, 0);
  EXPECT_EQ(more.second, 1);
}

TEST_F(WindowServices, WhatASavepointKeptIsCleanedOnceItIsGone) {
  const std::string saved = table_->LastInstant();
  ASSERT_TRUE(table_->CreateSavepoint(saved, "test", "kept"));
  Compact();
  EXPECT_GT(Clean(0).first, 0);
  EXPECT_EQ(Clean(0), Cleaned(0, 0));
  // By another process, as `tarn hudi savepoint --delete` does.
  ASSERT_TRUE(RemoveSavepoint(history_.storage(), history_.base(), saved));
  const Cleaned kept = Clean(0);
  EXPECT_GT(kept.first, 0);
  EXPECT_EQ(kept.second, 1);
}

TEST_F(WindowServices, TheArchiveForgetsWhatIsOutsideTheWindow) {
  ServiceOptions options;
  options.retain_micros = 24 * kSecond;
  options.keep_active_instants = 4;
  // A few commits fill a file of the archive.
  const CommitProperties properties{{"note", std::string(2 << 20, 'x')}};
  std::set<std::string> made;
  std::string cleaned_at;
  for (int i = 0; i < 16; i++) {
    Compact(properties);
    if (HasFatalFailure()) return;
    made.insert(table_->LastInstant());
    cleaned_at = history_.Next();
    ASSERT_TRUE(table_->Clean(cleaned_at, options));
    const auto moved = table_->Archive(history_.Next(), options);
    ASSERT_TRUE(moved) << moved.error().message;
  }
  const auto files = history_.storage().List(history_.base() + "/.hoodie/archived");
  ASSERT_TRUE(files);
  EXPECT_GE(files->size(), 1U);
  EXPECT_LE(files->size(), 5U);
  // All that the window has is known still, and most else is not.
  const auto known = KnownCommits(history_.storage(), history_.base());
  const std::string begin = FormatInstant(*ParseInstant(cleaned_at) - options.retain_micros);
  for (auto instant = made.lower_bound(begin); instant != made.end(); ++instant)
    EXPECT_TRUE(known.contains(*instant)) << *instant;
  EXPECT_FALSE(known.contains(*made.begin()));
}

}  // namespace
}  // namespace tarn::hudi
