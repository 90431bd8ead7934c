#include "cdc/replication_objects.h"

#include <random>
#include <set>

namespace tarn::cdc {
namespace {

constexpr const char* kAllChanges = "insert, update, delete, truncate";
constexpr const char* kInsertsOnly = "insert, truncate";

Result<std::set<std::string>> Members(PgConnection& connection, const std::string& publication) {
  TARN_ASSIGN(const Rows rows,
              connection.Query("SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = " +
                               QuoteText(publication)));
  std::set<std::string> members;
  for (const Row& row : rows) members.insert(QuoteName(*row[0]) + "." + QuoteName(*row[1]));
  return members;
}

Status EnsurePublication(PgConnection& connection, const std::string& name, const std::string& publish,
                         const std::set<std::string>& wanted) {
  TARN_ASSIGN(const Rows exists,
              connection.Query("SELECT 1 FROM pg_publication WHERE pubname = " + QuoteText(name)));
  if (exists.empty()) {
    TARN_RETURN_IF_ERROR(connection.Execute("CREATE PUBLICATION " + QuoteName(name) + " WITH (publish = " +
                                            QuoteText(publish) + ", publish_via_partition_root = true)"));
  }
  TARN_ASSIGN(const std::set<std::string> present, Members(connection, name));
  const auto alter = [&](const char* what, const std::string& table) -> Status {
    const std::string statement = "ALTER PUBLICATION " + QuoteName(name) + what + table;
    Status done = connection.Execute(statement);
    if (done || done.error().code != ErrorCode::kPermission) return done;
    return MakeError(ErrorCode::kPermission, "{}; let the owner of the publication and of the table do: {}",
                     done.error().message, statement);
  };
  for (const std::string& table : wanted) {
    if (!present.contains(table)) TARN_RETURN_IF_ERROR(alter(" ADD TABLE ", table));
  }
  for (const std::string& table : present) {
    if (!wanted.contains(table)) TARN_RETURN_IF_ERROR(alter(" DROP TABLE ", table));
  }
  return {};
}

/// Kinds of change that a publication leaves out.
Status FindMissingKinds(PgConnection& connection, const std::string& name, const std::string& publish,
                        std::vector<PublicationFault>& faults) {
  TARN_ASSIGN(const Rows rows,
              connection.Query("SELECT pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot FROM "
                               "pg_publication WHERE pubname = " +
                               QuoteText(name)));
  if (rows.empty()) return {};
  const std::vector<std::string> kinds = {"insert", "update", "delete", "truncate"};
  std::string missing;
  for (size_t i = 0; i < kinds.size(); i++) {
    if (rows[0][i] != "t" && publish.find(kinds[i]) != std::string::npos)
      missing += (missing.empty() ? "" : ", ") + kinds[i];
  }
  if (rows[0][4] != "t")
    missing += std::string(missing.empty() ? "" : ", ") + "changes of partitions under their root";
  if (missing.empty()) return {};
  faults.push_back({name, "", "the publication '" + name + "' leaves out: " + missing,
                    "ALTER PUBLICATION " + QuoteName(name) + " SET (publish = " + QuoteText(publish) +
                        ", publish_via_partition_root = true)"});
  return {};
}

/// Row filters and column lists, which PostgreSQL has since 15.
Status FindFilters(PgConnection& connection, const std::string& name, std::vector<PublicationFault>& faults) {
  if (connection.server_version() < 150'000) return {};
  TARN_ASSIGN(
      const Rows rows,
      connection.Query("SELECT n.nspname, c.relname, r.prqual IS NOT NULL FROM pg_publication_rel r "
                       "JOIN pg_publication p ON p.oid = r.prpubid JOIN pg_class c ON c.oid = r.prrelid "
                       "JOIN pg_namespace n ON n.oid = c.relnamespace "
                       "WHERE (r.prqual IS NOT NULL OR r.prattrs IS NOT NULL) AND p.pubname = " +
                       QuoteText(name)));
  for (const Row& row : rows) {
    const std::string table = QuoteName(*row[0]) + "." + QuoteName(*row[1]);
    faults.push_back(
        {name, table,
         "the publication '" + name + "' leaves out " + (row[2] == "t" ? "rows" : "columns") + " of " + table,
         "ALTER PUBLICATION " + QuoteName(name) + " DROP TABLE " + table + "; ALTER PUBLICATION " +
             QuoteName(name) + " ADD TABLE " + table});
  }
  return {};
}

}  // namespace

Result<std::optional<std::set<std::string>>> PublishedTables(PgConnection& connection,
                                                             const std::string& publication) {
  TARN_ASSIGN(const Rows exists,
              connection.Query("SELECT 1 FROM pg_publication WHERE pubname = " + QuoteText(publication)));
  if (exists.empty()) return std::optional<std::set<std::string>>();
  TARN_ASSIGN(std::set<std::string> members, Members(connection, publication));
  return std::optional(std::move(members));
}

Result<std::vector<PublicationFault>> FindPublicationFaults(PgConnection& connection,
                                                            const ReplicationNames& names) {
  std::vector<PublicationFault> faults;
  TARN_RETURN_IF_ERROR(FindMissingKinds(connection, names.publication, kAllChanges, faults));
  TARN_RETURN_IF_ERROR(FindMissingKinds(connection, names.append_publication(), kInsertsOnly, faults));
  TARN_RETURN_IF_ERROR(FindFilters(connection, names.publication, faults));
  TARN_RETURN_IF_ERROR(FindFilters(connection, names.append_publication(), faults));
  return faults;
}

const PublicationFault* FindFaultOf(const std::vector<PublicationFault>& faults,
                                    const ReplicationNames& names, const SourceTable& table) {
  const std::string own = table.schema.append_only ? names.append_publication() : names.publication;
  for (const PublicationFault& fault : faults) {
    if (fault.publication == own && (fault.table.empty() || fault.table == table.from)) return &fault;
  }
  return nullptr;
}

Status MendPublications(PgConnection& connection, const std::vector<PublicationFault>& faults) {
  // Sent as one, which the server takes as one transaction.
  std::string statements;
  for (const PublicationFault& fault : faults) statements += fault.fix + "; ";
  if (faults.empty()) return {};
  Status done = connection.Execute(statements);
  if (done || done.error().code != ErrorCode::kPermission) return done;
  return MakeError(ErrorCode::kPermission, "{}; {}; let the owner of the publication do: {}", faults[0].what,
                   done.error().message, faults[0].fix);
}

Status EnsurePublications(PgConnection& connection, const ReplicationNames& names,
                          const std::vector<SourceTable>& tables) {
  TARN_ASSIGN(const auto faults, FindPublicationFaults(connection, names));
  if (!faults.empty()) return MakeError(ErrorCode::kConflict, "{}: {}", faults[0].what, faults[0].fix);
  std::set<std::string> with_key;
  std::set<std::string> without_key;
  for (const SourceTable& table : tables)
    (table.schema.append_only ? without_key : with_key).insert(table.from);
  // At once: a table that goes from one to the other is never in neither.
  TARN_RETURN_IF_ERROR(connection.Execute("BEGIN"));
  Status done = EnsurePublication(connection, names.append_publication(), kInsertsOnly, without_key);
  if (done) done = EnsurePublication(connection, names.publication, kAllChanges, with_key);
  if (done) return connection.Execute("COMMIT");
  (void)connection.Execute("ROLLBACK").has_value();  // What went wrong is the error that counts.
  return done;
}

Result<std::set<std::string>> FollowedByPublications(PgConnection& connection,
                                                     const ReplicationNames& names) {
  TARN_ASSIGN(std::set<std::string> tables, Members(connection, names.publication));
  TARN_ASSIGN(std::set<std::string> append_only, Members(connection, names.append_publication()));
  tables.merge(append_only);
  return tables;
}

Result<SlotState> GetSlot(PgConnection& connection, const std::string& slot) {
  TARN_ASSIGN(const Rows rows,
              connection.Query("SELECT active, plugin, wal_status, confirmed_flush_lsn, "
                               "pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint, safe_wal_size "
                               "FROM pg_replication_slots WHERE slot_name = " +
                               QuoteText(slot)));
  SlotState state;
  if (rows.empty()) return state;
  state.exists = true;
  state.active = rows[0][0] == "t";
  state.plugin = rows[0][1].value_or("");
  state.wal_status = rows[0][2].value_or("");
  if (rows[0][3]) {
    TARN_ASSIGN(state.confirmed, Lsn::Parse(*rows[0][3]));
  }
  state.retained_bytes = rows[0][4] ? std::stoll(*rows[0][4]) : 0;
  if (rows[0][5]) state.safe_bytes = std::stoll(*rows[0][5]);
  return state;
}

Result<Lsn> CommittedUpTo(PgConnection& connection) {
  TARN_ASSIGN(const Rows rows, connection.Query("SELECT pg_current_wal_insert_lsn()"));
  TARN_ASSIGN(const Lsn insert, Lsn::Parse(rows.at(0).at(0).value_or("")));
  // One behind a page's header stands for the page's beginning: no record is between, and the stream tells it
  // in the other form. Source: PostgreSQL src/include/access/xlog_internal.h (XLogLongPageHeaderData).
  constexpr uint64_t kPage = 8192, kMostHeader = 40;
  const uint64_t in_page = insert.value % kPage;
  return Lsn{in_page <= kMostHeader ? insert.value - in_page : insert.value};
}

Result<Lsn> CreateSlot(PgConnection& replication, const std::string& slot) {
  TARN_ASSIGN(const Rows rows, replication.Query("CREATE_REPLICATION_SLOT " + QuoteName(slot) +
                                                 " LOGICAL pgoutput NOEXPORT_SNAPSHOT"));
  if (rows.size() != 1 || rows[0].size() < 2 || !rows[0][1]) {
    return Error{ErrorCode::kInternal, "the source made a slot but gave no position"};
  }
  return Lsn::Parse(*rows[0][1]);
}

Status BeginAtSnapshot(PgConnection& connection, const std::string& snapshot_name) {
  TARN_RETURN_IF_ERROR(connection.Execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"));
  return connection.Execute("SET TRANSACTION SNAPSHOT " + QuoteText(snapshot_name));
}

Result<ExportedSnapshot> ExportSnapshot(const std::string& conninfo, const CancelToken* cancel) {
  ExportedSnapshot snapshot;
  std::random_device random;  // Other processes, on other machines, make slots on the same server.
  TARN_ASSIGN(snapshot.connection,
              PgConnection::Connect(conninfo, PgConnection::Kind::kReplication, "snapshot", cancel));
  const std::string slot = fmt::format("tarn_snapshot_{:08x}{:08x}", random(), random());
  TARN_ASSIGN(const Rows rows, snapshot.connection->Query("CREATE_REPLICATION_SLOT " + slot +
                                                          " TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT"));
  if (rows.size() != 1 || rows[0].size() < 3 || !rows[0][1] || !rows[0][2]) {
    return Error{ErrorCode::kInternal, "the source exported no snapshot"};
  }
  // Inside is what committed below the slot's consistent point; a commit record may stand at the very point.
  TARN_ASSIGN(const Lsn consistent_point, Lsn::Parse(*rows[0][1]));
  snapshot.lsn = consistent_point.Before();
  snapshot.name = *rows[0][2];
  return snapshot;
}

Result<uint64_t> OldestTransaction(const std::string& conninfo, const ExportedSnapshot& snapshot,
                                   const CancelToken* cancel) {
  TARN_ASSIGN(const auto connection,
              PgConnection::Connect(conninfo, PgConnection::Kind::kOrdinary, "snapshot", cancel));
  TARN_RETURN_IF_ERROR(BeginAtSnapshot(*connection, snapshot.name));
  TARN_ASSIGN(const Rows oldest, connection->Query("SELECT pg_snapshot_xmin(pg_current_snapshot())"));
  return std::stoull(oldest.at(0).at(0).value_or("0"));
}

Result<std::vector<std::string>> RemoveReplicationObjects(PgConnection& connection,
                                                          const ReplicationNames& names) {
  std::vector<std::string> removed;
  TARN_ASSIGN(const SlotState slot, GetSlot(connection, names.slot));
  if (slot.active) {
    return MakeError(ErrorCode::kConflict, "the slot '{}' is in use; stop `tarn run` first", names.slot);
  }
  if (slot.exists) {
    TARN_RETURN_IF_ERROR(
        connection.Execute("SELECT pg_drop_replication_slot(" + QuoteText(names.slot) + ")"));
    removed.push_back("slot " + names.slot);
  }
  for (const std::string& publication : {names.publication, names.append_publication()}) {
    TARN_ASSIGN(const Rows rows,
                connection.Query("SELECT 1 FROM pg_publication WHERE pubname = " + QuoteText(publication)));
    if (rows.empty()) continue;
    TARN_RETURN_IF_ERROR(connection.Execute("DROP PUBLICATION " + QuoteName(publication)));
    removed.push_back("publication " + publication);
  }
  return removed;
}

}  // namespace tarn::cdc
