#include "hudi/timeline_check.h"

#include <arrow/api.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "hudi/content_check.h"
#include "hudi/file_name.h"
#include "hudi/table.h"
#include "hudi/timeline_history.h"
#include "parquet/parquet_reader.h"

namespace tarn::hudi {
namespace {

constexpr const char* kHistory = ".hoodie/timeline/history";

std::shared_ptr<arrow::StringArray> TextColumn(const arrow::RecordBatch& rows, const char* name) {
  return std::dynamic_pointer_cast<arrow::StringArray>(rows.GetColumnByName(name));
}

Status CheckArchivedRows(const storage::Storage& storage, const std::string& base_path,
                         const std::string& where, TableReport* report) {
  TARN_ASSIGN(auto file, storage.Open(JoinPath(base_path, where)));
  TARN_ASSIGN(const auto reader, parquet::FileReader::Open(std::move(file), where));
  return reader->Scan(
      {"instantTime", "completionTime", "action"}, 0, reader->rows(),
      [&](const auto& rows, int64_t first) -> Status {
        const auto begun = TextColumn(*rows, "instantTime"), completed = TextColumn(*rows, "completionTime");
        const auto action = TextColumn(*rows, "action");
        if (!begun || !completed || !action) {
          report->Add(where, "lacks instantTime, completionTime or action");
          return {};
        }
        for (int64_t row = 0; row < rows->num_rows(); row++) {
          const bool whole = begun->IsValid(row) && completed->IsValid(row) && action->IsValid(row);
          if (!whole || !ParseInstant(begun->GetString(row)))
            report->Add(where, fmt::format("row {} is no instant that completed", first + row));
          else if (completed->GetView(row) < begun->GetView(row))
            report->Add(where, fmt::format("{} completed at {}, before it was begun", begun->GetView(row),
                                           completed->GetView(row)));
        }
        return {};
      });
}

/// `entry`: of the manifest's list.
void CheckArchivedFile(const storage::Storage& storage, const std::string& base_path,
                       const nlohmann::json& entry, const std::vector<storage::FileInfo>& there,
                       const std::string& manifest, TableReport* report) {
  const auto name = entry.is_object() ? entry.find("fileName") : entry.end();
  if (!entry.is_object() || name == entry.end() || !name->is_string())
    return report->Add(manifest, "has a file without fileName");
  const std::string where = JoinPath(kHistory, name->get<std::string>());
  const auto found = std::find_if(there.begin(), there.end(),
                                  [&](const auto& file) { return file.name == name->get<std::string>(); });
  if (found == there.end()) return report->Add(where, "is not there, though " + manifest + " tells of it");
  const auto length = entry.find("fileLen");
  if (length != entry.end() && length->is_number_integer() && length->get<int64_t>() != found->size_bytes) {
    report->Add(where, fmt::format("has {} bytes, but {} says {}", found->size_bytes, manifest,
                                   length->get<int64_t>()));
  }
  const Status read = CheckArchivedRows(storage, base_path, where, report);
  if (!read) report->Add(where, read.error().message);
}

}  // namespace

void CheckArchived(const storage::Storage& storage, const std::string& base_path, TableReport* report) {
  const auto there = storage.List(JoinPath(base_path, kHistory));
  if (!there) return report->Add(kHistory, there.error().message);
  const std::string version_path = JoinPath(kHistory, "_version_");
  const auto version = storage.Read(JoinPath(base_path, version_path));
  if (!version) {
    const bool has_files = std::any_of(there->begin(), there->end(),
                                       [](const auto& file) { return file.name.ends_with(".parquet"); });
    if (has_files) report->Add(version_path, "is not there, though instants are archived");
    return;
  }
  const std::string manifest = JoinPath(kHistory, "manifest_" + *version);
  const auto text = storage.Read(JoinPath(base_path, manifest));
  if (!text) return report->Add(manifest, "is not there, though _version_ tells of it");
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  const auto files = json.is_object() ? json.find("files") : json.end();
  if (!json.is_object() || files == json.end() || !files->is_array())
    return report->Add(manifest, "has no list of files");
  for (const auto& entry : *files) CheckArchivedFile(storage, base_path, entry, *there, manifest, report);
}

void CheckStateFiles(const storage::Storage& storage, const std::string& base_path, const Timeline& timeline,
                     TableReport* report) {
  const std::string folder = timeline.layout == TimelineLayout::kOne ? ".hoodie" : ".hoodie/timeline";
  for (const auto& [instant, names] : timeline.files) {
    std::string completed;
    for (const std::string& name : names) {
      const std::string action = name.substr(name.find('.') + 1);
      // A savepoint has the instant of the commit that it keeps.
      if (action.find('.') != std::string::npos || action == "inflight" || action == "savepoint") continue;
      if (!completed.empty())
        report->Add(JoinPath(folder, name), fmt::format("completes {}, as '{}' does", instant, completed));
      completed = name;
      const std::string begin = name.substr(0, name.find('.'));
      const size_t split = begin.find('_');
      if (timeline.layout == TimelineLayout::kTwo && split == std::string::npos)
        report->Add(JoinPath(folder, name), "does not tell when it completed");
      if (split != std::string::npos && begin.substr(split + 1) < instant)
        report->Add(JoinPath(folder, name), "completed before it was begun");
    }
  }
  for (const std::string& hoodie : {std::string(".hoodie"), folder}) {
    const auto entries = storage.List(JoinPath(base_path, hoodie));
    if (!entries) continue;
    for (const storage::FileInfo& entry : *entries) {
      if (!entry.is_directory && entry.name.ends_with(".crc"))
        CheckHadoopChecksum(storage, base_path, hoodie, entry.name, report);
    }
    if (timeline.layout == TimelineLayout::kOne) break;
  }
}

void CheckHadoopChecksum(const storage::Storage& storage, const std::string& base_path,
                         const std::string& folder, const std::string& crc, TableReport* report) {
  if (crc.size() < 6 || !crc.starts_with('.')) return;
  const std::string of = JoinPath(folder, crc.substr(1, crc.size() - 5));
  const auto bytes = storage.Read(JoinPath(base_path, of));
  const auto sums = storage.Read(JoinPath(base_path, JoinPath(folder, crc)));
  if (!bytes || !sums) return;  // The file went; nobody reads the sums then.
  if (!FitsHadoopChecksums(*bytes, *sums))
    report->Add(of, fmt::format("does not fit the checksums in '{}' beside it: Hadoop's readers fail", crc));
}

}  // namespace tarn::hudi
