#pragma once

#include <string_view>
#include <vector>

namespace tarn::engine {

/// A piece of SQL text that means something; comments and white space are left out.
struct SqlToken {
  enum class Kind { kWord, kQuotedName, kString, kNumber, kSymbol, kEnd };
  Kind kind = Kind::kEnd;
  size_t begin = 0;
  size_t end = 0;
  std::string_view text;

  /// Whether it is this key word; `word` is in upper case.
  bool Is(std::string_view word) const;
  bool IsSymbol(std::string_view symbol) const { return kind == Kind::kSymbol && text == symbol; }
};

/// Never fails: what is not closed ends with the text. The last token is kEnd.
std::vector<SqlToken> TokenizeSql(std::string_view sql);

}  // namespace tarn::engine
