#include "catalog/external_crawl.h"

#include <arrow/type.h>

#include <algorithm>
#include <set>

#include "catalog/external_schema.h"
#include "hudi/record_key.h"
#include "hudi/table.h"
#include "parquet/parquet_reader.h"
#include "schema/table_schema.h"

namespace tarn::catalog {
namespace {

using What = CrawlFinding::What;

constexpr int kDeepest = 32;  ///< Beyond it folders are passed over: a link may lead back up.
constexpr int64_t kReportFiles = 256;

bool IsHidden(const std::string& name) { return name.starts_with('.') || name.starts_with('_'); }
bool IsPartition(const std::string& name) { return name.find('=') != std::string::npos && name[0] != '='; }

/// A folder that is one table.
struct FoundTable {
  ExternalTable::Kind kind = ExternalTable::Kind::kParquet;
  std::string path;
  std::map<std::string, storage::FileInfo> files;  ///< Of Parquet, by path below `path`.
};

class Walk {
 public:
  Walk(const storage::Storage& storage, const CrawlOptions& options) : storage_(storage), options_(options) {}

  Status Search(const std::string& folder, int depth) {
    TARN_RETURN_IF_ERROR(Check());
    TARN_ASSIGN(const auto entries, storage_.List(folder));
    const auto any = [&](const auto& is_it) { return std::any_of(entries.begin(), entries.end(), is_it); };
    if (any([](const auto& entry) { return entry.is_directory && entry.name == ".hoodie"; })) {
      found_.push_back({ExternalTable::Kind::kHudi, folder, {}});
      return {};
    }
    const bool is_table = any([](const storage::FileInfo& entry) {
      return entry.is_directory ? IsPartition(entry.name) && !IsHidden(entry.name) : IsData(entry.name);
    });
    if (is_table) {
      FoundTable table{ExternalTable::Kind::kParquet, folder, {}};
      TARN_RETURN_IF_ERROR(Collect(folder, "", depth, &table));
      if (!table.files.empty()) found_.push_back(std::move(table));
      return {};
    }
    if (depth == kDeepest) return {};
    for (const auto& entry : entries) {
      if (entry.is_directory && !IsHidden(entry.name))
        TARN_RETURN_IF_ERROR(Search(folder + "/" + entry.name, depth + 1));
    }
    return {};
  }
  std::vector<FoundTable>& found() { return found_; }

 private:
  static bool IsData(const std::string& name) { return name.ends_with(".parquet") && !IsHidden(name); }
  Status Check() const { return options_.cancel == nullptr ? Status{} : options_.cancel->Check(); }

  Status Collect(const std::string& folder, const std::string& below, int depth, FoundTable* table) {
    TARN_RETURN_IF_ERROR(Check());
    TARN_ASSIGN(const auto entries, storage_.List(folder));
    for (const auto& entry : entries) {
      if (IsHidden(entry.name)) continue;
      const std::string path = below + entry.name;
      if (!entry.is_directory) {
        if (IsData(entry.name)) table->files[path] = entry;
      } else if (depth < kDeepest) {
        TARN_RETURN_IF_ERROR(Collect(folder + "/" + entry.name, path + "/", depth + 1, table));
      }
    }
    return {};
  }

  const storage::Storage& storage_;
  const CrawlOptions& options_;
  std::vector<FoundTable> found_;
};

/// "year=2026/month=11/a.parquet" gives year and month. Errors: kUnsupported where a folder has no such name.
Result<std::vector<std::string>> PartitionFields(const std::string& path) {
  std::vector<std::string> fields;
  size_t begin = 0;
  for (size_t end = path.find('/'); end != std::string::npos; end = path.find('/', begin)) {
    const std::string folder = path.substr(begin, end - begin);
    if (!IsPartition(folder)) {
      return MakeError(
          ErrorCode::kUnsupported,
          "'{}' is in a folder that is no COLUMN=VALUE; give folders of files a root of their own", path);
    }
    fields.push_back(folder.substr(0, folder.find('=')));
    begin = end + 1;
  }
  return fields;
}

class ParquetTable {
 public:
  ParquetTable(const storage::Storage& storage, const FoundTable& found, const ExternalTable* before)
      : storage_(storage), found_(found), before_(before) {}

