#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace tarn {

/// What kind of failure it is; the message has the particulars. ErrorAdvice (below) maps each to what to do.
enum class ErrorCode {
  kInvalidArgument,  ///< The caller or the configuration is wrong.
  kNotFound,         ///< A named thing does not exist.
  kAlreadyExists,    ///< Put-if-absent met something present.
  kPermission,       ///< A policy, a file mode or the source's privileges forbid it.
  kConflict,         ///< Another writer was there first; retry on the new state.
  kCorrupt,          ///< Bytes that break their format.
  kUnavailable,      ///< The source or the store cannot be reached now.
  kNoSpace,          ///< The disk is full.
  kIo,               ///< Any other failed read or write.
  kUnsupported,      ///< Valid, but not something tarn does.
  kCancelled,        ///< The caller asked to stop.
  kSql,              ///< A statement that cannot be parsed, bound or executed.
  kInternal,         ///< A bug in tarn.
};

/// Stable lower-case name of the code, for JSON and logs.
std::string_view ErrorCodeName(ErrorCode code);

/// Whether the same call may succeed when it is simply made again.
bool IsRetryable(ErrorCode code);

/// A failure as a value: what went wrong, naming the offending value and, where it helps, what to do.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;

  /// The same error with what was being done in front: "context: message".
  Error In(std::string_view context) && {
    message = fmt::format("{}: {}", context, message);
    return std::move(*this);
  }
};

/// A T or an Error. A class of its own, not an alias, so that dropping one is a warning (an error in our
/// build).
template <typename T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
  Result(Error error)  // NOLINT(google-explicit-constructor): for `return error;`
      : tl::expected<T, Error>(tl::unexpected<Error>(std::move(error))) {}
};

using Status = Result<void>;

template <typename... Args>
Error MakeError(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return Error{code, fmt::format(format, std::forward<Args>(args)...)};
}

#define TARN_CONCAT_INNER(a, b) a##b
#define TARN_CONCAT(a, b) TARN_CONCAT_INNER(a, b)

/// Returns the error of a Status or Result expression, if it is one.
#define TARN_RETURN_IF_ERROR(expression)                     \
  do {                                                       \
    auto tarn_status = (expression);                         \
    if (!tarn_status) return std::move(tarn_status).error(); \
  } while (false)

/// Evaluates a Result and either assigns its value or returns its error: TARN_ASSIGN(auto x, Make());
#define TARN_ASSIGN(target, expression) \
  TARN_ASSIGN_INNER(target, expression, TARN_CONCAT(tarn_result_, __LINE__))
#define TARN_ASSIGN_INNER(target, expression, result) \
  auto result = (expression);                         \
  if (!result) return std::move(result).error();      \
  target = std::move(*result)

}  // namespace tarn
