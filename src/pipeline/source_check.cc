#include "pipeline/source_check.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "catalog/table_registry.h"
#include "cdc/pg_connection.h"
#include "cdc/replication_objects.h"
#include "pipeline/lake_storage.h"
#include "pipeline/source_watch.h"

namespace tarn::pipeline {
namespace {

using Severity = Finding::Severity;

class Checker {
 public:
  Checker(const PipelineOptions& options, cdc::PgConnection& connection)
      : options_(options), connection_(connection) {}

  Status Run() {
    TARN_RETURN_IF_ERROR(CheckServer());
    TARN_RETURN_IF_ERROR(CheckRole());
    TARN_RETURN_IF_ERROR(CheckSlot());
    TARN_RETURN_IF_ERROR(CheckTables());
    TARN_RETURN_IF_ERROR(CheckPublications());
    TARN_RETURN_IF_ERROR(CheckLongTransactions());
    CheckLake();
    return {};
  }
  std::vector<Finding> findings;

 private:
  bool may_publish_ = true;  ///< The role may make publications.

  void Error(std::string what, std::string fix) {
    findings.push_back({Severity::kError, std::move(what), std::move(fix)});
  }
  void Warn(std::string what, std::string fix) {
    findings.push_back({Severity::kWarning, std::move(what), std::move(fix)});
  }

  Result<std::string> Setting(const std::string& name) {
    TARN_ASSIGN(const cdc::Rows rows,
                connection_.Query("SELECT current_setting(" + cdc::QuoteText(name) + ", true)"));
    return rows.at(0).at(0).value_or("");
  }

  Status CheckServer() {
    TARN_ASSIGN(const std::string level, Setting("wal_level"));
    if (level != "logical") {
      Error("wal_level is '" + level + "'", "ALTER SYSTEM SET wal_level = logical; then restart the server");
    }
    TARN_ASSIGN(const cdc::Rows slots,
                connection_.Query("SELECT count(*), current_setting('max_replication_slots')::int, "
                                  "current_setting('max_wal_senders')::int FROM pg_replication_slots"));
    const int used = std::stoi(*slots[0][0]);
    TARN_ASSIGN(const cdc::SlotState own, cdc::GetSlot(connection_, options_.names.slot));
    // One for the stream, one at a time for a snapshot.
    const int needed = own.exists ? 1 : 2;
    if (std::stoi(*slots[0][1]) < used + needed) {
      Error(fmt::format("{} of {} replication slots are used, tarn needs {}{}", used, *slots[0][1], needed,
                        own.exists ? " more" : ""),
            "raise max_replication_slots and restart the server, or drop slots that nobody uses");
    }
    if (std::stoi(*slots[0][2]) < 2)
      Error("max_wal_senders is " + *slots[0][2], "set it to 4 or more and restart the server");
    TARN_ASSIGN(const std::string kept, Setting("max_slot_wal_keep_size"));
    if (kept.starts_with('-')) {
      Warn("max_slot_wal_keep_size is not set: a tarn that is stopped for long could fill the server's disk",
           "ALTER SYSTEM SET max_slot_wal_keep_size = '20GB' (as much as the disk can spare)");
    }
    return {};
  }

  Status CheckRole() {
    TARN_ASSIGN(
        const cdc::Rows rows,
        connection_.Query(
            "SELECT rolreplication OR rolsuper, has_database_privilege(current_database(), 'CREATE'), "
            "current_user FROM pg_roles WHERE rolname = current_user"));
    if (rows[0][0] != "t") {
      Error("the role " + *rows[0][2] + " may not replicate",
            "ALTER ROLE " + cdc::QuoteName(*rows[0][2]) + " REPLICATION");
    }
    may_publish_ = rows[0][1] == "t";
    return {};
  }

  Status CheckSlot() {
    TARN_ASSIGN(const cdc::SlotState slot, cdc::GetSlot(connection_, options_.names.slot));
    if (!slot.exists) return {};
    if (slot.plugin != "pgoutput") {
      Error("the slot '" + options_.names.slot + "' uses the plugin " + slot.plugin,
            "choose another [source] slot name");
    }
    if (slot.wal_status == "lost") {
      Warn("the slot '" + options_.names.slot + "' is lost: the server removed WAL that tarn had not read",
           "`tarn run` makes a new one and copies all tables again; raise max_slot_wal_keep_size");
    }
    return {};
  }

