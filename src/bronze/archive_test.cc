#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "bronze/test_days.h"
#include "storage/forwarding_storage.h"

namespace tarn::bronze {
namespace {

TEST_F(ArchiveTest, ArchivedDaysSayWhatTheSmallFilesSaid) {
  Days(5);
  const auto links = Links();
  ExpectAll();
  int64_t archived = 0;
  std::string day;
  while (true) {
    const auto archive = ArchiveNext();
    if (!archive) {
      ASSERT_EQ(archive.error().code, ErrorCode::kNotFound) << archive.error().message;
      break;
    }
    EXPECT_LE(day, archive->day);
    archived += day == archive->day ? 0 : 1;
    day = archive->day;
    EXPECT_EQ(Links(), links);
    ExpectAll();
  }
  EXPECT_GE(archived, 4);
  const auto small = FilesBelow("bronze"), large = FilesBelow("bronze_archive");
  EXPECT_FALSE(large.empty());
  EXPECT_EQ(VerifyChain(*store_, lake_, {})->archived_days, archived);
  // Too early: nothing goes.
  EXPECT_EQ(RemoveArchived(store_.get(), lake_, clock_.NowMicros() - 1, nullptr)->manifests, 0);
  const auto removed = *RemoveArchived(store_.get(), lake_, clock_.NowMicros(), nullptr);
  EXPECT_EQ(FilesBelow("bronze").size(), small.size() - static_cast<size_t>(removed.files));
  EXPECT_GT(removed.files, 0);
  EXPECT_EQ(Links(), links);
  ExpectAll();
  // The writer goes on, and so does the archive.
  Days(2);
  ASSERT_TRUE(ArchiveNext());
  ExpectAll();
}

TEST_F(ArchiveTest, AFileThatIsGoneIsMissedOnlyWhereNoArchiveHasIt) {
  Days(3);
  while (ArchiveNext()) {
  }
  // As a lifecycle rule does it: files go, manifests stay.
  const auto archives = *ListArchives(*store_, lake_);
  std::vector<Manifest> small;
  const auto names = *store_->List(ManifestFolder(lake_));
  for (const auto& file : names)
    small.push_back(*ManifestFromJson(*store_->Read(ManifestFolder(lake_) + "/" + file.name)));
  std::string kept;
  for (const Manifest& manifest : small) {
    for (const ManifestEvent& event : manifest.events) {
      if (event.at) continue;
      if (manifest.sequence > archives.back().last) {
        kept = event.file.path;
      } else {
        ASSERT_TRUE(store_->Remove(lake_ + "/" + event.file.path));
      }
    }
  }
  ExpectAll();
  ASSERT_TRUE(store_->Remove(lake_ + "/" + kept));
  auto report = *VerifyChain(*store_, lake_, {});
  ASSERT_EQ(report.faults.size(), 1U);
  EXPECT_EQ(report.faults[0].where, kept);
  EXPECT_EQ(report.faults[0].what, "is not there");
}

/// A store in which a running tarn takes archived flushes away while somebody reads: what is asked for by the
/// `at`-th request is gone when the answer is wanted.
class RemovingStorage : public storage::ForwardingStorage {
 public:
  RemovingStorage(storage::Storage* real, int at) : ForwardingStorage(real), left_(at) {}

  Result<std::string> Read(const std::string& path) const override {
    TakeAway(path);
    return ForwardingStorage::Read(path);
  }
  Result<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const std::string& path) const override {
    TakeAway(path);
    return ForwardingStorage::Open(path);
  }

  std::set<std::string> archived;  ///< Paths that may go.
  mutable std::string gone;

 private:
  void TakeAway(const std::string& path) const {
    if (!archived.contains(path) || left_-- != 0) return;
    gone = path;
    EXPECT_TRUE(real()->Remove(path));
  }

