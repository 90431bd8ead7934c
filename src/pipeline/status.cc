#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "pipeline/runner.h"

namespace tarn::pipeline {

namespace {

/// What is not known is null.
nlohmann::json ProgressJson(const TableProgress& progress) {
  nlohmann::json json = {{"rows", progress.rows},
                         {"bytes", progress.bytes},
                         {"size_bytes", progress.size_bytes},
                         {"seconds", static_cast<double>(progress.elapsed_micros) / 1e6},
                         {"done", progress.done},
                         {"estimated_rows", nullptr},
                         {"seconds_left", nullptr}};
  if (progress.estimated_rows >= 0) json["estimated_rows"] = progress.estimated_rows;
  if (const auto left = progress.SecondsLeft()) json["seconds_left"] = *left;
  return json;
}

/// Counts of all, and each that does not hold.
nlohmann::json ChecksJson(const CheckStates& states) {
  if (states.at_micros == 0) return nullptr;
  nlohmann::json open = nlohmann::json::array();
  for (const CheckState& state : states.checks) {
    if (state.verdict == CheckState::Verdict::kHolds) continue;
    open.push_back({{"table", state.listed.TableName()},
                    {"check", state.listed.check.name},
                    {"severity", state.listed.check.warns ? "warn" : "error"},
                    {"wrong_rows", state.wrong_rows},
                    {"error", state.error},
                    {"since", FormatTimestamp(state.since_micros)},
                    {"explain", state.listed.check.explain}});
  }
  return {{"at", FormatTimestamp(states.at_micros)},
          {"seconds", states.seconds},
          {"checks", states.checks.size()},
          {"hold", states.checks.size() - open.size()},
          {"open", open},
          {"error", states.error}};
}

}  // namespace

std::string Runner::StatusJson() {
  const int64_t now = clock_->NowMicros();
  const cdc::StreamPositions& stream = stream_->positions();
  const uint64_t end = stream.server_end.load();
  // Seconds behind the source: none when everything the source has was taken in.
  const auto stage = [&](uint64_t lsn, int64_t commit_micros) {
    const bool behind = lsn < stream.received.load() && commit_micros > 0;
    return nlohmann::json{{"lsn", Lsn{lsn}.ToString()},
                          {"lag_bytes", end > lsn ? end - lsn : 0},
                          {"lag_seconds", behind ? static_cast<double>(now - commit_micros) / 1e6 : 0.0},
                          {"newest_commit", commit_micros == 0 ? "" : FormatTimestamp(commit_micros)}};
  };
  nlohmann::json status;
  status["phase"] = RunPhaseName(state_.phase);
  status["uptime_seconds"] = static_cast<double>(now - state_.started_micros) / 1e6;
  status["source"] = {{"server_end", Lsn{end}.ToString()},
                      {"received", Lsn{stream.received.load()}.ToString()},
                      {"confirmed", Lsn{stream.confirmed.load()}.ToString()},
                      {"open_transactions", stream.open_transactions.load()},
                      {"spooled_bytes", stream.spooled_bytes.load()},
                      {"wal_kept_bytes", end > stream.confirmed ? end - stream.confirmed : 0}};
  status["tail"] = stage(state_.tail_lsn, state_.tail_commit_micros);
  status["tail"]["changes"] = state_.tail_rows.load();
  status["bronze"] = stage(state_.bronze_lsn, state_.bronze_commit_micros);
  status["bronze"]["changes"] = state_.bronze_rows.load();
  status["bronze"]["flushes"] = state_.bronze_flushes.load();
  status["silver"] = stage(state_.silver_lsn, state_.silver_commit_micros);
  status["silver"]["changes"] = state_.silver_rows.load();
  status["silver"]["commits"] = state_.silver_commits.load();
  status["tail"]["last_step_ms"] = static_cast<double>(state_.apply_micros) / 1e3;
  status["gold"] = stage(state_.gold_lsn, state_.gold_commit_micros);
  status["gold"]["runs"] = state_.gold_runs.load();
  if (const GoldLayer* gold = opened_gold_) {
    for (const auto& [name, run] : gold->Runs()) {
      status["gold"]["models"][name] = {{"rows", run.rows},
                                        {"seconds", run.seconds},
                                        {"partitions_changed", run.partitions_changed},
                                        {"error", run.error}};
    }
  }
  for (const auto& [name, counts] : silver_->Counts()) {
    status["tables"][name] = {{"inserted", counts->inserted.load()}, {"updated", counts->updated.load()},
                              {"deleted", counts->deleted.load()},   {"refused", counts->refused.load()},
                              {"warnings", counts->warnings.load()}, {"commits", counts->commits.load()}};
  }
  for (const auto& [name, table] : Followed()) status["tables"][name]["copied_at"] = table.start.ToString();
  const WatchState watch = watch_->state();
  nlohmann::json wanted = nlohmann::json::object();
  for (const auto& [name, reason] : watch.wanted) wanted[name] = reason;
  status["copies"] = {{"wanted", wanted}, {"copying", watch.copying}, {"last_error", watch.last_error}};
  status["copies"].update(ProgressJson(watch.copying.empty() ? TableProgress{} : watch.progress));
  const ArchiveState archive = archive_->state();
  status["archive"] = {{"newest_day", archive.newest_day}, {"archiving", archive.archiving},
                       {"files", archive.progress.files},  {"files_total", archive.progress.files_total},
                       {"days_archived", archive.days},    {"last_error", archive.last_error}};
  status["gone"] = watch.gone;
  status["source"]["looks"] = watch.looks;
  const KeptWal kept = slot_alarm_->kept_wal();
  status["source"]["alarm"] = kept.alarm;
  status["source"]["wal_retained_bytes"] = kept.bytes;
  status["checks"] = ChecksJson(check_watch_->states());
  const std::lock_guard lock(state_.mutex);
  status["copy"] = {{"table", state_.load.table},
                    {"tables_done", state_.load.tables_done},
                    {"tables_total", state_.load.tables_total},
                    {"rows", state_.load.rows},
                    {"estimated_rows", state_.load.estimated_rows},
                    {"seconds", static_cast<double>(state_.load.elapsed_micros) / 1e6}};
  for (const auto& [name, progress] : state_.load.tables)
    status["copy"]["tables"][name] = ProgressJson(progress);
  status["last_error"] = state_.last_error;
  return status.dump();
}

}  // namespace tarn::pipeline
