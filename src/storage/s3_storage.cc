#include "storage/s3_storage.h"

#include <algorithm>
#include <charconv>
#include <random>

#include "base/clock.h"
#include "base/log.h"
#include "storage/s3_signature.h"
#include "storage/s3_xml.h"

namespace tarn::storage {
namespace {

constexpr size_t kMostDeleted = 1000;  ///< By one request.

class S3Storage : public Storage {
 public:
  explicit S3Storage(std::shared_ptr<S3Client> client) : client_(std::move(client)) {}

  Status Write(const std::string& path, std::string_view bytes) override {
    TARN_ASSIGN(const std::string key, WritableKey(path));
    TARN_ASSIGN([[maybe_unused]] const auto put,
                client_->Send({"write", "PUT", key, {}, client_->EncryptionHeaders(), bytes}));
    return {};
  }

  Status PutIfAbsent(const std::string& path, std::string_view bytes) override {
    TARN_ASSIGN(const std::string key, WritableKey(path));
    S3Call call{"write", "PUT", key, {}, client_->EncryptionHeaders(), bytes};
    const std::string write_name = NewWriteName();
    call.headers["if-none-match"] = "*";
    call.headers[kWriteHeader] = write_name;
    auto put = client_->Send(call);
    if (put) return {};
    if (put.error().code != ErrorCode::kAlreadyExists) return std::move(put).error();
    // Ours, when the answer to an earlier try was lost.
    TARN_ASSIGN(const bool ours, WasWrittenBy(*client_, key, write_name));
    if (ours) return {};
    return std::move(put).error();
  }

  Result<std::unique_ptr<StagedFile>> Stage(const std::string& path) override {
    TARN_ASSIGN(std::string key, WritableKey(path));
    return StageS3Object(client_, std::move(key));
  }

  Result<std::string> Read(const std::string& path) const override {
    TARN_ASSIGN(const std::string key, KeyOf(path));
    TARN_ASSIGN(HttpResponse response, client_->Send({"read", "GET", key}));
    return std::move(response.body);
  }
  Result<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const std::string& path) const override {
    TARN_ASSIGN(const std::string key, KeyOf(path));
    return OpenS3Object(client_, key);
  }

  Result<std::vector<FileInfo>> List(const std::string& folder) const override {
    TARN_ASSIGN(const std::string prefix, FolderPrefix(folder));
    std::vector<FileInfo> entries;
    TARN_RETURN_IF_ERROR(ForEachPage(prefix, "/", [&](const std::string& page) -> Status {
      for (const std::string_view object : XmlElements(page, "Contents")) {
        std::string name = NameOf(object, "Key", prefix);
        // Some tools make an empty object for a folder.
        if (name.empty()) continue;
        FileInfo info{std::move(name)};
        const std::string size = XmlText(object, "Size").value_or("");
        std::from_chars(size.data(), size.data() + size.size(), info.size_bytes);
        const auto modified = ParseTimestamp(XmlText(object, "LastModified").value_or(""));
        info.modified_micros = modified.value_or(0);
        entries.push_back(std::move(info));
      }
      for (const std::string_view below : XmlElements(page, "CommonPrefixes")) {
        std::string name = NameOf(below, "Prefix", prefix);
        if (name.ends_with('/')) name.pop_back();
        if (!name.empty()) entries.push_back({std::move(name), 0, 0, true});
      }
      return {};
    }));
    std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return entries;
  }

  bool Exists(const std::string& path) const override {
    const auto key = KeyOf(path);
    if (!key) return false;
    const auto head = client_->Send({"look for", "HEAD", *key});
    if (!head && head.error().code != ErrorCode::kNotFound) spdlog::warn("{}", head.error().message);
    return head.has_value();
  }

  Status Move(const std::string& from, const std::string&) override {
    return MakeError(ErrorCode::kUnsupported, "'{}' is in an object store, which moves nothing", from);
  }

  Status CreateFolder(const std::string& path) override {
    TARN_ASSIGN([[maybe_unused]] const std::string key, WritableKey(path));
    return {};
  }

  Status Remove(const std::string& path) override {
    TARN_ASSIGN(const std::string key, WritableKey(path));
    const auto removed = client_->Send({"remove", "DELETE", key});
    if (removed || removed.error().code == ErrorCode::kNotFound) return {};
    return removed.error();
  }

  Status RemoveTree(const std::string& path) override {
    TARN_RETURN_IF_ERROR(Remove(path));
    TARN_ASSIGN(const std::string prefix, FolderPrefix(path));
    std::vector<std::string> keys;
    TARN_RETURN_IF_ERROR(ForEachPage(prefix, "", [&](const std::string& page) -> Status {
      for (const std::string_view object : XmlElements(page, "Contents"))
        keys.push_back(NameOf(object, "Key", ""));
      return {};
    }));
    for (size_t from = 0; from < keys.size(); from += kMostDeleted) {
      const size_t to = std::min(keys.size(), from + kMostDeleted);
      TARN_RETURN_IF_ERROR(RemoveAll(
          {keys.begin() + static_cast<ptrdiff_t>(from), keys.begin() + static_cast<ptrdiff_t>(to)}));
    }
    return {};
  }

