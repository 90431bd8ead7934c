#pragma once

#include <string>
#include <vector>

#include "cdc/pgoutput_decoder.h"
#include "cdc/source_catalog.h"

namespace tarn::cdc {

/// For tests: a table of text columns, the first of which is the key, as the catalogue describes it.
inline SourceTable TextTable(const std::string& name, const std::vector<std::string>& columns) {
  SourceTable table;
  table.schema.oid = 5;
  table.schema.schema_name = "public";
  table.schema.table_name = name;
  for (const std::string& column_name : columns) {
    schema::Column column;
    column.name = column_name;
    column.type_oid = schema::kTextOid;
    column.type = schema::MakePgType(column.type_oid, -1);
    column.attnum = static_cast<int16_t>(table.schema.columns.size() + 1);
    column.is_key = column.attnum == 1;
    table.storage +=
        (column.is_key ? std::string("5:100/") : std::string(",")) + std::to_string(column.attnum) + ":7";
    table.schema.columns.push_back(column);
  }
  schema::AssignLakeNames(table.schema);
  return table;
}

/// The same as the stream describes it.
inline StreamRelation RelationOf(const SourceTable& table) {
  StreamRelation relation{table.schema.oid, table.schema.schema_name, table.schema.table_name, 'd', {}};
  for (const schema::Column& column : table.schema.columns)
    relation.columns.push_back({column.name, column.type_oid, column.typmod, column.is_key});
  return relation;
}

}  // namespace tarn::cdc
