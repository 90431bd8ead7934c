#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "hudi/key_index.h"

namespace tarn::hudi {

/// A row of one piece.
struct SpooledRow {
  uint32_t piece = 0, row = 0;
};

/// Batches of rows in files, and of each identity its newest row. Memory: what is mapped of the files, a few
/// pieces at a time and an index of 36 bytes a row, which is the page cache's. Threads: one.
class ChangeSpool {
 public:
  /// `folder` is this object's own: emptied now, and removed with it.
  explicit ChangeSpool(std::string folder);
  ~ChangeSpool();
  ChangeSpool(const ChangeSpool&) = delete;
  ChangeSpool& operator=(const ChangeSpool&) = delete;

  /// One more piece; what was there of these identities, one a row, is superseded.
  Status Add(const arrow::RecordBatch& rows, const std::vector<Hash128>& identities, bool are_deletes);
  uint32_t pieces() const { return static_cast<uint32_t>(pieces_.size()); }
  bool AreDeletes(uint32_t piece) const { return pieces_[piece].are_deletes; }
  /// Of all pieces, with what was superseded.
  int64_t rows() const { return rows_; }
  int64_t bytes() const { return bytes_; }

  std::optional<SpooledRow> Find(const Hash128& identity) const;
  /// The piece's columns, then the identities.
  Result<std::shared_ptr<arrow::RecordBatch>> Open(uint32_t piece);
  /// The rows of a piece that nothing superseded.
  struct LiveRows {
    std::shared_ptr<arrow::RecordBatch> batch;  ///< As Open has it.
    std::vector<uint32_t> rows;
    std::vector<Hash128> identities;
  };
  Result<LiveRows> Live(uint32_t piece);
  /// The rows in their order, by stretches that lie in one piece: `take` gets the piece as Open has it.
  Status ForEachStretch(std::span<const SpooledRow> rows,
                        const std::function<Status(uint32_t piece, const std::shared_ptr<arrow::RecordBatch>&,
                                                   const std::vector<int64_t>& rows)>& take);
  /// Columns of `schema` by name (null where a piece has none) of these rows, in their order.
  Result<std::shared_ptr<arrow::RecordBatch>> Gather(std::span<const SpooledRow> rows,
                                                     const std::shared_ptr<arrow::Schema>& schema);

  static constexpr const char* kIdentity = "_identity";
  /// The column of identities: sixteen bytes each.
  static std::shared_ptr<arrow::Field> IdentityField();
  static Hash128 IdentityAt(const arrow::RecordBatch& rows, int64_t row);

 private:
  struct Piece {
    std::string path;
    bool are_deletes = false;
  };
  const std::string folder_;
  std::vector<Piece> pieces_;
  KeyIndex newest_;  ///< A place is a piece and a row of it.
  int64_t rows_ = 0, bytes_ = 0;
  std::list<std::pair<uint32_t, std::shared_ptr<arrow::RecordBatch>>> open_;  ///< Used last first.
};

}  // namespace tarn::hudi