  Status CheckTables() {
    const Status mapped = cdc::CheckMappings(connection_, options_.patterns);
    if (!mapped) Error(mapped.error().message, "correct [[mapping]] in tarn.toml");
    TARN_ASSIGN(const auto tables, cdc::LoadTables(connection_, options_.patterns));
    CheckTenantColumn(tables);
    if (tables.empty())
      Error("the patterns of [tables] select no table", "look at include and exclude in tarn.toml");
    for (const cdc::SourceTable& table : tables) {
      const std::string name =
          cdc::QuoteName(table.schema.schema_name) + "." + cdc::QuoteName(table.schema.table_name);
      TARN_ASSIGN(const cdc::Rows rows,
                  connection_.Query("SELECT has_table_privilege(" + std::to_string(table.schema.oid) +
                                    "::oid, 'SELECT')"));
      if (rows[0][0] != "t") Error("the role may not read " + name, "GRANT SELECT ON " + name + " to it");
      if (table.schema.append_only) {
        Warn("table " + name +
                 " has no primary key: only its inserts are followed, its updates and deletes are not",
             "give it a primary key, or a unique index with REPLICA IDENTITY USING INDEX, or REPLICA "
             "IDENTITY FULL (which a "
             "partitioned table cannot use)");
      }
      TARN_RETURN_IF_ERROR(CheckGeneratedColumns(table.schema.oid, name));
    }
    return {};
  }

  /// PostgreSQL's stream has no values of them.
  Status CheckGeneratedColumns(uint32_t oid, const std::string& name) {
    TARN_ASSIGN(const cdc::Rows rows,
                connection_.Query(fmt::format(
                    "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE "
                    "attrelid = {} AND attnum > 0 AND NOT attisdropped AND attgenerated <> ''",
                    oid)));
    if (!rows[0][0]) return {};
    Warn("of table " + name + " the lake will not have what is generated: " + *rows[0][0],
         "compute it in SQL, for one in models/silver or a view, from the columns that it is generated from");
    return {};
  }

  /// A column that no table has would leave every table unpartitioned and every tenant without a row.
  void CheckTenantColumn(const std::vector<cdc::SourceTable>& tables) {
    const std::string& wanted = options_.tenant_column;
    if (wanted.empty() || tables.empty()) return;
    for (const cdc::SourceTable& table : tables) {
      for (const schema::Column& column : table.schema.columns) {
        if (column.name == wanted) return;
      }
    }
    Error("no table has the tenant column '" + wanted + "'", "correct [tenants] column in tarn.toml");
  }

  Status CheckPublications() {
    TARN_ASSIGN(const auto tables, cdc::LoadTables(connection_, options_.patterns));
    TARN_RETURN_IF_ERROR(CheckFollowed(tables));
    TARN_ASSIGN(const auto faults, cdc::FindPublicationFaults(connection_, options_.names));
    for (const cdc::PublicationFault& fault : faults) Error(fault.what, fault.fix);
    for (const std::string& name : {options_.names.publication, options_.names.append_publication()}) {
      TARN_ASSIGN(const auto published, cdc::PublishedTables(connection_, name));
      if (!published && !may_publish_) {
        Error("the role may not make publications, and there is no '" + name + "'",
              "GRANT CREATE ON DATABASE to it, or make the publication yourself (see docs/operations.md)");
      }
      for (const cdc::SourceTable& table : tables) {
        if (table.schema.append_only != (name == options_.names.append_publication())) continue;
        TARN_RETURN_IF_ERROR(CheckOwner(table, name, published.value_or(std::set<std::string>{})));
      }
    }
    return {};
  }

  /// What changed in a table while no publication had it cannot be had any more.
  Status CheckFollowed(const std::vector<cdc::SourceTable>& tables) {
    const auto registry = catalog::TableRegistry::Read(*storage::OpenLocalStorageReadOnly(),
                                                       catalog::LakeLayout(options_.lake));
    if (!registry) return {};
    const Status named = CheckGivenNames(*registry, tables);
    if (!named) Error(named.error().message, "correct table_name of [[mapping]] in tarn.toml");
    TARN_ASSIGN(const auto published, cdc::FollowedByPublications(connection_, options_.names));
    const std::set<std::string> copied = registry->Copied();
    for (const cdc::SourceTable& table : tables) {
      if (!copied.contains(table.schema.QualifiedName()) || published.contains(table.from)) continue;
      Warn("no publication has " + table.from + ", which this lake follows: its changes since are lost",
           "nothing: `tarn run` publishes it and copies it again");
    }
    return {};
  }

