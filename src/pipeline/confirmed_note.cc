#include "pipeline/confirmed_note.h"

#include <nlohmann/json.hpp>

#include "base/fault.h"

namespace tarn::pipeline {

Result<std::unique_ptr<ConfirmedNote>> ConfirmedNote::Open(storage::Storage* storage, std::string path) {
  std::unique_ptr<ConfirmedNote> note(new ConfirmedNote(storage, std::move(path)));
  const auto text = storage->Read(note->path_);
  if (!text && text.error().code == ErrorCode::kNotFound) return note;
  if (!text) return text.error();
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  const bool is_object = json.is_object() && json.contains("lsn") && json["lsn"].is_string();
  const auto lsn = Lsn::Parse(is_object ? json["lsn"].get<std::string>() : "");
  if (!lsn || !json.contains("epoch") || !json["epoch"].is_number_integer()) {
    return MakeError(ErrorCode::kCorrupt,
                     "'{}' cannot be read; remove it when nobody but tarn has used its slot", note->path_);
  }
  note->at_ = SourcePosition{json["epoch"].get<int64_t>(), *lsn};
  return note;
}

std::optional<SourcePosition> ConfirmedNote::at() const {
  const std::lock_guard lock(mutex_);
  return at_;
}

Status ConfirmedNote::Note(const SourcePosition& position, const SourcePosition& known) {
  const std::lock_guard lock(mutex_);
  if (at_ && (position <= known || position <= *at_)) return {};
  const nlohmann::json json = {{"epoch", position.epoch}, {"lsn", position.lsn.ToString()}};
  TARN_FAULT_POINT("source.confirmed.before_note");
  TARN_RETURN_IF_ERROR(storage_->Write(path_, json.dump()));
  TARN_FAULT_POINT("source.confirmed.after_note");
  at_ = position;
  return {};
}

}  // namespace tarn::pipeline
