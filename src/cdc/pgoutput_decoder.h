#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/lsn.h"
#include "cdc/change_builder.h"

namespace tarn::cdc {

/// A transaction as its BEGIN tells it.
struct TransactionHead {
  int64_t xid = 0;
  Lsn commit_lsn;  ///< Of its commit record: the order of transactions.
  int64_t commit_micros = 0;
};

/// A RELATION message: a table as the stream knows it from here on.
struct StreamRelation {
  struct Column {
    std::string name;
    uint32_t type_oid = 0;
    int32_t typmod = -1;
    bool is_key = false;
    std::string hashed_under = {};  ///< As schema::Column's; TableMappings sets it.
    std::string renamed = {};       ///< Name in the lake that the configuration gives; empty: none.
    std::optional<std::string> constant = {};  ///< As schema::Column's.
  };
  uint32_t oid = 0;
  std::string schema_name, table_name;
  char replica_identity = 'd';
  std::vector<Column> columns;
};

/// What a stream consists of. Views are valid during the call only.
class PgoutputHandler {
 public:
  virtual ~PgoutputHandler() = default;
  virtual Status OnBegin(const TransactionHead& head) = 0;
  virtual Status OnRelation(StreamRelation relation) = 0;
  /// `op` is I, U or D. For U: `old_row` has the key ('K') or the whole row ('O') before, or is empty when
  /// the key did not change. For D `row` is the old one: its key, or the whole row.
  virtual Status OnRow(char op, uint32_t relation, const std::vector<WireValue>& row,
                       const std::vector<WireValue>& old_row) = 0;
  virtual Status OnTruncate(const std::vector<uint32_t>& relations) = 0;
  virtual Status OnCommit(Lsn end_lsn) = 0;
};

/// Microseconds since 1970 of PostgreSQL's time; nullopt beyond what fits.
std::optional<int64_t> FromPgTime(int64_t micros);

/// Decodes pgoutput's messages, protocol version 1 (text values); TransactionSpool makes such of version 2's.
/// Never reads past a message whatever its bytes. Source: PostgreSQL documentation, "Logical Replication
/// Message Formats". Threads: one.
class PgoutputDecoder {
 public:
  explicit PgoutputDecoder(PgoutputHandler* handler) : handler_(handler) {}
  /// Errors: kCorrupt for a message that does not frame, kUnsupported for an unknown kind, and the handler's.
  Status Decode(std::string_view message);

 private:
  PgoutputHandler* handler_;
  std::vector<WireValue> row_, old_row_;
};

}  // namespace tarn::cdc
