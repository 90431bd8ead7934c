#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/util/decimal.h>

#include "avro/binary.h"
#include "avro/field_shape.h"
#include "avro/rows.h"
#include "avro/schema.h"

namespace tarn::avro {
namespace {

/// The one place where an append can fail is memory; Arrow's message says so.
Status FromArrow(const arrow::Status& status) {
  if (status.ok()) return {};
  return Error{ErrorCode::kInternal, status.ToString()};
}

class BuilderRowDecoder : public RowDecoder {
 public:
  BuilderRowDecoder(std::vector<FieldShape> shapes, std::shared_ptr<arrow::Schema> schema)
      : shapes_(std::move(shapes)), schema_(std::move(schema)) {}

  Status MakeBuilders() {
    builders_.clear();
    for (const auto& field : schema_->fields()) {
      std::unique_ptr<arrow::ArrayBuilder> builder;
      TARN_RETURN_IF_ERROR(
          FromArrow(arrow::MakeBuilder(arrow::default_memory_pool(), field->type(), &builder)));
      builders_.push_back(std::move(builder));
    }
    return {};
  }

  Status Append(std::string_view record) override {
    Decoder decoder(record);
    for (size_t i = 0; i < shapes_.size(); i++) {
      if (!AppendCell(shapes_[i], *builders_[i], decoder).ok()) {
        return MakeError(ErrorCode::kCorrupt, "Avro record of {} bytes breaks its schema at field '{}'",
                         record.size(), shapes_[i].name);
      }
    }
    if (decoder.failed() || decoder.remaining() != 0) {
      return MakeError(ErrorCode::kCorrupt,
                       "Avro record of {} bytes does not match its schema ({} bytes are left)", record.size(),
                       decoder.remaining());
    }
    rows_++;
    return {};
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Finish() override {
    arrow::ArrayVector columns;
    for (const auto& builder : builders_) {
      std::shared_ptr<arrow::Array> column;
      TARN_RETURN_IF_ERROR(FromArrow(builder->Finish(&column)));
      columns.push_back(std::move(column));
    }
    const int64_t rows = rows_;
    rows_ = 0;
    return arrow::RecordBatch::Make(schema_, rows, std::move(columns));
  }

 private:
  static arrow::Status AppendDecimal(std::string_view bytes, arrow::ArrayBuilder& builder) {
    ARROW_ASSIGN_OR_RAISE(const auto value,
                          arrow::Decimal128::FromBigEndian(reinterpret_cast<const uint8_t*>(bytes.data()),
                                                           static_cast<int32_t>(bytes.size())));
    return static_cast<arrow::Decimal128Builder&>(builder).Append(value);
  }

  static arrow::Status AppendMillis(int64_t millis, arrow::TimestampBuilder& builder) {
    int64_t micros = 0;
    if (__builtin_mul_overflow(millis, int64_t{1000}, &micros)) return arrow::Status::Invalid("time");
    return builder.Append(micros);
  }

  /// Items of an array or map, block after block. Each takes a byte at least, so that their number is
  /// bounded.
  template <typename Item>
  static arrow::Status AppendItems(Decoder& decoder, const Item& item) {
    for (int64_t count = decoder.GetLong(); count != 0 && !decoder.failed(); count = decoder.GetLong()) {
      if (count == INT64_MIN) return arrow::Status::Invalid("block of items");
      if (count < 0) {
        count = -count;
        decoder.GetLong();  // Its bytes, for readers that skip.
      }
      for (int64_t i = 0; i < count; i++) {
        if (decoder.failed()) return arrow::Status::Invalid("items end early");
        ARROW_RETURN_NOT_OK(item());
      }
    }
    return arrow::Status::OK();
  }

  static arrow::Status AppendNested(const FieldShape& shape, arrow::ArrayBuilder& builder, Decoder& decoder) {
    if (shape.kind == FieldKind::kArray) {
      auto& list = static_cast<arrow::ListBuilder&>(builder);
      ARROW_RETURN_NOT_OK(list.Append());
      return AppendItems(decoder,
                         [&] { return AppendCell(shape.children[0], *list.value_builder(), decoder); });
    }
    if (shape.kind == FieldKind::kMap) {
      auto& map = static_cast<arrow::MapBuilder&>(builder);
      ARROW_RETURN_NOT_OK(map.Append());
      return AppendItems(decoder, [&] {
        ARROW_RETURN_NOT_OK(
            static_cast<arrow::StringBuilder&>(*map.key_builder()).Append(decoder.GetString()));
        return AppendCell(shape.children[0], *map.item_builder(), decoder);
      });
    }
    auto& record = static_cast<arrow::StructBuilder&>(builder);
    ARROW_RETURN_NOT_OK(record.Append());
    for (size_t i = 0; i < shape.children.size(); i++)
      ARROW_RETURN_NOT_OK(AppendCell(shape.children[i], *record.field_builder(static_cast<int>(i)), decoder));
    return arrow::Status::OK();
  }

  static arrow::Status AppendCell(const FieldShape& shape, arrow::ArrayBuilder& builder, Decoder& decoder) {
    if (shape.null_branch >= 0) {
      const int64_t branch = decoder.GetLong();
      if (branch < 0 || branch > 1) return arrow::Status::Invalid("union branch");
      if (branch == shape.null_branch) return builder.AppendNull();
    }
    switch (shape.kind) {
      case FieldKind::kBool:
        return static_cast<arrow::BooleanBuilder&>(builder).Append(decoder.GetBool());
      case FieldKind::kInt:
        return static_cast<arrow::Int32Builder&>(builder).Append(static_cast<int32_t>(decoder.GetLong()));
      case FieldKind::kDate:
        return static_cast<arrow::Date32Builder&>(builder).Append(static_cast<int32_t>(decoder.GetLong()));
      case FieldKind::kLong:
        return static_cast<arrow::Int64Builder&>(builder).Append(decoder.GetLong());
      case FieldKind::kTimestamp:
      case FieldKind::kLocalTimestamp:
        return static_cast<arrow::TimestampBuilder&>(builder).Append(decoder.GetLong());
      case FieldKind::kTimestampMillis:
      case FieldKind::kLocalTimestampMillis:
        return AppendMillis(decoder.GetLong(), static_cast<arrow::TimestampBuilder&>(builder));
      case FieldKind::kFloat:
        return static_cast<arrow::FloatBuilder&>(builder).Append(decoder.GetFloat());
      case FieldKind::kDouble:
        return static_cast<arrow::DoubleBuilder&>(builder).Append(decoder.GetDouble());
      case FieldKind::kString:
        return static_cast<arrow::StringBuilder&>(builder).Append(decoder.GetString());
      case FieldKind::kBytes:
        return static_cast<arrow::BinaryBuilder&>(builder).Append(decoder.GetString());
      case FieldKind::kDecimalFixed:
        return AppendDecimal(decoder.GetFixed(shape.size), builder);
      case FieldKind::kDecimalBytes:
        return AppendDecimal(decoder.GetString(), builder);
      case FieldKind::kArray:
      case FieldKind::kMap:
      case FieldKind::kRecord:
        return AppendNested(shape, builder, decoder);
      case FieldKind::kNone:
        break;
    }
    return arrow::Status::Invalid("field kind");
  }

  std::vector<FieldShape> shapes_;
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<std::unique_ptr<arrow::ArrayBuilder>> builders_;
  int64_t rows_ = 0;
};

}  // namespace

Result<std::unique_ptr<RowDecoder>> RowDecoder::Make(const std::string& schema_json) {
  TARN_ASSIGN(auto shapes, ParseRecordShape(schema_json));
  TARN_ASSIGN(auto schema, SchemaToArrow(schema_json));
  auto decoder = std::make_unique<BuilderRowDecoder>(std::move(shapes), std::move(schema));
  TARN_RETURN_IF_ERROR(decoder->MakeBuilders());
  return std::unique_ptr<RowDecoder>(std::move(decoder));
}

}  // namespace tarn::avro
