#include "app/config.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "app/config_section.h"
#include "app/source_conninfo.h"
#include "schema/table_schema.h"

namespace tarn::app {
namespace {

namespace fs = std::filesystem;

/// One port, or the hosts' ports as a text: "5432,5433".
Status ReadPort(Section& source, std::string& port) {
  int64_t number = 0;
  if (source.Read("port", number)) {
    if (number != 0) port = std::to_string(number);
    return {};
  }
  Status text = source.Read("port", port);
  if (text && port.find_first_not_of("0123456789,") == std::string::npos) return {};
  const toml::node& node = source.at("port");
  return source.Wrong(node, "'port' must be a whole number, or one for each host as a text: \"5432,5433\"");
}

Status ReadSource(Section source, const std::string& folder, pipeline::PipelineOptions& options) {
  SourceSettings settings;
  std::string password_file, key_password_file;
  TARN_RETURN_IF_ERROR(source.Read("host", settings.host));
  TARN_RETURN_IF_ERROR(ReadPort(source, settings.port));
  TARN_RETURN_IF_ERROR(source.Read("database", settings.database));
  TARN_RETURN_IF_ERROR(source.Read("user", settings.user));
  TARN_RETURN_IF_ERROR(source.Read("password_file", password_file));
  TARN_RETURN_IF_ERROR(source.Read("key_password_file", key_password_file));
  TARN_RETURN_IF_ERROR(source.Read("connection", settings.connection));
  TARN_RETURN_IF_ERROR(source.Read("slot", options.names.slot));
  TARN_RETURN_IF_ERROR(source.Read("publication", options.names.publication));
  TARN_RETURN_IF_ERROR(source.Read("watch_interval_ms", options.watch_interval_ms));
  TARN_RETURN_IF_ERROR(source.Read("copy_mb_per_s", options.copy_mb_per_s));
  TARN_RETURN_IF_ERROR(source.Read("copy_range_kb", options.copy_range_kb));
  TARN_RETURN_IF_ERROR(source.Read("copy_save_ms", options.copy_save_ms));
  TARN_RETURN_IF_ERROR(source.Read("wal_warn_mb", options.wal_warn_mb));
  TARN_RETURN_IF_ERROR(source.Read("piece_kb", options.piece_kb));
  TARN_RETURN_IF_ERROR(source.CheckKnown());
  for (std::string* file : {&password_file, &key_password_file}) {
    if (!file->empty() && file->front() != '/') *file = folder + "/" + *file;
  }
  TARN_ASSIGN(settings.password, ReadSecret("TARN_SOURCE_PASSWORD", "[source] password_file", password_file));
  TARN_ASSIGN(settings.key_password,
              ReadSecret("TARN_SOURCE_KEY_PASSWORD", "[source] key_password_file", key_password_file));
  auto conninfo = MakeConninfo(settings, folder);
  if (!conninfo) return source.Wrong(conninfo.error().message);
  options.conninfo = *std::move(conninfo);
  return {};
}

/// `path` is "section.key".
Status CheckNumbers(const Section& section, const toml::table& root, int64_t value, std::string_view path,
                    int64_t least) {
  if (value >= least) return {};
  const toml::node* node = root.at_path(path).node();
  const std::string name =
      fmt::format("[{}] {}", path.substr(0, path.find('.')), path.substr(path.find('.') + 1));
  return section.Wrong(node == nullptr ? root : *node,
                       fmt::format("{} is {}, it must be {} or more", name, value, least));
}

constexpr int64_t kLongest = 1'000'000;  ///< Hours or days: more than a century.

/// A number of at least `least`, or false, which is 0.
Status ReadUnlessFalse(Section& section, const std::string& key, const char* unit, int64_t least,
                       int64_t& to) {
  if (!section.Has(key)) return section.Read(key, to);  // So that it is known.
  const bool is_number = section.Read(key, to).has_value();
  bool on = true;
  if (is_number ? to >= least && to <= kLongest : section.Read(key, on).has_value() && !on) {
    if (!is_number) to = 0;
    return {};
  }
  return section.Wrong(section.at(key),
                       fmt::format("'{}' must be a number of {}, {} or more, or false", key, unit, least));
}

Status CheckLevel(const Section& section, const toml::table& root, const std::string& level) {
  static const std::vector<std::string> kLevels = {"trace", "debug",    "info", "warn",
                                                   "error", "critical", "off"};
  if (std::find(kLevels.begin(), kLevels.end(), level) != kLevels.end()) return {};
  const std::string nearest = Nearest(level, kLevels);
  return section.Wrong(*root.at_path("log.level").node(),
                       fmt::format("[log] level '{}' is none of {}{}", level, fmt::join(kLevels, ", "),
                                   nearest.empty() ? "" : "; did you mean '" + nearest + "'?"));
}

Status ReadPrincipals(const toml::table& root, const std::string& file, Config& config) {
  TARN_ASSIGN(const toml::array* list, EntriesOf(root, "principals", file));
  if (list == nullptr) return {};
  for (const toml::node& node : *list) {
    Section section(node.as_table(), "[[principals]]", file);
    govern::Principal principal;
    TARN_RETURN_IF_ERROR(section.Read("name", principal.name));
    TARN_RETURN_IF_ERROR(section.Read("tenant", principal.tenant));
    TARN_RETURN_IF_ERROR(section.Read("shared", principal.shared_tables));
    TARN_RETURN_IF_ERROR(section.Read("operator", principal.is_operator));
    TARN_RETURN_IF_ERROR(section.CheckKnown());
    if (principal.name.empty()) return section.Wrong(node, "a principal needs a name");
    if (principal.name == "operator") {
      return section.Wrong(
          node, "the principal 'operator' is always there and sees everything; choose another name");
    }
    if (principal.is_operator && !principal.tenant.empty()) {
      return section.Wrong(
          node, fmt::format("the principal '{}' is either an operator, who sees everything, or tenant '{}'",
                            principal.name, principal.tenant));
    }
    if (!config.pipeline.tenant_column.empty())
      principal.tenant_column = schema::LakeColumnName(config.pipeline.tenant_column);
    if (!config.principals.emplace(principal.name, principal).second) {
      return section.Wrong(node, "the principal '" + principal.name + "' is there twice");
    }
  }
  return {};
}

}  // namespace

Result<const toml::array*> EntriesOf(const toml::table& root, const std::string& name,
                                     const std::string& file) {
  const toml::node* node = root.get(name);
  if (node == nullptr) return nullptr;
  const toml::array* entries = node->as_array();
  if (entries == nullptr || (!entries->empty() && !entries->is_homogeneous<toml::table>())) {
    return MakeError(ErrorCode::kInvalidArgument, "{}:{}: {} must be written as [[{}]], one a time", file,
                     node->source().begin.line, name, name);
  }
  return entries;
}

std::string Nearest(const std::string& word, const std::vector<std::string>& candidates) {
  std::string best;
  size_t best_distance = word.size() / 2 + 1;
  for (const std::string& candidate : candidates) {
    std::vector<size_t> row(candidate.size() + 1);
    for (size_t j = 0; j <= candidate.size(); j++) row[j] = j;
    for (size_t i = 1; i <= word.size(); i++) {
      size_t diagonal = row[0];
      row[0] = i;
      for (size_t j = 1; j <= candidate.size(); j++) {
        const size_t above = row[j];
        row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (word[i - 1] == candidate[j - 1] ? 0 : 1)});
        diagonal = above;
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

Result<Config> ParseConfig(const std::string& text, const std::string& path) {
  toml::table root;
  try {
    root = toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    return MakeError(ErrorCode::kInvalidArgument, "{}:{}: {}", path, error.source().begin.line,
                     error.description());
  }
  const std::vector<std::string> sections = {"source",  "tables", "lake",  "tenants", "bronze",
                                             "silver",  "gold",   "query", "log",     "principals",
                                             "mapping", "s3",     "spark"};
  for (const auto& [key, node] : root) {
    const std::string name(key.str());
    if (std::find(sections.begin(), sections.end(), name) != sections.end()) {
      if (node.is_table() || name == "principals" || name == "mapping") continue;
      return MakeError(ErrorCode::kInvalidArgument,
                       "{}:{}: '{}' is a section: write [{}] and its keys below it", path,
                       node.source().begin.line, name, name);
    }
    const std::string nearest = Nearest(name, sections);
    return MakeError(ErrorCode::kInvalidArgument, "{}:{}: '{}' is no section of tarn.toml{}", path,
                     node.source().begin.line, name,
                     nearest.empty() ? "" : "; did you mean '" + nearest + "'?");
  }
  const std::string folder = fs::absolute(path).parent_path().string();
  const auto absolute = [&folder](std::string& where) {
    if (!where.empty() && where[0] != '/') where = (fs::path(folder) / where).lexically_normal().string();
  };
  const auto section = [&](const char* name) {
    return Section(root[name].as_table(), "[" + std::string(name) + "]", path);
  };
  Config config;
  config.file = path;
  config.text = text;
  pipeline::PipelineOptions& options = config.pipeline;
  if (!section("source").present())
    return MakeError(ErrorCode::kInvalidArgument, "{}: the section [source] is missing", path);
  TARN_RETURN_IF_ERROR(ReadSource(section("source"), folder, options));
  Section tables = section("tables");
  TARN_RETURN_IF_ERROR(tables.Read("include", options.patterns.include));
  TARN_RETURN_IF_ERROR(tables.Read("exclude", options.patterns.exclude));
  std::string secret_file;
  TARN_RETURN_IF_ERROR(tables.Read("hash_secret_file", secret_file));
  TARN_RETURN_IF_ERROR(tables.CheckKnown());
  options.lake = "lake";
  int64_t window_hours = 168;
  int64_t workers = options.copy_workers;
  int64_t memory_mb = options.query_memory_bytes >> 20;
  int64_t threads = config.query_threads;
  Section lake = section("lake");
  TARN_RETURN_IF_ERROR(lake.Read("path", options.lake));
  TARN_RETURN_IF_ERROR(lake.Read("time_travel_hours", window_hours));
  TARN_RETURN_IF_ERROR(lake.CheckKnown());
  Section tenants = section("tenants");
  TARN_RETURN_IF_ERROR(tenants.Read("column", options.tenant_column));
  TARN_RETURN_IF_ERROR(tenants.CheckKnown());
  Section bronze = section("bronze");
  TARN_RETURN_IF_ERROR(bronze.Read("flush_interval_ms", options.flush_interval_ms));
  TARN_RETURN_IF_ERROR(bronze.Read("path", options.bronze_path));
  TARN_RETURN_IF_ERROR(
      ReadUnlessFalse(bronze, "archive_after_hours", "hours", 0, options.archive_after_hours));
  TARN_RETURN_IF_ERROR(ReadUnlessFalse(bronze, "keep_days", "days", 1, options.keep_days));
  TARN_RETURN_IF_ERROR(bronze.CheckKnown());
  TARN_RETURN_IF_ERROR(ReadObjectStore(bronze, section("s3"), folder, options));
  Section silver = section("silver");
  TARN_RETURN_IF_ERROR(silver.Read("commit_interval_ms", options.commit_interval_ms));
  TARN_RETURN_IF_ERROR(silver.Read("copy_workers", workers));
  TARN_RETURN_IF_ERROR(silver.Read("enabled", options.with_silver));
  TARN_RETURN_IF_ERROR(silver.CheckKnown());
  Section gold = section("gold");
  TARN_RETURN_IF_ERROR(gold.Read("models", options.models));
  TARN_RETURN_IF_ERROR(gold.Read("interval_ms", options.gold_interval_ms));
  TARN_RETURN_IF_ERROR(
      ReadUnlessFalse(gold, "check_interval_ms", "milliseconds", 1, options.check_interval_ms));
  if (!options.with_silver && !options.models.empty()) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "{}: gold.models '{}' needs Silver: remove it, or set silver.enabled = true", path,
                     options.models);
  }
  TARN_RETURN_IF_ERROR(gold.CheckKnown());
  Section query = section("query");
  TARN_RETURN_IF_ERROR(query.Read("memory_mb", memory_mb));
  TARN_RETURN_IF_ERROR(query.Read("threads", threads));
  TARN_RETURN_IF_ERROR(query.CheckKnown());
  Section spark = section("spark");
  TARN_RETURN_IF_ERROR(spark.Read("check", config.spark_check));
  TARN_RETURN_IF_ERROR(spark.CheckKnown());
  Section log = section("log");
  TARN_RETURN_IF_ERROR(log.Read("level", config.log_level));
  TARN_RETURN_IF_ERROR(log.Read("file", config.log_file));
  TARN_RETURN_IF_ERROR(log.CheckKnown());
  TARN_RETURN_IF_ERROR(CheckLevel(log, root, config.log_level));
  TARN_RETURN_IF_ERROR(CheckNumbers(lake, root, window_hours, "lake.time_travel_hours", 1));
  TARN_RETURN_IF_ERROR(
      CheckNumbers(bronze, root, options.watch_interval_ms, "source.watch_interval_ms", 100));
  TARN_RETURN_IF_ERROR(CheckNumbers(bronze, root, options.copy_mb_per_s, "source.copy_mb_per_s", 0));
  TARN_RETURN_IF_ERROR(CheckNumbers(bronze, root, options.copy_range_kb, "source.copy_range_kb", 8));
  TARN_RETURN_IF_ERROR(CheckNumbers(bronze, root, options.copy_save_ms, "source.copy_save_ms", 0));
  TARN_RETURN_IF_ERROR(CheckNumbers(bronze, root, options.wal_warn_mb, "source.wal_warn_mb", 1));
  TARN_RETURN_IF_ERROR(CheckNumbers(bronze, root, options.piece_kb, "source.piece_kb", 1));
  TARN_RETURN_IF_ERROR(CheckNumbers(bronze, root, options.flush_interval_ms, "bronze.flush_interval_ms", 0));
  TARN_RETURN_IF_ERROR(
      CheckNumbers(silver, root, options.commit_interval_ms, "silver.commit_interval_ms", 0));
  TARN_RETURN_IF_ERROR(CheckNumbers(gold, root, options.gold_interval_ms, "gold.interval_ms", 0));
  TARN_RETURN_IF_ERROR(CheckNumbers(silver, root, workers, "silver.copy_workers", 1));
  TARN_RETURN_IF_ERROR(CheckNumbers(query, root, memory_mb, "query.memory_mb", 64));
  TARN_RETURN_IF_ERROR(CheckNumbers(query, root, threads, "query.threads", 1));
  options.services.retain_micros = window_hours * 3'600'000'000LL;
  options.copy_workers = static_cast<int>(workers);
  options.query_memory_bytes = memory_mb << 20;
  config.query_threads = static_cast<int>(threads);
  absolute(options.lake);
  absolute(options.models);
  absolute(config.log_file);
  absolute(secret_file);
  TARN_RETURN_IF_ERROR(ReadMappings(root, path, secret_file, options));
  TARN_RETURN_IF_ERROR(ReadPrincipals(root, path, config));
  return config;
}

Result<Config> LoadConfig(const std::string& path) {
  std::ifstream in(path);
  if (!in) {
    return MakeError(ErrorCode::kNotFound, "there is no '{}'; `tarn init` writes one, --config names another",
                     path);
  }
  std::stringstream text;
  text << in.rdbuf();
  return ParseConfig(text.str(), path);
}

}  // namespace tarn::app
