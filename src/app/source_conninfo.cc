#include "app/source_conninfo.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>

#include "cdc/pg_connection.h"

namespace tarn::app {
namespace {

const std::set<std::string> kFiles = {"sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile"};

/// The settings of `connection`; libpq's words are left out where they may quote a password.
Result<std::map<std::string, std::string>> ParseConnection(const std::string& connection) {
  if (connection.empty()) return std::map<std::string, std::string>();
  auto settings = cdc::ParseConninfo(connection);
  if (!settings) {
    const bool secret = connection.find("password") != std::string::npos;
    return MakeError(ErrorCode::kInvalidArgument, "'connection' is not understood{}",
                     secret ? "" : ": " + settings.error().message);
  }
  for (const char* name : {"password", "sslpassword"}) {
    if (!settings->contains(name)) continue;
    return MakeError(ErrorCode::kInvalidArgument,
                     "no {} in 'connection', please: put it into a file ({}) or {}", name,
                     name[0] == 's' ? "key_password_file" : "password_file",
                     name[0] == 's' ? "TARN_SOURCE_KEY_PASSWORD" : "TARN_SOURCE_PASSWORD");
  }
  return settings;
}

size_t Parts(const std::string& list) {
  return static_cast<size_t>(std::count(list.begin(), list.end(), ',')) + 1;
}

}  // namespace

std::string ConninfoSetting(const std::string& name, const std::string& value) {
  std::string out = name + "='";
  for (const char c : value) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

Result<std::string> MakeConninfo(const SourceSettings& source, const std::string& folder) {
  TARN_ASSIGN(auto more, ParseConnection(source.connection));
  if (Parts(source.port) > 1 && Parts(source.port) != Parts(source.host)) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "'port' names {} ports for {} hosts: give one, or one a host", Parts(source.port),
                     Parts(source.host));
  }
  std::string conninfo;
  const auto add = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) conninfo += (conninfo.empty() ? "" : " ") + ConninfoSetting(name, value);
  };
  add("host", source.host);
  add("port", source.port);
  add("dbname", source.database);
  add("user", source.user);
  add("password", source.password);
  add("sslpassword", source.key_password);
  for (const auto& [name, value] : more) {
    // "system" is no file but the CAs that the machine trusts.
    const bool relative = kFiles.contains(name) && !value.empty() && value[0] != '/' && value != "system";
    add(name, relative ? folder + "/" + value : value);
  }
  return conninfo;
}

Result<std::string> ReadSecret(const char* variable, const char* key, const std::string& file) {
  if (const char* secret = std::getenv(variable)) return std::string(secret);
  if (file.empty()) return std::string();
  std::ifstream in(file);
  if (!in) return MakeError(ErrorCode::kNotFound, "{} '{}' cannot be read", key, file);
  std::string secret;
  std::getline(in, secret);
  if (!secret.empty() && secret.back() == '\r') secret.pop_back();
  return secret;
}

}  // namespace tarn::app
