#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "catalog/external_table.h"
#include "hudi/table.h"
#include "storage/storage.h"

namespace tarn::pipeline {

/// The tables of others as SQL sees them: what the last crawl found. Files of Parquet tables that came since
/// are not seen, Hudi tables are as their writers have them now. Threads: any.
class ExternalView {
 public:
  /// `storage` outlives it.
  ExternalView(const storage::Storage* storage, catalog::LakeLayout layout)
      : storage_(storage), layout_(std::move(layout)) {}

  using Tables = std::shared_ptr<const catalog::ExternalTables>;
  /// As the list stands now; empty when it cannot be read, which is logged.
  Tables Now();
  /// Errors: kNotFound; kSql for a time in the past of a table without a history; those of the table's
  /// reader.
  Result<std::shared_ptr<const hudi::ScanPlan>> Plan(const catalog::ExternalTables& tables,
                                                     const std::string& name,
                                                     std::optional<int64_t> as_of_micros);

 private:
  Result<std::shared_ptr<hudi::TableReader>> ReaderOf(const std::string& path);

  const storage::Storage* storage_;
  const catalog::LakeLayout layout_;
  std::mutex mutex_;
  std::string text_;  ///< That tables_ was read from; under mutex_.
  Tables tables_ = std::make_shared<catalog::ExternalTables>();        ///< Under mutex_.
  std::map<std::string, std::shared_ptr<hudi::TableReader>> readers_;  ///< By path; under mutex_.
};

}  // namespace tarn::pipeline
