#include "pipeline/change_reducer.h"

#include <arrow/api.h>
#include <arrow/compute/api_vector.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>

#include "cdc/source_catalog.h"
#include "cdc/value_decoder.h"
#include "pipeline/equal_rows.h"
#include "pipeline/key_numbers.h"
#include "pipeline/refused_key.h"

namespace tarn::pipeline {
namespace {

Error ArrowError(const arrow::Status& status) {
  return MakeError(ErrorCode::kInternal, "Arrow: {}", status.message());
}

template <typename T>
Result<T> Unwrap(arrow::Result<T> result) {
  if (!result.ok()) return ArrowError(result.status());
  return std::move(result).ValueOrDie();
}

/// Where a carried value is: a row of the concatenated changes, or (beyond `changes`) a looked-up row.
struct Carried {
  int column;
  int64_t row;
};

struct KeyState {
  bool live = false;
  int64_t row = -1;         ///< Newest image; for a deleted key the row that says so.
  bool key_in_old = false;  ///< Deleted by a key change: the key is in old_keys at `row`.
  std::vector<Carried> carried;
};

class Reducer {
 public:
  Reducer(const schema::TableSchema& table, std::shared_ptr<arrow::RecordBatch> changes)
      : table_(table), changes_(std::move(changes)), identity_(IdentityFields(table)) {
    for (const std::string& name : identity_) {
      identity_fields_.push_back(changes_->schema()->GetFieldByName(name));
      keys_.push_back(changes_->GetColumnByName(name));
    }
    if (KeyMayBeRefused(table)) {
      identity_fields_.push_back(arrow::field(kRefusedKey, arrow::utf8()));
      keys_.push_back(RefusedKeys(table, *changes_));
    }
    op_ = std::static_pointer_cast<arrow::StringArray>(changes_->GetColumnByName(std::string(schema::kOp)));
    unchanged_ = std::static_pointer_cast<arrow::StringArray>(
        changes_->GetColumnByName(std::string(schema::kUnchanged)));
    old_key_ =
        std::static_pointer_cast<arrow::StringArray>(changes_->GetColumnByName(std::string(schema::kOldKey)));
    for (const schema::Column& column : table.columns) {
      if (column.is_key) old_decoders_.emplace_back(column.type);
    }
  }

  Result<ReducedChanges> Run(const BaseLookup& lookup) {
    TARN_RETURN_IF_ERROR(DecodeOldKeys());
    // Each row has one key, or two where it moves.
    KeyNumbers numbers(changes_->num_rows() + (old_keys_.empty() ? 0 : old_keys_[0]->length()));
    states_.reserve(static_cast<size_t>(changes_->num_rows()));
    for (int64_t row = 0; row < changes_->num_rows(); row++) Take(row, numbers);
    TARN_RETURN_IF_ERROR(LookUp(lookup));
    ReducedChanges out;
    TARN_ASSIGN(out.rows, LiveRows(out.unresolved));
    TARN_ASSIGN(out.deletes, DeletedKeys());
    return out;
  }

 private:
  /// Old keys are rare: all of them are decoded at once into their own little table.
  Status DecodeOldKeys() {
    old_row_.assign(static_cast<size_t>(changes_->num_rows()), -1);
    int64_t count = 0;
    arrow::StringBuilder refused_keys;
    for (int64_t row = 0; row < changes_->num_rows(); row++) {
      if (old_key_->IsNull(row)) continue;
      auto refused = nlohmann::json::object();
      const auto json = nlohmann::json::parse(old_key_->GetView(row), nullptr, false);
      size_t decoder = 0;
      for (const schema::Column& column : table_.columns) {
        if (!column.is_key) continue;
        auto& to = old_decoders_[decoder++];
        const auto value =
            json.is_object() && json.contains(column.lake_name) ? json[column.lake_name] : nlohmann::json();
        if (!value.is_string()) {
          to.AppendNull();
        } else if (to.AppendText(value.get<std::string>()) != nullptr) {
          // The row stood in quarantine.
          to.AppendNull();
          refused[column.lake_name] = value;
        }
      }
      const std::string refused_key = RefusedKeyText(table_, refused);
      (void)(refused_key.empty() ? refused_keys.AppendNull() : refused_keys.Append(refused_key));
      old_row_[static_cast<size_t>(row)] = count++;
    }
    for (auto& decoder : old_decoders_) old_keys_.push_back(decoder.Finish());
    if (KeyMayBeRefused(table_)) old_keys_.push_back(*refused_keys.Finish());
    return {};
  }

  KeyState& StateOf(uint32_t key) {
    if (key >= states_.size()) states_.resize(key + 1);
    return states_[key];
  }

