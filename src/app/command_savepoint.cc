#include <pwd.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/hudi_arguments.h"
#include "app/output.h"
#include "app/table_storage.h"
#include "base/clock.h"
#include "catalog/lake_layout.h"
#include "hudi/savepoint.h"
#include "hudi/timeline.h"
#include "pipeline/instant_clock.h"

namespace tarn::app {
namespace {

/// A table of a lake belongs to the lake's writer. Null outside of lakes.
Result<std::unique_ptr<catalog::WriterLease>> LeaseFor(const std::string& table) {
  const std::string lake = LakeOf(table);
  if (lake.empty()) return std::unique_ptr<catalog::WriterLease>();
  auto lease = catalog::WriterLease::Take(catalog::LakeLayout(lake));
  if (lease || lease.error().code != ErrorCode::kConflict) return lease;
  return MakeError(ErrorCode::kConflict,
                   "{}: stop `tarn run`, which may be cleaning the table, and start it again afterwards",
                   lease.error().message);
}

std::string UserName() {
  const passwd* user = ::getpwuid(::geteuid());
  return user != nullptr ? user->pw_name : "uid " + std::to_string(::geteuid());
}

int64_t FileCount(const hudi::Savepoint& savepoint) {
  int64_t count = 0;
  for (const auto& [partition, names] : savepoint.files) count += static_cast<int64_t>(names.size());
  return count;
}

nlohmann::json SavepointJson(const hudi::Savepoint& savepoint) {
  return {{"instant", savepoint.instant},
          {"user", savepoint.user},
          {"comment", savepoint.comment},
          {"created", FormatTimestamp(savepoint.created_micros)},
          {"files", FileCount(savepoint)}};
}

Status ListSavepoints(const std::string& table, bool json) {
  const auto storage = storage::OpenLocalStorageReadOnly();
  TARN_ASSIGN(const auto properties, hudi::ReadProperties(*storage, table));
  TARN_ASSIGN(const hudi::TableOptions options, hudi::OptionsOf(properties, false));
  const auto layout = options.version < 8 ? hudi::TimelineLayout::kOne : hudi::TimelineLayout::kTwo;
  TARN_ASSIGN(const hudi::Timeline timeline, hudi::ReadTimeline(*storage, table, layout));
  TARN_ASSIGN(const auto savepoints, hudi::ReadSavepoints(*storage, table, timeline));
  if (json) {
    nlohmann::json list = nlohmann::json::array();
    for (const hudi::Savepoint& savepoint : savepoints) list.push_back(SavepointJson(savepoint));
    PrintJson(list);
    return {};
  }
  for (const hudi::Savepoint& savepoint : savepoints) {
    fmt::print("{}  made {} by {}, keeps {} files{}{}\n", savepoint.instant,
               FormatTimestamp(savepoint.created_micros).substr(0, 19), savepoint.user, FileCount(savepoint),
               savepoint.comment.empty() ? "" : ": ", savepoint.comment);
  }
  if (savepoints.empty()) fmt::print("no savepoints\n");
  return {};
}

Status ChangeSavepoint(const std::string& table, const HudiSavepointArguments& arguments) {
  TARN_ASSIGN(const auto lease, LeaseFor(table));
  TARN_ASSIGN(const auto storage, TableStorage::Open(table));
  if (arguments.removes) {
    TARN_RETURN_IF_ERROR(hudi::RemoveSavepoint(**storage, table, arguments.at));
    if (arguments.json)
      PrintJson({{"deleted", arguments.at}});
    else
      fmt::print("savepoint {} deleted; the next clean takes what it alone kept\n", arguments.at);
    return {};
  }
  TARN_ASSIGN(const hudi::Savepoint savepoint,
              hudi::WriteSavepoint(**storage, table, arguments.at, UserName(), arguments.comment));
  if (arguments.json)
    PrintJson(SavepointJson(savepoint));
  else
    fmt::print("savepoint {} keeps {} files\n", savepoint.instant, FileCount(savepoint));
  return {};
}

Status RestoreTable(const std::string& table, const std::string& savepoint, bool json) {
  if (const std::string lake = LakeOf(table); !lake.empty()) {
    return MakeError(
        ErrorCode::kUnsupported,
        "'{}' is a table of the lake '{}', whose tables all stand at one position of the source: "
        "restored alone it would not fit to the others. `tarn resync TABLE` copies a table again, "
        "`tarn rebuild` makes all of them again from Bronze, and `tarn query --as-of` reads what "
        "was",
        table, lake);
  }
  TARN_RETURN_IF_ERROR(hudi::ParseInstant(savepoint));
  TARN_ASSIGN(const auto storage, TableStorage::Open(table));
  TARN_ASSIGN(const auto writer, hudi::Table::Open(&**storage, table, ""));
  TARN_ASSIGN(const hudi::Timeline timeline, hudi::ReadTimeline(**storage, table));
  pipeline::InstantClock instants(&Clock::System());
  instants.MustPass(timeline.Newest());
  TARN_ASSIGN(const hudi::RestoreResult result, writer->Restore(instants.Next(), savepoint));
  TARN_RETURN_IF_ERROR(writer->Close());
  if (json) {
    PrintJson(
        {{"restored_to", savepoint}, {"rolled_back", result.rolled_back}, {"files_removed", result.files}});
    return {};
  }
  if (result.rolled_back.empty()) {
    fmt::print("the table is as it was at {}: no later commit\n", savepoint);
  } else {
    fmt::print("restored to {}: {} later commits rolled back, {} files removed\n", savepoint,
               result.rolled_back.size(), result.files);
  }
  return {};
}

}  // namespace

int RunHudiSavepoint(HudiSavepointArguments arguments) {
  const auto run = [&]() -> Status {
    TARN_ASSIGN(const std::string table, TableFolder(arguments.path));
    TARN_ASSIGN(arguments.at, InstantOf(arguments.at, "--at"));
    return arguments.lists ? ListSavepoints(table, arguments.json) : ChangeSavepoint(table, arguments);
  };
  const Status done = run();
  return done ? kSuccess : Fail(done.error());
}

int RunHudiRestore(const std::string& path, const std::string& savepoint, bool json) {
  const auto run = [&]() -> Status {
    TARN_ASSIGN(const std::string table, TableFolder(path));
    return RestoreTable(table, savepoint, json);
  };
  const Status done = run();
  return done ? kSuccess : Fail(done.error());
}

}  // namespace tarn::app
