#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/error.h"
#include "hudi/table.h"
#include "hudi/timeline.h"
#include "storage/storage.h"

namespace tarn::hudi {

/// Sign of life of a commit of a shared table: `.hoodie/.heartbeat/<instant>`, written again and again by a
/// thread of its own. Hudi's writers, which look at its time, leave such a commit alone. Source:
/// HoodieHeartbeatClient.
class Heartbeat {
 public:
  /// Begins to beat. Errors: kConflict when another writer's commit has this instant.
  static Result<std::unique_ptr<Heartbeat>> Begin(storage::Storage* storage, const std::string& base_path,
                                                  const std::string& instant, const SharingOptions& sharing);
  ~Heartbeat();
  /// Whether it was late to beat: others may have taken the commit for dead.
  bool HasLapsed() const;
  /// Beats no more. The file stays, so that the instant stays taken until it is rolled back.
  void Stop();
  /// The same, for a commit that is complete: the file goes.
  void End();

 private:
  Heartbeat(storage::Storage* storage, std::string path, const SharingOptions& sharing);
  void Beat();

  storage::Storage* storage_;
  const std::string path_;
  const SharingOptions sharing_;
  std::atomic<int64_t> last_micros_;  ///< Before it was written last.
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
  std::thread thread_;
};

enum class Life { kAlive, kDead, kUnknown };
/// What an instant's heartbeat says; kUnknown when there is none.
Result<Life> LifeOf(const storage::Storage& storage, const std::string& base_path, const std::string& instant,
                    const SharingOptions& sharing);

/// Removes those that are late, of instants that are not pending: nobody is at them any more.
Status RemoveDeadHeartbeats(storage::Storage& storage, const std::string& base_path, const Timeline& timeline,
                            const SharingOptions& sharing);

}  // namespace tarn::hudi
