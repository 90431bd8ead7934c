#include "pipeline/bronze_archive.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <set>

#include "base/log.h"
#include "catalog/lake_layout.h"
#include "pipeline/lake_storage.h"

namespace tarn::pipeline {
namespace {

constexpr auto kLookInterval = std::chrono::minutes(10);
constexpr int kNice = 10;
constexpr int64_t kHourMicros = 3'600'000'000;

/// "20261122" as "2026-11-22".
std::string DayText(const std::string& day) {
  return fmt::format("{}-{}-{}", day.substr(0, 4), day.substr(4, 2), day.substr(6, 2));
}

/// "2026-11-22" as "20261122".
Result<std::string> DayName(const std::string& text) {
  const auto micros = ParseTimestamp(text);
  if (text.size() != 10 || !micros || FormatTimestamp(*micros).substr(0, 10) != text)
    return MakeError(ErrorCode::kInvalidArgument, "'{}' is no day: write it as 2026-11-22", text);
  return text.substr(0, 4) + text.substr(5, 2) + text.substr(8, 2);
}

}  // namespace

std::string ToJson(const ArchiveOutcome& outcome) {
  nlohmann::json days = nlohmann::json::array();
  for (const ArchivedDay& day : outcome.days) {
    days.push_back({{"day", day.day},
                    {"flushes", day.flushes},
                    {"small_files", day.small_files},
                    {"tables", day.tables},
                    {"files", day.files},
                    {"rows", day.rows},
                    {"bytes", day.bytes},
                    {"seconds", day.seconds}});
  }
  return nlohmann::json{{"days", days},
                        {"removed_files", outcome.removed.files},
                        {"removed_manifests", outcome.removed.manifests}}
      .dump(1);
}

std::string ArchiveProgressLine(const std::string& day, const bronze::ArchiveProgress& progress) {
  return fmt::format("archiving {}: {} % of {} files", day,
                     progress.files * 100 / std::max<int64_t>(progress.files_total, 1), progress.files_total);
}

void BronzeArchive::Start() {
  if (options_.archive_after_hours == 0) return;
  thread_ = std::thread([this] { Loop(); });
}

void BronzeArchive::Stop() {
  {
    // Under the lock: the loop is then either before its look at the token, or waits.
    const std::lock_guard lock(mutex_);
    cancel_.Cancel();
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void BronzeArchive::Flushed(const bronze::Manifest& manifest) {
  const std::string day = manifest.last_file_name.substr(0, 8);
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(flushed_day_, day) == day) return;
    look_wanted_ = true;
  }
  changed_.notify_all();
}

ArchiveState BronzeArchive::state() {
  const std::lock_guard lock(mutex_);
  return state_;
}

void BronzeArchive::Loop() {
  // Of this thread alone; where it is not allowed the archive is only less polite.
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNice);
  std::string told;
  while (!cancel_.IsCancelled()) {
    const Status looked = Look();
    std::unique_lock lock(mutex_);
    state_.last_error = looked || looked.error().code == ErrorCode::kCancelled ? "" : looked.error().message;
    if (!state_.last_error.empty() && told != state_.last_error)
      spdlog::warn("archiving Bronze: {}", state_.last_error);
    told = state_.last_error;
    changed_.wait_for(lock, kLookInterval, [&] { return cancel_.IsCancelled() || look_wanted_; });
    look_wanted_ = false;
  }
}

Status BronzeArchive::NoteNewest() {
  TARN_ASSIGN(const auto archives, bronze::ListArchives(*storage_, options_.bronze_root()));
  if (archives.empty()) return {};
  TARN_ASSIGN(const auto newest, bronze::ReadArchive(*storage_, options_.bronze_root(), archives.back()));
  const std::lock_guard lock(mutex_);
  state_.newest_day = DayText(newest.day);
  return {};
}

Status BronzeArchive::Look() {
  if (state().newest_day.empty()) TARN_RETURN_IF_ERROR(NoteNewest());
  ArchiveOutcome outcome;
  const auto is_due = [&](const bronze::ClosedDay& day) -> Result<bool> {
    TARN_ASSIGN(const int64_t end, day.EndMicros());
    return clock_->NowMicros() >= end + options_.archive_after_hours * kHourMicros;
  };
  TARN_RETURN_IF_ERROR(ArchiveWhile(is_due, cancel_, {}, outcome));
  return RemoveOld(cancel_, outcome);
}

