#include "avro/container.h"

#include <zlib.h>

#include <nlohmann/json.hpp>

#include "avro/binary.h"

namespace tarn::avro {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kMagic{"Obj\x01", 4};
/// No block of a timeline comes near it; a few bytes of deflate can claim any size.
constexpr size_t kMaxBlockBytes = 256U << 20;
/// Any 16 bytes do; ours are the same in every file, so that equal content gives equal bytes.
constexpr std::string_view kSync{"tarn-avro-block.", 16};

Result<std::string> Inflate(std::string_view packed) {
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return Error{ErrorCode::kInternal, "zlib cannot start"};
  std::string out;
  char buffer[1 << 16];
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  int state = Z_OK;
  while (state == Z_OK && out.size() <= kMaxBlockBytes) {
    stream.next_out = reinterpret_cast<Bytef*>(buffer);
    stream.avail_out = sizeof(buffer);
    state = inflate(&stream, Z_NO_FLUSH);
    out.append(buffer, sizeof(buffer) - stream.avail_out);
  }
  inflateEnd(&stream);
  if (state != Z_STREAM_END)
    return MakeError(ErrorCode::kCorrupt, "deflated Avro block of {} bytes", packed.size());
  return out;
}

struct Header {
  std::string schema, codec, sync;
};

Result<Header> ReadHeader(Decoder& decoder) {
  const Error corrupt{ErrorCode::kCorrupt, "not an Avro container file"};
  if (decoder.GetFixed(4) != kMagic) return corrupt;
  Header header;
  header.codec = "null";
  for (int64_t count = decoder.GetLong(); count != 0 && !decoder.failed(); count = decoder.GetLong()) {
    if (count < 0) {
      if (count == INT64_MIN) return corrupt;
      count = -count;
      decoder.GetLong();
    }
    for (int64_t i = 0; i < count && !decoder.failed(); i++) {
      const std::string_view key = decoder.GetString();
      const std::string_view value = decoder.GetString();
      if (key == "avro.schema") header.schema = value;
      if (key == "avro.codec") header.codec = value;
    }
  }
  header.sync = decoder.GetFixed(16);
  if (decoder.failed() || header.schema.empty()) return corrupt;
  if (header.codec != "null" && header.codec != "deflate") {
    return MakeError(ErrorCode::kUnsupported, "Avro codec '{}' (null and deflate are read)", header.codec);
  }
  return header;
}

}  // namespace

Result<std::string> WriteContainer(const std::string& schema_json, const std::string& value_json) {
  TARN_ASSIGN(const std::string record, EncodeJson(schema_json, value_json));
  std::string out(kMagic);
  Encoder encoder(&out);
  encoder.PutLong(2);
  encoder.PutString("avro.schema");
  encoder.PutString(schema_json);
  encoder.PutString("avro.codec");
  encoder.PutString("null");
  encoder.PutLong(0);
  encoder.PutFixed(kSync);
  encoder.PutLong(1);
  encoder.PutString(record);
  encoder.PutFixed(kSync);
  return out;
}

Result<std::vector<std::string>> ReadContainer(std::string_view bytes) {
  Decoder decoder(bytes);
  TARN_ASSIGN(const Header header, ReadHeader(decoder));
  std::vector<std::string> values;
  // One schema that yields a whole block: the records follow one another without lengths.
  while (decoder.remaining() > 0) {
    const int64_t count = decoder.GetLong();
    std::string block(decoder.GetString());
    if (decoder.GetFixed(16) != header.sync || decoder.failed() || count < 0) {
      return MakeError(ErrorCode::kCorrupt, "Avro container breaks off after {} records", values.size());
    }
    if (header.codec == "deflate") {
      TARN_ASSIGN(block, Inflate(block));
    }
    std::string as_array;
    Encoder(&as_array).PutLong(count);
    as_array += block;
    if (count != 0) as_array.push_back(0);
    TARN_ASSIGN(const std::string json,
                DecodeJson("{\"type\":\"array\",\"items\":" + header.schema + "}", as_array));
    for (const auto& value : ordered_json::parse(json)) values.push_back(value.dump());
  }
  return values;
}

}  // namespace tarn::avro
