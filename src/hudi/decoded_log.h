#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "hudi/merge_rules.h"
#include "hudi/record_key.h"
#include "storage/storage.h"

namespace tarn::hudi {

/// One block of a log file, decoded.
struct DecodedBlock {
  std::string instant;
  std::string rollback_target;         ///< Of a rollback block, else empty.
  std::vector<std::string> compacted;  ///< Instants whose blocks before it this one replaces.
  bool is_partial = false;             ///< Rows replace the columns that they have, and leave the others.
  std::shared_ptr<arrow::RecordBatch> rows;  ///< In the writer's schema, with _hoodie_ columns; may be null.
  std::vector<Hash128> keys;                 ///< Of the rows' record keys.
  std::vector<int64_t> orderings;            ///< Of the rows; zero where the column is null or absent.
  std::vector<std::string> ordering_texts;   ///< Instead, with MergeRules::Ranks::kTexts.
  std::vector<bool> deleting;                ///< Rows that delete their key; empty: none.
  struct Delete {
    Hash128 key;
    std::optional<int64_t> ordering;
    std::string ordering_text;
  };
  std::vector<Delete> deletes;
};
struct DecodedLog {
  std::vector<DecodedBlock> blocks;
  int64_t memory_bytes = 0;
};

/// Errors: kCorrupt and kUnsupported name the file.
Result<std::shared_ptr<const DecodedLog>> DecodeLog(const storage::Storage& storage, const std::string& path,
                                                    const MergeRules& rules);

/// Decoded logs by path, least recently used out first. Threads: any.
class LogCache {
 public:
  explicit LogCache(int64_t max_bytes) : max_bytes_(max_bytes) {}
  Result<std::shared_ptr<const DecodedLog>> Get(const storage::Storage& storage, const std::string& path,
                                                int64_t size_bytes, const MergeRules& rules);
  /// Forgets all: files were taken away whose names may come again.
  void Clear();

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const DecodedLog> log;
  };
  const int64_t max_bytes_;
  std::mutex mutex_;
  int64_t bytes_ = 0;
  std::list<Entry> entries_;  ///< Most recently used first.
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;
};

}  // namespace tarn::hudi
