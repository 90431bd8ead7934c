#include "storage/s3_options.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>

namespace tarn::storage {
namespace {

constexpr std::string_view kScheme = "s3://";

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string Trimmed(const std::string& text) {
  const size_t from = text.find_first_not_of(" \t\r");
  if (from == std::string::npos) return "";
  return text.substr(from, text.find_last_not_of(" \t\r") + 1 - from);
}

/// The keys below "[profile]"; nullopt when there is no such line.
std::optional<std::map<std::string, std::string>> ReadProfile(std::istream& file,
                                                              const std::string& profile) {
  std::optional<std::map<std::string, std::string>> found;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    line = Trimmed(line);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line[0] == '[') {
      inside = Trimmed(line.substr(1, line.find(']') - 1)) == profile;
      if (inside && !found) found.emplace();
      continue;
    }
    const size_t equals = line.find('=');
    if (inside && equals != std::string::npos)
      (*found)[Trimmed(line.substr(0, equals))] = Trimmed(line.substr(equals + 1));
  }
  return found;
}

}  // namespace

Result<S3Credentials> FindS3Credentials() {
  S3Credentials found{Environment("AWS_ACCESS_KEY_ID"), Environment("AWS_SECRET_ACCESS_KEY"),
                      Environment("AWS_SESSION_TOKEN")};
  if (!found.access_key.empty() && !found.secret_key.empty()) return found;
  if (!found.access_key.empty() || !found.secret_key.empty()) {
    return MakeError(ErrorCode::kPermission, "the environment has {}, but no {}: the object store needs both",
                     found.secret_key.empty() ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                     found.secret_key.empty() ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
  }
  std::string path = Environment("AWS_SHARED_CREDENTIALS_FILE");
  if (path.empty()) path = Environment("HOME") + "/.aws/credentials";
  std::string profile = Environment("AWS_PROFILE");
  if (profile.empty()) profile = "default";
  std::ifstream file(path);
  if (!file) {
    return MakeError(ErrorCode::kPermission,
                     "no credentials for the object store: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                     "or write them into '{}', which cannot be read",
                     path);
  }
  auto keys = ReadProfile(file, profile);
  if (!keys) {
    return MakeError(ErrorCode::kPermission,
                     "'{}' has no profile [{}], which the object store's credentials were sought in: add it, "
                     "or set AWS_PROFILE to another",
                     path, profile);
  }
  found = {(*keys)["aws_access_key_id"], (*keys)["aws_secret_access_key"], (*keys)["aws_session_token"]};
  if (!found.access_key.empty() && !found.secret_key.empty()) return found;
  return MakeError(ErrorCode::kPermission, "the profile [{}] of '{}' has no {}", profile, path,
                   found.access_key.empty() ? "aws_access_key_id" : "aws_secret_access_key");
}

Result<S3Location> ParseS3Location(const std::string& path) {
  if (!path.starts_with(kScheme))
    return MakeError(ErrorCode::kInvalidArgument, "'{}' is not written as s3://bucket/prefix", path);
  S3Location location;
  const size_t slash = path.find('/', kScheme.size());
  location.bucket = path.substr(kScheme.size(), slash - kScheme.size());
  if (slash != std::string::npos) location.prefix = path.substr(slash);
  while (location.prefix.starts_with('/')) location.prefix.erase(0, 1);
  while (location.prefix.ends_with('/')) location.prefix.pop_back();
  const auto plain = [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
  };
  const std::string& bucket = location.bucket;
  if (bucket.size() < 3 || bucket.size() > 63 || !std::all_of(bucket.begin(), bucket.end(), plain)) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "'{}' in '{}' is no name of a bucket: 3 to 63 lower-case letters, digits, '-' and '.'",
                     bucket, path);
  }
  return location;
}

}  // namespace tarn::storage
