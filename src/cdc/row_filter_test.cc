#include "cdc/row_filter.h"

#include <gtest/gtest.h>

#include "cdc/stream_filter.h"
#include "schema/pg_type.h"

namespace tarn::cdc {
namespace {

const std::vector<FilterColumn> kColumns = {
    {"id", schema::kInt8Oid},           {"region", schema::kTextOid},    {"price", schema::kNumericOid},
    {"day", schema::kDateOid},          {"at", schema::kTimestamptzOid}, {"code", schema::kBpcharOid},
    {"active", schema::kBoolOid},       {"ref", schema::kUuidOid},       {"weight", schema::kFloat8Oid},
    {"Odd \"Name\"", schema::kInt4Oid},
};

Result<FilterNode> Bound(const std::string& text) {
  TARN_ASSIGN(FilterNode filter, ParseFilter(text));
  TARN_RETURN_IF_ERROR(BindFilter(filter, kColumns));
  return filter;
}

/// A row of kColumns; "" is NULL, "?" an untouched value.
std::vector<WireValue> Row(const std::vector<std::pair<std::string, std::string_view>>& values) {
  std::vector<WireValue> row(kColumns.size());
  for (const auto& [name, text] : values) {
    for (size_t i = 0; i < kColumns.size(); i++) {
      if (kColumns[i].name != name) continue;
      if (text == "?") {
        row[i].state = WireValue::State::kUnchanged;
      } else if (!text.empty()) {
        row[i] = {WireValue::State::kText, text};
      }
    }
  }
  return row;
}

FilterAnswer Ask(const std::string& text,
                 const std::vector<std::pair<std::string, std::string_view>>& values) {
  const auto filter = Bound(text);
  EXPECT_TRUE(filter) << text << ": " << filter.error().message;
  return AskFilter(*filter, Row(values));
}

constexpr auto kNo = FilterAnswer::kNo;
constexpr auto kNull = FilterAnswer::kNull;
constexpr auto kYes = FilterAnswer::kYes;
constexpr auto kUntold = FilterAnswer::kUntold;

TEST(RowFilter, ComparesAsPostgresDoes) {
  EXPECT_EQ(Ask("id > -5", {{"id", "-4"}}), kYes);
  EXPECT_EQ(Ask("id > -5", {{"id", "-5"}}), kNo);
  EXPECT_EQ(Ask("id = 9223372036854775807", {{"id", "9223372036854775807"}}), kYes);
  EXPECT_EQ(Ask("active = TRUE", {{"active", "t"}}), kYes);
  EXPECT_EQ(Ask("region IN ('EU', 'O''x')", {{"region", "O'x"}}), kYes);
  EXPECT_EQ(Ask("region NOT IN ('EU')", {{"region", "eu"}}), kYes);
  EXPECT_EQ(Ask("code = 'ab'", {{"code", "ab   "}}), kYes);
  EXPECT_EQ(Ask("region = 'ab'", {{"region", "ab "}}), kNo);
  EXPECT_EQ(
      Ask("ref = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", {{"ref", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}}),
      kYes);
  EXPECT_EQ(Ask("\"Odd \"\"Name\"\"\" <> 3", {{"Odd \"Name\"", "4"}}), kYes);
}

TEST(RowFilter, TimesAtPostgresLimits) {
  const std::string filter = "at > '2026-11-20 09:30:00+01'";
  EXPECT_EQ(Ask(filter, {{"at", "294276-12-31 23:59:59.999999+00"}}), kYes);
  EXPECT_EQ(Ask(filter, {{"at", "294247-01-10 04:00:54.775807+00"}}), kYes);
  EXPECT_EQ(Ask(filter, {{"at", "4714-11-24 00:00:00+00 BC"}}), kNo);
  EXPECT_EQ(Ask(filter, {{"at", "2026-11-20 08:30:00+00"}}), kNo);
  EXPECT_EQ(Ask(filter, {{"at", "2026-11-20 08:30:00.000001+00"}}), kYes);
  EXPECT_EQ(Ask(filter, {{"at", "9999999-12-31 00:00:00+00"}}), kUntold) << "beyond 64 bits";
  EXPECT_EQ(ParseFilterValue(FilterType::kTimestamp, "294276-12-31 23:59:59.999999")->rank, 0);
}

TEST(RowFilter, AnEmptyNameIsNoColumn) {
  const auto bound = Bound("\"\" = 'x'");
  ASSERT_FALSE(bound);
  EXPECT_NE(bound.error().message.find("there is no column ''"), std::string::npos) << bound.error().message;
}

TEST(RowFilter, NumericsOfAnySizeAreInOrder) {
  const std::vector<std::string> rising = {"-Infinity", "-100",  "-51.0", "-51",
                                           "-50",       "-5.10", "-5.1",  "-0.51",
                                           "-0.5",      "-0.05", "0",     "0.000",
                                           "0.05",      "0.5",   "0.51",  "5",
                                           "5.10",      "51",    "100",   "123456789012345678901234567890.5",
                                           "Infinity",  "NaN"};
  const auto equal = [](const std::string& a, const std::string& b) {
    return (a == "-51.0" && b == "-51") || (a == "-5.10" && b == "-5.1") || (a == "0" && b == "0.000");
  };
  for (size_t i = 0; i + 1 < rising.size(); i++) {
    const auto low = ParseFilterValue(FilterType::kNumeric, rising[i]);
    const auto high = ParseFilterValue(FilterType::kNumeric, rising[i + 1]);
    ASSERT_TRUE(low && high);
    EXPECT_EQ(*low == *high, equal(rising[i], rising[i + 1])) << rising[i] << " " << rising[i + 1];
    EXPECT_LE(*low, *high) << rising[i] << " " << rising[i + 1];
  }
}

TEST(RowFilter, TimesOfAllYearsAreInOrder) {
  const std::vector<std::string> rising = {"-infinity",  "4713-01-01 BC", "0001-12-31 BC", "0001-01-01",
                                           "1969-12-31", "1970-01-01",    "2024-02-29",    "2024-03-01",
                                           "9999-12-31", "10000-01-01",   "5874897-12-31", "infinity"};
  for (size_t i = 0; i + 1 < rising.size(); i++) {
    EXPECT_LT(*ParseFilterValue(FilterType::kDate, rising[i]),
              *ParseFilterValue(FilterType::kDate, rising[i + 1]));
  }
  EXPECT_EQ(*ParseFilterValue(FilterType::kTimestamptz, "2026-11-20 09:30:00.25+00"),
            *ParseFilterValue(FilterType::kTimestamptz, "2026-11-20T11:00:00.250000+01:30"));
  EXPECT_LT(*ParseFilterValue(FilterType::kTimestamp, "2026-11-20 09:30:00"),
            *ParseFilterValue(FilterType::kTimestamp, "2026-11-20 09:30:00.000001"));
  EXPECT_FALSE(ParseFilterValue(FilterType::kDate, "2023-02-29"));
}

TEST(RowFilter, HasThreeValuesAndWhatIsNotTold) {
  EXPECT_EQ(Ask("id > 5", {}), kNull);
  EXPECT_EQ(Ask("NOT id > 5", {}), kNull);
  EXPECT_EQ(Ask("id IS NULL", {}), kYes);
  EXPECT_EQ(Ask("id IS NOT NULL AND region = 'EU'", {{"region", "EU"}}), kNo);
  EXPECT_EQ(Ask("id > 5 OR region = 'EU'", {{"region", "EU"}}), kYes);
  EXPECT_EQ(Ask("id > 5 AND region = 'EU'", {{"region", "?"}}), kUntold);
  EXPECT_EQ(Ask("id > 5 AND region = 'EU'", {{"id", "5"}, {"region", "?"}}), kNo);
  EXPECT_EQ(Ask("region IS NULL", {{"region", "?"}}), kUntold);
  // AND before OR, NOT before both.
  EXPECT_EQ(Ask("id = 1 OR id = 2 AND region = 'EU'", {{"id", "1"}, {"region", "US"}}), kYes);
  EXPECT_EQ(Ask("(id = 1 OR id = 2) AND region = 'EU'", {{"id", "1"}, {"region", "US"}}), kNo);
  EXPECT_EQ(Ask("NOT id = 1 OR id = 1", {{"id", "1"}}), kYes);
}

TEST(RowFilter, SqlIsMadeOfWhatWasParsed) {
  const auto sql = [](const std::string& text) { return FilterSql(*Bound(text)); };
  EXPECT_EQ(sql("Region in('x''y', 'z') and not ID>=+5"),
            "((\"region\" COLLATE \"C\" = 'x''y'::text OR \"region\" COLLATE \"C\" = 'z'::text) AND (NOT "
            "(\"id\" >= "
            "'5'::int8)))");
  EXPECT_EQ(sql("\"Odd \"\"Name\"\"\" IS NOT NULL"), "(NOT (\"Odd \"\"Name\"\"\" IS NULL))");
}

TEST(RowFilter, MistakesAreNamedWithTheirPlace) {
  const std::vector<std::pair<std::string, std::string>> mistakes = {
      {"", "character 1: a column"},
      {"id", "character 3: =, <>"},
      {"id = ", "character 6: a number"},
      {"id = 5 region", "character 8: AND, OR or the end"},
      {"id = 5; DROP TABLE x", "character 7: ';'"},
      {"id = 'five'", "'five' is no value for column 'id'"},
      {"id = 5.5", "'5.5' is no value"},
      {"id = 99999999999999999999", "is no value"},
      {"idd = 5", "there is no column 'idd'"},
      {"weight > 1", "cannot be filtered by a column of the type of 'weight'"},
      {"region > 'a'", "only =, <> and IN"},
      {"at > '2026-01-01'", "a time with its offset"},
      {"day = '2023-02-29'", "'2023-02-29' is no value"},
      {"day = '12026-01-01'", "is no value"},
      {"(id = 5", "')' is expected"},
      {"region = 'open", "is not closed"},
      {"id IN ()", "a number"},
      {"id = NULL", "'NULL' stands there"},
      {"lower(region) = 'eu'", "character 6: =, <>"},
      {std::string(200, '(') + "id = 1" + std::string(200, ')'), "nested too deeply"},
  };
  for (const auto& [text, message] : mistakes) {
    const auto filter = Bound(text);
    ASSERT_FALSE(filter) << text;
    EXPECT_NE(filter.error().message.find(message), std::string::npos)
        << text << " -> " << filter.error().message;
  }
}

class StreamFilterTest : public testing::TestWithParam<char> {
 protected:
  StreamFilter Filter(const std::string& text) const {
    std::vector<bool> key(kColumns.size());
    key[0] = true;
    return {*Bound(text), std::move(key), GetParam() == 'f'};
  }
};

TEST_P(StreamFilterTest, WhatAChangeTellsDependsOnTheReplicaIdentity) {
  const bool full = GetParam() == 'f';
  StreamFilter filter = Filter("region = 'EU'");
  const auto eu = Row({{"id", "1"}, {"region", "EU"}});
  const auto us = Row({{"id", "1"}, {"region", "US"}});
  const auto key = Row({{"id", "1"}});
  EXPECT_EQ(filter.Judge('I', eu, {}), RowFate::kKept);
  EXPECT_EQ(filter.Judge('I', us, {}), RowFate::kOutside);
  EXPECT_EQ(filter.Judge('U', eu, {}), RowFate::kKept);
  EXPECT_EQ(filter.Judge('U', us, {}), RowFate::kLeaves);
  EXPECT_EQ(filter.Judge('U', us, full ? us : key), full ? RowFate::kOutside : RowFate::kLeaves);
  EXPECT_EQ(filter.Judge('D', full ? us : key, {}), full ? RowFate::kOutside : RowFate::kLeaves);
  EXPECT_EQ(filter.Judge('D', full ? eu : key, {}), RowFate::kLeaves);
  const auto untouched = Row({{"id", "1"}, {"region", "?"}});
  EXPECT_EQ(filter.Judge('U', untouched, {}), RowFate::kUntold);
  EXPECT_EQ(filter.Judge('U', untouched, full ? eu : key), full ? RowFate::kKept : RowFate::kUntold);
}

TEST_P(StreamFilterTest, AKeyThatIsFilteredByTellsAlone) {
  if (GetParam() == 'f') return;  // Then all of the old row is told.
  StreamFilter filter = Filter("id > 10");
  EXPECT_EQ(filter.Judge('D', Row({{"id", "1"}}), {}), RowFate::kOutside);
  EXPECT_EQ(filter.Judge('D', Row({{"id", "11"}}), {}), RowFate::kLeaves);
  EXPECT_EQ(filter.Judge('U', Row({{"id", "1"}, {"region", "?"}}), {}), RowFate::kOutside);
  EXPECT_EQ(filter.Judge('U', Row({{"id", "1"}}), Row({{"id", "11"}})), RowFate::kLeaves);
}

INSTANTIATE_TEST_SUITE_P(Identities, StreamFilterTest, testing::Values('d', 'f'));

}  // namespace
}  // namespace tarn::cdc
