#include <CLI/CLI.hpp>
#include <csignal>
#include <iostream>
#include <system_error>

#include "app/commands.h"
#include "base/log.h"
#include "base/memory.h"

namespace {

tarn::CancelToken g_cancel;  // NOLINT: a signal handler reaches nothing else

void OnSignal(int) { g_cancel.Cancel(); }

/// What writes the lake ends in its own time; every other command may end on the spot, also when nobody reads
/// its output any more.
void CatchSignals() {
  ::signal(SIGPIPE, SIG_IGN);
  struct sigaction action {};
  action.sa_handler = OnSignal;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

tarn::app::OutputFormat FormatOf(const std::string& name) {
  using tarn::app::OutputFormat;
  return name == "csv" ? OutputFormat::kCsv : name == "json" ? OutputFormat::kJson : OutputFormat::kTable;
}

struct Arguments {
  std::string config = "tarn.toml";
  std::string source, lake = "lake", models, tenant_column;
  std::string until_day, read_table, from, to, read_format = "json";
  std::string until, format = "table";
  tarn::app::QueryArguments query;
  std::vector<std::string> tables;
  bool force = false, json = false, no_wait = false;
  tarn::app::HudiReadArguments hudi;
  tarn::app::HudiSavepointArguments savepoint;
  tarn::app::QuarantineShowArguments quarantine;
  tarn::app::HudiClusterArguments cluster;
  std::string model, subject, rule, forget;
  std::vector<std::string> tenants;
  size_t limit = 50;
  bool dry_run = false, unit = false, statistics = false;
};

void AddFormat(CLI::App* command, Arguments& a) {
  command->add_option("--format", a.format, "table, csv or json")
      ->check(CLI::IsMember({"table", "csv", "json"}));
}

void AddHudiSavepoint(CLI::App* hudi, Arguments& a) {
  CLI::App* savepoint = hudi->add_subcommand(
      "savepoint",
      "Keep a table as it is at a commit, whatever is cleaned; delete or list what is kept\n"
      "Example: tarn hudi savepoint /data/orders --comment \"before the import\"\n"
      "Example: tarn hudi savepoint /data/orders --list\n"
      "Example: tarn hudi savepoint /data/orders --delete --at 20261126101500123");
  savepoint->add_option("path", a.savepoint.path, "the table's folder")->required();
  CLI::Option* at =
      savepoint->add_option("--at", a.savepoint.at, "the commit's instant (default: the newest)");
  CLI::Option* comment = savepoint->add_option("--comment", a.savepoint.comment, "why");
  CLI::Option* removes = savepoint->add_flag("--delete", a.savepoint.removes, "let go what is kept at --at")
                             ->needs(at)
                             ->excludes(comment);
  savepoint->add_flag("--list", a.savepoint.lists, "what is kept, and by whom")
      ->excludes(at)
      ->excludes(comment)
      ->excludes(removes);
  savepoint->add_flag("--json", a.savepoint.json, "for scripts");
}

void AddHudiCluster(CLI::App* hudi, Arguments& a) {
  CLI::App* cluster = hudi->add_subcommand(
      "cluster",
      "Put small files of each partition together\nExample: tarn hudi cluster /data/orders --beside-others");
  cluster->add_option("path", a.cluster.path, "the table's folder")->required();
  cluster
      ->add_option("--small", a.cluster.small_megabytes,
                   "files below so many MiB are small (default: half of the table's target)")
      ->check(CLI::Range(1, 100'000));
  cluster->add_flag("--beside-others", a.cluster.beside_others,
                    "others may write meanwhile, with optimistic concurrency control and "
                    "FileSystemBasedLockProvider; without it nobody may");
  cluster->add_flag("--json", a.cluster.json, "for scripts");
}

/// Tools for any Hudi table: a library's face.
void AddHudiCommands(CLI::App& app, Arguments& a) {
  CLI::App* hudi = app.add_subcommand("hudi",
                                      "Look at any Hudi table in a folder, of this lake or not, and keep "
                                      "states of it\nExample: tarn hudi show lake/silver/orders");
  hudi->require_subcommand(1);
  CLI::App* show = hudi->add_subcommand(
      "show", "Properties, timeline and file slices\nExample: tarn hudi show lake/silver/orders --json");
  CLI::App* read = hudi->add_subcommand(
      "read", "Rows\nExample: tarn hudi read lake/silver/orders --as-of \"2026-11-20 09:00\" --format csv");
  for (CLI::App* command : {show, read})
    command->add_option("path", a.hudi.path, "the table's folder")->required();
  read->add_option("--as-of", a.hudi.as_of, "the rows as of this instant or time, UTC");
  read->add_option(
      "--since", a.hudi.since,
      "only rows that changed after this instant or time, UTC (from version 8 on: when commits completed)");
  CLI::Option* as_of = read->get_option("--as-of");
  read->add_option("--until", a.hudi.until,
                   "the rows when this instant or time had passed; ends --since and --changes")
      ->excludes(as_of);
  read->add_flag("--changes", a.hudi.changes, "inserts, updates and deletes, with the rows before and after")
      ->excludes(as_of);
  read->add_flag("--read-optimized", a.hudi.read_optimized,
                 "base files alone: as old as the newest compactions")
      ->excludes(read->get_option("--changes"));
  read->add_option("--columns", a.hudi.columns, "these columns (default: all)")->delimiter(',');
  AddFormat(read, a);
  CLI::App* check = hudi->add_subcommand(
      "check",
      "Prove that every reader can read a table: reads all of it\nExample: tarn hudi check lake/silver/*");
  check->add_option("path", a.tables, "folders of tables")->required();
  CLI::App* restore = hudi->add_subcommand(
      "restore",
      "Roll every commit after a savepoint back, for good\nExample: tarn hudi restore /data/orders --to "
      "20261126101500123");
  restore->add_option("path", a.savepoint.path, "the table's folder, which nobody may write meanwhile")
      ->required();
  restore->add_option("--to", a.savepoint.at, "the savepoint's instant (tarn hudi savepoint PATH --list)")
      ->required();
  for (CLI::App* command : {show, check, restore}) command->add_flag("--json", a.json, "for scripts");
  AddHudiSavepoint(hudi, a);
  AddHudiCluster(hudi, a);
}

int RunHudi(const CLI::App& hudi, Arguments& a) {
  using namespace tarn::app;
  tarn::InitLogging("warn", "");
  const std::string command = hudi.get_subcommands().front()->get_name();
  if (command == "show") return RunHudiShow(a.hudi.path, a.json);
  if (command == "check") return RunHudiCheck(a.tables, a.json);
  if (command == "savepoint") return RunHudiSavepoint(a.savepoint);
  if (command == "cluster") return RunHudiCluster(a.cluster);
  if (command == "restore") return RunHudiRestore(a.savepoint.path, a.savepoint.at, a.json);
  a.hudi.format = FormatOf(a.format);
  return RunHudiRead(a.hudi);
}

void AddGoldCommands(CLI::App& app, Arguments& a) {
  CLI::App* plan = app.add_subcommand(
      "plan",
      "What changed in models/silver since the lake was made by it, and what the next start does about it; "
      "what each model of Gold reads, whether it is computed by touched partitions, and what the next run "
      "would compute and why; with [spark] check in tarn.toml, which of them cannot run on Spark, and "
      "where\nExample: tarn plan");
  CLI::App* lineage =
      app.add_subcommand("lineage",
                         "Which tables and columns the models derive from\nExample: tarn lineage\n"
                         "Example: tarn lineage revenue_daily\nExample: tarn lineage orders.total");
  lineage->add_option("subject", a.subject, "a model or a table, or a column of one: MODEL.COLUMN");
  CLI::App* runs = app.add_subcommand(
      "runs",
      "What the newest runs of models did, failed ones too\nExample: tarn runs revenue_daily --limit 10");
  runs->add_option("model", a.model, "of this model alone");
  runs->add_option("--limit", a.limit, "how many (50)");
  CLI::App* backfill =
      app.add_subcommand("backfill",
                         "Compute a model again, whatever changed: all of it, or some tenants\n"
                         "Example: tarn backfill revenue_daily --tenant 3 --tenant 7");
  backfill->add_option("model", a.model, "the model")->required();
  backfill->add_option("--tenant", a.tenants, "only this value of its partition column (repeat for more)");
  backfill->add_flag("--dry-run", a.dry_run, "only say what would be computed");
  for (CLI::App* command : {plan, lineage, runs}) command->add_flag("--json", a.json, "for scripts");
}

void AddQuarantineCommands(CLI::App& app, Arguments& a) {
  CLI::App* quarantine = app.add_subcommand(
      "quarantine", "Rows that a rule of models/silver or a type refused\nExample: tarn quarantine list");
  quarantine->require_subcommand(1);
  CLI::App* list = quarantine->add_subcommand(
      "list",
      "How many rows stand there, by table and rule, and what share of each table is valid\n"
      "Example: tarn quarantine list");
  CLI::App* show =
      quarantine->add_subcommand("show",
                                 "Rows as they came, with the rule, the reason and the source position\n"
                                 "Example: tarn quarantine show orders --key tenant_id=3 --key id=17");
  CLI::App* retry = quarantine->add_subcommand(
      "retry",
      "Judge rows again after a rule was changed: those that are good now enter the table; the stream "
      "follows the changed rules from then on\nExample: tarn quarantine retry orders --rule unknown_status");
  show->add_option("--key", a.quarantine.key, "only the row with this key: COLUMN=VALUE (repeat for more)");
  show->add_option("--limit", a.quarantine.limit, "how many rows (20)");
  retry->add_option("--rule", a.rule, "only rows that this rule refused");
  for (CLI::App* command : {show, retry})
    command->add_option("table", a.quarantine.table, "the table's name in the lake")->required();
  for (CLI::App* command : {list, show, retry}) command->add_flag("--json", a.json, "for scripts");
}

void AddCommands(CLI::App& app, Arguments& a) {
  app.add_option("-c,--config", a.config, "the configuration (default: tarn.toml)");
  app.require_subcommand(1);
  CLI::App* init = app.add_subcommand(
      "init", "Write a commented tarn.toml\nExample: tarn init --source postgresql://tarn@db:5432/shop");
  init->add_option("--source", a.source, "the source database, without password")->required();
  init->add_option("--lake", a.lake, "folder of the lake");
  init->add_option("--models", a.models, "folder with silver/*.yml and gold/*.sql");
  init->add_option("--tenant-column", a.tenant_column, "column that names a row's tenant");
  init->add_flag("--force", a.force, "replace a file that is there");
  CLI::App* check = app.add_subcommand(
      "check", "Look at source and lake, and say what is missing\nExample: tarn check --json");
  CLI::App* run = app.add_subcommand("run", "Copy, then follow the source until stopped\nExample: tarn run");
  run->add_option("--until", a.until, "stop when this source position is in Silver and Gold");
  CLI::App* status = app.add_subcommand("status", "How far each stage is\nExample: tarn status --json");
  CLI::App* tables = app.add_subcommand("tables", "Tables of the lake\nExample: tarn tables");
  CLI::App* describe = app.add_subcommand(
      "describe",
      "What the lake knows of a table: what it is, whose, from where, its columns, rows and files; without a "
      "name: all tables\nExample: tarn describe\nExample: tarn describe orders gold.revenue_daily "
      "--statistics");
  describe->add_option("table", a.tables, "orders, silver.orders, gold.revenue_daily, quarantine.orders, …");
  describe->add_flag("--statistics", a.statistics,
                     "of each column the least and the greatest value, how many there are, and the share of "
                     "NULLs: reads the tables whole");
  CLI::App* crawl = app.add_subcommand(
      "crawl",
      "Find Parquet and Hudi tables that others write, for queries of external.NAME; without a folder: look "
      "again into those of before\nExample: tarn crawl /data/weather\nExample: tarn crawl");
  crawl->add_option("path", a.tables, "folders, with one table or many below");
  crawl->add_option("--forget", a.forget, "let go of this table; its files stay");
  CLI::App* query = app.add_subcommand(
      "query", "Ask the lake\nExample: tarn query --as acme_analyst \"SELECT count(*) FROM orders\"");
  query->add_option("sql", a.query.sql, "one statement")->required();
  query->add_option("--as", a.query.principal, "look through this principal's eyes");
  CLI::Option* as_of = query->add_option("--as-of", a.query.as_of, "all tables as of this time, UTC");
  query
      ->add_option("--fresh", a.query.fresh,
                   "first wait until the answer has all that the source committed up to this position "
                   "(0/16B3748), or until 'now'")
      ->excludes(as_of);
  query->add_option("--within", a.query.within_seconds, "how many seconds to wait for that (30)")
      ->check(CLI::Range(0.0, 86'400.0));
  query->add_flag("--allow-held", a.query.allow_held, "tables that are held answer with what they have");
  AddFormat(query, a);
  query->add_flag("--quiet", a.query.quiet, "no statistics line on standard error");
  CLI::App* verify = app.add_subcommand(
      "verify", "Compare Silver and quarantine with the source at one position\nExample: tarn verify");
  CLI::App* test = app.add_subcommand(
      "test",
      "Run the checks of models/silver and models/gold: what no single row can show\nExample: tarn test\n"
      "Example: tarn test orders gold.revenue_daily --json\nExample: tarn test --unit mrr_movements");
  test->add_option("table", a.tables, "only of these tables");
  test->add_flag("--unit", a.unit, "the models' unit tests, over their own few rows, and not the lake");
  CLI::App* bronze =
      app.add_subcommand("bronze", "Look after Bronze, every change as files\nExample: tarn bronze verify");
  bronze->require_subcommand(1);
  CLI::App* bronze_verify = bronze->add_subcommand(
      "verify",
      "Prove that no change is missing, changed or twice in Bronze: read every file\nExample: tarn bronze "
      "verify --json");
  CLI::App* archive = bronze->add_subcommand("archive",
                                             "Write closed days into large files (bronze_archive/), as `tarn "
                                             "run` does by itself\nExample: tarn bronze "
                                             "archive --until 2026-11-22");
  archive->add_option("--until", a.until_day, "the last day to archive (default: every day that is closed)");
  CLI::App* read = bronze->add_subcommand("read",
                                          "Print one table's changes in order, to feed any job\nExample: "
                                          "tarn bronze read orders --from 0/16B3748 "
                                          "--format csv");
  read->add_option("table", a.read_table, "its name in the lake, or schema.table")->required();
  read->add_option("--from", a.from,
                   "only changes beyond this position: an LSN, EPOCH:LSN, or the _lsn of a row");
  read->add_option("--to", a.to, "only changes up to this position");
  read->add_option("--format", a.read_format, "json (one object a line; the default) or csv")
      ->check(CLI::IsMember({"json", "csv"}));
  for (CLI::App* command : {check, status, tables, describe, crawl, verify, test, bronze_verify, archive})
    command->add_flag("--json", a.json, "for scripts");
  CLI::App* resync = app.add_subcommand(
      "resync",
      "Copy tables again while everything goes on; readers see no gap\nExample: tarn resync public.orders");
  resync->add_option("table", a.tables, "tables, by their name in the lake or as schema.table")->required();
  resync->add_flag("--no-wait", a.no_wait, "return at once");
  CLI::App* reload = app.add_subcommand(
      "reload",
      "Have `tarn run` read tarn.toml again: tables that [tables] selects now are followed at once\nExample: "
      "tarn reload");
  reload->add_flag("--json", a.json, "for scripts");
  app.add_subcommand("rebuild",
                     "Make Silver, quarantine and Gold again from Bronze alone\nExample: tarn rebuild");
  AddQuarantineCommands(app, a);
  AddGoldCommands(app, a);
  AddHudiCommands(app, a);
  app.add_subcommand("remove",
                     "Take slot and publications off the source; the lake stays\nExample: tarn remove");
}

int RunBronze(const tarn::app::Config& config, const std::vector<CLI::App*>& subcommands,
              const Arguments& a) {
  using namespace tarn::app;
  const std::string command = subcommands.front()->get_name();
  if (command == "verify") return RunBronzeVerify(config, a.json);
  if (command == "archive") return RunBronzeArchive(config, a.until_day, a.json);
  return RunBronzeRead(config, {a.read_table, a.from, a.to,
                                a.read_format == "csv" ? OutputFormat::kCsv : OutputFormat::kJson});
}

int RunQuarantine(const tarn::app::Config& config, const std::string& command, Arguments& a) {
  using namespace tarn::app;
  if (command == "list") return RunQuarantineList(config, a.json);
  if (command == "retry") return RunQuarantineRetry(config, a.quarantine.table, a.rule, a.json);
  a.quarantine.json = a.json;
  return RunQuarantineShow(config, a.quarantine);
}

int RunCommand(const CLI::App& app, Arguments& a) {
  using namespace tarn::app;
  const std::string command = app.get_subcommands().front()->get_name();
  if (command == "init") return RunInit(a.source, a.config, a.lake, a.models, a.tenant_column, a.force);
  if (command == "hudi") return RunHudi(*app.get_subcommands().front(), a);
  const auto config = LoadConfig(a.config);
  if (!config) {
    Fail(config.error());
    return kUsage;
  }
  const bool serves = command == "run" || command == "rebuild";
  if (serves) CatchSignals();
  tarn::InitLogging(serves ? config->log_level : "warn", serves ? config->log_file : "");
  if (command == "check") return RunCheck(*config, a.json);
  if (command == "run") return RunPipeline(*config, a.until, g_cancel);
  if (command == "rebuild") return RunRebuild(*config, g_cancel);
  if (command == "status") return RunStatus(*config, a.json);
  if (command == "tables") return RunTables(*config, a.json);
  if (command == "describe") return RunDescribe(*config, a.tables, a.statistics, a.json);
  if (command == "crawl") return RunCrawl(*config, a.tables, a.forget, a.json);
  if (command == "test")
    return a.unit ? RunUnitTests(*config, a.tables, a.json) : RunChecks(*config, a.tables, a.json);
  if (command == "verify") return RunVerify(*config, a.json);
  if (command == "bronze") return RunBronze(*config, app.get_subcommands().front()->get_subcommands(), a);
  if (command == "quarantine") {
    return RunQuarantine(*config, app.get_subcommands().front()->get_subcommands().front()->get_name(), a);
  }
  if (command == "resync") return RunResync(*config, a.tables, !a.no_wait);
  if (command == "reload") return RunReload(*config, a.json);
  if (command == "remove") return RunRemove(*config);
  if (command == "plan") return RunPlan(*config, a.json);
  if (command == "lineage") return RunLineage(*config, a.subject, a.json);
  if (command == "runs") return RunRuns(*config, a.model, a.limit, a.json);
  if (command == "backfill") return RunBackfill(*config, a.model, a.tenants, a.dry_run);
  return RunQuery(*config, a.query, FormatOf(a.format));
}

}  // namespace

int main(int argc, char** argv) {
  tarn::KeepFreedMemory();
  CLI::App app("tarn: a governed, time-travelling lakehouse of a PostgreSQL application, in one program",
               "tarn");
  Arguments arguments;
  AddCommands(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? tarn::app::kSuccess : tarn::app::kUsage;
  }
  try {
    return RunCommand(app, arguments);
  } catch (const std::system_error& error) {  // fmt's, when the output cannot be written.
    return tarn::app::Fail(tarn::Error{tarn::ErrorCode::kIo, error.what()});
  }
}
