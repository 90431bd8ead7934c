#include "cdc/change_builder.h"

#include <arrow/builder.h>
#include <arrow/record_batch.h>

#include <nlohmann/json.hpp>

#include "cdc/original_text.h"
#include "cdc/table_mapping.h"

namespace tarn::cdc {

/// Builders of the columns before and behind the source's.
struct ChangeBuilder::Heads {
  arrow::StringBuilder op, commit_time;
  arrow::Int64Builder lsn, ordinal, xid;
  arrow::StringBuilder unchanged, old_key, bad;
};

std::string JsonText(std::string_view text) {
  return nlohmann::json(std::string(text)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

ChangeBuilder::ChangeBuilder(std::shared_ptr<const schema::TableSchema> table, std::string hash_secret)
    : table_(std::move(table)),
      arrow_schema_(schema::ChangeSchema(*table_)),
      hash_secret_(std::move(hash_secret)),
      heads_(std::make_unique<Heads>()) {
  for (const schema::Column& column : table_->columns) columns_.emplace_back(column.type);
}

ChangeBuilder::~ChangeBuilder() = default;

void ChangeBuilder::AppendValue(size_t column, const WireValue& value) {
  const std::string& name = table_->columns[column].lake_name;
  bytes_ += static_cast<int64_t>(value.bytes.size());
  switch (value.state) {
    case WireValue::State::kUnchanged:
      unchanged_ += (unchanged_.empty() ? "" : ",") + name;
      [[fallthrough]];
    case WireValue::State::kNull:
      columns_[column].AppendNull();
      return;
    case WireValue::State::kText:
    case WireValue::State::kBinary:
      break;
  }
  if (!table_->columns[column].hashed_under.empty()) {
    // A copy sends it as text, too (kTextCast), whose binary form is the text.
    columns_[column].AppendText(HashedText(hash_secret_, value.bytes));
    return;
  }
  const bool is_text = value.state == WireValue::State::kText;
  const char* reason =
      is_text ? columns_[column].AppendText(value.bytes) : columns_[column].AppendBinary(value.bytes);
  if (reason == nullptr) return;
  columns_[column].AppendNull();
  bad_ += bad_.empty() ? "{" : ",";
  const std::string text =
      is_text ? std::string(value.bytes) : OriginalText(table_->columns[column], value.bytes);
  bad_ += JsonText(name) + ":{\"value\":" + JsonText(text) + ",\"reason\":" + JsonText(reason) + "}";
}

void ChangeBuilder::AppendRow(const RowHead& head, const std::vector<WireValue>& values,
                              std::optional<std::string_view> old_key) {
  // Appending to a builder fails only for want of memory, which ends the process anyway.
  (void)heads_->op.Append(std::string_view(&head.op, 1));
  (void)heads_->commit_time.Append(head.commit_time);
  for (size_t i = 0; i < columns_.size(); i++) {
    const auto& constant = table_->columns[i].constant;
    if (!constant) {
      AppendValue(i, i < values.size() ? values[i] : WireValue{});
    } else if (head.op == 'D') {  // Which has the key only.
      columns_[i].AppendNull();
    } else {
      columns_[i].AppendText(*constant);
    }
  }
  (void)heads_->lsn.Append(head.lsn);
  (void)heads_->ordinal.Append(head.ordinal);
  (void)(head.xid == 0 ? heads_->xid.AppendNull() : heads_->xid.Append(head.xid));
  (void)(unchanged_.empty() ? heads_->unchanged.AppendNull() : heads_->unchanged.Append(unchanged_));
  (void)(old_key ? heads_->old_key.Append(*old_key) : heads_->old_key.AppendNull());
  if (!bad_.empty()) bad_ += "}";
  (void)(bad_.empty() ? heads_->bad.AppendNull() : heads_->bad.Append(bad_));
  unchanged_.clear();
  bad_.clear();
  rows_++;
  bytes_ += 64;
}

std::shared_ptr<arrow::RecordBatch> ChangeBuilder::Finish() {
  arrow::ArrayVector arrays;
  const auto take = [&arrays](auto& builder) {
    std::shared_ptr<arrow::Array> array;
    (void)builder.Finish(&array);
    arrays.push_back(std::move(array));
  };
  take(heads_->op);
  take(heads_->commit_time);
  for (ValueDecoder& column : columns_) arrays.push_back(column.Finish());
  take(heads_->lsn);
  take(heads_->ordinal);
  take(heads_->xid);
  take(heads_->unchanged);
  take(heads_->old_key);
  take(heads_->bad);
  auto batch = arrow::RecordBatch::Make(arrow_schema_, rows_, std::move(arrays));
  rows_ = bytes_ = 0;
  return batch;
}

}  // namespace tarn::cdc