  Status Read(const CrawlOptions& options, int64_t* looked_at, CrawlFinding* finding, ExternalTable* table) {
    MergedSchema merged = Begin(table);
    std::vector<std::vector<std::string>> values;
    bool first = true;
    for (const auto& [path, info] : found_.files) {
      if (options.cancel != nullptr) TARN_RETURN_IF_ERROR(options.cancel->Check());
      if (++*looked_at % kReportFiles == 0 && options.report) options.report(*looked_at);
      TARN_ASSIGN(const auto fields, PartitionFields(path));
      if (!first && fields != table->partition_fields) {
        return MakeError(ErrorCode::kUnsupported,
                         "'{}' is in folders by ({}) and others are in folders by ({})", path,
                         fmt::join(fields, ", "), fmt::join(table->partition_fields, ", "));
      }
      table->partition_fields = fields;
      first = false;
      TARN_ASSIGN(table->files[path], Look(path, info, &merged, finding));
      values.resize(fields.size());
      for (size_t i = 0; i < fields.size(); i++) values[i].push_back(table->files[path].partition[i]);
    }
    table->left_out = merged.left_out();
    return Shape(merged, values, table);
  }

 private:
  /// What the last crawl merged, without the partition fields.
  MergedSchema Begin(ExternalTable* table) {
    if (before_ == nullptr) return {};
    arrow::FieldVector fields;
    for (const auto& field : before_->schema->fields()) {
      const auto& in_folders = before_->partition_fields;
      if (std::find(in_folders.begin(), in_folders.end(), field->name()) == in_folders.end())
        fields.push_back(field);
    }
    table->partition_fields = before_->partition_fields;
    return {*arrow::schema(fields), before_->left_out};
  }

  Result<ExternalFile> Look(const std::string& path, const storage::FileInfo& info, MergedSchema* merged,
                            CrawlFinding* finding) {
    ExternalFile file{info.size_bytes, info.modified_micros, 0, {}};
    const size_t slash = path.rfind('/');
    if (slash != std::string::npos) file.partition = hudi::PartitionValues(path.substr(0, slash));
    if (before_ != nullptr) {
      const auto known = before_->files.find(path);
      const bool is_known = known != before_->files.end();
      if (is_known && known->second.size_bytes == file.size_bytes &&
          known->second.modified_micros == file.modified_micros)
        return known->second;
      (is_known ? finding->files_changed : finding->files_added)++;
    }
    const std::string full = found_.path + "/" + path;
    TARN_ASSIGN(auto input, storage_.Open(full));
    TARN_ASSIGN(const auto reader, parquet::FileReader::Open(std::move(input), full));
    file.rows = reader->rows();
    TARN_RETURN_IF_ERROR(merged->Add(*reader->schema(), path));
    return file;
  }

  /// Partition fields come last; a column of the files by the same name is what the folders say.
  static Status Shape(const MergedSchema& merged, const std::vector<std::vector<std::string>>& values,
                      ExternalTable* table) {
    std::set<std::string> in_folders;
    for (const std::string& field : table->partition_fields) {
      if (!in_folders.insert(schema::LowerName(field)).second)
        return MakeError(ErrorCode::kUnsupported, "two levels of folders are named '{}'", field);
    }
    arrow::FieldVector fields;
    const auto in_files = merged.schema();
    for (const auto& field : in_files->fields()) {
      if (!in_folders.contains(schema::LowerName(field->name()))) fields.push_back(field);
    }
    if (fields.empty())
      return Error{ErrorCode::kUnsupported, "its files have no column of a type that the lake has"};
    for (size_t i = 0; i < table->partition_fields.size(); i++) {
      std::vector<std::string> given;
      std::copy_if(values[i].begin(), values[i].end(), std::back_inserter(given),
                   [](const std::string& value) { return value != hudi::kNullPartition; });
      fields.push_back(arrow::field(table->partition_fields[i], PartitionType(given)));
    }
    table->schema = arrow::schema(std::move(fields));
    return {};
  }