  /// Only the owner of a table may publish it; one that is published already needs nobody.
  Status CheckOwner(const cdc::SourceTable& table, const std::string& publication,
                    const std::set<std::string>& published) {
    const std::string name =
        cdc::QuoteName(table.schema.schema_name) + "." + cdc::QuoteName(table.schema.table_name);
    if (published.contains(name)) return {};
    TARN_ASSIGN(
        const cdc::Rows owner,
        connection_.Query("SELECT pg_has_role(relowner, 'USAGE'), pg_get_userbyid(relowner), current_user "
                          "FROM pg_class WHERE oid = " +
                          std::to_string(table.schema.oid)));
    if (owner.empty() || owner[0][0] == "t") return {};
    Error("the role may not publish " + name + ": it is no member of the owner",
          "GRANT " + cdc::QuoteName(*owner[0][1]) + " TO " + cdc::QuoteName(*owner[0][2]) +
              "; or let the owner do: ALTER PUBLICATION " + cdc::QuoteName(publication) + " ADD TABLE " +
              name);
    return {};
  }

  Status CheckLongTransactions() {
    TARN_ASSIGN(
        const cdc::Rows rows,
        connection_.Query("SELECT pid, extract(epoch FROM now() - xact_start)::int, coalesce(usename, '') "
                          "FROM pg_stat_activity WHERE xact_start < now() - interval '5 minutes' "
                          "AND backend_type = 'client backend' ORDER BY 2 DESC LIMIT 3"));
    for (const cdc::Row& row : rows) {
      Warn("transaction of process " + *row[0] + " (" + *row[2] + ") is open for " + *row[1] +
               " s: a slot is made, and WAL "
               "is freed, only when it ends",
           "end it, or SELECT pg_terminate_backend(" + *row[0] + ")");
    }
    return CheckPreparedTransactions();
  }

  /// Not among the activity: no process has them, and they outlive restarts.
  Status CheckPreparedTransactions() {
    TARN_ASSIGN(
        const cdc::Rows rows,
        connection_.Query("SELECT gid, extract(epoch FROM now() - prepared)::int, owner, database FROM "
                          "pg_prepared_xacts ORDER BY prepared LIMIT 3"));
    for (const cdc::Row& row : rows) {
      Warn("transaction '" + *row[0] + "' is prepared for " + *row[1] + " s (by " + *row[2] + " in " +
               *row[3] + "): a first copy, `tarn resync` and `tarn verify` wait for its end",
           "COMMIT PREPARED or ROLLBACK PREPARED " + cdc::QuoteText(*row[0]) + " in its database");
    }
    return {};
  }

  void CheckLake() {
    std::filesystem::path folder = options_.lake;
    while (!folder.empty() && !std::filesystem::exists(folder) && folder != folder.parent_path())
      folder = folder.parent_path();
    if (folder.empty()) folder = ".";
    if (::access(folder.c_str(), W_OK) != 0) {
      Error("the lake's folder '" + folder.string() + "' cannot be written",
            "give the user that runs tarn write access");
    }
    struct statvfs disk {};
    if (::statvfs(folder.c_str(), &disk) != 0) return;
    const uint64_t free_bytes = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
    if (free_bytes < (1ULL << 30)) {
      Error(fmt::format("only {} MB are free at '{}'", free_bytes >> 20, folder.string()),
            "free space, or move the lake");
    }
  }

  const PipelineOptions& options_;
  cdc::PgConnection& connection_;
};

}  // namespace

Result<std::vector<Finding>> CheckSource(const PipelineOptions& options) {
  TARN_ASSIGN(auto connection,
              cdc::PgConnection::Connect(options.conninfo, cdc::PgConnection::Kind::kOrdinary, "check"));
  // What else to look for such a server may not have.
  if (const Status version = cdc::CheckVersion(*connection); !version) {
    return std::vector<Finding>{
        {Severity::kError, version.error().message, "upgrade the source to PostgreSQL 14 or later"}};
  }
  Checker checker(options, *connection);
  TARN_RETURN_IF_ERROR(checker.Run());
  for (Finding& finding : CheckBronzeStore(options)) checker.findings.push_back(std::move(finding));
  return std::move(checker.findings);
}

}  // namespace tarn::pipeline
