// Writes sample tables for other readers to judge: hudi_sample <folder>. For each commit it prints one JSON
// line:
// {"table", "instant", "rows": {key: [partition, name, amount, _lsn]}} as the table must then read.
#include <arrow/api.h>

#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "base/clock.h"
#include "hudi/spooled_changes.h"
#include "hudi/table.h"
#include "storage/storage.h"

namespace {

using tarn::Result;
using tarn::Status;
using namespace tarn::hudi;  // NOLINT: one file, one purpose

struct Row {
  int64_t tenant = 0;
  int64_t id = 0;
  std::string name;
  int64_t cents = 0;
  int64_t lsn = 0;
};
using Rows = std::map<int64_t, Row>;

std::shared_ptr<arrow::Schema> SampleSchema(bool wide) {
  arrow::FieldVector fields{arrow::field("tenant_id", arrow::int64(), false),
                            arrow::field("id", arrow::int64(), false),
                            arrow::field("name", arrow::utf8()),
                            arrow::field("amount", arrow::decimal128(12, 2)),
                            arrow::field("at", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")),
                            arrow::field("day", arrow::date32()),
                            arrow::field("_lsn", arrow::int64(), false)};
  if (wide) fields.push_back(arrow::field("note", arrow::utf8()));
  return arrow::schema(fields);
}

std::shared_ptr<arrow::RecordBatch> ToBatch(const std::vector<Row>& rows, bool wide) {
  arrow::Int64Builder tenant, id, lsn;
  arrow::StringBuilder name, note;
  arrow::Decimal128Builder amount(arrow::decimal128(12, 2));
  arrow::TimestampBuilder at(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), arrow::default_memory_pool());
  arrow::Date32Builder day;
  bool ok = true;
  for (const Row& row : rows) {
    ok = ok && tenant.Append(row.tenant).ok() && id.Append(row.id).ok() && lsn.Append(row.lsn).ok();
    ok = ok && (row.id % 11 == 0 ? name.AppendNull().ok() : name.Append(row.name).ok());
    ok = ok && amount.Append(arrow::Decimal128(row.cents)).ok() &&
         note.Append("n" + std::to_string(row.id)).ok();
    ok = ok && at.Append(1'700'000'000'000'000 + row.id * 1'000'001).ok();
    ok = ok && day.Append(static_cast<int32_t>(19000 + row.id % 1000)).ok();
  }
  if (!ok) std::abort();
  arrow::ArrayVector columns{*tenant.Finish(), *id.Finish(),  *name.Finish(), *amount.Finish(),
                             *at.Finish(),     *day.Finish(), *lsn.Finish()};
  if (wide) columns.push_back(*note.Finish());
  return arrow::RecordBatch::Make(SampleSchema(wide), static_cast<int64_t>(rows.size()), columns);
}

std::shared_ptr<arrow::RecordBatch> ToDeletes(const std::vector<int64_t>& ids, int64_t lsn) {
  arrow::Int64Builder id, ordering;
  for (const int64_t one : ids) {
    if (!id.Append(one).ok() || !ordering.Append(lsn).ok()) std::abort();
  }
  return arrow::RecordBatch::Make(
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("_lsn", arrow::int64())}),
      static_cast<int64_t>(ids.size()), {*id.Finish(), *ordering.Finish()});
}

void Print(const std::string& table, const std::string& instant, const Rows& rows) {
  nlohmann::ordered_json json{
      {"table", table}, {"instant", instant}, {"rows", nlohmann::ordered_json::object()}};
  for (const auto& [id, row] : rows) {
    json["rows"][std::to_string(id)] = {
        row.tenant, id % 11 == 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(row.name),
        fmt::format("{}.{:02}", row.cents / 100, row.cents % 100), row.lsn};
  }
  std::printf("%s\n", json.dump().c_str());
}

