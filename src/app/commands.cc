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

std::string StateText(const catalog::RegisteredTable& table) {
  if (table.left) return "left: its source table has another name in the lake";
  if (!table.held.empty()) return "held: " + table.held;
  if (!table.copy_again.empty()) return "to be copied again: " + table.copy_again;
  return table.source.append_only ? "append-only" : "follows";
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
    const std::string state = StateText(table);
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
