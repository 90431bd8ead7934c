#pragma once

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/test_seed.h"
#include "bronze/archiver.h"
#include "bronze/chain_verifier.h"
#include "bronze/change_reader.h"
#include "bronze/test_bronze.h"
#include "storage/failing_storage.h"

namespace tarn::bronze {

inline constexpr int64_t kHour = 3'600'000'000;

/// A change or an event of a table, as text, and where it stands.
struct Told {
  schema::ChangePosition at;
  std::string text;
  bool operator==(const Told&) const = default;
};
inline std::ostream& operator<<(std::ostream& out, const Told& told) { return out << told.text; }

/// Several days of random flushes of three tables, with what must be read of them.
class ArchiveTest : public BronzeTest {
 protected:
  void SetUp() override {
    BronzeTest::SetUp();
    seed_ = TestSeed();
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

  /// A flush of one transaction or several, with rows and events; now and then it comes in several pieces.
  void Flush(ChangeLog& log) {
    commit_ += Random(1, 50);
    FlushInput input;
    input.epoch = epoch_;
    input.transactions = 1;
    input.last_commit_micros = clock_.NowMicros();
    int64_t ordinal = 0;
    for (int64_t pieces = Random(0, 5); pieces > 0; pieces--) {
      if (Random(0, 2) == 0) {
        commit_ += Random(1, 50);
        ordinal = 0;
        input.transactions++;
      }
      AddPiece(input, ordinal);
      if (Random(0, 9) > 0) continue;
      input.open = true;
      ASSERT_TRUE(log.Flush(input));
      input.events.clear();
      input.open = false;
    }
    input.last_commit = Lsn{commit_};
    input.end = Lsn{commit_ + 8};
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
        Flush(*log);
      }
      clock_.Advance(24 * kHour);
    }
    Flush(*log);
    while (log->last()->events.empty()) Flush(*log);
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
  void ExpectAll(bool no_orphans = true) {
    const auto report = *VerifyChain(*store_, lake_, {});
    EXPECT_TRUE(report.complete()) << report.faults[0].where << " " << report.faults[0].what;
    for (const ChainFault& warning : report.warnings)
      EXPECT_FALSE(no_orphans && warning.what == "is named by no manifest") << warning.where;
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

}  // namespace tarn::bronze
