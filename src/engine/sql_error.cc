#include "engine/sql_error.h"

#include <algorithm>
#include <string>

#include "engine/sealed_database.h"

namespace tarn::engine {
namespace {

constexpr size_t kExcerptBytes = 100;

ErrorCode CodeOf(duckdb::ExceptionType type) {
  switch (type) {
    case duckdb::ExceptionType::INTERRUPT:
      return ErrorCode::kCancelled;
    case duckdb::ExceptionType::PERMISSION:
      return ErrorCode::kPermission;
    case duckdb::ExceptionType::IO:
      return ErrorCode::kIo;
    case duckdb::ExceptionType::INTERNAL:
    case duckdb::ExceptionType::FATAL:
      return ErrorCode::kInternal;
    default:
      return ErrorCode::kSql;
  }
}

// The function's name in "... Function with name x does not exist!"
std::string MissingFunction(const std::string& message) {
  constexpr std::string_view kBefore = "unction with name ";
  const size_t begin = message.find(kBefore);
  if (begin == std::string::npos) return "";
  const size_t name = begin + kBefore.size();
  std::string result = message.substr(name, message.find(' ', name) - name);
  std::erase(result, '"');
  return duckdb::StringUtil::Lower(result);
}

}  // namespace

std::string Place(std::string_view sql, size_t offset) {
  offset = std::min(offset, sql.size());
  const size_t newline = offset == 0 ? std::string_view::npos : sql.rfind('\n', offset - 1);
  const size_t line_begin = newline == std::string_view::npos ? 0 : newline + 1;
  const auto line = 1 + std::count(sql.begin(), sql.begin() + static_cast<std::ptrdiff_t>(line_begin), '\n');
  const size_t column = offset - line_begin;
  const size_t line_end = std::min(sql.find('\n', offset), sql.size());
  const size_t from = column > kExcerptBytes / 2 ? line_begin + column - kExcerptBytes / 2 : line_begin;
  const std::string_view excerpt = sql.substr(from, std::min(kExcerptBytes, line_end - from));
  return fmt::format("line {}, column {}:\n{}\n{}^", line, column + 1, excerpt,
                     std::string(offset - from, ' '));
}

Error SqlError(const duckdb::ErrorData& error, std::string_view original_sql, const RewrittenSql& rewritten) {
  Error result{CodeOf(error.Type()), error.RawMessage()};
  if (result.code == ErrorCode::kCancelled) {
    result.message = "the statement was cancelled";
    return result;
  }
  // A stack trace is for a debugger; it names paths of this machine.
  result.message.resize(std::min(result.message.find("\n\nStack Trace"), result.message.size()));
  // DuckDB's own excerpt shows the rewritten text.
  result.message.resize(std::min(result.message.find("\n\nLINE "), result.message.size()));
  const std::string function = MissingFunction(result.message);
  if (!function.empty() && IsSealedFunction(function)) {
    result.code = ErrorCode::kPermission;
    result.message =
        fmt::format("function {} is not available: a session reads the lake's tables by name", function);
  }
  const auto& extra = error.ExtraInfo();
  const auto position = extra.find("position");
  if (position != extra.end()) {
    const size_t offset = rewritten.OriginalOffset(std::stoull(position->second));
    result.message += "\n" + Place(original_sql, offset);
  }
  return result;
}

}  // namespace tarn::engine
