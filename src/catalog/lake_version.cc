#include "catalog/lake_version.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/fault.h"

namespace tarn::catalog {
namespace {

constexpr const char* kVersions = "versions";
constexpr const char* kGoldVersions = "gold_versions";

std::string ToJson(const LakeVersion& version) {
  return nlohmann::json{{"instant", version.instant},
                        {"epoch", version.epoch},
                        {"lsn", version.lsn.ToString()},
                        {"commit_micros", version.commit_micros},
                        {"tables", version.tables},
                        {"held", version.held},
                        {"bronze_alone", version.bronze_alone}}
      .dump();
}

Result<LakeVersion> VersionFromJson(const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    LakeVersion version;
    version.instant = json.at("instant");
    version.epoch = json.at("epoch");
    TARN_ASSIGN(version.lsn, Lsn::Parse(json.at("lsn").get<std::string>()));
    version.commit_micros = json.at("commit_micros");
    version.tables = json.at("tables");
    version.held = json.at("held");
    version.bronze_alone = json.value("bronze_alone", std::vector<std::string>{});
    return version;
  } catch (const nlohmann::json::exception& error) {
    return MakeError(ErrorCode::kCorrupt, "a lake version cannot be read: {}", error.what());
  }
}

std::string ToJson(const GoldVersion& version) {
  return nlohmann::json{{"instant", version.instant},
                        {"source_instant", version.source_instant},
                        {"commit_micros", version.commit_micros},
                        {"models", version.models}}
      .dump();
}

Result<GoldVersion> GoldFromJson(const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    return GoldVersion{json.at("instant"), json.at("source_instant"), json.at("commit_micros"),
                       json.at("models")};
  } catch (const nlohmann::json::exception& error) {
    return MakeError(ErrorCode::kCorrupt, "a Gold version cannot be read: {}", error.what());
  }
}

}  // namespace

Result<std::unique_ptr<LakeVersions>> LakeVersions::Open(const storage::Storage* storage,
                                                         const LakeLayout& layout) {
  std::unique_ptr<LakeVersions> versions(new LakeVersions(storage, layout));
  TARN_RETURN_IF_ERROR(versions->Refresh());
  return versions;
}

