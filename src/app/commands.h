#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "app/config.h"
#include "app/output.h"
#include "base/cancel.h"
#include "catalog/table_registry.h"

namespace tarn::app {

/// Exit codes of the program.
enum ExitCode {
  kSuccess = 0,
  kFailed = 1,      ///< What was asked could not be done; standard error says why.
  kUsage = 2,       ///< Wrong arguments or configuration.
  kDifference = 3,  ///< check found errors, test wrong rows, verify differences, crawl what is no table.
};

/// Prints "tarn: message" to standard error and gives the code to exit with.
int Fail(const Error& error);

int RunInit(const std::string& source, const std::string& path, const std::string& lake,
            const std::string& models, const std::string& tenant_column, bool force);
int RunCheck(const Config& config, bool json);
int RunPipeline(const Config& config, const std::string& until, CancelToken& cancel);
int RunRebuild(const Config& config, CancelToken& cancel);
/// How far the copy of a table is, for people; from the status of a running tarn.
std::string CopyProgressText(const nlohmann::json& table);
int RunStatus(const Config& config, bool json);
/// Looks for tables of others in folders (of none: in those of earlier crawls), for SQL's schema `external`;
/// or forgets one. kDifference when one was refused.
int RunCrawl(const Config& config, const std::vector<std::string>& paths, const std::string& forget,
             bool json);
/// Whether a table follows its source, and why not.
std::string StateText(const catalog::RegisteredTable& table);
int RunTables(const Config& config, bool json);
/// What the lake knows of tables: "orders", "gold.revenue_daily"; of none: lists all. `statistics`: of each
/// column, which reads the tables whole.
int RunDescribe(const Config& config, const std::vector<std::string>& tables, bool statistics, bool json);
/// What `tarn query` asks, and how.
struct QueryArguments {
  std::string sql, principal = "operator";
  std::string as_of;           ///< A time; empty: now.
  std::string fresh;           ///< "now", or a position of the source that the answer must have; empty: none.
  double within_seconds = 30;  ///< How long to wait for that.
  bool allow_held = false, quiet = false;
};
int RunQuery(const Config& config, const QueryArguments& arguments, OutputFormat format);
/// Runs the checks of the models of `tables` (empty: of all) and says how many wrong rows each finds.
int RunChecks(const Config& config, const std::vector<std::string>& tables, bool json);
/// Runs the unit tests of models (empty: of all) over their own rows; of the lake they take the types of
/// Silver's columns.
int RunUnitTests(const Config& config, const std::vector<std::string>& models, bool json);
int RunVerify(const Config& config, bool json);
/// Reads the lake's Bronze whole; kFailed when something is missing or wrong.
int RunBronzeVerify(const Config& config, bool json);
/// Archives closed days of Bronze up to `until` (empty: all): in the running tarn, or here when none runs.
int RunBronzeArchive(const Config& config, const std::string& until, bool json);

/// Which changes `tarn bronze read` prints.
struct ReadRequest {
  std::string table;     ///< Its name in the lake, or "schema.table".
  std::string from, to;  ///< Positions, beyond the one and up to the other; empty: all that there are.
  OutputFormat format = OutputFormat::kJson;
};
int RunBronzeRead(const Config& config, const ReadRequest& request);
/// Has tables copied again beside the stream; `wait`: returns when the copies are what readers see.
int RunResync(const Config& config, const std::vector<std::string>& tables, bool wait);

/// What stands in quarantine, by table and rule.
int RunQuarantineList(const Config& config, bool json);
struct QuarantineShowArguments {
  std::string table;             ///< Its name in the lake.
  std::vector<std::string> key;  ///< "COLUMN=VALUE" of key columns, or the only one's value; empty: any row.
  size_t limit = 20;
  bool json = false;
};
/// Rows of quarantine as they came, with what refused them.
int RunQuarantineShow(const Config& config, const QuarantineShowArguments& arguments);
/// Has rows judged again by the rules as they are now: by the running tarn, or here when none runs. `rule`:
/// of those that this one refused; empty: all.
int RunQuarantineRetry(const Config& config, const std::string& table, const std::string& rule, bool json);
int RunRemove(const Config& config);
/// Has the running tarn read its configuration again, as far as that goes while it runs.
int RunReload(const Config& config, bool json);

/// What models/silver changes of Silver's tables at the next start; what each model of Gold depends on, and
/// what its next run would compute.
int RunPlan(const Config& config, bool json);
/// `subject`: MODEL, MODEL.COLUMN, TABLE or TABLE.COLUMN; empty: the graph of all.
int RunLineage(const Config& config, const std::string& subject, bool json);
/// What the newest runs of models did. `model`: of this alone; empty: of all.
int RunRuns(const Config& config, const std::string& model, size_t limit, bool json);
/// Has a model computed again, or some tenants of it: by the running tarn at once, else by the next one.
int RunBackfill(const Config& config, const std::string& model, const std::vector<std::string>& tenants,
                bool dry_run);

/// Any Hudi table in a folder, of this lake or not; needs no configuration.
int RunHudiShow(const std::string& path, bool json);
struct HudiReadArguments {
  std::string path;
  std::string as_of, since, until;  ///< Instants or times; empty: the newest, all.
  bool read_optimized = false;
  bool changes = false;  ///< What happened to rows, and not the rows.
  std::vector<std::string> columns;
  OutputFormat format = OutputFormat::kTable;
};
int RunHudiRead(const HudiReadArguments& arguments);
struct HudiSavepointArguments {
  std::string path;
  std::string at, comment;  ///< The commit to keep, or whose savepoint goes; empty: the newest.
  bool removes = false, lists = false, json = false;
};
/// Makes, deletes or lists savepoints. In a lake it takes the writer's lease, but for listing.
int RunHudiSavepoint(HudiSavepointArguments arguments);
/// What users give to `tarn hudi cluster`.
struct HudiClusterArguments {
  std::string path;
  int64_t small_megabytes = 0;  ///< 0: as the table's own target says.
  bool beside_others = false, json = false;
};
/// Only outside of lakes, whose writer has its own way.
int RunHudiCluster(const HudiClusterArguments& arguments);
/// Only outside of lakes, whose tables go together.
int RunHudiRestore(const std::string& path, const std::string& savepoint, bool json);
/// kDifference when a table has faults.
int RunHudiCheck(const std::vector<std::string>& paths, bool json);

}  // namespace tarn::app