  void Take(int64_t row, KeyNumbers& numbers) {
    const char op = op_->GetView(row)[0];
    const uint32_t key = numbers.Of(keys_, row);
    if (op == 'D') {
      StateOf(key) = {false, row, false, {}};
      return;
    }
    KeyState before = std::move(StateOf(key));
    const int64_t old_row = old_row_[static_cast<size_t>(row)];
    const uint32_t old_key = old_row >= 0 ? numbers.Of(old_keys_, old_row) : key;
    if (old_key != key) {
      KeyState& old_state = StateOf(old_key);
      before = std::move(old_state);
      old_state = {false, row, true, {}};
    }
    KeyState& now = StateOf(key);
    now = {true, row, false, {}};
    if (!unchanged_->IsNull(row)) CarryForward(row, old_row, before, now);
  }

  void CarryForward(int64_t row, int64_t old_row, const KeyState& before, KeyState& now) {
    std::string_view names = unchanged_->GetView(row);
    int64_t lookup = -1;
    while (!names.empty()) {
      const size_t comma = std::min(names.find(','), names.size());
      const int column = changes_->schema()->GetFieldIndex(std::string(names.substr(0, comma)));
      names.remove_prefix(std::min(names.size(), comma + 1));
      if (column < 0) continue;
      const auto earlier = std::find_if(before.carried.begin(), before.carried.end(),
                                        [column](const Carried& c) { return c.column == column; });
      if (earlier != before.carried.end()) {
        now.carried.push_back(*earlier);
      } else if (before.live) {
        now.carried.push_back({column, before.row});
      } else {
        if (lookup < 0) {
          lookup = static_cast<int64_t>(lookups_.size());
          lookups_.push_back({row, old_row});
        }
        now.carried.push_back({column, changes_->num_rows() + lookup});
      }
    }
  }

  Status LookUp(const BaseLookup& lookup) {
    if (lookups_.empty()) return {};
    arrow::FieldVector fields;
    arrow::ArrayVector columns;
    for (size_t i = 0; i < keys_.size(); i++) {
      arrow::ArrayVector parts = {keys_[i]};
      if (!old_keys_.empty()) parts.push_back(old_keys_[i]);
      TARN_ASSIGN(const auto all, Unwrap(arrow::Concatenate(parts)));
      arrow::Int64Builder rows;
      for (const auto& [row, old_row] : lookups_) {
        (void)rows.Append(old_row >= 0 ? changes_->num_rows() + old_row : row);
      }
      TARN_ASSIGN(const auto indices, Unwrap(rows.Finish()));
      TARN_ASSIGN(auto taken, Unwrap(arrow::compute::Take(*all, *indices)));
      fields.push_back(identity_fields_[i]);
      columns.push_back(std::move(taken));
    }
    const auto batch =
        arrow::RecordBatch::Make(arrow::schema(fields), static_cast<int64_t>(lookups_.size()), columns);
    TARN_ASSIGN(base_, lookup(*batch));
    return {};
  }

  Result<std::shared_ptr<arrow::RecordBatch>> LiveRows(int64_t& unresolved) {
    std::vector<const KeyState*> by_row(static_cast<size_t>(changes_->num_rows()), nullptr);
    bool any_carried = false;
    for (const KeyState& state : states_) {
      if (!state.live) continue;
      by_row[static_cast<size_t>(state.row)] = &state;
      any_carried |= !state.carried.empty();
    }
    std::vector<const KeyState*> live;
    live.reserve(states_.size());
    std::copy_if(by_row.begin(), by_row.end(), std::back_inserter(live), [](const KeyState* s) { return s; });
    if (!any_carried && live.size() == by_row.size()) return changes_;
    arrow::Int64Builder rows;
    for (const KeyState* state : live) (void)rows.Append(state->row);
    TARN_ASSIGN(const auto indices, Unwrap(rows.Finish()));
    TARN_ASSIGN(const auto taken,
                Unwrap(arrow::compute::Take(arrow::Datum(changes_), arrow::Datum(indices))));
    auto batch = taken.record_batch();
    if (!any_carried) return batch;
    for (int column = 0; column < batch->num_columns(); column++) {
      TARN_ASSIGN(batch, CarryColumn(live, column, std::move(batch)));
    }
    return MarkUnresolved(live, std::move(batch), unresolved);
  }

  /// Replaces the column's untouched values by those they carry.
  Result<std::shared_ptr<arrow::RecordBatch>> CarryColumn(const std::vector<const KeyState*>& live,
                                                          int column,
                                                          std::shared_ptr<arrow::RecordBatch> batch) {
    bool any = false;
    arrow::Int64Builder rows;
    for (const KeyState* state : live) {
      int64_t from = state->row;
      for (const Carried& carried : state->carried) {
        if (carried.column != column) continue;
        from = carried.row;
        any = true;
      }
      (void)rows.Append(from);
    }
    if (!any) return batch;
    TARN_ASSIGN(const auto indices, Unwrap(rows.Finish()));
    const auto field = batch->schema()->field(column);
    arrow::ArrayVector parts = {changes_->column(column)};
    if (base_.rows != nullptr) {
      auto base = base_.rows->GetColumnByName(field->name());
      if (base == nullptr) {
        TARN_ASSIGN(base, Unwrap(arrow::MakeArrayOfNull(field->type(), base_.rows->num_rows())));
      }
      parts.push_back(std::move(base));
    }
    TARN_ASSIGN(const auto all, Unwrap(arrow::Concatenate(parts)));
    TARN_ASSIGN(const auto taken, Unwrap(arrow::compute::Take(*all, *indices)));
    return Unwrap(batch->SetColumn(column, field, taken));
  }

