#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/output.h"
#include "server/local_client.h"

namespace tarn::app {
namespace {

void PrintStage(const char* name, const nlohmann::json& stage, const std::string& detail) {
  fmt::print("{:<8} {:>16}  {:>10} behind  {:>8.2f} s  {}\n", name, stage.value("lsn", ""),
             BytesText(stage.value("lag_bytes", 0L)), stage.value("lag_seconds", 0.0), detail);
}

void PrintStages(const nlohmann::json& status) {
  fmt::print("{:<8} {:>16}\n", "source", status["source"].value("server_end", ""));
  if (const auto open = status["source"].value("open_transactions", 0L); open > 0) {
    fmt::print("{} large transaction{} open on the source, of which {} are kept here until the end\n", open,
               open == 1 ? "" : "s", BytesText(status["source"].value("spooled_bytes", 0L)));
  }
  PrintStage("tail", status["tail"],
             fmt::format("{} changes seen by queries, newest step took {:.0f} ms",
                         status["tail"].value("changes", 0L), status["tail"].value("last_step_ms", 0.0)));
  PrintStage("bronze", status["bronze"],
             fmt::format("{} changes, {} flushes", status["bronze"].value("changes", 0L),
                         status["bronze"].value("flushes", 0L)));
  PrintStage("silver", status["silver"],
             fmt::format("{} changes, {} commits", status["silver"].value("changes", 0L),
                         status["silver"].value("commits", 0L)));
  PrintStage("gold", status["gold"], fmt::format("{} runs", status["gold"].value("runs", 0L)));
}

/// First copies, those beside the stream, and the archive.
void PrintWork(const nlohmann::json& status) {
  const auto& copy = status["copy"];
  if (copy.value("tables_total", 0L) > copy.value("tables_done", 0L)) {
    fmt::print("\nfirst copy: {} of {} tables, {} rows\n", copy.value("tables_done", 0L),
               copy.value("tables_total", 0L), copy.value("rows", 0L));
    for (const auto& [name, table] : copy["tables"].items())
      fmt::print("  {:<28} {}\n", name, CopyProgressText(table));
  }
  const auto& copies = status["copies"];
  for (const auto& [name, reason] : copies["wanted"].items()) {
    const bool now = copies.value("copying", "") == name;
    fmt::print("\n{} {}: {}\n", now ? "copying" : "to be copied:", name, reason.get<std::string>());
    if (now) {
      fmt::print("  {}\n", CopyProgressText(copies));
    }
  }
  const auto& archive = status["archive"];
  if (const std::string day = archive.value("archiving", ""); !day.empty()) {
    fmt::print("\narchiving Bronze of {}: {} of {} files\n", day, archive.value("files", 0L),
               archive.value("files_total", 0L));
  }
  if (const std::string error = archive.value("last_error", ""); !error.empty())
    fmt::print("\narchiving Bronze: {}\n", error);
}

void PrintTables(const nlohmann::json& tables) {
  fmt::print("\n{:<28} {:>12} {:>10} {:>10} {:>10}\n", "table", "inserted", "updated", "deleted", "refused");
  for (const auto& [name, counts] : tables.items()) {
    fmt::print("{:<28} {:>12} {:>10} {:>10} {:>10}\n", name, counts.value("inserted", 0L),
               counts.value("updated", 0L), counts.value("deleted", 0L), counts.value("refused", 0L));
  }
}

/// What does not hold, and how many do. `checks`: null before their first run.
void PrintChecks(const nlohmann::json& checks) {
  if (checks.is_null()) return;
  if (const std::string error = checks.value("error", ""); !error.empty()) {
    fmt::print("\nchecks: {}\n", error);
    return;
  }
  if (checks.value("checks", 0L) == 0) return;
  fmt::print("\n{} of {} checks hold, as of {}\n", checks.value("hold", 0L), checks.value("checks", 0L),
             checks.value("at", ""));
  for (const auto& check : checks["open"]) {
    const std::string error = check.value("error", "");
    const std::string what = error.empty()
                                 ? fmt::format("{} wrong rows{}", check.value("wrong_rows", 0L),
                                               check.value("severity", "") == "warn" ? " (a warning)" : "")
                                 : "cannot be run: " + error;
    fmt::print("  {} {}: {}, since {}\n", check.value("table", ""), check.value("check", ""), what,
               check.value("since", ""));
  }
}

}  // namespace

std::string CopyProgressText(const nlohmann::json& table) {
  const int64_t rows = table.value("rows", 0L);
  if (table.value("done", false))
    return fmt::format("{} rows, done in {:.1f} s", rows, table.value("seconds", 0.0));
  if (table.value("seconds", 0.0) == 0) return "waits for its turn";
  std::string text = fmt::format("{} rows", rows);
  const auto& estimated = table["estimated_rows"];
  if (estimated.is_number())
    text = fmt::format("{} of about {} rows", rows, std::max(estimated.get<int64_t>(), rows));
  text += fmt::format(", {} of {} on the source's disk", BytesText(table.value("bytes", 0L)),
                      BytesText(table.value("size_bytes", 0L)));
  const auto& left = table["seconds_left"];
  return left.is_number() ? text + fmt::format(", about {:.0f} s left", left.get<double>()) : text;
}

int RunStatus(const Config& config, bool json) {
  const auto reply = server::Ask(config.pipeline.lake + "/_tarn", R"({"command":"status"})", {});
  if (!reply) {
    if (reply.error().code == ErrorCode::kNotFound && json) fmt::print("{}\n", R"({"phase":"not running"})");
    return Fail(reply.error());
  }
  const auto status = nlohmann::json::parse(*reply);
  if (json) {
    fmt::print("{}\n", status.dump(1));
    return kSuccess;
  }
  fmt::print("{} since {:.0f} s; the source keeps {} of WAL for us\n\n", status.value("phase", ""),
             status.value("uptime_seconds", 0.0), BytesText(status["source"].value("wal_kept_bytes", 0L)));
  const std::string alarm = status["source"].value("alarm", "");
  if (!alarm.empty()) fmt::print("WARNING: {}\n\n", alarm);
  PrintStages(status);
  PrintWork(status);
  for (const auto& [name, source] : status["gone"].items())
    fmt::print("\n{}: the source has no {} any more; what the lake has stays\n", name,
               source.get<std::string>());
  PrintTables(status["tables"]);
  PrintChecks(status["checks"]);
  const std::string error = status.value("last_error", "");
  if (!error.empty()) fmt::print("\nlast error: {}\n", error);
  return kSuccess;
}

}  // namespace tarn::app
