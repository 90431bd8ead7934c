#include "storage/s3_client.h"
#include "storage/s3_xml.h"

/// What an object store answers with: a listing, or a refusal.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tarn::storage;
  const std::string body(reinterpret_cast<const char*>(data), size);
  for (const std::string_view object : XmlElements(body, "Contents")) {
    (void)UrlDecode(XmlText(object, "Key").value_or(""));
    (void)XmlText(object, "Size");
  }
  for (const std::string_view below : XmlElements(body, "CommonPrefixes"))
    if (const auto prefix = XmlText(below, "Prefix")) (void)XmlEscape(*prefix);
  const int status = size == 0 ? 0 : data[0] * 3;
  (void)S3ErrorOf(S3Options{"bucket"}, {"read", "GET", "key"}, {status, {}, body});
  return 0;
}
