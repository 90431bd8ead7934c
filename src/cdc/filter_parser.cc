#include <algorithm>
#include <array>

#include "cdc/row_filter.h"

namespace tarn::cdc {
namespace {

using Kind = FilterNode::Kind;

/// Parentheses and NOT inside of each other; each is a call of its own.
constexpr int kMostDepth = 100;

struct Token {
  enum class Kind { kWord, kQuotedName, kNumber, kText, kSign, kEnd } kind = Kind::kEnd;
  std::string text;  ///< A word as it is written, others without their quotes.
  size_t at = 1;
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsWordStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 128;
}

std::string Lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

Error At(size_t at, const std::string& what) {
  return MakeError(ErrorCode::kInvalidArgument, "character {}: {}", at, what);
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Result<Token> Next() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) at_++;
    Token token{Token::Kind::kEnd, "", at_ + 1};
    if (at_ == text_.size()) return token;
    const char c = text_[at_];
    if (IsWordStart(c))
      return Run(token, Token::Kind::kWord, [](char d) { return IsWordStart(d) || IsDigit(d) || d == '$'; });
    const bool is_signed = (c == '-' || c == '+') && at_ + 1 < text_.size() && IsDigit(text_[at_ + 1]);
    if (IsDigit(c) || is_signed)
      return Run(token, Token::Kind::kNumber,
                 [](char d) { return IsDigit(d) || d == '.' || IsWordStart(d); });
    if (c == '"' || c == '\'') return Quoted(token, c);
    for (const std::string_view sign : {"<>", "!=", "<=", ">=", "=", "<", ">", "(", ")", ","}) {
      if (text_.substr(at_, sign.size()) != sign) continue;
      at_ += sign.size();
      token.kind = Token::Kind::kSign;
      token.text = sign == "!=" ? "<>" : sign;
      return token;
    }
    return At(token.at, fmt::format("'{}' has no meaning in a filter", c));
  }

 private:
  template <typename Belongs>
  Token Run(Token token, Token::Kind kind, const Belongs& belongs) {
    const size_t from = at_++;
    while (at_ < text_.size() && belongs(text_[at_])) at_++;
    token.kind = kind;
    token.text = text_.substr(from, at_ - from);
    return token;
  }

  Result<Token> Quoted(Token token, char quote) {
    for (at_++; at_ < text_.size(); at_++) {
      if (text_[at_] != quote) {
        token.text += text_[at_];
        continue;
      }
      at_++;
      if (at_ == text_.size() || text_[at_] != quote) {
        token.kind = quote == '"' ? Token::Kind::kQuotedName : Token::Kind::kText;
        return token;
      }
      token.text += quote;  // Doubled, it stands for itself.
    }
    return At(token.at, fmt::format("the quote {} is not closed", quote));
  }

  std::string_view text_;
  size_t at_ = 0;
};

