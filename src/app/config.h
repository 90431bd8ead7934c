#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "govern/decision.h"
#include "pipeline/options.h"

namespace tarn::app {

/// `tarn.toml`, with paths made absolute against its folder.
struct Config {
  std::string file;
  std::string text;  ///< Of the file.
  pipeline::PipelineOptions pipeline;
  std::map<std::string, govern::Principal> principals;
  int query_threads = 2;
  /// Says which models cannot run on Spark: a program and its arguments, behind which come the models' folder
  /// and `--lake` with the lake's. Empty: nobody asks.
  std::vector<std::string> spark_check;
  std::string log_level = "info";
  std::string log_file;
};

/// Errors: kNotFound when the file is missing, kInvalidArgument with file, line and the nearest key for what
/// is not known. Secrets come from the environment (TARN_SOURCE_PASSWORD, TARN_SOURCE_KEY_PASSWORD) or a
/// file, never from tarn.toml.
Result<Config> LoadConfig(const std::string& path);
Result<Config> ParseConfig(const std::string& text, const std::string& path);

/// The commented file that `tarn init` writes. `source` is a libpq URI or connection string, without
/// password.
Result<std::string> ConfigTemplate(const std::string& source, const std::string& lake,
                                   const std::string& models, const std::string& tenant_column);

/// The candidate that needs the fewest edits, when it needs few.
std::string Nearest(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace tarn::app
