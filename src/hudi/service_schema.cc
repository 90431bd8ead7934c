#include "hudi/service_schema.h"

namespace tarn::hudi {

const std::string& CompactionPlanSchema() {
  static const std::string schema =
      R"({"type":"record","name":"HoodieCompactionPlan","namespace":"org.apache.hudi.avro.model","fields")"
      R"(:[{"name":"operations","type":["null",{"type":"array","items":{"type":"record","name":"HoodieCom)"
      R"(pactionOperation","fields":[{"name":"baseInstantTime","type":["null","string"]},{"name":"deltaFi)"
      R"(lePaths","type":["null",{"type":"array","items":"string"}],"default":null},{"name":"dataFilePath)"
      R"(","type":["null","string"],"default":null},{"name":"fileId","type":["null","string"]},{"name":"p)"
      R"(artitionPath","type":["null","string"],"default":null},{"name":"metrics","type":["null",{"type":)"
      R"("map","values":"double"}],"default":null},{"name":"bootstrapFilePath","type":["null","string"],")"
      R"(default":null}]}}],"default":null},{"name":"extraMetadata","type":["null",{"type":"map","values")"
      R"(:"string"}],"default":null},{"name":"version","type":["int","null"],"default":1},{"name":"strate)"
      R"(gy","type":["null",{"type":"record","name":"HoodieCompactionStrategy","fields":[{"name":"compact)"
      R"(orClassName","type":["null","string"],"default":null},{"name":"strategyParams","type":["null",{")"
      R"(type":"map","values":"string"}],"default":null},{"name":"version","type":["int","null"],"default)"
      R"(":1}]}],"default":null},{"name":"preserveHoodieMetadata","type":["boolean","null"],"default":fal)"
      R"(se}]})";
  return schema;
}

const std::string& RollbackPlanSchema() {
  static const std::string schema =
      R"({"type":"record","name":"HoodieRollbackPlan","namespace":"org.apache.hudi.avro.model","fields":[)"
      R"({"name":"instantToRollback","type":["null",{"type":"record","name":"HoodieInstantInfo","fields":)"
      R"([{"name":"commitTime","type":"string"},{"name":"action","type":"string"}]}],"default":null},{"na)"
      R"(me":"RollbackRequests","type":["null",{"type":"array","items":{"type":"record","name":"HoodieRol)"
      R"(lbackRequest","fields":[{"name":"partitionPath","type":"string"},{"name":"fileId","type":["null")"
      R"(,"string"],"default":null},{"name":"latestBaseInstant","type":["null","string"],"default":null},)"
      R"({"name":"filesToBeDeleted","type":{"type":"array","items":"string","default":[]},"default":[]},{)"
      R"("name":"logBlocksToBeDeleted","type":["null",{"type":"map","values":"long"}],"default":null}]}}])"
      R"(,"default":null},{"name":"version","type":["int","null"],"default":1}]})";
  return schema;
}

const std::string& RollbackMetadataSchema() {
  static const std::string schema =
      R"({"type":"record","name":"HoodieRollbackMetadata","namespace":"org.apache.hudi.avro.model","field)"
      R"(s":[{"name":"startRollbackTime","type":"string"},{"name":"timeTakenInMillis","type":"long"},{"na)"
      R"(me":"totalFilesDeleted","type":"int"},{"name":"commitsRollback","type":{"type":"array","items":")"
      R"(string"}},{"name":"partitionMetadata","type":{"type":"map","values":{"type":"record","name":"Hoo)"
      R"(dieRollbackPartitionMetadata","fields":[{"name":"partitionPath","type":"string"},{"name":"succes)"
      R"(sDeleteFiles","type":{"type":"array","items":"string"}},{"name":"failedDeleteFiles","type":{"typ)"
      R"(e":"array","items":"string"}},{"name":"rollbackLogFiles","type":["null",{"type":"map","values":")"
      R"(long"}],"default":null},{"name":"logFilesFromFailedCommit","type":["null",{"type":"map","values")"
      R"(:"long"}],"default":null}]}}},{"name":"version","type":["int","null"],"default":1},{"name":"inst)"
      R"(antsRollback","type":{"type":"array","items":{"type":"record","name":"HoodieInstantInfo","fields)"
      R"(":[{"name":"commitTime","type":"string"},{"name":"action","type":"string"}]},"default":[]},"defa)"
      R"(ult":[]}]})";
  return schema;
}

const std::string& SavepointMetadataSchema() {
  static const std::string schema =
      R"({"type":"record","name":"HoodieSavepointMetadata","namespace":"org.apache.hudi.avro.model","fiel)"
      R"(ds":[{"name":"savepointedBy","type":"string"},{"name":"savepointedAt","type":"long"},{"name":"co)"
      R"(mments","type":"string"},{"name":"partitionMetadata","type":{"type":"map","values":{"type":"reco)"
      R"(rd","name":"HoodieSavepointPartitionMetadata","fields":[{"name":"partitionPath","type":"string"})"
      R"(,{"name":"savepointDataFile","type":{"type":"array","items":"string"}}]}}},{"name":"version","ty)"
      R"(pe":["int","null"],"default":1}]})";
  return schema;
}

const std::string& RestorePlanSchema() {
  static const std::string schema =
      R"({"type":"record","name":"HoodieRestorePlan","namespace":"org.apache.hudi.avro.model","fields":[{)"
      R"("name":"instantsToRollback","type":{"type":"array","items":{"type":"record","name":"HoodieInstan)"
      R"(tInfo","fields":[{"name":"commitTime","type":"string"},{"name":"action","type":"string"}]},"defa)"
      R"(ult":null},"default":[]},{"name":"version","type":["int","null"],"default":2},{"name":"savepoint)"
      R"(ToRestoreTimestamp","type":["null","string"],"default":null}]})";
  return schema;
}

