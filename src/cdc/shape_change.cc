#include "cdc/shape_change.h"

#include <algorithm>
#include <set>

namespace tarn::cdc {
namespace {

/// Without those that the configuration adds.
size_t SourceColumnCount(const schema::TableSchema& table) {
  return static_cast<size_t>(std::count_if(table.columns.begin(), table.columns.end(),
                                           [](const schema::Column& c) { return !c.constant; }));
}

const schema::Column* FindColumn(const schema::TableSchema& table, const std::string& name) {
  const auto found = std::find_if(table.columns.begin(), table.columns.end(),
                                  [&](const schema::Column& c) { return c.name == name; });
  return found == table.columns.end() ? nullptr : &*found;
}

/// The column of `known` that this one was: by its number, which a rename keeps and a new column of an old
/// name does not; by name where nobody knows the numbers.
const schema::Column* Before(const schema::TableSchema& known, const schema::Column& column) {
  const auto same_number =
      std::find_if(known.columns.begin(), known.columns.end(),
                   [&](const schema::Column& c) { return c.attnum != 0 && c.attnum == column.attnum; });
  if (same_number != known.columns.end()) return &*same_number;
  const schema::Column* same_name = FindColumn(known, column.name);
  if (same_name != nullptr && same_name->attnum != 0 && column.attnum != 0) return nullptr;
  return same_name;
}

/// "_2", "_3" and on behind a name that another column has, without regard to case.
std::string FreeName(const std::string& wanted, const std::set<std::string>& taken) {
  std::string name = wanted;
  for (int i = 2; taken.contains(schema::LowerName(name)); i++) name = wanted + "_" + std::to_string(i);
  return name;
}

bool IsFilled(const SourceTable& now, const std::string& column) {
  return std::find(now.filled.begin(), now.filled.end(), column) != now.filled.end();
}

/// Whether values of the one type have the same text in the other, which PostgreSQL changes without a new
/// storage: varchar to text does, cidr to inet does not.
bool HasSameText(uint32_t before, uint32_t now) {
  const auto is_text = [](uint32_t oid) { return oid == schema::kTextOid || oid == schema::kVarcharOid; };
  return before == now || (is_text(before) && is_text(now));
}

/// Why the rows of before do not tell what the source has in this column now; empty when they do.
std::string WhyStale(const schema::Column& column, const schema::Column* before, const FollowedTable& known,
                     const SourceTable& now, bool rewritten) {
  const auto constant_before = before == nullptr ? std::nullopt : before->constant;
  if (column.constant != constant_before)
    return "column '" + column.name + "' is added by the configuration, or has another value by it";
  if (before == nullptr) {
    if (IsFilled(now, column.name))
      return "column '" + column.name + "' was added with a default, which its earlier rows have, too";
    if (rewritten) return "column '" + column.name + "' was added, and the table was rewritten";
    const auto& kept_out = known.schema.kept_out;
    if (std::any_of(kept_out.begin(), kept_out.end(),
                    [&](const std::string& pattern) { return MatchesPattern(pattern, column.name); }))
      return "column '" + column.name + "' was kept out of the lake until now";
    // DROP EXPRESSION makes a generated column one like others, with the values that it has.
    if (WasGenerated(known.storage, column.attnum))
      return "column '" + column.name + "' was there before, generated, with values that no message told";
    return "";
  }
  if (before->hashed_under != column.hashed_under)
    return "column '" + column.name + "' is hashed otherwise now, or no longer";
  if (before->lake_name != column.lake_name)
    return "column '" + column.name + "' has another name in the lake now";
  if (before->type_oid == column.type_oid && before->typmod == column.typmod) return "";
  // Without a new storage PostgreSQL changed no value: varchar(10) to varchar(20), for one.
  if (!rewritten && before->type == column.type && HasSameText(before->type_oid, column.type_oid)) return "";
  return "the type of column '" + column.name + "' changed";
}

/// Whether `now` has the columns of `then`, and perhaps further ones behind, which were added since and which
/// the stream comes to.
bool Continues(const schema::TableSchema& now, const schema::TableSchema& then) {
  const size_t columns = SourceColumnCount(then);
  return columns <= SourceColumnCount(now) &&
         std::equal(then.columns.begin(), then.columns.begin() + static_cast<std::ptrdiff_t>(columns),
                    now.columns.begin(), [](const schema::Column& x, const schema::Column& y) {
                      return x.name == y.name &&
                             (x.type_oid == y.type_oid || !schema::IsBuiltIn(x.type_oid) ||
                              !schema::IsBuiltIn(y.type_oid));
                    });
}

schema::TableSchema FromRelation(const StreamRelation& relation) {
  schema::TableSchema table;
  table.oid = relation.oid;
  table.schema_name = relation.schema_name;
  table.table_name = relation.table_name;
  for (const StreamRelation::Column& from : relation.columns) {
    schema::Column column;
    column.name = from.name;
    column.type_oid = from.type_oid;
    column.typmod = from.typmod;
    column.is_key = from.is_key && relation.replica_identity != 'f';
    column.type = schema::MakePgType(from.type_oid, from.typmod);
    if (!from.hashed_under.empty()) column.HashUnder(from.hashed_under);
    column.constant = from.constant;
    table.columns.push_back(std::move(column));
  }
  schema::AssignLakeNames(table);
  for (size_t i = 0; i < relation.columns.size(); i++) {
    table.columns[i].renamed = !relation.columns[i].renamed.empty();
    if (table.columns[i].renamed) table.columns[i].lake_name = relation.columns[i].renamed;
  }
  return table;
}

/// Takes over what only the catalogue knows; it may know other columns by now.
void Complete(schema::TableSchema& table, const schema::TableSchema& catalogue, bool identity_full) {
  for (schema::Column& column : table.columns) {
    const schema::Column* known = FindColumn(catalogue, column.name);
    if (known == nullptr) continue;
    column.attnum = known->attnum;
    if (identity_full) column.is_key = known->is_key;
    if (schema::IsBuiltIn(column.type_oid)) continue;
    column.type_oid = known->type_oid;
    column.typmod = known->typmod;
    if (column.hashed_under.empty()) column.type = known->type;
  }
}

/// Gives the columns the lake names that they had, and new ones names that nobody has.
void KeepNames(schema::TableSchema& table, const schema::TableSchema& known) {
  std::set<std::string> taken;
  for (const schema::Column& column : known.columns) taken.insert(schema::LowerName(column.lake_name));
  for (schema::Column& column : table.columns) {
    const schema::Column* before = Before(known, column);
    if (column.renamed) {
      // The configuration's word.
    } else if (before != nullptr) {
      column.lake_name = before->lake_name;
    } else {
      // A column of an old name takes its place, unless the old one is there still.
      const auto holder =
          std::find_if(known.columns.begin(), known.columns.end(),
                       [&](const schema::Column& c) { return c.lake_name == column.lake_name; });
      const bool is_free =
          holder != known.columns.end() &&
          std::none_of(table.columns.begin(), table.columns.end(),
                       [&](const schema::Column& c) { return Before(known, c) == &*holder; });
      if (!is_free) column.lake_name = FreeName(column.lake_name, taken);
    }
    taken.insert(schema::LowerName(column.lake_name));
  }
  table.schema_name = known.schema_name;
  table.table_name = known.table_name;
  table.lake_name = known.lake_name;
  table.named = known.named;
}

std::string WhyCopyAgain(const schema::TableSchema& table, const FollowedTable& known,
                         const std::optional<SourceTable>& now) {
  if (table.KeyNames() != known.schema.KeyNames()) return "its key changed";
  if (table.append_only != known.schema.append_only) return "its replica identity changed";
  if (table.filter_id != known.schema.filter_id) return "it has other rows by the configuration's filter now";
  if (!now || !Continues(now->schema, table))
    return "its columns changed more than once before the stream came to it";
  const bool rewritten = StorageReplaced(known.storage, now->storage);
  for (const schema::Column& column : table.columns) {
    const schema::Column* before = Before(known.schema, column);
    if (before == nullptr && FindColumn(known.schema, column.name) != nullptr)
      return "column '" + column.name + "' was dropped and made again";
    std::string why = WhyStale(column, before, known, *now, rewritten);
    if (!why.empty()) return why;
  }
  for (const schema::Column& column : known.schema.columns) {
    if (column.attnum != 0 && std::count(now->hidden.begin(), now->hidden.end(), column.attnum) > 0)
      return "column '" + column.name + "' is kept out of the lake from now on";
    const bool is_there = std::any_of(table.columns.begin(), table.columns.end(),
                                      [&](const auto& c) { return Before(known.schema, c) == &column; });
    if (!is_there && IsKeyless(table))
      return "column '" + column.name + "' was dropped, and rows are told apart by all their columns";
    if (column.constant && FindColumn(table, column.name) == nullptr)
      return "column '" + column.name + "' is no longer added by the configuration";
  }
  return WhyRewritten(known, *now);
}

}  // namespace

std::string WhyRewritten(const FollowedTable& known, const SourceTable& now) {
  if (TypesReformed(known.storage, now.storage))
    return "ALTER TYPE changed the text of values that are there";
  std::string partitions = WhyOtherPartitions(known.storage, now.storage);
  if (!partitions.empty()) return partitions;
  const bool rewritten =
      StorageReplaced(known.storage, now.storage) && ColumnsTouched(known.storage, now.storage);
  return rewritten ? "ALTER TABLE rewrote it" : "";
}

bool IsBehind(const std::optional<SourceTable>& now, const StreamRelation& relation,
              const FollowedTable* known) {
  if (!now) return true;
  const auto in_relation = [&](const std::string& name) {
    return std::any_of(relation.columns.begin(), relation.columns.end(),
                       [&](const StreamRelation::Column& column) { return column.name == name; });
  };
  const bool lacks_one = std::any_of(
      relation.columns.begin(), relation.columns.end(), [&](const StreamRelation::Column& column) {
        const schema::Column* same = FindColumn(now->schema, column.name);
        if (same == nullptr) return true;
        const bool built_in = schema::IsBuiltIn(column.type_oid);
        return built_in && (same->type_oid != column.type_oid || same->typmod != column.typmod);
      });
  const auto was_dropped = [&](const schema::Column& column) {
    return !in_relation(column.name) && known != nullptr && Before(known->schema, column) != nullptr;
  };
  return lacks_one || std::any_of(now->schema.columns.begin(), now->schema.columns.end(), was_dropped);
}

bool SameShape(const StreamRelation& relation, const schema::TableSchema& known) {
  const bool whole_rows = relation.replica_identity == 'f';
  if (known.KeyNames().empty() && known.append_only == whole_rows) return false;
  return std::equal(
      relation.columns.begin(), relation.columns.end(), known.columns.begin(), known.columns.end(),
      [&](const StreamRelation::Column& now, const schema::Column& before) {
        const bool same_type = !schema::IsBuiltIn(now.type_oid) ||
                               (now.type_oid == before.type_oid && now.typmod == before.typmod);
        const bool same_key = relation.replica_identity == 'f' || now.is_key == before.is_key;
        const bool same_name = now.name == before.name && !now.renamed.empty() == before.renamed &&
                               (!before.renamed || now.renamed == before.lake_name);
        const bool same_hash = now.hashed_under == before.hashed_under;
        return same_name && same_type && same_key && same_hash && now.constant == before.constant;
      });
}

ShapeChange FollowShape(const StreamRelation& relation, const FollowedTable* known,
                        const std::optional<SourceTable>& now) {
  ShapeChange change{FromRelation(relation), ""};
  if (now) {
    change.table.filter_id = now->schema.filter_id;
  } else if (known != nullptr) {
    change.table.filter_id = known->schema.filter_id;
  }
  const bool identity_full = relation.replica_identity == 'f';
  if (known != nullptr) Complete(change.table, known->schema, identity_full);
  if (now) Complete(change.table, now->schema, identity_full);
  if (change.table.KeyNames().empty()) {
    change.table.append_only = now ? now->schema.append_only : known == nullptr || known->schema.append_only;
  }
  if (known != nullptr) {
    KeepNames(change.table, known->schema);
    change.copy_again = WhyCopyAgain(change.table, *known, now);
  } else if (now) {
    change.table.lake_name = now->schema.lake_name;
    change.table.named = now->schema.named;
  }
  if (known != nullptr) {
    change.table.kept_out = known->schema.kept_out;
  } else if (now) {
    change.table.kept_out = now->schema.kept_out;
  }
  return change;
}

ShapeChange FollowShape(const SourceTable& now, const FollowedTable& known) {
  ShapeChange change{now.schema, ""};
  if (now.schema.oid == known.schema.oid) {
    KeepNames(change.table, known.schema);
    change.copy_again = WhyCopyAgain(change.table, known, now);
    return change;
  }
  // Another table of the same name: its attribute numbers say nothing of the old one's.
  schema::TableSchema before = known.schema;
  for (schema::Column& column : before.columns) column.attnum = 0;
  KeepNames(change.table, before);
  change.copy_again = "the table was dropped and made again";
  return change;
}

}  // namespace tarn::cdc
