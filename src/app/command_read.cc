#include <arrow/api.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "bronze/change_reader.h"
#include "catalog/table_registry.h"
#include "pipeline/lake_storage.h"

namespace tarn::app {
namespace {

using Columns = std::vector<std::string>;

/// "0/16B3748" of the newest epoch, "1:0/16B3748" of another, or a row's _lsn.
Result<SourcePosition> ParsePosition(const std::string& text, int64_t epoch) {
  int64_t ordering = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, ordering);
  if (error == std::errc() && stopped == end && ordering >= 0) return OrderingPosition(ordering);
  const size_t colon = text.find(':');
  const auto lsn = Lsn::Parse(colon == std::string::npos ? text : text.substr(colon + 1));
  const bool has_epoch = colon != std::string::npos;
  const bool is_epoch = has_epoch && error == std::errc() && stopped == text.data() + colon && ordering >= 0;
  if (lsn && (!has_epoch || is_epoch)) return SourcePosition{has_epoch ? ordering : epoch, *lsn};
  return MakeError(ErrorCode::kInvalidArgument,
                   "'{}' is no position: write an LSN (0/16B3748), an epoch and an LSN (1:0/16B3748), or a "
                   "row's _lsn",
                   text);
}

Result<std::string> LakeName(const storage::Storage& storage, const catalog::LakeLayout& layout,
                             const std::string& wanted) {
  TARN_ASSIGN(const auto registry, catalog::TableRegistry::Read(storage, layout));
  return registry.LakeName(wanted);
}

/// One object a line; what is no row has "_event".
class JsonLines {
 public:
  explicit JsonLines(std::FILE* out) : out_(out) {}

  Status Take(const bronze::TableRows& next) {
    if (next.rows == nullptr) return PrintMark(next);
    if (next.table != table_) {
      if (table_ != nullptr) TARN_RETURN_IF_ERROR(PrintShape(*next.table));
      table_ = next.table;
      printer_.emplace(OutputFormat::kJson, out_);
    }
    return printer_->Print(*next.rows);
  }

 private:
  Status PrintMark(const bronze::TableRows& mark) {
    nlohmann::ordered_json line{{"_event", mark.copy_again.empty() ? "truncate" : "copy_again"},
                                {"_lsn", mark.at.lsn},
                                {"_ordinal", mark.at.ordinal}};
    if (!mark.copy_again.empty()) line["reason"] = mark.copy_again;
    return PrintLine(line);
  }
  Status PrintShape(const schema::TableSchema& table) {
    nlohmann::ordered_json columns = nlohmann::ordered_json::object();
    for (const schema::Column& column : table.columns)
      columns[column.lake_name] = schema::ArrowType(column.type)->ToString();
    return PrintLine({{"_event", "shape"}, {"columns", columns}});
  }
  Status PrintLine(const nlohmann::ordered_json& line) {
    return Written(out_, [&] {
      fmt::print(out_, "{}\n", line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    });
  }

  std::FILE* out_;
  std::shared_ptr<const schema::TableSchema> table_;
  std::optional<ResultPrinter> printer_;
};

/// One header for all shapes: a column that a shape does not have is empty. What is no row has another Op.
class CsvLines {
 public:
  CsvLines(std::FILE* out, Columns columns)
      : columns_(std::move(columns)), printer_(OutputFormat::kCsv, out) {}

  Status Begin() { return Print({}, 0); }
  Status Take(const bronze::TableRows& next) {
    std::map<std::string, std::shared_ptr<arrow::Array>> there;
    if (next.rows != nullptr) {
      for (int i = 0; i < next.rows->num_columns(); i++)
        there[next.rows->schema()->field(i)->name()] = next.rows->column(i);
      return Print(there, next.rows->num_rows());
    }
    there[std::string(schema::kOp)] = *arrow::MakeArrayFromScalar(
        arrow::StringScalar(next.copy_again.empty() ? "TRUNCATE" : "COPY_AGAIN"), 1);
    there[std::string(schema::kLsn)] = *arrow::MakeArrayFromScalar(arrow::Int64Scalar(next.at.lsn), 1);
    there[std::string(schema::kOrdinal)] =
        *arrow::MakeArrayFromScalar(arrow::Int64Scalar(next.at.ordinal), 1);
    return Print(there, 1);
  }

 private:
  Status Print(const std::map<std::string, std::shared_ptr<arrow::Array>>& there, int64_t rows) {
    arrow::FieldVector fields;
    arrow::ArrayVector arrays;
    for (const std::string& name : columns_) {
      const auto found = there.find(name);
      arrays.push_back(found == there.end() ? std::make_shared<arrow::NullArray>(rows) : found->second);
      fields.push_back(arrow::field(name, arrays.back()->type()));
    }
    return printer_.Print(
        *arrow::RecordBatch::Make(arrow::schema(std::move(fields)), rows, std::move(arrays)));
  }

  const Columns columns_;
  ResultPrinter printer_;
};

/// Of all shapes: the source's columns in order of appearance, between those that tarn adds.
Columns AllColumns(const std::vector<std::shared_ptr<const schema::TableSchema>>& shapes) {
  Columns columns, behind;
  const auto add = [](Columns& to, const std::string& name) {
    if (std::find(to.begin(), to.end(), name) == to.end()) to.push_back(name);
  };
  for (const auto& shape : shapes) {
    const Columns names = schema::ChangeSchema(*shape)->field_names();
    const auto end = names.end() - schema::kTrailingColumns;
    for (auto name = names.begin(); name != end; ++name) add(columns, *name);
    for (auto name = end; name != names.end(); ++name) add(behind, *name);
  }
  columns.insert(columns.end(), behind.begin(), behind.end());
  return columns;
}

Status Print(const Config& config, const ReadRequest& request) {
  const auto storage = pipeline::OpenLakeStorageReadOnly(config.pipeline);
  const catalog::LakeLayout layout(config.pipeline.lake, config.pipeline.bronze_root());
  TARN_ASSIGN(const auto identity, catalog::ReadIdentity(*storage, layout));
  TARN_ASSIGN(const std::string table, LakeName(*storage, layout, request.table));
  SourcePosition from, to = OrderingPosition(INT64_MAX);
  if (!request.from.empty()) {
    TARN_ASSIGN(from, ParsePosition(request.from, identity.epoch));
  }
  if (!request.to.empty()) {
    TARN_ASSIGN(to, ParsePosition(request.to, identity.epoch));
  }
  const bronze::BronzePlace place = config.pipeline.bronze();
  if (request.format == OutputFormat::kJson) {
    JsonLines lines(stdout);
    return bronze::ReadChanges(*storage, place, table, from, to,
                               [&](const bronze::TableRows& next) { return lines.Take(next); });
  }
  std::vector<std::shared_ptr<const schema::TableSchema>> shapes;
  TARN_RETURN_IF_ERROR(bronze::ReadShapes(*storage, place, table, from, to,
                                          [&](const auto& shape) { shapes.push_back(shape); }));
  CsvLines lines(stdout, AllColumns(shapes));
  TARN_RETURN_IF_ERROR(lines.Begin());
  return bronze::ReadChanges(*storage, place, table, from, to,
                             [&](const bronze::TableRows& next) { return lines.Take(next); });
}

}  // namespace

int RunBronzeRead(const Config& config, const ReadRequest& request) {
  Status printed = Print(config, request);
  if (printed) printed = Written(stdout, [] { std::fflush(stdout); });
  return printed ? kSuccess : Fail(printed.error());
}

}  // namespace tarn::app