  const storage::Storage& storage_;
  const FoundTable& found_;
  const ExternalTable* before_;  ///< As the last crawl found it; null: it did not.
};

Status ReadHudi(const storage::Storage& storage, ExternalTable* table) {
  TARN_ASSIGN(const auto reader, hudi::TableReader::Open(&storage, table->path, ""));
  TARN_ASSIGN(const auto plan, reader->PlanSnapshot(""));
  table->instant = plan->instant;
  table->partition_fields = plan->partition_fields;
  MergedSchema columns;
  TARN_RETURN_IF_ERROR(columns.Add(*plan->schema, table->path));
  table->schema = columns.schema();
  table->left_out = columns.left_out();
  return {};
}

std::string SqlName(const std::string& text) {
  std::string name;
  for (const char c : text) {
    const bool is_plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    name += is_plain ? c : '_';
  }
  return name.empty() || (name[0] >= '0' && name[0] <= '9') ? "_" + name : name;
}

/// The folder's own name; where others have it already, with those of the folders above it.
std::string NameFor(const std::string& path, const ExternalTables& known) {
  const auto is_taken = [&](const std::string& name) {
    return std::any_of(known.tables.begin(), known.tables.end(), [&](const auto& entry) {
      return schema::LowerName(entry.first) == schema::LowerName(name);
    });
  };
  size_t begin = path.rfind('/');
  while (true) {
    const std::string name = SqlName(path.substr(begin == std::string::npos ? 0 : begin + 1));
    if (!is_taken(name) || begin == std::string::npos || begin == 0) return name;
    begin = path.rfind('/', begin - 1);
  }
}

void TellDifferences(const ExternalTable& before, const ExternalTable& now, CrawlFinding* finding) {
  for (const auto& [path, file] : before.files) finding->files_removed += now.files.contains(path) ? 0 : 1;
  for (const auto& field : now.schema->fields()) {
    if (before.schema->GetFieldByName(field->name()) == nullptr)
      finding->columns_added.push_back(field->name());
  }
  ExternalTable then = before;
  then.crawled_micros = now.crawled_micros;
  then.root = now.root;
  finding->what = then == now ? What::kSame : What::kChanged;
}

/// One crawl of one folder.
class Crawl {
 public:
  Crawl(const storage::Storage& storage, const std::string& root, const CrawlOptions& options,
        int64_t now_micros, ExternalTables* known)
      : storage_(storage), root_(root), options_(options), now_micros_(now_micros), known_(known) {}

  /// Errors: kCancelled.
  Status Take(const FoundTable& found) {
    const auto before = std::find_if(known_->tables.begin(), known_->tables.end(),
                                     [&](const auto& entry) { return entry.second.path == found.path; });
    const bool is_new = before == known_->tables.end();
    there_.insert(found.path);
    CrawlFinding finding;
    finding.path = found.path;
    finding.name = is_new ? NameFor(found.path, *known_) : before->first;
    ExternalTable table;
    const Status read = Read(found, is_new ? nullptr : &before->second, &finding, &table);
    if (!read && read.error().code == ErrorCode::kCancelled) return read.error();
    if (!read) {
      finding.what = What::kRefused;
      finding.reason = read.error().message;
    } else if (is_new) {
      finding.what = What::kNew;
      finding.files_added = static_cast<int64_t>(table.files.size());
      known_->tables[finding.name] = std::move(table);
    } else {
      TellDifferences(before->second, table, &finding);
      before->second = std::move(table);
    }
    findings_.push_back(std::move(finding));
    return {};
  }

  std::vector<CrawlFinding> Finish() {
    for (auto at = known_->tables.begin(); at != known_->tables.end();) {
      const bool is_gone = at->second.root == root_ && !there_.contains(at->second.path);
      if (is_gone) findings_.push_back({What::kGone, at->first, at->second.path, "", 0, 0, 0, {}});
      at = is_gone ? known_->tables.erase(at) : std::next(at);
    }
    return std::move(findings_);
  }

 private:
  Status Read(const FoundTable& found, const ExternalTable* before, CrawlFinding* finding,
              ExternalTable* table) {
    table->kind = found.kind;
    table->path = found.path;
    table->root = root_;
    table->crawled_micros = now_micros_;
    if (found.kind == ExternalTable::Kind::kHudi) return ReadHudi(storage_, table);
    const bool same_kind = before != nullptr && before->kind == found.kind;
    return ParquetTable(storage_, found, same_kind ? before : nullptr)
        .Read(options_, &looked_at_, finding, table);
  }

  const storage::Storage& storage_;
  const std::string& root_;
  const CrawlOptions& options_;
  const int64_t now_micros_;
  ExternalTables* known_;
  std::vector<CrawlFinding> findings_;
  std::set<std::string> there_;  ///< Folders of tables.
  int64_t looked_at_ = 0;
};

}  // namespace

Result<std::vector<CrawlFinding>> CrawlFolder(const storage::Storage& storage, const std::string& root,
                                              const CrawlOptions& options, int64_t now_micros,
                                              ExternalTables* known) {
  if (!storage.Exists(root)) return MakeError(ErrorCode::kNotFound, "there is no folder '{}'", root);
  Walk walk(storage, options);
  TARN_RETURN_IF_ERROR(walk.Search(root, 0));
  Crawl crawl(storage, root, options, now_micros, known);
  for (const FoundTable& found : walk.found()) TARN_RETURN_IF_ERROR(crawl.Take(found));
  return crawl.Finish();
}

}  // namespace tarn::catalog
