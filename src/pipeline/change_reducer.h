#pragma once

#include <arrow/type_fwd.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "schema/table_schema.h"

namespace tarn::pipeline {

/// What a run of changes of one table comes to: the last image of every key.
struct ReducedChanges {
  std::shared_ptr<arrow::RecordBatch>
      rows;  ///< schema::ChangeSchema; one row a key; untouched values filled in.
  std::shared_ptr<arrow::RecordBatch> deletes;  ///< Identity columns, kRefusedKey where a key may be refused,
                                                ///< _lsn; keys that are gone. Never null.
  int64_t unresolved = 0;  ///< Untouched values for which no earlier value was found; marked in _bad.
};

/// The newest rows of these identities (as ReducedChanges::deletes has them, without _lsn; their columns
/// under lake names), or rows of nulls where `found` is false.
struct BaseRows {
  std::vector<bool> found;
  std::shared_ptr<arrow::RecordBatch> rows;
};
using BaseLookup = std::function<Result<BaseRows>(const arrow::RecordBatch& identities)>;

/// Columns that identify a row of the lake's table: the source's key, _lsn and _ordinal of an append-only
/// table, kRowName of a keyless one.
std::vector<std::string> IdentityFields(const schema::TableSchema& table);

/// Reduces batches that are in commit order. A TOAST column that an update did not touch takes its value from
/// the row's image before, here or (by `lookup`, which is called at most once) in the lake; a key change
/// carries it along. A keyless table's are reduced by ReduceByValues. Errors: the lookup's.
Result<ReducedChanges> ReduceChanges(const schema::TableSchema& table,
                                     const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches,
                                     const BaseLookup& lookup);

}  // namespace tarn::pipeline
