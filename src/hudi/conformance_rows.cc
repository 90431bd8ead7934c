#include "hudi/conformance_rows.h"

#include <arrow/util/decimal.h>

#include <cmath>
#include <limits>

#include "hudi/avro_schema.h"

namespace tarn::hudi {
namespace {

constexpr int64_t kDayMicros = 86'400'000'000;
// 0001-01-01, 1583-01-01, 1970-01-01 and 9999-12-31.
constexpr int32_t kFirstDay = -719'162, kGregorianDay = -141'349, kLastDay = 2'932'896;
// 1901-01-01: in every zone behind the last change of calendars that Spark knows of.
constexpr int32_t kModernTimes = -25'202;

const std::vector<std::string> kRegions{
    "oslo", "são/paulo", "a=b",      "x y",       "100%",
    "",     "東京:area", "__null__", "c,d:e%2Cf", "__HIVE_DEFAULT_PARTITION__"};
const std::vector<std::string> kTexts{"",
                                      " ",
                                      "null",
                                      "__null__",
                                      "plain",
                                      "näme",
                                      "日本語",
                                      "😀👩‍👩‍👧‍👦",
                                      "e\u0301 and é",
                                      "عربى",
                                      "line\nbreak\ttab\rreturn",
                                      "\"quoted\" 'and' \\back\\",
                                      "a,b:c=d/e%2F",
                                      "\x01\x7f"};

template <typename T>
T OneOf(Random& random, const std::vector<T>& values) {
  return values[random() % values.size()];
}

int64_t Between(Random& random, int64_t low, int64_t high) {
  return low + static_cast<int64_t>(random() % static_cast<uint64_t>(high - low + 1));
}

template <typename T>
T DrawInteger(Random& random) {
  using Limits = std::numeric_limits<T>;
  const std::vector<T> edges{0, 1, -1, Limits::max(), Limits::min()};
  return random() % 4 == 0 ? OneOf(random, edges) : static_cast<T>(random());
}

template <typename T>
T DrawFloat(Random& random) {
  using Limits = std::numeric_limits<T>;
  const std::vector<T> edges{0,
                             T(-0.0),
                             Limits::max(),
                             Limits::lowest(),
                             Limits::min(),
                             Limits::denorm_min(),
                             Limits::infinity(),
                             -Limits::infinity(),
                             Limits::quiet_NaN(),
                             T(0.1)};
  if (random() % 4 == 0) return OneOf(random, edges);
  return static_cast<T>(std::ldexp(static_cast<double>(Between(random, -1'000'000, 1'000'000)) / 7.0,
                                   static_cast<int>(random() % 40) - 20));
}

Cell DrawDecimal(Random& random, const arrow::Decimal128Type& type) {
  std::string digits;
  const auto count = random() % 4 == 0 ? static_cast<uint64_t>(type.precision())
                                       : 1 + random() % static_cast<uint64_t>(type.precision());
  for (uint64_t i = 0; i < count; i++) digits += static_cast<char>('0' + random() % 10);
  if (random() % 8 == 0) digits.assign(count, '9');
  arrow::Decimal128 value(digits);
  if (random() % 2 == 0) value.Negate();
  return std::make_shared<arrow::Decimal128Scalar>(value, arrow::decimal128(type.precision(), type.scale()));
}

std::string DrawText(Random& random) {
  if (random() % 100 == 0) return std::string(5000, 'x') + OneOf(random, kTexts);
  return random() % 2 == 0 ? OneOf(random, kTexts) : OneOf(random, kTexts) + std::to_string(random() % 1000);
}

std::string DrawBytes(Random& random) {
  std::string bytes;
  for (uint64_t i = random() % 9; i > 0; i--) bytes += static_cast<char>(random());
  return bytes;
}

Cell DrawValue(Random& random, const arrow::DataType& type, bool ancient) {
  switch (type.id()) {
    case arrow::Type::BOOL:
      return arrow::MakeScalar(random() % 2 == 0);
    case arrow::Type::INT32:
      return arrow::MakeScalar(DrawInteger<int32_t>(random));
    case arrow::Type::INT64:
      return arrow::MakeScalar(DrawInteger<int64_t>(random));
    case arrow::Type::FLOAT:
      return arrow::MakeScalar(DrawFloat<float>(random));
    case arrow::Type::DOUBLE:
      return arrow::MakeScalar(DrawFloat<double>(random));
    case arrow::Type::DECIMAL128:
      return DrawDecimal(random, static_cast<const arrow::Decimal128Type&>(type));
    case arrow::Type::DATE32: {
      const int64_t first = ancient ? kFirstDay : kGregorianDay;
      return std::make_shared<arrow::Date32Scalar>(static_cast<int32_t>(
          random() % 8 == 0 ? first : Between(random, random() % 2 == 0 ? first : 0, kLastDay)));
    }
    case arrow::Type::TIMESTAMP: {
      const int64_t first = (ancient ? kFirstDay : kModernTimes) * kDayMicros;
      const int64_t last = (kLastDay + 1) * kDayMicros - 1;
      return std::make_shared<arrow::TimestampScalar>(
          random() % 8 == 0 ? first : Between(random, random() % 2 == 0 ? first : 0, last),
          arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"));
    }
    case arrow::Type::BINARY:
      return std::make_shared<arrow::BinaryScalar>(arrow::Buffer::FromString(DrawBytes(random)));
    default:
      return arrow::MakeScalar(DrawText(random));
  }
}

/// Of the columns whose values have a meaning; null for the others.
Cell DrawNamed(Random& random, const std::string& name, int64_t number, int64_t lsn) {
  const auto n = static_cast<size_t>(number);
  if (name == "id") return arrow::MakeScalar(number);
  if (name == "code") return arrow::MakeScalar(kTexts[n % kTexts.size()] + std::to_string(number));
  if (name == "region") return arrow::MakeScalar(OneOf(random, kRegions));
  if (name == "day")
    return std::make_shared<arrow::Date32Scalar>(static_cast<int32_t>(20'000 + random() % 3));
  if (name == "shard") return arrow::MakeScalar(static_cast<int32_t>(random() % 3) - 1);
  // A multiple of a quarter is the same double by its binary and by its decimal value: readers differ in
  // which they take.
  if (name == "w_float") return arrow::MakeScalar(static_cast<float>(Between(random, -4000, 4000)) / 4);
  if (name == "_lsn") return arrow::MakeScalar(lsn);
  return nullptr;
}

}  // namespace

std::shared_ptr<arrow::Schema> ConformanceSchema() {
  const auto time = arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
  return arrow::schema({arrow::field("id", arrow::int64(), false),
                        arrow::field("code", arrow::utf8(), false),
                        arrow::field("region", arrow::utf8()),
                        arrow::field("day", arrow::date32()),
                        arrow::field("open", arrow::boolean()),
                        arrow::field("shard", arrow::int32()),
                        arrow::field("c_bool", arrow::boolean()),
                        arrow::field("c_int", arrow::int32()),
                        arrow::field("c_long", arrow::int64()),
                        arrow::field("c_float", arrow::float32()),
                        arrow::field("c_double", arrow::float64()),
                        arrow::field("c_small", arrow::decimal128(4, 2)),
                        arrow::field("c_whole", arrow::decimal128(9, 0)),
                        arrow::field("c_money", arrow::decimal128(18, 6)),
                        arrow::field("c_huge", arrow::decimal128(38, 10)),
                        arrow::field("c_date", arrow::date32()),
                        arrow::field("c_time", time),
                        arrow::field("c_text", arrow::utf8()),
                        arrow::field("c_bytes", arrow::binary()),
                        arrow::field("c_must", arrow::int32(), false),
                        arrow::field("w_int", arrow::int32()),
                        arrow::field("w_float", arrow::float32()),
                        arrow::field("_lsn", arrow::int64(), false)});
}

Result<std::shared_ptr<arrow::Schema>> Evolved(const arrow::Schema& schema, const std::string& change) {
  arrow::FieldVector fields = schema.fields();
  const auto replace = [&](const char* name, std::shared_ptr<arrow::DataType> type) {
    fields[static_cast<size_t>(schema.GetFieldIndex(name))] = arrow::field(name, std::move(type));
  };
  if (change == "add") {
    const std::string number = std::to_string(fields.size());
    fields.push_back(arrow::field("n_text_" + number, arrow::utf8()));
    fields.push_back(arrow::field("n_decimal_" + number, arrow::decimal128(20, 3)));
  } else if (change == "widen_int") {
    replace("w_int", arrow::int64());
  } else if (change == "widen_float") {
    replace("w_float", arrow::float64());
  } else if (change == "make_nullable") {
    replace("c_must", arrow::int32());
  } else {
    return MakeError(ErrorCode::kInvalidArgument, "'{}' is no change of a schema that is known", change);
  }
  return arrow::schema(std::move(fields));
}

std::vector<Cell> Carried(const std::vector<Cell>& cells, const arrow::Schema& from,
                          const arrow::Schema& to) {
  std::vector<Cell> carried;
  for (const auto& field : to.fields()) {
    const int at = from.GetFieldIndex(field->name());
    if (at < 0) {
      carried.push_back(arrow::MakeNullScalar(field->type()));
      continue;
    }
    const Cell& cell = cells[static_cast<size_t>(at)];
    const bool same = cell->type->Equals(*field->type());
    carried.push_back(same ? cell : cell->CastTo(field->type()).ValueOr(nullptr));
  }
  return carried;
}

std::vector<Cell> DrawRow(Random& random, const arrow::Schema& schema, int64_t number, int64_t lsn,
                          bool ancient) {
  std::vector<Cell> cells;
  for (const auto& field : schema.fields()) {
    Cell cell = DrawNamed(random, field->name(), number, lsn);
    if (!cell) cell = DrawValue(random, *field->type(), ancient);
    if (field->nullable() && random() % 8 == 0) cell = arrow::MakeNullScalar(field->type());
    if (!cell->type->Equals(*field->type())) cell = cell->CastTo(field->type()).ValueOr(nullptr);
    cells.push_back(std::move(cell));
  }
  return cells;
}

Result<std::shared_ptr<arrow::RecordBatch>> BatchOf(const std::shared_ptr<arrow::Schema>& schema,
                                                    const std::vector<const std::vector<Cell>*>& rows) {
  arrow::ArrayVector columns;
  for (int i = 0; i < schema->num_fields(); i++) {
    std::unique_ptr<arrow::ArrayBuilder> builder;
    TARN_RETURN_IF_ERROR(FromArrow(
        arrow::MakeBuilder(arrow::default_memory_pool(), schema->field(i)->type(), &builder), "make rows"));
    for (const auto* row : rows) {
      TARN_RETURN_IF_ERROR(FromArrow(builder->AppendScalar(*(*row)[static_cast<size_t>(i)]), "make rows"));
    }
    std::shared_ptr<arrow::Array> column;
    TARN_RETURN_IF_ERROR(FromArrow(builder->Finish(&column), "make rows"));
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(schema, static_cast<int64_t>(rows.size()), std::move(columns));
}

}  // namespace tarn::hudi
