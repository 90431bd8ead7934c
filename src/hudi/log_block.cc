#include "hudi/log_block.h"

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
  kTimestamp,
  kArray,              ///< Of several columns.
  kLocalDate = kArray  ///< Inside such an array.
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
    if (key == 4) block.compacted = value;
    if (key == 7) block.is_partial = value == "true";
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

/// Writes what stands before a block's content, without its sizes; where the content begins.
size_t BeginBlock(BlockType type, const std::vector<std::pair<int32_t, std::string>>& header,
                  std::string* out) {
  out->append(kMagic);
  PutI64(0, out);
  PutI32(kFormatVersion, out);
  PutI32(static_cast<int32_t>(type), out);
  PutI32(static_cast<int32_t>(header.size()), out);
  for (const auto& [key, value] : header) {
    PutI32(key, out);
    PutI32(static_cast<int32_t>(value.size()), out);
    out->append(value);
  }
  PutI64(0, out);
  return out->size();
}

/// Fills the sizes of the block at `begin` in and writes what stands behind its content, which ends `out`.
void EndBlock(size_t begin, size_t content, std::string* out) {
  PatchI64(static_cast<int64_t>(out->size() - content), content - 8, out);
  PutI32(0, out);
  // The block's size counts all but the magic and itself; the last number counts the magic and not itself.
  PatchI64(static_cast<int64_t>(out->size() + 8 - begin - kMagic.size() - 8), begin + kMagic.size(), out);
  PutI64(static_cast<int64_t>(out->size() - begin), out);
}

/// One ordering value of a delete record, in whichever type it was written.
class DeleteOrdering {
 public:
  explicit DeleteOrdering(MergeRules::Ranks ranks) : ranks_(ranks) {}

  /// False when the bytes are broken.
  bool Read(avro::Decoder& decoder) {
    const int64_t branch = decoder.GetLong();
    if (branch == kNull) return true;
    has_ = true;
    if (branch != kArray) return ReadValue(branch, decoder);
    if (decoder.GetLong() == 0) return true;
    for (int64_t count = decoder.GetLong(); count != 0 && !decoder.failed(); count = decoder.GetLong()) {
      if (count == INT64_MIN) return false;
      if (count < 0) {
        count = -count;
        decoder.GetLong();
      }
      for (int64_t i = 0; i < count && !decoder.failed(); i++) {
        if (!ReadValue(decoder.GetLong(), decoder)) return false;
      }
    }
    return true;
  }

  void Give(DeleteRecord* record) {
    if (!has_ || is_natural_) return;
    record->ordering = ranks_ == MergeRules::Ranks::kTexts ? 0 : number_;
    record->ordering_text = text_.Take();
  }

 private:
  void Number(int64_t value) {
    number_ = ranks_ == MergeRules::Ranks::kFloats ? RankOf(static_cast<double>(value)) : value;
    text_.AppendNumber(value);
  }
  void Floating(double value) {
    number_ = ranks_ == MergeRules::Ranks::kFloats ? RankOf(value) : 0;
    text_.AppendNumber(RankOf(value));
  }

  bool ReadValue(int64_t branch, avro::Decoder& decoder) {
    switch (branch) {
      case kNull:
        text_.AppendNull();
        return true;
      case kBoolean:
        Number(decoder.GetBool() ? 1 : 0);
        return true;
      case kInt: {
        const int64_t value = decoder.GetLong();
        // Zero as an int is Hudi's "natural order": no ordering at all.
        is_natural_ = value == 0;
        Number(value);
        return true;
      }
      case kLong:
      case kDate:
      case kTime:
      case kTimestamp:
      case kLocalDate:
        Number(decoder.GetLong());
        return true;
      case kFloat:
        Floating(decoder.GetFloat());
        return true;
      case kDouble:
        Floating(decoder.GetDouble());
        return true;
      case kBytes:
      case kString:
        text_.AppendText(decoder.GetString());
        return true;
      case kDecimal:
        text_.AppendDecimal(decoder.GetString());
        return true;
      default:
        return false;
    }
  }

  const MergeRules::Ranks ranks_;
  bool has_ = false, is_natural_ = false;
  int64_t number_ = 0;
  TextRank text_;
};

}  // namespace

void AppendBlock(BlockType type, const std::vector<std::pair<int32_t, std::string>>& header,
                 std::string_view content, std::string* out) {
  const size_t begin = out->size();
  const size_t at = BeginBlock(type, header, out);
  out->append(content);
  EndBlock(begin, at, out);
}

AvroBlockWriter::AvroBlockWriter(const std::vector<std::pair<int32_t, std::string>>& header, std::string* out)
    : out_(out), begin_(out->size()) {
  content_ = BeginBlock(BlockType::kAvro, header, out);
  PutI32(kBlockVersion, out);
  PutI32(0, out);  // How many records, at End.
}

void AvroBlockWriter::BeginRecord() {
  record_ = out_->size();
  PutI32(0, out_);
}

void AvroBlockWriter::EndRecord() {
  PatchI32(static_cast<int32_t>(out_->size() - record_ - 4), record_, out_);
  records_++;
}

void AvroBlockWriter::End() {
  PatchI32(records_, content_ + 4, out_);
  EndBlock(begin_, content_, out_);
}

Result<std::vector<LogBlock>> ParseBlocks(std::string_view bytes, const std::string& name) {
  if (!bytes.empty() && !bytes.starts_with(kMagic)) {
    return MakeError(ErrorCode::kCorrupt, "log file '{}' has no block at offset 0", name);
  }
  std::vector<LogBlock> blocks;
  for (size_t at = 0; at < bytes.size();) {
    size_t end = 0;
    if (auto block = ParseBlock(bytes, at, &end)) {
      block->begin = at;
      block->end = end;
      blocks.push_back(std::move(*block));
      at = end;
    } else {
      at = std::min(bytes.find(kMagic, at + 1), bytes.size());
    }
  }
  return blocks;
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

Result<std::vector<DeleteRecord>> ParseDeletes(std::string_view content, const std::string& name,
                                               MergeRules::Ranks ranks) {
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
      DeleteOrdering ordering(ranks);
      bad = !ordering.Read(decoder);
      ordering.Give(&record);
      records.push_back(std::move(record));
    }
  }
  if (bad || decoder.failed())
    return MakeError(ErrorCode::kCorrupt, "log file '{}': delete block is broken", name);
  return records;
}

}  // namespace tarn::hudi
