#include <arrow/api.h>
#include <gtest/gtest.h>

#include "bronze/chain_verifier.h"
#include "bronze/change_log.h"
#include "bronze/test_bronze.h"
#include "storage/forwarding_storage.h"

namespace tarn::bronze {
namespace {

/// A store whose answer to a conditional write is lost, as when the network or the process dies; the write is
/// done at once, later, or never.
class LateStore : public storage::ForwardingStorage {
 public:
  using ForwardingStorage::ForwardingStorage;
  enum class Next { kAnswer, kLose, kDelay } next = Next::kAnswer;

  Status PutIfAbsent(const std::string& path, std::string_view bytes) override {
    const Next now = std::exchange(next, Next::kAnswer);
    if (now == Next::kAnswer) return real()->PutIfAbsent(path, bytes);
    delayed_ = {path, std::string(bytes)};
    if (now == Next::kLose) {
      EXPECT_TRUE(real()->PutIfAbsent(path, bytes));
    }
    return MakeError(ErrorCode::kUnavailable, "no answer for '{}'", path);
  }
  /// The delayed write comes.
  Status Arrive() { return real()->PutIfAbsent(delayed_.first, delayed_.second); }

 private:
  std::pair<std::string, std::string> delayed_;
};

class LateWriteTest : public BronzeTest {
 protected:
  void SetUp() override {
    BronzeTest::SetUp();
    store_ = std::make_unique<LateStore>(storage_.get());
    place_ = std::make_unique<BronzePlace>(lake_, lake_ + "/intents");
    Start();
  }
  /// As a process that begins.
  void Start() {
    auto log = ChangeLog::Open(store_.get(), *place_, &clock_);
    ASSERT_TRUE(log) << log.error().message;
    log_ = std::move(*log);
  }
  /// So many rows of one transaction.
  FlushInput Transaction(uint64_t commit, int64_t rows) {
    std::vector<schema::ChangePosition> positions;
    for (int64_t i = 0; i < rows; i++) positions.push_back({static_cast<int64_t>(commit), i + 1});
    return Input(commit, RowsAt(positions));
  }
  int64_t RowsInBronze() {
    const auto report = VerifyChain(*store_, lake_, {});
    EXPECT_TRUE(report && report->complete())
        << (report && !report->faults.empty() ? report->faults[0].where + " " + report->faults[0].what : "");
    EXPECT_EQ(report->warning_count, 0) << "files of nobody";
    return report->rows;
  }

