#pragma once

#include <string>

#include "base/error.h"

namespace tarn::app {

/// [source] as it stands in tarn.toml, and the secrets from elsewhere.
struct SourceSettings {
  std::string host, port = "5432", database, user;
  std::string connection;  ///< More of libpq's settings: a connection string or URI, without passwords.
  std::string password, key_password;
};

/// libpq's connection string. Relative paths of certificates and keys are against `folder`. Errors:
/// kInvalidArgument for what libpq does not understand, and for a password that stands in the file.
Result<std::string> MakeConninfo(const SourceSettings& source, const std::string& folder);

/// libpq's `name='value'`, with what must be escaped in the value.
std::string ConninfoSetting(const std::string& name, const std::string& value);

/// What the environment variable holds, else the first line of the file that `key` names; empty when neither
/// is there. Errors: kNotFound for a file that cannot be read.
Result<std::string> ReadSecret(const char* variable, const char* key, const std::string& file);

}  // namespace tarn::app
