#include "pipeline/table_progress.h"

#include <algorithm>

namespace tarn::pipeline {

double TableProgress::Share() const {
  if (done) return 1;
  const int64_t whole = estimated_rows >= 0 ? estimated_rows : size_bytes;
  const int64_t part = estimated_rows >= 0 ? rows : bytes;
  return whole > 0 ? std::min(static_cast<double>(part) / static_cast<double>(whole), 1.0) : 0;
}

std::optional<double> TableProgress::SecondsLeft() const {
  if (done) return 0;
  const double share = Share();
  if (share <= 0) return std::nullopt;
  return static_cast<double>(elapsed_micros) / 1e6 * (1 - share) / share;
}

}  // namespace tarn::pipeline
