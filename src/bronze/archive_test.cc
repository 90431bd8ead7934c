#include <arrow/api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "bronze/archiver.h"
#include "bronze/chain_verifier.h"
#include "bronze/change_reader.h"
#include "bronze/test_bronze.h"
#include "storage/failing_storage.h"

namespace tarn::bronze {
namespace {

constexpr int64_t kHour = 3'600'000'000;

/// A change or an event of a table, as text, and where it stands.
struct Told {
  schema::ChangePosition at;
  std::string text;
  bool operator==(const Told&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Told& told) { return out << told.text; }

/// Several days of random flushes of three tables, with what must be read of them.
class ArchiveTest : public BronzeTest {
 protected:
  void SetUp() override {
    BronzeTest::SetUp();
    seed_ = static_cast<uint32_t>(std::random_device()());
    if (const char* given = std::getenv("TARN_SEED")) seed_ = static_cast<uint32_t>(std::atoll(given));
    RecordProperty("seed", std::to_string(seed_));
    random_.seed(seed_);
    store_ = std::make_unique<storage::FailingStorage>(std::move(storage_));
    store_->CountRemovals();
    for (const char* name : {"notes", "orders", "odd name/%"}) {
      schema::TableSchema table = *table_;
      table.oid = static_cast<uint32_t>(shapes_.size() + 5);
      table.table_name = name;
      schema::AssignLakeNames(table);
      shapes_.push_back(std::make_shared<const schema::TableSchema>(table));
    }
  }
  void TearDown() override {
    if (HasFailure()) std::cerr << "seed " << seed_ << " (again with TARN_SEED=" << seed_ << ")\n";
    BronzeTest::TearDown();
  }

  int64_t Random(int64_t least, int64_t most) {
    return std::uniform_int_distribution<int64_t>(least, most)(random_);
  }

  /// A transaction of some rows and events; the flush goes on in several pieces now and then.
  void Transaction(ChangeLog& log) {
    commit_ += Random(1, 50);
    FlushInput input;
    input.epoch = epoch_;
    input.last_commit = Lsn{commit_};
    input.end = Lsn{commit_ + 8};
    input.transactions = 1;
    input.last_commit_micros = clock_.NowMicros();
    int64_t ordinal = 0;
    for (int64_t pieces = Random(0, 5); pieces > 0; pieces--) {
      AddPiece(input, ordinal);
      if (Random(0, 9) > 0) continue;
      input.open = true;
      ASSERT_TRUE(log.Flush(input));
      input.events.clear();
      input.open = false;
    }
    ASSERT_TRUE(log.Flush(input));
  }

  void AddPiece(FlushInput& input, int64_t& ordinal) {
    const auto which = static_cast<size_t>(Random(0, 2));
    auto& shape = shapes_[which];
    auto& told = told_[shape->lake_name];
    const auto next = [&] { return schema::ChangePosition{OrderingValue(epoch_, Lsn{commit_}), ++ordinal}; };
    const int64_t kind = Random(0, 19);
    if (kind == 0) {
      const auto at = next();
      input.events.push_back({shape, nullptr, at});
      told.push_back({at, fmt::format("truncate {} {}", at.lsn, at.ordinal)});
    } else if (kind == 1) {
      const auto at = next();
      input.events.push_back({shape, nullptr, at, "why not"});
      told.push_back({at, fmt::format("copy {} {}", at.lsn, at.ordinal)});
    } else if (kind == 2) {
      schema::TableSchema wider = *shape;
      wider.columns.push_back({fmt::format("more{}", wider.columns.size()), "", schema::kTextOid, -1,
                               schema::MakePgType(schema::kTextOid, -1), false});
      schema::AssignLakeNames(wider);
      shape = std::make_shared<const schema::TableSchema>(wider);
    }
    std::vector<schema::ChangePosition> positions;
    const int64_t first = next_row_;
    for (int64_t rows = Random(1, kind == 3 ? 400 : 20); rows > 0; rows--) {
      positions.push_back(next());
      told.push_back({positions.back(), fmt::format("row {} {} {} of {}", positions.back().lsn, ordinal,
                                                    next_row_++, shape->columns.size())});
    }
    input.events.push_back({shape, RowsOf(*shape, positions, first)});
  }

