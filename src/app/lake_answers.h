#pragma once

#include <string>

#include "app/config.h"
#include "base/error.h"
#include "server/local_client.h"
#include "server/query_service.h"

namespace tarn::app {

/// Asks the running tarn, or reads the lake when none runs. Gives the statement's statistics as JSON. Errors:
/// as server::RunQuery; kUnavailable when the request waits for changes and nobody brings any.
Result<std::string> AskOrRead(const Config& config, const server::QueryRequest& request,
                              const server::AnswerHandler& handler);

}  // namespace tarn::app
