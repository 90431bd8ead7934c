#include <arrow/record_batch.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/hudi_arguments.h"
#include "hudi/change_view.h"
#include "hudi/plan_rows.h"
#include "hudi/table_check.h"
#include "hudi/table_state.h"

namespace tarn::app {
namespace {

/// A folder for the length of a command, where temporary files go.
class ScratchFolder {
 public:
  static Result<std::unique_ptr<ScratchFolder>> Make() {
    std::error_code error;
    std::string pattern = (std::filesystem::temp_directory_path(error) / "tarn-hudi-XXXXXX").string();
    if (error || mkdtemp(pattern.data()) == nullptr)
      return storage::ErrnoError(errno, "make a temporary folder", pattern);
    return std::unique_ptr<ScratchFolder>(new ScratchFolder(pattern));
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  explicit ScratchFolder(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

nlohmann::json InstantJson(const hudi::InstantState& instant) {
  nlohmann::json json = {{"instant", instant.instant}, {"action", instant.action}, {"state", instant.state}};
  if (instant.operation.empty()) return json;
  json.update({{"operation", instant.operation},
               {"files", instant.files},
               {"inserts", instant.inserts},
               {"updates", instant.updates},
               {"deletes", instant.deletes},
               {"bytes", instant.bytes}});
  return json;
}

nlohmann::json StateJson(const hudi::TableState& table) {
  nlohmann::json timeline = nlohmann::json::array(), slices = nlohmann::json::array();
  for (const auto& instant : table.timeline) timeline.push_back(InstantJson(instant));
  for (const hudi::SliceState& slice : table.slices) {
    slices.push_back({{"partition", slice.partition},
                      {"file_id", slice.file_id},
                      {"base_file", slice.base_file},
                      {"base_instant", slice.base_instant},
                      {"base_rows", slice.base_rows},
                      {"base_bytes", slice.base_bytes},
                      {"log_files", slice.log_files},
                      {"log_bytes", slice.log_bytes}});
  }
  const bool merge_on_read = table.options.type == hudi::TableType::kMergeOnRead;
  return {{"name", table.options.name},
          {"database", table.options.database},
          {"type", merge_on_read ? "MERGE_ON_READ" : "COPY_ON_WRITE"},
          {"version", table.version},
          {"key", table.options.key_fields},
          {"partition", table.options.partition_fields},
          {"ordering", table.options.ordering_field},
          {"timeline", timeline},
          {"slices", slices}};
}

void PrintState(const hudi::TableState& table) {
  const bool merge_on_read = table.options.type == hudi::TableType::kMergeOnRead;
  fmt::print("{}{}{}: {}, version {}\n", table.options.database, table.options.database.empty() ? "" : ".",
             table.options.name, merge_on_read ? "merge-on-read" : "copy-on-write", table.version);
  fmt::print("key {}; partitioned by {}; ordered by {}\n", fmt::join(table.options.key_fields, ", "),
             table.options.partition_fields.empty()
                 ? "nothing"
                 : fmt::format("{}", fmt::join(table.options.partition_fields, ", ")),
             table.options.ordering_field.empty() ? "nothing" : table.options.ordering_field);
  fmt::print("\ntimeline: {} instants\n", table.timeline.size());
  for (const hudi::InstantState& instant : table.timeline) {
    fmt::print("  {:<17}  {:<13} {:<9}", instant.instant, instant.action, instant.state);
    if (!instant.operation.empty()) {
      fmt::print("  {:<12} {} inserted, {} updated, {} deleted in {} files, {} bytes", instant.operation,
                 instant.inserts, instant.updates, instant.deletes, instant.files, instant.bytes);
    }
    fmt::print("\n");
  }
  fmt::print("\nfile slices: {}\n", table.slices.size());
  for (const hudi::SliceState& slice : table.slices) {
    fmt::print("  {}{}{}  base {} with {} rows, {} bytes; {} logs, {} bytes\n", slice.partition,
               slice.partition.empty() ? "" : "/", slice.file_id,
               slice.base_file.empty() ? "none" : slice.base_instant, slice.base_rows, slice.base_bytes,
               slice.log_files, slice.log_bytes);
  }
}

nlohmann::json ReportJson(const std::string& path, const hudi::TableReport& report) {
  nlohmann::json faults = nlohmann::json::array();
  for (const hudi::TableFault& fault : report.faults)
    faults.push_back({{"where", fault.where}, {"what", fault.what}});
  return {{"path", path},
          {"valid", report.valid()},
          {"faults", faults},
          {"fault_count", report.fault_count},
          {"instants", report.instants},
          {"partitions", report.partitions},
          {"file_groups", report.groups},
          {"base_files", report.base_files},
          {"log_files", report.log_files},
          {"rows", report.rows}};
}

void PrintReport(const std::string& path, const hudi::TableReport& report) {
  for (const hudi::TableFault& fault : report.faults)
    fmt::print("{}: {}: {}\n", path, fault.where, fault.what);
  const auto listed = static_cast<int64_t>(report.faults.size());
  if (report.fault_count > listed) fmt::print("{}: and {} faults more\n", path, report.fault_count - listed);
  fmt::print("{}: {}; {} rows, {} instants, {} partitions, {} file groups, {} base files, {} log files\n",
             path, report.valid() ? "valid" : fmt::format("{} faults", report.fault_count), report.rows,
             report.instants, report.partitions, report.groups, report.base_files, report.log_files);
}

Status ReadTable(const HudiReadArguments& arguments, ResultPrinter& printer) {
  TARN_ASSIGN(const std::string path, TableFolder(arguments.path));
  hudi::PlanRows rows{arguments.columns};
  TARN_ASSIGN(rows.since, InstantOf(arguments.since, "--since"));
  TARN_ASSIGN(const std::string as_of, InstantOf(arguments.as_of, "--as-of"));
  TARN_ASSIGN(const std::string until, InstantOf(arguments.until, "--until"));
  const auto storage = storage::OpenLocalStorageReadOnly();
  TARN_ASSIGN(const auto reader, hudi::TableReader::Open(storage.get(), path, ""));
  const auto print = [&](const auto& batch) { return printer.Print(*batch); };
  if (arguments.changes) {
    if (!arguments.columns.empty())
      return Error{ErrorCode::kInvalidArgument, "--changes has columns of its own: leave --columns out"};
    return hudi::ReadChanges(*storage, *reader, rows.since, until, print);
  }
  const auto view = arguments.read_optimized ? hudi::TableView::kReadOptimized : hudi::TableView::kSnapshot;
  TARN_ASSIGN(const auto plan, until.empty() ? reader->Plan(as_of, view) : reader->PlanUntil(until, view));
  return hudi::ReadRows(*storage, *plan, rows, print);
}

}  // namespace

int RunHudiShow(const std::string& path, bool json) {
  const auto folder = TableFolder(path);
  if (!folder) return Fail(folder.error());
  const auto state = hudi::DescribeTable(*storage::OpenLocalStorageReadOnly(), *folder);
  if (!state) return Fail(state.error());
  if (json) {
    fmt::print("{}\n", StateJson(*state).dump(1));
  } else {
    PrintState(*state);
  }
  return kSuccess;
}

int RunHudiRead(const HudiReadArguments& arguments) {
  ResultPrinter printer(arguments.format, stdout);
  Status read = ReadTable(arguments, printer);
  if (read) read = printer.Finish();
  return read ? kSuccess : Fail(read.error());
}

int RunHudiCheck(const std::vector<std::string>& paths, bool json) {
  const auto scratch = ScratchFolder::Make();
  if (!scratch) return Fail(scratch.error());
  const auto storage = storage::OpenLocalStorageReadOnly();
  nlohmann::json reports = nlohmann::json::array();
  bool valid = true;
  for (const std::string& path : paths) {
    const auto folder = TableFolder(path);
    if (!folder) return Fail(folder.error());
    const auto report = hudi::CheckTable(*storage, *folder, (*scratch)->path());
    if (!report) return Fail(report.error());
    valid = valid && report->valid();
    if (json) {
      reports.push_back(ReportJson(path, *report));
    } else {
      PrintReport(path, *report);
    }
  }
  if (json) fmt::print("{}\n", reports.dump(1, ' ', false, nlohmann::json::error_handler_t::replace));
  return valid ? kSuccess : kDifference;
}

}  // namespace tarn::app
