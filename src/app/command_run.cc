#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "app/commands.h"
#include "app/reload.h"
#include "base/clock.h"
#include "base/log.h"
#include "pipeline/lake_storage.h"
#include "pipeline/runner.h"
#include "server/local_server.h"

namespace tarn::app {
namespace {

/// One line that is written over on a terminal; a log line every ten seconds elsewhere.
class CopyReporter {
 public:
  void operator()(const pipeline::LoadProgress& progress) {
    if (progress.rows > most_rows_) pauses_ = 0;
    most_rows_ = std::max(most_rows_, progress.rows);
    const double seconds = static_cast<double>(progress.elapsed_micros) / 1e6;
    const double rate = seconds > 0 ? static_cast<double>(progress.rows) / seconds : 0;
    const double left = rate > 0 ? static_cast<double>(progress.estimated_rows - progress.rows) / rate : 0;
    const std::string line = fmt::format(
        "copy: {} of {} tables, {} of about {} rows, {:.0f} rows/s, {:.0f} s left ({})", progress.tables_done,
        progress.tables_total, progress.rows, std::max(progress.estimated_rows, progress.rows), rate,
        std::max(left, 0.0), progress.table);
    if (terminal_) {
      fmt::print(stderr, "\r{:<110}", line);
      if (progress.tables_done == progress.tables_total) fmt::print(stderr, "\n");
      return;
    }
    const int64_t now = MonotonicMicros();
    if (now - last_micros_ < 10'000'000 && progress.tables_done != progress.tables_total) return;
    last_micros_ = now;
    spdlog::info("{}", line);
  }

  /// Whether a row was copied.
  bool has_begun() const { return most_rows_ > 0; }
  /// Milliseconds before the next try: longer and longer while nothing new is copied.
  int NextPause() { return std::min(500 << std::min(pauses_++, 7), 60'000); }

 private:
  bool terminal_ = isatty(STDERR_FILENO) != 0;
  int64_t last_micros_ = 0;
  int64_t most_rows_ = 0;
  int pauses_ = 0;
};

engine::SessionOptions QueryOptions(const Config& config, const pipeline::Runner& runner) {
  engine::SessionOptions options;
  options.open_file = pipeline::OpenerOf(runner.storage(), config.pipeline);
  options.memory_limit_bytes = config.pipeline.query_memory_bytes;
  options.threads = config.query_threads;
  options.spill_folder = config.pipeline.lake + "/_tarn/spill";
  return options;
}

/// One life of the pipeline: a later one begins with what is in the lake, as a new process would.
Status RunOnce(RunningConfig& running, std::optional<Lsn> until, CancelToken& cancel,
               CopyReporter& reporter) {
  const Config config = running.Get();
  pipeline::PipelineOptions options = config.pipeline;
  options.s3.cancel = &cancel;
  TARN_ASSIGN(auto runner, pipeline::Runner::Open(std::move(options), &Clock::System()));
  TARN_ASSIGN(auto server,
              server::LocalServer::Start(config.pipeline.lake + "/_tarn", runner.get(),
                                         server::Principals(config.principals), QueryOptions(config, *runner),
                                         [&] { return running.Reload(*runner); }));
  spdlog::info("lake {}; `tarn status` and `tarn query` answer now", config.pipeline.lake);
  const Status outcome = runner->Run(cancel, until, [&](const auto& progress) { reporter(progress); });
  server->Stop();
  return outcome;
}

}  // namespace

int RunPipeline(const Config& config, const std::string& until, CancelToken& cancel) {
  std::optional<Lsn> until_lsn;
  if (!until.empty()) {
    const auto lsn = Lsn::Parse(until);
    if (!lsn) return Fail(lsn.error());
    until_lsn = *lsn;
  }
  CopyReporter reporter;
  RunningConfig running(config);
  while (true) {
    const Status outcome = RunOnce(running, until_lsn, cancel, reporter);
    if (outcome) break;
    // Of a first copy nothing that took hours is given up because a connection broke; what never worked at
    // all is for a person to look at. The stream makes its connections again by itself.
    if (!reporter.has_begun() || !IsRetryable(outcome.error().code)) return Fail(outcome.error());
    const int wait_ms = reporter.NextPause();
    spdlog::warn("{}; going on with the copy in {} ms", outcome.error().message, wait_ms);
    for (int waited = 0; waited < wait_ms && !cancel.IsCancelled(); waited += 50)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (cancel.IsCancelled()) break;
  }
  spdlog::info("stopped; everything confirmed to the source is in the lake");
  return kSuccess;
}

int RunRebuild(const Config& config, CancelToken& cancel) {
  pipeline::PipelineOptions options = config.pipeline;
  options.s3.cancel = &cancel;
  options.adopt_bronze = true;
  auto runner = pipeline::Runner::Open(std::move(options), &Clock::System());
  if (!runner) return Fail(runner.error());
  CopyReporter reporter;
  const Status outcome = (*runner)->Rebuild(cancel, [&](const auto& progress) { reporter(progress); });
  if (!outcome) return Fail(outcome.error());
  fmt::print("Silver, quarantine and Gold are made again from Bronze\n");
  return kSuccess;
}

}  // namespace tarn::app
