#pragma once

#include <string>

namespace tarn::hudi {

/// Avro schemas of the timeline's files, as Hudi 0.15 writes them. Source: hudi-common/src/main/avro.
const std::string& CompactionPlanSchema();
const std::string& RollbackPlanSchema();
/// HoodieRequestedReplaceMetadata: the plan of a clustering.
const std::string& ClusteringRequestSchema();
const std::string& RollbackMetadataSchema();
const std::string& SavepointMetadataSchema();
const std::string& RestorePlanSchema();
const std::string& RestoreMetadataSchema();
const std::string& CleanPlanSchema();
const std::string& CleanMetadataSchema();
/// HoodieArchivedMetaEntry with the members that tarn fills; readers take the others' defaults.
const std::string& ArchivedEntrySchema();

}  // namespace tarn::hudi
