#include <arrow/api.h>
#include <gtest/gtest.h>

#include "bronze/chain_verifier.h"
#include "bronze/change_log.h"
#include "bronze/test_bronze.h"
#include "storage/failing_storage.h"

namespace tarn::bronze {
namespace {

/// What somebody who lists the folders has seen: path and bytes of every file.
using Seen = std::map<std::string, std::string>;

class AnnouncedFlushTest : public BronzeTest {
 protected:
  void SetUp() override {
    BronzeTest::SetUp();
    schema::TableSchema other = *table_;
    other.oid = 6;
    other.table_name = "letters";
    schema::AssignLakeNames(other);
    other_ = std::make_shared<const schema::TableSchema>(other);
    store_ = std::make_unique<storage::FailingStorage>(std::move(storage_));
    Start();
  }
  void Start() {
    log_.reset();
    auto log = ChangeLog::Open(store_.get(), lake_, &clock_);
    ASSERT_TRUE(log) << log.error().message;
    log_ = std::move(*log);
  }
  /// A transaction of two rows in each of two tables.
  FlushInput Transaction(uint64_t commit) {
    const auto at = static_cast<int64_t>(commit);
    FlushInput input = Input(commit, RowsAt({{at, 1}, {at, 2}}));
    input.events.push_back({other_, RowsOf(*other_, {{at, 3}, {at, 4}}, 7)});
    return input;
  }
  Seen Look() {
    Seen seen;
    EXPECT_TRUE(ForEachFile(*store_, lake_, "bronze", [&](const std::string& path, const auto&) -> Status {
      seen[path] = *store_->Read(lake_ + "/" + path);
      return {};
    }));
    return seen;
  }
  void ExpectChain(int64_t rows) {
    const auto report = VerifyChain(*store_, lake_, {});
    ASSERT_TRUE(report && report->complete());
    EXPECT_EQ(report->warning_count, 0) << "files of nobody";
    EXPECT_EQ(report->rows, rows);
  }

  std::shared_ptr<const schema::TableSchema> other_;
  std::unique_ptr<storage::FailingStorage> store_;
  std::unique_ptr<ChangeLog> log_;
};

/// Whatever write fails, by a full disk (the process goes on) or a crash: what a job may have read stays.
TEST_F(AnnouncedFlushTest, AFileThatWasSeenStaysWhateverFails) {
  uint64_t commit = 100;
  int64_t rows = 0;
  size_t unfinished = 0, undone = 0;
  for (const bool restart : {false, true}) {
    for (int64_t nth = 1;; nth++) {
      const Seen before = Look();
      store_->FailWrite(nth);
      const bool failed = !log_->Flush(Transaction(commit));
      store_->FailWrite(0);
      const Seen seen = Look();
      if (restart) {
        Start();
      } else {
        ASSERT_TRUE(log_->Recover());
      }
      const Seen after = Look();
      for (const auto& [path, bytes] : seen) {
        ASSERT_TRUE(after.contains(path)) << path << " was there when write " << nth << " failed";
        EXPECT_EQ(after.at(path), bytes);
      }
      if (log_->last() && log_->last()->last_commit.value == commit) {
        rows += 4;
        unfinished += failed ? 1 : 0;
        EXPECT_EQ(after.size(), before.size() + 2);
      } else {
        undone++;
        EXPECT_EQ(after.size(), before.size()) << "nothing of it remains";
      }
      ExpectChain(rows);
      commit += 100;
      if (!failed) break;
    }
  }
  // Two files that wait; the intent, two places, the manifest.
  EXPECT_EQ(undone, 2U * 3);
  EXPECT_EQ(unfinished, 2U * 3);
}

TEST_F(AnnouncedFlushTest, AStartThatFailsIsFinishedByTheNext) {
  store_->FailWrite(4);  // The first file's place.
  ASSERT_FALSE(log_->Flush(Transaction(100)));
  for (const int64_t nth : {1, 2, 3}) {
    store_->FailWrite(nth);
    EXPECT_FALSE(ChangeLog::Open(store_.get(), lake_, &clock_)) << nth;
    store_->FailWrite(0);
  }
  Start();
  EXPECT_EQ(log_->last()->last_commit.value, 100U);
  ExpectChain(4);
}

TEST_F(AnnouncedFlushTest, ARecordOfAnEarlierVersionIsPassedOver) {
  ASSERT_TRUE(log_->Flush(Transaction(100)));
  const std::string old = R"({"sequence": 1, "epoch": 0, "files": [], "abandoned": []})";
  ASSERT_TRUE(store_->Write(lake_ + "/_tarn/bronze/flush.json", old));
  Start();
  ASSERT_TRUE(log_->Flush(Transaction(200)));
  ExpectChain(8);
}

TEST_F(AnnouncedFlushTest, AFileThatIsGoneIsNamed) {
  store_->FailWrite(4);
  ASSERT_FALSE(log_->Flush(Transaction(100)));
  store_->FailWrite(0);
  const std::string folder = lake_ + "/_tarn/bronze/flush";
  ASSERT_TRUE(store_->Remove(folder + "/" + store_->List(folder)->front().name));
  const auto log = ChangeLog::Open(store_.get(), lake_, &clock_);
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, ErrorCode::kNotFound);
  EXPECT_NE(log.error().message.find("/bronze/public/notes/"), std::string::npos) << log.error().message;
}

}  // namespace
}  // namespace tarn::bronze