  std::unique_ptr<LateStore> store_;
  std::unique_ptr<BronzePlace> place_;
  std::unique_ptr<ChangeLog> log_;
};

TEST_F(LateWriteTest, AManifestThatIsDelayedIsSentAgainAndRefusedWhenItComes) {
  for (const bool restart : {false, true}) {
    const auto commit = static_cast<uint64_t>(restart ? 300 : 100);
    store_->next = LateStore::Next::kDelay;
    EXPECT_EQ(log_->Flush(Transaction(commit, 3)).error().code, ErrorCode::kUnavailable);
    if (restart) {
      Start();
    } else {
      ASSERT_TRUE(log_->Recover());
    }
    EXPECT_EQ(log_->last()->last_commit.value, commit) << "it was announced";
    EXPECT_EQ(store_->Arrive().error().code, ErrorCode::kAlreadyExists);
    ASSERT_TRUE(log_->Flush(Transaction(commit + 100, 4)));
    EXPECT_EQ(log_->last()->sequence, restart ? 4 : 2);
    EXPECT_EQ(RowsInBronze(), restart ? 14 : 7);
  }
}

TEST_F(LateWriteTest, AManifestWhoseAnswerWasLostCounts) {
  for (const bool restart : {false, true}) {
    const auto commit = static_cast<uint64_t>(restart ? 200 : 100);
    store_->next = LateStore::Next::kLose;
    EXPECT_FALSE(log_->Flush(Transaction(commit, 3)));
    if (restart) {
      Start();
    } else {
      ASSERT_TRUE(log_->Recover());
    }
    EXPECT_EQ(log_->last()->last_commit.value, commit);
    EXPECT_EQ(RowsInBronze(), restart ? 6 : 3);
  }
}

TEST_F(LateWriteTest, AManifestThatSaysSomethingElseIsNotTakenForOurs) {
  store_->next = LateStore::Next::kDelay;
  EXPECT_FALSE(log_->Flush(Transaction(100, 3)));
  const std::string path = ManifestFolder(lake_) + "/" + ManifestName(1);
  ASSERT_TRUE(store_->Write(path, "{}"));
  const Status recovered = log_->Recover();
  ASSERT_FALSE(recovered);
  EXPECT_EQ(recovered.error().code, ErrorCode::kCorrupt);
  EXPECT_NE(recovered.error().message.find(path), std::string::npos) << recovered.error().message;
}

TEST_F(LateWriteTest, ManifestsThatAreGoneAreNoticed) {
  ASSERT_TRUE(log_->Flush(Transaction(100, 3)));
  ASSERT_TRUE(log_->Flush(Transaction(200, 3)));
  ASSERT_TRUE(store_->RemoveTree(ManifestFolder(lake_)));
  const auto log = ChangeLog::Open(store_.get(), *place_, &clock_);
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, ErrorCode::kCorrupt);
  EXPECT_NE(log.error().message.find("ends with manifest 0, but this lake wrote number 1"), std::string::npos)
      << log.error().message;
}

TEST_F(LateWriteTest, ACopyThatWasCutOffCannotComeLate) {
  auto writer = std::move(*BeginCopy(store_.get(), *place_, Lsn{50}, 1));
  ASSERT_TRUE(writer->Append(0, *Rows(0, 10)));
  store_->next = LateStore::Next::kDelay;
  EXPECT_FALSE(writer->Finish());
  const std::string folder = lake_ + "/bronze/public/notes";
  const std::string cut_off = store_->List(folder)->at(0).name;

  writer = std::move(*BeginCopy(store_.get(), *place_, Lsn{60}, 1));
  EXPECT_TRUE(ChangeLog::ReadLoads(*store_, lake_)->empty());
  EXPECT_EQ(store_->Arrive().error().code, ErrorCode::kAlreadyExists);
  // The rows of the new copy are one more; so is its number.
  ASSERT_TRUE(writer->Append(0, *RowsAt(std::vector<schema::ChangePosition>(1, {60, 1}))));
  ASSERT_TRUE(store_->Write(folder + "/" + cut_off, "late"));
  ASSERT_TRUE(writer->Finish());
  const auto loads = ChangeLog::ReadLoads(*store_, lake_);
  ASSERT_EQ(loads->at("notes").size(), 1U);
  EXPECT_EQ(loads->at("notes")[0].rows, 1);
  EXPECT_NE(loads->at("notes")[0].files[0].path, "bronze/public/notes/" + cut_off);
  EXPECT_EQ(RowsInBronze(), 1);

  writer = std::move(*BeginCopy(store_.get(), *place_, Lsn{70}, 1));
  ASSERT_TRUE(writer->Append(0, *RowsAt({{70, 1}, {70, 2}})));
  ASSERT_TRUE(writer->Finish());
  EXPECT_EQ(RowsInBronze(), 3) << "a finished copy stays";
}

TEST_F(LateWriteTest, ACopyWhoseAnswerWasLostCounts) {
  auto writer = std::move(*BeginCopy(store_.get(), *place_, Lsn{50}, 1));
  ASSERT_TRUE(writer->Append(0, *RowsAt({{50, 1}, {50, 2}})));
  store_->next = LateStore::Next::kLose;
  EXPECT_FALSE(writer->Finish());
  writer = std::move(*BeginCopy(store_.get(), *place_, Lsn{50}, 1));
  EXPECT_EQ(ChangeLog::ReadLoads(*store_, lake_)->at("notes").size(), 1U);
  EXPECT_EQ(RowsInBronze(), 2);
}

}  // namespace
}  // namespace tarn::bronze
