#pragma once

#include <string>

#include "base/error.h"
#include "hudi/timeline.h"
#include "storage/storage.h"

namespace tarn::hudi {

/// Adds when archived instants completed to a timeline of layout 2: its log files tell only when they were
/// begun. `folder`: `<base>/.hoodie/timeline/history`; absent while nothing is archived. Errors: kCorrupt
/// names the file. Source: hudi-format, section 3.3.
Status ReadHistory(const storage::Storage& storage, const std::string& folder, Timeline* timeline);

}  // namespace tarn::hudi