const std::string& RestoreMetadataSchema() {
  static const std::string schema =
      R"({"type":"record","name":"HoodieRestoreMetadata","namespace":"org.apache.hudi.avro.model","fields)"
      R"(":[{"name":"startRestoreTime","type":"string"},{"name":"timeTakenInMillis","type":"long"},{"name)"
      R"(":"instantsToRollback","type":{"type":"array","items":"string"}},{"name":"hoodieRestoreMetadata")"
      R"(,"type":{"type":"map","values":{"type":"array","items":["null",{"type":"record","name":"HoodieRo)"
      R"(llbackMetadata","fields":[{"name":"startRollbackTime","type":"string"},{"name":"timeTakenInMilli)"
      R"(s","type":"long"},{"name":"totalFilesDeleted","type":"int"},{"name":"commitsRollback","type":{"t)"
      R"(ype":"array","items":"string"}},{"name":"partitionMetadata","type":{"type":"map","values":{"type)"
      R"(":"record","name":"HoodieRollbackPartitionMetadata","fields":[{"name":"partitionPath","type":"st)"
      R"(ring"},{"name":"successDeleteFiles","type":{"type":"array","items":"string"}},{"name":"failedDel)"
      R"(eteFiles","type":{"type":"array","items":"string"}},{"name":"rollbackLogFiles","type":["null",{")"
      R"(type":"map","values":"long"}],"default":null},{"name":"logFilesFromFailedCommit","type":["null",)"
      R"({"type":"map","values":"long"}],"default":null}]}}},{"name":"version","type":["int","null"],"def)"
      R"(ault":1},{"name":"instantsRollback","type":{"type":"array","items":{"type":"record","name":"Hood)"
      R"(ieInstantInfo","fields":[{"name":"commitTime","type":"string"},{"name":"action","type":"string"})"
      R"(]},"default":[]},"default":[]}]}],"default":null}}},{"name":"version","type":["int","null"],"def)"
      R"(ault":1},{"name":"restoreInstantInfo","type":{"type":"array","items":"HoodieInstantInfo","defaul)"
      R"(t":null},"default":[]}]})";
  return schema;
}

const std::string& CleanPlanSchema() {
  static const std::string schema =
      R"({"type":"record","name":"HoodieCleanerPlan","namespace":"org.apache.hudi.avro.model","fields":[{)"
      R"("name":"earliestInstantToRetain","type":["null",{"type":"record","name":"HoodieActionInstant","f)"
      R"(ields":[{"name":"timestamp","type":"string"},{"name":"action","type":"string"},{"name":"state",")"
      R"(type":"string"}]}],"default":null},{"name":"lastCompletedCommitTimestamp","type":"string","defau)"
      R"(lt":""},{"name":"policy","type":"string"},{"name":"filesToBeDeletedPerPartition","type":["null",)"
      R"({"type":"map","values":{"type":"array","items":"string"}}],"default":null},{"name":"version","ty)"
      R"(pe":["int","null"],"default":1},{"name":"filePathsToBeDeletedPerPartition","type":["null",{"type)"
      R"(":"map","values":{"type":"array","items":{"type":"record","name":"HoodieCleanFileInfo","fields":)"
      R"([{"name":"filePath","type":["null","string"],"default":null},{"name":"isBootstrapBaseFile","type)"
      R"(":["null","boolean"],"default":null}]}}}],"default":null},{"name":"partitionsToBeDeleted","type")"
      R"(:["null",{"type":"array","items":"string"}],"default":null},{"name":"extraMetadata","type":["nul)"
      R"(l",{"type":"map","values":"string","default":null}],"default":null}]})";
  return schema;
}

