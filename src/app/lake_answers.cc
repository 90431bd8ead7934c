#include "app/lake_answers.h"

#include <nlohmann/json.hpp>

#include "pipeline/lake_storage.h"
#include "pipeline/lake_view.h"

namespace tarn::app {
namespace {

/// Without a running tarn the lake is read as it is.
Result<std::string> QueryLake(const Config& config, const server::QueryRequest& request,
                              const server::AnswerHandler& handler) {
  const auto storage = pipeline::OpenLakeStorageReadOnly(config.pipeline);
  const catalog::LakeLayout layout(config.pipeline.lake, config.pipeline.bronze_root());
  TARN_ASSIGN([[maybe_unused]] const auto identity, catalog::ReadIdentity(*storage, layout));
  TARN_ASSIGN(const auto versions, catalog::LakeVersions::Open(storage.get(), layout));
  pipeline::LakeView view(storage.get(), layout, versions.get(), true);
  engine::SessionOptions options;
  options.memory_limit_bytes = config.pipeline.query_memory_bytes;
  options.threads = config.query_threads;
  options.open_file = pipeline::OpenerOf(storage.get(), config.pipeline);
  server::KeptSession kept;
  TARN_ASSIGN(const auto outcome, server::RunQuery(
                                      &view, server::Principals(config.principals), request, options, &kept,
                                      [] { return false; }, handler.on_batch));
  return outcome.ToJson();
}

}  // namespace

Result<std::string> AskOrRead(const Config& config, const server::QueryRequest& request,
                              const server::AnswerHandler& handler) {
  nlohmann::json json = {{"command", "query"}, {"sql", request.sql}, {"principal", request.principal}};
  if (request.allow_held) json["allow_held"] = true;
  if (!request.fresh.empty()) {
    json["fresh"] = request.fresh;
    json["within_seconds"] = request.within_seconds;
  }
  if (request.as_of_micros) json["as_of_micros"] = *request.as_of_micros;
  auto reply = server::Ask(config.pipeline.lake + "/_tarn",
                           json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), handler);
  if (reply || !server::NobodyRuns(reply.error())) return reply;
  if (!request.fresh.empty())
    return MakeError(ErrorCode::kUnavailable,
                     "no tarn runs here, which --fresh would wait for: start `tarn run`");
  return QueryLake(config, request, handler);
}

}  // namespace tarn::app
