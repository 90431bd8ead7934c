#include "storage/s3_client.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "storage/s3_signature.h"

namespace tarn::storage {
namespace {

constexpr int64_t kFirstWaitMicros = 100'000;
constexpr int64_t kMostWaitMicros = 5'000'000;
constexpr int64_t kTellMicros = 10'000'000;

/// Between half of the whole and the whole, so that many who wait do not come back at once.
int64_t Jittered(int64_t micros) {
  thread_local std::minstd_rand random{std::random_device{}()};
  return micros / 2 + static_cast<int64_t>(random() % static_cast<uint64_t>(micros / 2 + 1));
}

std::string RegionOf(const S3Options& options) {
  if (!options.region.empty()) return options.region;
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && value[0] != '\0') return value;
  }
  // Other makers' stores have one region, which is mostly called so.
  return options.endpoint.empty() ? "" : "us-east-1";
}

/// The end of a multipart upload says 200 before it is done, and tells of a failure in what follows.
bool FailedBehind200(const S3Call& call, const HttpResponse& response) {
  if (call.method != "POST") return false;
  std::string_view body = response.body;
  if (body.starts_with("<?")) body.remove_prefix(std::min(body.size(), body.find("?>") + 2));
  const size_t begin = body.find('<');
  return begin != std::string_view::npos && body.substr(begin).starts_with("<Error>");
}

}  // namespace

Result<std::unique_ptr<S3Client>> S3Client::Make(S3Options options) {
  std::unique_ptr<S3Client> client(new S3Client(std::move(options)));
  TARN_RETURN_IF_ERROR(client->SetAddress());
  TARN_ASSIGN(client->credentials_, FindS3Credentials());
  return client;
}

Status S3Client::SetAddress() {
  region_ = RegionOf(options_);
  if (region_.empty()) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "the region of the bucket '{}' is not known: set [s3] region, or AWS_REGION",
                     options_.bucket);
  }
  std::string endpoint = options_.endpoint;
  if (endpoint.empty()) {
    endpoint = fmt::format("https://s3.{}.amazonaws.com{}", region_, region_.starts_with("cn-") ? ".cn" : "");
  }
  for (const auto& [scheme, port] : {std::pair("https", ":443"), std::pair("http", ":80")}) {
    const std::string begin = std::string(scheme) + "://";
    if (!endpoint.starts_with(begin)) continue;
    scheme_ = scheme;
    host_ = endpoint.substr(begin.size());
    if (host_.ends_with('/')) host_.pop_back();
    if (host_.ends_with(port)) host_.resize(host_.size() - std::string_view(port).size());
  }
  if (host_.empty() || host_.find_first_of("/?#@ ") != std::string::npos) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "[s3] endpoint '{}' must be written as https://host or https://host:port", endpoint);
  }
  // A certificate for *.host does not cover a name with further dots.
  const bool dotted = options_.bucket.find('.') != std::string::npos && scheme_ == "https";
  path_style_ = options_.path_style.value_or(!options_.endpoint.empty() || dotted);
  if (!path_style_) host_ = options_.bucket + "." + host_;
  return {};
}

std::map<std::string, std::string> S3Client::EncryptionHeaders() const {
  std::map<std::string, std::string> headers;
  if (!options_.sse.empty()) headers["x-amz-server-side-encryption"] = options_.sse;
  if (!options_.kms_key_id.empty())
    headers["x-amz-server-side-encryption-aws-kms-key-id"] = options_.kms_key_id;
  return headers;
}

Result<HttpResponse> S3Client::SendOnce(const S3Call& call) {
  S3Request request{call.method, host_, path_style_ ? "/" + options_.bucket + "/" + call.key : "/" + call.key,
                    call.query, call.headers};
  if (path_style_ && call.key.empty()) request.path.pop_back();
  S3Credentials credentials;
  {
    const std::lock_guard lock(mutex_);
    credentials = credentials_;
  }
  SignRequest(request, call.body, credentials, region_, SigningTime(Clock::System().NowMicros()));
  HttpRequest http{call.method, scheme_ + "://" + host_ + UriEncode(request.path, true),
                   std::move(request.headers), call.body};
  if (!call.query.empty()) http.url += "?" + CanonicalQuery(call.query);
  return http_.Send(http);
}

bool S3Client::RenewCredentials() {
  auto found = FindS3Credentials();
  const std::lock_guard lock(mutex_);
  if (!found || found->session_token == credentials_.session_token) return false;
  credentials_ = *std::move(found);
  return true;
}

bool S3Client::WaitBeforeRetry(int attempt, int64_t deadline, const Error& error) {
  const auto cancelled = [this] { return options_.cancel != nullptr && options_.cancel->IsCancelled(); };
  const int64_t now = MonotonicMicros();
  const int64_t until = now + Jittered(std::min(kFirstWaitMicros << std::min(attempt, 10), kMostWaitMicros));
  if (until > deadline || cancelled()) return false;
  int64_t told = told_micros_;
  if (now - told > kTellMicros && told_micros_.compare_exchange_strong(told, now))
    spdlog::warn("{}; trying again", error.message);
  while (MonotonicMicros() < until && !cancelled())
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  return !cancelled();
}

Result<HttpResponse> S3Client::Send(const S3Call& call) {
  const int64_t deadline = MonotonicMicros() + options_.patience_micros;
  bool renewed = false;
  for (int attempt = 0;; attempt++) {
    auto response = SendOnce(call);
    const bool refused =
        response && (response->status < 200 || response->status >= 300 || FailedBehind200(call, *response));
    if (response && !refused) return response;
    Error error = response ? S3ErrorOf(options_, call, *response) : std::move(response).error();
    if (refused && !renewed && S3ErrorCode(*response) == "ExpiredToken") {
      renewed = true;
      if (RenewCredentials()) continue;
    }
    const bool again = refused ? IsTransient(*response) : error.code == ErrorCode::kUnavailable;
    if (!again || call.once) return error;
    if (WaitBeforeRetry(attempt, deadline, error)) continue;
    if (options_.cancel != nullptr) TARN_RETURN_IF_ERROR(options_.cancel->Check());
    return error;
  }
}

}  // namespace tarn::storage
