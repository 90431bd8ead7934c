#pragma once

#include <string>
#include <string_view>

#include "schema/table_schema.h"

namespace tarn::cdc {

/// PostgreSQL's own text form (UTC, ISO dates) of a value in binary form that the lake's type has no place
/// for: dates and times of any year, infinities, NaN. Of anything else, "\x" and the bytes in hex.
std::string OriginalText(const schema::Column& column, std::string_view bytes);

}  // namespace tarn::cdc
