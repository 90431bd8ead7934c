#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>

namespace tarn::schema {

/// How a value of a PostgreSQL type is carried. docs/types.md has the table.
enum class PgKind {
  kBool,
  kInt16,
  kInt32,
  kInt64,
  kOid,
  kFloat,
  kDouble,
  kDecimal,  ///< numeric(p,s) with 1 <= p <= 38 and 0 <= s <= p.
  kDate,
  kTimestamp,  ///< With and without time zone; UTC microseconds.
  kUuid,
  kText,   ///< Types whose binary form is their text: text, varchar, char(n), name, json.
  kJsonb,  ///< Text behind a version byte.
  kBytes,
  kTextCast,  ///< Everything else: PostgreSQL's own text form, by the type's output function.
};

/// PostgreSQL's OIDs of built-in types (src/include/catalog/pg_type.dat).
enum PgOid : uint32_t {
  kBoolOid = 16,
  kByteaOid = 17,
  kCharOid = 18,
  kNameOid = 19,
  kInt8Oid = 20,
  kInt2Oid = 21,
  kInt4Oid = 23,
  kTextOid = 25,
  kOidOid = 26,
  kJsonOid = 114,
  kFloat4Oid = 700,
  kFloat8Oid = 701,
  kBpcharOid = 1042,
  kVarcharOid = 1043,
  kDateOid = 1082,
  kTimestampOid = 1114,
  kTimestamptzOid = 1184,
  kNumericOid = 1700,
  kUuidOid = 2950,
  kJsonbOid = 3802,
};

/// Beyond may be a domain, which only the catalogue resolves. Source: FirstNormalObjectId in
/// src/include/access/transam.h.
constexpr bool IsBuiltIn(uint32_t type_oid) { return type_oid < 16'384; }

/// A type as a column has it. `typmod` is pg_attribute.atttypmod.
struct PgType {
  PgKind kind = PgKind::kTextCast;
  int32_t precision = 0;  ///< kDecimal only.
  int32_t scale = 0;      ///< kDecimal only.
  bool operator==(const PgType&) const = default;
};

/// What the type (a domain's base type, when it is one) is carried as. Never fails: the rest is text.
PgType MakePgType(uint32_t type_oid, int32_t typmod);

/// The Arrow type that holds it: bool, int32, int64, float, double, utf8, binary, date32, timestamp(us, UTC)
/// or decimal128(p,s). Always nullable.
std::shared_ptr<arrow::DataType> ArrowType(const PgType& type);

}  // namespace tarn::schema