  Result<std::shared_ptr<arrow::RecordBatch>> MarkUnresolved(const std::vector<const KeyState*>& live,
                                                             std::shared_ptr<arrow::RecordBatch> batch,
                                                             int64_t& unresolved) {
    const int bad_column = batch->schema()->GetFieldIndex(std::string(schema::kBad));
    const auto bad = std::static_pointer_cast<arrow::StringArray>(batch->column(bad_column));
    arrow::StringBuilder builder;
    for (size_t i = 0; i < live.size(); i++) {
      auto json = nlohmann::json::object();
      for (const Carried& carried : live[i]->carried) {
        const int64_t lookup = carried.row - changes_->num_rows();
        if (lookup < 0 || base_.found[static_cast<size_t>(lookup)]) continue;
        json[batch->schema()->field(carried.column)->name()] = {
            {"value", nullptr},
            {"reason", "the update did not touch this value and no earlier one is known"}};
        unresolved++;
      }
      const auto at = static_cast<int64_t>(i);
      if (!bad->IsNull(at)) json.update(nlohmann::json::parse(bad->GetView(at), nullptr, false));
      (void)(json.empty() ? builder.AppendNull() : builder.Append(json.dump()));
    }
    TARN_ASSIGN(auto array, Unwrap(builder.Finish()));
    return Unwrap(batch->SetColumn(bad_column, batch->schema()->field(bad_column), std::move(array)));
  }

  Result<std::shared_ptr<arrow::RecordBatch>> DeletedKeys() {
    arrow::Int64Builder key_rows;
    arrow::Int64Builder lsn_rows;
    for (const KeyState& state : states_) {
      if (state.live || state.row < 0) continue;
      const int64_t old_row = state.key_in_old ? old_row_[static_cast<size_t>(state.row)] : 0;
      (void)key_rows.Append(state.key_in_old ? changes_->num_rows() + old_row : state.row);
      (void)lsn_rows.Append(state.row);
    }
    TARN_ASSIGN(const auto key_indices, Unwrap(key_rows.Finish()));
    TARN_ASSIGN(const auto lsn_indices, Unwrap(lsn_rows.Finish()));
    arrow::FieldVector fields;
    arrow::ArrayVector columns;
    for (size_t i = 0; i < keys_.size(); i++) {
      arrow::ArrayVector parts = {keys_[i]};
      if (i < old_keys_.size()) parts.push_back(old_keys_[i]);
      TARN_ASSIGN(const auto all, Unwrap(arrow::Concatenate(parts)));
      TARN_ASSIGN(auto taken, Unwrap(arrow::compute::Take(*all, *key_indices)));
      fields.push_back(identity_fields_[i]);
      columns.push_back(std::move(taken));
    }
    const std::string lsn(schema::kLsn);
    if (std::find(identity_.begin(), identity_.end(), lsn) == identity_.end() || !table_.append_only) {
      TARN_ASSIGN(auto taken, Unwrap(arrow::compute::Take(*changes_->GetColumnByName(lsn), *lsn_indices)));
      fields.push_back(changes_->schema()->GetFieldByName(lsn));
      columns.push_back(std::move(taken));
    }
    return arrow::RecordBatch::Make(arrow::schema(fields), key_indices->length(), columns);
  }

  const schema::TableSchema& table_;
  std::shared_ptr<arrow::RecordBatch> changes_;
  std::vector<std::string> identity_;
  arrow::FieldVector identity_fields_;  ///< Those, and kRefusedKey where a key may be refused.
  arrow::ArrayVector keys_, old_keys_;
  std::shared_ptr<arrow::StringArray> op_, unchanged_, old_key_;
  std::vector<cdc::ValueDecoder> old_decoders_;
  std::vector<int64_t> old_row_;  ///< Row in old_keys_ of a change that moved its key, else -1.
  std::vector<KeyState> states_;  ///< By KeyNumbers.
  std::vector<std::pair<int64_t, int64_t>> lookups_;
  BaseRows base_;
};

}  // namespace

std::vector<std::string> IdentityFields(const schema::TableSchema& table) {
  if (table.append_only) return {std::string(schema::kLsn), std::string(schema::kOrdinal)};
  if (cdc::IsKeyless(table)) return {kRowName};
  return table.KeyNames();
}

Result<ReducedChanges> ReduceChanges(const schema::TableSchema& table,
                                     const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches,
                                     const BaseLookup& lookup) {
  if (cdc::IsKeyless(table)) return ReduceByValues(table, batches, lookup);
  if (batches.size() == 1) return Reducer(table, batches[0]).Run(lookup);
  TARN_ASSIGN(auto changes, Unwrap(arrow::ConcatenateRecordBatches(batches)));
  return Reducer(table, std::move(changes)).Run(lookup);
}

}  // namespace tarn::pipeline
