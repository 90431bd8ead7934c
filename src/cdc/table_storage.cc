#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "cdc/source_catalog.h"

// What SourceTable::storage tells, which the catalogue's query writes.
namespace tarn::cdc {
namespace {

constexpr char kTypeMark = 't';       ///< Before the object id, in the pairs of kTypeForms.
constexpr char kPartitionMark = 'p';  ///< Before that of a partition.
constexpr char kCountMark = 'n';      ///< Before the number of attributes.
constexpr char kWrittenMark = '@';    ///< Behind a partition's filenode, before that transaction.
constexpr char kAttachedMark = 'a';   ///< Behind the transaction that made it one, when it was no new table.

/// The "a:b" pairs of the first (0) or second (1) half of a SourceTable::storage.
std::map<std::string, std::string> PairsOf(const std::string& storage, int half) {
  const size_t slash = std::min(storage.find('/'), storage.size());
  const std::string text =
      half == 0 ? storage.substr(0, slash) : storage.substr(std::min(slash + 1, storage.size()));
  std::map<std::string, std::string> pairs;
  std::stringstream entries(text);
  for (std::string entry; std::getline(entries, entry, ',');) {
    const size_t colon = entry.find(':');
    if (colon != std::string::npos) pairs[entry.substr(0, colon)] = entry.substr(colon + 1);
  }
  return pairs;
}

/// Of a relation's pair, without the transaction that wrote its row of pg_class.
std::string Filenode(const std::string& node) { return node.substr(0, node.find(kWrittenMark)); }

/// What became of the partitions that are known, and of those that came and have another storage already.
struct Replacements {
  size_t replaced = 0, kept = 0;
  std::set<std::string> transactions;  ///< Those that replaced them.
};

/// A partition that is not known began with its object id as its filenode. Source: PostgreSQL,
/// heap_create_with_catalog.
Replacements ReplacementsOf(const std::string& before, const std::string& now) {
  Replacements found;
  const auto known = PairsOf(before, 0);
  if (known.empty()) return found;
  for (const auto& [oid, node] : PairsOf(now, 0)) {
    const size_t mark = node.find(kWrittenMark);
    if (mark == std::string::npos) return {};  // No partition.
    const auto same = known.find(oid);
    const bool is_new = same == known.end();
    if (Filenode(node) == (is_new ? oid : Filenode(same->second))) {
      found.kept += is_new ? 0 : 1;
    } else {
      found.replaced++;
      found.transactions.insert(node.substr(mark));
    }
  }
  return found;
}

/// Of a partition's pair, without the mark: DDL on a partition may bring one later.
std::string Transaction(const std::string& since) { return since.substr(0, since.find(kAttachedMark)); }

}  // namespace

bool StorageReplaced(const std::string& before, const std::string& now) {
  const auto nodes = PairsOf(now, 0);
  for (const auto& [oid, node] : PairsOf(before, 0)) {
    const auto same = nodes.find(oid);
    if (!nodes.empty() && (same == nodes.end() || Filenode(same->second) != Filenode(node))) return true;
  }
  return false;
}

std::string WhyOtherPartitions(const std::string& before, const std::string& now) {
  const auto known = PairsOf(before, 1);
  const auto partitions = PairsOf(now, 1);
  for (const auto& [part, since] : known) {
    if (part[0] != kPartitionMark) continue;
    const auto same = partitions.find(part);
    if (same == partitions.end()) return "a partition was detached or dropped";
    if (Transaction(same->second) != Transaction(since)) return "a partition was detached and attached again";
  }
  for (const auto& [part, since] : partitions) {
    if (part[0] == kPartitionMark && since.back() == kAttachedMark && !known.contains(part))
      return "a partition was attached, whose rows no message tells";
  }
  const Replacements found = ReplacementsOf(before, now);
  if (found.replaced > 0 && (found.kept > 0 || found.transactions.size() > 1))
    return "a partition was truncated, or rewritten, by its own name, which no message tells";
  return "";
}

bool NeedsTruncate(const std::string& before, const std::string& now) {
  const Replacements found = ReplacementsOf(before, now);
  return found.replaced > 0 && found.kept == 0 && found.transactions.size() == 1;
}

bool RowsKeptPlaces(const std::string& before, const std::string& now) {
  for (const int half : {0, 1}) {
    const auto known = PairsOf(before, half), present = PairsOf(now, half);
    for (const auto& [what, since] : known) {
      if (what[0] == kCountMark) continue;
      const auto same = present.find(what);
      if (same == present.end()) return false;
      const bool is_partition = what[0] == kPartitionMark;
      const bool is_same = is_partition ? Transaction(same->second) == Transaction(since)
                                        : Filenode(same->second) == Filenode(since);
      if (!is_same) return false;
    }
    const bool others_came = std::any_of(present.begin(), present.end(), [&](const auto& pair) {
      const char mark = pair.first[0];
      return half == 1 && mark != kPartitionMark && mark != kCountMark && !known.contains(pair.first);
    });
    if (others_came) return false;
  }
  return WhyOtherPartitions(before, now).empty();
}

bool WasGenerated(const std::string& storage, int16_t attnum) {
  const auto pairs = PairsOf(storage, 1);
  const auto count = pairs.find(std::string(1, kCountMark));
  return attnum > 0 && count != pairs.end() && attnum <= std::atoi(count->second.c_str()) &&
         !pairs.contains(std::to_string(attnum));
}

bool ColumnsTouched(const std::string& before, const std::string& now) {
  const auto xmins = PairsOf(now, 1);
  for (const auto& [attnum, xmin] : PairsOf(before, 1)) {
    const auto same = xmins.find(attnum);
    const bool is_column = attnum[0] != kTypeMark && attnum[0] != kPartitionMark && attnum[0] != kCountMark;
    if (is_column && same != xmins.end() && same->second != xmin) return true;
  }
  return false;
}

bool TypesReformed(const std::string& before, const std::string& now) {
  const auto forms = PairsOf(now, 1);
  for (const auto& [type, form] : PairsOf(before, 1)) {
    const auto same = forms.find(type);
    if (type[0] == kTypeMark && same != forms.end() && same->second != form) return true;
  }
  return false;
}

}  // namespace tarn::cdc
