#include "parquet/text_dictionary.h"

#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <gtest/gtest.h>
#include <parquet/file_reader.h>
#include <parquet/statistics.h>

#include <random>

#include "parquet/parquet_reader.h"
#include "parquet/parquet_writer.h"

namespace tarn::parquet {
namespace {

using Values = std::vector<std::optional<std::string>>;

std::shared_ptr<arrow::StringArray> Texts(const Values& values) {
  arrow::StringBuilder builder;
  for (const auto& value : values)
    EXPECT_TRUE(value ? builder.Append(*value).ok() : builder.AppendNull().ok());
  return std::static_pointer_cast<arrow::StringArray>(*builder.Finish());
}

/// What an encoded column says; empty when it was not encoded.
Values Decoded(const std::shared_ptr<arrow::Array>& encoded) {
  Values values;
  if (encoded == nullptr) return values;
  EXPECT_TRUE(encoded->ValidateFull().ok());
  const auto& rows = static_cast<const arrow::DictionaryArray&>(*encoded);
  const auto& texts = static_cast<const arrow::StringArray&>(*rows.dictionary());
  for (int64_t row = 0; row < rows.length(); row++) {
    if (rows.IsNull(row)) {
      values.emplace_back();
    } else {
      values.emplace_back(texts.GetString(rows.GetValueIndex(row)));
    }
  }
  return values;
}

TEST(TextDictionaryTest, TellsAllLengthsApart) {
  // Such as differ in one byte only, wherever it is; and in nothing but their length.
  Values values;
  for (size_t size = 0; size <= 40; size++) {
    values.emplace_back(std::string(size, 'a'));
    for (const size_t at : {size_t{0}, size / 2, size - 1}) {
      if (at >= size) continue;
      values.emplace_back(std::string(size, 'a'));
      values.back()->at(at) = '\0';
    }
  }
  TextDictionary dictionary;
  EXPECT_EQ(Decoded(dictionary.Encode(*Texts(values))), values);
  EXPECT_FALSE(dictionary.gave_up());
}

TEST(TextDictionaryTest, ANewValueWaitsForTheNextRowGroup) {
  TextDictionary dictionary;
  EXPECT_EQ(Decoded(dictionary.Encode(*Texts({"a", std::nullopt, "b"}))), (Values{"a", std::nullopt, "b"}));
  EXPECT_EQ(Decoded(dictionary.Encode(*Texts({"b", "b"}))), (Values{"b", "b"}));
  EXPECT_EQ(dictionary.Encode(*Texts({"b", "c"})), nullptr);
  EXPECT_EQ(dictionary.Encode(*Texts({"a"})), nullptr) << "its dictionary would not be the group's any more";
  dictionary.BeginGroup();
  EXPECT_EQ(Decoded(dictionary.Encode(*Texts({"c", "a"}))), (Values{"c", "a"}));
}

TEST(TextDictionaryTest, RowsOfASlice) {
  TextDictionary dictionary;
  const auto all = Texts({"a", std::nullopt, "b", std::nullopt, "c"});
  const auto slice = std::static_pointer_cast<arrow::StringArray>(all->Slice(1, 3));
  EXPECT_EQ(Decoded(dictionary.Encode(*slice)), (Values{std::nullopt, "b", std::nullopt}));
  dictionary.BeginGroup();
  const auto nulls = std::static_pointer_cast<arrow::StringArray>(all->Slice(3, 1));
  EXPECT_EQ(Decoded(dictionary.Encode(*nulls)), (Values{std::nullopt}));
}

TEST(TextDictionaryTest, TooManyValuesOrTooLongOnes) {
  Values many;
  for (int i = 0; i < 257; i++) many.emplace_back(std::to_string(i));
  TextDictionary first;
  EXPECT_EQ(first.Encode(*Texts(many)), nullptr);
  EXPECT_TRUE(first.gave_up());
  TextDictionary second;
  EXPECT_EQ(second.Encode(*Texts({"a", std::string(2000, 'x')})), nullptr);
  EXPECT_TRUE(second.gave_up());
  second.BeginGroup();
  EXPECT_EQ(second.Encode(*Texts({"a"})), nullptr);
}

/// Files of random columns, whose values come and go with the rows: what is read is what was written,
/// whatever form the writer gave them.
TEST(TextDictionaryTest, FilesHaveWhatWasWritten) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  const auto schema =
      arrow::schema({arrow::field("few", arrow::utf8()), arrow::field("drifting", arrow::utf8()),
                     arrow::field("many", arrow::utf8())});
  const auto stream = *arrow::io::BufferOutputStream::Create();
  WriterOptions options;
  options.row_group_rows = 5000;
  auto writer = FileWriter::Open(stream.get(), schema, options);
  ASSERT_TRUE(writer);
  std::array<Values, 3> written;
  for (int batch = 0; batch < 12; batch++) {
    const int64_t rows = batch == 0 ? 2000 : 1 + static_cast<int64_t>(random() % 4000);
    std::array<Values, 3> values;
    for (int64_t row = 0; row < rows; row++) {
      const auto one_of = [&](uint32_t from, uint32_t count) -> std::optional<std::string> {
        const uint32_t chosen = random() % (count + 1);
        if (chosen == count) return std::nullopt;
        return "value " + std::to_string(from + chosen);
      };
      values[0].push_back(one_of(0, 3));
      values[1].push_back(one_of(static_cast<uint32_t>(batch), 4));
      values[2].push_back(one_of(0, 900));
    }
    arrow::ArrayVector columns;
    for (size_t i = 0; i < 3; i++) {
      columns.push_back(Texts(values[i]));
      written[i].insert(written[i].end(), values[i].begin(), values[i].end());
    }
    if (random() % 3 == 0) (*writer)->EndRowGroup(1);
    ASSERT_TRUE((*writer)->Write(*arrow::RecordBatch::Make(schema, rows, columns)));
  }
  ASSERT_TRUE((*writer)->Close());
  const auto bytes = *stream->Finish();
  const auto reader = FileReader::Open(std::make_shared<arrow::io::BufferReader>(bytes), "texts");
  ASSERT_TRUE(reader) << reader.error().message;
  std::array<Values, 3> read;
  ASSERT_TRUE((*reader)->Scan(schema->field_names(), 0, (*reader)->rows(), [&](const auto& batch, int64_t) -> Status {
    for (size_t i = 0; i < 3; i++) {
      const auto& texts = static_cast<const arrow::StringArray&>(*batch->column(static_cast<int>(i)));
      for (int64_t row = 0; row < texts.length(); row++)
        read[i].push_back(texts.IsNull(row) ? std::nullopt : std::optional(texts.GetString(row)));
    }
    return {};
  }));
  for (size_t i = 0; i < 3; i++)
    EXPECT_TRUE(read[i] == written[i]) << schema->field(static_cast<int>(i))->name();
  const auto file = ::parquet::ParquetFileReader::Open(std::make_shared<arrow::io::BufferReader>(bytes));
  const auto first = file->metadata()->RowGroup(0)->ColumnChunk(0);
  EXPECT_TRUE(first->has_dictionary_page());
  EXPECT_EQ(first->statistics()->EncodeMin(), "value 0");
  EXPECT_EQ(first->statistics()->EncodeMax(), "value 2");
}

}  // namespace
}  // namespace tarn::parquet
