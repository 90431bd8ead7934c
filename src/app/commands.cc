#include "app/commands.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "catalog/table_registry.h"
#include "pipeline/source_check.h"
#include "server/local_client.h"

namespace tarn::app {
namespace {

std::string Bytes(int64_t bytes) {
  const char* units[] = {"B", "KB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  for (; value >= 1000 && unit < 4; unit++) value /= 1000;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, units[unit]);
}

void PrintStage(const char* name, const nlohmann::json& stage, const std::string& detail) {
  fmt::print("{:<8} {:>16}  {:>10} behind  {:>8.2f} s  {}\n", name, stage.value("lsn", ""),
             Bytes(stage.value("lag_bytes", 0L)), stage.value("lag_seconds", 0.0), detail);
}

}  // namespace

int Fail(const Error& error) {
  std::fflush(stdout);
  fmt::print(stderr, "tarn: {}\n", error.message);
  return error.code == ErrorCode::kInvalidArgument ? kUsage : kFailed;
}

int RunInit(const std::string& source, const std::string& path, const std::string& lake,
            const std::string& models, const std::string& tenant_column, bool force) {
  if (std::filesystem::exists(path) && !force) {
    return Fail(MakeError(ErrorCode::kInvalidArgument, "'{}' is there already; --force replaces it", path));
  }
  const auto text = ConfigTemplate(source, lake, models, tenant_column);
  if (!text) return Fail(text.error());
  std::ofstream out(path);
  out << *text;
  out.close();
  if (!out) return Fail(MakeError(ErrorCode::kIo, "'{}' cannot be written", path));
  fmt::print("wrote {}; next: tarn --config {} check\n", path, path);
  return kSuccess;
}

int RunCheck(const Config& config, bool json) {
  const auto findings = pipeline::CheckSource(config.pipeline);
  if (!findings) return Fail(findings.error());
  bool errors = false;
  nlohmann::json list = nlohmann::json::array();
  for (const pipeline::Finding& finding : *findings) {
    const bool is_error = finding.severity == pipeline::Finding::Severity::kError;
    errors |= is_error;
    list.push_back(
        {{"severity", is_error ? "error" : "warning"}, {"what", finding.what}, {"fix", finding.fix}});
    if (!json) fmt::print("{}: {}\n    fix: {}\n", is_error ? "error" : "warning", finding.what, finding.fix);
  }
  if (json) {
    fmt::print("{}\n", nlohmann::json{{"ok", !errors}, {"findings", list}}.dump(1));
  } else if (findings->empty()) {
    fmt::print("nothing is wrong: source and lake are ready\n");
  }
  return errors ? kDifference : kSuccess;
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
             status.value("uptime_seconds", 0.0), Bytes(status["source"].value("wal_kept_bytes", 0L)));
  const std::string alarm = status["source"].value("alarm", "");
  if (!alarm.empty()) fmt::print("WARNING: {}\n\n", alarm);
  fmt::print("{:<8} {:>16}\n", "source", status["source"].value("server_end", ""));
  if (const auto open = status["source"].value("open_transactions", 0L); open > 0) {
    fmt::print("{} large transaction{} open on the source, of which {} are kept here until the end\n", open,
               open == 1 ? "" : "s", Bytes(status["source"].value("spooled_bytes", 0L)));
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
  for (const auto& [name, source] : status["gone"].items())
    fmt::print("\n{}: the source has no {} any more; what the lake has stays\n", name,
               source.get<std::string>());
  fmt::print("\n{:<28} {:>12} {:>10} {:>10} {:>10}\n", "table", "inserted", "updated", "deleted", "refused");
  for (const auto& [name, counts] : status["tables"].items()) {
    fmt::print("{:<28} {:>12} {:>10} {:>10} {:>10}\n", name, counts.value("inserted", 0L),
               counts.value("updated", 0L), counts.value("deleted", 0L), counts.value("refused", 0L));
  }
  const std::string error = status.value("last_error", "");
  if (!error.empty()) fmt::print("\nlast error: {}\n", error);
  return kSuccess;
}

int RunTables(const Config& config, bool json) {
  const auto storage = storage::OpenLocalStorageReadOnly();
  const catalog::LakeLayout layout(config.pipeline.lake);
  const auto identity = catalog::ReadIdentity(*storage, layout);
  if (!identity) return Fail(identity.error());
  const auto registry = catalog::TableRegistry::Read(*storage, layout);
  if (!registry) return Fail(registry.error());
  nlohmann::json list = nlohmann::json::array();
  if (!json)
    fmt::print("{:<28} {:<32} {:>7}  {:<24} {}\n", "silver table", "source table", "columns",
               "partitioned by", "state");
  for (const auto& [name, table] : registry->tables) {
    std::string partitions = table.tenant_column;
    if (!table.month_of.empty())
      partitions += (partitions.empty() ? "" : ", ") + std::string("month of ") + table.month_of;
    const std::string state = table.left            ? "left: its source table has another name in the lake"
                              : !table.held.empty() ? "held: " + table.held
                              : !table.copy_again.empty() ? "to be copied again: " + table.copy_again
                              : table.source.append_only  ? "append-only"
                                                          : "follows";
    list.push_back({{"table", name},
                    {"source", table.source.QualifiedName()},
                    {"columns", table.source.columns.size()},
                    {"partitions", partitions},
                    {"state", state}});
    if (!json) {
      fmt::print("{:<28} {:<32} {:>7}  {:<24} {}\n", name, table.source.QualifiedName(),
                 table.source.columns.size(), partitions, state);
    }
  }
  if (json) fmt::print("{}\n", list.dump(1));
  return kSuccess;
}

namespace {

void PrintDifferingRows(const nlohmann::json& rows) {
  for (const auto& row : rows) {
    std::string columns;
    for (const auto& column : row["columns"])
      columns += (columns.empty() ? ": " : ", ") + column.get<std::string>();
    fmt::print("  {} {}: {}{}\n", row.value("in", ""), row.value("key", ""), row.value("what", ""), columns);
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
  text += fmt::format(", {} of {} on the source's disk", Bytes(table.value("bytes", 0L)),
                      Bytes(table.value("size_bytes", 0L)));
  const auto& left = table["seconds_left"];
  return left.is_number() ? text + fmt::format(", about {:.0f} s left", left.get<double>()) : text;
}

int RunVerify(const Config& config, bool json) {
  server::AnswerHandler handler;
  const bool terminal = isatty(STDERR_FILENO) != 0;
  handler.on_progress = [terminal](const std::string& table) {
    if (terminal) fmt::print(stderr, "\rcomparing {:<40}", table);
  };
  const auto reply = server::Ask(config.pipeline.lake + "/_tarn", R"({"command":"verify"})", handler);
  if (terminal) fmt::print(stderr, "\r{:<52}\r", "");
  if (!reply) {
    if (reply.error().code == ErrorCode::kNotFound) {
      return Fail(MakeError(ErrorCode::kNotFound,
                            "{}; verification needs the running pipeline: start `tarn run`",
                            reply.error().message));
    }
    return Fail(reply.error());
  }
  const auto result = nlohmann::json::parse(*reply);
  const bool ok = result.value("ok", false);
  if (json) {
    fmt::print("{}\n", result.dump(1));
    return ok ? kSuccess : kDifference;
  }
  fmt::print("{:<28} {:>12} {:>12} {:>12}  {}\n", "table", "source", "silver", "quarantine", "");
  for (const auto& table : result["tables"]) {
    const int64_t source = table["source_good"].value("rows", 0L) + table["source_refused"].value("rows", 0L);
    std::string verdict = table.value("equal", false) ? "equal" : "DIFFERENT";
    if (table.value("append_only", false) && !table.value("equal", false)) verdict = "differs (append-only)";
    if (const std::string held = table.value("held", ""); !held.empty()) verdict = "not compared: " + held;
    fmt::print("{:<28} {:>12} {:>12} {:>12}  {}\n", table.value("table", ""), source,
               table["silver"].value("rows", 0L), table["quarantine"].value("rows", 0L), verdict);
    PrintDifferingRows(table["differing"]);
  }
  fmt::print("{} at source position {} (lake version {}), {:.1f} s\n", ok ? "all equal" : "not all is equal",
             result.value("lsn", ""), result.value("version", ""), result.value("seconds", 0.0));
  return ok ? kSuccess : kDifference;
}

int RunRemove(const Config& config) {
  const auto lease = catalog::WriterLease::Take(catalog::LakeLayout(config.pipeline.lake));
  if (!lease) return Fail(lease.error());
  auto connection =
      cdc::PgConnection::Connect(config.pipeline.conninfo, cdc::PgConnection::Kind::kOrdinary, "remove");
  if (!connection) return Fail(connection.error());
  const auto removed = cdc::RemoveReplicationObjects(**connection, config.pipeline.names);
  if (!removed) return Fail(removed.error());
  for (const std::string& what : *removed) fmt::print("removed {}\n", what);
  if (removed->empty()) fmt::print("nothing of tarn is on the source\n");
  fmt::print("the lake '{}' stays as it is\n", config.pipeline.lake);
  return kSuccess;
}

}  // namespace tarn::app
