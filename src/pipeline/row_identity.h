#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "hudi/table.h"
#include "schema/table_schema.h"

namespace tarn::pipeline {

/// Columns that tell rows of changes apart: IdentityFields, then kRefusedKey where a key may be refused.
std::vector<std::string> FullIdentityFields(const schema::TableSchema& table);

/// Of rows of changes (schema::ChangeSchema) these columns, then _lsn where it is not among them.
std::shared_ptr<arrow::RecordBatch> RowIdentities(const schema::TableSchema& table,
                                                  const arrow::RecordBatch& rows);

/// Identities as deletes of one of the two tables: Silver's has no kRefusedKey.
std::shared_ptr<arrow::RecordBatch> AsIdentified(const std::shared_ptr<arrow::RecordBatch>& identities,
                                                 const hudi::TableOptions& table);

/// The rows at these positions, in that order; all of them are the batch itself.
Result<std::shared_ptr<arrow::RecordBatch>> TakeRows(const std::shared_ptr<arrow::RecordBatch>& rows,
                                                     const std::vector<int64_t>& positions);

}  // namespace tarn::pipeline
