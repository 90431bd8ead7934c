#include "engine/read_all.h"

#include <arrow/api.h>

namespace tarn::engine {

Result<std::shared_ptr<arrow::RecordBatch>> ReadAll(QueryStream& stream) {
  arrow::RecordBatchVector batches;
  while (true) {
    TARN_ASSIGN(auto batch, stream.Next());
    if (batch == nullptr) break;
    batches.push_back(std::move(batch));
  }
  auto all = batches.empty() ? arrow::RecordBatch::MakeEmpty(stream.schema())
                             : arrow::ConcatenateRecordBatches(batches);
  if (!all.ok()) return MakeError(ErrorCode::kInternal, "Arrow: {}", all.status().message());
  return *all;
}

}  // namespace tarn::engine
