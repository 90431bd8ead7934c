#include "cdc/snapshot.h"

#include <libpq-fe.h>

#include <algorithm>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "cdc/copy_decoder.h"
#include "cdc/replication_objects.h"

namespace tarn::cdc {
namespace {

/// The column as its type's output function writes it, which is what the stream has. A cast to text may be
/// another function (inet's adds the mask, xml's keeps the declaration, anybody may make one), and IS NULL is
/// true of a composite whose fields are.
std::string OutputText(const std::string& column) {
  return "CASE pg_catalog.num_nulls(" + column + ") WHEN 0 THEN pg_catalog.format('%s', " + column + ") END";
}

/// xid has 32 bits: transactions of the last 2^31 have an order, by age(); rows that were frozen long ago may
/// seem to be new.
std::string WrittenSince(uint64_t xid) {
  return fmt::format("pg_catalog.age(xmin) <= pg_catalog.age('{}'::pg_catalog.xid)",
                     static_cast<uint32_t>(xid));
}

/// What holds the table's rows. The pages of a partitioned one are those of all its partitions, and its
/// columns have its order whatever theirs is.
std::string FromOf(const SourceTable& table) { return (table.partitioned ? "" : "ONLY ") + table.from; }

std::string CopySql(const SourceTable& table, const CopyRange& range) {
  std::string columns;
  for (const schema::Column& column : table.schema.columns) {
    if (column.constant) continue;
    const std::string name = QuoteName(column.name);
    const bool as_text = column.type.kind == schema::PgKind::kTextCast;
    columns += (columns.empty() ? "" : ", ") + (as_text ? OutputText(name) : name);
  }
  std::string where;
  const auto add = [&](const std::string& condition) {
    where += (where.empty() ? " WHERE " : " AND ") + condition;
  };
  const PageRange& pages = range.pages;
  if (pages.from > 0) add(fmt::format("ctid >= '({},0)'::pg_catalog.tid", pages.from));
  if (pages.to >= 0) add(fmt::format("ctid < '({},0)'::pg_catalog.tid", pages.to));
  if (range.since_xid) add(WrittenSince(*range.since_xid));
  if (!table.where.empty()) add(table.where);
  return "COPY (SELECT " + columns + " FROM " + FromOf(table) + where + ") TO STDOUT (FORMAT binary)";
}

/// One worker: its connection shares the snapshot for as long as it lives.
class RangeCopier {
 public:
  RangeCopier(const SourceTable& table, const CopyOptions& options, const CancelToken& cancel,
              CopyProgress* progress, const CopySink& sink, int worker)
      : table_(table),
        options_(options),
        cancel_(cancel),
        progress_(progress),
        sink_(sink),
        worker_(worker),
        builder_(std::make_shared<const schema::TableSchema>(table.schema), options.mappings.hash_secret),
        copy_time_(FormatTimestamp(Clock::System().NowMicros())) {}

  Status Connect() {
    connection_ = options_.connection;
    if (connection_ != nullptr) return {};
    TARN_ASSIGN(own_connection_, PgConnection::Connect(options_.conninfo, PgConnection::Kind::kOrdinary,
                                                       "copy " + table_.schema.QualifiedName(), &cancel_));
    connection_ = own_connection_.get();
    return BeginAtSnapshot(*connection_, options_.snapshot_name);
  }

  /// Keeps the table from being truncated or rewritten until the transaction ends.
  Status Lock() { return connection_->Execute("SELECT FROM " + FromOf(table_) + " LIMIT 0"); }

  /// The same; false when somebody waits to truncate or rewrite it, which others' locks keep from it.
  Result<bool> LockAtOnce() {
    TARN_RETURN_IF_ERROR(connection_->Execute("SET LOCAL lock_timeout = '1ms'"));
    Status locked = Lock();
    if (!locked && locked.error().code == ErrorCode::kConflict) return false;
    if (!locked) return std::move(locked).error();
    TARN_RETURN_IF_ERROR(connection_->Execute("SET LOCAL lock_timeout = 0"));
    return true;
  }

