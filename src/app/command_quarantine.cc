#include <arrow/api.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/lake_answers.h"
#include "base/clock.h"
#include "base/lsn.h"
#include "catalog/table_registry.h"
#include "cdc/source_catalog.h"
#include "hudi/table.h"
#include "pipeline/lake_storage.h"
#include "pipeline/runner.h"

namespace tarn::app {
namespace {

using Rows = std::vector<std::map<std::string, std::string>>;

/// The answer's rows as texts by column; NULL is not there.
Result<Rows> Answer(const Config& config, const std::string& sql) {
  Rows rows;
  server::AnswerHandler handler;
  handler.on_batch = [&rows](std::shared_ptr<arrow::RecordBatch> batch) -> Status {
    for (int64_t row = 0; row < batch->num_rows(); row++) {
      auto& cells = rows.emplace_back();
      for (int column = 0; column < batch->num_columns(); column++) {
        if (batch->column(column)->IsNull(row)) continue;
        cells[batch->column_name(column)] = CellText(*batch->column(column), row, "");
      }
    }
    return {};
  };
  // What a held table has in quarantine may be just what holds it.
  TARN_ASSIGN([[maybe_unused]] const auto statistics,
              AskOrRead(config, {sql, "operator", std::nullopt, true}, handler));
  return rows;
}

/// Tables that have a quarantine.
Result<std::map<std::string, catalog::RegisteredTable>> TablesOf(const Config& config) {
  const auto storage = pipeline::OpenLakeStorageReadOnly(config.pipeline);
  const catalog::LakeLayout layout(config.pipeline.lake, config.pipeline.bronze_root());
  TARN_ASSIGN([[maybe_unused]] const auto identity, catalog::ReadIdentity(*storage, layout));
  TARN_ASSIGN(auto registry, catalog::TableRegistry::Read(*storage, layout));
  std::erase_if(registry.tables, [&](const auto& entry) {
    return entry.second.start.lsn == Lsn{} ||
           !storage->Exists(layout.Quarantine(entry.first) + "/.hoodie/hoodie.properties");
  });
  return std::move(registry.tables);
}

/// When a row came to where it is; one that no commit has yet came just now.
std::string TimeText(const std::string& instant) {
  const auto micros = hudi::ParseInstant(instant);
  return micros ? FormatTimestamp(*micros).substr(0, 19) : "just now";
}

std::string PositionText(const std::string& ordering) {
  return ordering.empty() ? "" : OrderingPosition(std::stoll(ordering)).lsn.ToString();
}

int64_t NumberOf(const std::map<std::string, std::string>& row, const char* column) {
  return row.contains(column) ? std::stoll(row.at(column)) : 0;
}

std::string TextOf(const std::map<std::string, std::string>& row, const char* column) {
  return row.contains(column) ? row.at(column) : "";
}

/// One table of `list`.
Result<nlohmann::json> Summary(const Config& config, const std::string& table) {
  const std::string name = cdc::QuoteName(table);
  TARN_ASSIGN(const Rows rows,
              Answer(config,
                     "SELECT _rule, count(*) AS rows, min(_hoodie_commit_time) AS first, "
                     "max(_hoodie_commit_time) AS last, min(_lsn) AS first_lsn, max(_lsn) AS last_lsn, "
                     "(SELECT count(*) FROM silver." +
                         name + ") AS valid FROM quarantine." + name + " GROUP BY _rule ORDER BY _rule"));
  nlohmann::json rules = nlohmann::json::array();
  int64_t refused = 0, valid = 0;
  for (const auto& row : rows) {
    refused += NumberOf(row, "rows");
    valid = NumberOf(row, "valid");
    rules.push_back({{"rule", TextOf(row, "_rule")},
                     {"rows", NumberOf(row, "rows")},
                     {"first", TimeText(TextOf(row, "first"))},
                     {"last", TimeText(TextOf(row, "last"))},
                     {"first_lsn", PositionText(TextOf(row, "first_lsn"))},
                     {"last_lsn", PositionText(TextOf(row, "last_lsn"))}});
  }
  const double share = refused == 0 ? 1.0 : static_cast<double>(valid) / static_cast<double>(valid + refused);
  return nlohmann::json{{"table", table}, {"rows", refused}, {"valid_share", share}, {"rules", rules}};
}

void PrintSummary(const nlohmann::json& summary) {
  for (const auto& rule : summary["rules"]) {
    fmt::print("{:<24} {:<28} {:>10}  {:<19}  {:<19}  {:>8.3f} %\n", summary["table"].get<std::string>(),
               rule.value("rule", ""), rule.value("rows", 0L), rule.value("first", ""),
               rule.value("last", ""), 100 * summary.value("valid_share", 1.0));
  }
}

std::string SqlText(const std::string& value) {
  std::string quoted = "'";
  for (const char c : value) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  return quoted + "'";
}

/// The condition of `--key`. Errors: kInvalidArgument says what a key of the table is.
Result<std::string> KeyCondition(const schema::TableSchema& table, const std::vector<std::string>& keys) {
  const auto names = table.KeyNames();
  std::string condition;
  for (const std::string& key : keys) {
    const size_t equals = key.find('=');
    std::string column = key.substr(0, std::min(equals, key.size()));
    std::string value = equals == std::string::npos ? key : key.substr(equals + 1);
    if (names.size() == 1 && column != names[0]) {
      column = names[0];
      value = key;
    }
    if (std::count(names.begin(), names.end(), column) == 0) {
      std::string known;
      for (const std::string& name : names)
        known += (known.empty() ? "" : " ") + ("--key " + name + "=VALUE");
      return MakeError(ErrorCode::kInvalidArgument, "--key '{}' names no key column of '{}'; {}", key,
                       table.lake_name, known.empty() ? "it has no key" : "write " + known);
    }
    // A value that the lake's type cannot hold stands in _bad, and its column is NULL.
    const std::string quoted = SqlText(value);
    condition += fmt::format("{}(CAST({} AS VARCHAR) = {} OR json_extract_string(_bad, {}) = {})",
                             condition.empty() ? " WHERE " : " AND ", cdc::QuoteName(column), quoted,
                             SqlText("$.\"" + column + "\".value"), quoted);
  }
  return condition;
}

/// One row as it came: what the lake's types cannot hold as the source wrote it.
nlohmann::ordered_json Shown(const schema::TableSchema& table,
                             const std::map<std::string, std::string>& row) {
  nlohmann::ordered_json values = nlohmann::ordered_json::object();
  const auto bad = nlohmann::json::parse(row.contains("_bad") ? row.at("_bad") : "{}", nullptr, false);
  for (const schema::Column& column : table.columns) {
    const std::string& name = column.lake_name;
    if (bad.is_object() && bad.contains(name)) {
      values[name] = bad[name].value("value", nlohmann::json());
    } else if (row.contains(name)) {
      values[name] = row.at(name);
    } else {
      values[name] = nullptr;
    }
  }
  return {{"rule", TextOf(row, "_rule")},
          {"reason", TextOf(row, "_reason")},
          {"op", TextOf(row, "_refused_op")},
          {"lsn", PositionText(TextOf(row, "_lsn"))},
          {"since", TimeText(TextOf(row, "_hoodie_commit_time"))},
          {"row", values}};
}

void PrintShown(const nlohmann::ordered_json& shown) {
  fmt::print("{}: {}\n", shown["rule"].get<std::string>(), shown["reason"].get<std::string>());
  const std::string op = shown["op"];
  fmt::print("    {} at {}, here since {}\n", op == "I" ? "inserted" : "updated",
             shown["lsn"].get<std::string>(), shown["since"].get<std::string>());
  for (const auto& [name, value] : shown["row"].items())
    fmt::print("    {:<24} {}\n", name, value.is_null() ? "NULL" : value.get<std::string>());
}

}  // namespace

int RunQuarantineList(const Config& config, bool json) {
  const auto tables = TablesOf(config);
  if (!tables) return Fail(tables.error());
  nlohmann::json list = nlohmann::json::array();
  int64_t rows = 0;
  for (const auto& [name, table] : *tables) {
    const auto summary = Summary(config, name);
    if (!summary) return Fail(Error(summary.error()).In("quarantine of " + name));
    if (rows == 0 && summary->value("rows", 0L) > 0 && !json) {
      fmt::print("{:<24} {:<28} {:>10}  {:<19}  {:<19}  {:>10}\n", "table", "rule", "rows", "first (UTC)",
                 "last (UTC)", "valid");
    }
    rows += summary->value("rows", 0L);
    if (!json) PrintSummary(*summary);
    list.push_back(*summary);
  }
  if (json) fmt::print("{}\n", nlohmann::json{{"rows", rows}, {"tables", list}}.dump(1));
  if (rows == 0 && !json) fmt::print("nothing stands in quarantine\n");
  return kSuccess;
}

int RunQuarantineShow(const Config& config, const QuarantineShowArguments& a) {
  const auto tables = TablesOf(config);
  if (!tables) return Fail(tables.error());
  const auto table = tables->find(a.table);
  if (table == tables->end()) {
    return Fail(MakeError(ErrorCode::kInvalidArgument,
                          "the lake has no table '{}'; `tarn quarantine list --json` lists those that it has",
                          a.table));
  }
  const auto condition = KeyCondition(table->second.source, a.key);
  if (!condition) return Fail(condition.error());
  const auto rows = Answer(config, fmt::format("SELECT * FROM quarantine.{}{} ORDER BY _lsn DESC LIMIT {}",
                                               cdc::QuoteName(a.table), *condition, a.limit));
  if (!rows) return Fail(rows.error());
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const auto& row : *rows) {
    list.push_back(Shown(table->second.source, row));
    if (!a.json) PrintShown(list.back());
  }
  if (a.json) {
    fmt::print("{}\n", nlohmann::ordered_json{{"table", a.table}, {"rows", list}}.dump(
                           1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  } else if (rows->empty()) {
    fmt::print("no such row of '{}' stands in quarantine\n", a.table);
  }
  return kSuccess;
}

namespace {

/// A lake that no tarn runs on is changed here.
Result<std::string> Retry(const Config& config, const std::string& table, const std::string& rule,
                          const std::function<void(const std::string&)>& tell) {
  server::AnswerHandler handler;
  handler.on_progress = tell;
  auto reply = server::Ask(
      config.pipeline.lake + "/_tarn",
      nlohmann::json{{"command", "return_rows"}, {"table", table}, {"rule", rule}}.dump(), handler);
  if (reply || !server::NobodyRuns(reply.error())) return reply;
  const catalog::LakeLayout layout(config.pipeline.lake, config.pipeline.bronze_root());
  TARN_ASSIGN([[maybe_unused]] const auto identity,
              catalog::ReadIdentity(*pipeline::OpenLakeStorageReadOnly(config.pipeline), layout));
  TARN_ASSIGN(const auto runner, pipeline::Runner::Open(config.pipeline, &Clock::System()));
  const CancelToken cancel;
  TARN_ASSIGN(const auto returned,
              runner->ReturnRowsAlone(
                  table, rule, [&](int64_t rows) { tell(std::to_string(rows)); }, cancel));
  return nlohmann::json{{"entered", returned.entered}, {"stayed", returned.stayed}}.dump();
}

}  // namespace

int RunQuarantineRetry(const Config& config, const std::string& table, const std::string& rule, bool json) {
  const bool terminal = isatty(STDERR_FILENO) != 0;
  const auto reply = Retry(config, table, rule, [terminal](const std::string& rows) {
    if (terminal) fmt::print(stderr, "\r{} rows judged", rows);
  });
  if (terminal) fmt::print(stderr, "\r{:<40}\r", "");
  if (!reply) return Fail(reply.error());
  if (json) {
    fmt::print("{}\n", *reply);
    return kSuccess;
  }
  const auto counts = nlohmann::json::parse(*reply);
  const int64_t entered = counts.value("entered", 0L), stayed = counts.value("stayed", 0L);
  fmt::print("{} rows of {} are good now and entered the table; {} stay in quarantine\n", entered, table,
             stayed);
  if (stayed > 0) fmt::print("`tarn quarantine show {}` tells why\n", table);
  return kSuccess;
}

}  // namespace tarn::app
