#include "bronze/chain_verifier.h"

#include <nlohmann/json.hpp>

#include "bronze/test_bronze.h"

namespace tarn::bronze {
namespace {

/// A copy of 5 rows at 50, then three flushes up to 100, 200 and 300 with 3, 2 and 1 rows.
class ChainVerifierTest : public BronzeTest {
 protected:
  void SetUp() override {
    BronzeTest::SetUp();
    auto copy = std::move(*BeginCopy(storage_.get(), lake_, Lsn{50}, 1));
    ASSERT_TRUE(copy->Append(0, *RowsAt({{50, 1}, {50, 2}, {50, 3}, {50, 4}, {50, 5}})));
    ASSERT_TRUE(copy->Finish());
    auto log = Log();
    ASSERT_TRUE(log->Flush(Input(100, RowsAt({{60, 1}, {60, 2}, {100, 1}}))));
    ASSERT_TRUE(log->Flush(Input(200, RowsAt({{200, 1}, {200, 2}}))));
    ASSERT_TRUE(log->Flush(Input(300, RowsAt({{300, 7}}))));
  }

  std::unique_ptr<ChangeLog> Log() { return std::move(*ChangeLog::Open(storage_.get(), lake_, &clock_)); }

  ChainReport Verify(const ChainOptions& options = {}) {
    auto report = VerifyChain(*storage_, lake_, options);
    EXPECT_TRUE(report);
    return report ? std::move(*report) : ChainReport();
  }

  /// That exactly one fault is found, at `where`, whose text has all `words`.
  void ExpectOneFault(const std::string& where, const std::vector<std::string>& words,
                      const ChainOptions& options = {}) {
    const ChainReport report = Verify(options);
    EXPECT_FALSE(report.complete());
    std::string all;
    for (const ChainFault& fault : report.faults) all += fault.where + " " + fault.what + "\n";
    ASSERT_EQ(report.faults.size(), 1U) << all;
    EXPECT_EQ(report.faults[0].where, where);
    for (const std::string& word : words)
      EXPECT_NE(report.faults[0].what.find(word), std::string::npos) << all << "has no " << word;
    EXPECT_FALSE(report.faults[0].fix.empty());
  }

  static std::string ManifestPath(int64_t sequence) {
    return "_tarn/bronze/changes/" + ManifestName(sequence);
  }

  /// The file that a flush made.
  std::string FileOf(int64_t sequence) {
    return ManifestFromJson(*storage_->Read(lake_ + "/" + ManifestPath(sequence)))->events[0].file.path;
  }

  /// Changes a JSON file of the lake.
  void Edit(const std::string& path, const std::function<void(nlohmann::json&)>& change) {
    auto json = nlohmann::json::parse(*storage_->Read(lake_ + "/" + path));
    change(json);
    ASSERT_TRUE(storage_->Write(lake_ + "/" + path, json.dump(1)));
  }

