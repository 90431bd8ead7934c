#pragma once

#include <optional>
#include <string>

#include "base/cancel.h"
#include "base/error.h"

namespace tarn::storage {

/// Whose keys sign the requests.
struct S3Credentials {
  std::string access_key, secret_key;
  std::string session_token;  ///< Of keys that are lent for a time; else empty.
};

/// From AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, else the profile that AWS_PROFILE
/// names (else "default") of ~/.aws/credentials (else of AWS_SHARED_CREDENTIALS_FILE). Errors: kPermission
/// says what is missing where.
Result<S3Credentials> FindS3Credentials();

/// "s3://bucket/prefix" taken apart.
struct S3Location {
  std::string bucket;
  std::string prefix;  ///< Without slashes at its ends; empty: the bucket as a whole.
};
/// Errors: kInvalidArgument says what is wrong with the text.
Result<S3Location> ParseS3Location(const std::string& path);

/// How a store is reached: AWS's, or one that speaks its protocol.
struct S3Options {
  std::string bucket;
  std::string endpoint;            ///< "https://minio.example:9000"; empty: AWS's, of the region.
  std::string region;              ///< Empty: AWS_REGION or AWS_DEFAULT_REGION.
  std::optional<bool> path_style;  ///< endpoint/bucket/key, not bucket.endpoint/key; unset: with an endpoint.
  std::string sse;                 ///< "AES256" or "aws:kms": how each object is encrypted; empty: not asked.
  std::string kms_key_id;          ///< With aws:kms; empty: the account's own.
  std::string ca_file;             ///< PEM file of the CA; empty: the system's.
  bool read_only = false;
  const CancelToken* cancel = nullptr;  ///< Once cancelled, nothing is tried again. Outlives the storage.
  /// How long a request that fails for the moment is tried again before kUnavailable.
  int64_t patience_micros = 45'000'000;
};

}  // namespace tarn::storage
