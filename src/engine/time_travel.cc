#include "engine/time_travel.h"

#include <algorithm>
#include <array>

#include "engine/sql_tokens.h"

namespace tarn::engine {
namespace {

using Kind = SqlToken::Kind;

// Words that can follow a table's name without being its alias.
constexpr std::array kAfterTable = {
    "WHERE",  "GROUP",       "ORDER", "HAVING", "LIMIT",     "OFFSET",     "UNION",   "INTERSECT", "EXCEPT",
    "JOIN",   "INNER",       "LEFT",  "RIGHT",  "FULL",      "CROSS",      "NATURAL", "ON",        "USING",
    "WINDOW", "QUALIFY",     "ASOF",  "ANTI",   "SEMI",      "LATERAL",    "PIVOT",   "UNPIVOT",   "FETCH",
    "SELECT", "TABLESAMPLE", "FROM",  "SAMPLE", "RETURNING", "POSITIONAL", "WITH",    "SET",       "AT",
    "FOR",    "AND",         "OR",    "WHEN",   "THEN",      "END",        "ELSE",    "BY"};
// Words that cannot be a table's name or alias: what stands before a time travel clause must be one.
constexpr std::array kNotAName = {"SELECT", "FROM", "JOIN", "WHERE", "DISTINCT", "BY",  "ON",   "AND",   "OR",
                                  "NOT",    "IN",   "AS",   "CASE",  "WHEN",     "ALL", "LIKE", "HAVING"};
constexpr std::array kIntervalUnits = {
    "YEAR", "YEARS", "MONTH",  "MONTHS",  "WEEK",   "WEEKS",   "DAY",          "DAYS",
    "HOUR", "HOURS", "MINUTE", "MINUTES", "SECOND", "SECONDS", "MILLISECONDS", "MICROSECONDS"};

template <typename Words>
bool IsAny(const SqlToken& token, const Words& words) {
  return std::any_of(words.begin(), words.end(), [&](const char* word) { return token.Is(word); });
}

struct Range {
  size_t begin = 0;  // Tokens.
  size_t end = 0;
  bool empty() const { return begin == end; }
};

class Rewriter {
 public:
  explicit Rewriter(std::string_view sql) : sql_(sql), tokens_(TokenizeSql(sql)) {}

  Result<RewrittenSql> Run() {
    for (size_t i = 1; i + 1 < tokens_.size();) {
      if (!IsTableName(tokens_[i - 1])) {
        ++i;
        continue;
      }
      TARN_ASSIGN(const Range clause, MatchClause(i));
      if (clause.empty()) {
        ++i;
        continue;
      }
      i = std::max(Replace(i, clause), i + 1);
    }
    CopyUntil(sql_.size());
    return std::move(out_);
  }

 private:
  const SqlToken& Token(size_t i) const { return tokens_[std::min(i, tokens_.size() - 1)]; }

  static bool IsTableName(const SqlToken& token) {
    if (token.kind == Kind::kQuotedName || token.IsSymbol(")")) return true;
    return token.kind == Kind::kWord && !IsAny(token, kNotAName);
  }

  bool IsAsOf(size_t i) const { return Token(i).Is("AS") && Token(i + 1).Is("OF"); }

  // The tokens of the time where a clause starts at `i`; empty where none does.
  Result<Range> MatchClause(size_t i) {
    const size_t word = Token(i).Is("FOR") ? i + 1 : i;
    const bool is_version = Token(word).Is("VERSION") || Token(word).Is("SYSTEM_VERSION");
    const bool is_time = Token(word).Is("TIMESTAMP") || (word != i && Token(word).Is("SYSTEM_TIME"));
    if (IsAsOf(word + 1) && (is_time || is_version)) {
      const size_t end = Expression(word + 3);
      if (end == word + 3) return Range{};  // A column called timestamp with the alias "of".
      if (is_version) {
        return MakeError(ErrorCode::kSql,
                         "{} AS OF is not supported: name a time, as in FOR TIMESTAMP AS OF '...'",
                         Token(word).text);
      }
      clause_end_ = end;
      return Range{word + 3, end};
    }
    return MatchAt(i);
  }

  // AT (TIMESTAMP => ...) needs a change only where an alias follows: DuckDB wants the alias first.
  Range MatchAt(size_t i) {
    const bool is_at = Token(i).Is("AT") && Token(i + 1).IsSymbol("(") && Token(i + 2).Is("TIMESTAMP") &&
                       Token(i + 3).IsSymbol("=>");
    if (!is_at) return {};
    const size_t close = MatchingClose(i + 1);
    if (close == i + 1 || Alias(close + 1).empty()) return {};
    clause_end_ = close + 1;
    return Range{i + 4, close};
  }

  // Writes the clause behind its alias; the next token to look at.
  size_t Replace(size_t clause_begin, Range time) {
    const Range alias = Alias(clause_end_);
    CopyUntil(Token(clause_begin).begin);
    if (!alias.empty()) {
      CopyTokens(alias);
      Append(" ", Token(clause_begin).begin);
    }
    Append("AT (TIMESTAMP => ", Token(clause_begin).begin);
    CopyTokens(time);
    Append(")", Token(clause_end_ - 1).begin);
    const size_t next = alias.empty() ? clause_end_ : alias.end;
    copied_ = Token(next - 1).end;
    return next;
  }

