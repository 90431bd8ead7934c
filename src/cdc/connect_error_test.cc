#include "cdc/connect_error.h"

#include <gtest/gtest.h>

namespace tarn::cdc {
namespace {

/// As libpq 15 and PostgreSQL 15 say it.
TEST(ConnectErrorTest, EachFailureHasItsAdvice) {
  struct Case {
    const char* message;
    ErrorCode code;
    const char* words;
  };
  const std::string at = "connection to server at \"db\" (127.0.0.1), port 5432 failed: ";
  const std::vector<Case> cases = {
      {"SSL error: certificate verify failed", ErrorCode::kPermission, "sslrootcert"},
      {"server certificate for \"db.example\" does not match host name \"db\"", ErrorCode::kPermission,
       "a name that the certificate has"},
      {"root certificate file \"/ca.crt\" does not exist Either provide the file or change sslmode",
       ErrorCode::kPermission, "sslrootcert"},
      {"private key file \"/k\" has group or world access; file must have permissions u=rw (0600) or less",
       ErrorCode::kPermission, "chmod 600"},
      {"could not load private key file \"/k\": bad decrypt", ErrorCode::kPermission, "key_password_file"},
      {"server does not support SSL, but SSL was required", ErrorCode::kPermission, "turn ssl on"},
      {"FATAL:  connection requires a valid client certificate", ErrorCode::kPermission,
       "sslcert and sslkey"},
      {"FATAL:  certificate authentication failed for user \"x\"", ErrorCode::kPermission, "common name"},
      {"FATAL:  password authentication failed for user \"x\"", ErrorCode::kPermission,
       "TARN_SOURCE_PASSWORD"},
      {"server is in hot standby mode", ErrorCode::kUnavailable, "follows a primary"},
      {"FATAL:  database \"x\" does not exist", ErrorCode::kNotFound, "check [source]"},
      {"Connection refused Is the server running on that host?", ErrorCode::kUnavailable, "check [source]"},
      {"FATAL:  the database system is starting up", ErrorCode::kUnavailable, "check [source]"},
  };
  for (const Case& c : cases) {
    const Error error = ConnectError(at + c.message);
    EXPECT_EQ(error.code, c.code) << error.message;
    EXPECT_NE(error.message.find(c.words), std::string::npos) << error.message;
    EXPECT_NE(error.message.find(c.message), std::string::npos) << error.message;
  }
}

/// One host is away, the other refuses: the refusal is what somebody must see to.
TEST(ConnectErrorTest, OfSeveralHostsTheRefusalCounts) {
  const Error error = ConnectError(
      "connection to server at \"a\", port 1 failed: Connection refused connection to server at \"b\", port "
      "2 "
      "failed: FATAL:  password authentication failed for user \"x\"");
  EXPECT_EQ(error.code, ErrorCode::kPermission);
}

}  // namespace
}  // namespace tarn::cdc
