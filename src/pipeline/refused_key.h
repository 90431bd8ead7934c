#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "schema/table_schema.h"

namespace tarn::pipeline {

/// A column of quarantine: what tells apart rows whose keys have no place in the lake's types. Their key
/// columns are NULL in the lake, though the source's keys differ ('infinity' and '-infinity').
inline constexpr const char* kRefusedKey = "_refused_key";

/// Whether a key of this table may have a value that the lake's type cannot hold.
bool KeyMayBeRefused(const schema::TableSchema& table);

/// `texts`: column -> text of refused values. Those of the key as one text; empty when there are none.
std::string RefusedKeyText(const schema::TableSchema& table, const nlohmann::json& texts);

/// Of each row of changes, by their _bad: null where the key is good.
std::shared_ptr<arrow::Array> RefusedKeys(const schema::TableSchema& table,
                                          const arrow::RecordBatch& changes);

}  // namespace tarn::pipeline
