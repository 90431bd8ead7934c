#include "app/output.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <cmath>

namespace tarn::app {
namespace {

std::string Printed(OutputFormat format) {
  arrow::StringBuilder names;
  (void)names.AppendValues({"Zoë, \"Z\"", ""});
  (void)names.AppendNull();
  arrow::Int64Builder numbers;
  (void)numbers.AppendValues({1, 20, 300});
  arrow::Decimal128Builder prices(arrow::decimal128(12, 2));
  for (const int64_t cents : {5, 1995, -100}) (void)prices.Append(arrow::Decimal128(cents));
  const auto schema = arrow::schema({arrow::field("name", arrow::utf8()), arrow::field("n", arrow::int64()),
                                     arrow::field("price", arrow::decimal128(12, 2))});
  const auto batch =
      arrow::RecordBatch::Make(schema, 3, {*names.Finish(), *numbers.Finish(), *prices.Finish()});
  char* text = nullptr;
  size_t size = 0;
  std::FILE* out = open_memstream(&text, &size);
  ResultPrinter printer(format, out);
  EXPECT_TRUE(printer.Print(*batch->Slice(0, 0)));
  EXPECT_TRUE(printer.Print(*batch));
  EXPECT_TRUE(printer.Finish());
  std::fclose(out);
  const std::string result(text, size);
  free(text);
  return result;
}

TEST(OutputTest, Csv) {
  EXPECT_EQ(Printed(OutputFormat::kCsv),
            "name,n,price\n\"Zoë, \"\"Z\"\"\",1,0.05\n\"\",20,19.95\n,300,-1.00\n");
}

TEST(OutputTest, JsonLines) {
  EXPECT_EQ(Printed(OutputFormat::kJson),
            "{\"name\":\"Zoë, \\\"Z\\\"\",\"n\":1,\"price\":\"0.05\"}\n"
            "{\"name\":\"\",\"n\":20,\"price\":\"19.95\"}\n{\"name\":null,\"n\":300,\"price\":\"-1.00\"}\n");
}

TEST(OutputTest, Table) {
  EXPECT_EQ(Printed(OutputFormat::kTable),
            " name     |   n | price\n----------+-----+-------\n"
            " Zoë, \"Z\" |   1 |  0.05\n          |  20 | 19.95\n          | 300 | -1.00\n");
}

TEST(OutputTest, WhatJsonHasNoFormForIsText) {
  arrow::DoubleBuilder numbers;
  (void)numbers.AppendValues({std::nan(""), -INFINITY, 0.1});
  (void)numbers.AppendNull();
  arrow::BinaryBuilder bytes;
  for (const char* value : {"", "\xff\x01", "a", "b"}) (void)bytes.Append(value);
  const auto batch = arrow::RecordBatch::Make(
      arrow::schema({arrow::field("x", arrow::float64()), arrow::field("b", arrow::binary())}), 4,
      {*numbers.Finish(), *bytes.Finish()});
  char* text = nullptr;
  size_t size = 0;
  std::FILE* out = open_memstream(&text, &size);
  ResultPrinter printer(OutputFormat::kJson, out);
  EXPECT_TRUE(printer.Print(*batch));
  EXPECT_TRUE(printer.Finish());
  std::fclose(out);
  EXPECT_EQ(std::string(text, size), R"({"x":"NaN","b":"\\x"})"
                                     "\n"
                                     R"({"x":"-Infinity","b":"\\xff01"})"
                                     "\n"
                                     R"({"x":0.1,"b":"\\x61"})"
                                     "\n"
                                     R"({"x":null,"b":"\\x62"})"
                                     "\n");
  free(text);
}

}  // namespace
}  // namespace tarn::app
