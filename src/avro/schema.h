#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <string>

#include "base/error.h"

namespace tarn::avro {

/// Avro schema JSON of a record with an Arrow schema's columns: a nullable column is ["null", T] with default
/// null, a decimal is a `fixed` in a namespace of its own (`<space>.<name>.<column>`), so that none is
/// defined twice. Errors: kUnsupported names the column whose type has no Avro form (see README).
Result<std::string> SchemaFromArrow(const arrow::Schema& schema, const std::string& name,
                                    const std::string& space);

/// The reverse: what SchemaFromArrow gave, and what Hudi's own writers store. int → int32, long → int64,
/// timestamp-millis and -micros → timestamp(us, UTC), decimal as fixed or bytes → decimal128.
/// Errors: kCorrupt (not JSON, not a record), kUnsupported names the field.
Result<std::shared_ptr<arrow::Schema>> SchemaToArrow(const std::string& json);

}  // namespace tarn::avro
