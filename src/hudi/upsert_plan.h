#pragma once

#include <map>
#include <unordered_set>
#include <vector>

#include "hudi/hudi_table.h"

namespace tarn::hudi {

/// What a set of changes does to which file groups.
struct HudiTable::UpsertPlan {
  std::map<uint32_t, GroupChange> changes;             ///< By group ordinal.
  std::map<uint32_t, std::vector<int64_t>> new_bases;  ///< Rows by partition.
  std::map<uint32_t, uint32_t> insert_groups;          ///< Chosen group by partition.
  RowKeys keys;
  std::vector<int64_t> orderings;
  int64_t first_seqno = 0;       ///< Number in the commit of the first row.
  std::vector<RowPlace> places;  ///< Of the upserts, after the commit; new groups are filled in later.
  std::vector<Hash128> erased;
  std::vector<Hash128> fresh;  ///< Identities that were nowhere; of a shared table alone.
  std::unordered_set<Hash128, HashOfHash> upserted;  ///< Only when there are deletes.
};

}  // namespace tarn::hudi
