#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "bronze/place.h"
#include "cdc/replication_objects.h"
#include "cdc/source_catalog.h"
#include "hudi/table.h"
#include "storage/s3_options.h"

namespace tarn::pipeline {

/// What `tarn.toml` says to the pipeline.
struct PipelineOptions {
  std::string conninfo;  ///< libpq connection string, with the password.
  cdc::ReplicationNames names;
  cdc::TablePatterns patterns;  ///< At the start; what they are since: TableSelection.
  std::string lake;             ///< Folder.
  std::string bronze_path;      ///< "s3://bucket/prefix"; empty: in the lake's folder.
  storage::S3Options s3;        ///< With a bronze_path.
  bool adopt_bronze = false;    ///< A lake without a folder may take over what is at bronze_path.
  bool with_silver = true;      ///< Else changes go to Bronze and no further.
  std::string models;           ///< Folder with silver/ and gold/; empty: no rules, no models.
  std::string tenant_column;    ///< Source column by which tables that have it are partitioned; empty: none.
  int64_t watch_interval_ms = 5'000;  ///< Between two looks at the source's catalogue.
  int64_t copy_mb_per_s = 0;          ///< Most that a copy asks of the source; 0: no limit.
  int64_t copy_range_kb = 128 << 10;  ///< Of a table, that one worker copies at a time.
  int64_t copy_save_ms = 10'000;      ///< How often a copy notes what it has, for when it is cut off.
  int64_t copy_range_pages() const { return std::max<int64_t>(copy_range_kb / 8, 1); }
  int64_t wal_warn_mb = 10'240;       ///< WAL that the source may keep for the slot without a warning.
  int64_t flush_interval_ms = 4'000;  ///< How long a change waits for its Bronze file at most.
  int64_t archive_after_hours = 6;    ///< How long after its end a day of Bronze is archived; 0: never.
  int64_t keep_days = 0;              ///< How long small files stay once their day is archived; 0: for ever.
  int64_t commit_interval_ms = 10'000;  ///< How long it waits for its Silver commit; 0: each step commits.
  int64_t gold_interval_ms = 10'000;    ///< Least time between two runs of Gold.
  int64_t check_interval_ms = 60'000;   ///< Least time between two runs of the checks; 0: on demand only.
  int copy_workers = 2;
  int64_t piece_kb = 48 << 10;  ///< Changes held in memory at most; a larger transaction comes in pieces.
  int64_t piece_bytes() const { return piece_kb << 10; }
  int64_t query_memory_bytes = int64_t{1} << 30;
  hudi::ServiceOptions services;

  /// What has bronze/ and _tarn/bronze/.
  const std::string& bronze_root() const { return bronze_path.empty() ? lake : bronze_path; }
  bronze::BronzePlace bronze() const {
    return bronze_path.empty() ? bronze::BronzePlace(lake)
                               : bronze::BronzePlace(bronze_path, lake + "/_tarn/bronze_store");
  }
};

}  // namespace tarn::pipeline
