#include "server/query_service.h"

#include <arrow/record_batch.h>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "server/watch.h"

namespace tarn::server {

Result<govern::Decision> Principals::Decide(const std::string& name) const {
  if (name == "operator") return govern::Decide({.name = name, .is_operator = true});
  const auto found = principals_.find(name);
  if (found != principals_.end()) return govern::Decide(found->second);
  std::string known = "operator";
  for (const auto& [other, principal] : principals_) known += ", " + other;
  return MakeError(ErrorCode::kNotFound, "there is no principal '{}'; tarn.toml has: {}", name, known);
}

std::string QueryOutcome::ToJson() const {
  const engine::ScanStatistics& s = statistics;
  return nlohmann::json{{"rows", rows},
                        {"milliseconds", milliseconds},
                        {"seconds_behind", seconds_behind},
                        {"tables", s.tables},
                        {"partitions_total", s.partitions_total},
                        {"partitions_read", s.partitions_read},
                        {"files_total", s.files_total},
                        {"files_read", s.files_read},
                        {"bytes_total", s.bytes_total},
                        {"bytes_read", s.bytes_read},
                        {"rows_in_files", s.rows_in_files},
                        {"hot_rows", s.hot_rows}}
      .dump();
}

Result<QueryOutcome> RunQuery(engine::Lake* lake, const Principals& principals, const QueryRequest& request,
                              const engine::SessionOptions& options, KeptSession* kept,
                              const std::function<bool()>& is_gone,
                              const std::function<Status(std::shared_ptr<arrow::RecordBatch>)>& take) {
  const int64_t started = MonotonicMicros();
  TARN_ASSIGN(govern::Decision decision, principals.Decide(request.principal));
  engine::SessionOptions session_options = options;
  session_options.as_of_micros = request.as_of_micros;
  session_options.allow_held = request.allow_held;
  std::unique_ptr<engine::Session> session = std::move(kept->session);
  if (!session || kept->principal != request.principal || kept->as_of_micros != request.as_of_micros ||
      kept->allow_held != request.allow_held) {
    TARN_ASSIGN(session, engine::Session::Open(lake, std::move(decision), session_options));
  }
  // A statement may work for minutes before its first row.
  auto watch = std::make_unique<Watch>(is_gone, [&session] { session->Interrupt(); });
  TARN_ASSIGN(auto stream, session->Query(request.sql));
  auto empty = arrow::RecordBatch::MakeEmpty(stream->schema());
  if (!empty.ok()) return MakeError(ErrorCode::kInternal, "Arrow: {}", empty.status().message());
  TARN_RETURN_IF_ERROR(take(*empty));
  QueryOutcome outcome;
  while (true) {
    if (is_gone()) return Error{ErrorCode::kCancelled, "whoever asked is gone"};
    TARN_ASSIGN(auto batch, stream->Next());
    if (batch == nullptr) break;
    outcome.rows += batch->num_rows();
    TARN_RETURN_IF_ERROR(take(std::move(batch)));
  }
  outcome.statistics = stream->statistics();
  outcome.milliseconds = static_cast<double>(MonotonicMicros() - started) / 1e3;
  // Only behind a statement that ended well is a session known to be as good as new.
  stream.reset();
  watch.reset();
  *kept = {request.principal, request.as_of_micros, request.allow_held, std::move(session)};
  return outcome;
}

}  // namespace tarn::server
