#pragma once

#include <arrow/type_fwd.h>

#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "server/frames.h"

namespace tarn::server {

/// What to do with an answer's parts as they come; either may be empty.
struct AnswerHandler {
  std::function<Status(std::shared_ptr<arrow::RecordBatch>)> on_batch;
  std::function<void(const std::string&)> on_progress;
};

/// Asks the tarn that runs on a lake. Returns the reply's JSON. Errors: kNotFound when none runs, and the
/// server's.
Result<std::string> Ask(const std::string& folder, const std::string& request_json,
                        const AnswerHandler& handler);
/// Whether Ask failed because no tarn runs on the lake.
bool NobodyRuns(const Error& error);

}  // namespace tarn::server
