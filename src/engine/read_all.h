#pragma once

#include <arrow/type_fwd.h>

#include <memory>

#include "base/error.h"
#include "engine/session.h"

namespace tarn::engine {

/// The rest of a statement's rows in one batch, never null. For results that memory holds. Errors: as
/// QueryStream::Next, kInternal.
Result<std::shared_ptr<arrow::RecordBatch>> ReadAll(QueryStream& stream);

}  // namespace tarn::engine
