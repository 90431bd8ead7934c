#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>
#include <parquet/file_reader.h>
#include <parquet/schema.h>

#include "parquet/parquet_reader.h"
#include "parquet/parquet_writer.h"

namespace tarn::parquet {
namespace {

std::shared_ptr<arrow::RecordBatch> Numbers(int64_t first, int64_t rows) {
  arrow::Int64Builder id;
  arrow::Decimal128Builder price(arrow::decimal128(9, 2));
  arrow::StringBuilder kind;
  for (int64_t i = first; i < first + rows; i++) {
    EXPECT_TRUE(id.Append(i).ok() && price.Append(arrow::Decimal128(i * 3)).ok());
    EXPECT_TRUE(i % 7 == 0 ? kind.AppendNull().ok() : kind.Append(i % 2 == 0 ? "even" : "odd").ok());
  }
  const auto schema =
      arrow::schema({arrow::field("id", arrow::int64(), false),
                     arrow::field("price", arrow::decimal128(9, 2)), arrow::field("kind", arrow::utf8())});
  return arrow::RecordBatch::Make(schema, rows, {*id.Finish(), *price.Finish(), *kind.Finish()});
}

std::shared_ptr<arrow::Buffer> WriteNumbers(int64_t batches, int64_t rows) {
  const auto stream = *arrow::io::BufferOutputStream::Create();
  WriterOptions options;
  options.row_group_rows = 1000;
  options.unique_columns = {"id"};
  auto writer = FileWriter::Open(stream.get(), Numbers(0, 1)->schema(), options);
  EXPECT_TRUE(writer);
  for (int64_t i = 0; i < batches; i++) EXPECT_TRUE((*writer)->Write(*Numbers(i * rows, rows)));
  EXPECT_TRUE((*writer)->AddMetadata("who", "tarn"));
  EXPECT_TRUE((*writer)->Close());
  EXPECT_EQ((*writer)->rows(), batches * rows);
  return *stream->Finish();
}

std::unique_ptr<FileReader> OpenNumbers(int64_t batches, int64_t rows) {
  auto reader =
      FileReader::Open(std::make_shared<arrow::io::BufferReader>(WriteNumbers(batches, rows)), "numbers");
  EXPECT_TRUE(reader) << reader.error().message;
  return std::move(*reader);
}

TEST(ParquetFile, DecimalsAreFixedLengthOfMinimalWidth) {
  const auto file =
      ::parquet::ParquetFileReader::Open(std::make_shared<arrow::io::BufferReader>(WriteNumbers(1, 100)));
  const auto* column = file->metadata()->schema()->Column(1);
  EXPECT_EQ(column->physical_type(), ::parquet::Type::FIXED_LEN_BYTE_ARRAY);
  EXPECT_EQ(column->type_length(), 4);
}

TEST(ParquetFile, NestedFieldsAreReadWholeAndThoseBehindThemRight) {
  const auto point = arrow::struct_({arrow::field("x", arrow::int64()), arrow::field("y", arrow::int64())});
  arrow::Int64Builder numbers;
  ASSERT_TRUE(numbers.AppendValues({1, 2}).ok());
  const std::shared_ptr<arrow::Array> column = *numbers.Finish();
  const auto points = *arrow::StructArray::Make({column, column}, point->fields());
  const auto schema = arrow::schema({arrow::field("point", point), arrow::field("last", arrow::int64())});
  const auto table = arrow::Table::Make(schema, {points, column});
  const auto stream = *arrow::io::BufferOutputStream::Create();
  ASSERT_TRUE(::parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), stream, 2).ok());
  auto reader = FileReader::Open(std::make_shared<arrow::io::BufferReader>(*stream->Finish()), "nested");
  ASSERT_TRUE(reader);
  for (const std::vector<std::string>& names :
       {std::vector<std::string>{"last"}, {"point"}, {"point", "last"}}) {
    const auto rows = (*reader)->ReadRows(names, {1});
    ASSERT_TRUE(rows) << rows.error().message;
    EXPECT_EQ((*rows)->schema()->field_names(), names);
    for (const auto& read : (*rows)->columns()) {
      const auto text = (*read->GetScalar(0))->ToString();
      EXPECT_EQ(text, read->type_id() == arrow::Type::STRUCT ? "{x:int64 = 2, y:int64 = 2}" : "2");
    }
  }
}

