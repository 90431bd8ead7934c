#include "cdc/replication_objects.h"

#include <unistd.h>

#include <atomic>
#include <set>

namespace tarn::cdc {
namespace {

std::string QuotedTable(const schema::TableSchema& table) {
  return QuoteName(table.schema_name) + "." + QuoteName(table.table_name);
}

Status EnsurePublication(PgConnection& connection, const std::string& name, const std::string& publish,
                         const std::set<std::string>& wanted) {
  TARN_ASSIGN(const Rows exists,
              connection.Query("SELECT 1 FROM pg_publication WHERE pubname = " + QuoteText(name)));
  if (exists.empty()) {
    TARN_RETURN_IF_ERROR(connection.Execute("CREATE PUBLICATION " + QuoteName(name) + " WITH (publish = " +
                                            QuoteText(publish) + ", publish_via_partition_root = true)"));
  }
  TARN_ASSIGN(const Rows members,
              connection.Query("SELECT quote_ident(schemaname) || '.' || quote_ident(tablename), "
                               "schemaname, tablename FROM pg_publication_tables WHERE pubname = " +
                               QuoteText(name)));
  std::set<std::string> present;
  for (const Row& row : members) present.insert(QuoteName(*row[1]) + "." + QuoteName(*row[2]));
  for (const std::string& table : wanted) {
    if (!present.contains(table)) {
      TARN_RETURN_IF_ERROR(
          connection.Execute("ALTER PUBLICATION " + QuoteName(name) + " ADD TABLE " + table));
    }
  }
  for (const std::string& table : present) {
    if (!wanted.contains(table)) {
      TARN_RETURN_IF_ERROR(
          connection.Execute("ALTER PUBLICATION " + QuoteName(name) + " DROP TABLE " + table));
    }
  }
  return {};
}

}  // namespace

Status EnsurePublications(PgConnection& connection, const ReplicationNames& names,
                          const std::vector<SourceTable>& tables) {
  std::set<std::string> with_key;
  std::set<std::string> without_key;
  for (const SourceTable& table : tables) {
    (table.schema.append_only ? without_key : with_key).insert(QuotedTable(table.schema));
  }
  TARN_RETURN_IF_ERROR(
      EnsurePublication(connection, names.append_publication(), "insert, truncate", without_key));
  return EnsurePublication(connection, names.publication, "insert, update, delete, truncate", with_key);
}

Result<SlotState> GetSlot(PgConnection& connection, const std::string& slot) {
  TARN_ASSIGN(const Rows rows, connection.Query("SELECT active, plugin, wal_status, confirmed_flush_lsn, "
                                                "pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint "
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
  return state;
}

Result<Lsn> CreateSlot(PgConnection& replication, const std::string& slot) {
  TARN_ASSIGN(const Rows rows, replication.Query("CREATE_REPLICATION_SLOT " + QuoteName(slot) +
                                                 " LOGICAL pgoutput NOEXPORT_SNAPSHOT"));
  if (rows.size() != 1 || rows[0].size() < 2 || !rows[0][1]) {
    return Error{ErrorCode::kInternal, "the source made a slot but gave no position"};
  }
  return Lsn::Parse(*rows[0][1]);
}

Result<ExportedSnapshot> ExportSnapshot(const std::string& conninfo, const CancelToken* cancel) {
  static std::atomic<int> counter{0};
  ExportedSnapshot snapshot;
  TARN_ASSIGN(snapshot.connection,
              PgConnection::Connect(conninfo, PgConnection::Kind::kReplication, "snapshot", cancel));
  const std::string slot = fmt::format("tarn_snapshot_{}_{}", ::getpid(), counter.fetch_add(1));
  TARN_ASSIGN(const Rows rows, snapshot.connection->Query("CREATE_REPLICATION_SLOT " + slot +
                                                          " TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT"));
  if (rows.size() != 1 || rows[0].size() < 3 || !rows[0][1] || !rows[0][2]) {
    return Error{ErrorCode::kInternal, "the source exported no snapshot"};
  }
  TARN_ASSIGN(snapshot.lsn, Lsn::Parse(*rows[0][1]));
  snapshot.name = *rows[0][2];
  return snapshot;
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