Result<ArchiveOutcome> BronzeArchive::ArchiveNow(const std::string& until, const CancelToken& cancel,
                                                 const Reporter& on_progress) {
  std::string last;
  if (!until.empty()) {
    TARN_ASSIGN(last, DayName(until));
  }
  ArchiveOutcome outcome;
  const auto is_wanted = [&](const bronze::ClosedDay& day) -> Result<bool> {
    return last.empty() || day.day <= last;
  };
  TARN_RETURN_IF_ERROR(ArchiveWhile(is_wanted, cancel, on_progress, outcome));
  TARN_RETURN_IF_ERROR(RemoveOld(cancel, outcome));
  return outcome;
}

Status BronzeArchive::ArchiveWhile(const Wanted& wanted, const CancelToken& cancel,
                                   const Reporter& on_progress, ArchiveOutcome& outcome) {
  while (true) {
    TARN_RETURN_IF_ERROR(cancel.Check());
    const std::lock_guard lock(work_);
    TARN_ASSIGN(const auto day, bronze::FindClosedDay(*storage_, options_.bronze_root()));
    if (!day) return {};
    TARN_ASSIGN(const bool now, wanted(*day));
    if (!now) return {};
    auto archived = Archive(*day, cancel, on_progress);
    {
      const std::lock_guard state_lock(mutex_);
      state_.archiving.clear();
      state_.progress = {};
      if (archived) {
        state_.newest_day = archived->day;
        state_.days += archived->is_whole ? 1 : 0;
      }
    }
    if (!archived) return std::move(archived).error();
    outcome.days.push_back(*std::move(archived));
  }
}

Result<ArchivedDay> BronzeArchive::Archive(const bronze::ClosedDay& day, const CancelToken& cancel,
                                           const Reporter& on_progress) {
  const std::string text = DayText(day.day);
  ArchivedDay archived;
  bronze::ArchiveOptions options;
  options.clock = clock_;
  options.cancel = &cancel;
  options.on_progress = [&](const bronze::ArchiveProgress& progress) {
    archived.small_files = progress.files;
    if (on_progress) on_progress(text, progress);
    const std::lock_guard lock(mutex_);
    state_.archiving = text;
    state_.progress = progress;
  };
  const int64_t started = MonotonicMicros();
  TARN_ASSIGN(const bronze::ArchiveManifest archive,
              bronze::ArchiveDay(storage_, options_.bronze(), day, options));
  std::set<std::string> tables;
  for (const bronze::ArchivedFile& file : archive.files) {
    tables.insert(file.table->lake_name);
    archived.bytes += file.file.size_bytes;
  }
  archived.day = text;
  archived.is_whole = archive.last() == day.range.last;
  archived.flushes = static_cast<int64_t>(archive.manifests.size());
  archived.tables = static_cast<int64_t>(tables.size());
  archived.files = static_cast<int64_t>(archive.files.size());
  archived.rows = archive.rows();
  archived.seconds = static_cast<double>(MonotonicMicros() - started) / 1e6;
  spdlog::info("archived Bronze of {}: {} rows of {} files are in {} now, {:.1f} s", text, archived.rows,
               archived.small_files, archived.files, archived.seconds);
  return archived;
}

Status BronzeArchive::RemoveOld(const CancelToken& cancel, ArchiveOutcome& outcome) {
  if (options_.keep_days == 0) return {};
  const std::lock_guard lock(work_);
  TARN_ASSIGN(outcome.removed,
              bronze::RemoveArchived(storage_, options_.bronze(),
                                     clock_->NowMicros() - options_.keep_days * 24 * kHourMicros, &cancel));
  if (outcome.removed.files > 0)
    spdlog::info("removed {} small files of archived days of Bronze", outcome.removed.files);
  return {};
}

Result<ArchiveOutcome> ArchiveStopped(const PipelineOptions& options, const std::string& until,
                                      const BronzeArchive::Reporter& on_progress) {
  const catalog::LakeLayout layout(options.lake, options.bronze_root());
  TARN_ASSIGN(const auto lease, catalog::WriterLease::Take(layout));
  TARN_ASSIGN(const auto storage, OpenLakeStorage(options));
  TARN_RETURN_IF_ERROR(ClaimBronze(*storage, options));
  return BronzeArchive(storage.get(), options, &Clock::System())
      .ArchiveNow(until, CancelToken(), on_progress);
}

}  // namespace tarn::pipeline
