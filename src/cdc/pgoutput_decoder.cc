#include "cdc/pgoutput_decoder.h"

#include <limits>

#include "cdc/wire_reader.h"

namespace tarn::cdc {
namespace {

constexpr int64_t kPgEpochMicros = 946'684'800LL * 1'000'000;

Error Torn(char kind) {
  return MakeError(ErrorCode::kCorrupt, "a pgoutput message of kind '{}' does not frame exactly", kind);
}

/// Reads a TupleData into `values`; false when it does not frame.
bool ReadTuple(WireReader& reader, std::vector<WireValue>& values) {
  const int16_t count = reader.Int16();
  if (count < 0) return false;
  values.resize(static_cast<size_t>(count));
  for (WireValue& value : values) {
    value.bytes = {};
    switch (reader.Byte()) {
      case 'n':
        value.state = WireValue::State::kNull;
        break;
      case 'u':
        value.state = WireValue::State::kUnchanged;
        break;
      case 't':
        value.state = WireValue::State::kText;
        value.bytes = reader.Bytes(reader.Int32());
        break;
      case 'b':
        value.state = WireValue::State::kBinary;
        value.bytes = reader.Bytes(reader.Int32());
        break;
      default:
        return false;
    }
    if (!reader.ok()) return false;
  }
  return true;
}

bool ReadRelation(WireReader& reader, StreamRelation& relation) {
  relation.oid = static_cast<uint32_t>(reader.Int32());
  relation.schema_name = reader.Text();
  relation.table_name = reader.Text();
  relation.replica_identity = reader.Byte();
  const int16_t count = reader.Int16();
  for (int i = 0; i < count && reader.ok(); i++) {
    StreamRelation::Column column;
    column.is_key = (reader.Byte() & 1) != 0;
    column.name = reader.Text();
    column.type_oid = static_cast<uint32_t>(reader.Int32());
    column.typmod = reader.Int32();
    relation.columns.push_back(std::move(column));
  }
  // The catalogue's schema is sent as an empty name.
  if (relation.schema_name.empty()) relation.schema_name = "pg_catalog";
  return reader.ok() && reader.at_end();
}

}  // namespace

std::optional<int64_t> FromPgTime(int64_t micros) {
  if (micros > std::numeric_limits<int64_t>::max() - kPgEpochMicros) return std::nullopt;
  return micros + kPgEpochMicros;
}

Status PgoutputDecoder::Decode(std::string_view message) {
  WireReader reader(message);
  const char kind = reader.Byte();
  const auto done = [&] { return reader.ok() && reader.at_end(); };
  switch (kind) {
    case 'B': {
      TransactionHead head;
      head.commit_lsn.value = static_cast<uint64_t>(reader.Int64());
      const auto commit_micros = FromPgTime(reader.Int64());
      if (!commit_micros) return Torn(kind);
      head.commit_micros = *commit_micros;
      head.xid = static_cast<uint32_t>(reader.Int32());
      return done() ? handler_->OnBegin(head) : Status(Torn(kind));
    }
    case 'C': {
      reader.Byte();
      reader.Int64();
      const Lsn end{static_cast<uint64_t>(reader.Int64())};
      reader.Int64();
      return done() ? handler_->OnCommit(end) : Status(Torn(kind));
    }
    case 'R': {
      StreamRelation relation;
      if (!ReadRelation(reader, relation)) return Torn(kind);
      return handler_->OnRelation(std::move(relation));
    }
    case 'I':
    case 'U':
    case 'D': {
      const auto relation = static_cast<uint32_t>(reader.Int32());
      char part = reader.Byte();
      old_row_.clear();
      if (kind == 'U' && (part == 'K' || part == 'O')) {
        if (!ReadTuple(reader, old_row_)) return Torn(kind);
        part = reader.Byte();
      }
      const bool expected = kind == 'D' ? part == 'K' || part == 'O' : part == 'N';
      if (!expected || !ReadTuple(reader, row_) || !done()) return Torn(kind);
      return handler_->OnRow(kind, relation, row_, old_row_);
    }
    case 'T': {
      const int32_t count = reader.Int32();
      reader.Byte();
      std::vector<uint32_t> relations;
      for (int32_t i = 0; i < count && reader.ok(); i++)
        relations.push_back(static_cast<uint32_t>(reader.Int32()));
      return done() ? handler_->OnTruncate(relations) : Status(Torn(kind));
    }
    case 'Y':  // type names
    case 'O':  // origin
    case 'M':  // logical messages
      return {};
    default:
      return MakeError(ErrorCode::kUnsupported, "pgoutput sent a message of the unknown kind '{}'", kind);
  }
}

}  // namespace tarn::cdc
