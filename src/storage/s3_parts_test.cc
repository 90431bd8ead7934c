#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "storage/arrow_status.h"
#include "storage/s3_client.h"
#include "storage/s3_xml.h"

namespace tarn::storage {
namespace {

using testing::HasSubstr;

TEST(S3XmlTest, ReadsWhatS3Writes) {
  const std::string xml =
      "<?xml version=\"1.0\"?>\n<ListBucketResult "
      "xmlns=\"http://s3\"><Prefix>p</Prefix><KeyCount>2</KeyCount>"
      "<Contents><Key>a &amp; "
      "b&#x1F41F;&#10;&lt;</Key><Size>3</Size></Contents><Contents><Key>c</Key></Contents>"
      "<CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes><Delimiter/></ListBucketResult>";
  const auto contents = XmlElements(xml, "Contents");
  ASSERT_EQ(contents.size(), 2U);
  EXPECT_EQ(XmlText(contents[0], "Key"), "a & b🐟\n<");
  EXPECT_EQ(XmlText(contents[1], "Size"), std::nullopt);
  EXPECT_EQ(XmlText(XmlElements(xml, "CommonPrefixes")[0], "Prefix"), "d/");
  EXPECT_EQ(XmlText(xml, "Delimiter"), "");
  EXPECT_EQ(XmlText(xml, "Key"), "a & b🐟\n<");
}

TEST(S3XmlTest, BytesThatAreNoXmlGiveNothing) {
  for (const std::string broken :
       {"", "<", "<Key", "<Key>", "<Key>a", "<Key>a</Ke", "Key>a</Key>", "<KeyCount>1</KeyCount>"})
    EXPECT_EQ(XmlText(broken, "Key"), std::nullopt) << broken;
  EXPECT_EQ(XmlText("<Key>&bogus; &#xZZ; &#99999999999; & &amp</Key>", "Key"),
            "&bogus; &#xZZ; &#99999999999; & &amp");
  EXPECT_EQ(UrlDecode("a%20b+c%2B%zz%4"), "a b c+%zz%4");
  EXPECT_EQ(XmlEscape("a<b>&\t"), "a&lt;b&gt;&amp;&#9;");
}

TEST(S3LocationTest, BucketAndPrefix) {
  const auto location = ParseS3Location("s3://lake-1.example/a/b/");
  ASSERT_TRUE(location);
  EXPECT_EQ(location->bucket, "lake-1.example");
  EXPECT_EQ(location->prefix, "a/b");
  EXPECT_EQ(ParseS3Location("s3://lake")->prefix, "");
  for (const char* wrong : {"lake/b", "s3:/lake", "s3://", "s3:///b", "s3://Lake/b", "s3://la ke/b"}) {
    const auto refused = ParseS3Location(wrong);
    ASSERT_FALSE(refused) << wrong;
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(refused.error().message, HasSubstr(wrong));
  }
}

S3Call Put() { return {"write", "PUT", "a/b"}; }
Error Refusal(int status, const std::string& code, const std::string& more = "") {
  S3Options options;
  options.bucket = "lake";
  HttpResponse response{
      status, {}, code.empty() ? "" : "<Error><Code>" + code + "</Code>" + more + "</Error>"};
  return S3ErrorOf(options, Put(), response);
}

TEST(S3ErrorTest, EachRefusalSaysWhatToDo) {
  struct Case {
    int status;
    const char* code;
    ErrorCode wanted;
    const char* says;
  };
  for (const Case& c :
       {Case{404, "NoSuchBucket", ErrorCode::kInvalidArgument, "make it, or correct [bronze] path"},
        Case{403, "AccessDenied", ErrorCode::kPermission, "s3:PutObject"},
        Case{403, "", ErrorCode::kPermission, "s3:PutObject"},
        Case{403, "SignatureDoesNotMatch", ErrorCode::kPermission, "the secret key is not"},
        Case{403, "InvalidAccessKeyId", ErrorCode::kPermission, "AWS_ACCESS_KEY_ID"},
        Case{400, "ExpiredToken", ErrorCode::kPermission, "run out"},
        Case{403, "RequestTimeTooSkewed", ErrorCode::kPermission, "clock"},
        Case{412, "PreconditionFailed", ErrorCode::kAlreadyExists, "there already"},
        Case{412, "", ErrorCode::kAlreadyExists, "there already"},
        Case{409, "ConditionalRequestConflict", ErrorCode::kAlreadyExists, "there already"},
        Case{404, "NoSuchKey", ErrorCode::kNotFound, "NoSuchKey"},
        Case{503, "SlowDown", ErrorCode::kUnavailable, "SlowDown"},
        Case{400, "RequestTimeout", ErrorCode::kUnavailable, "RequestTimeout"},
        Case{500, "", ErrorCode::kUnavailable, "HTTP status 500"},
        Case{400, "EntityTooLarge", ErrorCode::kIo, "EntityTooLarge"}}) {
    const Error error = Refusal(c.status, c.code);
    EXPECT_EQ(error.code, c.wanted) << error.message;
    EXPECT_THAT(error.message, HasSubstr(c.says));
    EXPECT_THAT(error.message, HasSubstr("s3://lake/a/b"));
  }
  const Error region = Refusal(301, "PermanentRedirect", "<Region>eu-west-3</Region>");
  EXPECT_EQ(region.code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(region.message, HasSubstr("in the region 'eu-west-3': set [s3] region"));
}

TEST(S3ErrorTest, OnlyWhatPassesIsTriedAgain) {
  const auto transient = [](int status, const std::string& code) {
    return IsTransient({status, {}, code.empty() ? "" : "<Error><Code>" + code + "</Code></Error>"});
  };
  for (const auto& [status, code] :
       std::vector<std::pair<int, std::string>>{{500, ""},
                                                {502, ""},
                                                {503, "SlowDown"},
                                                {504, ""},
                                                {429, ""},
                                                {400, "RequestTimeout"},
                                                {200, "InternalError"},
                                                {409, "ConditionalRequestConflict"}})
    EXPECT_TRUE(transient(status, code)) << status << code;
  for (const auto& [status, code] : std::vector<std::pair<int, std::string>>{{400, ""},
                                                                             {403, "AccessDenied"},
                                                                             {404, "NoSuchKey"},
                                                                             {412, "PreconditionFailed"},
                                                                             {301, ""},
                                                                             {501, ""},
                                                                             {403, "SignatureDoesNotMatch"}})
    EXPECT_FALSE(transient(status, code)) << status << code;
}

/// Sets the environment for as long as it lives.
class Environment {
 public:
  Environment(std::initializer_list<std::pair<const char*, std::string>> values) {
    for (const char* name : {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
                             "AWS_SHARED_CREDENTIALS_FILE", "AWS_REGION", "AWS_DEFAULT_REGION"})
      ::unsetenv(name);
    for (const auto& [name, value] : values) ::setenv(name, value.c_str(), 1);
  }
};

TEST(S3CredentialsTest, FromTheEnvironmentOrAProfileElseWhatIsMissing) {
  const std::string file = testing::TempDir() + "tarn-credentials-" + std::to_string(::getpid());
  std::ofstream(file)
      << "# keys\n[default]\naws_access_key_id = AK\naws_secret_access_key=SK=/+\n\n"
         "[lent]\naws_access_key_id=LK\naws_secret_access_key=LS\naws_session_token = LT\n[half]\n"
         "aws_access_key_id=HK\n";
  {
    Environment set{
        {"AWS_ACCESS_KEY_ID", "EK"}, {"AWS_SECRET_ACCESS_KEY", "ES"}, {"AWS_SHARED_CREDENTIALS_FILE", file}};
    EXPECT_EQ(FindS3Credentials()->access_key, "EK");
  }
  {
    Environment set{{"AWS_SHARED_CREDENTIALS_FILE", file}};
    EXPECT_EQ(FindS3Credentials()->secret_key, "SK=/+");
  }
  {
    Environment set{{"AWS_SHARED_CREDENTIALS_FILE", file}, {"AWS_PROFILE", "lent"}};
    EXPECT_EQ(FindS3Credentials()->session_token, "LT");
  }
  const auto refused = [](const Environment&) { return FindS3Credentials().error(); };
  EXPECT_THAT(refused({{"AWS_ACCESS_KEY_ID", "EK"}}).message, HasSubstr("no AWS_SECRET_ACCESS_KEY"));
  EXPECT_THAT(refused({{"AWS_SHARED_CREDENTIALS_FILE", file}, {"AWS_PROFILE", "half"}}).message,
              HasSubstr("has no aws_secret_access_key"));
  EXPECT_THAT(refused({{"AWS_SHARED_CREDENTIALS_FILE", file}, {"AWS_PROFILE", "none"}}).message,
              HasSubstr("no profile [none]"));
  EXPECT_THAT(refused({{"AWS_SHARED_CREDENTIALS_FILE", file + "-none"}}).message,
              HasSubstr("AWS_ACCESS_KEY_ID"));
  std::filesystem::remove(file);
}

TEST(S3ClientTest, AddressesThatAreNoneAreRefused) {
  Environment set{{"AWS_ACCESS_KEY_ID", "EK"}, {"AWS_SECRET_ACCESS_KEY", "ES"}};
  S3Options options;
  options.bucket = "lake";
  EXPECT_THAT(S3Client::Make(options).error().message, HasSubstr("set [s3] region"));
  for (const char* wrong :
       {"minio:9000", "ftp://minio", "https://", "https://minio/path", "https://u:p@minio"}) {
    options.endpoint = wrong;
    EXPECT_THAT(S3Client::Make(options).error().message, HasSubstr("https://host:port")) << wrong;
  }
  options.endpoint = "https://minio:9000/";
  EXPECT_TRUE(S3Client::Make(options));
}

TEST(ArrowStatusTest, AStoresErrorKeepsItsCodeThroughArrow) {
  const Error away = MakeError(ErrorCode::kUnavailable, "away");
  const arrow::Status wrapped = ToArrow(away).WithMessage("column 3: away");
  EXPECT_EQ(FromArrow(wrapped, ErrorCode::kCorrupt, "read").error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(FromArrow(wrapped, ErrorCode::kCorrupt, "read").error().message, "away");
  const Status own = FromArrow(arrow::Status::Invalid("bad"), ErrorCode::kCorrupt, "read 'x'");
  EXPECT_EQ(own.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(own.error().message, HasSubstr("read 'x': Invalid: bad"));
  EXPECT_TRUE(FromArrow(arrow::Status::OK(), ErrorCode::kCorrupt, ""));
}

}  // namespace
}  // namespace tarn::storage
