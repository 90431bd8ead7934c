#include "bronze/chain_verifier.h"

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_set>
#include <utility>

#include "bronze/archive_files.h"
#include "bronze/file_check.h"
#include "bronze/manifest.h"
#include "bronze/parquet_files.h"

namespace tarn::bronze {
namespace {

constexpr std::string_view kRestoreManifest =
    "restore the manifest, and the files that it names, from a backup; without one, `tarn resync` of every "
    "table makes newer copies, which need no earlier manifest";

std::string Stem(const std::string& path) {
  const std::string name = FileName(path);
  return name.substr(0, name.rfind('.'));
}

class ChainVerifier {
 public:
  ChainVerifier(const storage::Storage& storage, const std::string& lake, const ChainOptions& options)
      : storage_(storage), lake_(lake), options_(options) {}

  Result<ChainReport> Run() {
    // The listing first: what is published later is named later, and no orphan.
    TARN_RETURN_IF_ERROR(ListFiles());
    TARN_RETURN_IF_ERROR(CheckCopies());
    TARN_RETURN_IF_ERROR(CheckManifests());
    if (report_.newest < options_.reached) {
      Fault("_tarn/bronze/changes",
            fmt::format("ends at {}, but the lake has changes up to {}: the newest manifests are missing",
                        report_.newest.lsn.ToString(), options_.reached.lsn.ToString()),
            std::string(kRestoreManifest));
    }
    CheckOrigins();
    ReportOrphans();
    return std::move(report_);
  }

 private:
  void Add(ChainFault fault) {
    if (report_.fault_count++ < static_cast<int64_t>(ChainReport::kMostListed))
      report_.faults.push_back(std::move(fault));
  }
  void Warn(ChainFault warning) {
    if (report_.warning_count++ < static_cast<int64_t>(ChainReport::kMostListed))
      report_.warnings.push_back(std::move(warning));
  }
  void Fault(std::string where, std::string what, std::string fix) {
    Add({std::move(where), std::move(what), std::move(fix)});
  }

  Status ListFiles() {
    for (const char* root : {"bronze", "bronze_archive"}) {
      TARN_RETURN_IF_ERROR(
          ForEachFile(storage_, lake_, root, [&](const auto& path, const auto& file) -> Status {
            listed_.push_back(path);
            progress_.bytes_total += file.size_bytes;
            return {};
          }));
    }
    progress_.files_total = static_cast<int64_t>(listed_.size());
    return {};
  }

  Status CheckCopies() {
    TARN_ASSIGN(const auto names, storage_.List(LoadFolder(lake_)));
    for (const auto& name : names) {
      const std::string where = "_tarn/bronze/loads/" + name.name;
      const auto json = storage_.Read(lake_ + "/" + where);
      const auto load = json ? LoadManifestFromJson(*json) : Result<LoadManifest>(json.error());
      if (!load) {
        Fault(where, "cannot be read: " + load.error().message,
              "restore it from a backup; without one, `tarn resync` of its table makes a newer copy");
        continue;
      }
      CheckCopy(where, *load);
    }
    return {};
  }

  void CheckCopy(const std::string& where, const LoadManifest& load) {
    if (load.cut_off) return;
    report_.copies++;
    report_.newest = std::max(report_.newest, load.position());
    SourcePosition& copied = copied_[load.table->lake_name];
    copied = std::max(copied, load.position());
    int64_t rows = 0;
    for (const LoadFile& file : load.files) {
      const int64_t at = OrderingValue(load.epoch, file.snapshot);
      // Workers write side by side: each file has an order of its own.
      schema::ChangePosition newest;
      rows += file.rows;
      report_.rows += file.rows;
      Check({where, file, load.table, {{file.rows, at - 1, at}}}, newest);
    }
    if (rows != load.rows) {
      Fault(where, fmt::format("says {} rows, its files have {}", load.rows, rows),
            fmt::format("restore it from a backup; without one, `tarn resync {}` makes a newer copy",
                        load.table->QualifiedName()));
    }
  }