/// Instants one second apart from a fixed beginning, so that two runs write the same history.
class Instants {
 public:
  std::string Next() { return FormatInstant(1'790'000'000'000'000 + 1'000'000 * count_++); }

 private:
  int64_t count_ = 0;
};

/// Inserts, updates, moves and deletes, applied to the expectation.
ChangeSet DrawChanges(std::mt19937& random, int count, bool wide, int64_t lsn, Rows* rows) {
  std::vector<Row> upserts;
  std::vector<int64_t> deletes;
  std::map<int64_t, bool> used;
  for (int i = 0; i < count; i++) {
    const int64_t id = static_cast<int64_t>(random() % 600);
    if (!used.emplace(id, true).second) continue;
    const auto at = rows->find(id);
    if (at != rows->end() && random() % 4 == 0) {
      deletes.push_back(id);
      rows->erase(at);
      continue;
    }
    // One update in five moves the row to another tenant.
    const int64_t tenant =
        at != rows->end() && random() % 5 != 0 ? at->second.tenant : static_cast<int64_t>(random() % 4);
    const Row row{tenant, id, fmt::format("row {} of {}", id, lsn), static_cast<int64_t>(random() % 100000),
                  lsn};
    upserts.push_back(row);
    (*rows)[id] = row;
  }
  return {ToBatch(upserts, wide), ToDeletes(deletes, lsn)};
}

/// What is larger than memory, in one commit: many changes of some file groups and few of others, fresh
/// partitions; or after a truncation.
Status SpoolChanges(Table& table, const std::string& instant, std::mt19937& random, bool truncate,
                    int64_t lsn, Rows* rows) {
  TARN_ASSIGN(const auto spooled, table.Spool());
  for (int piece = 0; piece < 5; piece++) {
    if (truncate && piece == 2) {
      TARN_RETURN_IF_ERROR(spooled->Truncate());
      rows->clear();
    }
    ChangeSet changes = DrawChanges(random, 20 + 60 * piece, true, lsn, rows);
    TARN_RETURN_IF_ERROR(spooled->Add(changes));
  }
  std::vector<Row> fresh;
  for (int64_t id = 2000; id < 2300; id++)
    fresh.push_back((*rows)[id] = {7 + id % 2, id, fmt::format("fresh {}", id), id, lsn});
  TARN_RETURN_IF_ERROR(spooled->Add({ToBatch(fresh, true), nullptr}));
  TARN_RETURN_IF_ERROR(spooled->Commit(instant, {{"tarn.lsn", std::to_string(lsn)}}));
  return {};
}

Result<std::unique_ptr<Table>> MakeTable(tarn::storage::Storage& storage, const std::string& folder,
                                         const std::string& name, TableType type, bool partitioned) {
  TableOptions options;
  options.name = name;
  options.database = "sample";
  options.type = type;
  options.identity_fields = {"id"};
  options.key_fields =
      partitioned ? std::vector<std::string>{"tenant_id", "id"} : std::vector<std::string>{"id"};
  if (partitioned) options.partition_fields = {"tenant_id"};
  options.schema = SampleSchema(false);
  options.target_file_bytes = 30'000;
  options.sidecar_folder = folder + "/_tarn/" + name;
  return Table::Create(&storage, folder + "/" + name, options);
}

/// A newer copy takes the place of everything: a part of the rows, changed, and new ones; tenant 2 ends
/// empty.
Status Reload(Table& table, const std::string& instant, int64_t step, Rows* rows) {
  std::erase_if(*rows, [](const auto& entry) { return entry.first % 2 == 0 || entry.second.tenant == 2; });
  for (int64_t id = 900; id < 950; id++) (*rows)[id] = {id % 2, id, "new", id, step};
  std::vector<Row> list;
  for (auto& [id, row] : *rows) {
    row.name = fmt::format("reloaded {}", id);
    row.lsn = step;
    list.push_back(row);
  }
  TARN_ASSIGN(auto reload, table.BeginReload(instant, SampleSchema(true)));
  TARN_RETURN_IF_ERROR(reload->Append(*ToBatch(list, true)));
  TARN_RETURN_IF_ERROR(reload->Finish({{"tarn.lsn", std::to_string(step)}}));
  return {};
}

Status WriteMergeOnRead(tarn::storage::Storage& storage, const std::string& folder, const std::string& name,
                        bool partitioned) {
  TARN_ASSIGN(auto table, MakeTable(storage, folder, name, TableType::kMergeOnRead, partitioned));
  Instants instants;
  std::mt19937 random(partitioned ? 7 : 11);
  Rows rows;
  std::vector<Row> first;
  for (int64_t id = 0; id < 400; id++) {
    rows[id] = {id % 3, id, fmt::format("first {}", id), id * 7, 1};
    first.push_back(rows[id]);
  }
  std::string instant = instants.Next();
  TARN_ASSIGN(auto bulk, table->BeginBulkInsert(instant));
  TARN_RETURN_IF_ERROR(bulk->Append(*ToBatch(first, false)));
  TARN_RETURN_IF_ERROR(bulk->Finish({{"tarn.lsn", "1"}}));
  bulk.reset();
  Print(name, instant, rows);
  bool wide = false;
  for (int64_t step = 2; step < 18; step++) {
    instant = instants.Next();
    if (step == 6 || step == 11) {
      TARN_ASSIGN(const auto compacted,
                  table->Compact(instant, {}, {{"tarn.lsn", std::to_string(step - 1)}}, step == 11));
      if (compacted) Print(name, instant, rows);
      continue;
    }
    if (step == 8) {
      TARN_RETURN_IF_ERROR(table->EvolveSchema(SampleSchema(true)));
      wide = true;
    }
    if (step == 12) {
      TARN_RETURN_IF_ERROR(Reload(*table, instant, step, &rows));
    } else if (step == 14 || step == 16) {
      TARN_RETURN_IF_ERROR(SpoolChanges(*table, instant, random, step == 16, step, &rows));
    } else if (step == 9) {
      const int64_t tenant = partitioned ? 1 : -1;
      std::vector<Row> fresh;
      std::erase_if(rows, [&](const auto& entry) { return tenant < 0 || entry.second.tenant == tenant; });
      for (int64_t id = 700; id < 760; id++) {
        rows[id] = {1, id, fmt::format("replaced {}", id), id, step};
        fresh.push_back(rows[id]);
      }
      TARN_RETURN_IF_ERROR(table->ReplacePartitions(instant, {partitioned ? "tenant_id=1" : ""},
                                                    {ToBatch(fresh, wide)},
                                                    {{"tarn.lsn", std::to_string(step)}}));
    } else {
      TARN_RETURN_IF_ERROR(table->Upsert(instant, DrawChanges(random, 60, wide, step, &rows),
                                         {{"tarn.lsn", std::to_string(step)}}));
    }
    Print(name, instant, rows);
  }
  return table->Close();
}

Status WriteCopyOnWrite(tarn::storage::Storage& storage, const std::string& folder) {
  TARN_ASSIGN(auto table, MakeTable(storage, folder, "cow", TableType::kCopyOnWrite, true));
  Instants instants;
  std::map<int64_t, Rows> by_tenant;
  for (int64_t step = 1; step < 7; step++) {
    // Tenant 2 ends empty; the others get other rows each time.
    const int64_t tenant = step % 3;
    Rows fresh;
    if (step != 5) {
      for (int64_t id = 0; id < 50; id++) {
        const int64_t key = tenant * 1000 + id * step;
        fresh[key] = {tenant, key, fmt::format("v{}", step), key * 3, step};
      }
    }
    std::vector<Row> list;
    for (const auto& [id, row] : fresh) list.push_back(row);
    const std::string instant = instants.Next();
    TARN_RETURN_IF_ERROR(table->ReplacePartitions(instant, {"tenant_id=" + std::to_string(tenant)},
                                                  {ToBatch(list, false)},
                                                  {{"tarn.lsn", std::to_string(step)}}));
    by_tenant[tenant] = fresh;
    Rows all;
    for (const auto& [key, rows] : by_tenant) all.insert(rows.begin(), rows.end());
    Print("cow", instant, all);
  }
  return table->Close();
}

Status WriteSamples(const std::string& folder) {
  TARN_ASSIGN(const auto storage, tarn::storage::OpenLocalStorage(folder + "/_staging"));
  TARN_RETURN_IF_ERROR(WriteMergeOnRead(*storage, folder, "mor", true));
  TARN_RETURN_IF_ERROR(WriteMergeOnRead(*storage, folder, "flat", false));
  return WriteCopyOnWrite(*storage, folder);
}

/// Opens every table as a writer does after a crash.
Status RecoverSamples(const std::string& folder) {
  TARN_ASSIGN(const auto storage, tarn::storage::OpenLocalStorage(folder + "/_staging"));
  for (const std::string name : {"mor", "flat", "cow"}) {
    const std::string path = folder + "/" + name;
    if (!storage->Exists(path + "/.hoodie/hoodie.properties")) continue;
    TARN_ASSIGN(const auto table, Table::Open(storage.get(), path, folder + "/_tarn/" + name));
    TARN_RETURN_IF_ERROR(table->Close());
  }
  return {};
}

/// Compacts a table whole, which may be another writer's, and cleans all that may go.
Status RunServices(const std::string& folder, const std::string& name) {
  TARN_ASSIGN(const auto storage, tarn::storage::OpenLocalStorage(folder + "/_staging"));
  TARN_ASSIGN(const auto table, Table::Open(storage.get(), folder + "/" + name, folder + "/_tarn/" + name));
  int64_t micros = tarn::Clock::System().NowMicros();
  TARN_RETURN_IF_ERROR(table->Compact(FormatInstant(micros), {}, {}, true));
  ServiceOptions options;
  options.retain_micros = 1;
  TARN_RETURN_IF_ERROR(table->Clean(FormatInstant(micros + 1000), options));
  return table->Close();
}

/// Changes some rows of a table and adds others, 60 in all.
Status UpsertSome(const std::string& folder, const std::string& name) {
  TARN_ASSIGN(const auto storage, tarn::storage::OpenLocalStorage(folder + "/_staging"));
  TARN_ASSIGN(const auto table, Table::Open(storage.get(), folder + "/" + name, folder + "/_tarn/" + name));
  std::vector<Row> rows;
  for (int64_t id = 0; id < 60; id++)
    rows.push_back({id % 3, id < 40 ? id : 5000 + id, fmt::format("upserted {}", id), id, 1'600'000});
  const std::string instant = FormatInstant(tarn::Clock::System().NowMicros());
  TARN_RETURN_IF_ERROR(table->Upsert(instant, {ToBatch(rows, true), nullptr}, {}));
  return table->Close();
}

}  // namespace

int main(int argc, char** argv) {
  const bool recover = argc == 3 && std::string_view(argv[2]) == "--recover";
  const bool services = argc == 4 && std::string_view(argv[2]) == "--services";
  const bool upsert = argc == 4 && std::string_view(argv[2]) == "--upsert";
  if (argc != 2 && !recover && !services && !upsert) {
    std::fprintf(stderr, "usage: hudi_sample <folder> [--recover | --services <table> | --upsert <table>]\n");
    return 2;
  }
  const Status status = recover    ? RecoverSamples(argv[1])
                        : services ? RunServices(argv[1], argv[3])
                        : upsert   ? UpsertSome(argv[1], argv[3])
                                   : WriteSamples(argv[1]);
  if (!status) std::fprintf(stderr, "hudi_sample: %s\n", status.error().message.c_str());
  return status ? 0 : 1;
}