  // [AS] name [(columns)]
  Range Alias(size_t i) const {
    const bool has_as = Token(i).Is("AS");
    const size_t name = has_as ? i + 1 : i;
    const bool is_name = Token(name).kind == Kind::kQuotedName ||
                         (Token(name).kind == Kind::kWord && (has_as || !IsAny(Token(name), kAfterTable)));
    if (!is_name) return {};
    const bool has_columns = Token(name + 1).IsSymbol("(");
    return {i, has_columns ? MatchingClose(name + 1) + 1 : name + 1};
  }

  // The index of the ")" for the "(" at `open`; `open` itself when there is none.
  size_t MatchingClose(size_t open) const {
    int depth = 0;
    for (size_t i = open; i < tokens_.size(); ++i) {
      if (tokens_[i].IsSymbol("(")) ++depth;
      if (tokens_[i].IsSymbol(")") && --depth == 0) return i;
    }
    return open;
  }

  // Each of these returns the token behind what it reads, or its argument when that is not what stands there.
  size_t Expression(size_t i) const {
    size_t end = Operand(i);
    if (end == i) return i;
    while (IsOperator(Token(end))) {
      const size_t next = Operand(end + 1);
      if (next == end + 1) break;
      end = next;
    }
    return end;
  }

  static bool IsOperator(const SqlToken& token) {
    return token.IsSymbol("+") || token.IsSymbol("-") || token.IsSymbol("*") || token.IsSymbol("/") ||
           token.IsSymbol("||");
  }

  size_t Operand(size_t i) const {
    size_t begin = i;
    while (Token(begin).IsSymbol("-") || Token(begin).IsSymbol("+")) ++begin;
    size_t end = Primary(begin);
    if (end == begin) return i;
    while (true) {
      if (Token(end).IsSymbol("::") && Token(end + 1).kind == Kind::kWord) {
        end += 2;
        if (Token(end).IsSymbol("(")) end = MatchingClose(end) + 1;
      } else if (Token(end).Is("AT") && Token(end + 1).Is("TIME") && Token(end + 2).Is("ZONE")) {
        end = Primary(end + 3);
      } else {
        return end;
      }
    }
  }

  size_t Primary(size_t i) const {
    const SqlToken& token = Token(i);
    if (token.IsSymbol("(")) return MatchingClose(i) == i ? i : MatchingClose(i) + 1;
    if (token.IsSymbol("?") || token.kind == Kind::kString || token.kind == Kind::kNumber) return i + 1;
    if (token.Is("INTERVAL") && !Token(i + 1).Is("INTERVAL")) return Interval(i);
    if (token.kind == Kind::kWord && Token(i + 1).kind == Kind::kString) return i + 2;  // TIMESTAMP '...'
    if (token.Is("TIMESTAMP") && Token(i + 1).Is("WITH") && Token(i + 4).kind == Kind::kString) return i + 5;
    const bool is_name =
        token.kind == Kind::kQuotedName || (token.kind == Kind::kWord && !IsAny(token, kAfterTable));
    if (!is_name || token.Is("AS")) return i;
    size_t end = i + 1;
    while (Token(end).IsSymbol(".") && end + 1 < tokens_.size()) end += 2;
    return Token(end).IsSymbol("(") ? MatchingClose(end) + 1 : end;
  }

  size_t Interval(size_t i) const {
    const size_t value = Primary(i + 1);
    if (value == i + 1) return i;
    return IsAny(Token(value), kIntervalUnits) ? value + 1 : value;
  }

  void CopyUntil(size_t offset) {
    Copy(copied_, offset);
    copied_ = offset;
  }

  void CopyTokens(Range range) { Copy(Token(range.begin).begin, Token(range.end - 1).end); }

  void Copy(size_t begin, size_t end) {
    if (begin >= end) return;
    out_.pieces.push_back({out_.text.size(), begin, true});
    out_.text.append(sql_.substr(begin, end - begin));
  }

  void Append(std::string_view text, size_t original) {
    out_.pieces.push_back({out_.text.size(), original, false});
    out_.text.append(text);
  }

  std::string_view sql_;
  std::vector<SqlToken> tokens_;
  size_t copied_ = 0;
  size_t clause_end_ = 0;
  RewrittenSql out_;
};

}  // namespace

size_t RewrittenSql::OriginalOffset(size_t rewritten) const {
  auto next = std::upper_bound(pieces.begin(), pieces.end(), rewritten,
                               [](size_t offset, const Piece& piece) { return offset < piece.rewritten; });
  if (next == pieces.begin()) return rewritten;
  const Piece& piece = *std::prev(next);
  return piece.is_copy ? piece.original + (rewritten - piece.rewritten) : piece.original;
}

Result<RewrittenSql> RewriteTimeTravel(std::string_view sql) { return Rewriter(sql).Run(); }

}  // namespace tarn::engine
