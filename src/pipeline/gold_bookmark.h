#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/error.h"
#include "catalog/lake_layout.h"
#include "hudi/record_key.h"
#include "storage/storage.h"

namespace tarn::pipeline {

/// From what a model's table was computed. Stands in the extra metadata of the Hudi commit that holds the
/// result, so that the two cannot disagree. A run that changes nothing writes no commit: the newest bookmark
/// may then be of an earlier version, which is as good.
struct GoldBookmark {
  /// Key in the commit's extraMetadata; the value is JSON.
  static constexpr const char* kProperty = "tarn.gold.bookmark";

  /// A Silver table that the model reads.
  struct Table {
    std::string commit;  ///< Its newest commit inside; empty: it had none.
    std::string shape;   ///< Hash of its columns and partitions.
    bool operator==(const Table&) const = default;
  };
  std::string source_instant;  ///< The lake version.
  int64_t as_of_micros = 0;    ///< What as_of() was.
  std::string sql;             ///< Hash of the model's SQL, key and partition, and of the engine's version.
  std::map<std::string, Table> tables;

  std::string ToJson() const;
  /// kCorrupt when it cannot be read.
  static Result<GoldBookmark> Parse(const std::string& json);
};

/// That of a model's table as it is now, read without opening it for writing; none when it was never
/// computed.
Result<std::optional<GoldBookmark>> ReadBookmark(const storage::Storage& storage,
                                                 const catalog::LakeLayout& layout, const std::string& model);

/// Hashes of what the partitions of a model's table hold, by path, so that a restart need not write again
/// what is equal. Beside the bookmark, in every commit.
using GoldContents = std::map<std::string, hudi::Hash128>;
inline constexpr const char* kGoldContentsProperty = "tarn.gold.contents";
/// Empty when there are too many for a commit's metadata.
std::string FormatContents(const GoldContents& contents);
/// Empty when it tells of none.
GoldContents ParseContents(const std::string& json);

/// A short name for a text.
std::string HashName(const std::string& text);

}  // namespace tarn::pipeline
