#include "pipeline/history_table.h"

#include <arrow/api.h>
#include <arrow/compute/cast.h>

#include <algorithm>

#include "cdc/pg_connection.h"
#include "cdc/source_catalog.h"
#include "engine/lake.h"
#include "govern/decision.h"
#include "hudi/avro_schema.h"
#include "hudi/spooled_changes.h"
#include "pipeline/silver_columns.h"
#include "pipeline/silver_table.h"

namespace tarn::pipeline {
namespace {

constexpr const char* kValidFrom = "valid_from";
constexpr const char* kValidTo = "valid_to";
constexpr const char* kIsCurrent = "is_current";
constexpr const char* kFromLsn = "_from_lsn";
constexpr const char* kChangedLsn = "_changed_lsn";

const std::shared_ptr<arrow::DataType>& TimeType() {
  static const auto kType = arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
  return kType;
}

arrow::FieldVector OurFields() {
  return {arrow::field(kValidFrom, TimeType()), arrow::field(kValidTo, TimeType()),
          arrow::field(kIsCurrent, arrow::boolean()), arrow::field(kFromLsn, arrow::int64()),
          arrow::field(kChangedLsn, arrow::int64())};
}

/// A lake version with the history as its newest commit has it, whether that is published or not.
class HistoryVersion : public engine::LakeVersion {
 public:
  HistoryVersion(std::shared_ptr<engine::LakeVersion> lake, std::string history,
                 std::shared_ptr<const hudi::ScanPlan> plan)
      : lake_(std::move(lake)), history_{"gold", std::move(history)}, plan_(std::move(plan)) {}

  std::vector<engine::TableName> Tables() const override {
    auto tables = lake_->Tables();
    std::erase(tables, history_);
    if (plan_ != nullptr) tables.push_back(history_);
    return tables;
  }
  Result<std::shared_ptr<const hudi::ScanPlan>> Plan(const engine::TableName& table,
                                                     bool allow_held) override {
    if (plan_ != nullptr && table == history_) return plan_;
    return lake_->Plan(table, allow_held);
  }
  std::string Describe() const override { return lake_->Describe(); }

 private:
  std::shared_ptr<engine::LakeVersion> lake_;
  const engine::TableName history_;
  std::shared_ptr<const hudi::ScanPlan> plan_;  ///< Null: there is none yet.
};

class OneVersion : public engine::Lake {
 public:
  explicit OneVersion(std::shared_ptr<engine::LakeVersion> version) : version_(std::move(version)) {}
  Result<std::shared_ptr<engine::LakeVersion>> Pin(std::optional<int64_t>) override { return version_; }

