#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "hudi/record_key.h"
#include "pipeline/change_reducer.h"

namespace tarn::pipeline {

// Keyless tables (cdc::IsKeyless). A row of theirs is named for
// its values: "<hash>.<number>", with numbers from 1 without gaps among rows that are equal. Which one of
// equal rows goes when one is deleted is all the same: the last number does.

/// The column of Silver and quarantine that has the name.
inline constexpr const char* kRowName = "_row";

/// Names the rows of a copy, which come in any order. Memory: some 60 bytes a different row. Threads: one.
class EqualRows {
 public:
  /// The batch with kRowName as its last column.
  Result<std::shared_ptr<arrow::RecordBatch>> Name(const schema::TableSchema& table,
                                                   const std::shared_ptr<arrow::RecordBatch>& rows);

 private:
  std::unordered_map<hudi::Hash128, int64_t, hudi::HashOfHash> counts_;
};

/// ReduceChanges for such a table: changes are inserted and deleted rows, whole. `rows` has kRowName.
/// `lookup` is called a few times, to count equal rows that are there. Not to be repeated over its own
/// outcome: what has been applied must not come again. Errors: kUnsupported when a row was deleted that is
/// not there; the lookup's.
Result<ReducedChanges> ReduceByValues(const schema::TableSchema& table,
                                      const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches,
                                      const BaseLookup& lookup);

}  // namespace tarn::pipeline
