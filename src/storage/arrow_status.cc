#include "storage/arrow_status.h"

namespace tarn::storage {
namespace {

class StoreError : public arrow::StatusDetail {
 public:
  static constexpr const char* kTypeId = "tarn::storage::StoreError";
  explicit StoreError(Error what) : error(std::move(what)) {}
  const char* type_id() const override { return kTypeId; }
  std::string ToString() const override { return std::string(ErrorCodeName(error.code)); }

  const Error error;
};

}  // namespace

arrow::Status ToArrow(const Error& error) {
  return arrow::Status::FromDetailAndArgs(arrow::StatusCode::IOError, std::make_shared<StoreError>(error),
                                          error.message);
}

Status FromArrow(const arrow::Status& status, ErrorCode code, std::string_view context) {
  if (status.ok()) return {};
  const auto& detail = status.detail();
  if (detail != nullptr && detail->type_id() == StoreError::kTypeId)
    return static_cast<const StoreError&>(*detail).error;
  return MakeError(code, "{}: {}", context, status.ToString());
}

}  // namespace tarn::storage
