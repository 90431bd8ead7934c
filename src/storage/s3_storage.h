#pragma once

#include <memory>

#include "storage/s3_client.h"
#include "storage/storage.h"

namespace tarn::storage {

/// A bucket of an object store. Paths are "s3://bucket/key"; a folder is what is before a '/' of keys.
/// Objects appear whole when they are complete; PutIfAbsent is a conditional write, and a write of ours whose
/// answer was lost is known by a name that it carries. Staged files that grow beyond some MB are multipart
/// uploads. What is not answered for the moment is tried again (S3Options::patience_micros), then
/// kUnavailable: it may have been done all the same, even later. Asks nobody here.
/// Errors: kInvalidArgument, kPermission of the options and credentials.
Result<std::unique_ptr<Storage>> OpenS3Storage(S3Options options);

/// See StagedFile. `path`: for messages.
std::unique_ptr<StagedFile> StageS3Object(std::shared_ptr<S3Client> client, std::string key);
/// Asks for the size; kNotFound when there is no such object.
Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenS3Object(std::shared_ptr<S3Client> client,
                                                                  const std::string& key);

/// Names a write, so that it is known again when its answer was lost.
extern const char* const kWriteHeader;
std::string NewWriteName();
/// Whether the object is there and was made by the write of that name.
Result<bool> WasWrittenBy(S3Client& client, const std::string& key, const std::string& write_name);

}  // namespace tarn::storage
