#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/lsn.h"

namespace tarn::pipeline {

/// A table's storage as a look at the source's catalogue found it: another one than the lake knows, under the
/// same columns.
struct SeenStorage {
  std::string table;    ///< Its name in the lake.
  std::string storage;  ///< As cdc::SourceTable::storage.
  /// Set when it holds only if the stream told a TRUNCATE: one that committed behind `since`, a position from
  /// before the last look that found what the lake knows.
  std::optional<Lsn> since;
  Lsn seen;  ///< All that made it so committed at or below.
};

/// Decides whether the lake may take a storage that it sees as the table's: all partitions together get
/// another one by TRUNCATE of the root, which the stream tells, and by one transaction that truncates each by
/// its own name, of which it tells nothing. Threads: one.
class SeenStorages {
 public:
  /// The stream brought a TRUNCATE of the table, which committed at `lsn`.
  void Truncated(const std::string& table, Lsn lsn) { truncated_[table] = lsn; }
  /// What the catalogue shows: once more is the same, another storage replaces the earlier one.
  void See(SeenStorage seen);
  /// What is decided: storages to be noted by table, and tables whose rows went without a message.
  struct Decided {
    std::vector<std::pair<std::string, std::string>> noted;
    std::vector<std::string> untold;
  };
  /// Decides on those that the stream has `passed`; the others stay.
  Decided Decide(const std::function<bool(Lsn)>& passed);
  /// Forgets all: positions of before mean nothing any more.
  void Clear();

 private:
  std::map<std::string, Lsn> truncated_;  ///< The newest of each table.
  std::map<std::string, SeenStorage> seen_;
};

}  // namespace tarn::pipeline
