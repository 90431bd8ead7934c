#include <unistd.h>

#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "base/clock.h"
#include "bronze/chain_verifier.h"
#include "catalog/lake_version.h"
#include "catalog/table_registry.h"
#include "pipeline/lake_storage.h"

namespace tarn::app {
namespace {

nlohmann::json FaultsJson(const std::vector<bronze::ChainFault>& faults) {
  nlohmann::json list = nlohmann::json::array();
  for (const bronze::ChainFault& fault : faults)
    list.push_back({{"where", fault.where}, {"what", fault.what}, {"fix", fault.fix}});
  return list;
}

nlohmann::json BreaksJson(const std::vector<bronze::ChainBreak>& breaks) {
  nlohmann::json list = nlohmann::json::array();
  for (const bronze::ChainBreak& one : breaks)
    list.push_back({{"after", one.after.lsn.ToString()},
                    {"epoch", one.after.epoch},
                    {"until", one.until.lsn.ToString()},
                    {"until_epoch", one.until.epoch},
                    {"why", one.why}});
  return list;
}

void PrintBreaks(const std::vector<bronze::ChainBreak>& breaks) {
  for (const bronze::ChainBreak& one : breaks) {
    fmt::print(
        "break: what changed between {} and {} is in no file, only in the copies that came behind: {}\n",
        one.after.lsn.ToString(), one.until.lsn.ToString(), one.why);
  }
}

void PrintFaults(const char* kind, const std::vector<bronze::ChainFault>& faults, int64_t count) {
  for (const bronze::ChainFault& fault : faults)
    fmt::print("{}: {} {}\n    fix: {}\n", kind, fault.where, fault.what, fault.fix);
  const auto listed = static_cast<int64_t>(faults.size());
  if (count > listed) fmt::print("{}: and {} more\n", kind, count - listed);
}

/// One line that is written over, ten times a second at most.
class VerifyReporter {
 public:
  void operator()(const bronze::ChainProgress& progress) {
    if (!terminal_ || MonotonicMicros() - last_micros_ < 100'000) return;
    last_micros_ = MonotonicMicros();
    fmt::print(stderr, "\rreading file {} of about {}, {:.0f} of {:.0f} MB", progress.files + 1,
               std::max(progress.files + 1, progress.files_total), static_cast<double>(progress.bytes) / 1e6,
               static_cast<double>(std::max(progress.bytes, progress.bytes_total)) / 1e6);
  }
  void Finish() const {
    if (last_micros_ != 0) fmt::print(stderr, "\r{:<70}\r", "");
  }

 private:
  bool terminal_ = isatty(STDERR_FILENO) != 0;
  int64_t last_micros_ = 0;
};

/// What the newest lake version has; none before the first.
Result<SourcePosition> Reached(const storage::Storage& storage, const catalog::LakeLayout& layout) {
  TARN_ASSIGN(const auto versions, catalog::LakeVersions::Open(&storage, layout));
  const auto newest = versions->Find(std::nullopt);
  if (newest) return newest->position();
  if (newest.error().code == ErrorCode::kNotFound) return SourcePosition{};
  return newest.error();
}

}  // namespace

int RunBronzeVerify(const Config& config, bool json) {
  const auto storage = pipeline::OpenLakeStorageReadOnly(config.pipeline);
  const catalog::LakeLayout layout(config.pipeline.lake);
  const auto identity = catalog::ReadIdentity(*storage, layout);
  if (!identity) return Fail(identity.error());
  auto registry = catalog::TableRegistry::Read(*storage, layout);
  if (!registry) return Fail(registry.error());
  const auto reached = Reached(*storage, layout);
  if (!reached) return Fail(reached.error());
  VerifyReporter reporter;
  bronze::ChainOptions options;
  options.reached = *reached;
  options.copied = registry->CopiedAt();
  options.on_progress = [&](const auto& progress) { reporter(progress); };
  const int64_t started = MonotonicMicros();
  const auto report = bronze::VerifyChain(*storage, config.pipeline.bronze_root(), options);
  reporter.Finish();
  if (!report) return Fail(report.error());
  const double seconds = static_cast<double>(MonotonicMicros() - started) / 1e6;
  if (json) {
    fmt::print("{}\n", nlohmann::json{{"complete", report->complete()},
                                      {"faults", FaultsJson(report->faults)},
                                      {"fault_count", report->fault_count},
                                      {"warnings", FaultsJson(report->warnings)},
                                      {"warning_count", report->warning_count},
                                      {"breaks", BreaksJson(report->breaks)},
                                      {"manifests", report->manifests},
                                      {"copies", report->copies},
                                      {"archived_days", report->archived_days},
                                      {"files", report->files},
                                      {"rows", report->rows},
                                      {"bytes", report->bytes},
                                      {"epoch", report->newest.epoch},
                                      {"lsn", report->newest.lsn.ToString()},
                                      {"seconds", seconds}}
                           .dump(1));
    return report->complete() ? kSuccess : kFailed;
  }
  PrintFaults("error", report->faults, report->fault_count);
  PrintFaults("warning", report->warnings, report->warning_count);
  PrintBreaks(report->breaks);
  fmt::print("Bronze is {} up to {}: {} copies and {} flushes{}, {} files, {} rows, {:.1f} MB, {:.1f} s\n",
             report->complete() ? "complete" : "NOT COMPLETE", report->newest.lsn.ToString(), report->copies,
             report->manifests,
             report->archived_days == 0 ? "" : fmt::format(" ({} days archived)", report->archived_days),
             report->files, report->rows, static_cast<double>(report->bytes) / 1e6, seconds);
  return report->complete() ? kSuccess : kFailed;
}

}  // namespace tarn::app
