#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/hudi_arguments.h"
#include "app/output.h"
#include "app/table_storage.h"
#include "base/clock.h"
#include "hudi/table.h"
#include "hudi/timeline.h"
#include "pipeline/instant_clock.h"

namespace tarn::app {
namespace {

Status ClusterTable(const std::string& table, const HudiClusterArguments& arguments) {
  if (const std::string lake = LakeOf(table); !lake.empty()) {
    return MakeError(
        ErrorCode::kUnsupported,
        "'{}' is a table of the lake '{}', whose writer keeps its files large by itself: cluster "
        "tables outside of lakes",
        table, lake);
  }
  TARN_ASSIGN(const auto storage, TableStorage::Open(table));
  std::optional<hudi::SharingOptions> sharing;
  if (arguments.beside_others) sharing.emplace();
  TARN_ASSIGN(const auto writer, hudi::Table::Open(&**storage, table, "", sharing));
  TARN_ASSIGN(const hudi::Timeline timeline, hudi::ReadTimeline(**storage, table));
  pipeline::InstantClock instants(&Clock::System());
  instants.MustPass(timeline.Newest());
  hudi::ServiceOptions options;
  options.small_file_bytes = arguments.small_megabytes << 20;
  TARN_ASSIGN(const auto result, writer->Cluster(instants.Next(), options, {}));
  TARN_RETURN_IF_ERROR(writer->Close());
  if (arguments.json) {
    PrintJson({{"instant", result ? nlohmann::json(result->instant) : nlohmann::json()},
               {"files", result ? result->files : 0},
               {"bytes", result ? result->bytes : 0}});
  } else if (result) {
    fmt::print("clustered at {}: {} new files of {} bytes; cleaning takes the old ones\n", result->instant,
               result->files, result->bytes);
  } else {
    fmt::print("no partition has two small files\n");
  }
  return {};
}

}  // namespace

int RunHudiCluster(const HudiClusterArguments& arguments) {
  const auto run = [&]() -> Status {
    TARN_ASSIGN(const std::string table, TableFolder(arguments.path));
    return ClusterTable(table, arguments);
  };
  const Status done = run();
  return done ? kSuccess : Fail(done.error());
}

}  // namespace tarn::app
