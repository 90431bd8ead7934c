#include <arrow/api.h>
#include <gtest/gtest.h>

#include <set>

#include "hudi/bloom_filter.h"
#include "hudi/file_name.h"
#include "hudi/identity_marks.h"
#include "hudi/key_index.h"
#include "hudi/key_spool.h"
#include "hudi/log_block.h"
#include "hudi/properties.h"
#include "hudi/record_key.h"
#include "hudi/test_folder.h"
#include "hudi/timeline.h"

namespace tarn::hudi {
namespace {

TEST(HudiProperties, ChecksumsMatchSparks) {
  EXPECT_EQ(TableChecksum("default", "v6_trips_8i3d"), "3180720914");
  EXPECT_EQ(TableChecksum("", "hudi-v6-table-mor_table"), "1066950656");
}

TEST(HudiProperties, RoundTripWithBackslashesAndSparksEscapes) {
  const Properties properties{{"a.b", "x=y:z\\d"}, {"c", ""}};
  EXPECT_EQ(ParseProperties(FormatProperties(properties)), properties);
  EXPECT_EQ(ParseProperties("#x\nhoodie.k=a\\:b\n").at("hoodie.k"), "a:b");
}

TEST(HudiProperties, RefusesOtherVersionsAndMetadataTables) {
  Properties properties{
      {"hoodie.table.name", "t"}, {"hoodie.table.version", "8"}, {"hoodie.timeline.layout.version", "2"}};
  EXPECT_TRUE(OptionsOf(properties, false));
  EXPECT_EQ(OptionsOf(properties, true).error().code, ErrorCode::kUnsupported);
  for (const char* version : {"5", "7", "10"}) {
    properties["hoodie.table.version"] = version;
    EXPECT_EQ(OptionsOf(properties, false).error().code, ErrorCode::kUnsupported) << version;
  }
  properties["hoodie.table.version"] = "6";
  EXPECT_EQ(OptionsOf(properties, false).error().code, ErrorCode::kUnsupported) << "layout 2";
  properties["hoodie.timeline.layout.version"] = "1";
  properties["hoodie.table.metadata.partitions"] = "files";
  EXPECT_TRUE(OptionsOf(properties, false));
  EXPECT_EQ(OptionsOf(properties, true).error().code, ErrorCode::kUnsupported);
}

TEST(HudiNames, ParseWhatTheyFormat) {
  const auto base = ParseBaseFileName(FormatBaseFileName("abc-0", "0-0-0", "20261122101500123"));
  ASSERT_TRUE(base);
  EXPECT_EQ(base->file_id, "abc-0");
  EXPECT_EQ(base->instant, "20261122101500123");
  const auto log = ParseLogFileName(FormatLogFileName("abc-0", "20261122101500123", 12, "1-0-1"));
  ASSERT_TRUE(log);
  EXPECT_EQ(log->version, 12);
  EXPECT_EQ(log->token, "1-0-1");
  EXPECT_EQ(log->base_instant, "20261122101500123");
  EXPECT_FALSE(ParseLogFileName(".abc-0_20261122101500123.log.1_1-0-1.cdc"));
  EXPECT_FALSE(ParseLogFileName(".hoodie_partition_metadata"));
  EXPECT_FALSE(ParseBaseFileName("notes.parquet"));
  const std::string id = NewFileId();
  EXPECT_EQ(id.size(), 38U);
  EXPECT_NE(id, NewFileId());
}

TEST(HudiInstant, RoundTrips) {
  EXPECT_EQ(FormatInstant(*ParseInstant("20261122101500123")), "20261122101500123");
  EXPECT_EQ(FormatInstant(*ParseInstant("20261122101500")), "20261122101500999");
  EXPECT_FALSE(ParseInstant("2026-11-22"));
}

TEST(HudiLog, RollbackBlockVector) {
  std::string bytes;
  AppendBlock(BlockType::kCommand, {{0, "20240402144910683"}, {1, "20240402123035233"}, {3, "0"}}, "",
              &bytes);
  ASSERT_EQ(bytes.size(), 105U);
  EXPECT_EQ(bytes.substr(0, 14), std::string("#HUDI#\0\0\0\0\0\0\0\x5b", 14));
  EXPECT_EQ(bytes.substr(97), std::string("\0\0\0\0\0\0\0\x61", 8));
  const auto blocks = ParseBlocks(bytes, "x");
  ASSERT_TRUE(blocks);
  ASSERT_EQ(blocks->size(), 1U);
  EXPECT_EQ((*blocks)[0].target_instant, "20240402123035233");
  EXPECT_EQ((*blocks)[0].command, "0");
}

TEST(HudiLog, DamagedBlocksAreSkippedUpToTheNext) {
  std::string bytes;
  AppendBlock(BlockType::kAvro, {{0, "1"}}, "first", &bytes);
  const size_t end_of_first = bytes.size();
  AppendBlock(BlockType::kAvro, {{0, "2"}}, "second", &bytes);
  const size_t end_of_second = bytes.size();
  AppendBlock(BlockType::kAvro, {{0, "3"}}, "third", &bytes);
  bytes.erase(end_of_second - 5, 5);
  const auto blocks = ParseBlocks(bytes, "x");
  ASSERT_TRUE(blocks);
  ASSERT_EQ(blocks->size(), 2U);
  EXPECT_EQ((*blocks)[0].content, "first");
  EXPECT_EQ((*blocks)[1].content, "third");
  EXPECT_EQ(ParseBlocks(bytes.substr(0, end_of_first - 1), "x")->size(), 0U);
  EXPECT_EQ(ParseBlocks("garbage", "x.log").error().code, ErrorCode::kCorrupt);
}

TEST(HudiLog, DeletesRoundTrip) {
  const auto records = ParseDeletes(DeleteContent({{"k1", "p=1", 77}, {"k2", "", std::nullopt}}), "x");
  ASSERT_TRUE(records);
  ASSERT_EQ(records->size(), 2U);
  EXPECT_EQ((*records)[0].key, "k1");
  EXPECT_EQ((*records)[0].partition, "p=1");
  EXPECT_EQ((*records)[0].ordering, 77);
  EXPECT_FALSE((*records)[1].ordering);
}

TEST(HudiBloom, WireFormAndFolding) {
  const std::string bytes = BloomBytes(30, 2587966, 60000, 1, std::string(323496, '\0'));
  EXPECT_EQ(bytes.substr(0, 13), std::string("\xff\xff\xff\xff\0\0\0\x1e\x01\0\x27\x7d\x3e", 13));
  EXPECT_EQ(bytes.size(), 13 + 12 + 13 + 323496U);
  EXPECT_EQ(Base64("a"), "YQ==");
  EXPECT_EQ(Base64("abcd"), "YWJjZA==");
  BloomFilter empty;
  EXPECT_EQ(empty.Serialize().size(), (38 + 128 + 2) / 3 * 4U);
}

TEST(HudiBloom, MurmurTakesTheTailFromTheEndSigned) {
  // The tail is the key's last bytes, each sign-extended; a plain Murmur2 gives other values.
  EXPECT_EQ(HudiMurmur("", 0), 0);
  EXPECT_NE(HudiMurmur("\xe4", 0), HudiMurmur("\x64", 0));
  EXPECT_NE(HudiMurmur("abcdx", 1), HudiMurmur("abcdy", 1));
}

TableOptions Orders() {
  TableOptions options;
  options.name = "orders";
  options.key_fields = {"tenant", "id", "line"};
  options.identity_fields = {"id", "line"};
  options.partition_fields = {"tenant"};
  return options;
}

std::shared_ptr<arrow::RecordBatch> Texts(const std::vector<std::vector<const char*>>& columns,
                                          const std::vector<std::string>& names) {
  arrow::ArrayVector arrays;
  arrow::FieldVector fields;
  for (size_t i = 0; i < columns.size(); i++) {
    arrow::StringBuilder builder;
    for (const char* value : columns[i]) {
      EXPECT_TRUE(value == nullptr ? builder.AppendNull().ok() : builder.Append(value).ok());
    }
    arrays.push_back(*builder.Finish());
    fields.push_back(arrow::field(names[i], arrow::utf8()));
  }
  return arrow::RecordBatch::Make(arrow::schema(fields), static_cast<int64_t>(columns[0].size()), arrays);
}

TEST(HudiKey, EscapesKeepDifferentKeysApart) {
  const auto format = KeyFormat::Make(Orders());
  ASSERT_TRUE(format);
  const auto rows =
      Texts({{"a/b", nullptr, "", "t%"}, {"1,line:2", "x", "__null__", nullptr}, {"3", "", "y", "z%2C"}},
            {"tenant", "id", "line"});
  const auto keys = format->FromRows(*rows);
  ASSERT_TRUE(keys);
  EXPECT_EQ(keys->keys->GetString(0), "tenant:a/b,id:1%2Cline%3A2,line:3");
  EXPECT_EQ(keys->keys->GetString(1), "tenant:__null__,id:x,line:__empty__");
  EXPECT_EQ(keys->keys->GetString(2), "tenant:__null__,id:%5F_null__,line:y");
  EXPECT_EQ(keys->keys->GetString(3), "tenant:t%25,id:__null__,line:z%252C");
  EXPECT_EQ(keys->paths[keys->partitions[0]], "tenant=a%2Fb");
  EXPECT_EQ(keys->paths[keys->partitions[1]], "tenant=__HIVE_DEFAULT_PARTITION__");
  EXPECT_EQ(PartitionValues("tenant=a%2Fb/m=2026-11"), (std::vector<std::string>{"a/b", "2026-11"}));
  // From the identity and the partition alone comes the same key, and from the key the same identity.
  const auto identities = format->FromIdentities(
      *Texts({{"1,line:2", "x", "__null__", nullptr}, {"3", "", "y", "z%2C"}}, {"id", "line"}));
  ASSERT_TRUE(identities);
  for (size_t row = 0; row < 4; row++) {
    const std::string key = keys->keys->GetString(static_cast<int64_t>(row));
    EXPECT_EQ(identities->identities[row], keys->identities[row]);
    EXPECT_EQ(format->IdentityOf(key), keys->identities[row]);
    EXPECT_EQ(format->KeyIn(keys->paths[keys->partitions[row]], &identities->pieces[row * 2]), key);
  }
}

TEST(HudiKey, AValueThatReadsLikeTheFolderOfNullsHasTheirKey) {
  const auto format = KeyFormat::Make(Orders());
  ASSERT_TRUE(format);
  const auto keys =
      format->FromRows(*Texts({{kNullPartition}, {kNullPartition}, {"3"}}, {"tenant", "id", "line"}));
  const auto identities = format->FromIdentities(*Texts({{kNullPartition}, {"3"}}, {"id", "line"}));
  ASSERT_TRUE(keys && identities);
  EXPECT_EQ(keys->keys->GetString(0), "tenant:__null__,id:__HIVE_DEFAULT_PARTITION__,line:3");
  EXPECT_EQ(format->KeyIn(keys->paths[0], identities->pieces.data()), keys->keys->GetString(0));
}

TEST(HudiKey, OneFieldIsThePlainValue) {
  TableOptions options;
  options.name = "t";
  options.key_fields = options.identity_fields = {"id"};
  const auto format = KeyFormat::Make(options);
  ASSERT_TRUE(format);
  const auto keys = format->FromRows(*Texts({{"a:b,c%"}}, {"id"}));
  ASSERT_TRUE(keys);
  EXPECT_EQ(keys->keys->GetString(0), "a:b,c%");
  EXPECT_EQ(keys->paths[0], "");
  EXPECT_EQ(format->IdentityOf("a:b,c%"), keys->identities[0]);
}

TEST(HudiKey, OneFieldKeepsPlaceholdersApart) {
  TableOptions options;
  options.name = "t";
  options.key_fields = options.identity_fields = {"id"};
  const auto format = KeyFormat::Make(options);
  ASSERT_TRUE(format);
  const std::vector<const char*> values = {"",           "__empty__",     "%5F_empty__", "%255F_empty__",
                                           "__null__",   "%5F_null__",    "%,_null__",   "%2C_null__",
                                           "%25_null__", "%252C_empty__", nullptr};
  const auto rows = Texts({values}, {"id"});
  const auto keys = format->FromRows(*rows);
  const auto identities = format->FromIdentities(*rows);
  ASSERT_TRUE(keys && identities);
  std::set<std::string> different;
  for (size_t row = 0; row < values.size(); row++) {
    const std::string key = keys->keys->GetString(static_cast<int64_t>(row));
    EXPECT_TRUE(different.insert(key).second) << key;
    EXPECT_EQ(identities->identities[row], keys->identities[row]);
    EXPECT_EQ(format->IdentityOf(key), keys->identities[row]);
    EXPECT_EQ(format->KeyIn("", &identities->pieces[row]), key);
  }
}

TEST(KeyIndex, AgreesWithAMapThroughGrowthErasureAndReopening) {
  const TestFolder folder;
  std::unordered_map<Hash128, uint32_t, HashOfHash> expected;
  uint64_t state = 42;
  const auto next = [&] { return state = state * 6364136223846793005ULL + 1442695040888963407ULL; };
  {
    KeyIndex index;
    ASSERT_TRUE(index.Reset(folder.path() + "/keys", 0));
    for (int i = 0; i < 50000; i++) {
      const Hash128 key = HashText(std::to_string((next() >> 33) % 20000));
      ASSERT_TRUE(index.Reserve(1));
      if (next() >> 62 == 0) {
        index.Erase(key);
        expected.erase(key);
      } else {
        EXPECT_EQ(index.Put(key, {static_cast<uint32_t>(i), 7}), !expected.contains(key));
        expected[key] = static_cast<uint32_t>(i);
      }
    }
    EXPECT_EQ(index.size(), static_cast<int64_t>(expected.size()));
    ASSERT_TRUE(index.CloseCleanly("20261122101500123", 5));
  }
  KeyIndex index;
  EXPECT_FALSE(*index.Load(folder.path() + "/keys", "20261122101500124", 5));
  ASSERT_TRUE(*index.Load(folder.path() + "/keys", "20261122101500123", 5));
  for (int i = 0; i < 20000; i++) {
    const Hash128 key = HashText(std::to_string(i));
    const auto at = expected.find(key);
    EXPECT_EQ(index.Find(key).group, at == expected.end() ? RowPlace::kNowhere : at->second);
  }
  // The first change makes it unclean on disk.
  ASSERT_TRUE(index.Reserve(1));
  KeyIndex second;
  EXPECT_FALSE(*second.Load(folder.path() + "/keys", "20261122101500123", 5));
}

TEST(KeySpool, BuildsTheIndexThatPutWouldAndFindsWhatComesTwice) {
  const TestFolder folder;
  // More than one chunk of the spool and more than one stretch of the index would be large; one of each and a
  // rest do.
  constexpr uint32_t kKeys = 80'000;
  const auto identity = [](uint32_t i) { return HashText("key " + std::to_string(i)); };
  KeyIndex index;
  RowPlace twice;
  {
    KeySpool spool(folder.path() + "/keys");
    for (uint32_t i = 0; i < kKeys; i++) ASSERT_TRUE(spool.Add(identity(i), {i % 7, i}));
    ASSERT_TRUE(spool.BuildInto(&index, &twice));
  }
  EXPECT_EQ(twice.group, RowPlace::kNowhere);
  EXPECT_EQ(index.size(), kKeys);
  for (uint32_t i = 0; i < kKeys; i++) {
    const RowPlace place = index.Find(identity(i));
    ASSERT_EQ(place.group, i % 7);
    ASSERT_EQ(place.position, i);
  }
  EXPECT_EQ(index.Find(identity(kKeys)).group, RowPlace::kNowhere);
  KeySpool again(folder.path() + "/keys");
  ASSERT_TRUE(again.Add(identity(kKeys), {1, 1}));
  ASSERT_TRUE(again.Add(identity(5), {3, 9}));
  ASSERT_TRUE(again.BuildInto(&index, &twice));
  EXPECT_EQ(twice.group, 3u);
  EXPECT_EQ(twice.position, 9u);
  EXPECT_EQ(index.Find(identity(kKeys)).group, 1u) << "what was there stays, and more comes";
}

TEST(HudiIdentityMarks, TheGreatestMarkStays) {
  const TestFolder folder;
  auto marks = std::move(*IdentityMarks::Make(folder.path() + "/marks", {"tenant", "id"}));
  const auto rows = [](std::vector<std::pair<int64_t, std::string>> keys) {
    arrow::Int64Builder tenants;
    arrow::StringBuilder ids;
    for (const auto& [tenant, id] : keys) {
      (void)tenants.Append(tenant);
      (void)ids.Append(id);
    }
    const auto shape =
        arrow::schema({arrow::field("tenant", arrow::int64()), arrow::field("id", arrow::utf8())});
    return arrow::RecordBatch::Make(shape, static_cast<int64_t>(keys.size()),
                                    {*tenants.Finish(), *ids.Finish()});
  };
  constexpr int64_t kLarge = (int64_t{3} << 56) + 12345;
  ASSERT_TRUE(
      marks->Note(*rows({{1, "a"}, {1, "b"}, {2, "a"}, {1, "a"}}), std::vector<int64_t>{7, 8, kLarge, 5}));
  ASSERT_TRUE(marks->Note(*rows({{1, "b"}}), std::vector<int64_t>{9}));
  // More than it began with room for.
  for (int64_t i = 0; i < 5000; i++) ASSERT_TRUE(marks->Note(*rows({{i, "c"}}), std::vector<int64_t>{i}));
  const auto found = marks->Find(*rows({{1, "a"}, {1, "b"}, {2, "a"}, {2, "b"}, {0, "c"}, {4999, "c"}}));
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, (std::vector<int64_t>{7, 9, kLarge, IdentityMarks::kNone, 0, 4999}));
  EXPECT_EQ(marks->size(), 5003);
}

}  // namespace
}  // namespace tarn::hudi
