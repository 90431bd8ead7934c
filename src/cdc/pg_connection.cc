#include "cdc/pg_connection.h"

#include <libpq-fe.h>
#include <poll.h>

#include <array>
#include <tuple>
#include <utility>

#include "cdc/connect_error.h"

namespace tarn::cdc {
namespace {

constexpr int kReceivedBytes = 250'000;  ///< At a time: fits in a core's cache.

/// libpq ends its messages with a newline and may have several lines, further ones behind a tab.
std::string OneLine(const char* message) {
  std::string text = message == nullptr ? "" : message;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at++)
    text.replace(at, text[at + 1] == '\t' ? 2 : 1, " ");
  return text;
}

struct ResultCloser {
  void operator()(PGresult* result) const { PQclear(result); }
};
using PgResult = std::unique_ptr<PGresult, ResultCloser>;

Error ServerError(const PGresult* result, const PGconn* connection) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const std::string code = state == nullptr ? "" : state;
  std::string message = OneLine(PQresultErrorMessage(result));
  if (message.empty()) message = OneLine(PQerrorMessage(connection));
  ErrorCode kind = ErrorCode::kSql;
  if (code == "42501") kind = ErrorCode::kPermission;
  if (code == "42P01" || code == "42704") kind = ErrorCode::kNotFound;
  if (code == "42710" || code == "42P07") kind = ErrorCode::kAlreadyExists;
  if (code == "55P03") kind = ErrorCode::kConflict;  // Somebody has a lock for longer than one waits for it.
  // 55006: the slot is still in use, by a connection that the server has not yet given up.
  if (code == "55006" || code.empty() || code.starts_with("08") || code.starts_with("57"))
    kind = ErrorCode::kUnavailable;
  return MakeError(kind, "PostgreSQL says: {}{}", message, code.empty() ? "" : " (SQLSTATE " + code + ")");
}

/// libpq would ask for a key's password on the terminal, at every connection.
int KeyPassword(char* buffer, int size, PGconn* connection) {
  return PQdefaultSSLKeyPassHook_OpenSSL(buffer, size, connection);
}

}  // namespace

Result<std::unique_ptr<PgConnection>> PgConnection::Connect(const std::string& conninfo, Kind kind,
                                                            const std::string& purpose,
                                                            const CancelToken* cancel) {
  const std::string application = "tarn " + purpose;
  // jit: the catalogue queries look dear to the planner and are not; compiling one takes longer than it runs.
  const std::string options =
      "-c datestyle=ISO,YMD -c timezone=UTC -c intervalstyle=postgres -c extra_float_digits=3 -c "
      "bytea_output=hex "
      "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c client_min_messages=warning "
      "-c search_path=pg_catalog -c jit=off";
  // What is before "dbname" stands where the connection string says nothing; what is behind it always does.
  const std::array<std::pair<const char*, const char*>, 9> settings = {{
      {"connect_timeout", "10"},
      {"keepalives_idle", "30"},
      {"target_session_attrs", "primary"},
      {"dbname", conninfo.c_str()},
      {"application_name", application.c_str()},
      {"options", options.c_str()},
      {"client_encoding", "UTF8"},
      {"replication", kind == Kind::kReplication ? "database" : "false"},
      {nullptr, nullptr},
  }};
  std::array<const char*, settings.size()> keys{};
  std::array<const char*, settings.size()> values{};
  for (size_t i = 0; i < settings.size(); i++) std::tie(keys[i], values[i]) = settings[i];
  PQsetSSLKeyPassHook_OpenSSL(KeyPassword);
  PGconn* connection = PQconnectdbParams(keys.data(), values.data(), 1);
  if (connection == nullptr) return Error{ErrorCode::kInternal, "libpq has no memory for a connection"};
  std::unique_ptr<PgConnection> owner(new PgConnection(connection, cancel));
  if (PQstatus(connection) != CONNECTION_OK) return ConnectError(OneLine(PQerrorMessage(connection)));
  return owner;
}

