#include "hudi/staged_changes.h"

#include <arrow/api.h>
#include <arrow/util/byte_size.h>

#include <algorithm>

#include "hudi/avro_schema.h"
#include "hudi/file_name.h"
#include "hudi/hudi_table.h"
#include "hudi/identity_map.h"

namespace tarn::hudi {
namespace {

Result<std::shared_ptr<arrow::RecordBatch>> Joined(
    const std::vector<std::shared_ptr<arrow::RecordBatch>>& parts) {
  if (parts.size() == 1) return parts.front();
  auto whole = arrow::ConcatenateRecordBatches(parts);
  TARN_RETURN_IF_ERROR(FromArrow(whole.status(), "join staged rows"));
  return *whole;
}

}  // namespace

class HudiStagedChanges : public StagedChanges {
 public:
  explicit HudiStagedChanges(const HudiTable* table) : table_(table) {}

  Status Add(const ChangeSet& changes) override {
    if (changes.deletes && changes.deletes->num_rows() > 0) TARN_RETURN_IF_ERROR(AddDeletes(changes.deletes));
    if (changes.upserts && changes.upserts->num_rows() > 0) TARN_RETURN_IF_ERROR(AddUpserts(changes.upserts));
    return {};
  }

  bool empty() const override { return entries_.empty(); }
  int64_t bytes() const override { return bytes_; }
  int64_t rows() const override { return static_cast<int64_t>(entries_.size()); }

  Result<ChangeSet> Merged() const override;
  Result<std::shared_ptr<const Overlay>> Snapshot() override;
  Result<std::vector<Newest>> Find(const arrow::RecordBatch& identities) const override;

  void Clear() override { *this = HudiStagedChanges(table_); }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Entry {
    bool live = false;
    uint32_t batch = 0, row = 0;  ///< In upserts_ when live, else in deletes_.
    uint32_t partition = 0;
    uint32_t run = kNone, run_row = 0;  ///< Where readers have it.
  };
  /// What readers have of one partition's rows. A partition has a few, whose sizes fall steeply: each row is
  /// copied a logarithmic number of times.
  struct Run {
    std::shared_ptr<arrow::RecordBatch> rows;
    std::vector<Hash128> identities;
    Roaring dead;
    std::shared_ptr<const PositionBitmap> bitmap;  ///< Of `dead`; null when it must be made.
    int64_t live() const { return rows->num_rows() - static_cast<int64_t>(dead.cardinality()); }
  };
  struct Partition {
    std::string path;
    std::vector<uint32_t> runs;  ///< Largest first.
  };

  Status AddDeletes(const std::shared_ptr<arrow::RecordBatch>& deletes);
  Status AddUpserts(const std::shared_ptr<arrow::RecordBatch>& upserts);
  /// Hides the row that the table's files have of the identity.
  void HideCommitted(const RowPlace& place, const std::string* pieces);
  void TakeFromReaders(Entry& entry);
  uint32_t PartitionIndex(const std::string& path);
  Status AddRun(uint32_t partition, const std::vector<std::pair<uint32_t, uint32_t>>& rows);
  Status MergeLastRuns(Partition& partition);
  Result<std::shared_ptr<arrow::RecordBatch>> ForReaders(const arrow::RecordBatch& rows,
                                                         const std::string& path) const;

