#include "storage/s3_storage.h"

#include <arrow/buffer.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <numeric>
#include <thread>

// Against a real S3 server, whose address tests/storage/test_s3.py gives by the environment; without one
// these fail.

namespace tarn::storage {
namespace {

std::string Setting(const char* name) {
  const char* value = std::getenv(name);
  EXPECT_NE(value, nullptr) << name << " is not set: run tests/storage/test_s3.py";
  return value == nullptr ? "" : value;
}

class S3StorageTest : public testing::Test {
 protected:
  void SetUp() override {
    options_.bucket = Setting("TARN_TEST_S3_BUCKET");
    options_.endpoint = Setting("TARN_TEST_S3_ENDPOINT");
    root_ = fmt::format("s3://{}/{}", options_.bucket, NewWriteName());
    storage_ = Open(options_);
  }
  void TearDown() override {
    if (storage_ == nullptr) return;
    EXPECT_TRUE(storage_->RemoveTree(root_));
  }
  static std::unique_ptr<Storage> Open(const S3Options& options) {
    auto storage = OpenS3Storage(options);
    EXPECT_TRUE(storage) << storage.error().message;
    return storage ? std::move(*storage) : nullptr;
  }
  std::vector<std::string> Names(const std::string& folder) {
    std::vector<std::string> names;
    const auto entries = storage_->List(folder);
    EXPECT_TRUE(entries) << entries.error().message;
    if (!entries) return names;
    for (const FileInfo& entry : *entries) names.push_back(entry.name + (entry.is_directory ? "/" : ""));
    return names;
  }
  /// Bytes that differ from place to place.
  static std::string Bytes(size_t count) {
    std::string bytes(count, '\0');
    uint32_t state = 1;
    for (char& byte : bytes) byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    return bytes;
  }
  std::string ReadAll(const std::string& path) {
    const auto bytes = storage_->Read(path);
    EXPECT_TRUE(bytes) << bytes.error().message;
    return bytes.value_or("");
  }