const std::string& CleanMetadataSchema() {
  static const std::string schema =
      R"({"type":"record","name":"HoodieCleanMetadata","namespace":"org.apache.hudi.avro.model","fields":)"
      R"([{"name":"startCleanTime","type":"string"},{"name":"timeTakenInMillis","type":"long"},{"name":"t)"
      R"(otalFilesDeleted","type":"int"},{"name":"earliestCommitToRetain","type":"string"},{"name":"lastC)"
      R"(ompletedCommitTimestamp","type":"string","default":""},{"name":"partitionMetadata","type":{"type)"
      R"(":"map","values":{"type":"record","name":"HoodieCleanPartitionMetadata","fields":[{"name":"parti)"
      R"(tionPath","type":"string"},{"name":"policy","type":"string"},{"name":"deletePathPatterns","type")"
      R"(:{"type":"array","items":"string"}},{"name":"successDeleteFiles","type":{"type":"array","items":)"
      R"("string"}},{"name":"failedDeleteFiles","type":{"type":"array","items":"string"}},{"name":"isPart)"
      R"(itionDeleted","type":["null","boolean"],"default":null}]}}},{"name":"version","type":["int","nul)"
      R"(l"],"default":1},{"name":"bootstrapPartitionMetadata","type":["null",{"type":"map","values":"Hoo)"
      R"(dieCleanPartitionMetadata","default":null}],"default":null},{"name":"extraMetadata","type":["nul)"
      R"(l",{"type":"map","values":"string","default":null}],"default":null}]})";
  return schema;
}

