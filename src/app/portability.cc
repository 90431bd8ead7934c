#include "app/portability.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <sstream>

namespace tarn::app {
namespace {

struct Answer {
  std::string out;
  int code = -1;  ///< -1: ended by a signal.
};

/// All that it writes to its standard output; its standard error is ours.
Result<Answer> Ask(std::vector<std::string> command) {
  int ends[2];
  if (pipe(ends) != 0) return MakeError(ErrorCode::kInternal, "pipe: {}", std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  posix_spawn_file_actions_addclose(&actions, ends[1]);
  std::vector<char*> arguments;
  for (std::string& part : command) arguments.push_back(part.data());
  arguments.push_back(nullptr);
  pid_t process = 0;
  const int failed = posix_spawnp(&process, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  Answer answer;
  char block[4096];
  for (ssize_t count = 0; failed == 0 && (count = read(ends[0], block, sizeof block)) > 0;)
    answer.out.append(block, static_cast<size_t>(count));
  close(ends[0]);
  if (failed != 0) {
    return MakeError(ErrorCode::kInvalidArgument, "[spark] check: '{}' cannot be started: {}", command[0],
                     std::strerror(failed));
  }
  int status = 0;
  waitpid(process, &status, 0);
  if (WIFEXITED(status)) answer.code = WEXITSTATUS(status);
  return answer;
}

}  // namespace

Result<std::vector<std::string>> SparkRefusals(const Config& config) {
  std::vector<std::string> refusals;
  if (config.spark_check.empty() || config.pipeline.models.empty()) return refusals;
  std::vector<std::string> command = config.spark_check;
  command.insert(command.end(), {config.pipeline.models, "--lake", config.pipeline.lake});
  TARN_ASSIGN(const Answer answer, Ask(command));
  std::stringstream lines(answer.out);
  for (std::string line; std::getline(lines, line);) refusals.push_back(line);
  // Python, too, ends with 1 when the program fails; then it has said nothing here.
  if (answer.code == 0 || (answer.code == 1 && !refusals.empty())) return refusals;
  return MakeError(ErrorCode::kInvalidArgument,
                   "[spark] check: '{}' ended with {}: see above, and jobs/README.md for what it needs",
                   command[0], answer.code);
}

}  // namespace tarn::app
