#include "cdc/connect_error.h"

#include <algorithm>
#include <string_view>
#include <vector>

namespace tarn::cdc {
namespace {

struct Advice {
  std::vector<std::string_view> words;  ///< Any of them in libpq's message.
  ErrorCode code;
  std::string_view what;
  std::string_view fix;
};

/// The first that fits. libpq strings what all hosts and attempts said together: TLS before the login,
/// because behind a TLS failure sslmode=prefer tries without, and is refused for that.
const std::vector<Advice>& Advices() {
  static const std::vector<Advice> advices = {
      {{"certificate verify failed"},
       ErrorCode::kPermission,
       "the source's certificate is not trusted",
       "let sslrootcert in [source] connection name the file of the CA that signed it, and see that it has "
       "not "
       "expired"},
      {{"does not match host name"},
       ErrorCode::kPermission,
       "the source's certificate is for another name",
       "let [source] host be a name that the certificate has (hostaddr in connection may give the address), "
       "or "
       "give the server a certificate with this name"},
      {{"root certificate file"},
       ErrorCode::kPermission,
       "the CA of the source's certificate cannot be read",
       "let sslrootcert in [source] connection name the CA's file"},
      {{"private key file", "certificate file", "certificate does not match"},
       ErrorCode::kPermission,
       "the client's certificate or key cannot be used",
       "let sslcert and sslkey in [source] connection name files that belong together, chmod 600 the key, "
       "and "
       "give the key's password, where it has one, in key_password_file or TARN_SOURCE_KEY_PASSWORD"},
      {{"server does not support SSL"},
       ErrorCode::kPermission,
       "the source does not speak TLS",
       "turn ssl on at the server, or choose another sslmode in [source] connection"},
      {{"valid client certificate", "certificate authentication failed", "unknown ca", "bad certificate"},
       ErrorCode::kPermission,
       "the source refuses the client's certificate",
       "let sslcert and sslkey in [source] connection name a certificate of a CA that the server trusts, "
       "with "
       "the user as its common name (or a map in pg_ident.conf)"},
      {{"authentication failed", "no pg_hba.conf entry", "no password supplied"},
       ErrorCode::kPermission,
       "the source refuses the login",
       "check user and password of [source] (password_file or TARN_SOURCE_PASSWORD) and the server's "
       "pg_hba.conf"},
      {{"hot standby mode", "session is read-only", "session is not read-only"},
       ErrorCode::kUnavailable,
       "cannot connect to the source's primary",
       "tarn follows a primary: let [source] host name it, or all servers that may be it (host = \"a,b\")"},
      {{"does not exist"},
       ErrorCode::kNotFound,
       "cannot connect to the source",
       "check [source] in tarn.toml and that PostgreSQL runs there"}};
  return advices;
}

}  // namespace

Error ConnectError(const std::string& message) {
  const auto fits = [&](const Advice& advice) {
    return std::any_of(advice.words.begin(), advice.words.end(),
                       [&](std::string_view words) { return message.find(words) != std::string::npos; });
  };
  const auto found = std::find_if(Advices().begin(), Advices().end(), fits);
  if (found != Advices().end()) return MakeError(found->code, "{}: {}; {}", found->what, message, found->fix);
  return MakeError(
      ErrorCode::kUnavailable,
      "cannot connect to the source: {}; check [source] in tarn.toml and that PostgreSQL runs there",
      message);
}

}  // namespace tarn::cdc
