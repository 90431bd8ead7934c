#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "base/cancel.h"
#include "base/error.h"
#include "bronze/change_log.h"
#include "bronze/change_reader.h"
#include "catalog/lake_version.h"
#include "cdc/change_collector.h"
#include "cdc/replication_stream.h"
#include "pipeline/bronze_archive.h"
#include "pipeline/check_watch.h"
#include "pipeline/confirmed_note.h"
#include "pipeline/copied_rows.h"
#include "pipeline/first_load.h"
#include "pipeline/gold_layer.h"
#include "pipeline/history_layer.h"
#include "pipeline/lake_view.h"
#include "pipeline/options.h"
#include "pipeline/silver_layer.h"
#include "pipeline/slot_alarm.h"
#include "pipeline/source_watch.h"
#include "pipeline/table_selection.h"

namespace tarn::pipeline {

/// Where a running pipeline is.
enum class RunPhase { kStarting, kCopying, kCatchingUp, kStreaming, kReconnecting, kStopped };
std::string_view RunPhaseName(RunPhase phase);

/// Numbers of a running pipeline. Threads: any.
struct RunState {
  std::atomic<RunPhase> phase{RunPhase::kStarting};
  /// Commit LSNs. Statements see what the tail has.
  std::atomic<uint64_t> tail_lsn{0}, bronze_lsn{0}, silver_lsn{0}, gold_lsn{0};
  std::atomic<int64_t> tail_commit_micros{0}, bronze_commit_micros{0}, silver_commit_micros{0},
      gold_commit_micros{0};
  std::atomic<int64_t> tail_rows{0}, bronze_rows{0}, silver_rows{0};  ///< Changes since the start.
  std::atomic<int64_t> bronze_flushes{0}, silver_commits{0}, gold_runs{0};
  std::atomic<int64_t> apply_micros{0};  ///< Of the newest step.
  std::atomic<int64_t> started_micros{0};
  std::mutex mutex;
  LoadProgress load;       ///< Under mutex.
  std::string last_error;  ///< Under mutex.
};

/// The whole way of the data in one process: capture, Bronze, Silver, Gold. Threads: Run on one, which starts
/// and joins one for the stream, one for Gold, one for the watch, one for the slot's alarm, one for the
/// archive and one for checks; the rest from any.
class Runner {
 public:
  /// Takes the lake's lease. Errors: kConflict when another process writes it, kPermission when it cannot be
  /// written.
  static Result<std::unique_ptr<Runner>> Open(PipelineOptions options, const Clock* clock);
  ~Runner();

  /// Runs until cancelled (success), or until `until` is in Silver and Gold, or until an error that waiting
  /// does not mend. Broken connections are made again.
  Status Run(const CancelToken& cancel, std::optional<Lsn> until, const LoadReporter& report);

  /// Makes Silver, quarantine and Gold again from Bronze alone; the source is not asked. Readers see nothing
  /// of them meanwhile.
  Status Rebuild(const CancelToken& cancel, const LoadReporter& report);

  const RunState& state() const { return state_; }
  const PipelineOptions& options() const { return options_; }
  const cdc::StreamPositions* stream_positions() const { return &stream_->positions(); }
  LakeView* view() { return view_.get(); }
  const storage::Storage* storage() const { return storage_.get(); }
  catalog::LakeVersions* versions() { return versions_.get(); }
  SilverLayer* silver() { return silver_.get(); }
  /// See GoldLayer::Backfill; the run begins at once. Errors: kUnavailable before Gold has begun.
  Status Backfill(const std::string& model, const std::set<std::string>& partitions);
  std::string StatusJson();
  /// What the lake follows, by lake name, as it was when it was copied.
  std::map<std::string, cdc::FollowedTable> Followed();
  /// Asks for copies of tables (names of the lake or "schema.table"), which replace what the lake has of them
  /// when they are complete; readers see no gap. Returns their names in the lake. Errors: kInvalidArgument
  /// names a table that nobody follows.
  Result<std::vector<std::string>> RequestCopies(const std::vector<std::string>& tables);

  /// Has rows of quarantine judged again, between two steps of the stream: see SilverLayer::ReturnRows.
  /// `report`: how many rows were judged, about once a second. Errors: its, kCancelled, and kUnavailable when
  /// the pipeline stops before.
  Result<ReturnedRows> ReturnRows(const std::string& table, const std::string& rule,
                                  const ReturnReporter& report, const CancelToken& cancel);
  /// The same without a stream, instead of Run.
  Result<ReturnedRows> ReturnRowsAlone(const std::string& table, const std::string& rule,
                                       const ReturnReporter& report, const CancelToken& cancel);

