#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "pipeline/options.h"

namespace tarn::pipeline {

/// Something that `tarn check` found, and what to do.
struct Finding {
  enum class Severity { kError, kWarning } severity = Severity::kError;
  std::string what;
  std::string fix;
};

/// Looks at the source and the lake without changing either. An empty list: nothing is wrong.
/// Errors: only when the source cannot be asked at all.
Result<std::vector<Finding>> CheckSource(const PipelineOptions& options);

}  // namespace tarn::pipeline
