#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "catalog/lake_layout.h"
#include "catalog/lake_version.h"
#include "catalog/table_registry.h"

namespace tarn::catalog {
namespace {

class CatalogTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "tarn-catalog-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    storage_ = std::move(*storage::OpenLocalStorage(root_ + "/_tarn/staging"));
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  LakeLayout layout() const { return LakeLayout(root_); }

  std::string root_;
  std::unique_ptr<storage::Storage> storage_;
};

std::string Instant(int i) { return fmt::format("202611221015{:05}", i); }

TEST_F(CatalogTest, ATimeMeansTheNewestVersionAtOrBeforeIt) {
  auto versions = std::move(*LakeVersions::Open(storage_.get(), layout()));
  EXPECT_EQ(versions->Find(std::nullopt).error().code, ErrorCode::kNotFound);
  for (int i = 1; i <= 3; i++)
    ASSERT_TRUE(versions->Publish(*storage_, {Instant(i), 0, Lsn{uint64_t(i)}, i * 1000, {"t"}, {}}));
  EXPECT_EQ(versions->Find(std::nullopt)->lsn.value, 3U);
  EXPECT_EQ(versions->Find(2999)->lsn.value, 2U);
  EXPECT_EQ(versions->Find(3000)->lsn.value, 3U);
  const auto before = versions->Find(999);
  ASSERT_FALSE(before);
  EXPECT_NE(before.error().message.find("1970-01-01 00:00:00.001000"), std::string::npos);
  // Another process sees the same.
  auto other = std::move(*LakeVersions::Open(storage_.get(), layout()));
  EXPECT_EQ(other->Find(2000)->instant, Instant(2));
  EXPECT_EQ(*versions->Prune(*storage_, 2500), 1);
  EXPECT_EQ(versions->Find(2500)->instant, Instant(2));
}

TEST_F(CatalogTest, GoldIsNeverNewerThanTheVersionItIsReadWith) {
  auto versions = std::move(*LakeVersions::Open(storage_.get(), layout()));
  for (int i : {1, 5})
    ASSERT_TRUE(versions->Publish(*storage_, {Instant(i), 0, Lsn{uint64_t(i)}, i * 1000, {}, {}}));
  ASSERT_TRUE(versions->PublishGold(*storage_, {Instant(3), Instant(1), 1000, {"m"}}));
  ASSERT_TRUE(versions->PublishGold(*storage_, {Instant(7), Instant(5), 5000, {"m"}}));
  EXPECT_EQ((*versions->FindGold(*versions->Find(1000)))->instant, Instant(3));
  EXPECT_EQ((*versions->FindGold(*versions->Find(std::nullopt)))->instant, Instant(7));
}

TEST_F(CatalogTest, OneWriterOnly) {
  auto lease = WriterLease::Take(layout());
  ASSERT_TRUE(lease);
  const auto second = WriterLease::Take(layout());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kConflict);
  EXPECT_NE(second.error().message.find(std::to_string(::getpid())), std::string::npos);
  lease->reset();
  EXPECT_TRUE(WriterLease::Take(layout()));
}

TEST_F(CatalogTest, ALakeOfANewerTarnIsRefused) {
  EXPECT_EQ(ReadIdentity(*storage_, layout()).error().code, ErrorCode::kNotFound);
  LakeIdentity identity{LakeIdentity::kFormat, "77", 1, 2};
  ASSERT_TRUE(WriteIdentity(*storage_, layout(), identity));
  EXPECT_EQ(ReadIdentity(*storage_, layout())->epoch, 2);
  identity.format = LakeIdentity::kFormat + 1;
  ASSERT_TRUE(WriteIdentity(*storage_, layout(), identity));
  EXPECT_EQ(ReadIdentity(*storage_, layout()).error().code, ErrorCode::kUnsupported);
}

TEST_F(CatalogTest, TablesRoundTrip) {
  TableRegistry registry;
  RegisteredTable table;
  table.source.lake_name = "orders";
  table.source.columns = {{"id", "id", schema::kInt8Oid, -1, schema::MakePgType(schema::kInt8Oid, -1), true}};
  table.tenant_column = "tenant_id";
  table.start = {3, Lsn{99}};
  registry.tables.emplace("orders", table);
  ASSERT_TRUE(registry.Write(*storage_, layout()));
  const auto back = TableRegistry::Read(*storage_, layout());
  EXPECT_EQ(back->tables.at("orders").start, (SourcePosition{3, Lsn{99}}));
  EXPECT_EQ(back->tables.at("orders").source.columns, table.source.columns);
}

}  // namespace
}  // namespace tarn::catalog
