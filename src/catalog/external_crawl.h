#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "catalog/external_table.h"
#include "storage/storage.h"

namespace tarn::catalog {

/// What a crawl found of one table.
struct CrawlFinding {
  enum class What { kNew, kChanged, kSame, kGone, kRefused };
  What what = What::kSame;
  std::string name;    ///< In SQL: external.<name>.
  std::string path;    ///< Its folder.
  std::string reason;  ///< Of kRefused: why it cannot be one table. What was known of it stays.
  int64_t files_added = 0, files_changed = 0, files_removed = 0;  ///< Of Parquet.
  std::vector<std::string> columns_added;
};

struct CrawlOptions {
  std::function<void(int64_t files)> report = {};  ///< Now and then: how many files were looked at.
  const CancelToken* cancel = nullptr;
};

/// Looks for tables in the folder and below, and brings `known` up to date with what is there: a folder with
/// a Hudi timeline is a Hudi table; one with Parquet files, in itself or in folders named COLUMN=VALUE, a
/// table of Parquet files, whose footers are read unless size and time are those of the last crawl. Names
/// that begin with "." or "_" are passed over. Tables that the root had and has no more are forgotten,
/// columns never are. Errors: kNotFound when there is no such folder; those of reading it. What is wrong with
/// a table is its finding.
Result<std::vector<CrawlFinding>> CrawlFolder(const storage::Storage& storage, const std::string& root,
                                              const CrawlOptions& options, int64_t now_micros,
                                              ExternalTables* known);

}  // namespace tarn::catalog