 private:
  std::shared_ptr<engine::LakeVersion> version_;
};

/// What of Silver's columns the history has.
arrow::FieldVector KeptFields(const arrow::Schema& silver) {
  arrow::FieldVector kept;
  for (const auto& field : silver.fields()) {
    const std::string& name = field->name();
    if (!hudi::IsMetaColumn(name) && name != kMonth) kept.push_back(field->WithNullable(true));
  }
  return kept;
}

/// Rows of the history's schema: columns of `rows` by name, those of `given` as they say, else null.
Result<std::shared_ptr<arrow::RecordBatch>> HistoryRows(
    const arrow::RecordBatch& rows, const arrow::Schema& schema,
    const std::map<std::string, std::shared_ptr<arrow::Scalar>>& given) {
  arrow::ArrayVector columns;
  for (const auto& field : schema.fields()) {
    const auto value = given.find(field->name());
    const auto known = rows.GetColumnByName(field->name());
    auto column = value != given.end() ? arrow::MakeArrayFromScalar(*value->second, rows.num_rows())
                  : known == nullptr   ? arrow::MakeArrayOfNull(field->type(), rows.num_rows())
                                       : arrow::compute::Cast(*known, field->type());
    if (!column.ok()) return MakeError(ErrorCode::kInternal, "Arrow: {}", column.status().message());
    columns.push_back(*std::move(column));
  }
  return arrow::RecordBatch::Make(arrow::schema(schema.fields()), rows.num_rows(), std::move(columns));
}

std::string List(const arrow::FieldVector& fields, const std::string& of) {
  std::string list;
  for (const auto& field : fields)
    list += (list.empty() ? "" : ", ") + of + "." + cdc::QuoteName(field->name());
  return list;
}

/// Whether Silver's row s and the open version h have other values. Positions move without any, in a copy.
std::string Differs(const arrow::FieldVector& silver, const arrow::Schema& before) {
  std::string any;
  for (const auto& field : silver) {
    if (field->name() == schema::kLsn) continue;
    const std::string name = cdc::QuoteName(field->name());
    // Versions from before a column have NULL there.
    const bool is_new = before.GetFieldByName(field->name()) == nullptr;
    any += (any.empty() ? "" : " OR ") +
           fmt::format("s.{} IS DISTINCT FROM {}", name, is_new ? "NULL" : "h." + name);
  }
  return "(s._lsn <> h._lsn AND (" + any + "))";
}

}  // namespace

Result<std::unique_ptr<HistoryTable>> HistoryTable::Open(storage::Storage* storage,
                                                         const catalog::LakeLayout& layout,
                                                         const catalog::RegisteredTable& table,
                                                         InstantClock* clock) {
  if (table.source.append_only || cdc::IsKeyless(table.source)) {
    return MakeError(
        ErrorCode::kUnsupported,
        "'{}' has no key, by which the versions of a row would belong together: take `history` out of "
        "its model, or give the table a primary key",
        table.source.QualifiedName());
  }
  std::unique_ptr<HistoryTable> history(new HistoryTable(storage, layout, table, clock));
  if (storage->Exists(history->Path() + "/.hoodie/hoodie.properties")) {
    TARN_ASSIGN(history->table_, hudi::Table::Open(storage, history->Path(), history->Sidecar()));
    clock->MustPass(history->table_->LastInstant());
  }
  return history;
}

hudi::TableOptions HistoryTable::OptionsFor(std::shared_ptr<arrow::Schema> schema) const {
  hudi::TableOptions options;
  options.name = NameOf(registered_.source.lake_name);
  options.database = "gold";
  options.type = hudi::TableType::kMergeOnRead;
  options.identity_fields = registered_.source.KeyNames();
  options.identity_fields.emplace_back(kFromLsn);
  options.key_fields = options.identity_fields;
  if (const std::string& tenant = registered_.tenant_column; !tenant.empty()) {
    options.partition_fields = {tenant};
    std::erase(options.key_fields, tenant);
    options.key_fields.insert(options.key_fields.begin(), tenant);
  }
  options.ordering_field = kChangedLsn;
  options.schema = std::move(schema);
  options.sidecar_folder = Sidecar();
  return options;
}

Status HistoryTable::Shape(const arrow::FieldVector& silver) {
  const arrow::FieldVector ours = OurFields();
  for (const auto& field : silver) {
    const bool is_taken = std::any_of(ours.begin(), ours.end(), [&](const auto& our) {
      return schema::LowerName(our->name()) == schema::LowerName(field->name());
    });
    if (!is_taken) continue;
    return MakeError(ErrorCode::kUnsupported,
                     "the column '{}' has a name that histories use: rename it by [[mapping]] or in "
                     "models/silver/{}.sql",
                     field->name(), registered_.source.lake_name);
  }
  if (table_ == nullptr) {
    arrow::FieldVector fields = silver;
    fields.insert(fields.end(), ours.begin(), ours.end());
    TARN_ASSIGN(table_, hudi::Table::Create(storage_, Path(), OptionsFor(arrow::schema(std::move(fields)))));
    return {};
  }
  arrow::FieldVector fields = table_->options().schema->fields();
  for (const auto& field : silver) {
    const auto known = table_->options().schema->GetFieldByName(field->name());
    if (known == nullptr) {
      fields.push_back(field);
    } else if (!known->type()->Equals(*field->type())) {
      return MakeError(
          ErrorCode::kUnsupported,
          "the column '{}' was {} and is {} now, which one table cannot hold: move '{}' aside to begin "
          "another history",
          field->name(), known->type()->ToString(), field->type()->ToString(), Path());
    }
  }
  if (fields.size() == table_->options().schema->fields().size()) return {};
  return table_->EvolveSchema(arrow::schema(std::move(fields)));
}

std::string HistoryTable::SameKey() const {
  std::string same;
  for (const std::string& key : registered_.source.KeyNames())
    same += (same.empty() ? "" : " AND ") + fmt::format("s.{0} = h.{0}", cdc::QuoteName(key));
  return same;
}

std::string HistoryTable::EndedSql(const arrow::FieldVector& silver, const arrow::Schema& before) const {
  const std::string& table = registered_.source.lake_name;
  return fmt::format(
      "SELECT h.* FROM (SELECT * FROM gold.{} WHERE {} IS NULL) h LEFT JOIN silver.{} s ON {} "
      "WHERE s._lsn IS NULL OR {}",
      cdc::QuoteName(NameOf(table)), kValidTo, cdc::QuoteName(table), SameKey(), Differs(silver, before));
}

std::string HistoryTable::BegunSql(const arrow::FieldVector& silver, const arrow::Schema* before) const {
  const std::string& table = registered_.source.lake_name;
  const std::string select = "SELECT " + List(silver, "s") + " FROM silver." + cdc::QuoteName(table) + " s";
  if (before == nullptr) return select;
  return fmt::format(
      "{} LEFT JOIN (SELECT * FROM gold.{} WHERE {} IS NULL) h ON {} WHERE h._lsn IS NULL OR {}", select,
      cdc::QuoteName(NameOf(table)), kValidTo, SameKey(), Differs(silver, *before));
}

Status HistoryTable::Follow(LakeView* view, const catalog::LakeVersion& version,
                            const engine::SessionOptions& options) {
  TARN_ASSIGN(auto pinned, view->PinVersion(version));
  TARN_ASSIGN(const auto plan, pinned->Plan({"silver", registered_.source.lake_name}, false));
  const arrow::FieldVector silver = KeptFields(*plan->schema);
  TARN_RETURN_IF_ERROR(Shape(silver));
  std::shared_ptr<const hudi::ScanPlan> before;
  if (!table_->LastInstant().empty()) {
    TARN_ASSIGN(const auto reader, hudi::TableReader::Open(storage_, Path(), Sidecar()));
    TARN_ASSIGN(before, reader->PlanSnapshot(""));
  }
  OneVersion lake(
      std::make_shared<HistoryVersion>(std::move(pinned), NameOf(registered_.source.lake_name), before));
  TARN_ASSIGN(const auto session, engine::Session::Open(&lake, govern::DecideForSystem("history"), options));
  TARN_ASSIGN(const auto changes, table_->Spool());
  const arrow::TimestampScalar now(version.commit_micros, TimeType());
  const auto lsn = arrow::MakeScalar(OrderingValue(version.epoch, version.lsn));
  const auto write = [&](const std::string& sql,
                         const std::map<std::string, std::shared_ptr<arrow::Scalar>>& given) -> Status {
    TARN_ASSIGN(const auto rows, session->Query(sql));
    while (true) {
      TARN_ASSIGN(const auto batch, rows->Next());
      if (batch == nullptr) return {};
      hudi::ChangeSet set;
      TARN_ASSIGN(set.upserts, HistoryRows(*batch, *table_->options().schema, given));
      TARN_RETURN_IF_ERROR(changes->Add(set));
    }
  };
  const auto time = std::make_shared<arrow::TimestampScalar>(now);
  if (before != nullptr) {
    TARN_RETURN_IF_ERROR(
        write(EndedSql(silver, *before->schema),
              {{kValidTo, time}, {kIsCurrent, arrow::MakeScalar(false)}, {kChangedLsn, lsn}}));
  }
  TARN_RETURN_IF_ERROR(write(BegunSql(silver, before == nullptr ? nullptr : before->schema.get()),
                             {{kValidFrom, time},
                              {kValidTo, arrow::MakeNullScalar(TimeType())},
                              {kIsCurrent, arrow::MakeScalar(true)},
                              {kFromLsn, lsn},
                              {kChangedLsn, lsn}}));
  if (changes->empty()) return {};
  const hudi::CommitProperties properties = {{kLsnProperty, lsn->ToString()}};
  TARN_ASSIGN([[maybe_unused]] const auto done, changes->Commit(clock_->Next(), properties));
  return {};
}

Status HistoryTable::RunServices(const hudi::ServiceOptions& options) {
  if (LastInstant().empty()) return {};
  TARN_ASSIGN([[maybe_unused]] const auto compacted, table_->Compact(clock_->Next(), options, {}, false));
  TARN_ASSIGN([[maybe_unused]] const int64_t cleaned, table_->Clean(clock_->Next(), options));
  TARN_ASSIGN([[maybe_unused]] const int64_t archived, table_->Archive(clock_->Next(), options));
  return {};
}

}  // namespace tarn::pipeline
