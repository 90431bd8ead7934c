#include "hudi/service_schema.h"

namespace tarn::hudi {

const std::string& ClusteringRequestSchema() {
  static const std::string schema =
      R"({"type":"record","name":"HoodieRequestedReplaceMetadata","namespace":"org.apache.hudi.avro)"
      R"(.model","fields":[{"name":"operationType","type":["null","string"],"default":null},{"name")"
      R"(:"clusteringPlan","type":["null",{"type":"record","name":"HoodieClusteringPlan","fields":[)"
      R"({"name":"inputGroups","type":["null",{"type":"array","items":{"type":"record","name":"Hood)"
      R"(ieClusteringGroup","fields":[{"name":"slices","type":["null",{"type":"array","items":{"typ)"
      R"(e":"record","name":"HoodieSliceInfo","fields":[{"name":"dataFilePath","type":["null","stri)"
      R"(ng"],"default":null},{"name":"deltaFilePaths","type":["null",{"type":"array","items":"stri)"
      R"(ng"}],"default":null},{"name":"fileId","type":["null","string"]},{"name":"partitionPath",")"
      R"(type":["null","string"],"default":null},{"name":"bootstrapFilePath","type":["null","string)"
      R"("],"default":null},{"name":"version","type":["int","null"],"default":1}]}}],"default":null)"
      R"(},{"name":"metrics","type":["null",{"type":"map","values":"double"}],"default":null},{"nam)"
      R"(e":"numOutputFileGroups","type":["int","null"],"default":1},{"name":"extraMetadata","type")"
      R"(:["null",{"type":"map","values":"string"}],"default":null},{"name":"version","type":["int")"
      R"(,"null"],"default":1}]}}],"default":null},{"name":"strategy","type":["null",{"type":"recor)"
      R"(d","name":"HoodieClusteringStrategy","fields":[{"name":"strategyClassName","type":["null",)"
      R"("string"],"default":null},{"name":"strategyParams","type":["null",{"type":"map","values":")"
      R"(string"}],"default":null},{"name":"version","type":["int","null"],"default":1}]}],"default)"
      R"(":null},{"name":"extraMetadata","type":["null",{"type":"map","values":"string"}],"default")"
      R"(:null},{"name":"version","type":["int","null"],"default":1},{"name":"preserveHoodieMetadat)"
      R"(a","type":["null","boolean"],"default":null}]}],"default":null},{"name":"extraMetadata","t)"
      R"(ype":["null",{"type":"map","values":"string"}],"default":null},{"name":"version","type":[")"
      R"(int","null"],"default":1}]})";
  return schema;
}

}  // namespace tarn::hudi
