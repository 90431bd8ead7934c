#pragma once

#include <gtest/gtest.h>

#include <string>

#include "hudi/properties.h"
#include "hudi/table_history.h"

namespace tarn::hudi {

/// For tests: has the table's files grow to so many bytes from now on; it is opened anew.
inline void SetTargetFileBytes(History& history, int64_t bytes) {
  const std::string path = history.base() + "/.hoodie/hoodie.properties";
  Properties properties = ParseProperties(*history.storage().Read(path));
  properties["tarn.target.file.bytes"] = std::to_string(bytes);
  ASSERT_TRUE(history.storage().Write(path, FormatProperties(properties)));
  ASSERT_TRUE(history.TryOpen());
}

/// For tests: commits that each make a file group of a few rows in partitions 0 and 1, some with logs; after
/// which files may grow to a megabyte.
inline void LeaveSmallFiles(History& history, int commits) {
  SetTargetFileBytes(history, 1);
  for (int i = 0; i < commits; i++) {
    const std::string instant = history.Next();
    Rows fresh;
    for (int64_t k = 0; k < 6; k++) fresh[2000 + 10 * i + k] = {k % 2, "small", history.lsn()};
    // What a commit before made: its group gets a log.
    if (i > 0) fresh[2000 + 10 * (i - 1)] = {0, "changed", history.lsn()};
    for (const auto& [id, row] : fresh) history.rows()[id] = row;
    history.Commit(instant, {ToBatch(fresh), nullptr});
  }
  SetTargetFileBytes(history, 1 << 20);
}

}  // namespace tarn::hudi
