#include "hudi/table_state.h"

#include <set>

#include "hudi/commit_metadata.h"
#include "hudi/file_name.h"
#include "hudi/file_view.h"
#include "hudi/properties.h"
#include "hudi/slice.h"
#include "hudi/timeline.h"
#include "parquet/parquet_reader.h"

namespace tarn::hudi {
namespace {

Result<InstantState> Completed(const storage::Storage& storage, const std::string& base_path,
                               const Timeline& timeline, const std::string& instant,
                               std::set<std::string>* replaced) {
  const std::string& action = timeline.completed.at(instant);
  InstantState state{instant, action, "completed"};
  if (!IsCommitAction(action)) return state;
  const std::string name = timeline.CompletedPath(instant);
  TARN_ASSIGN(const std::string text, storage.Read(base_path + "/.hoodie/" + name));
  TARN_ASSIGN(const CommitMetadata commit, ParseCommit(text, name));
  state.operation = commit.operation;
  for (const WriteStat& stat : commit.stats) {
    state.files++;
    state.inserts += stat.inserts;
    state.updates += stat.updates;
    state.deletes += stat.deletes;
    state.bytes += stat.bytes;
  }
  for (const auto& [partition, ids] : commit.replaced_groups) replaced->insert(ids.begin(), ids.end());
  return state;
}

Result<SliceState> SliceOf(const storage::Storage& storage, const std::string& folder, const Slice& slice) {
  SliceState state;
  if (slice.base != nullptr) {
    const std::string path = JoinPath(folder, slice.base->name);
    TARN_ASSIGN(auto file, storage.Open(path));
    TARN_ASSIGN(const auto reader, parquet::FileReader::Open(std::move(file), path));
    state.base_file = slice.base->name;
    state.base_instant = slice.base->instant;
    state.base_rows = reader->rows();
    state.base_bytes = slice.base->size_bytes;
  }
  for (const LogFile* log : slice.logs) {
    state.log_files++;
    state.log_bytes += log->size_bytes;
  }
  return state;
}

}  // namespace

Result<TableState> DescribeTable(const storage::Storage& storage, const std::string& base_path) {
  TableState table;
  TARN_ASSIGN(const Properties properties, ReadProperties(storage, base_path));
  TARN_ASSIGN(table.options, OptionsOf(properties, false));
  table.version = properties.at("hoodie.table.version");
  TARN_ASSIGN(const Timeline timeline,
              ReadTimeline(storage, base_path,
                           table.options.version < 8 ? TimelineLayout::kOne : TimelineLayout::kTwo));
  std::set<std::string> replaced;
  for (const auto& [instant, action] : timeline.completed) {
    TARN_ASSIGN(auto state, Completed(storage, base_path, timeline, instant, &replaced));
    table.timeline.push_back(std::move(state));
  }
  for (const std::string& instant : timeline.savepoints) {
    // One whose commit is gone is there already.
    if (IsCommitAction(timeline.completed.at(instant)))
      table.timeline.push_back({instant, "savepoint", "completed"});
  }
  for (const PendingAction& pending : timeline.pending) {
    const bool begun = pending.files.size() > 1 || pending.files.front().ends_with(".inflight");
    table.timeline.push_back({pending.instant, pending.action, begun ? "inflight" : "requested"});
  }
  std::stable_sort(table.timeline.begin(), table.timeline.end(),
                   [](const auto& a, const auto& b) { return a.instant < b.instant; });
  TARN_ASSIGN(const FileView files, FileView::Load(storage, base_path));
  for (const auto& [partition, groups] : files.partitions()) {
    for (const auto& [file_id, group] : groups) {
      const auto slice = ChooseSlice(group, timeline, "");
      if (!slice || replaced.contains(file_id)) continue;
      TARN_ASSIGN(SliceState state, SliceOf(storage, JoinPath(base_path, partition), *slice));
      state.partition = partition;
      state.file_id = file_id;
      table.slices.push_back(std::move(state));
    }
  }
  return table;
}

}  // namespace tarn::hudi
