#pragma once

#include <arrow/status.h>

#include "base/error.h"

namespace tarn::storage {

/// An error of a store on its way through Arrow, which knows nothing of ours.
arrow::Status ToArrow(const Error& error);

/// What became of an Arrow call: a store's own error as it was, with its code (a store that cannot be reached
/// is no broken file); else `code` and Arrow's text behind `context`.
Status FromArrow(const arrow::Status& status, ErrorCode code, std::string_view context);

}  // namespace tarn::storage
