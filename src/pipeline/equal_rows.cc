#include "pipeline/equal_rows.h"

#include <arrow/api.h>
#include <arrow/compute/api_vector.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace tarn::pipeline {
namespace {

using Counts = std::unordered_map<hudi::Hash128, size_t, hudi::HashOfHash>;

template <typename T>
Result<T> Unwrap(arrow::Result<T> result) {
  if (!result.ok()) return MakeError(ErrorCode::kInternal, "Arrow: {}", result.status().message());
  return std::move(result).ValueOrDie();
}

void AppendSized(std::string_view bytes, std::string& out) {
  const auto size = static_cast<uint32_t>(bytes.size());
  out.append(reinterpret_cast<const char*>(&size), sizeof size);
  out.append(bytes);
}

/// Adds the column's values to the rows' texts. NULLs add nothing, so that a column that was added later,
/// which earlier rows have no value in, changes no text.
void AppendColumn(const std::string& name, const arrow::Array& column, std::vector<std::string>& texts) {
  const arrow::ArrayData& data = *column.data();
  const auto* fixed = dynamic_cast<const arrow::FixedWidthType*>(column.type().get());
  const auto width = fixed == nullptr ? 0 : static_cast<int64_t>(fixed->bit_width() / 8);
  for (int64_t row = 0; row < column.length(); row++) {
    if (column.IsNull(row)) continue;
    std::string& text = texts[static_cast<size_t>(row)];
    AppendSized(name, text);
    if (column.type_id() == arrow::Type::BOOL) {
      AppendSized(static_cast<const arrow::BooleanArray&>(column).Value(row) ? "t" : "f", text);
    } else if (width > 0) {
      const auto* bytes =
          reinterpret_cast<const char*>(data.buffers[1]->data()) + (data.offset + row) * width;
      AppendSized({bytes, static_cast<size_t>(width)}, text);
    } else {
      AppendSized(static_cast<const arrow::BinaryArray&>(column).GetView(row), text);
    }
  }
}

/// Values that the lake's types cannot hold are NULL in their columns and stand in kBad as texts.
void AppendBad(const arrow::RecordBatch& rows, std::vector<std::string>& texts) {
  const auto column = rows.GetColumnByName(std::string(schema::kBad));
  const auto& bad = static_cast<const arrow::StringArray&>(*column);
  for (int64_t row = 0; row < bad.length(); row++) {
    if (bad.IsNull(row)) continue;
    const auto values = nlohmann::json::parse(bad.GetView(row), nullptr, false);
    if (!values.is_object()) continue;
    for (const auto& [name, value] : values.items()) {
      AppendSized(name, texts[static_cast<size_t>(row)]);
      AppendSized("bad " + value.value("value", ""), texts[static_cast<size_t>(row)]);
    }
  }
}

/// Of the values that came from the source.
std::vector<hudi::Hash128> HashesOf(const schema::TableSchema& table, const arrow::RecordBatch& rows) {
  std::vector<std::string> texts(static_cast<size_t>(rows.num_rows()));
  for (const schema::Column& column : table.columns) {
    if (!column.constant) AppendColumn(column.lake_name, *rows.GetColumnByName(column.lake_name), texts);
  }
  AppendBad(rows, texts);
  std::vector<hudi::Hash128> hashes;
  hashes.reserve(texts.size());
  for (const std::string& text : texts) hashes.push_back(hudi::HashText(text));
  return hashes;
}

std::string NameOf(const hudi::Hash128& hash, int64_t number) {
  return fmt::format("{:016x}{:016x}.{}", hash.high, hash.low, number);
}

std::shared_ptr<arrow::Array> Texts(const std::vector<std::string>& values) {
  arrow::StringBuilder builder;
  (void)builder.AppendValues(values);
  return *builder.Finish();
}

Result<std::shared_ptr<arrow::RecordBatch>> WithNames(const std::shared_ptr<arrow::RecordBatch>& rows,
                                                      const std::vector<std::string>& names) {
  return Unwrap(rows->AddColumn(rows->num_columns(), arrow::field(kRowName, arrow::utf8()), Texts(names)));
}

Result<std::shared_ptr<arrow::RecordBatch>> TakeRows(const std::shared_ptr<arrow::RecordBatch>& rows,
                                                     const std::vector<int64_t>& which) {
  arrow::Int64Builder builder;
  (void)builder.AppendValues(which);
  TARN_ASSIGN(const auto indices, Unwrap(builder.Finish()));
  TARN_ASSIGN(const auto taken, Unwrap(arrow::compute::Take(arrow::Datum(rows), arrow::Datum(indices))));
  return taken.record_batch();
}

/// Rows that are equal: how many there are in the lake, and what the changes do to them.
struct Group {
  hudi::Hash128 hash;
  int64_t before = 0;   ///< The highest number that is known to be there,
  int64_t missing = 0;  ///< the lowest that is known not to be; 0: none yet.
  int64_t change = 0;
  int64_t lowest = 0;             ///< That `change` ever was.
  std::vector<int64_t> inserted;  ///< Rows of the changes.
  int64_t last = 0;               ///< The last row.