  S3Options options_;
  std::string root_;
  std::unique_ptr<Storage> storage_;
};

TEST_F(S3StorageTest, WhatIsWrittenIsReadListedAndRemoved) {
  ASSERT_TRUE(storage_->Write(root_ + "/d/b", "12"));
  ASSERT_TRUE(storage_->Write(root_ + "/d/b", "123")) << "a write replaces";
  ASSERT_TRUE(storage_->Write(root_ + "/d/a", ""));
  ASSERT_TRUE(storage_->Write(root_ + "/d/sub/x", "1"));
  ASSERT_TRUE(storage_->CreateFolder(root_ + "/empty"));
  EXPECT_EQ(ReadAll(root_ + "/d/b"), "123");
  EXPECT_EQ(ReadAll(root_ + "/d/a"), "");
  EXPECT_THAT(Names(root_ + "/d"), testing::ElementsAre("a", "b", "sub/"));
  const auto entries = storage_->List(root_ + "/d");
  EXPECT_EQ((*entries)[1].size_bytes, 3);
  EXPECT_GT((*entries)[1].modified_micros, 1'600'000'000'000'000);
  EXPECT_THAT(Names(root_ + "/none"), testing::IsEmpty());
  EXPECT_TRUE(storage_->Exists(root_ + "/d/b"));
  EXPECT_FALSE(storage_->Exists(root_ + "/d"));
  ASSERT_TRUE(storage_->Remove(root_ + "/d/b"));
  ASSERT_TRUE(storage_->Remove(root_ + "/d/b")) << "what is not there";
  EXPECT_FALSE(storage_->Exists(root_ + "/d/b"));
  const auto missing = storage_->Read(root_ + "/d/b");
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_NE(missing.error().message.find(root_ + "/d/b"), std::string::npos) << missing.error().message;
  EXPECT_EQ(storage_->Open(root_ + "/d/b").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(storage_->Read("s3://other/x").error().code, ErrorCode::kInvalidArgument);
}

TEST_F(S3StorageTest, OfTwoRacersExactlyOneWritesAndTheOtherIsTold) {
  for (int round = 0; round < 20; round++) {
    const std::string path = fmt::format("{}/race/{}", root_, round);
    std::array<Status, 2> outcomes;
    {
      std::vector<std::jthread> racers;
      for (size_t i = 0; i < 2; i++) {
        // Equal bytes: only the write itself tells them apart.
        racers.emplace_back([&, i] { outcomes[i] = storage_->PutIfAbsent(path, "same"); });
      }
    }
    ASSERT_EQ(outcomes[0].has_value() + outcomes[1].has_value(), 1) << "round " << round;
    const Status& loser = outcomes[0] ? outcomes[1] : outcomes[0];
    EXPECT_EQ(loser.error().code, ErrorCode::kAlreadyExists) << loser.error().message;
  }
}

TEST_F(S3StorageTest, PutIfAbsentNeverReplaces) {
  ASSERT_TRUE(storage_->PutIfAbsent(root_ + "/a/file", "first"));
  const Status second = storage_->PutIfAbsent(root_ + "/a/file", "second");
  EXPECT_EQ(second.error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(ReadAll(root_ + "/a/file"), "first");
}

TEST_F(S3StorageTest, MoreThanAPageOfKeysIsListedAndRemoved) {
  const int files = 2003;
  std::atomic<int> next{0};
  {
    std::vector<std::jthread> writers;
    for (int i = 0; i < 4; i++) {
      writers.emplace_back([&] {
        for (int file = next++; file < files; file = next++)
          EXPECT_TRUE(storage_->Write(fmt::format("{}/many/{:05}", root_, file), "x"));
      });
    }
  }
  ASSERT_TRUE(storage_->Write(root_ + "/many2", "not below many/"));
  const auto names = Names(root_ + "/many");
  ASSERT_EQ(names.size(), static_cast<size_t>(files));
  for (int file = 0; file < files; file++)
    ASSERT_EQ(names[static_cast<size_t>(file)], fmt::format("{:05}", file));
  ASSERT_TRUE(storage_->RemoveTree(root_ + "/many"));
  EXPECT_THAT(Names(root_), testing::ElementsAre("many2"));
}

TEST_F(S3StorageTest, KeysOfEveryKindComeBackAsTheyWere) {
  const std::vector<std::string> names = {
      "a b",  "a+b",       "a=b", "a%20b", "a&b<c>\"d\"'e'",         "ünïcödé-日本-🐟", "a~b!c*d(e)f", "x?y#z",
      "a\\b", "tab\there", "..",  "...",   "a:b;c,d@e$f|g^h`i{j}[k]"};
  for (const std::string& name : names) {
    const std::string folder = root_ + "/odd/" + name;
    ASSERT_TRUE(storage_->Write(folder + "/file", name)) << name;
    EXPECT_EQ(ReadAll(folder + "/file"), name);
    EXPECT_THAT(Names(folder), testing::ElementsAre("file")) << name;
    EXPECT_TRUE(storage_->Exists(folder + "/file")) << name;
  }
  std::vector<std::string> wanted;
  for (const std::string& name : names) wanted.push_back(name + "/");
  EXPECT_THAT(Names(root_ + "/odd"), testing::UnorderedElementsAreArray(wanted));
  ASSERT_TRUE(storage_->RemoveTree(root_ + "/odd"));
  EXPECT_THAT(Names(root_ + "/odd"), testing::IsEmpty());
}

TEST_F(S3StorageTest, AStagedFileIsInvisibleUntilPublished) {
  for (const size_t size : {size_t{5}, size_t{20'000'000}}) {
    const std::string path = fmt::format("{}/staged/{}", root_, size);
    const std::string bytes = Bytes(size);
    {
      auto dropped = storage_->Stage(path);
      ASSERT_TRUE((*dropped)->stream()->Write(bytes.data(), static_cast<int64_t>(size)).ok());
    }
    auto staged = storage_->Stage(path);
    ASSERT_TRUE(staged);
    for (size_t at = 0; at < size; at += 1'000'003) {
      const auto part = static_cast<int64_t>(std::min<size_t>(1'000'003, size - at));
      ASSERT_TRUE((*staged)->stream()->Write(bytes.data() + at, part).ok());
    }
    EXPECT_EQ(*(*staged)->stream()->Tell(), static_cast<int64_t>(size));
    EXPECT_FALSE(storage_->Exists(path));
    const Status published = (*staged)->Publish();
    ASSERT_TRUE(published) << published.error().message;
    EXPECT_TRUE(ReadAll(path) == bytes) << size;
  }
  // test_s3.py looks whether an upload is left.
}

TEST_F(S3StorageTest, RangesAreReadByManyAtOnce) {
  for (const int64_t size : {int64_t{1000}, int64_t{9'000'000}}) {
    const std::string bytes = Bytes(static_cast<size_t>(size));
    const std::string path = fmt::format("{}/ranges/{}", root_, size);
    ASSERT_TRUE(storage_->Write(path, bytes));
    const auto file = storage_->Open(path);
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(*(*file)->GetSize(), size);
    std::vector<std::jthread> readers;
    for (int64_t i = 0; i < 4; i++) {
      readers.emplace_back([&, i] {
        for (int64_t at = i * 7; at < size; at += size / 5) {
          const auto part = (*file)->ReadAt(at, 64 * 1024);
          ASSERT_TRUE(part.ok()) << part.status();
          EXPECT_TRUE((*part)->ToString() == bytes.substr(static_cast<size_t>(at), 64 * 1024)) << at;
        }
      });
    }
    readers.clear();
    EXPECT_EQ((*(*file)->ReadAt(size - 3, 10))->ToString(), bytes.substr(static_cast<size_t>(size) - 3));
    EXPECT_EQ((*(*file)->ReadAt(size, 10))->size(), 0);
    ASSERT_TRUE((*file)->Seek(10).ok());
    EXPECT_EQ((*(*file)->Read(5))->ToString(), bytes.substr(10, 5));
    EXPECT_EQ(*(*file)->Tell(), 15);
  }
}

TEST_F(S3StorageTest, UnfinishedUploadsAreRemovedBelowTheFolderOnly) {
  const std::string bytes = Bytes(8 << 20);  // One whole part, sent.
  auto inside = storage_->Stage(root_ + "/mine/file");
  auto outside = storage_->Stage(root_ + "/mine2/file");
  for (auto* staged : {&inside, &outside})
    ASSERT_TRUE((**staged)->stream()->Write(bytes.data(), static_cast<int64_t>(bytes.size())).ok());
  ASSERT_TRUE(storage_->DiscardUnpublished(root_ + "/mine"));
  EXPECT_EQ((*inside)->Publish().error().code, ErrorCode::kNotFound);
  EXPECT_TRUE((*outside)->Publish());
  EXPECT_THAT(Names(root_), testing::ElementsAre("mine2/"));
}

TEST_F(S3StorageTest, ReadOnlyRefusesWrites) {
  ASSERT_TRUE(storage_->Write(root_ + "/x", "1"));
  S3Options options = options_;
  options.read_only = true;
  const auto reader = Open(options);
  EXPECT_EQ(*reader->Read(root_ + "/x"), "1");
  EXPECT_EQ(reader->Write(root_ + "/x", "2").error().code, ErrorCode::kPermission);
  EXPECT_EQ(reader->PutIfAbsent(root_ + "/y", "2").error().code, ErrorCode::kPermission);
  EXPECT_EQ(reader->Stage(root_ + "/x").error().code, ErrorCode::kPermission);
  EXPECT_EQ(reader->Remove(root_ + "/x").error().code, ErrorCode::kPermission);
  EXPECT_EQ(reader->RemoveTree(root_).error().code, ErrorCode::kPermission);
  EXPECT_EQ(reader->DiscardUnpublished(root_).error().code, ErrorCode::kPermission);
}

TEST_F(S3StorageTest, AMissingBucketIsNamedWithWhatToDo) {
  S3Options options = options_;
  options.bucket = "no-such-bucket";
  const auto storage = Open(options);
  for (const Status& outcome : {storage->Write("s3://no-such-bucket/x", "1"),
                                Status(storage->List("s3://no-such-bucket/x").error())}) {
    EXPECT_EQ(outcome.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(outcome.error().message,
                testing::HasSubstr("there is no bucket 'no-such-bucket' at http://"));
  }
}

TEST_F(S3StorageTest, NobodyAnsweringIsUnavailableAfterSomePatience) {
  S3Options options = options_;
  options.endpoint = "http://127.0.0.1:1";
  options.patience_micros = 500'000;
  const auto outcome = Open(options)->Read(root_ + "/x");
  EXPECT_EQ(outcome.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(outcome.error().message, testing::HasSubstr("http://127.0.0.1:1 does not answer"));
  CancelToken cancel;
  cancel.Cancel();
  options.patience_micros = 3'600'000'000;
  options.cancel = &cancel;
  EXPECT_EQ(Open(options)->Read(root_ + "/x").error().code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace tarn::storage
