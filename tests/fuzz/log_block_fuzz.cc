#include <arrow/record_batch.h>

#include "avro/rows.h"
#include "hudi/log_block.h"

using namespace tarn;

/// A Hudi log file: its blocks, the records in them and the deletes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const auto blocks = hudi::ParseBlocks(bytes, "fuzz");
  if (!blocks) return 0;
  for (const hudi::LogBlock& block : *blocks) {
    if (block.type == hudi::BlockType::kDelete) (void)hudi::ParseDeletes(block.content, "fuzz").has_value();
    if (block.type != hudi::BlockType::kAvro) continue;
    const auto records = hudi::AvroRecords(block.content, "fuzz");
    const auto decoder = avro::RowDecoder::Make(block.schema);
    if (!records || !decoder) continue;
    bool good = true;
    for (const std::string_view record : *records) good = good && (*decoder)->Append(record).has_value();
    if (!good) continue;
    const auto rows = (*decoder)->Finish();
    if (!rows || !(*rows)->Validate().ok()) __builtin_trap();
  }
  return 0;
}
