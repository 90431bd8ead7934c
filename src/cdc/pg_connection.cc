#include "cdc/pg_connection.h"

#include <libpq-fe.h>
#include <poll.h>

#include <array>
#include <utility>

namespace tarn::cdc {
namespace {

/// libpq ends its messages with a newline and may have several lines.
std::string OneLine(const char* message) {
  std::string text = message == nullptr ? "" : message;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
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
  // 55006: the slot is still in use, by a connection that the server has not yet given up.
  if (code == "55006" || code.empty() || code.starts_with("08") || code.starts_with("57"))
    kind = ErrorCode::kUnavailable;
  return MakeError(kind, "PostgreSQL says: {}{}", message, code.empty() ? "" : " (SQLSTATE " + code + ")");
}

Error ConnectError(const PGconn* connection) {
  const std::string message = OneLine(PQerrorMessage(connection));
  const bool refused_login = message.find("authentication failed") != std::string::npos ||
                             message.find("no pg_hba.conf entry") != std::string::npos ||
                             message.find("no password supplied") != std::string::npos;
  if (refused_login) {
    return MakeError(
        ErrorCode::kPermission,
        "the source refuses the login: {}; check user and password of [source] (password_file or "
        "TARN_SOURCE_PASSWORD) and the server's pg_hba.conf",
        message);
  }
  const bool missing = message.find("does not exist") != std::string::npos;
  return MakeError(
      missing ? ErrorCode::kNotFound : ErrorCode::kUnavailable,
      "cannot connect to the source: {}; check [source] in tarn.toml and that PostgreSQL runs there",
      message);
}

}  // namespace

Result<std::unique_ptr<PgConnection>> PgConnection::Connect(const std::string& conninfo, Kind kind,
                                                            const std::string& purpose,
                                                            const CancelToken* cancel) {
  const std::string application = "tarn " + purpose;
  const std::string options =
      "-c datestyle=ISO,YMD -c timezone=UTC -c intervalstyle=postgres -c extra_float_digits=3 -c "
      "bytea_output=hex "
      "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c client_min_messages=warning "
      "-c search_path=pg_catalog";
  const std::array<const char*, 8> keys = {
      "dbname",      "application_name", "options",         "client_encoding",
      "replication", "connect_timeout",  "keepalives_idle", nullptr};
  const std::array<const char*, 8> values = {conninfo.c_str(),
                                             application.c_str(),
                                             options.c_str(),
                                             "UTF8",
                                             kind == Kind::kReplication ? "database" : "false",
                                             "10",
                                             "30",
                                             nullptr};
  PGconn* connection = PQconnectdbParams(keys.data(), values.data(), 1);
  if (connection == nullptr) return Error{ErrorCode::kInternal, "libpq has no memory for a connection"};
  std::unique_ptr<PgConnection> owner(new PgConnection(connection, cancel));
  if (PQstatus(connection) != CONNECTION_OK) return ConnectError(connection);
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

Status PgConnection::StartCopy(const std::string& sql) {
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
