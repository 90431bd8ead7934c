#include "hudi/conformance_history.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "hudi/properties.h"

namespace tarn::hudi {
namespace {

using nlohmann::json;

constexpr int64_t kRetainedMicros = 7'000'000;

}  // namespace

Result<std::unique_ptr<ConformanceHistory>> ConformanceHistory::Make(const std::string& folder,
                                                                     ConformanceCase made) {
  std::unique_ptr<ConformanceHistory> history(new ConformanceHistory(std::move(made)));
  const ConformanceCase& of = history->case_;
  history->path_ = folder + "/" + of.name;
  history->sidecars_ = folder + "/_tarn/" + of.name;
  history->schema_ = ConformanceSchema();
  TARN_ASSIGN(auto storage, storage::OpenLocalStorage(folder + "/_staging/" + of.name));
  history->storage_ = std::make_unique<storage::FailingStorage>(std::move(storage));
  TableOptions options;
  options.name = of.name;
  options.database = "conformance";
  options.type = of.type;
  options.identity_fields = of.identities;
  options.key_fields = of.keys;
  options.partition_fields = of.partitions;
  options.schema = history->schema_;
  options.target_file_bytes = of.target_file_bytes;
  options.sidecar_folder = history->sidecars_;
  TARN_ASSIGN(history->table_, Table::Create(history->storage_.get(), history->path_, options));
  history->PrintColumns();
  return history;
}

Status ConformanceHistory::Run() {
  TARN_RETURN_IF_ERROR(First());
  int commits = 1;
  while (commits < case_.commits) {
    // Changes of the schema come at even distances.
    const auto changes = static_cast<int>(case_.changes.size());
    if (static_cast<int>(changed_) < changes &&
        commits * (changes + 1) >= case_.commits * (static_cast<int>(changed_) + 1))
      TARN_RETURN_IF_ERROR(Evolve());
    const int64_t before = count_;
    TARN_RETURN_IF_ERROR(Step(case_.steps[random_() % case_.steps.size()]));
    commits += count_ > before ? 1 : 0;
  }
  for (const std::string& step : case_.last) TARN_RETURN_IF_ERROR(Step(step));
  return table_->Close();
}

Status ConformanceHistory::Step(const std::string& step) {
  Status done;
  if (auto served = Service(step)) {
    done = std::move(*served);
  } else if (step == "upsert") {
    done = Upsert(40, 12);
  } else if (step == "insert") {
    done = Upsert(60, 0);
  } else if (step == "delete") {
    done = Upsert(0, 30);
  } else if (step == "nothing") {
    done = Upsert(0, 0);
  } else if (step == "replace" || step == "replace_all" || step == "delete_partition" || step == "truncate") {
    done = ReplaceSome(step);
  } else if (step == "reload" || step == "load") {
    done = Reload(step);
  } else if (step == "spool" || step == "spool_truncate") {
    done = Spool(step == "spool_truncate");
  } else {
    done = MakeError(ErrorCode::kInvalidArgument, "'{}' is no step that is known", step);
  }
  if (!done) return std::move(done).error().In(step);
  return {};
}

std::optional<Status> ConformanceHistory::Service(const std::string& step) {
  if (step == "compact" || step == "compact_all") return Compact(step);
  if (step == "clean") return Clean();
  if (step == "archive") return Archive();
  if (step == "cluster") return Cluster();
  if (step == "fail") return Fail();
  if (step == "reopen") return Reopen(random_() % 2 == 0);
  return std::nullopt;
}

Status ConformanceHistory::Compact(const std::string& step) {
  ServiceOptions options;
  options.min_log_files = 2;
  options.max_log_ratio = 0.1;
  options.max_groups_per_compaction = 2;
  TARN_ASSIGN(const auto compacted, table_->Compact(Next(), options, {{"tarn.lsn", std::to_string(count_)}},
                                                    step == "compact_all"));
  if (compacted) Print(step);
  return {};
}

Status ConformanceHistory::Clean() {
  ServiceOptions options;
  options.retain_micros = kRetainedMicros;
  const std::string instant = Next();
  TARN_ASSIGN(const int64_t removed, table_->Clean(instant, options));
  if (removed == 0) return {};
  TARN_ASSIGN(const int64_t now, ParseInstant(instant));
  std::printf("%s\n", json{{"table", case_.name},
                           {"instant", instant},
                           {"step", "clean"},
                           {"from", FormatInstant(now - kRetainedMicros)}}
                          .dump()
                          .c_str());
  return {};
}

Status ConformanceHistory::Archive() {
  ServiceOptions options;
  options.keep_active_instants = 4;
  TARN_ASSIGN(const int64_t moved, table_->Archive(Next(), options));
  if (moved > 0)
    std::printf("%s\n",
                json{{"table", case_.name}, {"instant", LastInstant()}, {"step", "archive"}, {"from", ""}}
                    .dump()
                    .c_str());
  return {};
}

/// As when files may be larger from now on, and then as small as before.
Status ConformanceHistory::Cluster() {
  const std::string path = path_ + "/.hoodie/hoodie.properties";
  TARN_ASSIGN(const std::string before, storage_->Read(path));
  auto larger = ParseProperties(before);
  larger["tarn.target.file.bytes"] = std::to_string(64 << 20);
  TARN_RETURN_IF_ERROR(storage_->Write(path, FormatProperties(larger)));
  TARN_RETURN_IF_ERROR(Reopen(true));
  TARN_ASSIGN(const auto clustered, table_->Cluster(Next(), {}, {{"tarn.lsn", std::to_string(count_)}}));
  TARN_RETURN_IF_ERROR(storage_->Write(path, before));
  TARN_RETURN_IF_ERROR(Reopen(true));
  if (clustered) Print("cluster");
  return {};
}

Status ConformanceHistory::Evolve() {
  const std::string& change = case_.changes[changed_++];
  TARN_ASSIGN(auto schema, Evolved(*schema_, change));
  TARN_RETURN_IF_ERROR(table_->EvolveSchema(schema));
  for (auto& [number, row] : rows_) row.cells = Carried(row.cells, *schema_, *schema);
  for (auto& [number, row] : printed_) row.cells = Carried(row.cells, *schema_, *schema);
  schema_ = std::move(schema);
  PrintColumns();
  return {};
}

/// The table's next write but a few fails, as when the disk is full. What was to be committed is not there;
/// the next step rolls back what is left of it.
Status ConformanceHistory::Fail() {
  const ExpectedRows before = rows_;
  TARN_ASSIGN(const ChangeSet changes, Draw(30, 10));
  const std::string instant = Next();
  storage_->FailWrite(static_cast<int64_t>(1 + random_() % 12));
  const auto done = table_->Upsert(instant, changes, Properties());
  storage_->FailWrite(0);
  if (done) {
    Print("upsert");
    return {};
  }
  rows_ = before;
  return Upsert(20, 5);
}

Status ConformanceHistory::Reopen(bool cleanly) {
  if (cleanly) TARN_RETURN_IF_ERROR(table_->Close());
  table_.reset();
  return Open();
}

Status ConformanceHistory::Open() {
  TARN_ASSIGN(table_, Table::Open(storage_.get(), path_, sidecars_));
  // What no commit told of yet is lost with the process.
  return table_->EvolveSchema(schema_);
}

std::string ConformanceHistory::Next() { return FormatInstant(1'790'000'000'000'000 + 1'000'000 * ++count_); }

std::string ConformanceHistory::LastInstant() const {
  return FormatInstant(1'790'000'000'000'000 + 1'000'000 * count_);
}

void ConformanceHistory::PrintColumns() const {
  std::printf("%s\n", json{{"table", case_.name}, {"columns", ColumnsJson(*schema_)}}.dump().c_str());
}

void ConformanceHistory::Print(const std::string& step) {
  json rows = json::array(), gone = json::array();
  for (const auto& [number, row] : printed_) {
    if (!rows_.contains(number)) gone.push_back(RowJson(IdentityOf(row.cells)));
  }
  for (const auto& [number, row] : rows_) {
    const auto known = printed_.find(number);
    if (known == printed_.end() || known->second.instant != row.instant) rows.push_back(RowJson(row.cells));
  }
  std::printf("%s\n", json{{"table", case_.name},
                           {"instant", LastInstant()},
                           {"step", step},
                           {"rows", std::move(rows)},
                           {"gone", std::move(gone)}}
                          .dump()
                          .c_str());
  printed_ = rows_;
}

}  // namespace tarn::hudi
