#include <arrow/array.h>
#include <arrow/record_batch.h>

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/lake_answers.h"
#include "catalog/table_registry.h"
#include "cdc/pg_connection.h"
#include "pipeline/gold_model.h"
#include "pipeline/lake_storage.h"
#include "pipeline/lake_view.h"
#include "pipeline/silver_model.h"

namespace tarn::app {
namespace {

using engine::TableName;
using nlohmann::json;

std::string FullName(const TableName& table) { return table.schema + "." + table.name; }

/// The lake's newest version with what is known of its tables.
struct Catalog {
  std::unique_ptr<storage::Storage> storage;
  std::unique_ptr<catalog::LakeVersions> versions;
  std::unique_ptr<pipeline::LakeView> view;
  std::shared_ptr<engine::LakeVersion> version;
  catalog::TableRegistry registry;
  std::map<std::string, pipeline::SilverModel> silver;
  std::vector<pipeline::GoldModel> gold;
};

Result<Catalog> Open(const Config& config) {
  Catalog lake;
  const catalog::LakeLayout layout(config.pipeline.lake, config.pipeline.bronze_root());
  lake.storage = pipeline::OpenLakeStorageReadOnly(config.pipeline);
  TARN_ASSIGN([[maybe_unused]] const auto identity, catalog::ReadIdentity(*lake.storage, layout));
  TARN_ASSIGN(lake.versions, catalog::LakeVersions::Open(lake.storage.get(), layout));
  lake.view = std::make_unique<pipeline::LakeView>(lake.storage.get(), layout, lake.versions.get(), true);
  TARN_ASSIGN(lake.version, lake.view->Pin(std::nullopt));
  TARN_ASSIGN(lake.registry, catalog::TableRegistry::Read(*lake.storage, layout));
  TARN_ASSIGN(lake.silver, pipeline::LoadSilverModels(*lake.storage, config.pipeline.models));
  TARN_ASSIGN(lake.gold,
              pipeline::LoadGoldModels(*lake.storage, config.pipeline.models, lake.registry.LakeNames()));
  return lake;
}

/// A name without a schema is looked for in this order.
constexpr const char* kSchemas[] = {"silver", "gold", "quarantine", "external"};

Result<TableName> Find(const Catalog& lake, const std::string& wanted) {
  const auto tables = lake.version->Tables();
  for (const char* schema : kSchemas) {
    for (const TableName& table : tables) {
      if (table.schema == schema && (table.name == wanted || FullName(table) == wanted)) return table;
    }
  }
  return MakeError(
      ErrorCode::kNotFound,
      "the lake has no table '{}' in silver, gold, quarantine or external; `tarn describe` lists them",
      wanted);
}

/// Rows and files as of the newest commits. An error stands in place of them.
json Content(Catalog& lake, const TableName& table) {
  const auto plan = lake.version->Plan(table, true);
  if (!plan) return {{"error", plan.error().message}};
  std::set<std::vector<std::string>> partitions;
  int64_t rows = 0, bytes = (*plan)->log_bytes;
  const auto deleted = [](const std::shared_ptr<const hudi::PositionBitmap>& bitmap) {
    int64_t count = 0;
    if (bitmap != nullptr) {
      for (const uint64_t word : *bitmap) count += std::popcount(word);
    }
    return count;
  };
  for (const hudi::ScanFile& file : (*plan)->files) {
    partitions.insert(file.partition);
    rows += file.rows - deleted(file.deleted);
    bytes += file.size_bytes;
  }
  for (const hudi::HotRows& hot : (*plan)->hot) {
    partitions.insert(hot.partition);
    rows += hot.rows->num_rows() - deleted(hot.deleted);
  }
  return {{"rows", rows},
          {"bytes", bytes},
          {"base_files", (*plan)->files.size()},
          {"log_files", (*plan)->log_files},
          {"partition_fields", (*plan)->partition_fields},
          {"partitions", (*plan)->partition_fields.empty() ? 0 : partitions.size()},
          {"newest_commit", (*plan)->instant}};
}

/// Each row of an answer as an object of texts; null for NULL.
Result<json> Ask(const Config& config, const std::string& sql) {
  json rows = json::array();
  server::AnswerHandler handler;
  handler.on_batch = [&](std::shared_ptr<arrow::RecordBatch> batch) -> Status {
    for (int64_t row = 0; row < batch->num_rows(); row++) {
      json object;
      for (int column = 0; column < batch->num_columns(); column++) {
        const auto& values = *batch->column(column);
        object[batch->column_name(column)] = values.IsNull(row) ? json() : json(CellText(values, row, ""));
      }
      rows.push_back(std::move(object));
    }
    return {};
  };
  TARN_ASSIGN([[maybe_unused]] const auto reply,
              AskOrRead(config, {sql, "operator", std::nullopt, true}, handler));
  return rows;
}

/// What models say of a table: description, owner, and what its columns are.
struct Words {
  std::string description, owner;
  std::map<std::string, std::string> columns;
};

Words WordsOf(const Catalog& lake, const TableName& table) {
  if (table.schema == "gold") {
    for (const pipeline::GoldModel& model : lake.gold) {
      if (model.name == table.name) return {model.description, model.owner, model.columns};
    }
    return {};
  }
  const auto model = lake.silver.find(table.name);
  if (model == lake.silver.end()) return {};
  const auto& [name, words] = *model;
  if (table.schema == "silver") return {words.description, words.owner, words.columns};
  return {"Rows that a rule of silver." + name + ", or a type of the lake, refused.", words.owner,
          words.columns};
}

std::vector<std::string> ReadersOf(const Catalog& lake, const TableName& table) {
  std::vector<std::string> readers;
  for (const pipeline::GoldModel& model : lake.gold) {
    const bool reads = table.schema == "silver" ? model.silver.contains(table.name)
                       : table.schema == "gold" ? model.gold.contains(table.name)
                                                : false;
    if (reads) readers.push_back("gold." + model.name);
  }
  return readers;
}

/// What stands behind a table: its source and state, or its model.
json Origin(const Catalog& lake, const TableName& table) {
  json origin = json::object();
  if (table.schema == "gold") {
    for (const pipeline::GoldModel& model : lake.gold) {
      if (model.name != table.name) continue;
      origin["key"] = model.key;
      origin["model"] = "gold/" + model.name + ".sql";
      origin["checks"] = model.checks.size();
    }
    return origin;
  }
  const auto known = lake.registry.tables.find(table.name);
  if (known == lake.registry.tables.end()) return origin;
  const catalog::RegisteredTable& registered = known->second;
  origin["key"] = registered.source.KeyNames();
  origin["source"] = registered.source.QualifiedName();
  origin["state"] = StateText(registered);
  for (const schema::Column& column : registered.source.columns) {
    if (column.lake_name != column.name) origin["source_names"][column.lake_name] = column.name;
  }
  if (const auto model = lake.silver.find(table.name); model != lake.silver.end()) {
    if (!model->second.select.empty()) origin["model"] = "silver/" + table.name + ".sql";
    origin["rules"] = model->second.rules.size();
    origin["checks"] = model->second.checks.size();
  }
  return origin;
}

Result<json> Describe(const Config& config, Catalog& lake, const TableName& table, bool statistics) {
  const Words words = WordsOf(lake, table);
  json described = {{"table", FullName(table)},
                    {"description", words.description},
                    {"owner", words.owner},
                    {"content", Content(lake, table)},
                    {"read_by", ReadersOf(lake, table)}};
  described.update(Origin(lake, table));
  const std::string name = table.schema + "." + cdc::QuoteName(table.name);
  TARN_ASSIGN(const json columns, Ask(config, "DESCRIBE " + name));
  json summary = json::array();
  if (statistics) {
    TARN_ASSIGN(summary, Ask(config, "SUMMARIZE " + name));
  }
  for (const json& column : columns) {
    const std::string column_name = column.value("column_name", "");
    json one = {{"name", column_name}, {"type", column.value("column_type", "")}, {"description", ""}};
    if (const auto text = words.columns.find(column_name); text != words.columns.end())
      one["description"] = text->second;
    for (const json& values : summary) {
      if (values.value("column_name", "") != column_name) continue;
      for (const char* what : {"min", "max", "approx_unique", "null_percentage"}) one[what] = values[what];
    }
    described["columns"].push_back(std::move(one));
  }
  return described;
}

std::string Joined(const json& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name.get<std::string>();
  return text;
}

void PrintLine(const char* what, const std::string& text) {
  if (!text.empty()) fmt::print("  {:<11} {}\n", what, text);
}

std::string ContentText(const json& content) {
  if (content.contains("error")) return content.value("error", "");
  std::string text = fmt::format("{} rows, {} in {} base and {} log files", content.value("rows", 0L),
                                 BytesText(content.value("bytes", 0L)), content.value("base_files", 0L),
                                 content.value("log_files", 0L));
  if (const std::string instant = content.value("newest_commit", ""); !instant.empty())
    text += ", newest commit " + instant;
  return text;
}

void PrintColumns(const json& columns, bool statistics) {
  size_t name_width = 0, type_width = 0;
  for (const json& column : columns) {
    name_width = std::max(name_width, column.value("name", "").size());
    type_width = std::max(type_width, column.value("type", "").size());
  }
  fmt::print("\n");
  for (const json& column : columns) {
    fmt::print("  {:<{}}  {:<{}}  {}\n", column.value("name", ""), name_width, column.value("type", ""),
               type_width, column.value("description", ""));
    if (!statistics) continue;
    const auto text = [&](const char* what) {
      return column.contains(what) && column[what].is_string() ? column[what].get<std::string>() : "none";
    };
    fmt::print("  {:<{}}  from {} to {}, about {} different, {} % NULL\n", "", name_width, text("min"),
               text("max"), text("approx_unique"), text("null_percentage"));
  }
}

void Print(const json& table, bool statistics) {
  fmt::print("{}\n", table.value("table", ""));
  PrintLine("what", table.value("description", ""));
  PrintLine("owner", table.value("owner", ""));
  PrintLine("source", table.value("source", ""));
  PrintLine("state", table.value("state", ""));
  PrintLine("model", table.value("model", ""));
  if (table.contains("key")) PrintLine("key", Joined(table["key"]));
  const json& content = table["content"];
  if (content.value("partitions", 0L) > 0) {
    PrintLine("partitions",
              fmt::format("{}, by {}", content.value("partitions", 0L), Joined(content["partition_fields"])));
  }
  PrintLine("content", ContentText(content));
  if (table.contains("rules") || table.contains("checks")) {
    PrintLine("promises",
              fmt::format("{} rules, {} checks", table.value("rules", 0L), table.value("checks", 0L)));
  }
  PrintLine("read by", Joined(table["read_by"]));
  PrintColumns(table["columns"], statistics);
}

int List(Catalog& lake, bool as_json) {
  json list = json::array();
  for (const char* schema : kSchemas) {
    for (const TableName& table : lake.version->Tables()) {
      if (table.schema != schema) continue;
      const json content = Content(lake, table);
      // Nobody looks for a quarantine that nothing is in.
      if (table.schema == "quarantine" && content.value("rows", 0L) == 0) continue;
      list.push_back({{"table", FullName(table)},
                      {"description", WordsOf(lake, table).description},
                      {"owner", WordsOf(lake, table).owner},
                      {"content", content}});
    }
  }
  if (as_json) {
    PrintJson({{"tables", list}});
    return kSuccess;
  }
  fmt::print("{:<36} {:>12} {:>10}  {}\n", "table", "rows", "size", "what");
  for (const json& table : list) {
    const json& content = table["content"];
    fmt::print("{:<36} {:>12} {:>10}  {}\n", table.value("table", ""), content.value("rows", 0L),
               BytesText(content.value("bytes", 0L)),
               content.contains("error") ? content.value("error", "") : table.value("description", ""));
  }
  return kSuccess;
}

}  // namespace

int RunDescribe(const Config& config, const std::vector<std::string>& tables, bool statistics, bool as_json) {
  auto lake = Open(config);
  if (!lake) return Fail(lake.error());
  if (tables.empty()) return List(*lake, as_json);
  json list = json::array();
  for (const std::string& wanted : tables) {
    const auto table = Find(*lake, wanted);
    if (!table) return Fail(table.error());
    auto described = Describe(config, *lake, *table, statistics);
    if (!described) return Fail(described.error());
    list.push_back(std::move(*described));
  }
  if (as_json) {
    PrintJson({{"tables", list}});
    return kSuccess;
  }
  for (const json& table : list) {
    if (&table != &list.front()) fmt::print("\n");
    Print(table, statistics);
  }
  return kSuccess;
}

}  // namespace tarn::app