  // Which tables are followed (table_selection.cc). Threads: any.
  cdc::TablePatterns patterns() const { return selection_.patterns(); }
  /// Has more tables followed than until now: the watch copies them beside the stream at its next look.
  /// Returns those of the source that nobody follows yet, as "schema.table". Errors: kInvalidArgument when a
  /// pattern selects nothing, or when a table that is followed would be left out, which takes a new start;
  /// nothing is changed then.
  Result<std::vector<std::string>> ChangeSelection(const std::vector<std::string>& include,
                                                   const std::vector<std::string>& exclude);

  // How fresh answers are (freshness.cc). Threads: any.
  /// A position of the source behind everything that is committed there now. Errors: kUnavailable.
  Result<Lsn> SourcePositionNow(const CancelToken& cancel);
  /// Returns when statements see all that the source committed up to `at`. Errors: kUnavailable after
  /// `patience_micros`, kCancelled.
  Status WaitUntilVisible(Lsn at, int64_t patience_micros, const CancelToken& cancel);
  /// How old the newest change is that statements see while the source has newer ones; 0: they see all that
  /// it told of.
  double SecondsBehind();

  BronzeArchive* archive() { return archive_.get(); }

  /// A lake version that holds exactly what the exported snapshot holds; the stream waits only until it is
  /// cut.
  struct Aligned {
    cdc::ExportedSnapshot snapshot;
    catalog::LakeVersion version;
  };
  struct AlignOptions {
    /// Called as soon as the snapshot is there; an error ends it.
    std::function<Status(const cdc::ExportedSnapshot&)> when_exported = {};
    int64_t patience_micros = 60'000'000;  ///< How long the stream may take to the snapshot's position.
  };
  Result<Aligned> AlignWithSource(const CancelToken& cancel, const AlignOptions& options);

 private:
  explicit Runner(PipelineOptions options, const Clock* clock)
      : options_(std::move(options)),
        clock_(clock),
        layout_(options_.lake, options_.bronze_root()),
        selection_(options_.patterns) {}
  Status OpenLake();
  /// From the source's objects to a lake that is ready to stream. `beside`: of a lake that has tables already
  /// no new one keeps the stream waiting.
  Status Prepare(bool beside, const CancelToken& cancel, const LoadReporter& report);
  Status PrepareSource(std::vector<cdc::SourceTable>& tables, const CancelToken& cancel);
  Status PreparePublications(cdc::PgConnection& connection, const std::vector<cdc::SourceTable>& tables);
  /// The source's identity; errors: kConflict when it is another server than the one that the lake follows.
  Result<cdc::SourceIdentity> CheckIdentity();
  /// Where what the source sends next does not follow on what the lake has.
  struct Break {
    std::string reason;  ///< Empty: it follows on.
    int64_t epoch = 0;   ///< From here on.
    bool new_slot = false, drop_slot = false;
  };
  Result<Break> FindBreak(cdc::PgConnection& connection, const cdc::SourceIdentity& source,
                          const cdc::SlotState& slot);
  /// Before a position is confirmed to the source: on the stream's thread.
  Status NoteConfirmed(Lsn at);
  /// How far the slot may stand by tarn's own doing; none when nobody knows.
  std::optional<Lsn> KnownConfirmed() const;
  Status MakeSlot(const Break& broken, cdc::PgConnection& connection, const CancelToken& cancel);
  /// Has every table held and copied again, durably.
  Status RecordBreak(const Break& broken);
  /// Writes the break into Bronze; what the source sends from here on follows on it.
  Status GoOnBehind(const Break& broken, const cdc::SourceIdentity& source, cdc::PgConnection& connection);
  /// Whether Silver's tables have a part of a transaction whose rest comes with the stream.
  Status CatchUpFromBronze(const CancelToken& cancel);
  /// Applies what Bronze has behind `after`, of all tables, or of one.
  Status ReplayFromBronze(const SourcePosition& after, const std::string& only, const CancelToken& cancel);
  Status ReplayManifest(const bronze::Manifest& manifest, const std::string& only,
                        bronze::ChangeReader& reader);
  catalog::RegisteredTable Register(const schema::TableSchema& table) const;
  /// An empty Silver table and quarantine, whatever was there: never copied, or cut off.
  Status BeginAgain(const schema::TableSchema& table);
  /// Removes a table's files, which no version of the lake has.
  Status RemoveFiles(const std::string& name);
  /// Tables as the source has them now, for a new attempt to copy them; one that is gone is left out.
  Status DescribeAgain(std::vector<cdc::SourceTable>& tables);
  /// Whether a copy of the table that was cut off is gone on with; what is there of any other is forgotten.
  Result<bool> GoesOn(const cdc::SourceTable& table);
  /// Tables whose copies keep no others from being followed: the watch makes them, or goes on with them.
  Status LeaveToWatch(const std::vector<cdc::SourceTable>& tables);
  using Loads = std::map<std::string, std::vector<bronze::LoadManifest>>;
  /// Leaves out copies that tell nothing for sure (WhySpoiled).
  Status ForgetSpoiled(Loads& loads) const;
  /// Errors: kCorrupt when something of Bronze is missing or wrong, kNotFound when there is no copy in it.
  Status ProveBronze() const;
  /// Opens the table where Silver has it; false when nothing was ever loaded.
  Result<bool> IsInLake(const std::string& name);
  /// Whether a copy that Silver does not have is the table's as it is now.
  bool IsWaiting(const cdc::SourceTable& table, const Loads& loads) const;
  /// Has the table's changes kept in Bronze for a copy that Silver takes later.
  Status AwaitSilver(const cdc::FollowedTable& table);
  /// Tables of which no copy is complete; opens the others.
  Result<std::vector<cdc::SourceTable>> FindMissing(const std::vector<cdc::SourceTable>& tables,
                                                    const Loads& loads);
  /// Makes tables ready for a copy; those whose copies go to Bronze only: an earlier one is gone on with, or
  /// there is no Silver.
  Result<std::set<std::string>> BeginCopies(const std::vector<cdc::SourceTable>& missing);
  Status CopyMissing(std::vector<cdc::SourceTable>& tables, bool beside, const CancelToken& cancel,
                     const LoadReporter& report);
  /// Before the stream is made again: the source may be another than it was.
  Status FollowOn(const CancelToken& cancel);
  Status Stream(const CancelToken& cancel, std::optional<Lsn> until);
  Status StreamOnce(const CancelToken& cancel, std::optional<Lsn> until);
  Status ApplySegments(cdc::ChangeCollector& collector, const std::atomic<bool>& stream_ended,
                       const CancelToken& cancel, std::optional<Lsn> until);
  /// A step of the stream: shown to readers at once and kept for the next commit, or committed at once.
  Status TakeIn(const cdc::Segment& segment);
  Status Keep(const cdc::Segment& segment);
  Status ApplySegment(const cdc::Segment& segment);
  Status FlushBronze();
  /// Commits what is staged, behind a flush of Bronze.
  Status CommitSilver();
  void Committed(Lsn lsn, int64_t commit_micros);
  int64_t UntilDue() const;  ///< Microseconds until a flush or commit is due.
  Status RunServicesWhenDue();

