#pragma once

#include <cstdint>
#include <optional>

namespace tarn::pipeline {

/// How far the copy of one table is. What is estimated is the source's catalogue's word.
struct TableProgress {
  int64_t rows = 0;
  int64_t bytes = 0;            ///< As they came over the wire.
  int64_t estimated_rows = -1;  ///< -1: the source never counted them.
  int64_t size_bytes = 0;       ///< Of the table on the source's disk.
  int64_t elapsed_micros = 0;   ///< Since it began; 0: it has not.
  bool done = false;

  /// Share that is copied, from 0 to 1: by rows, else by bytes.
  double Share() const;
  /// nullopt: nothing is known yet.
  std::optional<double> SecondsLeft() const;
};

}  // namespace tarn::pipeline
