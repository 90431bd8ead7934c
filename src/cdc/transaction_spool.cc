#include "cdc/transaction_spool.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <utility>

#include "cdc/wire_reader.h"

namespace tarn::cdc {
namespace {

/// Of one step of a replay: whoever waits for the collector or the source waits about as long.
constexpr int kStepMessages = 256;
constexpr int64_t kStepBytes = 1 << 20;

/// Kinds that have their transaction's number behind them inside a block.
constexpr std::string_view kKeptKinds = "RYIUDTM";

Error OutOfTurn(char kind, uint32_t xid) {
  return MakeError(ErrorCode::kCorrupt, "a pgoutput message of kind '{}' came out of turn (transaction {})",
                   kind, xid);
}

Error Torn(char kind) {
  return MakeError(ErrorCode::kCorrupt, "a pgoutput message of kind '{}' does not frame exactly", kind);
}

}  // namespace

bool TransactionSpool::Transaction::IsRolledBack(uint32_t subxid) const {
  return std::binary_search(rolled_back.begin(), rolled_back.end(), subxid);
}

Status TransactionSpool::Clear() {
  std::error_code error;
  for (std::filesystem::directory_iterator at(options_.folder, error), end; !error && at != end;
       at.increment(error)) {
    std::filesystem::remove_all(at->path(), error);
    if (error) break;
  }
  if (!error || error == std::errc::no_such_file_or_directory) return {};
  return MakeError(ErrorCode::kUnavailable,
                   "cannot empty '{}', which keeps transactions that are open on the source: {}; make it a "
                   "folder that tarn may write",
                   options_.folder, error.message());
}

int64_t TransactionSpool::bytes() const {
  int64_t bytes = replayed_ ? replayed_->messages.bytes() : 0;
  for (const auto& [xid, transaction] : open_) bytes += transaction->messages.bytes();
  return bytes;
}

Status TransactionSpool::Take(std::string_view message) {
  const char kind = message.empty() ? '\0' : message[0];
  if (replayed_) return Error{ErrorCode::kInternal, "a message was taken while a transaction is replayed"};
  ahead_ = true;
  switch (kind) {
    case 'S':
      return Begin(message);
    case 'E':
      return End(message);
    case 'A':
      return Abort(message);
    case 'c':
      ahead_ = false;
      return Commit(message);
    default:
      if (current_ != nullptr) return Keep(message);
      ahead_ = false;
      return decoder_.Decode(message);
  }
}

Status TransactionSpool::Begin(std::string_view message) {
  WireReader reader(message.substr(1));
  const auto xid = static_cast<uint32_t>(reader.Int32());
  const bool is_first = reader.Byte() != 0;
  if (!reader.ok() || !reader.at_end()) return Torn('S');
  // A later block of a transaction whose first one is not here would be a hole in it.
  if (current_ != nullptr || is_first == open_.contains(xid)) return OutOfTurn('S', xid);
  auto& transaction = open_[xid];
  if (is_first)
    transaction = std::make_unique<Transaction>(options_.folder + "/" + std::to_string(xid) + ".messages");
  current_ = transaction.get();
  return {};
}

Status TransactionSpool::End(std::string_view message) {
  if (message.size() != 1) return Torn('E');
  if (current_ == nullptr) return OutOfTurn('E', 0);
  current_ = nullptr;
  return {};
}

Status TransactionSpool::Keep(std::string_view message) {
  const char kind = message.empty() ? '\0' : message[0];
  // Where changes were made first, which nobody here asks for; it names no transaction.
  if (kind == 'O') return {};
  if (kKeptKinds.find(kind) == std::string_view::npos) return OutOfTurn(kind, 0);
  WireReader reader(message.substr(1));
  const auto xid = static_cast<uint32_t>(reader.Int32());
  if (!reader.ok()) return Torn(kind);
  const int64_t before = current_->messages.memory_bytes();
  current_->messages.Append(xid, kind, message.substr(5));
  memory_bytes_ += current_->messages.memory_bytes() - before;
  if (memory_bytes_ <= options_.memory_bytes) return {};
  // The largest one: so the writes are large whoever has the memory.
  const auto largest = std::max_element(open_.begin(), open_.end(), [](const auto& a, const auto& b) {
    return a.second->messages.memory_bytes() < b.second->messages.memory_bytes();
  });
  memory_bytes_ -= largest->second->messages.memory_bytes();
  return largest->second->messages.Spill();
}

Status TransactionSpool::Abort(std::string_view message) {
  WireReader reader(message.substr(1));
  const auto xid = static_cast<uint32_t>(reader.Int32());
  const auto subxid = static_cast<uint32_t>(reader.Int32());
  if (!reader.ok() || !reader.at_end()) return Torn('A');
  const auto found = open_.find(xid);
  if (current_ != nullptr) return OutOfTurn('A', xid);
  if (found == open_.end()) return {};
  if (subxid == xid) {
    memory_bytes_ -= found->second->messages.memory_bytes();
    open_.erase(found);
    return {};
  }
  // A subtransaction's children have messages of their own; numbers rise, so it goes near the end.
  auto& rolled_back = found->second->rolled_back;
  const auto place = std::lower_bound(rolled_back.begin(), rolled_back.end(), subxid);
  if (place == rolled_back.end() || *place != subxid) rolled_back.insert(place, subxid);
  return {};
}

Status TransactionSpool::Commit(std::string_view message) {
  WireReader reader(message.substr(1));
  TransactionHead head;
  const auto xid = static_cast<uint32_t>(reader.Int32());
  reader.Byte();
  head.xid = xid;
  head.commit_lsn.value = static_cast<uint64_t>(reader.Int64());
  const Lsn end{static_cast<uint64_t>(reader.Int64())};
  const auto commit_micros = FromPgTime(reader.Int64());
  if (!reader.ok() || !reader.at_end() || !commit_micros) return Torn('c');
  head.commit_micros = *commit_micros;
  const auto found = open_.find(xid);
  if (current_ != nullptr || found == open_.end()) return OutOfTurn('c', xid);
  memory_bytes_ -= found->second->messages.memory_bytes();
  replayed_ = std::move(found->second);
  replayed_->end = end;
  open_.erase(found);
  return handler_->OnBegin(head);
}

Status TransactionSpool::ReplayStep() {
  int64_t bytes = 0;
  for (int i = 0; replayed_ && i < kStepMessages && bytes < kStepBytes; i++) {
    TARN_ASSIGN(const auto entry, replayed_->messages.Next());
    if (!entry) {
      const Lsn end = replayed_->end;
      replayed_.reset();
      return handler_->OnCommit(end);
    }
    bytes += static_cast<int64_t>(entry->message.size());
    if (replayed_->IsRolledBack(entry->xid)) continue;
    TARN_RETURN_IF_ERROR(decoder_.Decode(entry->message));
  }
  return {};
}

}  // namespace tarn::cdc
