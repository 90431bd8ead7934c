#pragma once

#include <optional>
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

/// Makes both publications hold exactly these tables, adding and dropping only what differs.
Status EnsurePublications(PgConnection& connection, const ReplicationNames& names,
                          const std::vector<SourceTable>& tables);

struct SlotState {
  bool exists = false;
  bool active = false;
  std::string plugin;
  std::string wal_status;  ///< reserved, extended, unreserved or lost.
  Lsn confirmed;
  int64_t retained_bytes = 0;  ///< WAL that the source keeps for it.
};
Result<SlotState> GetSlot(PgConnection& connection, const std::string& slot);

/// Makes the permanent slot (plugin pgoutput); the position from which it streams.
Result<Lsn> CreateSlot(PgConnection& replication, const std::string& slot);

/// A snapshot that ordinary connections can share, exact at `lsn`: a transaction is inside exactly if its
/// commit LSN is less. It lives as long as `connection`, on which a temporary slot holds it.
struct ExportedSnapshot {
  std::unique_ptr<PgConnection> connection;
  std::string name;
  Lsn lsn;
};
/// Waits for the transactions that are open on the server; `cancel`, where given, ends that with kCancelled.
Result<ExportedSnapshot> ExportSnapshot(const std::string& conninfo, const CancelToken* cancel = nullptr);

/// Removes slot and publications; what is not there is passed over. Returns what was removed.
Result<std::vector<std::string>> RemoveReplicationObjects(PgConnection& connection,
                                                          const ReplicationNames& names);

}  // namespace tarn::cdc
