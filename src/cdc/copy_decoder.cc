#include "cdc/copy_decoder.h"

#include "cdc/wire_reader.h"

namespace tarn::cdc {

Result<bool> CopyDecoder::Decode(std::string_view message) {
  WireReader reader(message);
  if (!header_seen_) {
    static constexpr std::string_view kSignature("PGCOPY\n\377\r\n\0", 11);
    if (reader.Bytes(11) != kSignature)
      return Error{ErrorCode::kCorrupt, "a binary COPY does not begin with its signature"};
    reader.Int32();  // flags
    reader.Bytes(reader.Int32());
    if (!reader.ok()) return Error{ErrorCode::kCorrupt, "a binary COPY's header is cut short"};
    header_seen_ = true;
    if (reader.at_end()) return false;
  }
  const int16_t fields = reader.Int16();
  if (fields == -1) return false;
  if (static_cast<size_t>(fields) != values_.size()) {
    return MakeError(ErrorCode::kCorrupt, "a row of a binary COPY has {} fields, {} were asked for", fields,
                     values_.size());
  }
  for (WireValue& value : values_) {
    const int32_t length = reader.Int32();
    value.state = length == -1 ? WireValue::State::kNull : WireValue::State::kBinary;
    value.bytes = length == -1 ? std::string_view() : reader.Bytes(length);
  }
  if (!reader.ok() || !reader.at_end())
    return Error{ErrorCode::kCorrupt, "a row of a binary COPY does not frame exactly"};
  return true;
}

}  // namespace tarn::cdc