PgConnection::~PgConnection() { PQfinish(connection_); }

/// As PQexec, which would wait for ever: making a slot waits for every transaction that is open on the
/// server.
Result<PGresult*> PgConnection::Wait(const std::string& sql) {
  PGresult* last = nullptr;
  bool asked = false;
  if (PQsendQuery(connection_, sql.c_str()) == 0) return last;
  while (true) {
    while (PQisBusy(connection_) != 0) {
      pollfd entry{PQsocket(connection_), POLLIN, 0};
      if (::poll(&entry, 1, 50) > 0 && PQconsumeInput(connection_) == 0) break;
      if (!cancel_->IsCancelled() || std::exchange(asked, true)) continue;
      std::array<char, 256> why{};
      PGcancel* request = PQgetCancel(connection_);
      PQcancel(request, why.data(), why.size());
      PQfreeCancel(request);
    }
    PGresult* next = PQgetResult(connection_);
    if (next == nullptr) break;
    PQclear(std::exchange(last, next));
  }
  if (!asked) return last;
  PQclear(last);
  return Error{ErrorCode::kCancelled, "stopped on request"};
}

Result<Rows> PgConnection::Query(const std::string& sql) {
  PGresult* answer = nullptr;
  if (cancel_ != nullptr) {
    TARN_ASSIGN(answer, Wait(sql));
  } else {
    answer = PQexec(connection_, sql.c_str());
  }
  const PgResult result(answer);
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) return ServerError(result.get(), connection_);
  Rows rows(static_cast<size_t>(PQntuples(result.get())));
  for (size_t r = 0; r < rows.size(); r++) {
    for (int c = 0; c < PQnfields(result.get()); c++) {
      const int row = static_cast<int>(r);
      if (PQgetisnull(result.get(), row, c)) {
        rows[r].emplace_back();
      } else {
        rows[r].emplace_back(std::string(PQgetvalue(result.get(), row, c),
                                         static_cast<size_t>(PQgetlength(result.get(), row, c))));
      }
    }
  }
  return rows;
}

Status PgConnection::Execute(const std::string& sql) {
  TARN_ASSIGN([[maybe_unused]] const Rows rows, Query(sql));
  return {};
}

/// libpq reads at most what its buffer holds, which is 16 kB at first: of a copy or a stream that is behind,
/// a call of the system each few messages. It grows to the largest message and stays so.
Status PgConnection::WidenReceiveBuffer() {
  if (std::exchange(is_wide_, true)) return {};
  return Execute(fmt::format("SELECT pg_catalog.repeat(' ', {})", kReceivedBytes));
}

Status PgConnection::StartCopy(const std::string& sql) {
  TARN_RETURN_IF_ERROR(WidenReceiveBuffer());
  const PgResult result(PQexec(connection_, sql.c_str()));
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_COPY_OUT && status != PGRES_COPY_BOTH) return ServerError(result.get(), connection_);
  return {};
}

int PgConnection::server_version() const { return PQserverVersion(connection_); }
std::string PgConnection::LastError() const { return OneLine(PQerrorMessage(connection_)); }

Result<std::map<std::string, std::string>> ParseConninfo(const std::string& conninfo) {
  char* failure = nullptr;
  PQconninfoOption* options = PQconninfoParse(conninfo.c_str(), &failure);
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> owner(options, PQconninfoFree);
  const std::unique_ptr<char, void (*)(void*)> failure_owner(failure, PQfreemem);
  if (options == nullptr) return MakeError(ErrorCode::kInvalidArgument, "{}", OneLine(failure));
  std::map<std::string, std::string> settings;
  for (const PQconninfoOption* option = options; option->keyword != nullptr; option++) {
    if (option->val != nullptr) settings[option->keyword] = option->val;
  }
  return settings;
}

std::string QuoteName(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

std::string QuoteText(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out + "'";
}

}  // namespace tarn::cdc
