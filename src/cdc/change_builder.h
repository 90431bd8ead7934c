#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cdc/value_decoder.h"
#include "schema/table_schema.h"

namespace tarn::cdc {

/// One value as PostgreSQL sent it.
struct WireValue {
  enum class State : uint8_t { kNull, kUnchanged, kText, kBinary } state = State::kNull;
  std::string_view bytes;
};

/// What stands beside a row's values.
struct RowHead {
  char op = 'I';
  std::string_view commit_time;  ///< Formatted, see schema::kCommitTime. One `lsn` has one.
  int64_t lsn = 0;               ///< Ordering value.
  int64_t ordinal = 0;
  int64_t xid = 0;
};

/// Collects rows of one table into batches of schema::ChangeSchema. Threads: one.
class ChangeBuilder {
 public:
  /// `hash_secret`: for columns of which the lake has a hash only.
  explicit ChangeBuilder(std::shared_ptr<const schema::TableSchema> table, std::string hash_secret = {});
  ~ChangeBuilder();

  /// `values` has one entry a column. `old_key` is the JSON of the key before an update that changed it.
  void AppendRow(const RowHead& head, const std::vector<WireValue>& values,
                 std::optional<std::string_view> old_key);

  int64_t rows() const { return rows_; }
  int64_t bytes() const { return bytes_; }  ///< Of the values as they came, about.
  const std::shared_ptr<const schema::TableSchema>& table() const { return table_; }
  /// Hands over the rows so far, and starts again.
  std::shared_ptr<arrow::RecordBatch> Finish();

 private:
  struct Heads;
  /// A source's column.
  struct ValueColumn {
    ValueDecoder values;
    bool is_hashed = false;
    bool is_constant = false;
  };
  void AppendValue(size_t column, const WireValue& value);
  void AppendHashed(size_t column, const WireValue& value);
  void AppendBad(size_t column, const WireValue& value, const char* reason);

  std::shared_ptr<const schema::TableSchema> table_;
  std::shared_ptr<arrow::Schema> arrow_schema_;
  const std::string hash_secret_;
  std::vector<ValueColumn> columns_;
  std::unique_ptr<Heads> heads_;
  std::string unchanged_, bad_;
  int64_t rows_ = 0, bytes_ = 0;
};

/// `text` as a JSON string, with its quotes.
std::string JsonText(std::string_view text);

}  // namespace tarn::cdc