  // Bronze alone (bronze_alone.cc).
  /// kInvalidArgument when Silver's tables would be left behind.
  Status CheckBronzeAlone() const;
  catalog::RegisteredTable RegisterCopy(const FinishedCopy& copy) const;
  /// Follows those of the tables that have a finished copy.
  Status FollowCopies(const std::vector<cdc::SourceTable>& tables);
  /// Follows the table as it was copied; there is no Silver that would take the copy.
  Status FollowFinishedCopy(const FinishedCopy& copy);

  // Copies beside the stream (table_copies.cc).
  /// Tells everybody who must know what the registry says now.
  void UpdateFollowed();
  /// Sees to tables to which the configuration gives another name than before.
  Status SettleNames(const std::vector<cdc::SourceTable>& tables);
  void FollowComing(const cdc::FollowedTable& table);
  /// Takes in what was asked for and what the watch noticed.
  Status MarkCopies(cdc::ChangeCollector& collector);
  using Reasons = std::vector<std::pair<std::string, std::string>>;  ///< By lake name, why to copy it again.
  /// Takes in the storages that the watch saw; adds the tables that lost rows without a message.
  Status TakeStorages(cdc::ChangeCollector& collector, Reasons* noticed);
  CopySource CopyFiles(const std::string& table) const;
  /// Gives a finished copy its place in Silver once the stream is past its position.
  Status TakeFinishedCopy(cdc::ChangeCollector& collector, const CancelToken& cancel);
  /// The finished copy is where it belongs, and the registry says so; everybody is told.
  void Took(const FinishedCopy& copy, bool accepted);
  /// Has a table copied from its start, instead of the finished copy that would be taken next.
  Status CopyOnceMore(const std::string& name, const std::string& reason);
  // Tables whose SELECT changed (silver_remakes.cc).
  /// Makes them anew from Bronze; those of which Bronze does not tell enough are copied again.
  Status RemakeOutdated(const CancelToken& cancel);
  Status Remake(const bronze::LoadManifest& load, const CancelToken& cancel);

  // Rows that come back from quarantine (quarantine_returns.cc).
  /// Sees to what ReturnRows asked for. An error of a return goes to who asked, unless nothing goes on then.
  Status TakeReturns(const CancelToken& cancel);
  /// No more of them are seen to.
  void EndReturns();

