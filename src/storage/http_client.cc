#include "storage/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <mutex>

#include "base/clock.h"

namespace tarn::storage {
namespace {

constexpr long kConnectSeconds = 10;
constexpr long kStalledSeconds = 20;  ///< Without a byte in either direction: nobody is there any more.
constexpr int64_t kCancelledMicros = 5'000'000;
constexpr size_t kMostKept = 16;

struct EasyDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
using Easy = std::unique_ptr<CURL, EasyDeleter>;
struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

size_t TakeBody(char* data, size_t size, size_t count, void* to) {
  static_cast<HttpResponse*>(to)->body.append(data, size * count);
  return size * count;
}

size_t TakeHeader(char* data, size_t size, size_t count, void* to) {
  auto& response = *static_cast<HttpResponse*>(to);
  const std::string_view line(data, size * count);
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) {
    if (line.starts_with("HTTP/")) response.headers.clear();  // What came before was a "100 Continue".
    return line.size();
  }
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  const size_t from = line.find_first_not_of(" \t", colon + 1);
  const size_t to_end = line.find_last_not_of(" \t\r\n");
  response.headers[name] = from == std::string_view::npos || to_end < from
                               ? ""
                               : std::string(line.substr(from, to_end + 1 - from));
  return line.size();
}

/// Gives a request that is under way a few seconds once somebody wants to stop.
struct StopWatch {
  const CancelToken* cancel;
  int64_t cancelled_at = 0;

  static int Look(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    auto& watch = *static_cast<StopWatch*>(self);
    if (watch.cancel == nullptr || !watch.cancel->IsCancelled()) return 0;
    const int64_t now = MonotonicMicros();
    if (watch.cancelled_at == 0) watch.cancelled_at = now;
    return now - watch.cancelled_at > kCancelledMicros ? 1 : 0;
  }
};

Error TransportError(CURLcode code, const char* detail, const std::string& url) {
  // Without the query: it is of no use to anybody.
  const std::string where = url.substr(0, url.find('/', url.find("//") + 2));
  const std::string what = detail[0] != '\0' ? detail : curl_easy_strerror(code);
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return MakeError(
          ErrorCode::kPermission,
          "the certificate of the object store {} is not trusted: {}; give its CA as [s3] ca_file", where,
          what);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return MakeError(ErrorCode::kInvalidArgument, "the object store's address {} cannot be used: {}", where,
                       what);
    case CURLE_ABORTED_BY_CALLBACK:
      return MakeError(ErrorCode::kCancelled, "stopped on request while the object store {} had not answered",
                       where);
    default:
      return MakeError(ErrorCode::kUnavailable, "the object store {} does not answer: {}", where, what);
  }
}

using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

/// Nothing that libcurl would add by itself: what is signed is what is sent.
HeaderList MakeHeaders(const HttpRequest& request) {
  HeaderList headers;
  const auto add = [&headers](const std::string& line) {
    headers.reset(curl_slist_append(headers.release(), line.c_str()));
  };
  for (const auto& [name, value] : request.headers) add(name + (value.empty() ? ";" : ": " + value));
  for (const char* unwanted : {"expect", "content-type", "accept"}) {
    if (!request.headers.contains(unwanted)) add(std::string(unwanted) + ":");
  }
  return headers;
}

void SetResponse(CURL* handle, HttpResponse* response) {
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &TakeBody);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, response);
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, &TakeHeader);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, response);
}

void SetMethod(CURL* handle, const HttpRequest& request) {
  if (request.method == "HEAD") {
    curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
  } else if (request.method == "GET") {
    curl_easy_setopt(handle, CURLOPT_HTTPGET, 1L);
  } else {
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    if (request.method == "DELETE") return;
    curl_easy_setopt(handle, CURLOPT_POST, 1L);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    // Never null: libcurl would read its standard input.
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.body.empty() ? "" : request.body.data());
  }
}

void SetLimits(CURL* handle, StopWatch* watch) {
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);  // Signals are the program's.
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, kStalledSeconds);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, &StopWatch::Look);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, watch);
}

}  // namespace

struct HttpClient::Handles {
  std::mutex mutex;
  std::vector<Easy> free;  ///< Each with its open connection.

  Easy Take() {
    const std::lock_guard lock(mutex);
    if (free.empty()) return Easy(curl_easy_init());
    Easy handle = std::move(free.back());
    free.pop_back();
    return handle;
  }
  void Keep(Easy handle) {
    curl_easy_reset(handle.get());
    const std::lock_guard lock(mutex);
    if (free.size() < kMostKept) free.push_back(std::move(handle));
  }
};

HttpClient::HttpClient(std::string ca_file, const CancelToken* cancel)
    : ca_file_(std::move(ca_file)), cancel_(cancel), handles_(std::make_unique<Handles>()) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

HttpClient::~HttpClient() = default;

Result<HttpResponse> HttpClient::Send(const HttpRequest& request) {
  // What the handle points to outlives it.
  HttpResponse response;
  StopWatch watch{cancel_};
  std::array<char, CURL_ERROR_SIZE> detail{};
  const HeaderList headers = MakeHeaders(request);
  Easy handle = handles_->Take();
  if (handle == nullptr) return MakeError(ErrorCode::kInternal, "libcurl gives no handle");
  CURL* curl = handle.get();
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);  // A key may have "..".
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  SetResponse(curl, &response);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail.data());
  if (!ca_file_.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, ca_file_.c_str());
  SetLimits(curl, &watch);
  SetMethod(curl, request);
  const CURLcode code = curl_easy_perform(curl);
  if (code != CURLE_OK) return TransportError(code, detail.data(), request.url);
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  response.status = static_cast<int>(status);
  handles_->Keep(std::move(handle));
  return response;
}

}  // namespace tarn::storage
