#include "server/local_server.h"

#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "pipeline/verify.h"
#include "server/watch.h"

namespace tarn::server {

struct LocalServer::Connection {
  explicit Connection(int fd) : socket(fd) {}
  FrameSocket socket;
  std::thread thread;
  std::atomic<bool> done{false};
};

Result<std::string> EncodeBatch(const arrow::RecordBatch& batch) {
  auto sink = arrow::io::BufferOutputStream::Create();
  if (!sink.ok()) return MakeError(ErrorCode::kInternal, "Arrow: {}", sink.status().message());
  auto writer = arrow::ipc::MakeStreamWriter(*sink, batch.schema());
  arrow::Status status = writer.status();
  if (status.ok()) status = (*writer)->WriteRecordBatch(batch);
  if (status.ok()) status = (*writer)->Close();
  if (!status.ok()) return MakeError(ErrorCode::kInternal, "Arrow: {}", status.message());
  return (*(*sink)->Finish())->ToString();
}

Result<std::shared_ptr<arrow::RecordBatch>> DecodeBatch(const std::string& bytes) {
  auto reader = arrow::ipc::RecordBatchStreamReader::Open(
      std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(bytes)));
  if (!reader.ok()) return MakeError(ErrorCode::kCorrupt, "Arrow: {}", reader.status().message());
  auto batch = (*reader)->Next();
  if (!batch.ok()) return MakeError(ErrorCode::kCorrupt, "Arrow: {}", batch.status().message());
  return *batch;
}

LocalServer::LocalServer(int listener, pipeline::Runner* runner, Principals principals,
                         engine::SessionOptions options, Reload reload)
    : listener_(listener),
      runner_(runner),
      principals_(std::move(principals)),
      options_(std::move(options)),
      reload_(std::move(reload)) {}

Result<std::unique_ptr<LocalServer>> LocalServer::Start(const std::string& folder, pipeline::Runner* runner,
                                                        Principals principals, engine::SessionOptions options,
                                                        Reload reload) {
  TARN_ASSIGN(const int listener, ListenLocal(folder));
  std::unique_ptr<LocalServer> server(
      new LocalServer(listener, runner, std::move(principals), std::move(options), std::move(reload)));
  server->accept_thread_ = std::thread([raw = server.get()] { raw->Accept(); });
  return server;
}

LocalServer::~LocalServer() { Stop(); }

void LocalServer::Stop() {
  stop_.Cancel();
  if (listener_ >= 0) ::shutdown(listener_, SHUT_RDWR);  // Whoever waits for the next one wakes up.
  if (accept_thread_.joinable()) accept_thread_.join();
  for (auto& connection : connections_) {
    ::shutdown(connection->socket.fd(), SHUT_RDWR);
    connection->thread.join();
  }
  connections_.clear();
  if (listener_ >= 0) ::close(listener_);
  listener_ = -1;
}

void LocalServer::Accept() {
  while (!stop_.IsCancelled()) {
    pollfd entry{listener_, POLLIN, 0};
    const bool ready = ::poll(&entry, 1, 200) > 0;
    const std::lock_guard lock(mutex_);
    connections_.remove_if([](const std::unique_ptr<Connection>& connection) {
      if (!connection->done) return false;
      connection->thread.join();
      return true;
    });
    if (!ready) continue;
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    connections_.push_back(std::make_unique<Connection>(fd));
    Connection* connection = connections_.back().get();
    if (connections_.size() > kMaxConnections) {
      (void)connection->socket
          .Send(FrameKind::kError,
                ErrorJson({ErrorCode::kUnavailable, "too many connections; try again in a moment"}))
          .has_value();
      connections_.pop_back();
      continue;
    }
    connection->thread = std::thread([this, connection] {
      Serve(connection->socket);
      ::shutdown(connection->socket.fd(), SHUT_RDWR);
      connection->done = true;
    });
  }
}

void LocalServer::Serve(FrameSocket& socket) {
  KeptSession kept;
  while (!stop_.IsCancelled()) {
    const auto frame = socket.Receive();
    if (!frame || frame->kind != FrameKind::kRequest) return;
    const Status answered = Answer(socket, frame->payload, &kept);
    if (!answered && !socket.Send(FrameKind::kError, ErrorJson(answered.error()))) return;
  }
}

namespace {

/// The texts of a member that is a list; whatever else is in the request counts for nothing.
std::vector<std::string> TextsOf(const nlohmann::json& json, const char* member) {
  std::vector<std::string> texts;
  const auto found = json.find(member);
  if (found == json.end() || !found->is_array()) return texts;
  for (const auto& text : *found) {
    if (text.is_string()) texts.push_back(text.get<std::string>());
  }
  return texts;
}

}  // namespace

Status LocalServer::Answer(FrameSocket& socket, const std::string& text, KeptSession* kept) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return Error{ErrorCode::kInvalidArgument, "a request must be a JSON object"};
  const std::string command = json.value("command", "");
  if (command == "status") return socket.Send(FrameKind::kReply, runner_->StatusJson());
  if (command == "verify") return AnswerVerify(socket);
  if (command == "resync") return AnswerResync(socket, TextsOf(json, "tables"));
  if (command == "reload") {
    TARN_ASSIGN(const std::string reply, reload_());
    return socket.Send(FrameKind::kReply, reply);
  }
  if (command == "return_rows") return AnswerReturn(socket, json.value("table", ""), json.value("rule", ""));
  if (command == "backfill") return AnswerBackfill(socket, json.value("model", ""), TextsOf(json, "tenants"));
  if (command == "archive") return AnswerArchive(socket, json.value("until", ""));
  if (command == "query") {
    QueryRequest request;
    request.sql = json.value("sql", "");
    request.principal = json.value("principal", "operator");
    request.allow_held = json.value("allow_held", false);
    if (json.contains("as_of_micros") && json["as_of_micros"].is_number_integer()) {
      request.as_of_micros = json["as_of_micros"].get<int64_t>();
    }
    request.fresh = json.value("fresh", "");
    request.within_seconds = json.value("within_seconds", request.within_seconds);
    return AnswerQuery(socket, request, kept);
  }
  return MakeError(ErrorCode::kInvalidArgument, "'{}' is no command of this tarn", command);
}