  /// That changes follow on a copy, and marks to copy again are followed by one.
  void CheckOrigins() {
    for (const auto& [table, at] : options_.copied) {
      const auto copy = copied_.find(table);
      if (copy != copied_.end() && copy->second >= at) continue;
      Fault("_tarn/bronze/loads",
            fmt::format("has no manifest of the copy of {} at {}, which the lake was made from", table,
                        at.lsn.ToString()),
            fmt::format(
                "restore '{}' (with a number, of a later copy) from a backup; without one, `tarn resync "
                "{}` makes a newer copy",
                LoadManifestName(table, 1), table));
    }
    for (const auto& [table, mark] : marks_) {
      const auto copy = copied_.find(table);
      if (copy != copied_.end() && copy->second > mark.at) continue;
      Warn({mark.where,
            fmt::format(
                "says that from {} on only a newer copy tells what {} holds ({}), and there is none yet",
                mark.at.lsn.ToString(), table, mark.why),
            "let `tarn run` make it"});
    }
  }

  Status CheckManifests() {
    TARN_ASSIGN(const auto archives, ListArchives(storage_, lake_));
    TARN_ASSIGN(const auto names, storage_.List(ManifestFolder(lake_)));
    auto name = names.begin();
    for (const ArchiveRange& range : archives) {
      // Flushes before that day of which there is no archive.
      for (; name != names.end() && SequenceOf(name->name) < range.first; ++name) CheckManifest(name->name);
      const std::string where = "_tarn/bronze/archive/" + ArchiveName(range);
      const auto archive = ReadArchive(storage_, lake_, range);
      if (!archive) {
        Fault(where, "cannot be read: " + archive.error().message,
              "while the small files of its day are there, remove it: the day is archived again. Else " +
                  std::string(kRestoreManifest));
        continue;  // What small files there still are tells the rest.
      }
      CheckArchive(where, *archive);
      for (; name != names.end() && SequenceOf(name->name) <= range.last; ++name)
        CheckSmall(name->name, *archive);
    }
    for (; name != names.end(); ++name) CheckManifest(name->name);
    return {};
  }

  /// nullopt: it cannot be read, which is told.
  std::optional<Manifest> Parse(const std::string& where, const Result<std::string>& json) {
    auto manifest = json ? ManifestFromJson(*json) : Result<Manifest>(json.error());
    if (manifest) return *std::move(manifest);
    Fault(where, "cannot be read: " + manifest.error().message, std::string(kRestoreManifest));
    return std::nullopt;
  }

  void CheckManifest(const std::string& name) {
    const std::string where = "_tarn/bronze/changes/" + name;
    const auto manifest = Parse(where, storage_.Read(lake_ + "/" + where));
    if (!manifest) return;
    if (name != ManifestName(manifest->sequence)) {
      Fault(where, fmt::format("says that it is number {}, which is not its name", manifest->sequence),
            std::string(kRestoreManifest));
    }
    CheckLink(where, *manifest);
    CheckMarks(where, *manifest);
    CheckFiles(where, *manifest);
    CheckTotals(where, *manifest);
    Pass(*manifest);
  }

  void Pass(const Manifest& manifest) {
    report_.manifests++;
    const auto mark = std::find_if(manifest.events.begin(), manifest.events.end(),
                                   [](const ManifestEvent& event) { return !event.copy_again.empty(); });
    // Of DDL a flush tells together with the transactions that it stands among.
    if (manifest.transactions == 0 && mark != manifest.events.end())
      report_.breaks.push_back({previous_.at, manifest.position(), mark->copy_again});
    previous_ = {manifest.sequence, manifest.position()};
    report_.newest = std::max(report_.newest, manifest.position());
  }

