#include "hudi/identity_marks.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <filesystem>

namespace tarn::hudi {
namespace {

/// The index keeps two halves of 32 bits.
RowPlace PlaceOf(int64_t mark) {
  return {static_cast<uint32_t>(mark >> 32), static_cast<uint32_t>(mark & UINT32_MAX)};
}

int64_t MarkOf(const RowPlace& place) {
  if (place.group == RowPlace::kNowhere) return IdentityMarks::kNone;
  return static_cast<int64_t>(place.group) << 32 | place.position;
}

}  // namespace

Result<std::unique_ptr<IdentityMarks>> IdentityMarks::Make(std::string folder,
                                                           std::vector<std::string> fields) {
  TableOptions options;
  options.name = "marks";
  options.key_fields = options.identity_fields = std::move(fields);
  TARN_ASSIGN(KeyFormat keys, KeyFormat::Make(options));
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  std::unique_ptr<IdentityMarks> marks(new IdentityMarks(std::move(folder), std::move(keys)));
  TARN_RETURN_IF_ERROR(marks->index_.Reset(marks->folder_, 0));
  return marks;
}

IdentityMarks::~IdentityMarks() {
  index_.Discard();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

Status IdentityMarks::Note(const arrow::RecordBatch& identities, std::span<const int64_t> marks) {
  TARN_ASSIGN(const IdentityKeys keys, keys_.FromIdentities(identities));
  TARN_RETURN_IF_ERROR(index_.Reserve(identities.num_rows()));
  for (size_t row = 0; row < marks.size(); row++) {
    const Hash128& identity = keys.identities[row];
    (void)index_.Put(identity, PlaceOf(std::max(MarkOf(index_.Find(identity)), marks[row])));
  }
  return {};
}

Result<std::vector<int64_t>> IdentityMarks::Find(const arrow::RecordBatch& identities) const {
  TARN_ASSIGN(const IdentityKeys keys, keys_.FromIdentities(identities));
  std::vector<RowPlace> places;
  index_.FindAll(keys.identities, &places);
  std::vector<int64_t> marks;
  marks.reserve(places.size());
  for (const RowPlace& place : places) marks.push_back(MarkOf(place));
  return marks;
}

}  // namespace tarn::hudi
