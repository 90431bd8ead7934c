#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/lsn.h"
#include "cdc/pg_connection.h"
#include "cdc/source_catalog.h"

namespace tarn::cdc {

/// What tarn keeps on the source; `tarn remove` takes all of it away.
struct ReplicationNames {
  std::string slot = "tarn";
  std::string publication = "tarn";
  /// Tables without a usable replica identity: it publishes inserts only, since an ordinary publication makes
  /// the customer's own UPDATE and DELETE on them fail.
  std::string append_publication() const { return publication + "_append"; }
};

/// Something about a publication that loses changes, and the statements that mend it.
struct PublicationFault {
  std::string publication;
  std::string table;  ///< "schema"."table" that it is about; empty: all of the publication.
  std::string what;
  std::string fix;
};
/// The first of `faults` by which changes of the table are lost; null when there is none.
const PublicationFault* FindFaultOf(const std::vector<PublicationFault>& faults,
                                    const ReplicationNames& names, const SourceTable& table);

/// What is wrong with publications that are there: kinds of change, rows or columns that they leave out.
Result<std::vector<PublicationFault>> FindPublicationFaults(PgConnection& connection,
                                                            const ReplicationNames& names);

/// Has the publications keep nothing back any more: all faults, or none. What changed before is not sent any
/// more. Errors: kPermission names the statement, for the publication's owner.
Status MendPublications(PgConnection& connection, const std::vector<PublicationFault>& faults);

/// The tables of a publication, as "schema"."table"; nullopt when there is no such publication.
Result<std::optional<std::set<std::string>>> PublishedTables(PgConnection& connection,
                                                             const std::string& publication);

/// Makes both publications hold exactly these tables, adding and dropping only what differs, in one
/// transaction. Errors: kConflict for a publication that has faults.
Status EnsurePublications(PgConnection& connection, const ReplicationNames& names,
                          const std::vector<SourceTable>& tables);
/// The tables of both publications, as "schema"."table"; none where there is no publication.
Result<std::set<std::string>> FollowedByPublications(PgConnection& connection, const ReplicationNames& names);

struct SlotState {
  bool exists = false;
  bool active = false;
  std::string plugin;
  std::string wal_status;  ///< reserved, extended, unreserved or lost.
  Lsn confirmed;
  int64_t retained_bytes = 0;  ///< WAL that the source keeps for it.
  /// WAL that may still be written before the slot is invalidated; none without max_slot_wal_keep_size.
  std::optional<int64_t> safe_bytes;
};
Result<SlotState> GetSlot(PgConnection& connection, const std::string& slot);

/// The position behind everything that is committed on the source now, as its stream tells it on an idle
/// source too.
Result<Lsn> CommittedUpTo(PgConnection& connection);

/// Makes the permanent slot (plugin pgoutput); the position from which it streams.
Result<Lsn> CreateSlot(PgConnection& replication, const std::string& slot);

/// A snapshot that ordinary connections can share, exact at `lsn`: a transaction is inside exactly if its
/// commit LSN is at or below. It lives as long as `connection`, on which a temporary slot holds it.
struct ExportedSnapshot {
  std::unique_ptr<PgConnection> connection;
  std::string name;
  Lsn lsn;
};
/// Waits for the transactions that are open on the server; `cancel`, where given, ends that with kCancelled.
Result<ExportedSnapshot> ExportSnapshot(const std::string& conninfo, const CancelToken* cancel = nullptr);

/// Begins a transaction that reads at the exported snapshot.
Status BeginAtSnapshot(PgConnection& connection, const std::string& snapshot_name);

/// Every transaction with a lower number had ended at the snapshot: what one wrote is in it or nowhere. On a
/// connection of its own, since the next statement on the snapshot's ends it.
Result<uint64_t> OldestTransaction(const std::string& conninfo, const ExportedSnapshot& snapshot,
                                   const CancelToken* cancel);

/// Removes slot and publications; what is not there is passed over. Returns what was removed.
Result<std::vector<std::string>> RemoveReplicationObjects(PgConnection& connection,
                                                          const ReplicationNames& names);

}  // namespace tarn::cdc