const std::string& ArchivedEntrySchema() {
  static const std::string schema =
      R"({"type":"record","name":"HoodieArchivedMetaEntry","namespace":"org.apache.hudi.avro.model","fiel)"
      R"(ds":[{"name":"hoodieCommitMetadata","type":["null",{"type":"record","name":"HoodieCommitMetadata)"
      R"(","fields":[{"name":"partitionToWriteStats","type":["null",{"type":"map","values":{"type":"array)"
      R"(","items":{"type":"record","name":"HoodieWriteStat","fields":[{"name":"fileId","type":["null","s)"
      R"(tring"],"default":null},{"name":"path","type":["null","string"],"default":null},{"name":"prevCom)"
      R"(mit","type":["null","string"],"default":null},{"name":"numWrites","type":["null","long"],"defaul)"
      R"(t":null},{"name":"numDeletes","type":["null","long"],"default":null},{"name":"numUpdateWrites",")"
      R"(type":["null","long"],"default":null},{"name":"totalWriteBytes","type":["null","long"],"default")"
      R"(:null},{"name":"totalWriteErrors","type":["null","long"],"default":null},{"name":"partitionPath")"
      R"(,"type":["null","string"],"default":null},{"name":"totalLogRecords","type":["null","long"],"defa)"
      R"(ult":null},{"name":"totalLogFiles","type":["null","long"],"default":null},{"name":"totalUpdatedR)"
      R"(ecordsCompacted","type":["null","long"],"default":null},{"name":"numInserts","type":["null","lon)"
      R"(g"],"default":null},{"name":"totalLogBlocks","type":["null","long"],"default":null},{"name":"tot)"
      R"(alCorruptLogBlock","type":["null","long"],"default":null},{"name":"totalRollbackBlocks","type":[)"
      R"("null","long"],"default":null},{"name":"fileSizeInBytes","type":["null","long"],"default":null}])"
      R"(}}}],"default":null},{"name":"extraMetadata","type":["null",{"type":"map","values":"string","def)"
      R"(ault":null}],"default":null},{"name":"version","type":["int","null"],"default":1},{"name":"opera)"
      R"(tionType","type":["null","string"],"default":null}]}],"default":null},{"name":"hoodieCleanMetada)"
      R"(ta","type":["null",{"type":"record","name":"HoodieCleanMetadata","fields":[{"name":"startCleanTi)"
      R"(me","type":"string"},{"name":"timeTakenInMillis","type":"long"},{"name":"totalFilesDeleted","typ)"
      R"(e":"int"},{"name":"earliestCommitToRetain","type":"string"},{"name":"lastCompletedCommitTimestam)"
      R"(p","type":"string","default":""},{"name":"partitionMetadata","type":{"type":"map","values":{"typ)"
      R"(e":"record","name":"HoodieCleanPartitionMetadata","fields":[{"name":"partitionPath","type":"stri)"
      R"(ng"},{"name":"policy","type":"string"},{"name":"deletePathPatterns","type":{"type":"array","item)"
      R"(s":"string"}},{"name":"successDeleteFiles","type":{"type":"array","items":"string"}},{"name":"fa)"
      R"(iledDeleteFiles","type":{"type":"array","items":"string"}},{"name":"isPartitionDeleted","type":[)"
      R"("null","boolean"],"default":null}]}}},{"name":"version","type":["int","null"],"default":1},{"nam)"
      R"(e":"bootstrapPartitionMetadata","type":["null",{"type":"map","values":"HoodieCleanPartitionMetad)"
      R"(ata","default":null}],"default":null},{"name":"extraMetadata","type":["null",{"type":"map","valu)"
      R"(es":"string","default":null}],"default":null}]}],"default":null},{"name":"hoodieRollbackMetadata)"
      R"(","type":["null",{"type":"record","name":"HoodieRollbackMetadata","fields":[{"name":"startRollba)"
      R"(ckTime","type":"string"},{"name":"timeTakenInMillis","type":"long"},{"name":"totalFilesDeleted",)"
      R"("type":"int"},{"name":"commitsRollback","type":{"type":"array","items":"string"}},{"name":"parti)"
      R"(tionMetadata","type":{"type":"map","values":{"type":"record","name":"HoodieRollbackPartitionMeta)"
      R"(data","fields":[{"name":"partitionPath","type":"string"},{"name":"successDeleteFiles","type":{"t)"
      R"(ype":"array","items":"string"}},{"name":"failedDeleteFiles","type":{"type":"array","items":"stri)"
      R"(ng"}},{"name":"rollbackLogFiles","type":["null",{"type":"map","values":"long"}],"default":null},)"
      R"({"name":"logFilesFromFailedCommit","type":["null",{"type":"map","values":"long"}],"default":null)"
      R"(}]}}},{"name":"version","type":["int","null"],"default":1},{"name":"instantsRollback","type":{"t)"
      R"(ype":"array","items":{"type":"record","name":"HoodieInstantInfo","fields":[{"name":"commitTime",)"
      R"("type":"string"},{"name":"action","type":"string"}]},"default":[]},"default":[]}]}],"default":nu)"
      R"(ll},{"name":"commitTime","type":["null","string"],"default":null},{"name":"actionType","type":[")"
      R"(null","string"],"default":null},{"name":"version","type":["int","null"],"default":1},{"name":"ac)"
      R"(tionState","type":["null","string"],"default":null},{"name":"stateTransitionTime","type":["null")"
      R"(,"string"],"default":null}]})";
  return schema;
}

}  // namespace tarn::hudi
