#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "hudi/merge_rules.h"

namespace tarn::hudi {

enum class BlockType : int32_t {
  kCommand = 0,
  kDelete = 1,
  kCorrupt = 2,
  kAvro = 3,
  kHfile = 4,
  kParquet = 5,
  kCdc = 6
};

/// One block of a log file. Views point into the file's bytes.
struct LogBlock {
  BlockType type = BlockType::kCorrupt;
  std::string instant;         ///< Header key 0.
  std::string target_instant;  ///< Header key 1 (rollback).
  std::string schema;          ///< Header key 2.
  std::string command;         ///< Header key 3; "0" is rollback.
  std::string compacted;       ///< Header key 4: instants whose blocks this one replaces, by commas.
  bool is_partial = false;     ///< Header key 7: rows have the columns that changed, and no others.
  std::string_view content;
  size_t begin = 0, end = 0;  ///< Where it stands in the file.
};

/// One record to delete.
struct DeleteRecord {
  std::string key;
  std::string partition;
  /// nullopt: no ordering, the delete wins over what came before it.
  std::optional<int64_t> ordering;
  std::string ordering_text = {};  ///< Instead, with MergeRules::Ranks::kTexts; `ordering` is then zero.
};

/// Frames a block of format version 1. Shape: hudi-format, section 6.1.
void AppendBlock(BlockType type, const std::vector<std::pair<int32_t, std::string>>& header,
                 std::string_view content, std::string* out);
/// Blocks of a log file in order; a corrupt stretch is skipped up to the next magic.
/// Errors: kCorrupt names `name` and the offset when the file does not begin with a block.
Result<std::vector<LogBlock>> ParseBlocks(std::string_view bytes, const std::string& name);

/// An AVRO block that is written where it will stand, record by record: a large one is never copied.
class AvroBlockWriter {
 public:
  /// Begins a block behind what `out` has. `out` outlives the writer, and only it appends until End.
  AvroBlockWriter(const std::vector<std::pair<int32_t, std::string>>& header, std::string* out);
  /// Begins a record, whose Avro bytes the caller appends to `out`.
  void BeginRecord();
  void EndRecord();
  void End();
  int32_t records() const { return records_; }
  int64_t bytes() const { return static_cast<int64_t>(out_->size() - begin_); }

 private:
  std::string* out_;
  size_t begin_, content_ = 0, record_ = 0;
  int32_t records_ = 0;
};

/// Records of an AVRO block's content; kUnsupported when its version is not 3 (or 1 or 2, which frame alike).
Result<std::vector<std::string_view>> AvroRecords(std::string_view content, const std::string& name);

std::string DeleteContent(const std::vector<DeleteRecord>& records);
/// Orderings are as `ranks` wants them. Errors: kCorrupt, kUnsupported name the file.
Result<std::vector<DeleteRecord>> ParseDeletes(std::string_view content, const std::string& name,
                                               MergeRules::Ranks ranks = MergeRules::Ranks::kIntegers);

}  // namespace tarn::hudi