namespace {

/// Rows that are too many bytes for one frame go in halves.
Status SendBatch(FrameSocket& socket, const arrow::RecordBatch& batch) {
  TARN_ASSIGN(const std::string bytes, EncodeBatch(batch));
  if (bytes.size() <= FrameSocket::kMaxPayload) return socket.Send(FrameKind::kBatch, bytes);
  if (batch.num_rows() < 2) {
    return MakeError(ErrorCode::kUnsupported,
                     "one row of the answer has {} MB; `tarn query` carries {} MB at most",
                     bytes.size() >> 20, FrameSocket::kMaxPayload >> 20);
  }
  const int64_t half = batch.num_rows() / 2;
  TARN_RETURN_IF_ERROR(SendBatch(socket, *batch.Slice(0, half)));
  return SendBatch(socket, *batch.Slice(half));
}

}  // namespace

Status LocalServer::WaitUntilFresh(FrameSocket& socket, const QueryRequest& request) {
  CancelToken cancel;
  const Watch watch([&] { return stop_.IsCancelled() || socket.PeerIsGone(); },
                    [&cancel] { cancel.Cancel(); });
  auto at = request.fresh == "now" ? runner_->SourcePositionNow(cancel) : Lsn::Parse(request.fresh);
  if (!at) return std::move(at).error();
  return runner_->WaitUntilVisible(*at, static_cast<int64_t>(request.within_seconds * 1e6), cancel);
}

Status LocalServer::AnswerQuery(FrameSocket& socket, const QueryRequest& request, KeptSession* kept) {
  if (!request.fresh.empty()) TARN_RETURN_IF_ERROR(WaitUntilFresh(socket, request));
  const double seconds_behind = request.as_of_micros ? 0 : runner_->SecondsBehind();
  auto outcome = RunQuery(
      runner_->view(), principals_, request, options_, kept,
      [&] { return stop_.IsCancelled() || socket.PeerIsGone(); },
      [&](std::shared_ptr<arrow::RecordBatch> batch) { return SendBatch(socket, *batch); });
  if (!outcome) return std::move(outcome).error();
  outcome->seconds_behind = seconds_behind;
  return socket.Send(FrameKind::kReply, outcome->ToJson());
}

Status LocalServer::AnswerResync(FrameSocket& socket, const std::vector<std::string>& tables) {
  TARN_ASSIGN(const auto names, runner_->RequestCopies(tables));
  return socket.Send(FrameKind::kReply, nlohmann::json{{"tables", names}}.dump());
}

Status LocalServer::AnswerReturn(FrameSocket& socket, const std::string& table, const std::string& rule) {
  CancelToken cancel;
  const Watch watch([&] { return stop_.IsCancelled() || socket.PeerIsGone(); },
                    [&cancel] { cancel.Cancel(); });
  auto returned = runner_->ReturnRows(
      table, rule,
      [&](int64_t rows) { (void)socket.Send(FrameKind::kProgress, std::to_string(rows)).has_value(); },
      cancel);
  if (!returned) return std::move(returned).error();
  return socket.Send(FrameKind::kReply,
                     nlohmann::json{{"entered", returned->entered}, {"stayed", returned->stayed}}.dump());
}

Status LocalServer::AnswerBackfill(FrameSocket& socket, const std::string& model,
                                   const std::vector<std::string>& tenants) {
  TARN_RETURN_IF_ERROR(runner_->Backfill(model, {tenants.begin(), tenants.end()}));
  return socket.Send(FrameKind::kReply, "{}");
}

Status LocalServer::AnswerArchive(FrameSocket& socket, const std::string& until) {
  CancelToken cancel;
  const Watch watch([&] { return stop_.IsCancelled() || socket.PeerIsGone(); },
                    [&cancel] { cancel.Cancel(); });
  std::string told;
  auto outcome = runner_->archive()->ArchiveNow(
      until, cancel, [&](const std::string& day, const bronze::ArchiveProgress& progress) {
        std::string line = pipeline::ArchiveProgressLine(day, progress);
        if (line == told) return;
        (void)socket.Send(FrameKind::kProgress, line).has_value();
        told = std::move(line);
      });
  if (!outcome) return std::move(outcome).error();
  return socket.Send(FrameKind::kReply, pipeline::ToJson(*outcome));
}

Status LocalServer::AnswerVerify(FrameSocket& socket) {
  CancelToken cancel;
  const Watch watch([&] { return stop_.IsCancelled() || socket.PeerIsGone(); },
                    [&cancel] { cancel.Cancel(); });
  auto verification = pipeline::Verify(*runner_, cancel, [&](const std::string& table) {
    (void)socket.Send(FrameKind::kProgress, table).has_value();  // The watch sees a client that is gone.
  });
  if (!verification) return std::move(verification).error();
  return socket.Send(FrameKind::kReply, verification->ToJson());
}

}  // namespace tarn::server
