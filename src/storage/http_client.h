#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"

namespace tarn::storage {

struct HttpRequest {
  std::string method;
  std::string url;
  std::map<std::string, std::string> headers;
  std::string_view body;  ///< Outlives the call.
};

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< Names in lower case.
  std::string body;

  /// Empty when there is no such header.
  std::string Header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

/// HTTP over libcurl: TLS is verified, redirects are not followed, connections are kept for the next request.
/// Threads: any.
class HttpClient {
 public:
  /// `ca_file`: PEM of the CA; empty: the system's. `cancel`: a request that is under way then has some
  /// seconds to end; may be null.
  explicit HttpClient(std::string ca_file, const CancelToken* cancel);
  ~HttpClient();

  /// Any status is an answer. Errors: kUnavailable when no answer came, though the server may have done what
  /// was asked; kPermission for a certificate that is not trusted; kInvalidArgument for an URL that is none.
  Result<HttpResponse> Send(const HttpRequest& request);

 private:
  struct Handles;
  const std::string ca_file_;
  const CancelToken* cancel_;
  std::unique_ptr<Handles> handles_;
};

}  // namespace tarn::storage
