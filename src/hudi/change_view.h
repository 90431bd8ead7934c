#pragma once

#include <arrow/type_fwd.h>

#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "hudi/table.h"

namespace tarn::hudi {

/// What the commits did that completed after `begin` and not after `end` (empty: the first and the last that
/// are kept), one row a changed key, commit after commit: `op` ("i", "u", "d"), `commit` (instant), `before`
/// and `after` (structs of the table's columns; null where there was no row). It is the difference of the
/// file groups that a commit touched before and after it, so that it needs no change-capture files and is
/// right for every table; a key that moves to another group is a delete and an insert. A row counts as
/// changed when its _hoodie_commit_seqno is another. The first batch has no rows, and tells the columns.
/// Memory: the touched rows of one commit's file groups. Errors: kNotFound where what was before is cleaned
/// away or archived; kUnsupported for a table without _hoodie_ columns; those of TableReader.
Status ReadChanges(const storage::Storage& storage, TableReader& reader, const std::string& begin,
                   const std::string& end,
                   const std::function<Status(std::shared_ptr<arrow::RecordBatch>)>& take);

}  // namespace tarn::hudi
