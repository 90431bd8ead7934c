#pragma once

#include <arrow/type_fwd.h>

#include <memory>

namespace tarn::parquet {

/// dictionary<int32, utf8>: a text column in the form that spares the Parquet writer a look at each value.
/// What is stored is plain text all the same.
std::shared_ptr<arrow::DataType> ConstantTextType();
/// A utf8 column in that form. It is worth it where all values are the same; any others are right, too.
std::shared_ptr<arrow::Array> AsConstantText(const std::shared_ptr<arrow::Array>& text);

}  // namespace tarn::parquet
