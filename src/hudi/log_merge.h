#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "hudi/decoded_log.h"
#include "hudi/identity_map.h"
#include "hudi/record_key.h"

namespace tarn::hudi {

/// Merges log blocks by a table's rules; deletes take part. Keys of different file groups are kept apart by
/// `salt`. Threads: one.
class LogMerge {
 public:
  struct Entry {
    /// nullopt: a delete without ordering, which wins over whatever came before it. Of text ranks the place
    /// in the list of them.
    std::optional<int64_t> ordering;
    int64_t row = -1;  ///< Among the rows added; -1: deleted.
  };

  /// `schema`: of the rows given out, with _hoodie_ columns.
  explicit LogMerge(std::shared_ptr<arrow::Schema> schema, MergeRules rules = {})
      : schema_(std::move(schema)),
        rules_(std::move(rules)),
        fills_(rules_.fill == MergeRules::Fill::kWhereNull || rules_.fill == MergeRules::Fill::kWhereMarked) {
  }
  Status Add(const DecodedBlock& block, uint64_t salt);
  const Entry* Find(const Hash128& key, uint64_t salt) const;
  /// Takes the key's row out.
  void Suppress(const Hash128& key, uint64_t salt);
  /// Whether rows take columns from those that they replace: the base file's rows are then to be added, too.
  bool combines() const { return fills_ || rules_.fill == MergeRules::Fill::kWhereNullOfBase; }
  /// Lets the base file's row of a key in, whose ordering is that number or text. Whether the row in the file
  /// is replaced; if not, it wins, and the logs' row is taken out.
  bool MeetBase(const Hash128& key, uint64_t salt, int64_t ordering, const std::string& ordering_text);
  /// The same where rows combine: adds the rows of the base file that logs touch. The file's are then
  /// replaced.
  Status AddBase(const std::shared_ptr<arrow::RecordBatch>& rows, const std::vector<Hash128>& keys,
                 const std::vector<int64_t>& orderings, const std::vector<std::string>& texts, uint64_t salt);
  /// The live rows; null when there are none. Row numbers of entries are then those of this batch.
  Result<std::shared_ptr<arrow::RecordBatch>> Rows();
  /// Gives the live rows out part by part, and lets go of them: nothing can be asked afterwards.
  Status TakeLive(const std::function<Status(const std::shared_ptr<arrow::RecordBatch>&)>& take);
  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }

 private:
  static Hash128 Salted(const Hash128& key, uint64_t salt) { return {key.low ^ salt, key.high}; }

  /// Whether what has ordering `a` gives way to what comes later with `b`; texts are looked at by their
  /// place.
  bool GivesWay(int64_t a, int64_t b) const;
  int64_t Rank(int64_t number, const std::string& text);
  Result<std::shared_ptr<arrow::RecordBatch>> Projected(
      const std::shared_ptr<arrow::RecordBatch>& rows) const;
  void Replace(const Hash128& key, Entry* entry, int64_t ordering, int64_t row);
  Result<std::shared_ptr<arrow::RecordBatch>> Combined() const;
  int64_t SourceOf(const arrow::RecordBatch& rows, int column, int64_t row,
                   const std::vector<int64_t>& older) const;

  std::shared_ptr<arrow::Schema> schema_;
  const MergeRules rules_;
  bool fills_;  ///< Rows may take columns from other log rows.
  std::vector<std::string> texts_;
  /// Rows behind an entry's own, the next to ask first.
  std::unordered_map<Hash128, std::vector<int64_t>, HashOfHash> older_;
  std::unordered_map<Hash128, int64_t, HashOfHash> latest_;  ///< Rows that came last and did not win.
  std::map<int64_t, std::vector<bool>> partial_;  ///< By first row of a part: which columns it has.
  std::map<int64_t, int64_t> part_ends_;          ///< Of those parts.
  IdentityMap<Entry> entries_;
  std::vector<std::shared_ptr<arrow::RecordBatch>> parts_;
  int64_t rows_ = 0;
  bool settled_ = true;  ///< parts_ is one batch without dead rows.
};

}  // namespace tarn::hudi
