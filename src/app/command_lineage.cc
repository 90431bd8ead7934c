#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/gold_reading.h"

namespace tarn::app {
namespace {

using engine::ModelAnalysis;
using engine::SourceColumn;
using pipeline::GoldModel;

std::string NameOf(const SourceColumn& column) {
  return fmt::format("{}.{}.{}", column.table.schema, column.table.name, column.column);
}

nlohmann::json NamesOf(const std::set<SourceColumn>& columns) {
  nlohmann::json names = nlohmann::json::array();
  for (const SourceColumn& column : columns) names.push_back(NameOf(column));
  return names;
}

std::string TextOf(const std::set<SourceColumn>& columns) {
  std::string text;
  for (const SourceColumn& column : columns) {
    text += fmt::format("{}{}.{}", text.empty() ? "" : ", ", column.table.name, column.column);
  }
  return text.empty() ? "no column" : text;
}

nlohmann::json ToJson(const GoldModel& model, const ModelAnalysis& analysis) {
  nlohmann::json json = {{"model", model.name},
                         {"silver", model.silver},
                         {"gold", model.gold},
                         {"row_columns", NamesOf(analysis.row_columns)},
                         {"columns", nlohmann::json::array()}};
  for (const auto& column : analysis.columns) {
    json["columns"].push_back({{"name", column.name}, {"sources", NamesOf(column.sources)}});
  }
  return json;
}

/// A tree of what follows from a table or model.
void PrintReaders(const std::vector<GoldModel>& models, const std::vector<const GoldModel*>& readers,
                  const std::string& indent) {
  for (size_t i = 0; i < readers.size(); i++) {
    const bool is_last = i + 1 == readers.size();
    fmt::print("{}{} gold.{}\n", indent, is_last ? "└─" : "├─", readers[i]->name);
    std::vector<const GoldModel*> next;
    for (const GoldModel& model : models) {
      if (model.gold.contains(readers[i]->name)) next.push_back(&model);
    }
    PrintReaders(models, next, indent + (is_last ? "   " : "│  "));
  }
}

void PrintGraph(GoldReading& reading) {
  std::set<std::string> tables;
  for (const GoldModel& model : reading.models) tables.insert(model.silver.begin(), model.silver.end());
  for (const std::string& table : tables) {
    fmt::print("silver.{}\n", table);
    std::vector<const GoldModel*> readers;
    for (const GoldModel& model : reading.models) {
      if (!model.silver.contains(table)) continue;
      // Those that have it from another model stand below that one.
      const bool is_indirect =
          std::any_of(reading.models.begin(), reading.models.end(), [&](const GoldModel& other) {
            return model.gold.contains(other.name) && other.silver.contains(table);
          });
      if (!is_indirect) readers.push_back(&model);
    }
    PrintReaders(reading.models, readers, "");
  }
}

/// A model's columns, or one of them. False: it has no such column.
bool PrintModel(const GoldModel& model, const ModelAnalysis& analysis, const std::string& column) {
  size_t width = 0;
  for (const auto& one : analysis.columns) width = std::max(width, one.name.size());
  bool any = false;
  if (column.empty()) fmt::print("gold.{}\n", model.name);
  for (const auto& one : analysis.columns) {
    if (!column.empty() && one.name != column) continue;
    any = true;
    fmt::print("  {:<{}} ← {}\n", one.name, width, TextOf(one.sources));
  }
  if (any || column.empty()) fmt::print("  which rows there are ← {}\n", TextOf(analysis.row_columns));
  return any || column.empty();
}

/// What a table, or a column of it, goes into. False: into nothing.
bool PrintUses(const GoldModel& model, const ModelAnalysis& analysis, const std::string& table,
               const std::string& column) {
  const auto is_it = [&](const SourceColumn& source) {
    return source.table.name == table && (column.empty() || source.column == column);
  };
  std::string uses;
  for (const auto& one : analysis.columns) {
    if (std::none_of(one.sources.begin(), one.sources.end(), is_it)) continue;
    uses += (uses.empty() ? "" : ", ") + one.name;
  }
  if (std::any_of(analysis.row_columns.begin(), analysis.row_columns.end(), is_it)) {
    uses += (uses.empty() ? "" : ", ") + std::string("which rows there are");
  }
  if (!uses.empty()) fmt::print("  → gold.{}: {}\n", model.name, uses);
  return !uses.empty();
}

int PrintSubject(GoldReading& reading, const std::map<std::string, const ModelAnalysis*>& analyses,
                 const std::string& subject) {
  const std::string name = subject.substr(0, subject.find('.'));
  const std::string column = name == subject ? "" : subject.substr(name.size() + 1);
  bool any = false, is_known = false;
  for (const GoldModel& model : reading.models) {
    if (model.name == name) {
      is_known = true;
      any = PrintModel(model, *analyses.at(name), column);
    }
    is_known |= model.silver.contains(name);
  }
  const auto model = std::find_if(reading.models.begin(), reading.models.end(),
                                  [&](const GoldModel& one) { return one.name == name; });
  if (model == reading.models.end() && is_known) {
    fmt::print("silver.{}\n", subject);
    for (const GoldModel& one : reading.models) any |= PrintUses(one, *analyses.at(one.name), name, column);
  }
  if (any) return kSuccess;
  return Fail(
      MakeError(ErrorCode::kNotFound, "no model is, has or reads '{}'; `tarn lineage` shows all", subject));
}

}  // namespace

int RunLineage(const Config& config, const std::string& subject, bool json) {
  const auto reading = GoldReading::Open(config);
  if (!reading) return Fail(reading.error());
  if (subject.empty() && !json) {
    PrintGraph(**reading);
    return kSuccess;
  }
  std::map<std::string, const ModelAnalysis*> analyses;
  nlohmann::json list = nlohmann::json::array();
  for (const GoldModel& model : (*reading)->models) {
    const auto analysis = (*reading)->snapshot->Analyze(model);
    if (!analysis) return Fail(Error(analysis.error()).In("gold." + model.name));
    analyses[model.name] = *analysis;
    const bool is_asked = subject.empty() || subject == model.name || subject.starts_with(model.name + ".");
    if (is_asked) list.push_back(ToJson(model, **analysis));
  }
  if (!json) return PrintSubject(**reading, analyses, subject);
  fmt::print("{}\n", nlohmann::json{{"models", list}}.dump(1));
  return kSuccess;
}

}  // namespace tarn::app
