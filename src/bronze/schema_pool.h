#pragma once

#include <map>
#include <memory>
#include <string>

#include "schema/table_schema.h"

namespace tarn::bronze {

/// One object for all equal schemas: each manifest brings its own, and a day has thousands of manifests.
/// Threads: one.
class SchemaPool {
 public:
  std::shared_ptr<const schema::TableSchema> Same(const std::shared_ptr<const schema::TableSchema>& table) {
    return known_.emplace(schema::ToJson(*table), table).first->second;
  }

 private:
  std::map<std::string, std::shared_ptr<const schema::TableSchema>> known_;
};

}  // namespace tarn::bronze
