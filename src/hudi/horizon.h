#pragma once

#include <string>

#include "base/error.h"
#include "hudi/timeline.h"
#include "storage/storage.h"

namespace tarn::hudi {

/// The oldest instant as of which the table can still be read, as far as the services in the active timeline
/// tell, one under way among them; empty when none does. Commits repeat it (kHistoryFrom), for cleans are
/// archived. States that savepoints keep can be read whatever it is. A restore takes it back: between the
/// savepoint and the restore the table is what it was at the savepoint. Errors: kCorrupt names a file.
Result<std::string> ServiceHorizon(const storage::Storage& storage, const std::string& base_path,
                                   const Timeline& timeline);
/// The same with what the newest commit repeats.
Result<std::string> ReadHorizon(const storage::Storage& storage, const std::string& base_path,
                                const Timeline& timeline);

}  // namespace tarn::hudi
