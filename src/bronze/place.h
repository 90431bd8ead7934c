#pragma once

#include <string>

namespace tarn::bronze {

/// Where a lake keeps Bronze.
struct BronzePlace {
  BronzePlace(std::string bronze_root, std::string intent_folder = "")  // NOLINT: a lake's folder is one
      : root(std::move(bronze_root)), intents(std::move(intent_folder)) {}

  /// What has bronze/ and _tarn/bronze/: the lake's folder, or "s3://bucket/prefix".
  std::string root;
  /// A local folder for what is about to be written, when the root is in an object store: there a write may
  /// be done after its process was killed, or gave it up. Empty for a local root, which knows no such writes.
  std::string intents;

  bool is_remote() const { return !intents.empty(); }
  /// A local folder for what this machine keeps to itself, wherever the root is.
  std::string own_folder() const { return is_remote() ? intents : root + "/_tarn/bronze"; }
};

}  // namespace tarn::bronze