  bool counted() const { return missing == before + 1; }
  /// Doubles until one is missing, then halves.
  int64_t Probe() const {
    if (missing == 0) return std::max<int64_t>(before * 2, 1);
    return before + (missing - before) / 2;
  }
};

Status CountPresent(std::vector<Group>& groups, const BaseLookup& lookup) {
  while (true) {
    std::vector<Group*> asked;
    std::vector<std::string> names;
    for (Group& group : groups) {
      if (group.counted()) continue;
      asked.push_back(&group);
      names.push_back(NameOf(group.hash, group.Probe()));
    }
    if (asked.empty()) return {};
    const auto batch = arrow::RecordBatch::Make(arrow::schema({arrow::field(kRowName, arrow::utf8())}),
                                                static_cast<int64_t>(names.size()), {Texts(names)});
    TARN_ASSIGN(const BaseRows found, lookup(*batch));
    for (size_t i = 0; i < asked.size(); i++) {
      int64_t& bound = found.found[i] ? asked[i]->before : asked[i]->missing;
      bound = asked[i]->Probe();
    }
  }
}

std::vector<Group> GroupsOf(const arrow::RecordBatch& changes, const std::vector<hudi::Hash128>& hashes) {
  const auto column = changes.GetColumnByName(std::string(schema::kOp));
  const auto& ops = static_cast<const arrow::StringArray&>(*column);
  std::vector<Group> groups;
  Counts places;
  for (int64_t row = 0; row < changes.num_rows(); row++) {
    const hudi::Hash128& hash = hashes[static_cast<size_t>(row)];
    const auto [place, is_new] = places.emplace(hash, groups.size());
    if (is_new) groups.push_back({hash, 0, 0, 0, 0, {}, 0});
    Group& group = groups[place->second];
    group.last = row;
    if (ops.GetView(row) == "D") {
      group.lowest = std::min(group.lowest, --group.change);
    } else {
      group.change++;
      group.inserted.push_back(row);
    }
  }
  return groups;
}

}  // namespace

Result<std::shared_ptr<arrow::RecordBatch>> EqualRows::Name(const schema::TableSchema& table,
                                                            const std::shared_ptr<arrow::RecordBatch>& rows) {
  std::vector<std::string> names;
  for (const hudi::Hash128& hash : HashesOf(table, *rows)) names.push_back(NameOf(hash, ++counts_[hash]));
  return WithNames(rows, names);
}

Result<ReducedChanges> ReduceByValues(const schema::TableSchema& table,
                                      const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches,
                                      const BaseLookup& lookup) {
  TARN_ASSIGN(const auto changes, Unwrap(arrow::ConcatenateRecordBatches(batches)));
  std::vector<Group> groups = GroupsOf(*changes, HashesOf(table, *changes));
  TARN_RETURN_IF_ERROR(CountPresent(groups, lookup));
  std::vector<int64_t> live, gone;
  std::vector<std::string> live_names, gone_names;
  for (const Group& group : groups) {
    if (group.before + group.lowest < 0) {
      return MakeError(ErrorCode::kUnsupported, "a row was deleted or updated that the lake does not have");
    }
    for (int64_t more = 1; more <= group.change; more++) {
      live.push_back(group.inserted[group.inserted.size() - static_cast<size_t>(more)]);
      live_names.push_back(NameOf(group.hash, group.before + more));
    }
    for (int64_t less = 0; less > group.change; less--) {
      gone.push_back(group.last);
      gone_names.push_back(NameOf(group.hash, group.before + less));
    }
  }
  ReducedChanges out;
  TARN_ASSIGN(const auto rows, TakeRows(changes, live));
  TARN_ASSIGN(out.rows, WithNames(rows, live_names));
  TARN_ASSIGN(const auto ended, TakeRows(changes, gone));
  const std::string lsn(schema::kLsn);
  out.deletes = arrow::RecordBatch::Make(
      arrow::schema({arrow::field(kRowName, arrow::utf8()), ended->schema()->GetFieldByName(lsn)}),
      ended->num_rows(), {Texts(gone_names), ended->GetColumnByName(lsn)});
  return out;
}

}  // namespace tarn::pipeline
