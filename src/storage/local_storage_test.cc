#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "storage/storage.h"

namespace tarn::storage {
namespace {

class LocalStorageTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "tarn-storage-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    auto storage = OpenLocalStorage(root_ + "/staging");
    ASSERT_TRUE(storage) << storage.error().message;
    storage_ = std::move(*storage);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::string root_;
  std::unique_ptr<Storage> storage_;
};

TEST_F(LocalStorageTest, PutIfAbsentNeverReplaces) {
  const std::string path = root_ + "/a/b/file";
  ASSERT_TRUE(storage_->PutIfAbsent(path, "first"));
  const Status second = storage_->PutIfAbsent(path, "second");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(*storage_->Read(path), "first");
}

TEST_F(LocalStorageTest, AStagedFileIsInvisibleUntilPublished) {
  const std::string path = root_ + "/out";
  {
    auto staged = storage_->Stage(path);
    ASSERT_TRUE(staged);
    ASSERT_TRUE((*staged)->stream()->Write("half", 4).ok());
    EXPECT_FALSE(storage_->Exists(path));
  }
  EXPECT_FALSE(storage_->Exists(path));
  EXPECT_TRUE(storage_->List(root_ + "/staging")->empty());
  auto staged = storage_->Stage(path);
  ASSERT_TRUE((*staged)->stream()->Write("whole", 5).ok());
  ASSERT_TRUE((*staged)->Publish());
  EXPECT_EQ(*storage_->Read(path), "whole");
}

TEST_F(LocalStorageTest, ListsByNameAndNamesWhatIsMissing) {
  ASSERT_TRUE(storage_->Write(root_ + "/d/b", "12"));
  ASSERT_TRUE(storage_->Write(root_ + "/d/a", "1"));
  const auto entries = storage_->List(root_ + "/d");
  ASSERT_EQ(entries->size(), 2U);
  EXPECT_EQ((*entries)[0].name, "a");
  EXPECT_EQ((*entries)[1].size_bytes, 2);
  EXPECT_TRUE(storage_->List(root_ + "/none")->empty());
  const auto missing = storage_->Read(root_ + "/none");
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_NE(missing.error().message.find(root_ + "/none"), std::string::npos);
}

TEST_F(LocalStorageTest, ReadOnlyRefusesWrites) {
  const auto storage = OpenLocalStorageReadOnly();
  EXPECT_EQ(storage->Write(root_ + "/x", "1").error().code, ErrorCode::kPermission);
  EXPECT_FALSE(storage->Exists(root_ + "/x"));
}

}  // namespace
}  // namespace tarn::storage
