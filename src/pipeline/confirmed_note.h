#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/lsn.h"
#include "storage/storage.h"

namespace tarn::pipeline {

/// What was confirmed to the source beyond what Bronze's manifests say: where nothing of the lake's was
/// written. A slot that stands further than both was moved by somebody else. Threads: any.
class ConfirmedNote {
 public:
  /// `path`: of the note, which need not be there. Errors: kCorrupt names it.
  static Result<std::unique_ptr<ConfirmedNote>> Open(storage::Storage* storage, std::string path);

  /// The newest position noted; none yet.
  std::optional<SourcePosition> at() const;
  /// Notes a position, unless it is noted or behind `known`, which Bronze says. Durability: on return it
  /// survives a crash.
  Status Note(const SourcePosition& position, const SourcePosition& known);

 private:
  ConfirmedNote(storage::Storage* storage, std::string path) : storage_(storage), path_(std::move(path)) {}

  storage::Storage* storage_;
  const std::string path_;
  mutable std::mutex mutex_;
  std::optional<SourcePosition> at_;  ///< Under mutex_.
};

}  // namespace tarn::pipeline
