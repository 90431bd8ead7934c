#pragma once

#include <memory>

#include "engine/session.h"
#include "pipeline/options.h"
#include "pipeline/source_check.h"
#include "storage/storage.h"

namespace tarn::pipeline {

/// The lake's folder and, where Bronze is in an object store, that too, as one storage. For the one process
/// that writes the lake.
Result<std::unique_ptr<storage::Storage>> OpenLakeStorage(const PipelineOptions& options);
/// The same for readers; what keeps the object store from being opened is the error of reading Bronze only.
std::unique_ptr<storage::Storage> OpenLakeStorageReadOnly(const PipelineOptions& options);
/// What sessions open files with. `storage` outlives them.
engine::FileOpener OpenerOf(const storage::Storage* storage, const PipelineOptions& options);

/// Makes sure that Bronze's place is this lake's and no other's, and that the store honours If-None-Match;
/// removes uploads that a killed process left. Nothing to do for a lake whose Bronze is in its folder.
/// Errors: kConflict when Bronze is elsewhere or another lake's, kUnsupported when the store writes over what
/// is there.
Status ClaimBronze(storage::Storage& storage, const PipelineOptions& options);

/// Errors: kConflict when the folder holds files of a lake, but not what that lake knew of itself.
Status CheckNewLake(const storage::Storage& storage, const PipelineOptions& options);

/// For `tarn check`: writes a small object into the object store, and lists, reads and removes it. Nothing
/// for a lake whose Bronze is in its folder.
std::vector<Finding> CheckBronzeStore(const PipelineOptions& options);

}  // namespace tarn::pipeline
