#pragma once

#include <string>

#include "app/config.h"
#include "server/local_client.h"
#include "server/query_service.h"

namespace tarn::app {

/// Asks the running tarn, or reads the lake when none runs. Gives the statement's statistics as JSON.
Result<std::string> AskOrRead(const Config& config, const server::QueryRequest& request,
                              const server::AnswerHandler& handler);

}  // namespace tarn::app
