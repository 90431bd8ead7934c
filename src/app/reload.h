#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "app/config.h"
#include "pipeline/runner.h"

namespace tarn::app {

/// Settings ("section.key"; "mapping" and "principals" as wholes) that are not the same in two texts that
/// ParseConfig takes, by name.
std::vector<std::string> ChangedSettings(const std::string& before, const std::string& after);

/// The configuration of a running tarn, which may be read again. Threads: any.
class RunningConfig {
 public:
  explicit RunningConfig(Config config) : config_(std::move(config)) {}
  /// As it counts now.
  Config Get() const;
  /// Reads the file again: tables that [tables] selects now are followed from here on; whatever else changed
  /// waits for the next start. Returns JSON for `tarn reload`: "added" and "waiting", both lists of names.
  /// Errors: as LoadConfig and Runner::ChangeSelection; nothing is changed then.
  Result<std::string> Reload(pipeline::Runner& runner);

 private:
  mutable std::mutex mutex_;
  Config config_;  ///< Its text is of the start.
};

}  // namespace tarn::app
