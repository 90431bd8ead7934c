#include "hudi/file_view.h"

#include <algorithm>
#include <tuple>

#include "hudi/file_name.h"

namespace tarn::hudi {

Status ForEachFolder(const storage::Storage& storage, const std::string& base_path, const TakeFolder& take) {
  std::vector<std::string> folders{""};
  while (!folders.empty()) {
    const std::string folder = std::move(folders.back());
    folders.pop_back();
    TARN_ASSIGN(const auto entries, storage.List(folder.empty() ? base_path : base_path + "/" + folder));
    for (const auto& entry : entries) {
      if (entry.is_directory && !entry.name.starts_with('.')) folders.push_back(JoinPath(folder, entry.name));
    }
    TARN_RETURN_IF_ERROR(take(folder, entries));
  }
  return {};
}

bool IsPartition(const std::vector<storage::FileInfo>& entries) {
  return std::any_of(entries.begin(), entries.end(),
                     [](const auto& entry) { return entry.name.starts_with(".hoodie_partition_metadata"); });
}

Result<FileView> FileView::Load(const storage::Storage& storage, const std::string& base_path) {
  FileView view;
  const auto add = [&](const std::string& partition,
                       const std::vector<storage::FileInfo>& entries) -> Status {
    if (!IsPartition(entries)) return {};
    view.partitions_[partition];
    for (const auto& entry : entries) {
      if (!entry.is_directory) view.Add(partition, entry.name, entry.size_bytes, -1);
    }
    return {};
  };
  TARN_RETURN_IF_ERROR(ForEachFolder(storage, base_path, add));
  return view;
}

void FileView::Add(const std::string& partition, const std::string& name, int64_t size_bytes, int64_t rows) {
  if (auto base = ParseBaseFileName(name)) {
    BaseFile& file = partitions_[partition][base->file_id].bases[base->instant];
    if (file.name != name) file = {name, base->instant, size_bytes, -1};
    file.size_bytes = size_bytes;
    if (rows >= 0) file.rows = rows;
  } else if (auto log = ParseLogFileName(name)) {
    auto& logs = partitions_[partition][log->file_id].logs[log->base_instant];
    LogFile file{name, log->version, log->token, size_bytes};
    const auto order = [](const LogFile& a, const LogFile& b) {
      return std::tie(a.version, a.token) < std::tie(b.version, b.token);
    };
    const auto at = std::lower_bound(logs.begin(), logs.end(), file, order);
    if (at != logs.end() && at->name == name)
      at->size_bytes = size_bytes;
    else
      logs.insert(at, std::move(file));
  }
}

void FileView::Remove(const std::string& partition, const std::string& name) {
  const auto it = partitions_.find(partition);
  if (it == partitions_.end()) return;
  if (auto base = ParseBaseFileName(name)) {
    it->second[base->file_id].bases.erase(base->instant);
  } else if (auto log = ParseLogFileName(name)) {
    auto& logs = it->second[log->file_id].logs;
    std::erase_if(logs[log->base_instant], [&](const LogFile& file) { return file.name == name; });
    if (logs[log->base_instant].empty()) logs.erase(log->base_instant);
  }
}

Status FileView::ListPartition(const storage::Storage& storage, const std::string& base_path,
                               const std::string& partition) {
  TARN_ASSIGN(const auto entries, storage.List(partition.empty() ? base_path : base_path + "/" + partition));
  for (const auto& entry : entries) {
    if (!entry.is_directory) Add(partition, entry.name, entry.size_bytes, -1);
  }
  return {};
}

}  // namespace tarn::hudi