class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text) {}

  Result<FilterNode> Parse() {
    TARN_RETURN_IF_ERROR(Advance());
    TARN_ASSIGN(FilterNode filter, Any());
    if (token_.kind != Token::Kind::kEnd) return Expected("AND, OR or the end");
    return filter;
  }

 private:
  Status Advance() {
    TARN_ASSIGN(token_, lexer_.Next());
    return {};
  }
  bool IsWord(const char* word) const {
    return token_.kind == Token::Kind::kWord && Lower(token_.text) == word;
  }
  bool IsSign(const char* sign) const { return token_.kind == Token::Kind::kSign && token_.text == sign; }
  bool IsKeyword() const {
    const std::array words = {"and", "or", "not", "in", "is", "null", "true", "false"};
    return std::any_of(words.begin(), words.end(), [&](const char* word) { return IsWord(word); });
  }
  Result<bool> Take(bool is_it) {
    if (is_it) TARN_RETURN_IF_ERROR(Advance());
    return is_it;
  }
  Status Require(bool is_it, const char* what) { return is_it ? Advance() : Status(Expected(what)); }
  Error Expected(const std::string& what) const {
    const std::string found =
        token_.kind == Token::Kind::kEnd ? "the filter ends" : "'" + token_.text + "' stands there";
    return At(token_.at, what + " is expected, but " + found);
  }

  Result<FilterNode> Any() {
    return Joined(Kind::kOr, "or", [this] { return All(); });
  }
  Result<FilterNode> All() {
    return Joined(Kind::kAnd, "and", [this] { return Single(); });
  }

  template <typename Part>
  Result<FilterNode> Joined(Kind kind, const char* word, const Part& part) {
    TARN_ASSIGN(FilterNode first, part());
    if (!IsWord(word)) return first;
    FilterNode node;
    node.kind = kind;
    node.parts.push_back(std::move(first));
    while (IsWord(word)) {
      TARN_RETURN_IF_ERROR(Advance());
      TARN_ASSIGN(FilterNode next, part());
      node.parts.push_back(std::move(next));
    }
    return node;
  }

  Result<FilterNode> Single() {
    if (++depth_ > kMostDepth) return At(token_.at, "the filter is nested too deeply");
    TARN_ASSIGN(FilterNode node, IsWord("not") ? Negated() : IsSign("(") ? Bracketed() : Condition());
    depth_--;
    return node;
  }

  Result<FilterNode> Negated() {
    TARN_RETURN_IF_ERROR(Advance());
    TARN_ASSIGN(FilterNode inner, Single());
    return Not(std::move(inner));
  }

  static FilterNode Not(FilterNode inner) {
    FilterNode node;
    node.kind = Kind::kNot;
    node.parts.push_back(std::move(inner));
    return node;
  }

  Result<FilterNode> Bracketed() {
    TARN_RETURN_IF_ERROR(Advance());
    TARN_ASSIGN(FilterNode inner, Any());
    TARN_RETURN_IF_ERROR(Require(IsSign(")"), "')'"));
    return inner;
  }

  Result<FilterNode> Condition() {
    const bool is_name =
        token_.kind == Token::Kind::kQuotedName || (token_.kind == Token::Kind::kWord && !IsKeyword());
    if (!is_name) return Expected("a column");
    FilterNode node;
    node.column = token_.kind == Token::Kind::kWord ? Lower(token_.text) : token_.text;
    node.at = token_.at;
    TARN_RETURN_IF_ERROR(Advance());
    if (IsWord("is")) return IsNull(std::move(node));
    TARN_ASSIGN(const bool negated, Take(IsWord("not")));
    if (IsWord("in") || negated) {
      TARN_ASSIGN(FilterNode in, In(std::move(node)));
      return negated ? Not(std::move(in)) : std::move(in);
    }
    const std::array<std::pair<const char*, Kind>, 6> signs = {{{"=", Kind::kEqual},
                                                                {"<>", Kind::kDifferent},
                                                                {"<", Kind::kLess},
                                                                {"<=", Kind::kLessEqual},
                                                                {">", Kind::kGreater},
                                                                {">=", Kind::kGreaterEqual}}};
    const auto sign =
        std::find_if(signs.begin(), signs.end(), [&](const auto& entry) { return IsSign(entry.first); });
    if (sign == signs.end()) return Expected("=, <>, <, <=, >, >=, IN or IS");
    node.kind = sign->second;
    TARN_RETURN_IF_ERROR(Advance());
    TARN_RETURN_IF_ERROR(Literal(node));
    return node;
  }

  Result<FilterNode> IsNull(FilterNode node) {
    TARN_RETURN_IF_ERROR(Advance());
    node.kind = Kind::kIsNull;
    TARN_ASSIGN(const bool negated, Take(IsWord("not")));
    TARN_RETURN_IF_ERROR(Require(IsWord("null"), "NULL"));
    return negated ? Not(std::move(node)) : std::move(node);
  }

  Result<FilterNode> In(FilterNode node) {
    TARN_RETURN_IF_ERROR(Require(IsWord("in"), "IN"));
    TARN_RETURN_IF_ERROR(Require(IsSign("("), "'('"));
    node.kind = Kind::kIn;
    while (true) {
      TARN_RETURN_IF_ERROR(Literal(node));
      TARN_ASSIGN(const bool more, Take(IsSign(",")));
      if (!more) break;
    }
    TARN_RETURN_IF_ERROR(Require(IsSign(")"), "',' or ')'"));
    return node;
  }

  Status Literal(FilterNode& node) {
    FilterLiteral literal;
    literal.text = token_.text;
    literal.at = token_.at;
    if (token_.kind == Token::Kind::kText) {
      literal.kind = FilterLiteral::Kind::kText;
    } else if (IsWord("true") || IsWord("false")) {
      literal.kind = FilterLiteral::Kind::kBool;
      literal.text = IsWord("true") ? "t" : "f";
    } else if (token_.kind != Token::Kind::kNumber) {
      return Expected("a number, a 'text', TRUE or FALSE");
    }
    node.literals.push_back(std::move(literal));
    return Advance();
  }

  Lexer lexer_;
  Token token_;
  int depth_ = 0;
};

}  // namespace

Result<FilterNode> ParseFilter(std::string_view text) { return Parser(text).Parse(); }

}  // namespace tarn::cdc
