#include <arrow/record_batch.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/lake_answers.h"
#include "base/clock.h"

namespace tarn::app {
namespace {

std::string StatisticsLine(const nlohmann::json& s) {
  std::string line = fmt::format(
      "{} rows in {:.1f} ms; partitions {} of {}, files {} of {}, bytes {} of {}, rows from logs {}",
      s.value("rows", 0L), s.value("milliseconds", 0.0), s.value("partitions_read", 0L),
      s.value("partitions_total", 0L), s.value("files_read", 0L), s.value("files_total", 0L),
      s.value("bytes_read", 0L), s.value("bytes_total", 0L), s.value("hot_rows", 0L));
  // What a running tarn always is behind for a moment is not worth a word.
  if (const double behind = s.value("seconds_behind", 0.0); behind >= 1)
    line += fmt::format("; {:.1f} s behind the source, see `tarn status`", behind);
  return line;
}

}  // namespace

int RunQuery(const Config& config, const QueryArguments& a, OutputFormat format) {
  server::QueryRequest request{a.sql, a.principal, std::nullopt, a.allow_held, a.fresh, a.within_seconds};
  if (!a.fresh.empty() && a.fresh != "now" && !Lsn::Parse(a.fresh)) {
    return Fail(MakeError(ErrorCode::kInvalidArgument,
                          "--fresh '{}' is neither 'now' nor a position such as 0/16B3748", a.fresh));
  }
  if (!a.as_of.empty()) {
    const auto micros = ParseTimestamp(a.as_of);
    if (!micros) return Fail(micros.error());
    request.as_of_micros = *micros;
  }
  ResultPrinter printer(format, stdout);
  server::AnswerHandler handler;
  handler.on_batch = [&](std::shared_ptr<arrow::RecordBatch> batch) { return printer.Print(*batch); };
  const auto reply = AskOrRead(config, request, handler);
  if (!reply) return Fail(reply.error());
  const Status finished = printer.Finish();
  if (!finished) return Fail(finished.error());
  if (!a.quiet) fmt::print(stderr, "{}\n", StatisticsLine(nlohmann::json::parse(*reply)));
  return kSuccess;
}

}  // namespace tarn::app