  /// So many days, the last of which is not closed. The clock steps back now and then, and the source
  /// changes.
  void Days(int64_t days) {
    auto log = std::move(*ChangeLog::Open(store_.get(), lake_, &clock_));
    for (int64_t day = 0; day < days; day++) {
      const int64_t back_at = Random(1, 30);
      for (int64_t flushes = Random(3, 12); flushes > 0; flushes--) {
        clock_.Advance(flushes == back_at ? -Random(1, 5) * kHour : Random(1, 60) * 60'000'000);
        if (Random(0, 30) == 0) {
          epoch_++;
          commit_ = static_cast<uint64_t>(Random(1, 100));
        }
        Transaction(*log);
      }
      clock_.Advance(24 * kHour);
    }
    Transaction(*log);
    while (log->last()->events.empty()) Transaction(*log);
  }

  std::vector<Told> Read(const std::string& table, const SourcePosition& from = {},
                         const SourcePosition& to = {100, {}}) {
    std::vector<Told> read;
    const auto outcome = ReadChanges(*store_, lake_, table, from, to, [&](const TableRows& next) -> Status {
      if (next.rows == nullptr) {
        const char* kind = next.copy_again.empty() ? "truncate" : "copy";
        read.push_back({next.at, fmt::format("{} {} {}", kind, next.at.lsn, next.at.ordinal)});
        return {};
      }
      const auto column = [&](const std::string& name) {
        return std::static_pointer_cast<arrow::Int64Array>(next.rows->GetColumnByName(name));
      };
      for (int64_t row = 0; row < next.rows->num_rows(); row++) {
        const schema::ChangePosition at{column("_lsn")->Value(row), column("_ordinal")->Value(row)};
        read.push_back({at, fmt::format("row {} {} {} of {}", at.lsn, at.ordinal, column("id")->Value(row),
                                        next.table->columns.size())});
      }
      return {};
    });
    EXPECT_TRUE(outcome) << outcome.error().message;
    return read;
  }

  std::vector<std::string> Links() {
    std::vector<std::string> links;
    const auto outcome =
        ChangeLog::ForEachManifest(*store_, lake_, {}, [&](const Manifest& manifest) -> Status {
          links.push_back(fmt::format("{} {} {} {} {} {} {} {}", manifest.sequence, manifest.epoch,
                                      manifest.after.value, manifest.last_commit.value, manifest.end.value,
                                      manifest.last_commit_micros, manifest.rows, manifest.last_file_name));
          return {};
        });
    EXPECT_TRUE(outcome) << outcome.error().message;
    return links;
  }

  /// That Bronze is complete and says what was put in, all of it and in random ranges.
  void ExpectAll(bool no_warnings = true) {
    const auto report = *VerifyChain(*store_, lake_, {});
    EXPECT_TRUE(report.complete()) << report.faults[0].where << " " << report.faults[0].what;
    EXPECT_TRUE(!no_warnings || report.warnings.empty()) << report.warnings[0].where;
    for (const auto& [table, told] : told_) {
      EXPECT_EQ(Read(table), told) << table;
      if (told.empty()) continue;
      const auto pick = [&, &all = told] {
        return OrderingPosition(
            all[static_cast<size_t>(Random(0, static_cast<int64_t>(all.size()) - 1))].at.lsn);
      };
      const auto [from, to] = std::minmax({pick(), pick()});
      std::vector<Told> wanted;
      for (const Told& one : told) {
        if (one.at.lsn > OrderingValue(from) && one.at.lsn <= OrderingValue(to)) wanted.push_back(one);
      }
      EXPECT_EQ(Read(table, from, to), wanted) << table;
    }
  }

  /// Now and then a part of a day.
  Result<ArchiveManifest> ArchiveNext(int64_t max_file_bytes = 6'000) {
    TARN_ASSIGN(const auto day, FindClosedDay(*store_, lake_));
    if (!day) return Error{ErrorCode::kNotFound, "no day is closed"};
    ArchiveOptions options;
    options.clock = &clock_;
    options.max_file_bytes = max_file_bytes;
    if (Random(0, 1) == 0) options.max_events = Random(1, 30);
    return ArchiveDay(store_.get(), lake_, *day, options);
  }

  std::vector<std::string> FilesBelow(const std::string& root) {
    std::vector<std::string> paths;
    EXPECT_TRUE(ForEachFile(*store_, lake_, root, [&](const std::string& path, const auto&) -> Status {
      paths.push_back(path);
      return {};
    }));
    return paths;
  }

  uint32_t seed_ = 0;
  std::mt19937 random_;
  std::unique_ptr<storage::FailingStorage> store_;
  std::vector<std::shared_ptr<const schema::TableSchema>> shapes_;  ///< As the tables are now.
  std::map<std::string, std::vector<Told>> told_;                   ///< By lake name.
  uint64_t commit_ = 0;
  int64_t epoch_ = 0, next_row_ = 1;
};

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
