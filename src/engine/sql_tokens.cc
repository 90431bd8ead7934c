#include "engine/sql_tokens.h"

#include <algorithm>
#include <cctype>

namespace tarn::engine {
namespace {

bool IsWordStart(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_' || (c & 0x80) != 0;
}
bool IsWordPart(char c) {
  return IsWordStart(c) || std::isdigit(static_cast<unsigned char>(c)) != 0 || c == '$';
}
bool IsDigit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

class Tokenizer {
 public:
  explicit Tokenizer(std::string_view sql) : sql_(sql) {}

  std::vector<SqlToken> Run() {
    while (SkipBlank()) Take();
    Push(SqlToken::Kind::kEnd, sql_.size());
    return std::move(tokens_);
  }

 private:
  char At(size_t offset) const { return offset < sql_.size() ? sql_[offset] : '\0'; }

  // Steps over white space and comments; false at the end of the text.
  bool SkipBlank() {
    while (position_ < sql_.size()) {
      if (std::isspace(static_cast<unsigned char>(sql_[position_])) != 0) {
        ++position_;
      } else if (sql_.substr(position_, 2) == "--") {
        position_ = std::min(sql_.find('\n', position_), sql_.size());
      } else if (sql_.substr(position_, 2) == "/*") {
        SkipBlockComment();
      } else {
        return true;
      }
    }
    return false;
  }

  void SkipBlockComment() {
    // Comments nest in PostgreSQL's grammar, and so in DuckDB's.
    int depth = 0;
    do {
      if (sql_.substr(position_, 2) == "/*") {
        ++depth;
        position_ += 2;
      } else if (sql_.substr(position_, 2) == "*/") {
        --depth;
        position_ += 2;
      } else {
        ++position_;
      }
    } while (depth > 0 && position_ < sql_.size());
    position_ = std::min(position_, sql_.size());
  }

  void Take() {
    const char c = sql_[position_];
    if ((c == 'e' || c == 'E') && At(position_ + 1) == '\'')
      return Push(SqlToken::Kind::kString, EscapedStringEnd());
    if (c == '\'') return Push(SqlToken::Kind::kString, QuotedEnd(position_, '\''));
    if (c == '"') return Push(SqlToken::Kind::kQuotedName, QuotedEnd(position_, '"'));
    if (c == '$') return TakeDollar();
    if (IsWordStart(c)) return Push(SqlToken::Kind::kWord, WhileFrom(position_, IsWordPart));
    if (IsDigit(c) || (c == '.' && IsDigit(At(position_ + 1))))
      return Push(SqlToken::Kind::kNumber, NumberEnd());
    const std::string_view two = sql_.substr(position_, 2);
    const bool is_pair = two == "::" || two == "||" || two == "=>";
    Push(SqlToken::Kind::kSymbol, position_ + (is_pair ? 2 : 1));
  }

  void TakeDollar() {
    const size_t tag_end = WhileFrom(position_ + 1, [](char c) { return IsWordPart(c) && c != '$'; });
    if (At(tag_end) != '$' || IsDigit(At(position_ + 1))) {
      return Push(SqlToken::Kind::kWord, std::max(tag_end, position_ + 1));  // A parameter.
    }
    const std::string_view tag = sql_.substr(position_, tag_end + 1 - position_);
    const size_t close = sql_.find(tag, tag_end + 1);
    Push(SqlToken::Kind::kString, close == std::string_view::npos ? sql_.size() : close + tag.size());
  }

  size_t QuotedEnd(size_t begin, char quote) const {
    size_t i = begin + 1;
    while (i < sql_.size()) {
      if (sql_[i] != quote) {
        ++i;
      } else if (At(i + 1) == quote) {
        i += 2;
      } else {
        return i + 1;
      }
    }
    return sql_.size();
  }

  size_t EscapedStringEnd() const {
    for (size_t i = position_ + 2; i < sql_.size(); ++i) {
      if (sql_[i] == '\\') {
        ++i;
      } else if (sql_[i] == '\'') {
        if (At(i + 1) != '\'') return i + 1;
        ++i;
      }
    }
    return sql_.size();
  }

  size_t NumberEnd() const {
    size_t i = position_;
    while (i < sql_.size() && (IsWordPart(sql_[i]) || sql_[i] == '.')) {
      const bool is_exponent = (sql_[i] == 'e' || sql_[i] == 'E') && (At(i + 1) == '-' || At(i + 1) == '+');
      i += is_exponent ? 2 : 1;
    }
    return i;
  }

  template <typename Predicate>
  size_t WhileFrom(size_t i, Predicate predicate) const {
    while (i < sql_.size() && predicate(sql_[i])) ++i;
    return i;
  }

  void Push(SqlToken::Kind kind, size_t end) {
    tokens_.push_back({kind, position_, end, sql_.substr(position_, end - position_)});
    position_ = end;
  }

  std::string_view sql_;
  size_t position_ = 0;
  std::vector<SqlToken> tokens_;
};

}  // namespace

bool SqlToken::Is(std::string_view word) const {
  return kind == Kind::kWord &&
         std::equal(text.begin(), text.end(), word.begin(), word.end(),
                    [](char a, char b) { return std::toupper(static_cast<unsigned char>(a)) == b; });
}

std::vector<SqlToken> TokenizeSql(std::string_view sql) { return Tokenizer(sql).Run(); }

}  // namespace tarn::engine
