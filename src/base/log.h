#pragma once

#include <spdlog/spdlog.h>

#include <string>

namespace tarn {

/// Sends log lines to standard error, and to `file` too when it is not empty. Called once, by main or a test.
void InitLogging(const std::string& level, const std::string& file);

}  // namespace tarn