  Status Copy(const CopyRange& range) {
    TARN_RETURN_IF_ERROR(connection_->StartCopy(CopySql(table_, range)));
    const auto is_sent = [](const schema::Column& column) { return !column.constant; };
    CopyDecoder decoder(static_cast<size_t>(
        std::count_if(table_.schema.columns.begin(), table_.schema.columns.end(), is_sent)));
    RowHead head{'I', copy_time_, OrderingValue(options_.epoch, options_.snapshot_lsn),
                 range.pages.from << 24, 0};
    while (true) {
      char* buffer = nullptr;
      const int length = PQgetCopyData(connection_->raw(), &buffer, 0);
      if (length == -1) break;
      if (length < 0)
        return MakeError(ErrorCode::kUnavailable, "the copy broke off: {}", connection_->LastError());
      const std::unique_ptr<char, void (*)(void*)> owner(buffer, PQfreemem);
      TARN_ASSIGN(const bool is_row, decoder.Decode({buffer, static_cast<size_t>(length)}));
      if (!is_row) continue;
      head.ordinal++;
      builder_.AppendRow(head, decoder.values(), std::nullopt);
      progress_->rows.fetch_add(1, std::memory_order_relaxed);
      progress_->bytes.fetch_add(length, std::memory_order_relaxed);
      unpaid_bytes_ += length;
      if (builder_.rows() >= options_.batch_rows || builder_.bytes() >= options_.batch_bytes)
        TARN_RETURN_IF_ERROR(Flush(range));
    }
    TARN_RETURN_IF_ERROR(EndCopy());
    TARN_RETURN_IF_ERROR(Flush(range));
    return sink_.done ? sink_.done(worker_, range) : Status{};
  }

  /// Whether the table's storage is another than the snapshot knows. Behind Lock the answer stays true.
  Result<bool> WasRewritten() {
    // A query sees pg_class as of the snapshot, pg_relation_filenode() the present.
    TARN_ASSIGN(const Rows rows,
                connection_->Query(fmt::format(
                    "SELECT count(*) FROM pg_class c WHERE c.relkind = 'r' AND (c.oid = {0} OR c.oid IN "
                    "(SELECT relid FROM pg_partition_tree({0}))) "
                    "AND c.relfilenode IS DISTINCT FROM pg_relation_filenode(c.oid)",
                    table_.schema.oid)));
    return rows[0][0] != "0";
  }

 private:
  Status Flush(const CopyRange& range) {
    // Not to read is to have the source wait.
    if (options_.rate != nullptr) TARN_RETURN_IF_ERROR(options_.rate->Keep(unpaid_bytes_, cancel_));
    unpaid_bytes_ = 0;
    TARN_RETURN_IF_ERROR(cancel_.Check());
    if (builder_.rows() == 0) return {};
    return sink_.rows(worker_, range, builder_.Finish());
  }

  Status EndCopy() {
    PGresult* result = PQgetResult(connection_->raw());
    const bool ok = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    if (!ok) return MakeError(ErrorCode::kUnavailable, "the copy failed: {}", connection_->LastError());
    while ((result = PQgetResult(connection_->raw())) != nullptr) PQclear(result);
    return {};
  }

  const SourceTable& table_;
  const CopyOptions& options_;
  const CancelToken& cancel_;
  CopyProgress* progress_;
  const CopySink& sink_;
  int worker_;
  int64_t unpaid_bytes_ = 0;  ///< Read since the rate was kept last.
  ChangeBuilder builder_;
  std::string copy_time_;
  std::unique_ptr<PgConnection> own_connection_;
  PgConnection* connection_ = nullptr;
};

/// Whether the catalogue says another thing of the table than when it was described: DDL in between, before
/// the copy's lock kept it out.
Result<bool> DescribedOtherwise(const SourceTable& table, const CopyOptions& options) {
  TARN_ASSIGN(auto connection, PgConnection::Connect(options.conninfo, PgConnection::Kind::kOrdinary,
                                                     "copy " + table.schema.QualifiedName()));
  TARN_ASSIGN(const auto now, DescribeTable(*connection, table.schema.oid, options.mappings));
  if (!now || now->from != table.from || StorageReplaced(table.storage, now->storage)) return true;
  if (!WhyOtherPartitions(table.storage, now->storage).empty()) return true;
  if (now->where != table.where) return true;
  return !std::equal(now->schema.columns.begin(), now->schema.columns.end(), table.schema.columns.begin(),
                     table.schema.columns.end(), [](const schema::Column& a, const schema::Column& b) {
                       return a.name == b.name && a.type_oid == b.type_oid && a.typmod == b.typmod &&
                              a.attnum == b.attnum;
                     });
}

/// The workers of one copy.
class SideBySide {
 public:
  SideBySide(const SourceTable& table, const CopyOptions& options, const CancelToken& cancel,
             CopyProgress* progress, const CopySink& sink)
      : table_(table), options_(options), cancel_(cancel), progress_(progress), sink_(sink) {
    ranges_ = options.ranges;
    if (!ranges_.empty()) return;
    for (const PageRange& pages : SplitPages(table, options.pages_per_range))
      ranges_.push_back({ranges_.size(), pages});
  }

