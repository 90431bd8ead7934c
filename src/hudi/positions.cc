#include "hudi/positions.h"

#include <zlib.h>

#include "hudi/big_endian.h"

namespace tarn::hudi {
namespace {

constexpr std::string_view kMagic = "TARNPOS1";

int32_t Checksum(std::string_view bytes) {
  return static_cast<int32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

}  // namespace

std::string PositionsPath(const std::string& sidecar_folder, const std::string& file_id,
                          const std::string& log_name) {
  return sidecar_folder + "/positions/" + file_id + "/" + log_name + ".pos";
}

std::string FormatPositions(const std::string& instant, Roaring positions) {
  positions.runOptimize();
  std::string bitmap(positions.getSizeInBytes(true), '\0');
  positions.write(bitmap.data(), true);
  std::string bytes(kMagic);
  PutI32(static_cast<int32_t>(instant.size()), &bytes);
  bytes += instant;
  PutI32(Checksum(bitmap), &bytes);
  return bytes + bitmap;
}

std::optional<Roaring> ReadPositions(const storage::Storage& storage, const std::string& path,
                                     const std::string& instant) {
  const auto bytes = storage.Read(path);
  if (!bytes || !bytes->starts_with(kMagic)) return std::nullopt;
  BigEndianReader reader(std::string_view(*bytes).substr(kMagic.size()));
  const std::string_view written_by = reader.Bytes(reader.I32());
  const int32_t checksum = reader.I32();
  if (reader.failed() || written_by != instant) return std::nullopt;
  const std::string_view bitmap = std::string_view(*bytes).substr(kMagic.size() + reader.position());
  if (Checksum(bitmap) != checksum) return std::nullopt;
  return Roaring::readSafe(bitmap.data(), bitmap.size());
}

}  // namespace tarn::hudi