  const HudiTable* table_;
  IdentityMap<Entry> entries_;
  std::vector<std::shared_ptr<arrow::RecordBatch>> upserts_;  ///< Table schema, then the record key.
  std::vector<std::vector<Hash128>> upsert_identities_;       ///< Of each of them.
  std::vector<std::shared_ptr<arrow::RecordBatch>> deletes_;  ///< Identity, then ordering.
  std::vector<Partition> partitions_;
  std::unordered_map<std::string, uint32_t> partition_index_;
  std::unordered_map<uint32_t, Run> runs_;
  uint32_t next_run_ = 0;
  size_t shown_ = 0;  ///< Batches of upserts_ that readers have.
  std::map<std::string, Roaring> hidden_rows_;
  std::map<std::string, std::vector<Hash128>> hidden_keys_;
  std::shared_ptr<const Overlay> snapshot_;  ///< Null after a change.
  int64_t bytes_ = 0;
};

uint32_t HudiStagedChanges::PartitionIndex(const std::string& path) {
  const auto [it, added] = partition_index_.emplace(path, static_cast<uint32_t>(partitions_.size()));
  if (added) partitions_.push_back({path, {}});
  return it->second;
}

void HudiStagedChanges::HideCommitted(const RowPlace& place, const std::string* pieces) {
  if (place.group == RowPlace::kNowhere) return;
  const WriterGroup& group = table_->groups_[place.group];
  const std::string& path = table_->partitions_[group.partition];
  if (place.position == RowPlace::kInLog) {
    hidden_keys_[path].push_back(HashText(table_->keys_.KeyIn(path, pieces)));
  } else {
    hidden_rows_[JoinPath(table_->FolderOf(group.partition), group.base.name)].add(place.position);
  }
}

void HudiStagedChanges::TakeFromReaders(Entry& entry) {
  if (entry.run == kNone) return;
  Run& run = runs_.at(entry.run);
  run.dead.add(entry.run_row);
  run.bitmap.reset();
  entry.run = kNone;
}

Status HudiStagedChanges::AddDeletes(const std::shared_ptr<arrow::RecordBatch>& deletes) {
  TARN_ASSIGN(const IdentityKeys keys, table_->keys_.FromIdentities(*deletes));
  const size_t width = table_->options_.identity_fields.size();
  std::vector<RowPlace> places;
  table_->index_.FindAll(keys.identities, &places);
  const auto batch = static_cast<uint32_t>(deletes_.size());
  for (size_t row = 0; row < places.size(); row++) {
    auto it = entries_.find(keys.identities[row]);
    if (it == entries_.end()) {
      if (places[row].group == RowPlace::kNowhere) continue;
      it = entries_.try_emplace(keys.identities[row]).first;
      HideCommitted(places[row], &keys.pieces[row * width]);
    }
    TakeFromReaders(it->second);
    it->second = {false, batch, static_cast<uint32_t>(row)};
  }
  deletes_.push_back(deletes);
  bytes_ += arrow::util::ReferencedBufferSize(*deletes).ValueOr(0);
  snapshot_.reset();
  return {};
}

Status HudiStagedChanges::AddUpserts(const std::shared_ptr<arrow::RecordBatch>& upserts) {
  TARN_ASSIGN(const auto rows, ProjectTo(upserts, table_->options_.schema));
  TARN_ASSIGN(const RowKeys keys, table_->keys_.FromRows(*rows));
  std::vector<RowPlace> places;
  table_->index_.FindAll(keys.identities, &places);
  std::vector<uint32_t> partitions;
  for (const std::string& path : keys.paths) partitions.push_back(PartitionIndex(path));
  const auto batch = static_cast<uint32_t>(upserts_.size());
  for (size_t row = 0; row < places.size(); row++) {
    const auto [it, added] = entries_.try_emplace(keys.identities[row]);
    if (added && places[row].group != RowPlace::kNowhere) {
      const auto pieces = table_->keys_.PiecesOf(keys.keys->GetView(static_cast<int64_t>(row)));
      HideCommitted(places[row], pieces.data());
    }
    TakeFromReaders(it->second);
    it->second = {true, batch, static_cast<uint32_t>(row), partitions[keys.partitions[row]]};
  }
  auto with_keys = rows->AddColumn(rows->num_columns(), kRecordKey, keys.keys);
  TARN_RETURN_IF_ERROR(FromArrow(with_keys.status(), "stage rows"));
  upserts_.push_back(*with_keys);
  upsert_identities_.push_back(keys.identities);
  bytes_ += arrow::util::ReferencedBufferSize(**with_keys).ValueOr(0) + rows->num_rows() * 96;
  snapshot_.reset();
  return {};
}

Result<ChangeSet> HudiStagedChanges::Merged() const {
  std::vector<std::vector<int64_t>> upserts(upserts_.size()), deletes(deletes_.size());
  for (const auto& [identity, entry] : entries_)
    (entry.live ? upserts : deletes)[entry.batch].push_back(entry.row);
  const auto gather = [](const auto& batches, auto& rows) -> Result<std::shared_ptr<arrow::RecordBatch>> {
    std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
    for (size_t i = 0; i < batches.size(); i++) {
      if (rows[i].empty()) continue;
      std::sort(rows[i].begin(), rows[i].end());
      TARN_ASSIGN(auto taken, TakeRows(*batches[i], rows[i]));
      parts.push_back(std::move(taken));
    }
    if (parts.empty()) return std::shared_ptr<arrow::RecordBatch>();
    return Joined(parts);
  };
  ChangeSet merged;
  TARN_ASSIGN(merged.upserts, gather(upserts_, upserts));
  TARN_ASSIGN(merged.deletes, gather(deletes_, deletes));
  return merged;
}

Result<std::vector<StagedChanges::Newest>> HudiStagedChanges::Find(
    const arrow::RecordBatch& identities) const {
  TARN_ASSIGN(const IdentityKeys keys, table_->keys_.FromIdentities(identities));
  std::vector<Newest> found(keys.identities.size());
  for (size_t i = 0; i < found.size(); i++) {
    const auto it = entries_.find(keys.identities[i]);
    if (it == entries_.end()) continue;
    const Entry& entry = it->second;
    if (entry.live) {
      found[i] = {Newest::State::kLive, upserts_[entry.batch], entry.row};
    } else {
      found[i].state = Newest::State::kDeleted;
    }
  }
  return found;
}

Result<std::shared_ptr<arrow::RecordBatch>> HudiStagedChanges::ForReaders(const arrow::RecordBatch& rows,
                                                                          const std::string& path) const {
  const int64_t count = rows.num_rows();
  const auto none = arrow::MakeArrayOfNull(arrow::utf8(), count);
  TARN_RETURN_IF_ERROR(FromArrow(none.status(), "stage rows"));
  arrow::ArrayVector columns{*none, *none, rows.column(rows.num_columns() - 1), ConstantColumn(path, count),
                             *none};
  for (int i = 0; i + 1 < rows.num_columns(); i++) columns.push_back(rows.column(i));
  return arrow::RecordBatch::Make(WithMetaColumns(*table_->options_.schema), count, std::move(columns));
}

Status HudiStagedChanges::AddRun(uint32_t partition, const std::vector<std::pair<uint32_t, uint32_t>>& rows) {
  std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
  Run run;
  for (size_t i = 0; i < rows.size();) {
    const uint32_t batch = rows[i].first;
    std::vector<int64_t> selected;
    for (; i < rows.size() && rows[i].first == batch; i++) {
      selected.push_back(rows[i].second);
      const Hash128& identity = upsert_identities_[batch][rows[i].second];
      Entry& entry = entries_.at(identity);
      entry.run = next_run_;
      entry.run_row = static_cast<uint32_t>(run.identities.size());
      run.identities.push_back(identity);
    }
    TARN_ASSIGN(auto taken, TakeRows(*upserts_[batch], selected));
    parts.push_back(std::move(taken));
  }
  TARN_ASSIGN(const auto joined, Joined(parts));
  TARN_ASSIGN(run.rows, ForReaders(*joined, partitions_[partition].path));
  runs_.emplace(next_run_, std::move(run));
  partitions_[partition].runs.push_back(next_run_++);
  return {};
}

Status HudiStagedChanges::MergeLastRuns(Partition& partition) {
  while (partition.runs.size() >= 2) {
    const uint32_t large = partition.runs[partition.runs.size() - 2], small = partition.runs.back();
    if (runs_.at(large).live() > 2 * runs_.at(small).live()) return {};
    std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
    Run merged;
    for (const uint32_t number : {large, small}) {
      const Run& run = runs_.at(number);
      std::vector<int64_t> kept;
      for (int64_t row = 0; row < run.rows->num_rows(); row++) {
        if (run.dead.contains(static_cast<uint32_t>(row))) continue;
        kept.push_back(row);
        Entry& entry = entries_.at(run.identities[static_cast<size_t>(row)]);
        entry.run = next_run_;
        entry.run_row = static_cast<uint32_t>(merged.identities.size());
        merged.identities.push_back(run.identities[static_cast<size_t>(row)]);
      }
      TARN_ASSIGN(auto taken, TakeRows(*run.rows, kept));
      parts.push_back(std::move(taken));
    }
    TARN_ASSIGN(merged.rows, Joined(parts));
    runs_.erase(large);
    runs_.erase(small);
    partition.runs.resize(partition.runs.size() - 2);
    if (merged.rows->num_rows() == 0) continue;
    runs_.emplace(next_run_, std::move(merged));
    partition.runs.push_back(next_run_++);
  }
  return {};
}

Result<std::shared_ptr<const Overlay>> HudiStagedChanges::Snapshot() {
  if (snapshot_ || entries_.empty()) return snapshot_;
  std::map<uint32_t, std::vector<std::pair<uint32_t, uint32_t>>> fresh;
  for (; shown_ < upserts_.size(); shown_++) {
    const auto& identities = upsert_identities_[shown_];
    for (uint32_t row = 0; row < identities.size(); row++) {
      const Entry& entry = entries_.at(identities[row]);
      if (entry.live && entry.batch == shown_ && entry.row == row)
        fresh[entry.partition].emplace_back(static_cast<uint32_t>(shown_), row);
    }
  }
  for (const auto& [partition, rows] : fresh) {
    TARN_RETURN_IF_ERROR(AddRun(partition, rows));
    TARN_RETURN_IF_ERROR(MergeLastRuns(partitions_[partition]));
  }
  auto overlay = std::make_shared<Overlay>();
  overlay->hidden_rows = hidden_rows_;
  overlay->hidden_keys = hidden_keys_;
  for (const Partition& partition : partitions_) {
    for (const uint32_t number : partition.runs) {
      Run& run = runs_.at(number);
      if (run.live() == 0) continue;
      if (!run.bitmap && !run.dead.isEmpty()) {
        auto bitmap =
            std::make_shared<PositionBitmap>(static_cast<size_t>((run.rows->num_rows() + 63) / 64), 0);
        for (const uint32_t row : run.dead) (*bitmap)[row / 64] |= 1ULL << (row % 64);
        run.bitmap = std::move(bitmap);
      }
      overlay->rows.push_back({PartitionValues(partition.path), run.rows, 0, run.bitmap});
    }
  }
  snapshot_ = std::move(overlay);
  return snapshot_;
}

std::unique_ptr<StagedChanges> HudiTable::Stage() const { return std::make_unique<HudiStagedChanges>(this); }

}  // namespace tarn::hudi
