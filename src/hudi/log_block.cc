#include "hudi/log_block.h"

#include <bit>
#include <cmath>

#include "avro/binary.h"
#include "hudi/big_endian.h"

namespace tarn::hudi {
namespace {

constexpr std::string_view kMagic = "#HUDI#";
constexpr int32_t kFormatVersion = 1;
constexpr int32_t kBlockVersion = 3;
/// Branches of orderingVal's union.
enum OrderingBranch {
  kNull = 0,
  kBoolean,
  kInt,
  kLong,
  kFloat,
  kDouble,
  kBytes,
  kString,
  kDate,
  kDecimal,
  kTime,
  kTimestamp
};

/// Parses the block at `at`; nullopt when its sizes do not add up.
std::optional<LogBlock> ParseBlock(std::string_view bytes, size_t at, size_t* end) {
  BigEndianReader reader(bytes.substr(at + kMagic.size()));
  const int64_t size = reader.I64();
  const size_t begin = at + kMagic.size() + 8;
  if (reader.failed() || size < 24 || static_cast<uint64_t>(size) > bytes.size() - begin) return std::nullopt;
  BigEndianReader body(bytes.substr(begin, static_cast<size_t>(size)));
  LogBlock block;
  if (body.I32() != kFormatVersion) return std::nullopt;
  block.type = static_cast<BlockType>(body.I32());
  const int32_t headers = body.I32();
  for (int32_t i = 0; i < headers && !body.failed(); i++) {
    const int32_t key = body.I32();
    const std::string value(body.Bytes(body.I32()));
    if (key == 0) block.instant = value;
    if (key == 1) block.target_instant = value;
    if (key == 2) block.schema = value;
    if (key == 3) block.command = value;
  }
  block.content = body.Bytes(body.I64());
  const int32_t footers = body.I32();
  for (int32_t i = 0; i < footers && !body.failed(); i++) {
    body.I32();
    body.Bytes(body.I32());
  }
  const int64_t reverse = body.I64();
  if (body.failed() || reverse != size + 6 || body.position() != static_cast<size_t>(size))
    return std::nullopt;
  *end = begin + static_cast<size_t>(size);
  if (*end != bytes.size() && !bytes.substr(*end).starts_with(kMagic)) return std::nullopt;
  return block;
}

/// As Java casts: NaN is zero, what is too large is the largest.
int64_t LongOf(double value) {
  if (std::isnan(value)) return 0;
  if (value >= 0x1p63) return INT64_MAX;
  if (value <= -0x1p63) return INT64_MIN;
  return static_cast<int64_t>(value);
}

std::optional<int64_t> OrderingOf(int64_t branch, avro::Decoder& decoder, bool* bad) {
  switch (branch) {
    case kNull:
      return std::nullopt;
    case kBoolean:
      return decoder.GetBool() ? 1 : 0;
    case kInt: {
      const int64_t value = decoder.GetLong();
      // Zero as an int is Hudi's "natural order": no ordering at all.
      return value == 0 ? std::nullopt : std::optional<int64_t>(value);
    }
    case kLong:
    case kDate:
    case kTime:
    case kTimestamp:
      return decoder.GetLong();
    case kFloat:
      return LongOf(decoder.GetFloat());
    case kDouble:
      return LongOf(decoder.GetDouble());
    case kBytes:
    case kString:
    case kDecimal:
      decoder.GetString();
      return std::nullopt;
    default:
      *bad = true;
      return std::nullopt;
  }
}

}  // namespace

void AppendBlock(BlockType type, const std::vector<std::pair<int32_t, std::string>>& header,
                 std::string_view content, std::string* out) {
  const size_t begin = out->size();
  std::string body;
  PutI32(kFormatVersion, &body);
  PutI32(static_cast<int32_t>(type), &body);
  PutI32(static_cast<int32_t>(header.size()), &body);
  for (const auto& [key, value] : header) {
    PutI32(key, &body);
    PutI32(static_cast<int32_t>(value.size()), &body);
    body.append(value);
  }
  PutI64(static_cast<int64_t>(content.size()), &body);
  out->append(kMagic);
  PutI64(static_cast<int64_t>(body.size() + content.size() + 4 + 8), out);
  out->append(body);
  out->append(content);
  PutI32(0, out);
  PutI64(static_cast<int64_t>(out->size() - begin), out);
}

Result<std::vector<LogBlock>> ParseBlocks(std::string_view bytes, const std::string& name) {
  if (!bytes.empty() && !bytes.starts_with(kMagic)) {
    return MakeError(ErrorCode::kCorrupt, "log file '{}' has no block at offset 0", name);
  }
  std::vector<LogBlock> blocks;
  for (size_t at = 0; at < bytes.size();) {
    size_t end = 0;
    if (auto block = ParseBlock(bytes, at, &end)) {
      blocks.push_back(std::move(*block));
      at = end;
    } else {
      at = std::min(bytes.find(kMagic, at + 1), bytes.size());
    }
  }
  return blocks;
}

std::string AvroContent(int32_t count, std::string_view framed_records) {
  std::string content;
  content.reserve(framed_records.size() + 8);
  PutI32(kBlockVersion, &content);
  PutI32(count, &content);
  content.append(framed_records);
  return content;
}

void AppendAvroRecord(std::string_view record, std::string* framed_records) {
  PutI32(static_cast<int32_t>(record.size()), framed_records);
  framed_records->append(record);
}

Result<std::vector<std::string_view>> AvroRecords(std::string_view content, const std::string& name) {
  BigEndianReader reader(content);
  const int32_t version = reader.I32();
  if (version < 1 || version > kBlockVersion) {
    return MakeError(ErrorCode::kUnsupported, "log file '{}': Avro block of version {}", name, version);
  }
  const int32_t count = reader.I32();
  std::vector<std::string_view> records;
  for (int32_t i = 0; i < count && !reader.failed(); i++) records.push_back(reader.Bytes(reader.I32()));
  if (reader.failed()) {
    return MakeError(ErrorCode::kCorrupt, "log file '{}': Avro block of {} records ends early", name, count);
  }
  return records;
}

std::string DeleteContent(const std::vector<DeleteRecord>& records) {
  std::string list;
  avro::Encoder encoder(&list);
  if (!records.empty()) encoder.PutLong(static_cast<int64_t>(records.size()));
  for (const DeleteRecord& record : records) {
    encoder.PutLong(1);
    encoder.PutString(record.key);
    encoder.PutLong(1);
    encoder.PutString(record.partition);
    encoder.PutLong(record.ordering ? kLong : kNull);
    if (record.ordering) encoder.PutLong(*record.ordering);
  }
  encoder.PutLong(0);
  std::string content;
  PutI32(kBlockVersion, &content);
  PutI32(static_cast<int32_t>(list.size()), &content);
  return content + list;
}

Result<std::vector<DeleteRecord>> ParseDeletes(std::string_view content, const std::string& name) {
  BigEndianReader reader(content);
  const int32_t version = reader.I32();
  if (version != kBlockVersion) {
    return MakeError(ErrorCode::kUnsupported, "log file '{}': delete block of version {} (3 is read)", name,
                     version);
  }
  avro::Decoder decoder(reader.Bytes(reader.I32()));
  std::vector<DeleteRecord> records;
  bool bad = reader.failed();
  for (int64_t count = decoder.GetLong(); count != 0 && !bad && !decoder.failed();
       count = decoder.GetLong()) {
    if (count < 0) {
      bad = count == INT64_MIN;
      count = bad ? 0 : -count;
      decoder.GetLong();
    }
    for (int64_t i = 0; i < count && !bad && !decoder.failed(); i++) {
      DeleteRecord record;
      if (decoder.GetLong() == 1) record.key = decoder.GetString();
      if (decoder.GetLong() == 1) record.partition = decoder.GetString();
      record.ordering = OrderingOf(decoder.GetLong(), decoder, &bad);
      records.push_back(std::move(record));
    }
  }
  if (bad || decoder.failed())
    return MakeError(ErrorCode::kCorrupt, "log file '{}': delete block is broken", name);
  return records;
}

}  // namespace tarn::hudi