  /// Changes a file's bytes.
  void Damage(const std::string& path, const std::function<void(std::string&)>& change) {
    std::string bytes = *storage_->Read(lake_ + "/" + path);
    change(bytes);
    ASSERT_TRUE(storage_->Write(lake_ + "/" + path, bytes));
  }
};

TEST_F(ChainVerifierTest, WhatWasWrittenIsComplete) {
  int64_t told = 0;
  ChainOptions options;
  options.reached = {0, Lsn{300}};
  options.on_progress = [&](const ChainProgress& progress) {
    EXPECT_LE(progress.bytes, progress.bytes_total);
    EXPECT_EQ(progress.files_total, 4);
    told = progress.files;
  };
  const ChainReport report = Verify(options);
  EXPECT_TRUE(report.complete()) << report.faults[0].where << " " << report.faults[0].what;
  EXPECT_TRUE(report.warnings.empty());
  EXPECT_EQ(report.manifests, 3);
  EXPECT_EQ(report.copies, 1);
  EXPECT_EQ(report.files, 4);
  EXPECT_EQ(report.rows, 11);
  EXPECT_EQ(report.newest, (SourcePosition{0, Lsn{300}}));
  EXPECT_EQ(told, 4);
}

TEST_F(ChainVerifierTest, AMissingManifestIsNamedByTheOneBehindIt) {
  const std::string orphan = FileOf(2);
  ASSERT_TRUE(storage_->Remove(lake_ + "/" + ManifestPath(2)));
  const ChainReport report = Verify();
  ASSERT_EQ(report.faults.size(), 2U);
  EXPECT_EQ(report.faults[0].where, ManifestPath(3));
  EXPECT_EQ(report.faults[0].what, "is number 3, but the one before it is number 1: one is missing");
  EXPECT_EQ(report.faults[1].what,
            "begins after 0/C8, but the one before it ends at 0/64: changes between are missing");
  ASSERT_EQ(report.warnings.size(), 1U);
  EXPECT_EQ(report.warnings[0].where, orphan);
}

TEST_F(ChainVerifierTest, AMissingBeginningAndAMissingEndAreFound) {
  ASSERT_TRUE(storage_->Remove(lake_ + "/" + ManifestPath(1)));
  EXPECT_EQ(Verify().faults.at(0).what, "is number 2, but the one before it is number 0: one is missing");
  ASSERT_TRUE(storage_->Remove(lake_ + "/" + ManifestPath(2)));
  ASSERT_TRUE(storage_->Remove(lake_ + "/" + ManifestPath(3)));
  ChainOptions options;
  options.reached = {0, Lsn{300}};
  ExpectOneFault("_tarn/bronze/changes", {"ends at 0/32", "up to 0/12C"}, options);
}

TEST_F(ChainVerifierTest, AManifestThatDoesNotFollowOn) {
  Edit(ManifestPath(2), [](auto& json) { json["after"] = "0/65"; });
  ExpectOneFault(ManifestPath(2), {"begins after 0/65", "ends at 0/64"});
}

TEST_F(ChainVerifierTest, AManifestThatEndsBeforeTheOneBeforeIt) {
  Edit(ManifestPath(3), [](auto& json) {
    json["last_commit"] = "0/C7";
    json["rows"] = 0;
    json["events"] = nlohmann::json::array();
  });
  ExpectOneFault(ManifestPath(3), {"ends at 0/C7 of epoch 0", "before 0/C8"});
}

TEST_F(ChainVerifierTest, AManifestUnderAnotherName) {
  Edit(ManifestPath(3), [](auto& json) { json["sequence"] = 4; });
  const ChainReport report = Verify();
  ASSERT_EQ(report.faults.size(), 2U);
  EXPECT_EQ(report.faults[0].what, "says that it is number 4, which is not its name");
}

TEST_F(ChainVerifierTest, AManifestThatIsNoJson) {
  Damage(ManifestPath(3), [](std::string& bytes) { bytes.resize(20); });
  ExpectOneFault(ManifestPath(3), {"cannot be read"});
}

TEST_F(ChainVerifierTest, AManifestThatCountsOtherRows) {
  Edit(ManifestPath(1), [](auto& json) { json["rows"] = 4; });
  ExpectOneFault(ManifestPath(1), {"says 4 rows, its files have 3"});
}

TEST_F(ChainVerifierTest, AMissingFile) {
  const std::string path = FileOf(2);
  ASSERT_TRUE(storage_->Remove(lake_ + "/" + path));
  ExpectOneFault(path, {"is not there"});
}

TEST_F(ChainVerifierTest, AFileThatWasCutOff) {
  const std::string path = FileOf(2);
  size_t size = 0;
  Damage(path, [&](std::string& bytes) {
    size = bytes.size();
    bytes.pop_back();
  });
  ExpectOneFault(path, {fmt::format("has {} bytes, its manifest says {}", size - 1, size)});
}

TEST_F(ChainVerifierTest, OneBitOfAFile) {
  const std::string path = FileOf(1);
  Damage(path, [](std::string& bytes) { bytes[bytes.size() / 2] ^= 4; });
  ExpectOneFault(path, {"has the CRC-32", "its manifest says"});
}

TEST_F(ChainVerifierTest, AFileWithOtherRowsThanItsManifestSays) {
  Edit(ManifestPath(1), [](auto& json) { json["events"][0]["file"]["rows"] = json["rows"] = 5; });
  ExpectOneFault(FileOf(1), {"has 3 rows, its manifest says 5"});
}

TEST_F(ChainVerifierTest, AFileWithOtherColumnsThanItsManifestSays) {
  Edit(ManifestPath(1), [](auto& json) {
    for (auto& column : json["tables"][0]["columns"]) {
      if (column["name"] == "price") column["lake_name"] = "cost";
    }
  });
  ExpectOneFault(FileOf(1), {"price", "cost"});
}

TEST_F(ChainVerifierTest, RowsOutOfOrder) {
  ASSERT_TRUE(Log()->Flush(Input(400, RowsAt({{400, 1}, {400, 3}, {400, 2}, {400, 4}}))));
  ExpectOneFault(FileOf(4), {"row 2 has the (_lsn, _ordinal) (0/190, 2), behind a row that has (0/190, 3)"});
}

TEST_F(ChainVerifierTest, AChangeThatStandsTwiceInAFile) {
  ASSERT_TRUE(Log()->Flush(Input(400, RowsAt({{400, 1}, {400, 2}, {400, 2}}))));
  ExpectOneFault(FileOf(4), {"row 2 has the (_lsn, _ordinal) (0/190, 2) once more"});
}

TEST_F(ChainVerifierTest, AChangeThatStandsInTwoFiles) {
  // As a flush would leave it that takes its changes again: manifest 3 then covers what 4 has.
  ASSERT_TRUE(Log()->Flush(Input(400, RowsAt({{300, 7}, {400, 1}}))));
  Edit(ManifestPath(3), [](auto& json) { json["last_commit"] = "0/12B"; });
  Edit(ManifestPath(4), [](auto& json) { json["after"] = "0/12B"; });
  const ChainReport report = Verify();
  ASSERT_EQ(report.faults.size(), 2U);
  EXPECT_EQ(report.faults[0].where, FileOf(3));
  EXPECT_NE(report.faults[0].what.find("beyond 0/C8 up to 0/12B"), std::string::npos);
  EXPECT_EQ(report.faults[1].where, FileOf(4));
  EXPECT_EQ(report.faults[1].what,
            "row 0 has the (_lsn, _ordinal) (0/12C, 7) once more: a change stands twice");
}

TEST_F(ChainVerifierTest, ARowOutsideItsManifest) {
  ASSERT_TRUE(Log()->Flush(Input(400, RowsAt({{400, 1}, {401, 1}}))));
  ExpectOneFault(FileOf(4), {"row 1 has the _lsn 401 (0/191)", "beyond 0/12C up to 0/190"});
}

TEST_F(ChainVerifierTest, AFileNamedTwice) {
  Edit(ManifestPath(3), [&](auto& json) {
    json["events"].push_back(json["events"][0]);
    json["rows"] = 2;
  });
  const ChainReport report = Verify();
  ASSERT_EQ(report.faults.size(), 3U);  // And so its name does not rise, and its rows stand twice.
  EXPECT_NE(report.faults[0].what.find("names must rise"), std::string::npos);
  EXPECT_NE(report.faults[1].what.find("is named by " + ManifestPath(3)), std::string::npos);
  EXPECT_NE(report.faults[2].what.find("once more"), std::string::npos);
}

TEST_F(ChainVerifierTest, NamesThatDoNotRise) {
  const std::string older = "bronze/public/notes/20200101-000000000.parquet";
  const std::string path = FileOf(3);
  ASSERT_TRUE(storage_->Write(lake_ + "/" + older, *storage_->Read(lake_ + "/" + path)));
  ASSERT_TRUE(storage_->Remove(lake_ + "/" + path));
  Edit(ManifestPath(3), [&](auto& json) { json["events"][0]["file"]["path"] = older; });
  ExpectOneFault(older, {"is named by " + ManifestPath(3), "names must rise"});
}

TEST_F(ChainVerifierTest, TruncationsAndMarksLieInTheirManifest) {
  FlushInput input = Input(400, RowsAt({{350, 1}}));
  input.events.push_back({table_, nullptr, {350, 2}});
  input.events.push_back({table_, nullptr, {400, 0}, "the type of column 'price' changed"});
  ASSERT_TRUE(Log()->Flush(input));
  EXPECT_TRUE(Verify().complete());
  Edit(ManifestPath(4), [](auto& json) { json["events"][1]["truncate"]["lsn"] = 300; });
  ExpectOneFault(ManifestPath(4), {"a truncation of public.notes at 0/12C", "beyond 0/12C and up to 0/190"});
}

TEST_F(ChainVerifierTest, ANewEpochMayBeginAtAnOlderPosition) {
  FlushInput gap;
  gap.epoch = 1;
  gap.last_commit = gap.end = Lsn{90};
  gap.events = {{table_, nullptr, {OrderingValue(1, Lsn{90}), 0}, "the source was failed over"}};
  auto log = Log();
  ASSERT_TRUE(log->Flush(gap));
  FlushInput input = Input(120, RowsAt({{OrderingValue(1, Lsn{110}), 1}, {OrderingValue(1, Lsn{120}), 1}}));
  input.epoch = 1;
  ASSERT_TRUE(log->Flush(input));
  const ChainReport report = Verify();
  EXPECT_TRUE(report.complete()) << report.faults[0].where << " " << report.faults[0].what;
  EXPECT_EQ(report.newest, (SourcePosition{1, Lsn{120}}));
  ASSERT_EQ(report.breaks.size(), 1U);
  EXPECT_EQ(report.breaks[0].after, (SourcePosition{0, Lsn{300}}));
  EXPECT_EQ(report.breaks[0].until, (SourcePosition{1, Lsn{90}}));
  EXPECT_EQ(report.breaks[0].why, "the source was failed over");
  // No copy has come yet.
  ASSERT_EQ(report.warnings.size(), 1U);
  EXPECT_NE(report.warnings[0].what.find("only a newer copy tells what notes holds"), std::string::npos);
}

TEST_F(ChainVerifierTest, ACopyThatTheLakeWasMadeFromIsMissed) {
  ChainOptions options;
  options.copied = {{"notes", {0, Lsn{50}}}};
  EXPECT_TRUE(Verify(options).complete());
  options.copied["notes"] = {0, Lsn{51}};
  ExpectOneFault("_tarn/bronze/loads", {"no manifest of the copy of notes at 0/33"}, options);
  options.copied["notes"] = {0, Lsn{50}};
  ASSERT_TRUE(storage_->Remove(lake_ + "/_tarn/bronze/loads/notes.json"));
  ExpectOneFault("_tarn/bronze/loads", {"no manifest of the copy of notes at 0/32"}, options);
}

TEST_F(ChainVerifierTest, CopiesAreCountedAndRead) {
  const std::string manifest = "_tarn/bronze/loads/notes.json";
  const std::string file = "bronze/public/notes/LOAD00000001.parquet";
  Edit(manifest, [](auto& json) { json["snapshot"] = "0/33"; });
  ExpectOneFault(file, {"row 0 has the _lsn 50 (0/32)"});
  Edit(manifest, [](auto& json) {
    json["snapshot"] = "0/32";
    json["rows"] = 6;
  });
  ExpectOneFault(manifest, {"says 6 rows, its files have 5"});
  Edit(manifest, [](auto& json) { json["rows"] = 5; });
  EXPECT_TRUE(Verify().complete());
  ASSERT_TRUE(storage_->Remove(lake_ + "/" + file));
  ExpectOneFault(file, {"is not there"});
  Damage(manifest, [](std::string& bytes) { bytes = "{}"; });
  ExpectOneFault(manifest, {"cannot be read"});
}

TEST_F(ChainVerifierTest, AFileThatNoManifestNamesIsAWarning) {
  const std::string orphan = "bronze/public/notes/29990101-000000000.parquet";
  ASSERT_TRUE(storage_->Write(lake_ + "/" + orphan, "a flush under way"));
  const ChainReport report = Verify();
  EXPECT_TRUE(report.complete());
  ASSERT_EQ(report.warnings.size(), 1U);
  EXPECT_EQ(report.warnings[0].where, orphan);
}

TEST_F(ChainVerifierTest, AnEmptyLakeIsComplete) {
  const ChainReport report = *VerifyChain(*storage_, lake_ + "/nothing", {});
  EXPECT_TRUE(report.complete());
  EXPECT_EQ(report.files, 0);
}

}  // namespace
}  // namespace tarn::bronze
