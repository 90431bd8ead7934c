#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "hudi/timeline.h"
#include "storage/storage.h"

namespace tarn::hudi {

/// Bare names of data files by partition path.
using FilesByPartition = std::map<std::string, std::vector<std::string>>;
/// An instant and its action.
using InstantAction = std::pair<std::string, std::string>;

/// HoodieRollbackPlan: that `files` of `failed` are to go.
nlohmann::ordered_json RollbackPlanJson(const InstantAction& failed, const FilesByPartition& files,
                                        const std::string& base_path);
/// HoodieRollbackMetadata: that they went, by the rollback or restore at `rollback`.
nlohmann::ordered_json RollbackMetadataJson(const InstantAction& failed, const FilesByPartition& files,
                                            const std::string& base_path, const std::string& rollback);

/// Names of the data files that completed commits tell of, read when they are first asked for.
class ToldFiles {
 public:
  /// Of commits up to `newest` (empty: all). What is referred to outlives this.
  ToldFiles(const storage::Storage& storage, const std::string& base_path, const Timeline& timeline,
            std::string newest = "")
      : storage_(storage), base_path_(base_path), timeline_(timeline), newest_(std::move(newest)) {}
  Result<bool> Has(const std::string& name);

 private:
  const storage::Storage& storage_;
  const std::string& base_path_;
  const Timeline& timeline_;
  const std::string newest_;
  std::optional<std::set<std::string>> names_;
};

}  // namespace tarn::hudi
