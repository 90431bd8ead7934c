#pragma once

#include <map>
#include <string>
#include <vector>

#include "hudi/change_spool.h"
#include "hudi/hudi_table.h"

namespace tarn::hudi {

/// Makes one deltacommit of a spool: which rows are the newest of their identities, which file group each one
/// belongs to, then group by group a log file or a new base file. Nothing is visible before all is written.
/// Used once. Threads: one.
class SpooledCommit {
 public:
  /// `paths`: of the partitions that pieces name by number in kPath.
  SpooledCommit(HudiTable* table, ChangeSpool* spool, const std::vector<std::string>& paths,
                std::string instant);
  Result<CommitResult> Run(const CommitProperties& properties);

  /// A column of pieces with rows, behind the table's own and the record key.
  static constexpr const char* kPath = "_path";

 private:
  /// What happens to one file group.
  struct Work {
    std::vector<SpooledRow> rows;     ///< That are in it afterwards.
    std::vector<SpooledRow> removed;  ///< Whose identities leave it: deletes, and rows that moved elsewhere.
    Roaring replaced;                 ///< Positions in its base file that do not count any more.
    int64_t inserts = 0, updates = 0;
  };
  Status Sort();
  void SortRow(SpooledRow row, const RowPlace& place, uint32_t partition);
  void PlaceFresh();
  /// Number of the next base file in the commit; 0 is that of all rows in logs.
  int NextFile() const { return static_cast<int>(content_.bases.size()) + 1; }
  Status WriteFresh(uint32_t partition, std::span<const SpooledRow> rows);
  Status WriteGroup(uint32_t ordinal, Work& work);
  Status MergeGroup(uint32_t ordinal, const Work& work);
  Status WriteLog(uint32_t ordinal, Work& work);
  Status SpillLog(NewLog* log);
  /// Appends rows until the file is full; how many.
  Result<size_t> AppendTo(BaseFileWriter* file, uint32_t ordinal, std::span<const SpooledRow> rows,
                          int64_t most_bytes);
  Result<std::vector<DeleteRecord>> Removed(uint32_t ordinal, std::span<const SpooledRow> rows);
  Status EraseRemoved();
  int64_t BytesOf(size_t rows) const { return static_cast<int64_t>(rows) * row_bytes_; }

  HudiTable* table_;
  ChangeSpool* spool_;
  std::vector<uint32_t> partitions_;  ///< Of the table, by a piece's number.
  CommitContent content_;
  std::shared_ptr<arrow::Schema> gathered_;  ///< Table schema, record key, identity.
  int64_t row_bytes_ = 0;
  std::map<uint32_t, Work> groups_;
  std::map<uint32_t, std::vector<SpooledRow>> fresh_;  ///< Rows that no group of their partition has.
  uint32_t new_groups_ = 0;
  int64_t logged_rows_ = 0, waiting_log_bytes_ = 0;
};

}  // namespace tarn::hudi