  /// An archived day: its flushes follow on those before, and its files have their rows, once and in order.
  void CheckArchive(const std::string& where, const ArchiveManifest& archive) {
    if (std::exchange(archived_day_, archive.day) != archive.day) report_.archived_days++;
    newest_small_ = newest_;
    for (const FileExpectation& file : ExpectedFiles(archive, EpochBefore())) {
      int64_t rows = 0;
      for (const FilePart& part : file.parts) rows += part.rows;
      if (rows != file.file.rows) {
        Fault(where,
              fmt::format("says that {} has {} rows, its flushes have {} there", file.file.path,
                          file.file.rows, rows),
              std::string(kRestoreManifest));
      }
      Check(file, newest_[file.table->lake_name]);
    }
    for (const Manifest& manifest : archive.manifests) {
      CheckLink(where, manifest);
      CheckMarks(where, manifest);
      CheckTotals(where, manifest);
      Pass(manifest);
    }
  }

  /// A flush that is archived: while its manifest is there it says the same, and what files it still has are
  /// as it says. A running tarn may remove both at any moment.
  void CheckSmall(const std::string& name, const ArchiveManifest& archive) {
    const std::string where = "_tarn/bronze/changes/" + name;
    const auto json = storage_.Read(lake_ + "/" + where);
    if (!json && json.error().code == ErrorCode::kNotFound) return;
    const auto manifest = Parse(where, json);
    if (!manifest) return;
    const auto at = static_cast<size_t>(SequenceOf(name) - archive.first());
    if (!SaysTheSame(*manifest, archive.manifests[at])) {
      Fault(where, fmt::format("is not what the archive of {} has of it", archive.day),
            std::string(kRestoreManifest));
    }
    const auto epoch_before = at == 0 ? std::nullopt : std::optional(archive.manifests[at - 1].epoch);
    for (const ManifestEvent& event : manifest->events) {
      if (event.at || !storage_.Exists(lake_ + "/" + event.file.path)) continue;
      Check({where, event.file, event.table, {PartOf(*manifest, epoch_before, event.file.rows)}},
            newest_small_[event.table->lake_name], /*archived=*/true);
    }
  }

  /// That the manifest follows on the one before it.
  void CheckLink(const std::string& where, const Manifest& manifest) {
    const std::string fix(kRestoreManifest);
    if (const int64_t missing = manifest.sequence - previous_.sequence - 1; missing != 0) {
      Fault(where,
            fmt::format("is number {}, but the one before it is number {}: {} missing", manifest.sequence,
                        previous_.sequence, missing == 1 ? "one is" : fmt::format("{} are", missing)),
            fix);
    }
    if (manifest.after != previous_.at.lsn) {
      Fault(where,
            fmt::format("begins after {}, but the one before it ends at {}: changes between are missing",
                        manifest.after.ToString(), previous_.at.lsn.ToString()),
            fix);
    }
    if (manifest.position() < previous_.at) {
      Fault(where,
            fmt::format("ends at {} of epoch {}, before {} of epoch {} that the one before it has",
                        manifest.last_commit.ToString(), manifest.epoch, previous_.at.lsn.ToString(),
                        previous_.at.epoch),
            fix);
    }
  }

  /// A new epoch begins at zero. Where a link is broken the manifest's own range counts.
  std::optional<int64_t> EpochBefore() const {
    return previous_.sequence == 0 ? std::nullopt : std::optional(previous_.at.epoch);
  }

  void CheckFiles(const std::string& where, const Manifest& manifest) {
    for (const ManifestEvent& event : manifest.events) {
      if (event.at) continue;
      CheckName(where, event.file.path);
      Check({where, event.file, event.table, {PartOf(manifest, EpochBefore(), event.file.rows)}},
            newest_[event.table->lake_name]);
    }
  }

  void CheckMarks(const std::string& where, const Manifest& manifest) {
    const FilePart range = PartOf(manifest, EpochBefore(), 0);
    for (const ManifestEvent& event : manifest.events) {
      if (event.at) CheckMark(where, event, range.after, range.last);
    }
  }

  void CheckTotals(const std::string& where, const Manifest& manifest) {
    int64_t rows = 0;
    for (const ManifestEvent& event : manifest.events) rows += event.at ? 0 : event.file.rows;
    if (rows != manifest.rows) {
      Fault(where, fmt::format("says {} rows, its files have {}", manifest.rows, rows),
            std::string(kRestoreManifest));
    }
    if (manifest.last_file_name < last_name_) {
      Fault(where,
            fmt::format("says that the newest file's name is '{}', but '{}' is newer",
                        manifest.last_file_name, last_name_),
            std::string(kRestoreManifest));
    }
    last_name_ = std::max(last_name_, manifest.last_file_name);
    report_.rows += manifest.rows;
  }

