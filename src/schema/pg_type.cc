#include "schema/pg_type.h"

#include <arrow/type.h>

namespace tarn::schema {
namespace {

/// numeric's typmod packs precision and scale behind a 4-byte header; scale is 11 bits with sign since
/// version 15. Source: PostgreSQL src/backend/utils/adt/numeric.c (make_numeric_typmod).
PgType DecimalType(int32_t typmod) {
  if (typmod < 4) return {PgKind::kTextCast};
  const int32_t precision = ((typmod - 4) >> 16) & 0xffff;
  const int32_t scale = (((typmod - 4) & 0x7ff) ^ 1024) - 1024;
  if (precision < 1 || precision > 38 || scale < 0 || scale > precision) return {PgKind::kTextCast};
  return {PgKind::kDecimal, precision, scale};
}

}  // namespace

PgType MakePgType(uint32_t type_oid, int32_t typmod) {
  switch (type_oid) {
    case kBoolOid:
      return {PgKind::kBool};
    case kByteaOid:
      return {PgKind::kBytes};
    case kInt2Oid:
      return {PgKind::kInt16};
    case kInt4Oid:
      return {PgKind::kInt32};
    case kInt8Oid:
      return {PgKind::kInt64};
    case kOidOid:
      return {PgKind::kOid};
    case kFloat4Oid:
      return {PgKind::kFloat};
    case kFloat8Oid:
      return {PgKind::kDouble};
    case kDateOid:
      return {PgKind::kDate};
    case kTimestampOid:
    case kTimestamptzOid:
      return {PgKind::kTimestamp};
    case kUuidOid:
      return {PgKind::kUuid};
    case kNumericOid:
      return DecimalType(typmod);
    case kTextOid:
    case kVarcharOid:
    case kBpcharOid:
    case kNameOid:
    case kJsonOid:
      return {PgKind::kText};
    case kJsonbOid:
      return {PgKind::kJsonb};
    default:
      return {PgKind::kTextCast};
  }
}

std::shared_ptr<arrow::DataType> ArrowType(const PgType& type) {
  switch (type.kind) {
    case PgKind::kBool:
      return arrow::boolean();
    case PgKind::kInt16:
    case PgKind::kInt32:
      return arrow::int32();
    case PgKind::kInt64:
    case PgKind::kOid:
      return arrow::int64();
    case PgKind::kFloat:
      return arrow::float32();
    case PgKind::kDouble:
      return arrow::float64();
    case PgKind::kDecimal:
      return arrow::decimal128(type.precision, type.scale);
    case PgKind::kDate:
      return arrow::date32();
    case PgKind::kTimestamp:
      return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
    case PgKind::kBytes:
      return arrow::binary();
    case PgKind::kUuid:
    case PgKind::kText:
    case PgKind::kJsonb:
    case PgKind::kTextCast:
      return arrow::utf8();
  }
  return arrow::utf8();
}

}  // namespace tarn::schema
