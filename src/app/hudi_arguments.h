#pragma once

#include <string>

#include "base/error.h"

namespace tarn::app {

/// What users give to `tarn hudi`.

/// A table's folder without "file://" and slashes at its end. Errors: kUnsupported for an object store.
Result<std::string> TableFolder(std::string path);
/// An instant as it is, or the instant of a time; empty stays empty. Errors: kInvalidArgument names `option`.
Result<std::string> InstantOf(const std::string& text, const char* option);
/// The lake that a table's folder is in, below its silver/, gold/ or quarantine/; empty when it is in none.
std::string LakeOf(const std::string& folder);

}  // namespace tarn::app