  Status DiscardUnpublished(const std::string& folder) override {
    TARN_ASSIGN(const std::string prefix, FolderPrefix(folder));
    if (client_->options().read_only) return ReadOnly(folder);
    S3Call call{"list the uploads of", "GET", ""};
    call.query = {{"uploads", ""}, {"prefix", prefix}};
    while (true) {
      TARN_ASSIGN(const HttpResponse response, client_->Send(call));
      for (const std::string_view upload : XmlElements(response.body, "Upload")) {
        const std::string key = XmlText(upload, "Key").value_or("");
        if (!key.starts_with(prefix)) continue;
        spdlog::info("removing the unfinished upload of '{}'", client_->PathOf(key));
        const auto aborted =
            client_->Send({"abort", "DELETE", key, {{"uploadId", XmlText(upload, "UploadId").value_or("")}}});
        if (!aborted && aborted.error().code != ErrorCode::kNotFound) return aborted.error();
      }
      if (XmlText(response.body, "IsTruncated") != "true") return {};
      call.query["key-marker"] = XmlText(response.body, "NextKeyMarker").value_or("");
      call.query["upload-id-marker"] = XmlText(response.body, "NextUploadIdMarker").value_or("");
    }
  }

 private:
  Error ReadOnly(const std::string& path) const {
    return MakeError(ErrorCode::kPermission, "'{}': the lake is open read-only", path);
  }
  Result<std::string> KeyOf(const std::string& path) const {
    const std::string root = client_->PathOf("");
    if (path.starts_with(root)) return path.substr(root.size());
    return MakeError(ErrorCode::kInvalidArgument, "'{}' is not in the bucket '{}'", path,
                     client_->options().bucket);
  }
  Result<std::string> WritableKey(const std::string& path) const {
    if (client_->options().read_only) return ReadOnly(path);
    return KeyOf(path);
  }
  /// "prefix/", empty for the bucket itself.
  Result<std::string> FolderPrefix(const std::string& folder) const {
    if (folder + "/" == client_->PathOf("")) return std::string();
    TARN_ASSIGN(std::string prefix, KeyOf(folder));
    if (!prefix.empty() && !prefix.ends_with('/')) prefix += '/';
    return prefix;
  }
  static std::string NameOf(std::string_view element, std::string_view field, const std::string& prefix) {
    const std::string key = UrlDecode(XmlText(element, field).value_or(""));
    return key.starts_with(prefix) ? key.substr(prefix.size()) : "";
  }

  Status ForEachPage(const std::string& prefix, const std::string& delimiter,
                     const std::function<Status(const std::string&)>& take) const {
    S3Call call{"list", "GET", ""};
    call.query = {{"list-type", "2"}, {"encoding-type", "url"}, {"prefix", prefix}};
    if (!delimiter.empty()) call.query["delimiter"] = delimiter;
    while (true) {
      auto response = client_->Send(call);
      if (!response) return std::move(response).error().In("'" + client_->PathOf(prefix) + "'");
      TARN_RETURN_IF_ERROR(take(response->body));
      if (XmlText(response->body, "IsTruncated") != "true") return {};
      const auto token = XmlText(response->body, "NextContinuationToken");
      if (!token) {
        return MakeError(ErrorCode::kIo,
                         "list '{}': the store says that there is more, but not how to get it",
                         client_->PathOf(prefix));
      }
      call.query["continuation-token"] = *token;
    }
  }

  Status RemoveAll(const std::vector<std::string>& keys) {
    std::string body = "<Delete><Quiet>true</Quiet>";
    for (const std::string& key : keys) body += "<Object><Key>" + XmlEscape(key) + "</Key></Object>";
    body += "</Delete>";
    S3Call call{"remove from", "POST", "", {{"delete", ""}}, {}, body};
    call.headers = {{"content-type", "application/xml"}, {"content-md5", Md5Base64(body)}};
    TARN_ASSIGN(const HttpResponse response, client_->Send(call));
    for (const std::string_view failed : XmlElements(response.body, "Error")) {
      return MakeError(ErrorCode::kIo, "remove '{}': {} ({})",
                       client_->PathOf(XmlText(failed, "Key").value_or("")),
                       XmlText(failed, "Code").value_or(""), XmlText(failed, "Message").value_or(""));
    }
    return {};
  }

  std::shared_ptr<S3Client> client_;
};

}  // namespace

const char* const kWriteHeader = "x-amz-meta-tarn-write";

std::string NewWriteName() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}{:08x}", random(), random(), random());
}

Result<bool> WasWrittenBy(S3Client& client, const std::string& key, const std::string& write_name) {
  const auto head = client.Send({"look for", "HEAD", key});
  if (head) return head->Header(kWriteHeader) == write_name;
  if (head.error().code == ErrorCode::kNotFound) return false;
  return head.error();
}

Result<std::unique_ptr<Storage>> OpenS3Storage(S3Options options) {
  TARN_ASSIGN(auto client, S3Client::Make(std::move(options)));
  return std::unique_ptr<Storage>(std::make_unique<S3Storage>(std::move(client)));
}

}  // namespace tarn::storage
