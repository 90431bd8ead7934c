#include "cdc/change_builder.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <nlohmann/json.hpp>

#include "cdc/original_text.h"
#include "cdc/table_mapping.h"

namespace tarn::cdc {

/// Columns before and behind the source's. Rows that follow each other mostly have the same ones: those are
/// counted, and written when others come.
struct ChangeBuilder::Heads {
  ColumnBuffer op{arrow::utf8()}, commit_time{arrow::utf8()};
  ColumnBuffer lsn{arrow::int64()}, ordinal{arrow::int64()}, xid{arrow::int64()};
  ColumnBuffer unchanged{arrow::utf8()}, old_key{arrow::utf8()}, bad{arrow::utf8()};
  RowHead same;  ///< Of the last rows; its time is in `same_time`.
  std::string same_time;
  int64_t rows = 0;  ///< That have `same`.

  void Append(const RowHead& head) {
    ordinal.Append(head.ordinal);
    if (rows > 0 && head.op == same.op && head.lsn == same.lsn && head.xid == same.xid) {
      rows++;
      return;
    }
    EndSame();
    same = head;
    same_time = head.commit_time;
    rows = 1;
  }
  void EndSame() {
    if (rows == 0) return;
    op.AppendBytesRepeated({&same.op, 1}, rows);
    commit_time.AppendBytesRepeated(same_time, rows);
    lsn.AppendRepeated(same.lsn, rows);
    if (same.xid == 0) {
      xid.AppendNulls(rows);
    } else {
      xid.AppendRepeated(same.xid, rows);
    }
    rows = 0;
  }
};

std::string JsonText(std::string_view text) {
  return nlohmann::json(std::string(text)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

ChangeBuilder::ChangeBuilder(std::shared_ptr<const schema::TableSchema> table, std::string hash_secret)
    : table_(std::move(table)),
      arrow_schema_(schema::ChangeSchema(*table_)),
      hash_secret_(std::move(hash_secret)),
      heads_(std::make_unique<Heads>()) {
  for (const schema::Column& column : table_->columns) {
    columns_.push_back(
        {ValueDecoder(column.type), !column.hashed_under.empty(), column.constant.has_value()});
  }
}

ChangeBuilder::~ChangeBuilder() = default;

void ChangeBuilder::AppendValue(size_t column, const WireValue& value) {
  ValueColumn& to = columns_[column];
  bytes_ += static_cast<int64_t>(value.bytes.size());
  const char* reason = nullptr;
  switch (value.state) {
    case WireValue::State::kUnchanged:
      unchanged_ += (unchanged_.empty() ? "" : ",") + table_->columns[column].lake_name;
      [[fallthrough]];
    case WireValue::State::kNull:
      to.values.AppendNull();
      return;
    case WireValue::State::kText:
      if (to.is_hashed) return AppendHashed(column, value);
      reason = to.values.AppendText(value.bytes);
      break;
    case WireValue::State::kBinary:
      // A copy sends it as text, too (kTextCast), whose binary form is the text.
      if (to.is_hashed) return AppendHashed(column, value);
      reason = to.values.AppendBinary(value.bytes);
      break;
  }
  if (reason != nullptr) AppendBad(column, value, reason);
}

void ChangeBuilder::AppendHashed(size_t column, const WireValue& value) {
  columns_[column].values.AppendText(HashedText(hash_secret_, value.bytes));
}

void ChangeBuilder::AppendBad(size_t column, const WireValue& value, const char* reason) {
  columns_[column].values.AppendNull();
  bad_ += bad_.empty() ? "{" : ",";
  const schema::Column& of = table_->columns[column];
  const std::string text =
      value.state == WireValue::State::kText ? std::string(value.bytes) : OriginalText(of, value.bytes);
  bad_ += JsonText(of.lake_name) + ":{\"value\":" + JsonText(text) + ",\"reason\":" + JsonText(reason) + "}";
}

void ChangeBuilder::AppendRow(const RowHead& head, const std::vector<WireValue>& values,
                              std::optional<std::string_view> old_key) {
  heads_->Append(head);
  for (size_t i = 0; i < columns_.size(); i++) {
    if (!columns_[i].is_constant) {
      AppendValue(i, i < values.size() ? values[i] : WireValue{});
    } else if (head.op == 'D') {  // Which has the key only.
      columns_[i].values.AppendNull();
    } else {
      columns_[i].values.AppendText(*table_->columns[i].constant);
    }
  }
  const auto append = [](ColumnBuffer& column, bool is_there, std::string_view text) {
    if (is_there) {
      column.AppendBytes(text);
    } else {
      column.AppendNull();
    }
  };
  append(heads_->unchanged, !unchanged_.empty(), unchanged_);
  append(heads_->old_key, old_key.has_value(), old_key.value_or(""));
  if (!bad_.empty()) bad_ += "}";
  append(heads_->bad, !bad_.empty(), bad_);
  unchanged_.clear();
  bad_.clear();
  rows_++;
  bytes_ += 64;
}

std::shared_ptr<arrow::RecordBatch> ChangeBuilder::Finish() {
  heads_->EndSame();
  arrow::ArrayVector arrays{heads_->op.Finish(), heads_->commit_time.Finish()};
  for (ValueColumn& column : columns_) arrays.push_back(column.values.Finish());
  for (ColumnBuffer* behind :
       {&heads_->lsn, &heads_->ordinal, &heads_->xid, &heads_->unchanged, &heads_->old_key, &heads_->bad})
    arrays.push_back(behind->Finish());
  auto batch = arrow::RecordBatch::Make(arrow_schema_, rows_, std::move(arrays));
  rows_ = bytes_ = 0;
  return batch;
}

}  // namespace tarn::cdc
