#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "avro/container.h"
#include "hudi/file_name.h"
#include "hudi/hudi_table.h"
#include "hudi/service_schema.h"

namespace tarn::hudi {
namespace {

using nlohmann::ordered_json;

/// What executes a plan of Spark's that names it; ours sorts nothing.
constexpr const char* kStrategy =
    "org.apache.hudi.client.clustering.run.strategy.SparkSortAndSizeExecutionStrategy";
constexpr double kMegabyte = 1024.0 * 1024.0;

}  // namespace

std::vector<std::vector<uint32_t>> HudiTable::ChooseClusters(const ServiceOptions& options) const {
  const int64_t small =
      options.small_file_bytes > 0 ? options.small_file_bytes : options_.target_file_bytes / 2;
  std::vector<std::vector<uint32_t>> clusters;
  const auto add = [&](std::vector<uint32_t> cluster) {
    if (cluster.size() > 1) clusters.push_back(std::move(cluster));
  };
  for (const auto& groups : partition_groups_) {
    std::vector<uint32_t> cluster;
    int64_t bytes = 0;
    for (const uint32_t ordinal : groups) {
      const WriterGroup& group = groups_[ordinal];
      if (group.total_bytes() >= small || group.is_planned()) continue;
      if (bytes + group.total_bytes() > options_.target_file_bytes) {
        add(std::exchange(cluster, {}));
        bytes = 0;
      }
      cluster.push_back(ordinal);
      bytes += group.total_bytes();
    }
    add(std::move(cluster));
  }
  const auto most = static_cast<size_t>(std::max(options.max_clusters, 1));
  if (clusters.size() > most) clusters.resize(most);
  return clusters;
}

Result<std::string> HudiTable::ClusteringPlan(const std::vector<std::vector<uint32_t>>& clusters) const {
  ordered_json input = ordered_json::array();
  for (const auto& cluster : clusters) {
    ordered_json slices = ordered_json::array();
    int64_t bytes = 0, logs = 0;
    for (const uint32_t ordinal : cluster) {
      const WriterGroup& group = groups_[ordinal];
      const auto path = [&](const std::string& name) { return JoinPath(FolderOf(group.partition), name); };
      ordered_json names = ordered_json::array();
      for (const LogFile& log : group.logs) names.push_back(path(log.name));
      logs += static_cast<int64_t>(group.logs.size());
      bytes += group.total_bytes();
      slices.push_back({{"dataFilePath", path(group.base.name)},
                        {"deltaFilePaths", std::move(names)},
                        {"fileId", group.file_id},
                        {"partitionPath", partitions_[group.partition]},
                        {"bootstrapFilePath", ""},
                        {"version", 1}});
    }
    const double megabytes = static_cast<double>(bytes) / kMegabyte;
    input.push_back({{"slices", std::move(slices)},
                     {"metrics",
                      {{"TOTAL_IO_READ_MB", megabytes},
                       {"TOTAL_IO_WRITE_MB", megabytes},
                       {"TOTAL_IO_MB", 2 * megabytes},
                       {"TOTAL_LOG_FILES", static_cast<double>(logs)}}},
                     {"numOutputFileGroups", 1},
                     {"extraMetadata", ordered_json::object()},
                     {"version", 1}});
  }
  const ordered_json plan{
      {"inputGroups", std::move(input)},
      {"strategy",
       {{"strategyClassName", kStrategy}, {"strategyParams", ordered_json::object()}, {"version", 1}}},
      {"extraMetadata", ordered_json::object()},
      {"version", 1},
      {"preserveHoodieMetadata", true}};
  return avro::WriteContainer(ClusteringRequestSchema(),
                              ordered_json{{"operationType", "CLUSTER"},
                                           {"clusteringPlan", plan},
                                           {"extraMetadata", ordered_json::object()},
                                           {"version", 1}}
                                  .dump());
}

Status HudiTable::WriteCluster(const std::vector<uint32_t>& cluster, CommitContent* content) {
  const std::string& partition = partitions_[groups_[cluster.front()].partition];
  const std::string file_id = NewFileId();
  const int ordinal = static_cast<int>(content->bases.size());
  TARN_ASSIGN(auto file, OpenBase(partition, file_id, content->instant, ordinal));
  for (const uint32_t small : cluster) {
    Rewrite rewrite;
    rewrite.file = std::move(file);
    TARN_RETURN_IF_ERROR(RewriteSlice(content->instant, WorkOf(small), ordinal, &rewrite, nullptr));
    file = std::move(rewrite.file);
    content->metadata.replaced_groups[partition].push_back(groups_[small].file_id);
  }
  TARN_RETURN_IF_ERROR(file->Close());
  content->metadata.stats.push_back(BaseStat(*file, ""));
  content->bases.push_back({NewBase::kNewGroup, std::move(file)});
  return {};
}

Result<std::optional<CommitResult>> HudiTable::Cluster(const std::string& instant,
                                                       const ServiceOptions& options,
                                                       const CommitProperties& properties) {
  TARN_RETURN_IF_ERROR(Begin(instant));
  const auto clusters = ChooseClusters(options);
  if (clusters.empty()) return std::optional<CommitResult>();
  CommitContent content;
  content.instant = instant;
  content.metadata.operation = "CLUSTER";
  TARN_ASSIGN(content.clustering_plan, ClusteringPlan(clusters));
  for (const auto& cluster : clusters) TARN_RETURN_IF_ERROR(WriteCluster(cluster, &content));
  Describe(content, properties);
  TARN_RETURN_IF_ERROR(Publish(content));
  CommitResult result = ResultOf(content);
  // Every row of the old groups has another place now, and these do not count any more.
  needs_recovery_ = true;
  next_clean_ = {};
  TARN_RETURN_IF_ERROR(Settle());
  return std::optional(std::move(result));
}

}  // namespace tarn::hudi
