#include "hudi/timeline_history.h"

#include <arrow/api.h>

#include <nlohmann/json.hpp>

#include "parquet/parquet_reader.h"

namespace tarn::hudi {
namespace {

Status ReadFile(const storage::Storage& storage, const std::string& path, Timeline* timeline) {
  TARN_ASSIGN(auto file, storage.Open(path));
  TARN_ASSIGN(const auto reader, parquet::FileReader::Open(std::move(file), path));
  return reader->Scan(
      {"instantTime", "completionTime"}, 0, reader->rows(), [&](const auto& rows, int64_t) -> Status {
        const auto column = [&](const char* name) {
          return std::dynamic_pointer_cast<arrow::StringArray>(rows->GetColumnByName(name));
        };
        const auto begun = column("instantTime"), completed = column("completionTime");
        if (!begun || !completed)
          return MakeError(ErrorCode::kCorrupt, "'{}' lacks instantTime or completionTime", path);
        for (int64_t row = 0; row < rows->num_rows(); row++) {
          if (completed->IsValid(row))
            timeline->completions.emplace(begun->GetString(row), completed->GetString(row));
        }
        return {};
      });
}

}  // namespace

Status ReadHistory(const storage::Storage& storage, const std::string& folder, Timeline* timeline) {
  // The version tells which manifest holds; without one nothing was archived yet.
  const auto version = storage.Read(folder + "/_version_");
  if (!version)
    return version.error().code == ErrorCode::kNotFound ? Status() : Status(tl::unexpected(version.error()));
  const std::string path = folder + "/manifest_" + *version;
  TARN_ASSIGN(const std::string text, storage.Read(path));
  const auto manifest = nlohmann::json::parse(text, nullptr, false);
  const auto files = manifest.is_object() ? manifest.find("files") : manifest.end();
  if (!manifest.is_object() || files == manifest.end() || !files->is_array())
    return MakeError(ErrorCode::kCorrupt, "'{}' has no list of files", path);
  for (const auto& file : *files) {
    const auto name = file.is_object() ? file.find("fileName") : file.end();
    if (!file.is_object() || name == file.end() || !name->is_string())
      return MakeError(ErrorCode::kCorrupt, "'{}' has a file without fileName", path);
    TARN_RETURN_IF_ERROR(ReadFile(storage, folder + "/" + name->get<std::string>(), timeline));
  }
  return {};
}

}  // namespace tarn::hudi
