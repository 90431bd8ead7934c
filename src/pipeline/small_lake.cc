#include "pipeline/small_lake.h"

#include <arrow/api.h>

#include <algorithm>
#include <filesystem>

#include "cdc/change_builder.h"
#include "engine/session.h"
#include "storage/counting_storage.h"

namespace tarn::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTable = "notes";
constexpr int64_t kFirstRows = 500, kIds = 1000, kChanges = 20;

std::shared_ptr<const schema::TableSchema> MakeTable() {
  auto table = std::make_shared<schema::TableSchema>();
  table->oid = 1;
  table->schema_name = "public";
  table->table_name = kTable;
  for (const char* name : {"id", "tenant_id", "value"}) {
    table->columns.push_back({name, "", schema::kInt8Oid, -1, schema::MakePgType(schema::kInt8Oid, -1),
                              std::string(name) == "id"});
  }
  schema::AssignLakeNames(*table);
  return table;
}

}  // namespace

SmallLake::SmallLake(const std::string& folder, const hudi::ServiceOptions& services, unsigned seed)
    : root_(folder), layout_(folder), random_(seed), clock_(1'795'515'300'000'000), table_(MakeTable()) {
  options_.lake = folder;
  options_.services = services;
}

SmallLake::~SmallLake() = default;

Result<std::unique_ptr<SmallLake>> SmallLake::Make(const std::string& folder,
                                                   const hudi::ServiceOptions& services, unsigned seed) {
  std::unique_ptr<SmallLake> lake(new SmallLake(folder, services, seed));
  TARN_ASSIGN(lake->storage_, storage::OpenLocalStorage(lake->layout_.Internal("staging")));
  TARN_RETURN_IF_ERROR(lake->Open());
  TARN_RETURN_IF_ERROR(lake->Load());
  return lake;
}

Status SmallLake::Open() {
  TARN_ASSIGN(versions_, catalog::LakeVersions::Open(storage_.get(), layout_));
  TARN_ASSIGN(silver_, SilverLayer::Open(storage_.get(), layout_, options_, &clock_, versions_.get()));
  catalog::RegisteredTable registered;
  registered.source = *table_;
  registered.tenant_column = "tenant_id";
  const auto known = silver_->registry().tables.find(kTable);
  if (known != silver_->registry().tables.end()) registered = known->second;
  return silver_->AddTable(registered);
}

Status SmallLake::Reopen() {
  TARN_RETURN_IF_ERROR(silver_->Close());
  silver_.reset();
  versions_.reset();
  return Open();
}

Status SmallLake::Load() {
  SilverTable& table = *silver_->Find(kTable);
  TARN_RETURN_IF_ERROR(table.BeginLoad(silver_->instants()->Next(), 1));
  cdc::ChangeBuilder builder(table_);
  for (int64_t id = 0; id < kFirstRows; id++) Append(builder, 'I', id);
  TARN_RETURN_IF_ERROR(table.Load(0, builder.Finish()));
  TARN_RETURN_IF_ERROR(silver_->FinishLoad(kTable, lsn_));
  TARN_RETURN_IF_ERROR(silver_->SaveRegistry());
  return silver_->Publish({0, Lsn{static_cast<uint64_t>(lsn_)}}, now());
}

void SmallLake::Append(cdc::ChangeBuilder& builder, char op, int64_t id) {
  const int64_t value = lsn_ * 1000 + ordinal_;
  const std::string texts[] = {std::to_string(id), std::to_string(id % 3), std::to_string(value)};
  std::vector<cdc::WireValue> values;
  for (const std::string& text : texts) values.push_back({cdc::WireValue::State::kText, text});
  const std::string time = FormatTimestamp(now());
  builder.AppendRow({op, time, lsn_, ++ordinal_, 1}, values, std::nullopt);
  if (op == 'D') {
    rows_.erase(id);
  } else {
    rows_[id] = value;
  }
}

Status SmallLake::Apply(std::vector<bronze::TableRows> events) {
  SilverStep step;
  step.events = std::move(events);
  step.position = {0, Lsn{static_cast<uint64_t>(lsn_)}};
  step.commit_micros = now();
  return silver_->Apply(step);
}

Status SmallLake::Commit() {
  lsn_++;
  ordinal_ = 0;
  cdc::ChangeBuilder builder(table_);
  for (int i = 0; i < kChanges; i++) {
    const auto id = static_cast<int64_t>(random_() % kIds);
    Append(builder, !rows_.contains(id) ? 'I' : random_() % 5 == 0 ? 'D' : 'U', id);
  }
  return Apply({{table_, builder.Finish()}});
}

