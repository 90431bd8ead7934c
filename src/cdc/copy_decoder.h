#pragma once

#include <string_view>
#include <vector>

#include "base/error.h"
#include "cdc/change_builder.h"

namespace tarn::cdc {

/// Decodes COPY ... (FORMAT binary), one CopyData message a call, as the server sends it: header and first
/// row may share a message. Source: PostgreSQL documentation, COPY, "Binary Format". Threads: one.
class CopyDecoder {
 public:
  explicit CopyDecoder(size_t columns) : values_(columns) {}

  /// True when the message held a row, which values() then shows (pointing into the message); false for the
  /// trailer. Errors: kCorrupt.
  Result<bool> Decode(std::string_view message);
  const std::vector<WireValue>& values() const { return values_; }

 private:
  std::vector<WireValue> values_;
  bool header_seen_ = false;
};

}  // namespace tarn::cdc
