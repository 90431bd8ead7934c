#include <unistd.h>

#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "catalog/lake_layout.h"
#include "pipeline/bronze_archive.h"
#include "pipeline/lake_storage.h"
#include "server/local_client.h"

namespace tarn::app {
namespace {

/// A lake without a running tarn is archived here.
Result<std::string> Archive(const Config& config, const std::string& until,
                            const std::function<void(const std::string&)>& tell) {
  server::AnswerHandler handler;
  handler.on_progress = tell;
  auto reply = server::Ask(config.pipeline.lake + "/_tarn",
                           nlohmann::json{{"command", "archive"}, {"until", until}}.dump(), handler);
  if (reply || !server::NobodyRuns(reply.error())) return reply;
  const catalog::LakeLayout layout(config.pipeline.lake);
  TARN_ASSIGN([[maybe_unused]] const auto identity,
              catalog::ReadIdentity(*pipeline::OpenLakeStorageReadOnly(config.pipeline), layout));
  TARN_ASSIGN(const auto outcome,
              pipeline::ArchiveStopped(config.pipeline, until,
                                       [&](const std::string& day, const bronze::ArchiveProgress& progress) {
                                         tell(pipeline::ArchiveProgressLine(day, progress));
                                       }));
  return pipeline::ToJson(outcome);
}

}  // namespace

int RunBronzeArchive(const Config& config, const std::string& until, bool json) {
  const bool terminal = isatty(STDERR_FILENO) != 0;
  const auto reply = Archive(config, until, [terminal](const std::string& line) {
    if (terminal) fmt::print(stderr, "\r{:<70}", line);
  });
  if (terminal) fmt::print(stderr, "\r{:<70}\r", "");
  if (!reply) return Fail(reply.error());
  if (json) {
    fmt::print("{}\n", *reply);
    return kSuccess;
  }
  const auto outcome = nlohmann::json::parse(*reply);
  for (const auto& day : outcome["days"]) {
    fmt::print("{}: {} rows of {} tables, {} files are {} now ({:.1f} MB), {:.1f} s\n", day.value("day", ""),
               day.value("rows", 0L), day.value("tables", 0L), day.value("small_files", 0L),
               day.value("files", 0L), static_cast<double>(day.value("bytes", 0L)) / 1e6,
               day.value("seconds", 0.0));
  }
  if (outcome["days"].empty())
    fmt::print("nothing to archive: a day is closed when changes of a later day are in Bronze\n");
  if (const auto removed = outcome.value("removed_files", 0L); removed > 0)
    fmt::print("removed {} small files of archived days\n", removed);
  return kSuccess;
}

}  // namespace tarn::app
