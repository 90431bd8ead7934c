#include "hudi/spooled_changes.h"

#include <arrow/api.h>

#include "hudi/avro_schema.h"
#include "hudi/hudi_table.h"
#include "hudi/spooled_commit.h"

namespace tarn::hudi {

class HudiSpooledChanges : public SpooledChanges {
 public:
  explicit HudiSpooledChanges(HudiTable* table) : table_(table), spool_(MakeSpool()) {}

  Status Add(const ChangeSet& changes) override {
    if (changes.deletes && changes.deletes->num_rows() > 0) {
      TARN_ASSIGN(const IdentityKeys keys, table_->keys_.FromIdentities(*changes.deletes));
      TARN_RETURN_IF_ERROR(spool_->Add(*changes.deletes, keys.identities, true));
    }
    if (changes.upserts && changes.upserts->num_rows() > 0) return AddUpserts(changes.upserts);
    return {};
  }

  Status Truncate() override {
    truncated_ = true;
    spool_.reset();  // Its folder is the next one's.
    spool_ = MakeSpool();
    return {};
  }

  bool empty() const override { return !truncated_ && spool_->pieces() == 0; }

  Result<std::vector<StagedChanges::Newest>> Find(const arrow::RecordBatch& identities) override {
    using State = StagedChanges::Newest::State;
    TARN_ASSIGN(const IdentityKeys keys, table_->keys_.FromIdentities(identities));
    std::vector<StagedChanges::Newest> found(keys.identities.size());
    for (size_t i = 0; i < found.size(); i++) {
      const auto newest = spool_->Find(keys.identities[i]);
      if (!newest) {
        found[i].state = truncated_ ? State::kDeleted : State::kUntouched;
      } else if (spool_->AreDeletes(newest->piece)) {
        found[i].state = State::kDeleted;
      } else {
        TARN_ASSIGN(auto batch, spool_->Open(newest->piece));
        found[i] = {State::kLive, std::move(batch), newest->row};
      }
    }
    return found;
  }

  Result<CommitResult> Commit(const std::string& instant, const CommitProperties& properties) override {
    if (truncated_) return CommitAsReload(instant, properties);
    return SpooledCommit(table_, spool_.get(), paths_, instant).Run(properties);
  }

 private:
  std::unique_ptr<ChangeSpool> MakeSpool() const {
    return std::make_unique<ChangeSpool>(table_->SpoolFolder());
  }

  Status AddUpserts(const std::shared_ptr<arrow::RecordBatch>& upserts) {
    TARN_ASSIGN(const auto rows, ProjectTo(upserts, table_->options_.schema));
    TARN_ASSIGN(const RowKeys keys, table_->keys_.FromRows(*rows));
    std::vector<uint32_t> known;
    for (const std::string& path : keys.paths) {
      const auto [it, added] = path_index_.emplace(path, static_cast<uint32_t>(paths_.size()));
      if (added) paths_.push_back(path);
      known.push_back(it->second);
    }
    arrow::UInt32Builder paths;
    for (const uint32_t path : keys.partitions)
      TARN_RETURN_IF_ERROR(FromArrow(paths.Append(known[path]), "spool changes"));
    auto path_column = paths.Finish();
    TARN_RETURN_IF_ERROR(FromArrow(path_column.status(), "spool changes"));
    arrow::FieldVector fields = rows->schema()->fields();
    fields.push_back(arrow::field(kRecordKey, arrow::utf8()));
    fields.push_back(arrow::field(SpooledCommit::kPath, arrow::uint32()));
    arrow::ArrayVector columns = rows->columns();
    columns.push_back(keys.keys);
    columns.push_back(*path_column);
    const auto piece =
        arrow::RecordBatch::Make(arrow::schema(std::move(fields)), rows->num_rows(), std::move(columns));
    return spool_->Add(*piece, keys.identities, false);
  }

  /// What is left is the whole content.
  Result<CommitResult> CommitAsReload(const std::string& instant, const CommitProperties& properties) {
    TARN_ASSIGN(const auto reload, table_->BeginReload(instant, table_->options_.schema));
    for (uint32_t piece = 0; piece < spool_->pieces(); piece++) {
      if (spool_->AreDeletes(piece)) continue;
      TARN_ASSIGN(const ChangeSpool::LiveRows live, spool_->Live(piece));
      TARN_ASSIGN(const auto columns, ProjectTo(live.batch, table_->options_.schema));
      const std::vector<int64_t> rows(live.rows.begin(), live.rows.end());
      TARN_ASSIGN(const auto taken, TakeRows(*columns, rows));
      TARN_RETURN_IF_ERROR(reload->Append(*taken));
    }
    return reload->Finish(properties);
  }

  HudiTable* table_;
  std::unique_ptr<ChangeSpool> spool_;
  bool truncated_ = false;
  std::vector<std::string> paths_;  ///< Of partitions, by the number that pieces have for them.
  std::unordered_map<std::string, uint32_t> path_index_;
};

Result<std::unique_ptr<SpooledChanges>> HudiTable::Spool() {
  TARN_RETURN_IF_ERROR(NeedIndex());
  return std::unique_ptr<SpooledChanges>(std::make_unique<HudiSpooledChanges>(this));
}

}  // namespace tarn::hudi
