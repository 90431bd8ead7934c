#pragma once

#include <optional>
#include <vector>

#include "cdc/pgoutput_decoder.h"
#include "cdc/row_filter.h"

namespace tarn::cdc {

/// What becomes of a change of a table of which the lake has some rows only.
enum class RowFate : uint8_t {
  kKept,     ///< It goes in as it is.
  kLeaves,   ///< The row is none of the lake's any more, if it ever was: a delete of its key.
  kOutside,  ///< The lake has nothing of it.
  kUntold,   ///< The row's own values do not tell.
};

/// A table's filter over the rows of the stream. Threads: any.
class StreamFilter {
 public:
  /// `bound` to the columns of the stream's rows; nullopt: no row of this shape can be judged, so all are
  /// kUntold. `key`: which of the columns are the key. `old_is_whole`: old rows are told with all columns.
  StreamFilter(std::optional<FilterNode> bound, std::vector<bool> key, bool old_is_whole);

  /// As PgoutputHandler::OnRow has them. What a change tells of the row before depends on the replica
  /// identity: nothing, its key, or all.
  RowFate Judge(char op, const std::vector<WireValue>& row, const std::vector<WireValue>& old_row);

 private:
  FilterAnswer Ask(const std::vector<WireValue>& row, bool key_only) const;
  RowFate JudgeOld(const std::vector<WireValue>& old_row) const;

  std::optional<FilterNode> filter_;
  std::vector<bool> key_;
  bool old_is_whole_;
  std::vector<WireValue> complete_;  ///< Reused: a row with what its old one tells of it.
};

/// Puts values that an update did not touch in their places, where the old row has them.
void CompleteRow(std::vector<WireValue>& row, const std::vector<WireValue>& old_row);

}  // namespace tarn::cdc
