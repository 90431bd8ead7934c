#include "bronze/chain_verifier.h"

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_set>

#include "bronze/file_check.h"
#include "bronze/manifest.h"

namespace tarn::bronze {
namespace {

constexpr std::string_view kRestoreManifest =
    "restore the manifest, and the files that it names, from a backup; without one, `tarn resync` of every "
    "table makes newer copies, which need no earlier manifest";

std::string Stem(const std::string& path) {
  const size_t from = path.rfind('/') + 1;
  return path.substr(from, path.rfind('.') - from);
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
    ReportOrphans();
    return std::move(report_);
  }

 private:
  void Add(ChainFault fault) {
    if (report_.fault_count++ < static_cast<int64_t>(ChainReport::kMostListed))
      report_.faults.push_back(std::move(fault));
  }
  void Fault(std::string where, std::string what, std::string fix) {
    Add({std::move(where), std::move(what), std::move(fix)});
  }

  Status ListFiles() {
    const std::string bronze = lake_ + "/bronze";
    TARN_ASSIGN(const auto schemas, storage_.List(bronze));
    for (const auto& schema : schemas) {
      TARN_ASSIGN(const auto tables, storage_.List(bronze + "/" + schema.name));
      for (const auto& table : tables) {
        const std::string folder = "bronze/" + schema.name + "/" + table.name;
        TARN_ASSIGN(const auto files, storage_.List(lake_ + "/" + folder));
        for (const auto& file : files) {
          listed_.push_back(folder + "/" + file.name);
          progress_.bytes_total += file.size_bytes;
        }
      }
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
    int64_t rows = 0;
    for (const LoadFile& file : load.files) {
      const int64_t at = OrderingValue(load.epoch, file.snapshot);
      // Workers write side by side: each file has an order of its own.
      schema::ChangePosition newest;
      rows += file.rows;
      Check({where, file, load.table, at - 1, at}, newest);
    }
    if (rows != load.rows) {
      Fault(where, fmt::format("says {} rows, its files have {}", load.rows, rows),
            fmt::format("restore it from a backup; without one, `tarn resync {}` makes a newer copy",
                        load.table->QualifiedName()));
    }
  }

  Status CheckManifests() {
    TARN_ASSIGN(const auto names, storage_.List(ManifestFolder(lake_)));
    for (const auto& name : names) {
      const std::string where = "_tarn/bronze/changes/" + name.name;
      const auto json = storage_.Read(lake_ + "/" + where);
      const auto manifest = json ? ManifestFromJson(*json) : Result<Manifest>(json.error());
      if (!manifest) {
        Fault(where, "cannot be read: " + manifest.error().message, std::string(kRestoreManifest));
        continue;
      }
      report_.manifests++;
      CheckLink(where, name.name, *manifest);
      CheckEvents(where, *manifest);
      previous_ = {manifest->sequence, manifest->position()};
      report_.newest = std::max(report_.newest, manifest->position());
    }
    return {};
  }

  /// That the manifest follows on the one before it.
  void CheckLink(const std::string& where, const std::string& name, const Manifest& manifest) {
    const std::string fix(kRestoreManifest);
    if (name != ManifestName(manifest.sequence)) {
      Fault(where, fmt::format("says that it is number {}, which is not its name", manifest.sequence), fix);
    }
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

  void CheckEvents(const std::string& where, const Manifest& manifest) {
    // Where a link is broken the manifest's own range counts; a new epoch begins at zero.
    const bool same_epoch = manifest.epoch == previous_.at.epoch || previous_.sequence == 0;
    const int64_t after = OrderingValue(manifest.epoch, same_epoch ? manifest.after : Lsn{});
    const int64_t last = OrderingValue(manifest.position());
    int64_t rows = 0;
    for (const ManifestEvent& event : manifest.events) {
      if (event.at) {
        CheckMark(where, event, after, last);
        continue;
      }
      rows += event.file.rows;
      CheckName(where, event.file.path);
      Check({where, event.file, event.table, after, last}, newest_[event.table->lake_name]);
    }
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
  }

  /// A truncation, or a position from which on only a newer copy tells.
  void CheckMark(const std::string& where, const ManifestEvent& event, int64_t after, int64_t last) {
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

  void Check(const FileExpectation& expected, schema::ChangePosition& newest) {
    if (!named_.insert(expected.file.path).second) {
      Fault(expected.file.path, fmt::format("is named by {} and by a manifest before it", expected.named_by),
            std::string(kRestoreManifest));
    }
    const int64_t before = progress_.bytes;
    for (ChainFault& fault : CheckFile(storage_, lake_, expected, newest, [this](int64_t bytes) {
           progress_.bytes += bytes;
           options_.on_progress(progress_);
         }))
      Add(std::move(fault));
    report_.files++;
    report_.rows += expected.file.rows;
    report_.bytes += progress_.bytes - before;
    progress_.files++;
    options_.on_progress(progress_);
  }

  void ReportOrphans() {
    for (const std::string& path : listed_) {
      if (named_.contains(path)) continue;
      if (report_.warning_count++ >= static_cast<int64_t>(ChainReport::kMostListed)) continue;
      report_.warnings.push_back(
          {path, "is named by no manifest",
           "nothing while tarn runs: a flush or a copy may be under way. Otherwise the next start, or the "
           "table's next copy, removes what was cut off; what stays then is not tarn's, or lost its "
           "manifest"});
    }
  }

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
  std::map<std::string, schema::ChangePosition> newest_;  ///< By table.
  Previous previous_;
  std::string last_name_;
};

}  // namespace

Result<ChainReport> VerifyChain(const storage::Storage& storage, const std::string& lake,
                                const ChainOptions& options) {
  return ChainVerifier(storage, lake, options).Run();
}

}  // namespace tarn::bronze
