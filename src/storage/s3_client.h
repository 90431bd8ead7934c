#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "storage/http_client.h"
#include "storage/s3_options.h"

namespace tarn::storage {

/// One request to the bucket.
struct S3Call {
  const char* what;  ///< For messages: "write", "list".
  std::string method;
  std::string key;  ///< Empty: the bucket itself.
  std::map<std::string, std::string> query = {};
  std::map<std::string, std::string> headers = {};
  std::string_view body = {};
  bool once = false;  ///< Not tried again: nobody waits for its success.
};

/// Signed requests to one bucket, tried again with growing, jittered waits while the store does not answer,
/// says 5xx, 429, SlowDown or RequestTimeout, until the options' patience ends; never after any other
/// refusal. A request may therefore have been done although it failed, or done twice. Threads: any.
class S3Client {
 public:
  /// Asks nobody. Errors: kInvalidArgument for options that make no address, kPermission without credentials.
  static Result<std::unique_ptr<S3Client>> Make(S3Options options);

  /// An answer of 2xx. Errors: kNotFound (no such key or upload), kAlreadyExists (If-None-Match),
  /// kPermission, kInvalidArgument (no such bucket, another region), kUnavailable, kIo; the message names
  /// bucket and key and says what to do.
  Result<HttpResponse> Send(const S3Call& call);

  const S3Options& options() const { return options_; }
  std::string PathOf(const std::string& key) const { return "s3://" + options_.bucket + "/" + key; }
  /// How each new object is to be encrypted.
  std::map<std::string, std::string> EncryptionHeaders() const;

 private:
  explicit S3Client(S3Options options)
      : options_(std::move(options)), http_(options_.ca_file, options_.cancel) {}
  Status SetAddress();
  Result<HttpResponse> SendOnce(const S3Call& call);
  /// Waits before the next attempt; false when the patience has ended.
  bool WaitBeforeRetry(int attempt, int64_t deadline, const Error& error);
  bool RenewCredentials();

  const S3Options options_;
  std::string scheme_, host_, region_;
  bool path_style_ = false;
  HttpClient http_;
  std::mutex mutex_;
  S3Credentials credentials_;  ///< Under mutex_.
  std::atomic<int64_t> told_micros_{0};
};

/// What a refusal means and what to do about it.
Error S3ErrorOf(const S3Options& options, const S3Call& call, const HttpResponse& response);
/// The code of an S3 error, such as "SlowDown"; by the status where there is no body.
std::string S3ErrorCode(const HttpResponse& response);
/// Whether the same request may be accepted a moment later.
bool IsTransient(const HttpResponse& response);

}  // namespace tarn::storage