  /// A truncation, or a position from which on only a newer copy tells.
  void CheckMark(const std::string& where, const ManifestEvent& event, int64_t after, int64_t last) {
    if (!event.copy_again.empty())
      marks_[event.table->lake_name] = {where, OrderingPosition(event.at->lsn), event.copy_again};
    if (event.at->lsn > after && event.at->lsn <= last) return;
    Fault(where,
          fmt::format("has {} of {} at {}, which is not beyond {} and up to {}",
                      event.copy_again.empty() ? "a truncation" : "a mark to copy again",
                      event.table->QualifiedName(), OrderingPosition(event.at->lsn).lsn.ToString(),
                      OrderingPosition(after).lsn.ToString(), OrderingPosition(last).lsn.ToString()),
          std::string(kRestoreManifest));
  }

  /// Jobs that read what is newer than the newest name they know miss a file whose name is older.
  void CheckName(const std::string& where, const std::string& path) {
    const std::string stem = Stem(path);
    if (stem <= last_name_) {
      Fault(path, fmt::format("is named by {} behind '{}': names must rise as commits do", where, last_name_),
            "rename nothing by hand; restore file and manifest from a backup");
    }
    last_name_ = std::max(last_name_, stem);
  }

  void Check(const FileExpectation& expected, schema::ChangePosition& newest, bool archived = false) {
    if (!named_.insert(expected.file.path).second) {
      Fault(expected.file.path, fmt::format("is named by {} and by a manifest before it", expected.named_by),
            std::string(kRestoreManifest));
    }
    const int64_t before = progress_.bytes;
    auto faults = CheckFile(storage_, lake_, expected, newest, [this](int64_t bytes) {
      progress_.bytes += bytes;
      options_.on_progress(progress_);
    });
    // Nobody misses a file that has gone meanwhile and whose rows an archive has.
    if (archived && !faults.empty() && !storage_.Exists(lake_ + "/" + expected.file.path)) faults.clear();
    for (ChainFault& fault : faults) Add(std::move(fault));
    report_.files++;
    report_.bytes += progress_.bytes - before;
    progress_.files++;
    options_.on_progress(progress_);
  }

  void ReportOrphans() {
    for (const std::string& path : listed_) {
      if (named_.contains(path) || !storage_.Exists(lake_ + "/" + path)) continue;
      Warn({path, "is named by no manifest",
            "nothing while tarn runs: a flush or a copy may be under way. Otherwise the next start, or the "
            "table's next copy, removes what was cut off; what stays then is not tarn's, or lost its "
            "manifest"});
    }
  }

  struct Mark {
    std::string where;
    SourcePosition at;
    std::string why;
  };
  struct Previous {
    int64_t sequence = 0;
    SourcePosition at;
  };

  const storage::Storage& storage_;
  const std::string& lake_;
  const ChainOptions& options_;
  ChainReport report_;
  ChainProgress progress_;
  std::vector<std::string> listed_;
  std::unordered_set<std::string> named_;
  using Newest = std::map<std::string, schema::ChangePosition>;  ///< By table.
  Newest newest_;
  Newest newest_small_;  ///< Of the flushes of an archived day, which the archive has once more.
  Previous previous_;
  std::map<std::string, SourcePosition> copied_;  ///< Newest copies, by table.
  std::map<std::string, Mark> marks_;             ///< Newest marks to copy again, by table.
  std::string archived_day_;                      ///< Of the archive before.
  std::string last_name_;
};

}  // namespace

Result<ChainReport> VerifyChain(const storage::Storage& storage, const std::string& lake,
                                const ChainOptions& options) {
  return ChainVerifier(storage, lake, options).Run();
}

}  // namespace tarn::bronze
