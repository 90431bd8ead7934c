#include "app/config_section.h"

namespace tarn::app {

Status ReadObjectStore(const Section& bronze, Section s3, const std::string& folder,
                       pipeline::PipelineOptions& options) {
  storage::S3Options& store = options.s3;
  bool path_style = false;
  int64_t retry_seconds = store.patience_micros / 1'000'000;
  TARN_RETURN_IF_ERROR(s3.Read("endpoint", store.endpoint));
  TARN_RETURN_IF_ERROR(s3.Read("region", store.region));
  TARN_RETURN_IF_ERROR(s3.Read("path_style", path_style));
  TARN_RETURN_IF_ERROR(s3.Read("sse", store.sse));
  TARN_RETURN_IF_ERROR(s3.Read("kms_key_id", store.kms_key_id));
  TARN_RETURN_IF_ERROR(s3.Read("ca_file", store.ca_file));
  TARN_RETURN_IF_ERROR(s3.Read("retry_seconds", retry_seconds));
  TARN_RETURN_IF_ERROR(s3.CheckKnown());
  if (s3.Has("path_style")) store.path_style = path_style;
  if (!store.ca_file.empty() && store.ca_file[0] != '/') store.ca_file = folder + "/" + store.ca_file;
  if (retry_seconds < 1) return s3.Wrong(s3.at("retry_seconds"), "[s3] retry_seconds must be 1 or more");
  store.patience_micros = retry_seconds * 1'000'000;
  if (!store.sse.empty() && store.sse != "AES256" && store.sse != "aws:kms")
    return s3.Wrong(s3.at("sse"), "[s3] sse '" + store.sse + "' is neither AES256 nor aws:kms");
  if (!store.kms_key_id.empty() && store.sse != "aws:kms")
    return s3.Wrong(s3.at("kms_key_id"), "[s3] kms_key_id needs sse = \"aws:kms\"");
  if (options.bronze_path.empty()) {
    if (s3.present()) return s3.Wrong("is of no use without [bronze] path = \"s3://bucket/prefix\"");
    return {};
  }
  const auto location = storage::ParseS3Location(options.bronze_path);
  if (!location) return bronze.Wrong(bronze.at("path"), "[bronze] path " + location.error().message);
  if (location->prefix.empty()) {
    return bronze.Wrong(bronze.at("path"),
                        "[bronze] path '" + options.bronze_path +
                            "' names the bucket as a whole: add a prefix, s3://bucket/prefix");
  }
  store.bucket = location->bucket;
  options.bronze_path = "s3://" + location->bucket + "/" + location->prefix;
  return {};
}

}  // namespace tarn::app