Status SmallLake::Truncate() {
  lsn_++;
  ordinal_ = 1;
  rows_.clear();
  const bronze::TableRows truncation{table_, nullptr, {lsn_, ordinal_}};
  cdc::ChangeBuilder builder(table_);
  for (int64_t id = 0; id < kIds; id += kIds / 50) Append(builder, 'I', id);
  return Apply({truncation, {table_, builder.Finish()}});
}

Status SmallLake::Resync() {
  lsn_++;
  ordinal_ = 0;
  rows_.clear();
  const SourcePosition position{0, Lsn{static_cast<uint64_t>(lsn_)}};
  TARN_RETURN_IF_ERROR(silver_->MarkCopyAgain(kTable, "as a test wants it", false));
  const catalog::RegisteredTable registered = silver_->registry().tables.at(kTable);
  TARN_RETURN_IF_ERROR(silver_->TakeCopy(registered, position, [&](const auto& take) -> Status {
    cdc::ChangeBuilder builder(table_);
    for (int64_t id = 0; id < kIds; id++) {
      if (random_() % 2 == 0) Append(builder, 'I', id);
    }
    return take(builder.Finish());
  }));
  TARN_RETURN_IF_ERROR(silver_->SaveRegistry());
  return silver_->Publish(position, now());
}

Status SmallLake::RunServices() {
  TARN_RETURN_IF_ERROR(silver_->RunServices());
  TARN_RETURN_IF_ERROR(versions_->Prune(*storage_, now() - options_.services.retain_micros));
  return {};
}

Result<std::string> SmallLake::NewestInstant() const {
  TARN_ASSIGN(const catalog::LakeVersion version, versions_->Find(std::nullopt));
  return version.instant;
}

Result<SmallLake::Rows> SmallLake::Read(std::optional<int64_t> as_of_micros) {
  LakeView view(storage_.get(), layout_, versions_.get(), false);
  TARN_ASSIGN(auto session,
              engine::Session::Open(&view, govern::DecideForSystem("soak"), {.as_of_micros = as_of_micros}));
  TARN_ASSIGN(auto stream, session->Query("SELECT id, value FROM notes"));
  Rows rows;
  for (;;) {
    TARN_ASSIGN(const auto batch, stream->Next());
    if (batch == nullptr) return rows;
    const auto& ids = static_cast<const arrow::Int64Array&>(*batch->column(0));
    const auto& values = static_cast<const arrow::Int64Array&>(*batch->column(1));
    for (int64_t row = 0; row < batch->num_rows(); row++) {
      if (!rows.emplace(ids.Value(row), values.Value(row)).second)
        return MakeError(ErrorCode::kCorrupt, "id {} comes twice", ids.Value(row));
    }
  }
}

Status SmallLake::Plan(LakeSize* size) const {
  for (int i = 0; i < 3; i++) {
    const storage::CountingStorage counting(storage_.get());
    LakeView view(&counting, layout_, versions_.get(), false);
    const int64_t started = MonotonicMicros();
    TARN_ASSIGN(const auto pinned, view.Pin(std::nullopt));
    TARN_RETURN_IF_ERROR(pinned->Plan({"silver", kTable}, false));
    const int64_t micros = MonotonicMicros() - started;
    size->plan_micros = i == 0 ? micros : std::min(size->plan_micros, micros);
    size->plan_requests = counting.requests();
  }
  return {};
}

Result<LakeSize> SmallLake::Look() {
  LakeSize size;
  std::map<std::string, int64_t> logs;
  for (const auto& entry : fs::recursive_directory_iterator(layout_.Silver(kTable))) {
    if (!entry.is_regular_file()) continue;
    const std::string folder = entry.path().parent_path().filename();
    if (folder == ".hoodie") {
      size.instants++;
      continue;
    }
    const auto bytes = static_cast<int64_t>(entry.file_size());
    size.files++;
    size.bytes += bytes;
    if (folder == "archived") {
      size.archived_files++;
      size.archived_bytes += bytes;
    }
    const std::string name = entry.path().filename();
    const size_t log = name.find(".log.");
    if (log != std::string::npos) logs[name.substr(0, log)]++;
  }
  for (const auto& [slice, count] : logs) size.logs_per_slice = std::max(size.logs_per_slice, count);
  for (const std::string& folder : {layout_.Internal(""), root_ + "/quarantine"}) {
    for (const auto& entry : fs::recursive_directory_iterator(folder))
      size.sidecars += entry.is_regular_file() ? 1 : 0;
  }
  size.versions = static_cast<int64_t>(versions_->size());
  TARN_RETURN_IF_ERROR(Plan(&size));
  return size;
}

}  // namespace tarn::pipeline
