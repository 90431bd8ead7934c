#pragma once

#include <string>
#include <vector>

#include "app/config.h"
#include "base/error.h"

namespace tarn::app {

/// What of the models cannot run on Spark, each with file, line and column; none when `[spark] check` is not
/// set or there are no models. Errors: kInvalidArgument when the program cannot be started or says something
/// else.
Result<std::vector<std::string>> SparkRefusals(const Config& config);

}  // namespace tarn::app
