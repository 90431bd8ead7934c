#include "engine/sealed_database.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

namespace tarn::engine {
namespace {

using duckdb::CatalogType;

// Table functions that only compute, or show what the session's own catalog holds. All others are dropped, so
// that a new one in a later DuckDB is closed until somebody has looked at it.
constexpr std::array<std::string_view, 24> kKeptTableFunctions = {"range",
                                                                  "generate_series",
                                                                  "unnest",
                                                                  "repeat",
                                                                  "repeat_row",
                                                                  "summary",
                                                                  "json_each",
                                                                  "json_tree",
                                                                  "icu_calendar_names",
                                                                  "pg_timezone_names",
                                                                  "duckdb_columns",
                                                                  "duckdb_constraints",
                                                                  "duckdb_databases",
                                                                  "duckdb_functions",
                                                                  "duckdb_indexes",
                                                                  "duckdb_keywords",
                                                                  "duckdb_schemas",
                                                                  "duckdb_sequences",
                                                                  "duckdb_tables",
                                                                  "duckdb_types",
                                                                  "duckdb_views",
                                                                  "histogram",
                                                                  "histogram_values",
                                                                  "duckdb_variables"};

// Scalar functions that read settings, the environment, statistics of whole files, write logs, or plan a
// statement that the policy has not seen.
constexpr std::array<std::string_view, 10> kDroppedScalarFunctions = {"getenv",
                                                                      "stats",
                                                                      "current_setting",
                                                                      "write_log",
                                                                      "parse_duckdb_log_message",
                                                                      "nextval",
                                                                      "currval",
                                                                      "current_connection_id",
                                                                      "json_execute_serialized_sql",
                                                                      "json_serialize_plan"};

template <typename Names>
bool Contains(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool IsDropped(CatalogType type, const std::string& name, const std::string& kept_function) {
  switch (type) {
    case CatalogType::TABLE_FUNCTION_ENTRY:
    case CatalogType::TABLE_MACRO_ENTRY:
      return !Contains(kKeptTableFunctions, name) && name != kept_function;
    case CatalogType::SCALAR_FUNCTION_ENTRY:
    case CatalogType::MACRO_ENTRY:
      return Contains(kDroppedScalarFunctions, name);
    case CatalogType::COPY_FUNCTION_ENTRY:
    case CatalogType::PRAGMA_FUNCTION_ENTRY:
      return true;
    default:
      return false;
  }
}

void DropFunctions(duckdb::ClientContext& context, const std::string& kept_function) {
  auto& catalog = duckdb::Catalog::GetSystemCatalog(context);
  auto& schema = catalog.GetSchema(context, DEFAULT_SCHEMA);
  std::vector<std::pair<CatalogType, std::string>> dropped;
  for (const CatalogType type : {CatalogType::TABLE_FUNCTION_ENTRY, CatalogType::SCALAR_FUNCTION_ENTRY,
                                 CatalogType::COPY_FUNCTION_ENTRY, CatalogType::PRAGMA_FUNCTION_ENTRY}) {
    schema.Scan(context, type, [&](duckdb::CatalogEntry& entry) {
      if (IsDropped(entry.type, entry.name, kept_function)) dropped.emplace_back(entry.type, entry.name);
    });
  }
  for (const auto& [type, name] : dropped) {
    duckdb::DropInfo info;
    info.type = type;
    info.schema = DEFAULT_SCHEMA;
    info.name = name;
    info.cascade = true;
    info.allow_drop_internal = true;
    info.if_not_found = duckdb::OnEntryNotFound::RETURN_NULL;
    catalog.DropEntry(context, info);
  }
}

}  // namespace

bool IsSealedFunction(const std::string& name) {
  static constexpr std::array<std::string_view, 12> kKnown = {
      "glob",      "query",    "query_table",    "which_secret", "arrow_scan",       "arrow_scan_dumb",
      "sniff_csv", "seq_scan", "enable_logging", "checkpoint",   "force_checkpoint", "duckdb_settings"};
  return Contains(kDroppedScalarFunctions, name) || Contains(kKnown, name) || name.starts_with("read_") ||
         name.starts_with("parquet_") || name.starts_with("pragma_") ||
         (name.starts_with("duckdb_") && !Contains(kKeptTableFunctions, name));
}

duckdb::unique_ptr<duckdb::DuckDB> OpenDatabase(const DatabaseOptions& options,
                                                duckdb::unique_ptr<duckdb::FileSystem> files) {
  duckdb::DBConfig config;
  // The engine casts its file system to this class.
  config.file_system = duckdb::make_uniq<duckdb::VirtualFileSystem>(std::move(files));
  config.options.maximum_memory = static_cast<idx_t>(options.memory_limit_bytes);
  config.options.maximum_threads = static_cast<idx_t>(std::max(options.threads, 1));
  config.options.use_temporary_directory = !options.spill_folder.empty();
  config.options.temporary_directory = options.spill_folder;
  // The two prefixes that may be opened once external access is off; the file system has the last word on
  // both.
  config.options.allowed_directories.insert("tarn:/");
  if (!options.spill_folder.empty()) config.options.allowed_directories.insert(options.spill_folder + "/");
  config.options.allowed_configs = {"timezone",    "calendar",      "schema",
                                    "search_path", "default_order", "default_null_order"};
  return duckdb::make_uniq<duckdb::DuckDB>(nullptr, &config);
}

void Execute(duckdb::Connection& connection, const std::string& sql) {
  auto result = connection.Query(sql);
  if (result->HasError()) result->ThrowError();
}

void Seal(duckdb::Connection& connection, const std::string& kept_function) {
  auto& context = *connection.context;
  context.RunFunctionInTransaction([&] { DropFunctions(context, kept_function); });
  Execute(connection, "SET TimeZone = 'UTC'");
  Execute(connection, "SET enable_progress_bar = false");
  Execute(connection, "SET autoinstall_known_extensions = false");
  Execute(connection, "SET autoload_known_extensions = false");
  Execute(connection, "SET allow_community_extensions = false");
  Execute(connection, "SET enable_external_access = false");
  Execute(connection, "SET lock_configuration = true");
}

}  // namespace tarn::engine
