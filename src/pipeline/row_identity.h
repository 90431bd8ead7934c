#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <string>
#include <vector>

#include "schema/table_schema.h"

namespace tarn::pipeline {

/// Columns that tell rows of changes apart: IdentityFields, then kRefusedKey where a key may be refused.
std::vector<std::string> FullIdentityFields(const schema::TableSchema& table);

/// Of rows of changes (schema::ChangeSchema) these columns, then _lsn where it is not among them.
std::shared_ptr<arrow::RecordBatch> RowIdentities(const schema::TableSchema& table,
                                                  const arrow::RecordBatch& rows);

}  // namespace tarn::pipeline
