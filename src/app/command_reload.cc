#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "server/local_client.h"

namespace tarn::app {

int RunReload(const Config& config, bool json) {
  const auto reply = server::Ask(config.pipeline.lake + "/_tarn", R"({"command":"reload"})", {});
  if (!reply && reply.error().code == ErrorCode::kNotFound) {
    return Fail(MakeError(ErrorCode::kNotFound, "no tarn runs on the lake '{}': the next `tarn run` reads {}",
                          config.pipeline.lake, config.file));
  }
  if (!reply) return Fail(reply.error());
  if (json) {
    fmt::print("{}\n", *reply);
    return kSuccess;
  }
  const auto outcome = nlohmann::json::parse(*reply);
  for (const std::string name : outcome["added"])
    fmt::print("{} is copied and followed from now on; `tarn status` tells how far\n", name);
  for (const std::string name : outcome["waiting"])
    fmt::print("{} changed: that counts from the next start of `tarn run`\n", name);
  if (outcome["added"].empty() && outcome["waiting"].empty()) fmt::print("nothing to do\n");
  return kSuccess;
}

}  // namespace tarn::app
