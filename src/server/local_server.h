#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/cancel.h"
#include "base/error.h"
#include "pipeline/runner.h"
#include "server/frames.h"
#include "server/query_service.h"

namespace tarn::server {

/// Answers `tarn status`, `query`, `verify`, `resync`, `reload`, `quarantine retry`, `backfill` and `bronze
/// archive` of a running pipeline on the lake's Unix socket. Threads: one accepts, one a connection; all are
/// joined by Stop.
class LocalServer {
 public:
  static constexpr int kMaxConnections = 64;

  /// Reads the configuration again; the reply as JSON. Threads: any.
  using Reload = std::function<Result<std::string>()>;

  /// `runner` outlives it.
  static Result<std::unique_ptr<LocalServer>> Start(const std::string& folder, pipeline::Runner* runner,
                                                    Principals principals, engine::SessionOptions options,
                                                    Reload reload);
  ~LocalServer();
  void Stop();

 private:
  struct Connection;
  LocalServer(int listener, pipeline::Runner* runner, Principals principals, engine::SessionOptions options,
              Reload reload);
  void Accept();
  void Serve(FrameSocket& socket);
  Status Answer(FrameSocket& socket, const std::string& request, KeptSession* kept);
  Status WaitUntilFresh(FrameSocket& socket, const QueryRequest& request);
  Status AnswerQuery(FrameSocket& socket, const QueryRequest& request, KeptSession* kept);
  Status AnswerVerify(FrameSocket& socket);
  Status AnswerReturn(FrameSocket& socket, const std::string& table, const std::string& rule);
  Status AnswerResync(FrameSocket& socket, const std::vector<std::string>& tables);
  Status AnswerBackfill(FrameSocket& socket, const std::string& model,
                        const std::vector<std::string>& tenants);
  Status AnswerArchive(FrameSocket& socket, const std::string& until);

  int listener_;
  pipeline::Runner* runner_;
  Principals principals_;
  engine::SessionOptions options_;
  Reload reload_;
  CancelToken stop_;
  std::mutex mutex_;
  std::list<std::unique_ptr<Connection>> connections_;  ///< Under mutex_.
  std::thread accept_thread_;
};

/// The batch as an Arrow IPC stream, for a frame.
Result<std::string> EncodeBatch(const arrow::RecordBatch& batch);
Result<std::shared_ptr<arrow::RecordBatch>> DecodeBatch(const std::string& bytes);

}  // namespace tarn::server
