#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace tarn::engine {

/// A statement with every form of time travel written as AT (TIMESTAMP => ...), and where its text came from.
struct RewrittenSql {
  std::string text;

  struct Piece {
    size_t rewritten = 0;  ///< Where the piece starts in `text`.
    size_t original = 0;   ///< Where it starts in what the user wrote.
    bool is_copy = true;   ///< False: text of ours, all of which stands for `original`.
  };
  std::vector<Piece> pieces;

  /// Maps an offset in `text` to the original statement.
  size_t OriginalOffset(size_t rewritten) const;
};

/// Understands, behind a table's name and before or after its alias: FOR TIMESTAMP AS OF x and FOR
/// SYSTEM_TIME AS OF x (Athena, Trino), TIMESTAMP AS OF x (Spark). Quotes and comments are left alone.
/// Errors: kSql for the VERSION forms: versions have no numbers here.
Result<RewrittenSql> RewriteTimeTravel(std::string_view sql);

}  // namespace tarn::engine
