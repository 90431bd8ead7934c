#include "pipeline/lake_view.h"

#include <gtest/gtest.h>

#include "hudi/test_folder.h"

namespace tarn::pipeline {
namespace {

std::string Instant(int number) { return fmt::format("202611221015{:05}", number); }

/// A lake whose newest version is replaced by the next one as soon as somebody has the tail of it.
class LakeViewTest : public testing::Test, public TailSource {
 protected:
  LakeViewTest()
      : storage_(*storage::OpenLocalStorage(folder_.path() + "/_tarn/staging")),
        layout_(folder_.path()),
        versions_(*catalog::LakeVersions::Open(storage_.get(), layout_)),
        view_(storage_.get(), layout_, versions_.get(), false) {
    Publish();
    view_.Follow(this);
  }

  void Publish() {
    newest_++;
    const catalog::LakeVersion version{
        Instant(newest_), 0, Lsn{uint64_t(newest_) * 100}, newest_ * 1000, {"t"}, {}, {}};
    EXPECT_TRUE(versions_->Publish(*storage_, version));
  }

  Result<std::shared_ptr<const TailState>> PinTail() override {
    auto tail = std::make_shared<TailState>();
    TARN_ASSIGN(tail->base, versions_->Find(std::nullopt));
    tail->lsn = Lsn{tail->base.lsn.value + 50};
    tail->commit_micros = tail->base.commit_micros + 500;
    tail->rows = 3;
    Publish();
    return std::shared_ptr<const TailState>(std::move(tail));
  }

  std::string Pinned(std::optional<int64_t> as_of_micros) {
    const auto version = view_.Pin(as_of_micros);
    EXPECT_TRUE(version);
    return version ? (*version)->Describe() : "";
  }

  hudi::TestFolder folder_;
  std::unique_ptr<storage::Storage> storage_;
  catalog::LakeLayout layout_;
  std::unique_ptr<catalog::LakeVersions> versions_;
  LakeView view_;
  int newest_ = 0;
};

TEST_F(LakeViewTest, ATailIsOverTheVersionThatItWasMadeFor) {
  // Over the next one its rows would stand twice, and hide rows of other places.
  const std::string newest = Pinned(std::nullopt);
  EXPECT_NE(newest.find("lake version " + Instant(1) + " "), std::string::npos) << newest;
  EXPECT_NE(newest.find("3 rows newer than it (source position 0/96,"), std::string::npos) << newest;
  const std::string now = Pinned(10'000'000);
  EXPECT_NE(now.find("lake version " + Instant(2) + " "), std::string::npos) << now;
  EXPECT_NE(now.find("3 rows newer than it (source position 0/FA,"), std::string::npos) << now;
}

TEST_F(LakeViewTest, ATimeBeforeTheTailIsAVersionAlone) {
  const std::string before = Pinned(1400);
  EXPECT_NE(before.find("lake version " + Instant(1) + " "), std::string::npos) << before;
  EXPECT_EQ(before.find("newer"), std::string::npos) << before;
  view_.Follow(nullptr);
  EXPECT_NE(Pinned(std::nullopt).find("lake version " + Instant(newest_) + " "), std::string::npos);
}

}  // namespace
}  // namespace tarn::pipeline
