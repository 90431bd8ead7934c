#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "cdc/replication_objects.h"
#include "cdc/snapshot.h"
#include "cdc/source_catalog.h"
#include "pipeline/options.h"
#include "pipeline/silver_layer.h"
#include "pipeline/table_progress.h"

namespace tarn::pipeline {

/// How far the first copies are.
struct LoadProgress {
  std::string table;  ///< Being copied now.
  int64_t tables_done = 0, tables_total = 0;
  int64_t rows = 0;  ///< Of all tables so far.
  int64_t estimated_rows = 0;
  int64_t elapsed_micros = 0;
  std::map<std::string, TableProgress> tables;  ///< By lake name: all that are copied.
};
using LoadReporter = std::function<void(const LoadProgress&)>;

/// Copies tables, largest first, into Bronze and Silver under one exported snapshot. A table appears whole or
/// not at all. Of those in `cut_off` (lake names, as IsCutOff) what is missing goes to Bronze only. Returns
/// the tables that were rewritten, or are not as they were described, which must be described and copied
/// again under a newer snapshot.
Result<std::vector<cdc::SourceTable>> CopyTables(storage::Storage* storage, const PipelineOptions& options,
                                                 int64_t epoch, std::vector<cdc::SourceTable> tables,
                                                 const std::set<std::string>& cut_off, SilverLayer& silver,
                                                 const CancelToken& cancel, const LoadReporter& report);

}  // namespace tarn::pipeline
