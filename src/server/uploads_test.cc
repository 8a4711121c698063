#include "server/uploads.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <vector>

#include "base/clock.h"
#include "base/random.h"

namespace sluice::server {
namespace {

namespace fs = std::filesystem;

class UploadsTest : public testing::Test {
 protected:
  UploadsTest() : root_(fs::temp_directory_path() / ("uploads-" + RandomName(12))) {
    fs::create_directories(root_);
  }
  ~UploadsTest() override { fs::remove_all(root_); }
  std::unique_ptr<Uploads> Open() {
    auto opened = Uploads::Open(root_.string(), clock_, options_);
    EXPECT_TRUE(opened.ok()) << opened.error().ToString();
    return std::move(*opened);
  }
  static Upload OfKim(uint64_t size) {
    Upload upload;
    upload.account = "kim";
    upload.file_name = "a.csv";
    upload.content_length = size;
    return upload;
  }

  const fs::path root_;
  FixedClock clock_{ParseInstant("2024-01-01T00:00:00Z").value()};
  UploadOptions options_;
};

TEST_F(UploadsTest, KeepsAFileOverARestart) {
  const auto token = Open()->Prepare(OfKim(3));
  ASSERT_TRUE(token.ok());
  auto uploads = Open();
  const auto upload = uploads->Check(*token);
  ASSERT_TRUE(upload.ok());
  EXPECT_EQ(upload->account, "kim");
  EXPECT_EQ(upload->file_name, "a.csv");
  EXPECT_EQ(uploads->Load(*upload).error().code(), ErrorCode::kNotFound);
  EXPECT_FALSE(uploads->Store(*upload, "four").ok());
  ASSERT_TRUE(uploads->Store(*upload, "abc").ok());
  uploads = Open();
  EXPECT_EQ(uploads->Load(*upload).value(), "abc");
}

TEST_F(UploadsTest, BelievesNoTokenButItsOwn) {
  const auto uploads = Open();
  const std::string token = uploads->Prepare(OfKim(3)).value();
  for (size_t i = 0; i < token.size(); ++i) {
    std::string other = token;
    other[i] = other[i] == 'A' ? 'B' : 'A';
    const auto upload = uploads->Check(other);
    EXPECT_FALSE(upload.ok()) << other;
  }
  const std::vector<std::string> texts = {"", ".", "a.b", "a", token.substr(0, 40), token + "A", token + "."};
  for (const auto& text : texts)
    EXPECT_EQ(uploads->Check(text).error().code(), ErrorCode::kInvalidArgument) << text;
  EXPECT_FALSE(uploads->Check(std::string(1 << 20, 'a')).ok());
  // Another node's.
  fs::remove(root_ / "upload-key");
  EXPECT_FALSE(Open()->Check(token).ok());
}

TEST_F(UploadsTest, ATokenExpires) {
  const auto uploads = Open();
  const auto token = uploads->Prepare(OfKim(3)).value();
  clock_.Set(ParseInstant("2024-01-01T01:01:00Z").value());
  EXPECT_EQ(uploads->Check(token).error().code(), ErrorCode::kUnauthenticated);
}

TEST_F(UploadsTest, NoMoreWaitsThanThereIsSpaceFor) {
  options_.max_total_bytes = 10;
  const auto uploads = Open();
  const auto upload = uploads->Check(uploads->Prepare(OfKim(6)).value()).value();
  const auto second = uploads->Check(uploads->Prepare(OfKim(6)).value()).value();
  ASSERT_TRUE(uploads->Store(upload, "123456").ok());
  EXPECT_EQ(uploads->Prepare(OfKim(6)).error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(uploads->Store(second, "123456").error().code(), ErrorCode::kUnavailable);
  EXPECT_TRUE(uploads->Store(upload, "654321").ok());
}

TEST_F(UploadsTest, TheKeyIsForNobodyElse) {
  (void)Open();
  struct stat about{};
  ASSERT_EQ(stat((root_ / "upload-key").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  fs::permissions(root_ / "upload-key", fs::perms::group_read, fs::perm_options::add);
  EXPECT_EQ(Uploads::Open(root_.string(), clock_, options_).error().code(), ErrorCode::kPermissionDenied);
}

std::string Form(const std::string& name, const std::string& content) {
  return "--XX\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nno\r\n--XX\r\nContent-Disposition: form-data; "
         "name=\"" +
         name + "\"; filename=\"t.csv\"\r\nContent-Type: text/csv\r\n\r\n" + content + "\r\n--XX--\r\n";
}

TEST(MultipartTest, FindsAField) {
  const std::string type = "multipart/form-data; boundary=XX";
  EXPECT_EQ(MultipartField(type, Form("file", "a\r\nb--XX\n--XX"), "file").value(), "a\r\nb--XX\n--XX");
  EXPECT_EQ(MultipartField(type, Form("file", ""), "file").value(), "");
  EXPECT_EQ(MultipartField("multipart/form-data; boundary=\"XX\"", Form("file", "x"), "file").value(), "x");
  EXPECT_FALSE(MultipartField(type, Form("files", "x"), "file").ok());
  EXPECT_FALSE(MultipartField("multipart/form-data", Form("file", "x"), "file").ok());
}

TEST(MultipartTest, NothingThatIsCutShortIsTaken) {
  const std::string type = "multipart/form-data; boundary=XX", form = Form("file", "abc");
  const size_t whole = form.rfind("\r\n--XX");
  for (size_t size = 0; size < whole + 6; ++size) {
    const auto field = MultipartField(type, form.substr(0, size), "file");
    EXPECT_FALSE(field.ok()) << size;
  }
}

}  // namespace
}  // namespace sluice::server
