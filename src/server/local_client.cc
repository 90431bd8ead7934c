#include "server/local_client.h"

#include <arrow/record_batch.h>

#include "server/local_server.h"

namespace tarn::server {

Result<std::string> Ask(const std::string& folder, const std::string& request_json,
                        const AnswerHandler& handler) {
  TARN_ASSIGN(FrameSocket socket, ConnectLocal(folder));
  TARN_RETURN_IF_ERROR(socket.Send(FrameKind::kRequest, request_json));
  while (true) {
    TARN_ASSIGN(Frame frame, socket.Receive());
    switch (frame.kind) {
      case FrameKind::kReply:
        return std::move(frame.payload);
      case FrameKind::kError:
        return ErrorFromJson(frame.payload);
      case FrameKind::kProgress:
        if (handler.on_progress) handler.on_progress(frame.payload);
        break;
      case FrameKind::kBatch: {
        if (!handler.on_batch) break;
        TARN_ASSIGN(auto batch, DecodeBatch(frame.payload));
        TARN_RETURN_IF_ERROR(handler.on_batch(std::move(batch)));
        break;
      }
      case FrameKind::kRequest:
        return Error{ErrorCode::kCorrupt, "tarn asked instead of answering"};
    }
  }
}

bool NobodyRuns(const Error& error) {
  return error.code == ErrorCode::kNotFound && error.message.starts_with("no tarn runs");
}

}  // namespace tarn::server
