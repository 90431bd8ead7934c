#include <arrow/record_batch.h>

#include <chrono>
#include <map>
#include <thread>

#include "base/fault.h"
#include "base/log.h"
#include "bronze/copy_progress.h"
#include "pipeline/runner.h"

namespace tarn::pipeline {
namespace {

constexpr int kSlotWaitMs = 15'000;

Result<Lsn> CurrentEnd(cdc::PgConnection& connection) {
  TARN_ASSIGN(const cdc::Rows rows, connection.Query("SELECT pg_current_wal_lsn()"));
  return Lsn::Parse(rows.at(0).at(0).value_or(""));
}

/// The server takes a moment to notice that a killed tarn is gone.
Result<cdc::SlotState> WaitForSlot(cdc::PgConnection& connection, const std::string& name,
                                   const CancelToken& cancel) {
  TARN_ASSIGN(cdc::SlotState slot, cdc::GetSlot(connection, name));
  for (int waited_ms = 0; slot.exists && slot.active && waited_ms < kSlotWaitMs; waited_ms += 100) {
    TARN_RETURN_IF_ERROR(cancel.Check());
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    TARN_ASSIGN(slot, cdc::GetSlot(connection, name));
  }
  if (slot.exists && slot.active) {
    return MakeError(ErrorCode::kConflict,
                     "the slot '{}' is in use by another process; give this lake a slot of its own", name);
  }
  return slot;
}

}  // namespace

Status Runner::NoteConfirmed(Lsn at) {
  return confirmed_->Note({identity_.epoch, at}, {identity_.epoch, Lsn{bronze_end_}});
}

std::optional<Lsn> Runner::KnownConfirmed() const {
  const auto noted = confirmed_->at();
  if (!noted) return std::nullopt;  // A lake of before there were notes.
  const auto& last = bronze_->last();
  Lsn known = noted->epoch == identity_.epoch ? noted->lsn : Lsn{};
  if (last && last->epoch == identity_.epoch) known = std::max(known, last->end);
  return known;
}

Result<Runner::Break> Runner::FindBreak(cdc::PgConnection& connection, const cdc::SourceIdentity& source,
                                        const cdc::SlotState& slot) {
  const std::string& name = options_.names.slot;
  const bool lost = slot.wal_status == "lost";
  // A crash came when an epoch had begun in Bronze, and nowhere else yet.
  const auto& last = bronze_->last();
  const int64_t newest_epoch = last ? std::max(last->epoch, identity_.epoch) : identity_.epoch;
  Break found;
  found.epoch = newest_epoch;
  found.new_slot = !slot.exists || lost;
  found.drop_slot = lost;
  TARN_ASSIGN(const Lsn copied, bronze::NewestCopyRun(*storage_, options_.bronze()));
  if (silver_->registry().Copied().empty() && copied == Lsn{}) {
    TARN_ASSIGN(const auto loads, bronze::ChangeLog::ReadLoads(*storage_, options_.bronze_root()));
    if (loads.empty()) return found;  // There is nothing to follow on from yet.
  }
  TARN_ASSIGN(const Lsn now, CurrentEnd(connection));
  TARN_ASSIGN(const auto published, cdc::PublishedTables(connection, options_.names.publication));
  const bool begun = newest_epoch != identity_.epoch;
  const Lsn read = std::max(last && last->epoch == newest_epoch ? last->end : Lsn{}, begun ? Lsn{} : copied);
  const bool set_back = now < read || !other_history_.empty();
  if (set_back || (!begun && identity_.timeline != source.timeline)) found.epoch++;
  if (identity_.timeline != source.timeline) {
    found.reason = fmt::format("the source was failed over or restored (timeline {} became {})",
                               identity_.timeline, source.timeline);
  } else if (!other_history_.empty()) {
    found.reason = other_history_;
  } else if (set_back) {
    found.reason = fmt::format("the source was set back: its log ends at {}, the lake has read up to {}",
                               now.ToString(), read.ToString());
  } else if (found.new_slot) {
    found.reason = fmt::format("the slot '{}' was {} on the source, so that changes since are not known",
                               name, lost ? "invalidated" : "missing");
  } else if (const auto known = KnownConfirmed(); known && slot.confirmed > *known) {
    found.reason =
        fmt::format("the slot '{}' was moved on to {} by somebody else, while the lake has read up to {}",
                    name, slot.confirmed.ToString(), known->ToString());
  } else if (!published) {
    // The server cannot decode what is from before the publication that will be made now.
    found.new_slot = found.drop_slot = true;
    found.reason = fmt::format(
        "the publication '{}' was missing on the source, so that changes since are not "
        "known",
        options_.names.publication);
  } else if (!undecodable_.empty()) {
    found.new_slot = found.drop_slot = true;
    found.reason = fmt::format("the slot '{}' cannot be read, so that changes since are not known: {}", name,
                               undecodable_);
  } else {
    found.reason = identity_.broken;  // A crash came while it was seen to.
  }
  return found;
}

Status Runner::MakeSlot(const Break& broken, cdc::PgConnection& connection, const CancelToken& cancel) {
  const std::string& name = options_.names.slot;
  if (broken.drop_slot) {
    TARN_RETURN_IF_ERROR(connection.Execute("SELECT pg_drop_replication_slot(" + cdc::QuoteText(name) + ")"));
  }
  TARN_ASSIGN(auto replication,
              cdc::PgConnection::Connect(options_.conninfo, cdc::PgConnection::Kind::kReplication, "set-up",
                                         &cancel));
  TARN_ASSIGN(const Lsn at, cdc::CreateSlot(*replication, name));
  spdlog::info("made the slot {} at {}", name, at.ToString());
  TARN_FAULT_POINT("source.slot.after_create");
  return confirmed_->Note({identity_.epoch, at}, {});
}

Status Runner::RecordBreak(const Break& broken) {
  if (broken.reason.empty()) return {};
  const auto newest = versions_->Find(std::nullopt);
  spdlog::error("{}; the newest change that the lake has is at {}; all tables are copied again",
                broken.reason, newest ? newest->lsn.ToString() : "none");
  identity_.broken = broken.reason;
  TARN_RETURN_IF_ERROR(catalog::WriteIdentity(*storage_, layout_, identity_));
  for (const auto& [name, table] : Followed())
    TARN_RETURN_IF_ERROR(silver_->MarkCopyAgain(name, broken.reason, true));
  return {};
}

Status Runner::GoOnBehind(const Break& broken, const cdc::SourceIdentity& source,
                          cdc::PgConnection& connection) {
  if (broken.reason.empty()) return {};
  TARN_ASSIGN(const Lsn at, CurrentEnd(connection));
  storages_.Clear();
  catalog::LakeIdentity identity = identity_;
  identity.timeline = source.timeline;
  identity.broken.clear();
  identity.epoch = broken.epoch;
  bronze::FlushInput gap;
  gap.epoch = identity.epoch;
  // A commit record may stand at the very end of now.
  gap.last_commit = at.Before();
  gap.end = at;
  gap.last_commit_micros = clock_->NowMicros();
  const auto& registered = silver_->registry().tables;
  std::map<std::string, schema::TableSchema> unsure;  // By lake name.
  for (const auto& [name, table] : registered) {
    if (!table.left) unsure.emplace(name, table.source);
  }
  const auto add_new = [&](const schema::TableSchema& table) {
    if (!registered.contains(table.lake_name)) unsure.emplace(table.lake_name, table);
  };
  {
    // Also of tables that are being copied for the first time.
    const std::lock_guard lock(followed_mutex_);
    for (const auto& [oid, table] : coming_) add_new(table.schema);
  }
  // Copies that Silver has not taken yet.
  TARN_ASSIGN(const auto loads, bronze::ChangeLog::ReadLoads(*storage_, options_.bronze_root()));
  for (const auto& [name, copies] : loads) add_new(*copies.back().table);
  for (const auto& [name, table] : unsure) {
    gap.events.push_back({std::make_shared<const schema::TableSchema>(table),
                          nullptr,
                          {OrderingValue(identity.epoch, at.Before()), 0},
                          broken.reason});
  }
  TARN_FAULT_POINT("source.break.before_manifest");
  TARN_RETURN_IF_ERROR(bronze_->Recover());
  // A start that was cut off here has told of it at this very position.
  const auto& last = bronze_->last();
  const bool is_told = last && last->position() >= SourcePosition{gap.epoch, gap.last_commit};
  if (!is_told) TARN_RETURN_IF_ERROR(bronze_->Flush(gap));
  TARN_FAULT_POINT("source.break.before_identity");
  if (identity.epoch != identity_.epoch) {
    stream_->Forget();
    state_.tail_lsn = state_.bronze_lsn = state_.silver_lsn = state_.gold_lsn = 0;
  }
  identity_ = identity;
  watch_->SetEpoch(identity_.epoch);
  other_history_.clear();
  return catalog::WriteIdentity(*storage_, layout_, identity_);
}

Result<cdc::SourceIdentity> Runner::CheckIdentity() {
  TARN_ASSIGN(auto replication,
              cdc::PgConnection::Connect(options_.conninfo, cdc::PgConnection::Kind::kReplication, "check"));
  TARN_RETURN_IF_ERROR(cdc::CheckVersion(*replication));
  TARN_ASSIGN(cdc::SourceIdentity source, cdc::IdentifySource(*replication));
  if (identity_.system_identifier.empty()) {
    identity_.system_identifier = source.system_identifier;
    identity_.timeline = source.timeline;
    TARN_RETURN_IF_ERROR(catalog::WriteIdentity(*storage_, layout_, identity_));
  }
  if (identity_.system_identifier != source.system_identifier) {
    return MakeError(
        ErrorCode::kConflict,
        "the lake '{}' follows the server {}, but the source is {}: point [source] at the right server, or "
        "choose another lake",
        layout_.root(), identity_.system_identifier, source.system_identifier);
  }
  return source;
}

Status Runner::PrepareSource(std::vector<cdc::SourceTable>& tables, const CancelToken& cancel) {
  TARN_ASSIGN(const cdc::SourceIdentity source, CheckIdentity());
  TARN_ASSIGN(auto connection,
              cdc::PgConnection::Connect(options_.conninfo, cdc::PgConnection::Kind::kOrdinary, "set-up"));
  if (!mappings_checked_) TARN_RETURN_IF_ERROR(cdc::CheckMappings(*connection, selection_.patterns()));
  TARN_ASSIGN(tables, cdc::LoadTables(*connection, selection_.patterns()));
  if (!mappings_checked_) TARN_RETURN_IF_ERROR(SettleNames(tables));
  mappings_checked_ = true;  // What is dropped or renamed on the source later is no reason to stop.
  UpdateFollowed();
  const auto followed = Followed();
  for (cdc::SourceTable& table : tables)
    table = UnderLakeNames(std::move(table), FindFollowed(followed, table));
  TARN_ASSIGN(const cdc::SlotState slot, WaitForSlot(*connection, options_.names.slot, cancel));
  TARN_ASSIGN(const Break broken, FindBreak(*connection, source, slot));
  slot_confirmed_ = broken.new_slot ? Lsn{UINT64_MAX} : slot.confirmed;
  // Durable before a new slot hides what happened.
  if (broken.new_slot || !broken.reason.empty())
    TARN_RETURN_IF_ERROR(bronze::ForgetAllCopyProgress(*storage_, options_.bronze()));
  TARN_RETURN_IF_ERROR(RecordBreak(broken));
  TARN_FAULT_POINT("source.setup.before_publications");
  TARN_RETURN_IF_ERROR(PreparePublications(*connection, tables));
  TARN_FAULT_POINT("source.setup.after_publications");
  if (broken.new_slot) {
    TARN_RETURN_IF_ERROR(MakeSlot(broken, *connection, cancel));
  } else if (!confirmed_->at()) {
    TARN_RETURN_IF_ERROR(confirmed_->Note({identity_.epoch, slot.confirmed}, {}));
  }
  return GoOnBehind(broken, source, *connection);
}

Status Runner::PreparePublications(cdc::PgConnection& connection,
                                   const std::vector<cdc::SourceTable>& tables) {
  TARN_ASSIGN(const auto published, cdc::FollowedByPublications(connection, options_.names));
  TARN_ASSIGN(const auto faults, cdc::FindPublicationFaults(connection, options_.names));
  const auto followed = Followed();
  bool lost = false;
  for (const cdc::SourceTable& table : tables) {
    const cdc::PublicationFault* fault = cdc::FindFaultOf(faults, options_.names, table);
    if (fault == nullptr && published.contains(table.from)) continue;
    if (FindFollowed(followed, table) == nullptr) {
      // Before the table is published again, by whomever: nothing would tell of it then.
      TARN_RETURN_IF_ERROR(bronze::ForgetCopyProgress(*storage_, options_.bronze(), table.schema.lake_name));
      unpublished_.insert(table.schema.lake_name);
      continue;
    }
    lost |= fault != nullptr;
    TARN_RETURN_IF_ERROR(
        silver_->MarkCopyAgain(table.schema.lake_name,
                               (fault != nullptr ? fault->what : "somebody took it out of the publication") +
                                   ", and what changed in it since is not known",
                               true));
  }
  // Of tables that nobody follows yet nothing is lost: whoever made the publication is told first.
  for (size_t i = 0; lost && i < faults.size(); i++)
    spdlog::error("{}; it is mended by: {}; what it left out is copied again", faults[i].what, faults[i].fix);
  if (lost) TARN_RETURN_IF_ERROR(cdc::MendPublications(connection, faults));
  return cdc::EnsurePublications(connection, options_.names, tables);
}

}  // namespace tarn::pipeline
