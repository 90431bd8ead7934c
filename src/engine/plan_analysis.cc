#include "engine/plan_analysis.h"

#include <algorithm>

#include "engine/column_lineage.h"
#include "engine/partition_proof.h"
#include "engine/scan_files.h"
#include "engine/scan_function.h"
#include "engine/time_dependence.h"

namespace tarn::engine {
namespace {

/// Where a row is stored, which services of the table change without a commit that tells of it.
bool IsPlaceOfRow(const SourceColumn& column) {
  return column.column.empty() || column.column.starts_with("_hoodie_");
}

/// Of the columns that the result depends on, one that tells where rows are stored.
const SourceColumn* FindPlaceOfRow(const ModelAnalysis& analysis) {
  const auto find = [](const std::set<SourceColumn>& columns) -> const SourceColumn* {
    const auto found = std::find_if(columns.begin(), columns.end(), IsPlaceOfRow);
    return found == columns.end() ? nullptr : &*found;
  };
  if (const auto* column = find(analysis.row_columns)) return column;
  for (const auto& output : analysis.columns) {
    if (const auto* column = find(output.sources)) return column;
  }
  return nullptr;
}

}  // namespace

std::vector<PlanColumn> ColumnsOf(duckdb::LogicalOperator& op) {
  std::vector<PlanColumn> columns;
  for (const auto& binding : op.GetColumnBindings()) columns.push_back(ToPlanColumn(binding));
  return columns;
}

std::shared_ptr<LakeScan> ScanOf(const duckdb::LogicalGet& get) {
  if (get.function.name != kScanFunctionName || get.bind_data == nullptr) return nullptr;
  const auto& data = get.bind_data->Cast<duckdb::MultiFileBindData>();
  const auto* files = dynamic_cast<const ScanFiles*>(data.file_list.get());
  return files == nullptr ? nullptr : files->scan();
}

std::string ColumnName(const duckdb::LogicalGet& get, const LakeScan& scan, idx_t output) {
  const auto& ids = get.GetColumnIds();
  if (output >= ids.size() || ids[output].GetPrimaryIndex() >= scan.names().size()) return "";
  return scan.names()[ids[output].GetPrimaryIndex()];
}

ModelAnalysis AnalyzePlan(duckdb::LogicalOperator& plan, const std::vector<std::string>& names,
                          const std::string& partition_column) {
  ModelAnalysis analysis;
  ColumnLineage lineage;
  lineage.Walk(plan);
  const auto outputs = ColumnsOf(plan);
  for (size_t i = 0; i < names.size() && i < outputs.size(); i++) {
    analysis.columns.push_back({names[i], lineage.SourcesOf(outputs[i])});
  }
  analysis.row_columns = lineage.row_columns();
  for (const auto& [table, is_partitioned] : lineage.tables()) {
    (is_partitioned ? analysis.partitioned : analysis.unpartitioned).insert(table);
  }
  const TimeFinding time = FindTimeDependence(plan);
  analysis.time = time.dependence;
  analysis.time_reason = time.reason;
  analysis.why_not_local = WhyNotLocal(plan, names, partition_column);
  for (const auto& [table, is_partitioned] : lineage.tables()) {
    if (table.schema == "silver") continue;
    analysis.why_not_local =
        fmt::format("it reads {}.{}, whose changes are not followed", table.schema, table.name);
    analysis.time = TimeDependence::kMoment;
    analysis.time_reason = analysis.why_not_local;
  }
  if (const SourceColumn* place = FindPlaceOfRow(analysis)) {
    analysis.why_not_local = fmt::format("it reads where rows of {} are stored{}", place->table.name,
                                         place->column.empty() ? "" : " (" + place->column + ")");
    analysis.time = TimeDependence::kMoment;
    analysis.time_reason = analysis.why_not_local;
  }
  analysis.is_partition_local = analysis.why_not_local.empty();
  return analysis;
}

}  // namespace tarn::engine