  /// The first worker's lock comes before all else: what was truncated since the snapshot is not copied, and
  /// what is copied is not truncated before its end.
  Status Run() {
    RangeCopier first(table_, options_, cancel_, progress_, sink_, 0);
    TARN_RETURN_IF_ERROR(first.Connect());
    TARN_RETURN_IF_ERROR(first.Lock());
    TARN_ASSIGN(rewritten_, first.WasRewritten());
    // Most DDL waits from here on; of a large table it is worth a look whether some came before.
    if (!rewritten_ && options_.connection == nullptr && ranges_.size() > 1) {
      TARN_ASSIGN(rewritten_, DescribedOtherwise(table_, options_));
    }
    if (rewritten_) return {};
    std::vector<std::thread> threads;
    const int workers = std::min<int>(options_.workers, static_cast<int>(ranges_.size()));
    for (int worker = 1; worker < workers; worker++) threads.emplace_back([this, worker] { Join(worker); });
    Keep(CopyRanges(first));
    for (std::thread& thread : threads) thread.join();
    return std::move(outcome_);
  }
  bool rewritten() const { return rewritten_; }

 private:
  void Join(int worker) {
    RangeCopier copier(table_, options_, cancel_, progress_, sink_, worker);
    Status connected = copier.Connect();
    if (!connected) return Keep(std::move(connected));
    const auto locked = copier.LockAtOnce();
    if (!locked) return Keep(tl::unexpected(locked.error()));
    // Behind a TRUNCATE that waits for the others it would have nothing to read.
    if (*locked) return Keep(CopyRanges(copier));
    spdlog::info("copy of {}: goes on with a connection fewer, since another session waits to lock the table",
                 table_.schema.QualifiedName());
  }

  Status CopyRanges(RangeCopier& copier) {
    for (size_t at = next_.fetch_add(1); !failed_ && at < ranges_.size(); at = next_.fetch_add(1))
      TARN_RETURN_IF_ERROR(copier.Copy(ranges_[at]));
    return {};
  }

  void Keep(Status status) {
    if (status) return;
    const std::lock_guard lock(mutex_);
    if (!failed_.exchange(true)) outcome_ = std::move(status);
  }

  const SourceTable& table_;
  const CopyOptions& options_;
  const CancelToken& cancel_;
  CopyProgress* progress_;
  const CopySink& sink_;
  std::vector<CopyRange> ranges_;
  bool rewritten_ = false;
  std::atomic<size_t> next_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  Status outcome_;  ///< The first that is none; under the mutex.
};

}  // namespace

Status CopyRate::Keep(int64_t bytes, const CancelToken& cancel) {
  if (bytes_per_second_ == 0) return {};
  double due = 0;
  {
    const std::lock_guard lock(mutex_);
    // Time in which nobody read is not made up for.
    due_micros_ = std::max(due_micros_, static_cast<double>(MonotonicMicros()));
    due_micros_ += static_cast<double>(bytes) * 1e6 / static_cast<double>(bytes_per_second_);
    due = due_micros_;
  }
  while (static_cast<double>(MonotonicMicros()) < due) {
    TARN_RETURN_IF_ERROR(cancel.Check());
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return {};
}

std::vector<PageRange> SplitPages(const SourceTable& table, int64_t pages_per_range) {
  std::vector<int64_t> sizes = table.pages;
  std::sort(sizes.begin(), sizes.end());
  std::vector<PageRange> ranges;
  PageRange next;
  while (true) {
    // As many pages of each relation as there is room for, of those that have any left.
    int64_t room = pages_per_range;
    next.to = next.from;
    auto longer = std::upper_bound(sizes.begin(), sizes.end(), next.to);
    while (longer != sizes.end()) {
      const int64_t relations = sizes.end() - longer;
      if (room < relations && next.to > next.from) break;
      const int64_t pages = std::min(*longer - next.to, std::max<int64_t>(room / relations, 1));
      next.to += pages;
      room -= pages * relations;
      longer = std::upper_bound(sizes.begin(), sizes.end(), next.to);
    }
    if (longer == sizes.end()) break;
    ranges.push_back(next);
    next.from = next.to;
  }
  ranges.push_back({next.from, -1});
  return ranges;
}

Result<CopyOutcome> CopyTable(const SourceTable& table, const CopyOptions& options, const CancelToken& cancel,
                              CopyProgress* progress, const CopySink& sink) {
  SideBySide copy(table, options, cancel, progress, sink);
  Status outcome = copy.Run();
  const bool cancelled = !outcome && outcome.error().code == ErrorCode::kCancelled;
  if (options.connection == nullptr && !copy.rewritten() && !cancelled) {
    // Also behind an error: a column that is gone, or the table, is no fault of the source.
    const auto otherwise = DescribedOtherwise(table, options);
    if (otherwise && *otherwise) return CopyOutcome::kRewritten;
    if (!otherwise && outcome) outcome = tl::unexpected(otherwise.error());
  }
  if (!outcome) return std::move(outcome).error().In("copy of " + table.schema.QualifiedName());
  return copy.rewritten() ? CopyOutcome::kRewritten : CopyOutcome::kComplete;
}

}  // namespace tarn::cdc
