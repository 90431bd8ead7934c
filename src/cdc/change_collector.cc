#include "cdc/change_collector.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "cdc/stream_filter.h"

namespace tarn::cdc {

struct ChangeCollector::TableState {
  std::shared_ptr<const schema::TableSchema> table;
  std::unique_ptr<ChangeBuilder> builder;
  std::vector<size_t> places;                  ///< Of the table's columns in the stream's rows.
  std::optional<StreamFilter> filter;          ///< Which rows reach the lake; nullopt: all.
  bool old_is_whole = false;                   ///< The relation's identity is full.
  std::vector<WireValue> row, old_row, whole;  ///< Reused.

  /// The values of the table's columns.
  void Take(const std::vector<WireValue>& from, std::vector<WireValue>& to) const {
    if (places.size() == from.size()) {  // Nothing is kept out, which is the rule.
      to = from;
      return;
    }
    to.clear();
    if (from.empty()) return;
    for (const size_t place : places) to.push_back(place < from.size() ? from[place] : WireValue{});
  }
  /// Of a row that is none of the lake's, as PostgreSQL sends of a deleted one.
  void KeepKeyOnly() {
    for (size_t i = 0; i < row.size() && i < table->columns.size(); i++) {
      if (!table->columns[i].is_key) row[i] = WireValue{};
    }
  }
};

namespace {

constexpr const char* kUnfitFilter = "its columns are not those that the configuration's filter is for";
constexpr const char* kUntoldRow =
    "an update left a large value untouched by which the configuration filters, so that it does not tell "
    "whether "
    "the row is inside; REPLICA IDENTITY FULL would";

/// What the stream tells and the catalogue does not show yet it shows a moment later; what the catalogue is
/// ahead of it never shows again.
constexpr int kLooks = 20;
constexpr auto kLookInterval = std::chrono::milliseconds(20);

/// {"column": "text", ...} of the key columns of `row`.
std::string KeyJson(const schema::TableSchema& table, const std::vector<WireValue>& row,
                    const std::string& hash_secret) {
  std::string json = "{";
  for (size_t i = 0; i < table.columns.size() && i < row.size(); i++) {
    if (!table.columns[i].is_key) continue;
    if (json.size() > 1) json += ",";
    json += JsonText(table.columns[i].lake_name) + ":";
    if (row[i].state != WireValue::State::kText) {
      json += "null";
    } else {
      json += JsonText(table.columns[i].hashed_under.empty() ? row[i].bytes
                                                             : HashedText(hash_secret, row[i].bytes));
    }
  }
  return json + "}";
}

/// Which of the stream's columns are the table's key: with REPLICA IDENTITY FULL it calls all of them so.
std::vector<bool> KeyColumns(const StreamRelation& relation, const schema::TableSchema& table) {
  std::vector<bool> key;
  for (const StreamRelation::Column& column : relation.columns) {
    key.push_back(std::any_of(table.columns.begin(), table.columns.end(), [&](const schema::Column& known) {
      return known.is_key && known.name == column.name;
    }));
  }
  return key;
}

bool KeyDiffers(const schema::TableSchema& table, const std::vector<WireValue>& a,
                const std::vector<WireValue>& b) {
  for (size_t i = 0; i < table.columns.size() && i < a.size() && i < b.size(); i++) {
    if (table.columns[i].is_key && a[i].bytes != b[i].bytes) return true;
  }
  return false;
}

}  // namespace

ChangeCollector::ChangeCollector(CollectorOptions options)
    : options_(std::move(options)), awaits_known_commit_(options_.known_commit.has_value()) {}
ChangeCollector::~ChangeCollector() = default;

void ChangeCollector::Follow(FollowedTable table) {
  const std::lock_guard lock(mutex_);
  const uint32_t oid = table.schema.oid;
  followed_.insert_or_assign(oid, std::move(table));
}

Error ChangeCollector::LacksKnownCommit() {
  other_history_ = true;
  return MakeError(
      ErrorCode::kUnavailable,
      "the source was set back and written on: its log has no commit at {} of {}, which the lake "
      "has read",
      options_.known_commit->lsn.ToString(), FormatTimestamp(options_.known_commit->micros));
}

Status ChangeCollector::Reached(Lsn end) {
  if (!AwaitsKnownCommit() || end <= options_.known_commit->lsn) return {};
  const std::lock_guard lock(mutex_);
  return LacksKnownCommit();
}

bool ChangeCollector::HasOtherHistory() {
  const std::lock_guard lock(mutex_);
  return other_history_;
}

Status ChangeCollector::OnBegin(const TransactionHead& head) {
  const std::lock_guard lock(mutex_);
  if (awaits_known_commit_ && head.commit_lsn >= options_.known_commit->lsn) {
    const KnownCommit& known = *options_.known_commit;
    if (head.commit_lsn != known.lsn || head.commit_micros != known.micros) return LacksKnownCommit();
    awaits_known_commit_ = false;
  }
  transaction_ = head;
  commit_time_ = FormatTimestamp(head.commit_micros);
  ordinal_ = 0;
  skipping_ = head.commit_lsn <= options_.skip_up_to;
  at_barrier_ = barrier_ && head.commit_lsn > *barrier_;
  in_transaction_ = !at_barrier_;
  changed_.notify_all();
  return {};
}

void ChangeCollector::SetBarrier(std::optional<Lsn> at) {
  const std::lock_guard lock(mutex_);
  barrier_ = at;
  if (at_barrier_ && (!at || transaction_.commit_lsn <= *at)) {
    at_barrier_ = false;
    in_transaction_ = true;
  }
}

bool ChangeCollector::IsAtBarrier() {
  const std::lock_guard lock(mutex_);
  return at_barrier_;
}

std::optional<FollowedTable> ChangeCollector::KnownAs(uint32_t oid) {
  const std::lock_guard lock(mutex_);
  std::optional<FollowedTable> known;
  const auto followed = followed_.find(oid);
  if (followed != followed_.end()) known = followed->second;
  const auto seen = tables_.find(oid);
  if (seen == tables_.end()) return known;
  // The shape that the stream told last; the storage is still that of the copy.
  if (!known) known.emplace();
  known->schema = *seen->second->table;
  return known;
}

Result<std::optional<SourceTable>> ChangeCollector::Describe(const StreamRelation& relation,
                                                             const std::optional<FollowedTable>& known) {
  std::optional<SourceTable> now;
  if (!options_.describe) return now;
  for (int look = 0; look < kLooks; look++) {
    if (look > 0) std::this_thread::sleep_for(kLookInterval);
    TARN_ASSIGN(now, options_.describe(relation.oid));
    if (!IsBehind(now, relation, known ? &*known : nullptr)) break;
  }
  return now;
}

Status ChangeCollector::OnRelation(StreamRelation relation) {
  std::optional<StreamFilter> filter;
  const StreamRelation whole = relation;
  std::vector<size_t> places = options_.mappings.Apply(relation);
  const std::optional<FollowedTable> known = KnownAs(relation.oid);
  ShapeChange change;
  // Without the lock: the source may take its time. A message that tells nothing new comes behind DDL, too,
  // which may have rewritten the rows.
  TARN_ASSIGN(const std::optional<SourceTable> now, Describe(relation, known));
  if (known && SameShape(relation, known->schema)) {
    change.table = known->schema;
    if (now) change.copy_again = WhyRewritten(*known, *now);
  } else {
    change = FollowShape(relation, known ? &*known : nullptr, now);
  }
  if (auto bound = options_.mappings.FilterFor(whole, now ? &*now : nullptr)) {
    if (!*bound && change.copy_again.empty()) change.copy_again = kUnfitFilter;
    // What a partition tells of old rows is by its own identity, the relation's is the root's.
    const bool old_is_whole = whole.replica_identity == 'f' && now && !now->partitioned;
    filter.emplace(std::move(*bound), KeyColumns(whole, change.table), old_is_whole);
  }
  const std::lock_guard lock(mutex_);
  auto& state = tables_[relation.oid];
  if (state == nullptr) state = std::make_unique<TableState>();
  state->filter = std::move(filter);
  state->old_is_whole = whole.replica_identity == 'f';
  if (state->table == nullptr || state->table->columns != change.table.columns ||
      state->table->filter_id != change.table.filter_id) {
    FinishBuilder(*state);
    state->table = std::make_shared<const schema::TableSchema>(std::move(change.table));
    state->builder = std::make_unique<ChangeBuilder>(state->table, options_.mappings.hash_secret);
  }
  state->places = std::move(places);
  if (skipping_ || change.copy_again.empty() || IsInCopy(relation.oid)) return {};
  const int64_t lsn = OrderingValue(options_.epoch, transaction_.commit_lsn);
  segment_.events.push_back({state->table, nullptr, {lsn, ordinal_}, std::move(change.copy_again)});
  open_rows_++;
  return {};
}

bool ChangeCollector::IsInCopy(uint32_t oid) const {
  const auto followed = followed_.find(oid);
  return followed != followed_.end() && transaction_.commit_lsn <= followed->second.start;
}

Status ChangeCollector::OnRow(char op, uint32_t relation, const std::vector<WireValue>& row,
                              const std::vector<WireValue>& old_row) {
  const std::lock_guard lock(mutex_);
  ordinal_++;
  if (skipping_) return {};
  const auto found = tables_.find(relation);
  if (found == tables_.end()) {
    return MakeError(ErrorCode::kCorrupt, "the stream has a row of table {} before its description",
                     relation);
  }
  TableState& state = *found->second;
  // Two positions, whatever becomes of them: a transaction that comes again has the same ones.
  const bool in_two = op == 'U' && state.old_is_whole && !old_row.empty();
  if (in_two) ordinal_++;
  if (IsInCopy(relation)) return {};
  if (!in_two || !IsKeyless(*state.table)) return TakeRow(state, op, ordinal_, row, old_row);
  TARN_RETURN_IF_ERROR(TakeRow(state, 'D', ordinal_ - 1, old_row, {}));
  state.whole = row;
  CompleteRow(state.whole, old_row);
  return TakeRow(state, 'I', ordinal_, state.whole, {});
}

Status ChangeCollector::TakeRow(TableState& state, char op, int64_t ordinal,
                                const std::vector<WireValue>& row, const std::vector<WireValue>& old_row) {
  const RowFate fate = state.filter ? state.filter->Judge(op, row, old_row) : RowFate::kKept;
  if (fate == RowFate::kOutside) return {};
  if (fate == RowFate::kUntold) {
    const int64_t lsn = OrderingValue(options_.epoch, transaction_.commit_lsn);
    segment_.events.push_back({state.table, nullptr, {lsn, ordinal}, kUntoldRow});
    open_rows_++;
    return {};
  }
  const int64_t bytes_before = state.builder->bytes();
  state.Take(row, state.row);
  state.Take(old_row, state.old_row);
  std::optional<std::string> old_key;
  if (op == 'U' && !old_row.empty()) {
    // With the whole old row at hand an untouched TOAST value is known; with the old key alone, that of a key
    // whose value is stored out of line, of which PostgreSQL tells even if it stays.
    CompleteRow(state.row, state.old_row);
    if (KeyDiffers(*state.table, state.row, state.old_row))
      old_key = KeyJson(*state.table, state.old_row, options_.mappings.hash_secret);
  }
  if (fate == RowFate::kLeaves && op == 'U') {
    op = 'D';
    if (!state.old_row.empty()) state.row = state.old_row;
    state.KeepKeyOnly();
    old_key.reset();
  }
  const RowHead head{op, commit_time_, OrderingValue(options_.epoch, transaction_.commit_lsn), ordinal,
                     transaction_.xid};
  state.builder->AppendRow(head, state.row, old_key);
  open_rows_++;
  open_bytes_ += state.builder->bytes() - bytes_before;
  return {};
}

Status ChangeCollector::OnTruncate(const std::vector<uint32_t>& relations) {
  const std::lock_guard lock(mutex_);
  ordinal_++;
  if (skipping_) return {};
  for (const uint32_t oid : relations) {
    const auto found = tables_.find(oid);
    if (found == tables_.end()) continue;
    if (IsInCopy(oid)) continue;
    const int64_t lsn = OrderingValue(options_.epoch, transaction_.commit_lsn);
    segment_.events.push_back({found->second->table, nullptr, {lsn, ordinal_}});
    open_rows_++;
  }
  return {};
}

Status ChangeCollector::OnCommit(Lsn end_lsn) {
  const std::lock_guard lock(mutex_);
  in_transaction_ = false;
  if (skipping_) {
    skipping_ = false;
    return {};
  }
  if (segment_.transactions++ == 0) segment_.first_commit = transaction_.commit_lsn;
  segment_.last_commit = transaction_.commit_lsn;
  segment_.last_commit_micros = transaction_.commit_micros;
  segment_.end = end_lsn;
  if (cut_wanted_ && !ready_) {
    cut_wanted_ = false;
    ready_ = CutLocked(false);
  }
  changed_.notify_all();
  return {};
}

void ChangeCollector::FinishBuilder(TableState& state) {
  if (state.builder == nullptr || state.builder->rows() == 0) return;
  segment_.rows += state.builder->rows();
  segment_.bytes += state.builder->bytes();
  segment_.events.push_back({state.table, state.builder->Finish()});
}

Segment ChangeCollector::CutLocked(bool open) {
  for (auto& [oid, state] : tables_) FinishBuilder(*state);
  Segment out = std::move(segment_);
  out.open = open;
  if (open) {
    if (out.transactions++ == 0) out.first_commit = transaction_.commit_lsn;
    out.last_commit = transaction_.commit_lsn;
    out.last_commit_micros = transaction_.commit_micros;
    out.end = Lsn{};
  }
  segment_ = Segment{};
  open_rows_ = open_bytes_ = 0;
  return out;
}

std::optional<Segment> ChangeCollector::Take(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  const auto take = [&]() -> std::optional<Segment> {
    if (ready_) return std::exchange(ready_, std::nullopt);
    if (!in_transaction_ && segment_.transactions > 0) return CutLocked(false);
    if (in_transaction_ && segment_.transactions > 0) cut_wanted_ = true;
    return std::nullopt;
  };
  const auto until = std::chrono::steady_clock::now() + timeout;
  while (true) {
    if (auto segment = take()) {
      taken_ = true;
      changed_.notify_all();
      return segment;
    }
    if (changed_.wait_until(lock, until) == std::cv_status::timeout) {
      auto segment = take();
      taken_ = segment.has_value();
      if (segment) changed_.notify_all();
      return segment;
    }
  }
}

bool ChangeCollector::IsFull() {
  const std::lock_guard lock(mutex_);
  if (at_barrier_) return true;
  if (open_bytes_ < options_.max_bytes) return false;
  if (ready_) return true;
  if (!in_transaction_) return true;
  // A transaction larger than memory goes on in pieces.
  ready_ = CutLocked(true);
  changed_.notify_all();
  return false;
}

void ChangeCollector::Done() {
  const std::lock_guard lock(mutex_);
  taken_ = false;
}

bool ChangeCollector::HasWork() {
  const std::lock_guard lock(mutex_);
  return taken_ || ready_ || in_transaction_ || segment_.transactions > 0 || open_rows_ > 0;
}

bool ChangeCollector::IsIdle() {
  const std::lock_guard lock(mutex_);
  return !in_transaction_ && !at_barrier_ && !ready_ && segment_.transactions == 0;
}

}  // namespace tarn::cdc