TEST(ParquetFile, ARowGroupEndsWhereItIsWorthOne) {
  const auto stream = *arrow::io::BufferOutputStream::Create();
  WriterOptions options;
  options.row_group_rows = 1000;
  auto writer = std::move(*FileWriter::Open(stream.get(), Numbers(0, 1)->schema(), options));
  ASSERT_TRUE(writer->Write(*Numbers(0, 300)));
  writer->EndRowGroup(500);  // Too few.
  ASSERT_TRUE(writer->Write(*Numbers(300, 300)));
  writer->EndRowGroup(500);
  ASSERT_TRUE(writer->Write(*Numbers(600, 1400)));
  writer->EndRowGroup(500);  // 400 are in the open one.
  writer->EndRowGroup(400);  // Nothing follows.
  ASSERT_TRUE(writer->Close());
  const auto file =
      ::parquet::ParquetFileReader::Open(std::make_shared<arrow::io::BufferReader>(*stream->Finish()));
  std::vector<int64_t> rows;
  for (int i = 0; i < file->metadata()->num_row_groups(); i++)
    rows.push_back(file->metadata()->RowGroup(i)->num_rows());
  EXPECT_EQ(rows, (std::vector<int64_t>{600, 1000, 400}));
}

TEST(ParquetFile, ScansARangeAcrossRowGroups) {
  const auto reader = OpenNumbers(5, 700);
  EXPECT_EQ(reader->rows(), 3500);
  EXPECT_EQ(reader->Metadata("who"), "tarn");
  EXPECT_EQ(reader->Metadata("nobody"), std::nullopt);
  int64_t expected = 950;
  const Status status =
      reader->Scan({"id", "absent"}, 950, 2050, [&](const auto& batch, int64_t first) -> Status {
        EXPECT_EQ(first, expected);
        EXPECT_EQ(batch->num_columns(), 1);
        for (int64_t i = 0; i < batch->num_rows(); i++) {
          EXPECT_EQ(static_cast<const arrow::Int64Array&>(*batch->column(0)).Value(i), expected++);
        }
        return {};
      });
  EXPECT_TRUE(status);
  EXPECT_EQ(expected, 2050);
}

TEST(ParquetFile, StreamsFromAnyRowOn) {
  for (const int64_t begin : {0, 1, 999, 1000, 5'500, 5'999, 6'000}) {
    const auto stream = FileReader::Stream(OpenNumbers(6, 1000), begin);
    int64_t at = begin;
    while (true) {
      const auto rows = stream->Next();
      ASSERT_TRUE(rows) << rows.error().message;
      if (*rows == nullptr) break;
      ASSERT_GT((*rows)->num_rows(), 0);
      EXPECT_TRUE((*rows)->Equals(*Numbers(at, (*rows)->num_rows()))) << "from " << begin << " at " << at;
      at += (*rows)->num_rows();
    }
    EXPECT_EQ(at, 6'000) << "from " << begin;
  }
}

TEST(ParquetFile, ReadsExactRows) {
  const auto reader = OpenNumbers(3, 1000);
  const auto rows = reader->ReadRows({"id", "price", "kind"}, {0, 7, 999, 1000, 2999});
  ASSERT_TRUE(rows) << rows.error().message;
  ASSERT_EQ((*rows)->num_rows(), 5);
  EXPECT_TRUE((*rows)->Slice(4)->Equals(*Numbers(2999, 1)));
  EXPECT_TRUE((*rows)->Slice(1, 1)->Equals(*Numbers(7, 1)));
  EXPECT_EQ((*reader->ReadRows({"id"}, {}))->num_rows(), 0);
  EXPECT_FALSE(reader->ReadRows({"id"}, {3000}));
}

TEST(ParquetFile, AFileWithoutRowsKeepsItsSchema) {
  const auto reader = OpenNumbers(0, 0);
  EXPECT_EQ(reader->rows(), 0);
  EXPECT_EQ(reader->schema()->num_fields(), 3);
}

TEST(ParquetFile, WhatIsNotParquetIsCorrupt) {
  const auto reader = FileReader::Open(
      std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString("not a parquet file")),
      "x.parquet");
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().code, ErrorCode::kCorrupt);
  EXPECT_NE(reader.error().message.find("x.parquet"), std::string::npos);
}

}  // namespace
}  // namespace tarn::parquet
