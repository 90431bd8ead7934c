#include <map>

#include "storage/s3_client.h"
#include "storage/s3_xml.h"

namespace tarn::storage {
namespace {

std::string Subject(const S3Options& options, const S3Call& call) {
  return call.key.empty() ? fmt::format("the bucket '{}'", options.bucket)
                          : fmt::format("'s3://{}/{}'", options.bucket, call.key);
}

/// What the operator does about a code of kPermission; empty for other codes.
std::string PermissionAdvice(const std::string& code) {
  static const std::map<std::string, std::string> kAdvice = {
      {"AccessDenied",
       "give its credentials s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload on the "
       "objects and s3:ListBucket, s3:ListBucketMultipartUploads on the bucket (and the use of its KMS key)"},
      {"SignatureDoesNotMatch", "the secret key is not the access key's, or [s3] region is not the bucket's"},
      {"InvalidAccessKeyId",
       "the store does not know the access key: look at AWS_ACCESS_KEY_ID or the profile"},
      {"ExpiredToken", "the session token has run out: get new credentials and start again"},
      {"InvalidToken", "AWS_SESSION_TOKEN is not of this access key"},
      {"RequestTimeTooSkewed", "this machine's clock is wrong: set it"},
      {"AllAccessDisabled", "the bucket's owner has disabled it"},
      {"KMS.DisabledException", "the KMS key is disabled"},
      {"KMS.NotFoundException", "[s3] kms_key_id names no key of the bucket's region"}};
  const auto found = kAdvice.find(code);
  return found == kAdvice.end() ? "" : found->second;
}

/// The region that the store says the bucket is in; empty when it does not.
std::string OtherRegion(const HttpResponse& response) {
  std::string region = response.Header("x-amz-bucket-region");
  if (region.empty()) region = XmlText(response.body, "Region").value_or("");
  return region;
}

}  // namespace

std::string S3ErrorCode(const HttpResponse& response) {
  if (auto code = XmlText(response.body, "Code")) return *code;
  switch (response.status) {
    case 301:
    case 400:  // To a HEAD, which has no body.
      return response.Header("x-amz-bucket-region").empty() ? fmt::format("HTTP status {}", response.status)
                                                            : "PermanentRedirect";
    case 403:
      return "AccessDenied";
    case 404:
      return "NoSuchKey";
    case 412:
      return "PreconditionFailed";
    default:
      return fmt::format("HTTP status {}", response.status);
  }
}

bool IsTransient(const HttpResponse& response) {
  if (response.status >= 500 && response.status != 501) return true;
  if (response.status == 429) return true;
  if (response.status < 400 && response.status != 200) return false;
  const std::string code = S3ErrorCode(response);
  // The last two of a conditional write that met another one.
  return code == "SlowDown" || code == "RequestTimeout" || code == "InternalError" ||
         code == "ServiceUnavailable" || code == "ConditionalRequestConflict" || code == "OperationAborted";
}

Error S3ErrorOf(const S3Options& options, const S3Call& call, const HttpResponse& response) {
  const std::string code = S3ErrorCode(response);
  const std::string message = XmlText(response.body, "Message").value_or("");
  const std::string what = fmt::format("{} {}: {}{}", call.what, Subject(options, call), code,
                                       message.empty() ? "" : " (" + message + ")");
  if (code == "NoSuchBucket") {
    return MakeError(
        ErrorCode::kInvalidArgument,
        "{} {}: there is no bucket '{}' at {}: make it, or correct [bronze] path or [s3] endpoint", call.what,
        Subject(options, call), options.bucket, options.endpoint.empty() ? "AWS" : options.endpoint);
  }
  if (const std::string advice = PermissionAdvice(code); !advice.empty())
    return MakeError(ErrorCode::kPermission, "{}: {}", what, advice);
  if (code == "PermanentRedirect" || code == "AuthorizationHeaderMalformed" || code == "TemporaryRedirect" ||
      code == "IllegalLocationConstraintException") {
    const std::string region = OtherRegion(response);
    return MakeError(ErrorCode::kInvalidArgument, "{}: {}", what,
                     region.empty() ? "the bucket is not in the region of [s3] region or AWS_REGION"
                                    : "the bucket is in the region '" + region + "': set [s3] region to it");
  }
  if (response.status == 412 || code == "ConditionalRequestConflict")
    return MakeError(ErrorCode::kAlreadyExists, "{} {}: it is there already", call.what,
                     Subject(options, call));
  if (response.status == 404) return MakeError(ErrorCode::kNotFound, "{}", what);
  if (IsTransient(response)) return MakeError(ErrorCode::kUnavailable, "{}", what);
  return MakeError(response.status == 401 || response.status == 403 ? ErrorCode::kPermission : ErrorCode::kIo,
                   "{}", what);
}

}  // namespace tarn::storage
