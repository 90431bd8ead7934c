#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"

struct pg_conn;
struct pg_result;

namespace tarn::cdc {

/// A statement's result, all values as text; nullopt is NULL.
using Row = std::vector<std::optional<std::string>>;
using Rows = std::vector<Row>;

/// A libpq connection whose session prints values in one fixed way (ISO dates, UTC, exact floats), so that
/// text forms mean the same whatever the server's settings are. Threads: one at a time.
class PgConnection {
 public:
  enum class Kind { kOrdinary, kReplication };

  /// `conninfo` is libpq's connection string or URI. `purpose` is seen in pg_stat_activity behind "tarn ".
  /// Of several hosts the first that is a primary, unless `conninfo` has a target_session_attrs of its own.
  /// Errors: as ConnectError gives them; the message says what to check and never holds a password.
  /// `cancel`, where given, outlives the connection and ends a statement that waits on the server:
  /// kCancelled.
  static Result<std::unique_ptr<PgConnection>> Connect(const std::string& conninfo, Kind kind,
                                                       const std::string& purpose,
                                                       const CancelToken* cancel = nullptr);
  ~PgConnection();
  PgConnection(const PgConnection&) = delete;
  PgConnection& operator=(const PgConnection&) = delete;

  /// One statement. Errors carry the server's message and SQLSTATE; kConflict: a lock was not to be had in
  /// the session's lock_timeout.
  Result<Rows> Query(const std::string& sql);
  Status Execute(const std::string& sql);
  /// Starts a COPY ... TO STDOUT, or START_REPLICATION: afterwards raw() is in a copy state.
  Status StartCopy(const std::string& sql);

  pg_conn* raw() { return connection_; }
  int server_version() const;  ///< As libpq gives it: 150020.
  std::string LastError() const;

 private:
  PgConnection(pg_conn* connection, const CancelToken* cancel) : connection_(connection), cancel_(cancel) {}
  Result<pg_result*> Wait(const std::string& sql);
  Status WidenReceiveBuffer();

  pg_conn* connection_;
  const CancelToken* cancel_;
  bool is_wide_ = false;  ///< Its receive buffer.
};

/// The settings that a connection string or URI of libpq's names. kInvalidArgument says what libpq does not
/// understand.
Result<std::map<std::string, std::string>> ParseConninfo(const std::string& conninfo);

/// "name" with its quotes doubled.
std::string QuoteName(std::string_view name);
/// 'text' with its quotes doubled (standard_conforming_strings is on).
std::string QuoteText(std::string_view text);

}  // namespace tarn::cdc
