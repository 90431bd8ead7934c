#include <arrow/api.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "hudi/table.h"
#include "storage/storage.h"

namespace {

using tarn::Result;
using tarn::Status;
using tarn::hudi::FormatInstant;
using tarn::hudi::Table;

/// Rows `first` to `first + count` of a sample table, three ids apart so that they are of one tenant.
Result<std::shared_ptr<arrow::RecordBatch>> RowsOf(const arrow::Schema& schema, int64_t first, int64_t count,
                                                   const std::string& name, int64_t lsn) {
  arrow::ArrayVector columns;
  for (const auto& field : schema.fields()) {
    const auto made = arrow::MakeBuilder(field->type());
    if (!made.ok()) return tarn::MakeError(tarn::ErrorCode::kInternal, "{}", made.status().ToString());
    arrow::ArrayBuilder& builder = **made;
    for (int64_t i = 0; i < count; i++) {
      const int64_t id = first + 3 * i;
      arrow::Status appended;
      if (field->name() == "id" || field->name() == "tenant_id" || field->name() == "_lsn") {
        const int64_t value = field->name() == "id" ? id : field->name() == "_lsn" ? lsn : id % 3;
        appended = static_cast<arrow::Int64Builder&>(builder).Append(value);
      } else if (field->name() == "name") {
        appended = static_cast<arrow::StringBuilder&>(builder).Append(name);
      } else {
        appended = builder.AppendNull();
      }
      if (!appended.ok()) return tarn::MakeError(tarn::ErrorCode::kInternal, "{}", appended.ToString());
    }
    auto column = builder.Finish();
    if (!column.ok()) return tarn::MakeError(tarn::ErrorCode::kInternal, "{}", column.status().ToString());
    columns.push_back(*column);
  }
  return arrow::RecordBatch::Make(arrow::schema(schema.fields()), count, std::move(columns));
}

/// An instant that is later than everything known, and now.
Result<std::string> NextInstant(const Table& table) {
  std::string instant = FormatInstant(tarn::Clock::System().NowMicros());
  if (instant > table.LastInstant()) return instant;
  TARN_ASSIGN(const int64_t last, tarn::hudi::ParseInstant(table.LastInstant()));
  return FormatInstant(last + 1000);
}

/// "refresh", "upsert FIRST COUNT NAME LSN" or "compact"; gives the instant of what was committed.
Result<std::string> Do(Table& table, const std::string& line) {
  std::istringstream words(line);
  std::string command, name;
  int64_t first = 0, count = 0, lsn = 0;
  words >> command >> first >> count >> name >> lsn;
  if (command == "refresh") {
    TARN_RETURN_IF_ERROR(table.Refresh());
    return std::string("-");
  }
  TARN_ASSIGN(const std::string instant, NextInstant(table));
  if (command == "compact") {
    TARN_ASSIGN(const auto compacted, table.Compact(instant, {}, {}, true));
    return compacted ? compacted->instant : "-";
  }
  TARN_ASSIGN(const auto rows, RowsOf(*table.options().schema, first, count, name, lsn));
  TARN_ASSIGN(const auto result, table.Upsert(instant, {rows, nullptr}, {}));
  return result.instant;
}

Status Serve(const std::string& path, const std::string& own_folder) {
  TARN_ASSIGN(const auto storage, tarn::storage::OpenLocalStorage(own_folder + "/staging"));
  TARN_ASSIGN(const auto table, Table::Open(storage.get(), path, own_folder + "/side",
                                            tarn::hudi::SharingOptions{.lock_wait_micros = 30'000'000}));
  for (std::string line; std::getline(std::cin, line);) {
    const auto done = Do(*table, line);
    if (done)
      std::cout << "done " << *done << std::endl;
    else
      std::cout << tarn::ErrorCodeName(done.error().code) << " " << done.error().message << std::endl;
  }
  return table->Close();
}

}  // namespace

/// Writes to a sample table that others write to as well, as it is told line by line.
int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: hudi_shared_writer <table> <folder of its own>\n");
    return 2;
  }
  tarn::InitLogging("warn", "");
  const Status status = Serve(argv[1], argv[2]);
  if (!status) std::fprintf(stderr, "hudi_shared_writer: %s\n", status.error().message.c_str());
  return status ? 0 : 1;
}
