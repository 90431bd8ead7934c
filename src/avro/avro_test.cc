#include <arrow/api.h>
#include <gtest/gtest.h>

#include "avro/binary.h"
#include "avro/container.h"
#include "avro/rows.h"
#include "avro/schema.h"

namespace tarn::avro {
namespace {

std::shared_ptr<arrow::Schema> EveryType() {
  return arrow::schema({arrow::field("b", arrow::boolean()), arrow::field("i", arrow::int32(), false),
                        arrow::field("l", arrow::int64()), arrow::field("f", arrow::float32()),
                        arrow::field("d", arrow::float64()), arrow::field("s", arrow::utf8()),
                        arrow::field("x", arrow::binary()), arrow::field("day", arrow::date32()),
                        arrow::field("at", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")),
                        arrow::field("small", arrow::decimal128(5, 2)),
                        arrow::field("large", arrow::decimal128(38, 10))});
}

std::shared_ptr<arrow::RecordBatch> EveryTypeRows() {
  arrow::BooleanBuilder b;
  arrow::Int32Builder i;
  arrow::Int64Builder l;
  arrow::FloatBuilder f;
  arrow::DoubleBuilder d;
  arrow::StringBuilder s;
  arrow::BinaryBuilder x;
  arrow::Date32Builder day;
  arrow::TimestampBuilder at(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), arrow::default_memory_pool());
  arrow::Decimal128Builder small(arrow::decimal128(5, 2)), large(arrow::decimal128(38, 10));
  EXPECT_TRUE(b.AppendValues(std::vector<bool>{true, false}).ok() && b.AppendNull().ok());
  EXPECT_TRUE(i.AppendValues({INT32_MIN, INT32_MAX, -1}).ok());
  EXPECT_TRUE(l.AppendValues({INT64_MIN, INT64_MAX}).ok() && l.AppendNull().ok());
  EXPECT_TRUE(f.AppendValues({1.5F, -0.0F}).ok() && f.AppendNull().ok());
  EXPECT_TRUE(d.AppendValues({3.25, 1e300}).ok() && d.AppendNull().ok());
  EXPECT_TRUE(s.AppendValues(std::vector<std::string>{"", "grüße\n"}).ok() && s.AppendNull().ok());
  EXPECT_TRUE(x.AppendValues(std::vector<std::string>{std::string("\0\xff", 2), ""}).ok() &&
              x.AppendNull().ok());
  EXPECT_TRUE(day.AppendValues({-1, 20000}).ok() && day.AppendNull().ok());
  EXPECT_TRUE(at.AppendValues({-5, 1'700'000'000'123'456}).ok() && at.AppendNull().ok());
  EXPECT_TRUE(small.Append(arrow::Decimal128("-999.99")).ok() && small.Append(arrow::Decimal128(1)).ok() &&
              small.AppendNull().ok());
  EXPECT_TRUE(large.Append(arrow::Decimal128("-1234567890123456789012345678.0123456789")).ok() &&
              large.Append(arrow::Decimal128(0)).ok() && large.AppendNull().ok());
  arrow::ArrayVector columns;
  for (arrow::ArrayBuilder* builder :
       std::vector<arrow::ArrayBuilder*>{&b, &i, &l, &f, &d, &s, &x, &day, &at, &small, &large}) {
    columns.push_back(*builder->Finish());
  }
  return arrow::RecordBatch::Make(EveryType(), 3, columns);
}

TEST(AvroBinary, LongsFollowTheSpecification) {
  std::string out;
  Encoder encoder(&out);
  for (const int64_t value : {0, -1, 1, -64, 64}) encoder.PutLong(value);
  EXPECT_EQ(out, std::string("\x00\x01\x02\x7f\x80\x01", 6));
  out.clear();
  encoder.PutLong(INT64_MIN);
  EXPECT_EQ(Decoder(out).GetLong(), INT64_MIN);
}

TEST(AvroBinary, ShortBytesFailWithoutReadingOn) {
  Decoder decoder(std::string_view("\x08zz", 3));
  EXPECT_EQ(decoder.GetString(), "");
  EXPECT_TRUE(decoder.failed());
  EXPECT_EQ(decoder.GetLong(), 0);
}

TEST(AvroSchema, RoundTripsEveryType) {
  const auto json = SchemaFromArrow(*EveryType(), "orders_record", "hoodie.orders");
  ASSERT_TRUE(json) << json.error().message;
  EXPECT_NE(json->find("\"namespace\":\"hoodie.orders.orders_record.small\",\"size\":3"), std::string::npos)
      << *json;
  const auto back = SchemaToArrow(*json);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_TRUE((*back)->Equals(*EveryType())) << (*back)->ToString();
}

TEST(AvroSchema, NamesTheUnsupportedColumn) {
  const auto json =
      SchemaFromArrow(*arrow::schema({arrow::field("tags", arrow::list(arrow::utf8()))}), "r", "n");
  ASSERT_FALSE(json);
  EXPECT_EQ(json.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(json.error().message.find("'tags'"), std::string::npos);
}

TEST(AvroRows, RoundTripEveryTypeAlsoFromASlice) {
  const auto rows = EveryTypeRows();
  const auto json = SchemaFromArrow(*rows->schema(), "r", "n");
  for (const auto& batch : {rows, rows->Slice(1)}) {
    auto encoder = RowEncoder::Make(*batch);
    auto decoder = RowDecoder::Make(*json);
    ASSERT_TRUE(encoder && decoder);
    for (int64_t row = 0; row < batch->num_rows(); row++) {
      std::string record;
      encoder->Append(row, &record);
      ASSERT_TRUE((*decoder)->Append(record));
    }
    const auto back = (*decoder)->Finish();
    ASSERT_TRUE(back);
    EXPECT_TRUE((*back)->Equals(*batch)) << (*back)->ToString();
  }
}

TEST(AvroRows, BrokenRecordsAreCorrupt) {
  const auto json = SchemaFromArrow(*EveryType(), "r", "n");
  auto decoder = RowDecoder::Make(*json);
  ASSERT_TRUE(decoder);
  const Status status = (*decoder)->Append(std::string_view("\x02\x01\x07", 3));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kCorrupt);
}

TEST(AvroContainer, RoundTripsNestedRecords) {
  const std::string schema =
      R"({"type":"record","name":"Plan","fields":[{"name":"ops","type":["null",{"type":"array","items":)"
      R"({"type":"record","name":"Op","fields":[{"name":"id","type":["null","string"]},)"
      R"({"name":"metrics","type":["null",{"type":"map","values":"double"}],"default":null}]}}],"default":null},)"
      R"({"name":"version","type":["int","null"],"default":1},{"name":"last","type":["null","Op"],"default":null}]})";
  const auto file = WriteContainer(
      schema, R"({"ops":[{"id":"a","metrics":{"x":1.5}},{"id":null}],"version":2,"last":{"id":"z"}})");
  ASSERT_TRUE(file) << file.error().message;
  const auto values = ReadContainer(*file);
  ASSERT_TRUE(values) << values.error().message;
  ASSERT_EQ(values->size(), 1U);
  EXPECT_EQ((*values)[0], R"({"ops":[{"id":"a","metrics":{"x":1.5}},{"id":null,"metrics":null}],"version":2,)"
                          R"("last":{"id":"z","metrics":null}})");
  EXPECT_FALSE(ReadContainer(file->substr(0, file->size() - 3)));
}

TEST(AvroRows, ReadsArraysMapsAndRecords) {
  const auto decoder = RowDecoder::Make(R"({"type": "record", "name": "r", "fields": [
    {"name": "list", "type": ["null", {"type": "array", "items": ["null", "int"]}]},
    {"name": "map", "type": {"type": "map", "values": "string"}},
    {"name": "inner", "type": {"type": "record", "name": "inner", "fields": [{"name": "x", "type": "long"}]}}]})");
  ASSERT_TRUE(decoder);
  // Union branch 1; a block of 2 items, the second null; end. One entry "k": "v"; end. x = 3.
  ASSERT_TRUE((*decoder)->Append(std::string("\x02\x04\x02\x0e\x00\x00\x02\x02k\x02v\x00\x06", 13)));
  const auto rows = (*decoder)->Finish();
  ASSERT_TRUE(rows);
  EXPECT_EQ((*(*rows)->column(0)->GetScalar(0))->ToString(), "list<element: int32>[7, null]");
  EXPECT_EQ((*(*rows)->column(2)->GetScalar(0))->ToString(), "{x:int64 = 3}");
  // A block that promises more items than there are bytes.
  EXPECT_EQ((*decoder)->Append(std::string("\x02\xfe\xff\xff\xff\x0f\x02\x0e", 8)).error().code,
            ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace tarn::avro