  bool IsVisible(Lsn at);
  /// Whether the stream has come to `at`, or there is nothing up to there; asks the source when it cannot
  /// tell.
  bool HasPassed(cdc::ChangeCollector& collector, const SourcePosition& at);
  /// Publishes the lake as of a position that the stream has passed.
  Status AdvanceTo(const SourcePosition& position, int64_t micros);
  /// Makes tables members whose copy was ahead of the lake, once the stream has passed it, on an idle source
  /// too.
  Status AdmitCopied(cdc::ChangeCollector& collector);
  /// Copies that an earlier process finished and Silver did not take.
  Status AddUntakenCopies();
  void GoldLoop(const CancelToken& cancel);
  /// The time that models take for now: that of the newest commit, or, while the source has nothing newer,
  /// the last quarter of an hour that has begun.
  int64_t PresentOf(const catalog::LakeVersion& version);
  /// Until a day may turn somewhere that a model asks for; a long time when none does.
  int64_t UntilDayMayTurn() const;
  Status OpenGold();
  Status RemoveModels();
  /// Whether anything follows Silver's commits.
  bool HasFollowers() const { return !gold_->models().empty() || histories_->any(); }
  Status RunGoldOnce(const CancelToken& cancel);

  PipelineOptions options_;
  const Clock* clock_;
  catalog::LakeLayout layout_;
  TableSelection selection_;
  RunState state_;
  std::unique_ptr<catalog::WriterLease> lease_;
  std::unique_ptr<storage::Storage> storage_;
  catalog::LakeIdentity identity_;
  std::unique_ptr<catalog::LakeVersions> versions_;
  std::unique_ptr<LakeView> view_;
  std::unique_ptr<bronze::ChangeLog> bronze_;
  std::unique_ptr<SilverLayer> silver_;
  std::unique_ptr<GoldLayer> gold_;
  std::unique_ptr<HistoryLayer> histories_;       ///< On Gold's thread, once that runs.
  std::atomic<GoldLayer*> opened_gold_{nullptr};  ///< For threads that did not open it; null: not opened yet.
  std::unique_ptr<ConfirmedNote> confirmed_;
  std::atomic<uint64_t> bronze_end_{0};  ///< In this epoch, what Bronze has all of.
  std::unique_ptr<cdc::ReplicationStream> stream_;
  std::unique_ptr<SourceWatch> watch_;
  std::unique_ptr<SlotAlarm> slot_alarm_;
  std::unique_ptr<BronzeArchive> archive_;
  std::unique_ptr<CheckWatch> check_watch_;

  std::mutex followed_mutex_;
  std::map<std::string, cdc::FollowedTable> followed_;  ///< Under followed_mutex_.
  std::map<uint32_t, cdc::FollowedTable> coming_;       ///< Copied for the first time; under followed_mutex_.
  /// Lake names of tables that nobody followed, whose changes may be missing.
  std::set<std::string> unpublished_;
  std::vector<std::string> requested_;  ///< Copies asked for; under followed_mutex_.
  int64_t registry_seen_ = 0;

  struct Return;
  std::mutex returns_mutex_;
  std::vector<std::shared_ptr<Return>> returns_;  ///< Asked for; under returns_mutex_.
  bool returns_ended_ = false;                    ///< Under returns_mutex_.

  // Of the stream's step loop.
  Lsn passed_;  ///< All that the source committed up to here was taken in, or is in Bronze.
  SeenStorages storages_;
  bronze::FlushInput unflushed_;
  int64_t unflushed_bytes_ = 0;
  int64_t flush_due_ = INT64_MAX, commit_due_ = INT64_MAX, last_service_ = 0;
  int64_t last_release_ = 0, released_at_rows_ = 0;  ///< Of freed memory, and tail_rows then.
  Lsn slot_confirmed_;         ///< What the slot had when PrepareSource looked last; all, of a new one.
  std::string other_history_;  ///< Why the source's log is another one than was read; empty when it is that.
  std::string undecodable_;  ///< Why the slot's stream cannot be had, as the source says; empty when it can.
  bool mappings_checked_ = false;
  bool in_open_transaction_ = false;        ///< Its rest follows.
  std::atomic<bool> uncommitted_{false};    ///< Something is in the tail that no lake version has.
  std::atomic<bool> copy_awaited_{false};   ///< A copied table is no member of the newest lake version yet.
  std::atomic<bool> commit_wanted_{false};  ///< Commit at every step: somebody waits for a lake version.

  std::mutex collector_mutex_;
  cdc::ChangeCollector* collector_ = nullptr;  ///< Of the running stream; under collector_mutex_.

  std::mutex gold_mutex_;
  std::condition_variable gold_wanted_;
  std::vector<std::string> gold_touched_;  ///< Under gold_mutex_.
  bool gold_stop_ = false;                 ///< Under gold_mutex_.
  bool gold_asked_ = false;                ///< A backfill waits; under gold_mutex_.
};

}  // namespace tarn::pipeline
