#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "pipeline/history_table.h"
#include "pipeline/options.h"
#include "pipeline/silver_model.h"

namespace tarn::pipeline {

/// The histories that models/silver asks for (`history: true`), which follow the lake's versions before
/// Gold's models do, on the same thread, and are published with them as gold.<table>_history. Threads: one.
class HistoryLayer {
 public:
  /// `tables`: lake names whose models ask for a history.
  HistoryLayer(storage::Storage* storage, const catalog::LakeLayout& layout, const PipelineOptions& options,
               std::set<std::string> tables, LakeView* view, InstantClock* clock);

  bool any() const { return !wanted_.empty(); }
  /// A history that cannot follow keeps what it has and is tried again at the next run; the others go on, and
  /// the log says why once. Errors: kCancelled, and of the store.
  Status Run(const catalog::LakeVersion& version, const CancelToken& cancel);
  Status RunServices(const hudi::ServiceOptions& options);
  /// Names of the histories that have a commit.
  std::vector<std::string> Names() const;
  /// The newest commit of all; empty: none.
  std::string LastInstant() const;
  Status Close();

 private:
  Status Follow(const std::string& name, const catalog::RegisteredTable& table,
                const catalog::LakeVersion& version);

  storage::Storage* storage_;
  const catalog::LakeLayout layout_;
  engine::SessionOptions session_options_;
  const std::set<std::string> wanted_;
  LakeView* view_;
  InstantClock* clock_;
  std::map<std::string, std::unique_ptr<HistoryTable>> tables_;
  std::map<std::string, std::string> told_;  ///< Why a history does not follow, as it was logged last.
};

/// Those of the models that ask for a history.
std::set<std::string> WantedHistories(const std::map<std::string, SilverModel>& models);

}  // namespace tarn::pipeline
