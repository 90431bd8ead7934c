#include "hudi/table_check.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "hudi/file_name.h"
#include "hudi/properties.h"
#include "hudi/table_history.h"
#include "hudi/test_folder.h"

namespace tarn::hudi {
namespace {

namespace fs = std::filesystem;

std::string ReadAll(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void WriteAll(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

/// Files whose name the test says yes to, in order of their paths.
std::vector<fs::path> Files(const fs::path& folder, const std::function<bool(const std::string&)>& wanted) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && wanted(entry.path().filename().string())) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

fs::path NewestCommit(const fs::path& base) {
  return Files(base / ".hoodie", [](const auto& name) { return name.ends_with(".deltacommit"); }).back();
}

fs::path Base(const fs::path& base) {
  return Files(base, [](const auto& name) { return ParseBaseFileName(name).has_value(); }).front();
}

std::vector<fs::path> Logs(const fs::path& base) {
  return Files(base, [](const auto& name) { return ParseLogFileName(name).has_value(); });
}

void SetProperty(const fs::path& base, const std::string& key, const std::string& value) {
  const fs::path path = base / ".hoodie/hoodie.properties";
  Properties properties = ParseProperties(ReadAll(path));
  properties[key] = value;
  WriteAll(path, FormatProperties(properties));
}

/// A base file's copy under another name.
void CopyBase(const fs::path& base, const std::function<void(BaseFileName*)>& rename) {
  const fs::path from = Base(base);
  BaseFileName name = *ParseBaseFileName(from.filename().string());
  rename(&name);
  fs::copy_file(from, from.parent_path() / FormatBaseFileName(name.file_id, name.token, name.instant));
}

struct Damage {
  const char* name;
  std::function<void(const fs::path& base)> plant;
  const char* told;  ///< Part of what the report must say.
};

std::ostream& operator<<(std::ostream& out, const Damage& damage) { return out << damage.name; }

const Damage kDamages[] = {
    {"Checksum", [](const auto& base) { SetProperty(base, "hoodie.table.checksum", "1"); },
     "hoodie.table.checksum is '1'"},
    {"TwoOrderings", [](const auto& base) { SetProperty(base, "hoodie.table.precombine.field", "_lsn,id"); },
     "readers want one field"},
    {"MetadataTable",
     [](const auto& base) { SetProperty(base, "hoodie.table.metadata.partitions", "files"); },
     "has a metadata table"},
    {"EmptyCommit", [](const auto& base) { WriteAll(NewestCommit(base), ""); }, "is not a JSON object"},
    {"NoSchema",
     [](const auto& base) {
       auto json = nlohmann::json::parse(ReadAll(NewestCommit(base)));
       json["extraMetadata"].erase("schema");
       WriteAll(NewestCommit(base), json.dump());
     },
     "has no schema"},
    {"NoBaseFileToldOf",
     [](const auto& base) {
       auto json = nlohmann::json::parse(ReadAll(NewestCommit(base)));
       for (auto& [partition, stats] : json["partitionToWriteStats"].items())
         for (auto& stat : stats) stat.erase("baseFile");
       WriteAll(NewestCommit(base), json.dump());
     },
     "without its baseFile"},
    {"CompletedTwice",
     [](const auto& base) {
       fs::path other = NewestCommit(base);
       fs::copy_file(NewestCommit(base), other.replace_extension(".commit"));
     },
     "completes"},
    {"BaseFileGone", [](const auto& base) { fs::remove(Base(base)); }, "is not there, though"},
    {"LogGone", [](const auto& base) { fs::remove(Logs(base).back()); }, "is not there, though"},
    {"BaseFileLonger", [](const auto& base) { WriteAll(Base(base), ReadAll(Base(base)) + "x"); },
     "bytes, but"},
    {"BaseFileBroken",
     [](const auto& base) { WriteAll(Base(base), std::string(fs::file_size(Base(base)), 'x')); },
     "Parquet magic bytes not found"},
    {"LogLonger", [](const auto& base) { WriteAll(Logs(base)[0], ReadAll(Logs(base)[0]) + "garbage"); },
     "has no whole block at offset"},
    {"LogBroken",
     [](const auto& base) {
       std::string bytes = ReadAll(Logs(base)[0]);
       bytes[2] = 'x';
       WriteAll(Logs(base)[0], bytes);
     },
     "has no block at offset 0"},
    {"LogsOutOfOrder",
     [](const auto& base) {
       const auto logs = Logs(base);
       const std::string first = ReadAll(logs[0]);
       WriteAll(logs[0], ReadAll(logs[1]));
       WriteAll(logs[1], first);
     },
     "but a log before it holds"},
    {"ForeignParquet",
     [](const auto& base) { fs::copy_file(Base(base), Base(base).parent_path() / "part-0.parquet"); },
     "is no base file"},
    {"NoPartitionFile",
     [](const auto& base) { fs::remove(Base(base).parent_path() / ".hoodie_partition_metadata"); },
     "without .hoodie_partition_metadata"},
    {"LeftoverOfNoCommit",
     [](const auto& base) {
       CopyBase(base, [](BaseFileName* name) { name->instant.replace(14, 3, "500"); });
     },
     "belongs to no commit of the timeline"},
    {"LeftoverOfAPendingCommit",
     [](const auto& base) {
       std::string instant;
       CopyBase(base, [&](BaseFileName* name) { instant = name->instant.replace(14, 3, "500"); });
       WriteAll(base / ".hoodie" / (instant + ".deltacommit.requested"), "");
     },
     "belongs to a commit that did not complete"},
    {"LogsAlone",
     [](const auto& base) {
       const fs::path log = Logs(base)[0];
       const LogFileName name = *ParseLogFileName(log.filename().string());
       fs::copy_file(log,
                     log.parent_path() / FormatLogFileName(NewFileId(), name.base_instant, 1, name.token));
     },
     "is a file group of logs alone"},
    {"RowsOfAnotherFile",
     [](const auto& base) {
       const fs::path from = Base(base);
       CopyBase(base, [](BaseFileName* name) { name->token = "9-9-9"; });
       fs::remove(from);
     },
     "says that it is in"},
    {"KeyTwice",
     [](const auto& base) { CopyBase(base, [](BaseFileName* name) { name->file_id = NewFileId(); }); },
     "is twice in partition"},
    {"SequenceNumberTwice",
     [](const auto& base) { CopyBase(base, [](BaseFileName* name) { name->file_id = NewFileId(); }); },
     "has the sequence number"},
    {"StaleChecksums",
     [](const auto& base) {
       const std::string name = "." + Base(base).filename().string() + ".crc";
       WriteAll(Base(base).parent_path() / name, std::string("crc\0\0\0\2\0none", 12));
     },
     "does not fit the checksums"},
    {"StaleChecksumsOfProperties",
     [](const auto& base) {
       WriteAll(base / ".hoodie/.hoodie.properties.crc", std::string("crc\0\0\0\2\0none", 12));
     },
     "does not fit the checksums"},
};

class TableCheckDamage : public testing::TestWithParam<Damage> {};

TEST_P(TableCheckDamage, IsFound) {
  const TestFolder folder;
  History history(folder.path(), false);
  std::mt19937 random(3);
  history.Load(60);
  history.Change(random, 20, 80);
  history.Change(random, 20, 80);
  history.CheckValid();
  ASSERT_GE(Logs(history.base()).size(), 2U);
  GetParam().plant(history.base());
  const auto report = CheckTable(history.storage(), history.base(), folder.path() + "/scratch");
  ASSERT_TRUE(report) << report.error().message;
  std::string all;
  for (const TableFault& fault : report->faults) all += fault.where + ": " + fault.what + "\n";
  EXPECT_NE(all.find(GetParam().told), std::string::npos) << all;
}

INSTANTIATE_TEST_SUITE_P(Planted, TableCheckDamage, testing::ValuesIn(kDamages),
                         [](const auto& damage) { return std::string(damage.param.name); });

}  // namespace
}  // namespace tarn::hudi
