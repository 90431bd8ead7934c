#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "hudi/scan_plan.h"

namespace tarn::engine {

/// "silver", "orders". The schema is empty where a statement names a table without one.
struct TableName {
  std::string schema;
  std::string name;

  auto operator<=>(const TableName&) const = default;
};

/// One pinned state of the whole lake: all its tables are at one source position. What its plans name stays
/// readable while it lives. Threads: any.
class LakeVersion {
 public:
  virtual ~LakeVersion() = default;
  virtual std::vector<TableName> Tables() const = 0;
  /// For a table of Tables(): what to scan for one table. `allow_held`: of one that is held, what it has,
  /// which may be older than the others or wrong.
  /// Errors: are shown to operators as they are, so they should explain (the table is held, its history
  /// begins later, ...).
  virtual Result<std::shared_ptr<const hudi::ScanPlan>> Plan(const TableName& table, bool allow_held) = 0;
  /// For people: which version this is.
  virtual std::string Describe() const = 0;
};

/// Where sessions get their versions from. Threads: any. Outlives its sessions.
class Lake {
 public:
  virtual ~Lake() = default;
  /// The newest version, or the newest whose newest source commit is at or before the time (microseconds,
  /// UTC).
  virtual Result<std::shared_ptr<LakeVersion>> Pin(std::optional<int64_t> as_of_micros) = 0;
};

}  // namespace tarn::engine
