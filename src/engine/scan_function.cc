#include "engine/scan_function.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <utility>

#include "engine/scan_files.h"
#include "engine/scan_reader.h"

namespace tarn::engine {
namespace {

using duckdb::ClientContext;
using duckdb::FunctionData;
using duckdb::MultiFileReader;

constexpr const char* kStateName = "tarn_scan_function";

// How Deserialize, which DuckDB calls without any data of ours, finds its way back.
struct ScanFunctionState : duckdb::ClientContextState {
  std::shared_ptr<ScanFunction> function;
};

duckdb::unique_ptr<FunctionData> RefuseBind(ClientContext&, duckdb::TableFunctionBindInput&,
                                            duckdb::vector<duckdb::LogicalType>&,
                                            duckdb::vector<std::string>&) {
  throw duckdb::PermissionException("tables are read by name");
}

// File names are handles and mean nothing to anybody.
duckdb::virtual_column_map_t VirtualColumns(ClientContext&, duckdb::optional_ptr<FunctionData> bind_data) {
  duckdb::virtual_column_map_t columns;
  columns.insert({MultiFileReader::COLUMN_IDENTIFIER_FILE_ROW_NUMBER,
                  duckdb::TableColumn("file_row_number", duckdb::LogicalType::BIGINT)});
  columns.insert({MultiFileReader::COLUMN_IDENTIFIER_FILE_INDEX,
                  duckdb::TableColumn("file_index", duckdb::LogicalType::UBIGINT)});
  columns.insert({duckdb::COLUMN_IDENTIFIER_EMPTY, duckdb::TableColumn("", duckdb::LogicalType::BOOLEAN)});
  if (bind_data) bind_data->Cast<duckdb::MultiFileBindData>().virtual_columns = columns;
  return columns;
}

std::string ReadableBytes(int64_t bytes) { return duckdb::StringUtil::BytesToHumanReadableString(bytes); }

// What EXPLAIN shows of a scan.
duckdb::InsertionOrderPreservingMap<std::string> Describe(duckdb::TableFunctionToStringInput& input) {
  const auto& files = input.bind_data->Cast<duckdb::MultiFileBindData>().file_list->Cast<ScanFiles>();
  const LakeScan& scan = *files.scan();
  std::vector<bool> partitions(scan.partitions());
  int64_t total_files = 0;
  int64_t read_files = 0;
  int64_t bytes = 0;
  int64_t hot_rows = 0;
  for (const ScanUnit& unit : scan.units()) total_files += unit.file != nullptr ? 1 : 0;
  for (const size_t i : files.selected()) {
    const ScanUnit& unit = scan.units()[i];
    partitions[unit.partition] = true;
    read_files += unit.file != nullptr ? 1 : 0;
    bytes += unit.size_bytes();
    hot_rows += unit.hot != nullptr ? unit.hot->rows->num_rows() : 0;
  }
  duckdb::InsertionOrderPreservingMap<std::string> result;
  result["Table"] = scan.DisplayName();
  result["Partitions"] =
      fmt::format("{} of {}", std::count(partitions.begin(), partitions.end(), true), partitions.size());
  result["Files"] = fmt::format("{} of {}", read_files, total_files);
  result["Bytes"] = ReadableBytes(bytes);
  if (hot_rows > 0) result["Hot rows"] = fmt::format("{}", hot_rows);
  return result;
}

void Serialize(duckdb::Serializer& serializer, const duckdb::optional_ptr<FunctionData> bind_data,
               const duckdb::TableFunction&) {
  const auto& files = bind_data->Cast<duckdb::MultiFileBindData>().file_list->Cast<ScanFiles>();
  const duckdb::vector<uint64_t> selected(files.selected().begin(), files.selected().end());
  serializer.WriteProperty(100, "scan", files.scan()->capability());
  serializer.WriteProperty(101, "units", selected);
}

}  // namespace

ScanFunction::ScanFunction(duckdb::TableFunction parquet_scan, std::shared_ptr<ScanRegistry> registry)
    : parquet_scan_(std::move(parquet_scan)), registry_(std::move(registry)) {}

std::shared_ptr<ScanFunction> ScanFunction::Register(duckdb::Connection& connection,
                                                     std::shared_ptr<ScanRegistry> registry) {
  ClientContext& context = *connection.context;
  std::shared_ptr<ScanFunction> result;
  context.RunFunctionInTransaction([&] {
    auto& catalog = duckdb::Catalog::GetSystemCatalog(context);
    auto& entry =
        catalog.GetEntry<duckdb::TableFunctionCatalogEntry>(context, DEFAULT_SCHEMA, "parquet_scan");
    result.reset(
        new ScanFunction(entry.functions.GetFunctionByArguments(context, {duckdb::LogicalType::VARCHAR}),
                         std::move(registry)));
    duckdb::CreateTableFunctionInfo info(result->FunctionFor(nullptr));
    catalog.CreateTableFunction(context, info);
  });
  auto state = duckdb::make_shared_ptr<ScanFunctionState>();
  state->function = result;
  context.registered_state->Insert(kStateName, state);
  return result;
}

duckdb::TableFunction ScanFunction::FunctionFor(std::shared_ptr<LakeScan> scan) const {
  duckdb::TableFunction function = parquet_scan_;
  function.name = kScanFunctionName;
  function.get_multi_file_reader = ScanReader::Make;
  function.function_info = duckdb::make_shared_ptr<ScanFunctionInfo>(std::move(scan));
  function.bind = RefuseBind;
  function.serialize = Serialize;
  function.deserialize = Deserialize;
  // Both come from the files' footers, which know nothing of deleted rows.
  function.get_partition_stats = nullptr;
  function.statistics = nullptr;
  function.statistics_extended = nullptr;
  function.get_virtual_columns = VirtualColumns;
  function.to_string = Describe;
  function.dynamic_to_string = nullptr;  // It lists handles.
  return function;
}

duckdb::TableFunction ScanFunction::Bind(ClientContext& context, std::shared_ptr<LakeScan> scan,
                                         duckdb::unique_ptr<FunctionData>* bind_data) const {
  duckdb::TableFunction function = FunctionFor(std::move(scan));
  duckdb::vector<duckdb::Value> inputs{duckdb::Value("")};
  duckdb::named_parameter_map_t parameters;
  duckdb::vector<duckdb::LogicalType> input_types;
  duckdb::vector<std::string> input_names;
  duckdb::TableFunctionRef ref;
  duckdb::TableFunctionBindInput input(inputs, parameters, input_types, input_names, nullptr, nullptr,
                                       function, ref);
  duckdb::vector<duckdb::LogicalType> types;
  duckdb::vector<std::string> names;
  *bind_data = parquet_scan_.bind(context, input, types, names);
  return function;
}

duckdb::unique_ptr<FunctionData> ScanFunction::Deserialize(duckdb::Deserializer& deserializer,
                                                           duckdb::TableFunction& function) {
  auto& context = deserializer.Get<ClientContext&>();
  const auto capability = deserializer.ReadProperty<uint64_t>(100, "scan");
  const auto units = deserializer.ReadProperty<duckdb::vector<uint64_t>>(101, "units");
  const auto state = context.registered_state->Get<ScanFunctionState>(kStateName);
  const auto scan = state ? state->function->registry_->Find(capability) : nullptr;
  if (scan == nullptr) throw duckdb::PermissionException("this plan belongs to another statement");
  duckdb::unique_ptr<FunctionData> bind_data;
  function = state->function->Bind(context, scan, &bind_data);
  std::vector<size_t> selected;
  for (const uint64_t unit : units) {
    if (unit < scan->units().size()) selected.push_back(unit);
  }
  bind_data->Cast<duckdb::MultiFileBindData>().file_list =
      duckdb::make_shared_ptr<ScanFiles>(scan, std::move(selected));
  return bind_data;
}

}  // namespace tarn::engine
