#include <unistd.h>

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/commands.h"
#include "catalog/table_registry.h"
#include "server/local_client.h"

namespace tarn::app {
namespace {

Result<nlohmann::json> AskStatus(const std::string& folder) {
  TARN_ASSIGN(const std::string reply, server::Ask(folder, R"({"command":"status"})", {}));
  return nlohmann::json::parse(reply);
}

/// Positions of the tables' newest copies.
std::map<std::string, std::string> CopiedAt(const nlohmann::json& status) {
  std::map<std::string, std::string> positions;
  for (const auto& [name, table] : status["tables"].items()) positions[name] = table.value("copied_at", "");
  return positions;
}

std::string Progress(const nlohmann::json& status) {
  const auto& copies = status["copies"];
  const std::string copying = copies.value("copying", "");
  if (copying.empty()) return "waiting for the stream to pass the copy";
  return fmt::format("copying {}: {}", copying, CopyProgressText(copies));
}

/// Returns when every table has a newer copy than `before` says.
Status WaitForCopies(const std::string& folder, const std::vector<std::string>& tables,
                     const std::map<std::string, std::string>& before) {
  const bool terminal = isatty(STDERR_FILENO) != 0;
  while (true) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    TARN_ASSIGN(const nlohmann::json status, AskStatus(folder));
    const auto now = CopiedAt(status);
    const bool done = std::all_of(tables.begin(), tables.end(), [&](const std::string& table) {
      return now.contains(table) && now.at(table) != before.at(table);
    });
    if (terminal) fmt::print(stderr, "\r{:<78}", done ? "" : Progress(status));
    if (done) break;
  }
  if (terminal) fmt::print(stderr, "\r");
  return {};
}

/// Without a running tarn: the next one begins with the copies.
int MarkInRegistry(const Config& config, const std::vector<std::string>& tables) {
  const catalog::LakeLayout layout(config.pipeline.lake);
  const auto lease = catalog::WriterLease::Take(layout);
  if (!lease) return Fail(lease.error());
  const auto storage = storage::OpenLocalStorage(layout.Internal("staging"));
  if (!storage) return Fail(storage.error());
  auto registry = catalog::TableRegistry::Read(**storage, layout);
  if (!registry) return Fail(registry.error());
  for (const std::string& wanted : tables) {
    const auto name = registry->LakeName(wanted);
    if (!name) return Fail(name.error());
    registry->tables.at(*name).copy_again = "asked for by `tarn resync`";
  }
  const Status written = registry->Write(**storage, layout);
  if (!written) return Fail(written.error());
  fmt::print("no tarn runs on this lake: the next `tarn run` copies {} again\n",
             tables.size() == 1 ? tables[0] : fmt::format("{} tables", tables.size()));
  return kSuccess;
}

}  // namespace

int RunResync(const Config& config, const std::vector<std::string>& tables, bool wait) {
  const std::string folder = config.pipeline.lake + "/_tarn";
  const auto status = AskStatus(folder);
  if (!status && status.error().code == ErrorCode::kNotFound) return MarkInRegistry(config, tables);
  if (!status) return Fail(status.error());
  const auto before = CopiedAt(*status);
  const auto reply =
      server::Ask(folder, nlohmann::json{{"command", "resync"}, {"tables", tables}}.dump(), {});
  if (!reply) return Fail(reply.error());
  const auto names = nlohmann::json::parse(*reply)["tables"].get<std::vector<std::string>>();
  if (!wait) {
    fmt::print("asked for; `tarn status` tells how far it is\n");
    return kSuccess;
  }
  const Status done = WaitForCopies(folder, names, before);
  if (!done) return Fail(done.error());
  for (const std::string& name : names) fmt::print("{} is as the source has it\n", name);
  return kSuccess;
}

}  // namespace tarn::app
