#include "engine/hot_reader.h"

#include <algorithm>
#include <utility>

namespace tarn::engine {
namespace {

// What one thread takes at a time: large enough to be worth a turn under the lock.
constexpr idx_t kRowsPerTurn = 30 * STANDARD_VECTOR_SIZE;

}  // namespace

HotReader::HotReader(duckdb::ClientContext& context, duckdb::OpenFileInfo file, const hudi::HotRows& hot)
    : BaseFileReader(std::move(file)),
      rows_(context, *hot.rows),
      deleted_(hot.deleted),
      table_columns_(rows_.names().size()) {
  columns = duckdb::MultiFileColumnDefinition::ColumnsFromNamesAndTypes(rows_.names(), rows_.types());
}

void HotReader::AddVirtualColumn(duckdb::column_t column) {
  if (column == duckdb::MultiFileReader::COLUMN_IDENTIFIER_FILE_ROW_NUMBER) return;
  throw duckdb::InternalException("rows in memory have no virtual column %llu", column);
}

bool HotReader::TryInitializeScan(duckdb::ClientContext& context, duckdb::GlobalTableFunctionState&,
                                  duckdb::LocalTableFunctionState& local) {
  std::lock_guard lock(mutex_);
  if (next_ >= rows_.rows()) return false;
  auto& part = parts_[&local];
  if (part == nullptr) {
    part = std::make_unique<Part>();
    part->cursor = std::make_unique<ArrowRows::Cursor>(context, rows_, CursorColumns());
    if (filters) {
      for (auto& [column, filter] : filters->filters) {
        part->filter_states.emplace_back(column, duckdb::TableFilterState::Initialize(context, *filter));
      }
    }
  }
  part->position = next_;
  next_ = std::min(next_ + kRowsPerTurn, rows_.rows());
  part->end = next_;
  return true;
}

HotReader::Part& HotReader::PartOf(duckdb::LocalTableFunctionState& local) {
  std::lock_guard lock(mutex_);
  return *parts_.at(&local);
}

duckdb::vector<duckdb::column_t> HotReader::CursorColumns() {
  duckdb::vector<duckdb::column_t> result;
  for (idx_t i = 0; i < column_ids.size(); ++i) {
    const idx_t id = column_ids[duckdb::MultiFileLocalIndex(i)].GetId();
    result.push_back(id < table_columns_ ? id : duckdb::COLUMN_IDENTIFIER_ROW_ID);
  }
  return result;
}

duckdb::AsyncResult HotReader::Scan(duckdb::ClientContext& context, duckdb::GlobalTableFunctionState&,
                                    duckdb::LocalTableFunctionState& local, duckdb::DataChunk& out) {
  Part& part = PartOf(local);
  if (part.position >= part.end) {
    out.SetCardinality(0);
    return duckdb::AsyncResult(duckdb::SourceResultType::FINISHED);
  }
  const idx_t count = std::min<idx_t>(STANDARD_VECTOR_SIZE, part.end - part.position);
  part.cursor->Read(part.position, count, out);
  FillRowNumbers(part.position, out);
  if (deleted_) SkipDeleted(part.position, out);
  part.position += count;
  if (filters && out.size() > 0) ApplyFilters(context, part, out);
  return duckdb::AsyncResult(duckdb::SourceResultType::HAVE_MORE_OUTPUT);
}

void HotReader::FillRowNumbers(idx_t first, duckdb::DataChunk& out) {
  for (idx_t i = 0; i < column_ids.size(); ++i) {
    if (column_ids[duckdb::MultiFileLocalIndex(i)].GetId() < table_columns_) continue;
    auto* numbers = duckdb::FlatVector::GetData<int64_t>(out.data[i]);
    for (idx_t row = 0; row < out.size(); ++row) numbers[row] = static_cast<int64_t>(first + row);
  }
}

void HotReader::SkipDeleted(idx_t first, duckdb::DataChunk& out) const {
  duckdb::SelectionVector kept(STANDARD_VECTOR_SIZE);
  idx_t count = 0;
  for (idx_t i = 0; i < out.size(); ++i) {
    if (!hudi::IsDeleted(deleted_.get(), first + i)) kept.set_index(count++, i);
  }
  if (count == out.size()) return;
  if (count == 0) {
    out.SetCardinality(0);
  } else {
    out.Slice(kept, count);
  }
}

void HotReader::ApplyFilters(duckdb::ClientContext&, Part& part, duckdb::DataChunk& out) {
  // The rows have the table's own types, so DuckDB never asks for a cast before a filter.
  if (!expression_map.empty())
    throw duckdb::InternalException("rows in memory cannot be cast below a filter");
  const idx_t count = out.size();
  duckdb::SelectionVector selection;
  idx_t approved = count;
  for (auto& [column, state] : part.filter_states) {
    duckdb::Vector& vector = out.data[column];
    duckdb::UnifiedVectorFormat format;
    vector.ToUnifiedFormat(count, format);
    duckdb::ColumnSegment::FilterSelection(selection, vector, format, *filters->filters.at(column), *state,
                                           count, approved);
    if (approved == 0) break;
  }
  if (approved == 0) {
    out.SetCardinality(0);
  } else if (approved != count) {
    out.Slice(selection, approved);
  }
}

}  // namespace tarn::engine
