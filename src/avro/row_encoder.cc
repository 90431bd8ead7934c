#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/bit_util.h>

#include <algorithm>

#include "avro/binary.h"
#include "avro/rows.h"

namespace tarn::avro {

Result<RowEncoder> RowEncoder::Make(const arrow::RecordBatch& batch) {
  RowEncoder encoder;
  for (int i = 0; i < batch.num_columns(); i++) {
    const arrow::ArrayData& data = *batch.column_data(i);
    const auto& field = batch.schema()->field(i);
    Column column;
    column.nullable = field->nullable();
    column.offset = data.offset;
    column.validity = data.buffers[0] ? data.buffers[0]->data() : nullptr;
    column.values = data.buffers.size() > 1 && data.buffers[1] ? data.buffers[1]->data() : nullptr;
    switch (data.type->id()) {
      case arrow::Type::BOOL:
        column.cell = Cell::kBool;
        break;
      case arrow::Type::INT32:
      case arrow::Type::DATE32:
        column.cell = Cell::kInt;
        break;
      case arrow::Type::INT64:
      case arrow::Type::TIMESTAMP:
        column.cell = Cell::kLong;
        break;
      case arrow::Type::FLOAT:
        column.cell = Cell::kFloat;
        break;
      case arrow::Type::DOUBLE:
        column.cell = Cell::kDouble;
        break;
      case arrow::Type::STRING:
      case arrow::Type::BINARY:
        column.cell = Cell::kBytes;
        column.offsets = reinterpret_cast<const int32_t*>(column.values);
        column.values = data.buffers[2] ? data.buffers[2]->data() : nullptr;
        break;
      case arrow::Type::DECIMAL128:
        column.cell = Cell::kDecimal;
        column.width = arrow::DecimalType::DecimalSize(
            static_cast<const arrow::Decimal128Type&>(*data.type).precision());
        break;
      default:
        return MakeError(ErrorCode::kUnsupported, "column '{}' has type {}, which has no Avro form here",
                         field->name(), data.type->ToString());
    }
    encoder.columns_.push_back(column);
  }
  return encoder;
}

void RowEncoder::Append(int64_t row, std::string* out) const {
  Encoder encoder(out);
  for (const Column& column : columns_) {
    const int64_t at = column.offset + row;
    if (column.nullable) {
      const bool is_null = column.validity != nullptr && !arrow::bit_util::GetBit(column.validity, at);
      out->push_back(is_null ? 0 : 2);  // Branch 0 or 1, as Avro's zig-zag long.
      if (is_null) continue;
    }
    switch (column.cell) {
      case Cell::kBool:
        encoder.PutBool(arrow::bit_util::GetBit(column.values, at));
        break;
      case Cell::kInt:
        encoder.PutLong(reinterpret_cast<const int32_t*>(column.values)[at]);
        break;
      case Cell::kLong:
        encoder.PutLong(reinterpret_cast<const int64_t*>(column.values)[at]);
        break;
      case Cell::kFloat:
        encoder.PutFloat(reinterpret_cast<const float*>(column.values)[at]);
        break;
      case Cell::kDouble:
        encoder.PutDouble(reinterpret_cast<const double*>(column.values)[at]);
        break;
      case Cell::kBytes: {
        const int32_t begin = column.offsets[at];
        encoder.PutString({reinterpret_cast<const char*>(column.values) + begin,
                           static_cast<size_t>(column.offsets[at + 1] - begin)});
        break;
      }
      case Cell::kDecimal: {
        // Arrow keeps 16 bytes little-endian; Avro wants the low `width` bytes big-endian.
        char bytes[16];
        const char* value = reinterpret_cast<const char*>(column.values) + at * 16;
        std::reverse_copy(value, value + column.width, bytes);
        encoder.PutFixed({bytes, static_cast<size_t>(column.width)});
        break;
      }
    }
  }
}

}  // namespace tarn::avro