Result<std::vector<LakeVersions::Entry>> LakeVersions::List(const storage::Storage& storage,
                                                            const std::string& folder) {
  TARN_ASSIGN(const auto files, storage.List(folder));
  std::vector<Entry> entries;
  for (const auto& file : files) {
    // <instant>-<commit micros>.json
    if (file.name.size() < 24 || !file.name.ends_with(".json") || file.name[17] != '-') continue;
    Entry entry{file.name.substr(0, 17), 0};
    std::from_chars(file.name.data() + 18, file.name.data() + file.name.size() - 5, entry.commit_micros);
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::string LakeVersions::PathOf(const std::string& folder, const Entry& entry) const {
  return fmt::format("{}/{}-{}.json", layout_.Internal(folder), entry.instant, entry.commit_micros);
}

Status LakeVersions::Refresh() {
  TARN_ASSIGN(auto entries, List(*storage_, layout_.Internal(kVersions)));
  TARN_ASSIGN(auto gold, List(*storage_, layout_.Internal(kGoldVersions)));
  const std::lock_guard lock(mutex_);
  if (newest_ && !entries.empty() && entries.back().instant > newest_->instant) newest_.reset();
  entries_ = std::move(entries);
  gold_entries_ = std::move(gold);
  return {};
}

Status LakeVersions::Publish(storage::Storage& storage, const LakeVersion& version) {
  const Entry entry{version.instant, version.commit_micros};
  TARN_FAULT_POINT("lake_version.before_publish");
  TARN_RETURN_IF_ERROR(storage.PutIfAbsent(PathOf(kVersions, entry), ToJson(version)));
  TARN_FAULT_POINT("lake_version.after_publish");
  const std::lock_guard lock(mutex_);
  entries_.push_back(entry);
  newest_ = version;
  return {};
}

Status LakeVersions::PublishGold(storage::Storage& storage, const GoldVersion& version) {
  const Entry entry{version.instant, version.commit_micros};
  TARN_RETURN_IF_ERROR(storage.PutIfAbsent(PathOf(kGoldVersions, entry), ToJson(version)));
  const std::lock_guard lock(mutex_);
  gold_entries_.push_back(entry);
  gold_.emplace(version.instant, version);
  return {};
}

Result<LakeVersion> LakeVersions::Find(std::optional<int64_t> as_of_micros) {
  Entry entry;
  {
    const std::lock_guard lock(mutex_);
    if (entries_.empty()) {
      return MakeError(
          ErrorCode::kNotFound,
          "the lake '{}' has no complete version yet; the first copy may still be running (`tarn status`)",
          layout_.root());
    }
    if (!as_of_micros && newest_) return *newest_;
    // Commit times rise with instants but for a source whose clock was set back; the newest that fits is
    // meant.
    auto at = entries_.rbegin();
    while (as_of_micros && at != entries_.rend() && at->commit_micros > *as_of_micros) ++at;
    if (at == entries_.rend()) {
      return MakeError(ErrorCode::kNotFound, "the lake's history begins at {}, nothing is known as of {}",
                       FormatTimestamp(entries_.front().commit_micros), FormatTimestamp(*as_of_micros));
    }
    entry = *at;
  }
  TARN_ASSIGN(const std::string text, storage_->Read(PathOf(kVersions, entry)));
  TARN_ASSIGN(LakeVersion version, VersionFromJson(text));
  const std::lock_guard lock(mutex_);
  if (!as_of_micros && (!newest_ || newest_->instant < version.instant)) newest_ = version;
  return version;
}

Result<std::optional<GoldVersion>> LakeVersions::FindGold(const LakeVersion& version) {
  std::vector<Entry> candidates;
  {
    const std::lock_guard lock(mutex_);
    candidates = gold_entries_;
  }
  for (auto entry = candidates.rbegin(); entry != candidates.rend(); ++entry) {
    if (entry->commit_micros > version.commit_micros) continue;
    GoldVersion gold;
    {
      const std::lock_guard lock(mutex_);
      const auto known = gold_.find(entry->instant);
      if (known != gold_.end()) gold = known->second;
    }
    if (gold.instant.empty()) {
      TARN_ASSIGN(const std::string text, storage_->Read(PathOf(kGoldVersions, *entry)));
      TARN_ASSIGN(gold, GoldFromJson(text));
      const std::lock_guard lock(mutex_);
      gold_.emplace(gold.instant, gold);
    }
    if (gold.source_instant <= version.instant) return std::optional<GoldVersion>(std::move(gold));
  }
  return std::optional<GoldVersion>();
}

Result<int64_t> LakeVersions::Prune(storage::Storage& storage, int64_t micros) {
  std::vector<Entry> old;
  std::vector<Entry> old_gold;
  {
    const std::lock_guard lock(mutex_);
    const auto take = [micros](std::vector<Entry>& from, std::vector<Entry>& to) {
      while (from.size() > 1 && from[1].commit_micros < micros) {
        to.push_back(from.front());
        from.erase(from.begin());
      }
    };
    take(entries_, old);
    take(gold_entries_, old_gold);
    for (const Entry& entry : old_gold) gold_.erase(entry.instant);
  }
  for (const Entry& entry : old) TARN_RETURN_IF_ERROR(storage.Remove(PathOf(kVersions, entry)));
  for (const Entry& entry : old_gold) TARN_RETURN_IF_ERROR(storage.Remove(PathOf(kGoldVersions, entry)));
  return static_cast<int64_t>(old.size() + old_gold.size());
}

size_t LakeVersions::size() {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace tarn::catalog
