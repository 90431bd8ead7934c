#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/lsn.h"
#include "catalog/lake_version.h"
#include "hudi/overlay.h"

namespace tarn::pipeline {

/// What a statement on a running pipeline sees: a lake version and, over it, the changes that no Silver
/// commit holds yet, all at one source position. Immutable.
struct TailState {
  catalog::LakeVersion base;
  Lsn lsn;                    ///< Commit LSN of the newest transaction inside.
  int64_t commit_micros = 0;  ///< Its time on the source.
  int64_t rows = 0;           ///< Identities that differ from `base`.
  std::map<std::string, std::shared_ptr<const hudi::Overlay>> silver,
      quarantine;  ///< By table; no entry: none.
};

/// Whoever has the newest state.
class TailSource {
 public:
  virtual ~TailSource() = default;
  /// Null while there is no lake version. Threads: any.
  virtual Result<std::shared_ptr<const TailState>> PinTail() = 0;
};

}  // namespace tarn::pipeline