  mutable int left_;
};

TEST_F(ArchiveTest, WhatIsRemovedWhileItIsVerifiedIsNotMissed) {
  Days(4);
  while (ArchiveNext()) {
  }
  const auto archives = *ListArchives(*store_, lake_);
  std::set<std::string> archived;
  for (int64_t sequence = archives.front().first; sequence <= archives.back().last; sequence++) {
    const std::string path = ManifestFolder(lake_) + "/" + ManifestName(sequence);
    archived.insert(path);
    const auto manifest = *ManifestFromJson(*store_->Read(path));
    for (const ManifestEvent& event : manifest.events) {
      if (!event.at) archived.insert(lake_ + "/" + event.file.path);
    }
  }
  int removed = 0;
  for (int at = 0;; at++) {
    RemovingStorage removing(store_.get(), at);
    removing.archived = archived;
    const auto report = *VerifyChain(removing, lake_, {});
    EXPECT_TRUE(report.complete()) << removing.gone << ": " << report.faults[0].what;
    EXPECT_TRUE(report.warnings.empty() || report.warnings[0].where != removing.gone);
    if (removing.gone.empty()) break;
    removed++;
  }
  EXPECT_GT(removed, static_cast<int>(archives.size()));
}

TEST_F(ArchiveTest, DamageOfTheArchiveIsFound) {
  Days(3);
  while (ArchiveNext()) {
  }
  const auto files = FilesBelow("bronze_archive");
  const std::string path = files[static_cast<size_t>(Random(0, static_cast<int64_t>(files.size()) - 1))];
  const std::string bytes = *store_->Read(lake_ + "/" + path);
  const auto expect_fault = [&](const std::string& word) {
    const auto report = *VerifyChain(*store_, lake_, {});
    ASSERT_EQ(report.faults.size(), 1U);
    EXPECT_EQ(report.faults[0].where, path);
    EXPECT_NE(report.faults[0].what.find(word), std::string::npos) << report.faults[0].what;
    const auto removed = RemoveArchived(store_.get(), lake_, clock_.NowMicros(), nullptr);
    ASSERT_FALSE(removed) << "the small files are the only good ones";
    EXPECT_NE(removed.error().message.find(path), std::string::npos) << removed.error().message;
  };
  std::string damaged = bytes;
  damaged[static_cast<size_t>(Random(0, static_cast<int64_t>(bytes.size()) - 1))] ^= 16;
  ASSERT_TRUE(store_->Write(lake_ + "/" + path, damaged));
  expect_fault("CRC-32");
  ASSERT_TRUE(store_->Remove(lake_ + "/" + path));
  expect_fault("is not there");
  ASSERT_TRUE(store_->Write(lake_ + "/" + path, bytes));
  ExpectAll();
  // A day that is gone from the archive, and its small files with it.
  ASSERT_TRUE(RemoveArchived(store_.get(), lake_, clock_.NowMicros(), nullptr));
  const auto archives = *ListArchives(*store_, lake_);
  ASSERT_TRUE(store_->Remove(ArchiveFolder(lake_) + "/" + ArchiveName(archives[1])));
  const auto report = *VerifyChain(*store_, lake_, {});
  ASSERT_FALSE(report.complete());
  EXPECT_NE(report.faults[0].what.find("missing"), std::string::npos) << report.faults[0].what;
  const auto read = ReadChanges(*store_, lake_, "notes", {}, {100, {}}, [](const auto&) { return Status{}; });
  ASSERT_FALSE(read) << "a day is passed over in silence";
  EXPECT_EQ(read.error().message.find(fmt::format("the manifests {} to {} of Bronze are not there",
                                                  archives[1].first, archives[1].last)),
            0U)
      << read.error().message;
}

TEST_F(ArchiveTest, ADayWhoseManifestIsGoneIsArchivedAgain) {
  Days(4);
  while (ArchiveNext()) {
  }
  const auto archives = *ListArchives(*store_, lake_);
  const auto gone = archives[static_cast<size_t>(Random(0, static_cast<int64_t>(archives.size()) - 1))];
  const std::string path = ArchiveFolder(lake_) + "/" + ArchiveName(gone);
  ASSERT_TRUE(store_->Write(path, "{}"));
  const auto report = *VerifyChain(*store_, lake_, {});
  ASSERT_EQ(report.faults.size(), 1U) << "the small files are there";
  EXPECT_EQ(lake_ + "/" + report.faults[0].where, path);
  EXPECT_EQ(ChangeLog::ForEachManifest(*store_, lake_, {}, [](const auto&) { return Status{}; }).error().code,
            ErrorCode::kCorrupt);
  ASSERT_TRUE(store_->Remove(path));
  ExpectAll(false);
  const auto day = *FindClosedDay(*store_, lake_);
  ASSERT_TRUE(day);
  EXPECT_EQ(day->range.first, gone.first);
  while (ArchiveNext()) {
  }
  EXPECT_FALSE(*FindClosedDay(*store_, lake_));
  ExpectAll(false);
  ASSERT_TRUE(RemoveArchived(store_.get(), lake_, clock_.NowMicros(), nullptr));
  ExpectAll(false);
}

TEST_F(ArchiveTest, AMissingFirstManifestIsNotPassedOver) {
  Days(2);
  std::vector<Manifest> all;
  ASSERT_TRUE(ChangeLog::ForEachManifest(*store_, lake_, {}, [&](const Manifest& manifest) {
    all.push_back(manifest);
    return Status{};
  }));
  ASSERT_GT(all.size(), 4U);
  const auto read = [&](const SourcePosition& from) {
    return ReadChanges(*store_, lake_, "notes", from, {100, {}}, [](const auto&) { return Status{}; });
  };
  EXPECT_TRUE(read(all[1].position()));
  ASSERT_TRUE(store_->Remove(ManifestFolder(lake_) + "/" + ManifestName(all[2].sequence)));
  const auto broken = read(all[1].position());
  ASSERT_FALSE(broken) << "the reader goes on behind what is missing";
  EXPECT_EQ(broken.error().code, ErrorCode::kCorrupt);
  EXPECT_NE(broken.error().message.find(
                fmt::format("the manifests {0} to {0} of Bronze are not there", all[2].sequence)),
            std::string::npos)
      << broken.error().message;
  // Where a new epoch begins nobody knows what was before it.
  EXPECT_EQ(read(all[2].position()).has_value(), all[2].epoch == all[3].epoch);
}

TEST_F(ArchiveTest, ADamagedSmallFileIsNotArchived) {
  Days(2);
  const auto files = FilesBelow("bronze");
  const std::string path = *std::min_element(files.begin(), files.end(), [](const auto& a, const auto& b) {
    return a.substr(a.rfind('/')) < b.substr(b.rfind('/'));
  });
  std::string bytes = *store_->Read(lake_ + "/" + path);
  bytes[bytes.size() / 2] ^= 1;
  ASSERT_TRUE(store_->Write(lake_ + "/" + path, bytes));
  const auto archive = ArchiveNext();
  ASSERT_FALSE(archive);
  EXPECT_EQ(archive.error().code, ErrorCode::kCorrupt);
  EXPECT_NE(archive.error().message.find(path), std::string::npos) << archive.error().message;
  EXPECT_TRUE(ListArchives(*store_, lake_)->empty());
}

TEST_F(ArchiveTest, WhatDoesNotFollowOnIsNotArchived) {
  Days(4);
  ArchiveOptions options;
  options.clock = &clock_;
  ASSERT_TRUE(ArchiveDay(store_.get(), lake_, **FindClosedDay(*store_, lake_), options));
  const auto day = **FindClosedDay(*store_, lake_);
  for (const int64_t sequence : {day.range.last, day.range.first}) {
    const std::string path = ManifestFolder(lake_) + "/" + ManifestName(sequence);
    const std::string json = *store_->Read(path);
    Manifest manifest = *ManifestFromJson(json);
    manifest.after.value++;
    ASSERT_TRUE(store_->Write(path, ToJson(manifest)));
    const auto archive = ArchiveDay(store_.get(), lake_, day, options);
    ASSERT_FALSE(archive);
    EXPECT_NE(archive.error().message.find(ManifestName(sequence)), std::string::npos)
        << archive.error().message;
    ASSERT_TRUE(store_->Write(path, json));
  }
  ASSERT_TRUE(store_->Remove(ManifestFolder(lake_) + "/" + ManifestName(day.range.first)));
  EXPECT_EQ(FindClosedDay(*store_, lake_).error().code, ErrorCode::kCorrupt);
}

TEST_F(ArchiveTest, CutOffAtAnyWriteTheNextRunGoesOn) {
  Days(3);
  const auto links = Links();
  int64_t cuts = 0;
  for (int64_t nth = 1;; nth++) {
    store_->FailWrite(nth);
    const auto archive = ArchiveNext(60'000);
    store_->FailWrite(0);
    if (!archive && archive.error().code == ErrorCode::kNotFound) break;
    if (archive) {
      nth = 0;  // The next day, from its first write on.
      continue;
    }
    cuts++;
    EXPECT_EQ(Links(), links);
    ExpectAll(false);
  }
  EXPECT_GT(cuts, 3);
  ExpectAll();
  for (int64_t nth = 1;; nth++) {
    store_->FailWrite(nth);
    const auto removed = RemoveArchived(store_.get(), lake_, clock_.NowMicros(), nullptr);
    store_->FailWrite(0);
    EXPECT_EQ(Links(), links);
    if (removed) break;
    ExpectAll();
  }
  ExpectAll();
}

TEST_F(ArchiveTest, WhatARunLeftBehindIsRemovedByTheNext) {
  Days(2);
  store_->FailWrite(2);  // The second file of several.
  ASSERT_FALSE(ArchiveNext(3'000));
  store_->FailWrite(0);
  ASSERT_FALSE(FilesBelow("bronze_archive").empty());
  size_t named = 0;
  while (true) {
    const auto archive = ArchiveNext();
    if (!archive) break;
    named += archive->files.size();
    ExpectAll(false);
  }
  EXPECT_EQ(FilesBelow("bronze_archive").size(), named);
  ExpectAll();
}

TEST_F(ArchiveTest, InAnObjectStoreNoNameIsUsedAgainAndAManifestThatComesLateCounts) {
  Days(2);
  const BronzePlace place(lake_, lake_ + "/intents");
  const auto day = *FindClosedDay(*store_, lake_);
  ArchiveOptions options;
  options.clock = &clock_;
  store_->FailWrite(3);  // Behind the announcement and a file: what was sent may come late.
  ASSERT_FALSE(ArchiveDay(store_.get(), place, *day, options));
  store_->FailWrite(0);
  const auto sent = FilesBelow("bronze_archive");
  ASSERT_EQ(sent.size(), 1U);
  const std::string late = *store_->Read(lake_ + "/" + sent[0]);
  auto archive = ArchiveDay(store_.get(), place, *day, options);
  ASSERT_TRUE(archive) << archive.error().message;
  for (const ArchivedFile& file : archive->files) EXPECT_NE(file.file.path, sent[0]);
  ASSERT_TRUE(store_->Write(lake_ + "/" + sent[0], late));
  ExpectAll(false);
  // A second run that does not see the manifest of the first yet.
  const auto again = ArchiveDay(store_.get(), place, *day, options);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(ToJson(*again), ToJson(*archive)) << "the one that is there counts";
  ExpectAll();
}

TEST_F(ArchiveTest, ALargeFileIsFollowedByAnother) {
  auto log = std::move(*ChangeLog::Open(store_.get(), lake_, &clock_));
  for (uint64_t flush = 1; flush <= 3; flush++) {
    std::vector<schema::ChangePosition> positions;
    for (int64_t row = 1; row <= 20'000; row++) positions.push_back({static_cast<int64_t>(flush), row});
    ASSERT_TRUE(log->Flush(Input(flush, RowsAt(positions, static_cast<int64_t>(flush * 100'000)))));
  }
  clock_.Advance(24 * kHour);
  ASSERT_TRUE(log->Flush(Input(9, RowsAt({{9, 1}}))));
  const auto archive = ArchiveNext(1 << 20);
  ASSERT_TRUE(archive) << archive.error().message;
  EXPECT_GT(archive->files.size(), 1U);
  for (const ArchivedFile& file : archive->files) EXPECT_LE(file.file.size_bytes, 1 << 20);
  EXPECT_EQ(archive->files[1].file.path, "bronze_archive/public/notes/" + archive->day + "-0002.parquet");
  EXPECT_EQ(Read("notes").size(), 60'001U);
  EXPECT_TRUE(VerifyChain(*store_, lake_, {})->complete());
}

TEST_F(ArchiveTest, NothingIsClosedYet) {
  EXPECT_FALSE(*FindClosedDay(*store_, lake_));
  Days(0);
  EXPECT_FALSE(*FindClosedDay(*store_, lake_));
  // Time alone closes no day: its next change may still come.
  clock_.Advance(100 * kHour);
  EXPECT_FALSE(*FindClosedDay(*store_, lake_));
  Days(0);
  const auto day = *FindClosedDay(*store_, lake_);
  ASSERT_TRUE(day);
  EXPECT_EQ(day->day, "20261124");
  EXPECT_EQ(FormatTimestamp(*day->EndMicros()), "2026-11-25 00:00:00.000000");
}

}  // namespace
}  // namespace tarn::bronze
