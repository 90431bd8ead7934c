#include "storage/s3_signature.h"

#include <gtest/gtest.h>

namespace tarn::storage {
namespace {

// The examples of "Signature Calculations for the Authorization Header: Transferring Payload in a Single
// Chunk" of the Amazon S3 API Reference. The tests' S3 server checks no signature: these do.
const S3Credentials kExample = {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};

std::string Signature(S3Request request, std::string_view body = "",
                      const S3Credentials& credentials = kExample) {
  request.host = "examplebucket.s3.amazonaws.com";
  SignRequest(request, body, credentials, "us-east-1", "20130524T000000Z");
  const std::string& header = request.headers["authorization"];
  EXPECT_TRUE(header.starts_with(
      "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders="))
      << header;
  return header.substr(header.find("Signature=") + 10);
}

TEST(S3SignatureTest, GetObject) {
  EXPECT_EQ(Signature({"GET", "", "/test.txt", {}, {{"range", "bytes=0-9"}}}),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(S3SignatureTest, PutObject) {
  EXPECT_EQ(
      Signature({"PUT",
                 "",
                 "/test$file.text",
                 {},
                 {{"date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}}},
                "Welcome to Amazon S3."),
      "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST(S3SignatureTest, GetBucketLifecycle) {
  EXPECT_EQ(Signature({"GET", "", "/", {{"lifecycle", ""}}, {}}),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

TEST(S3SignatureTest, ListObjects) {
  EXPECT_EQ(Signature({"GET", "", "/", {{"max-keys", "2"}, {"prefix", "J"}}, {}}),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(S3SignatureTest, SigningAgainReplacesWhatTheFirstTryAdded) {
  S3Request request = {"GET", "h", "/k", {}, {}};
  SignRequest(request, "", {"AKIA", "secret", "lent"}, "us-east-1", "20130524T000000Z");
  EXPECT_EQ(request.headers["x-amz-security-token"], "lent");
  SignRequest(request, "", {"AKIA", "secret", ""}, "us-east-1", "20130524T000001Z");
  EXPECT_FALSE(request.headers.contains("x-amz-security-token"));
  S3Request fresh = {"GET", "h", "/k", {}, {}};
  SignRequest(fresh, "", {"AKIA", "secret", ""}, "us-east-1", "20130524T000001Z");
  EXPECT_EQ(request.headers, fresh.headers);
}

TEST(S3SignatureTest, EncodingKeepsWhatAwsKeepsAndNothingElse) {
  EXPECT_EQ(UriEncode("a b+c=d/e~f%20ü", true), "a%20b%2Bc%3Dd/e~f%2520%C3%BC");
  EXPECT_EQ(UriEncode("a/b", false), "a%2Fb");
  EXPECT_EQ(CanonicalQuery({{"uploads", ""}, {"prefix", "a/b c"}}), "prefix=a%2Fb%20c&uploads=");
}

TEST(S3SignatureTest, DigestsAndTimes) {
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Md5Base64("hello"), "XUFAKrxLKna5cZ2REBfFkg==");
  EXPECT_EQ(SigningTime(1'795'515'300'000'000), "20261124T101500Z");
}

}  // namespace
}  // namespace tarn::storage
