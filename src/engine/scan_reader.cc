#include "engine/scan_reader.h"

#include <algorithm>
#include <utility>

#include "engine/hot_reader.h"

namespace tarn::engine {
namespace {

/// Skips the rows of a file that a newer commit replaced or deleted.
class PositionFilter : public duckdb::DeleteFilter {
 public:
  explicit PositionFilter(std::shared_ptr<const hudi::PositionBitmap> deleted)
      : deleted_(std::move(deleted)) {}

  idx_t Filter(duckdb::row_t start, idx_t count, duckdb::SelectionVector& selection) override {
    if (!AnyDeleted(static_cast<idx_t>(start), count)) return count;  // An unset selection means every row.
    selection.Initialize(STANDARD_VECTOR_SIZE);
    idx_t kept = 0;
    for (idx_t i = 0; i < count; ++i) {
      if (!hudi::IsDeleted(deleted_.get(), static_cast<idx_t>(start) + i)) selection.set_index(kept++, i);
    }
    return kept;
  }

 private:
  // Looks at whole words: a neighbour's bit only costs the slower way.
  bool AnyDeleted(idx_t start, idx_t count) const {
    const idx_t end = std::min<idx_t>((start + count + 63) / 64, deleted_->size());
    for (idx_t word = start / 64; word < end; ++word) {
      if ((*deleted_)[word] != 0) return true;
    }
    return false;
  }

  std::shared_ptr<const hudi::PositionBitmap> deleted_;
};

bool HasDeletes(const hudi::PositionBitmap* deleted) {
  return deleted != nullptr &&
         std::any_of(deleted->begin(), deleted->end(), [](uint64_t word) { return word != 0; });
}

}  // namespace

duckdb::unique_ptr<duckdb::MultiFileReader> ScanReader::Make(const duckdb::TableFunction& function) {
  return duckdb::make_uniq<ScanReader>(function.function_info->Cast<ScanFunctionInfo>().scan);
}

duckdb::shared_ptr<duckdb::MultiFileList> ScanReader::CreateFileList(duckdb::ClientContext&,
                                                                     const duckdb::vector<std::string>&,
                                                                     const duckdb::FileGlobInput&) {
  return duckdb::shared_ptr<duckdb::MultiFileList>(ScanFiles::All(scan_).release());
}

bool ScanReader::Bind(duckdb::MultiFileOptions& options, duckdb::MultiFileList&,
                      duckdb::vector<duckdb::LogicalType>& types, duckdb::vector<std::string>& names,
                      duckdb::MultiFileReaderBindData& bind_data) {
  types = scan_->types();
  names = scan_->names();
  bind_data.schema = duckdb::MultiFileColumnDefinition::ColumnsFromNamesAndTypes(names, types);
  for (auto& column : bind_data.schema) {
    // A file older than the column has NULL there.
    column.default_expression = duckdb::make_uniq<duckdb::ConstantExpression>(duckdb::Value(column.type));
  }
  // Partition columns are in the files themselves; the folders' names would shadow them as text.
  options.auto_detect_hive_partitioning = false;
  options.hive_partitioning = false;
  return true;
}

void ScanReader::AddFolderValues(size_t partition,
                                 const duckdb::vector<duckdb::ColumnIndex>& global_column_ids,
                                 duckdb::MultiFileReaderData* reader_data) const {
  for (idx_t i = 0; i < global_column_ids.size(); ++i) {
    if (global_column_ids[i].IsVirtualColumn()) continue;
    const duckdb::column_t column = global_column_ids[i].GetPrimaryIndex();
    const auto field = scan_->PartitionField(column);
    if (!field) continue;
    const duckdb::Value* value = scan_->PartitionValue(partition, *field);
    reader_data->constant_map.Add(duckdb::MultiFileGlobalIndex(i),
                                  value != nullptr ? *value : duckdb::Value(scan_->types()[column]));
  }
}

size_t ScanReader::UnitOf(const std::string& handle) const {
  const auto unit = scan_->Find(handle);
  if (!unit) throw duckdb::PermissionException("this file is not part of the statement");
  return *unit;
}

void ScanReader::FinalizeBind(duckdb::MultiFileReaderData& reader_data,
                              const duckdb::MultiFileOptions& options,
                              const duckdb::MultiFileReaderBindData& bind_data,
                              const duckdb::vector<duckdb::MultiFileColumnDefinition>& global_columns,
                              const duckdb::vector<duckdb::ColumnIndex>& global_column_ids,
                              duckdb::ClientContext& context,
                              duckdb::optional_ptr<duckdb::MultiFileReaderGlobalState> global_state) {
  const size_t index = UnitOf(reader_data.reader->GetFileName());
  // Late materialisation joins on the file's index. DuckDB numbers the *pruned* list, which differs between
  // the two sides of that join; the position in the whole scan does not.
  reader_data.reader->file_list_idx = index;
  MultiFileReader::FinalizeBind(reader_data, options, bind_data, global_columns, global_column_ids, context,
                                global_state);
  const ScanUnit& unit = scan_->units()[index];
  if (scan_->partitions_are_folders()) AddFolderValues(unit.partition, global_column_ids, &reader_data);
  // Any delete filter turns dictionary filtering off, so only files with deleted rows get one.
  if (unit.file != nullptr && HasDeletes(unit.file->deleted.get())) {
    reader_data.reader->deletion_filter = duckdb::make_uniq<PositionFilter>(unit.file->deleted);
  }
}

duckdb::shared_ptr<duckdb::BaseFileReader> ScanReader::CreateReader(
    duckdb::ClientContext& context, duckdb::GlobalTableFunctionState& state, const duckdb::OpenFileInfo& file,
    idx_t file_index, const duckdb::MultiFileBindData& bind_data) {
  ScanUnit& unit = scan_->units()[UnitOf(file.path)];
  unit.opened.store(true, std::memory_order_relaxed);
  if (unit.hot != nullptr) return duckdb::make_shared_ptr<HotReader>(context, file, *unit.hot);
  return MultiFileReader::CreateReader(context, state, file, file_index, bind_data);
}

duckdb::TablePartitionInfo ScanReader::GetPartitionInfo(duckdb::ClientContext&,
                                                        const duckdb::MultiFileReaderBindData&,
                                                        duckdb::TableFunctionPartitionInput&) {
  return duckdb::TablePartitionInfo::NOT_PARTITIONED;
}

duckdb::unique_ptr<duckdb::MultiFileReader> ScanReader::Copy() const {
  return duckdb::make_uniq<ScanReader>(scan_);
}

}  // namespace tarn::engine
