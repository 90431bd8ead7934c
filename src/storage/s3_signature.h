#pragma once

#include <map>
#include <string>
#include <string_view>

#include "storage/s3_options.h"

namespace tarn::storage {

/// A request as it is signed. Names of headers are in lower case.
struct S3Request {
  std::string method;
  std::string host;                          ///< With the port, where the URL has one.
  std::string path;                          ///< "/key", not encoded.
  std::map<std::string, std::string> query;  ///< Not encoded.
  std::map<std::string, std::string> headers;
};

/// Percent-encodes all but A-Z a-z 0-9 - . _ ~, and '/' where it may stay: what AWS calls UriEncode.
std::string UriEncode(std::string_view text, bool keep_slash);
/// "a=1&b=", encoded, by name.
std::string CanonicalQuery(const std::map<std::string, std::string>& query);
std::string Sha256Hex(std::string_view bytes);
std::string Md5Base64(std::string_view bytes);
/// "20261122T101500Z".
std::string SigningTime(int64_t micros);

/// Adds x-amz-date, x-amz-content-sha256, x-amz-security-token (with one) and authorization: AWS's Signature
/// Version 4 over all headers that are there, and host. `time`: as SigningTime has it.
void SignRequest(S3Request& request, std::string_view body, const S3Credentials& credentials,
                 const std::string& region, const std::string& time);

}  // namespace tarn::storage
