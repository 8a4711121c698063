#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "connectors/file/connector.h"
#include "pipeline/testing/conformance.h"
#include "pipeline/testing/scripted.h"

namespace sluice::connectors {
namespace {

using pipeline::testing::CheckIngestor;
using pipeline::testing::CheckWriter;
using pipeline::testing::ConnectorMaker;

class FileTest : public ::testing::Test {
 protected:
  FileTest() {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              ("file_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    RegisterFile(registry_);
    maker_ = std::make_unique<ConnectorMaker>(registry_, folder_.string());
  }
  std::vector<std::string> Lines(const std::string& name) const {
    std::ifstream file(folder_ / name);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }
  void Append(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::app) << text;
  }

  std::filesystem::path folder_;
  pipeline::Registry registry_;
  std::unique_ptr<ConnectorMaker> maker_;
};

TEST_F(FileTest, TheWriterConforms) {
  CheckWriter({[&] { return maker_->MakeWriter("{type: file, path: new/folder/out.ndjson}"); },
               [&] { return Lines("new/folder/out.ndjson"); }},
              {.is_idempotent = false, .knows_identifiers = false});
}

TEST_F(FileTest, TheIngestorConforms) {
  CheckIngestor({[&] { return maker_->MakeIngestor("{type: file, path: in.ndjson}"); },
                 [&](const std::string& text) { Append("in.ndjson", text); }});
}

TEST_F(FileTest, TheFollowingIngestorConforms) {
  CheckIngestor(
      {[&] { return maker_->MakeIngestor("{type: file, path: in.ndjson, follow: true, poll: 5ms}"); },
       [&](const std::string& text) { Append("in.ndjson", text); }},
      {.is_finite = false});
}

TEST_F(FileTest, ATornLineOfACrashIsEnded) {
  Append("out.ndjson", "{\"torn\":");
  auto writer = maker_->MakeWriter("{type: file, path: out.ndjson}");
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE((*writer)->Open({}).ok());
  ASSERT_TRUE((*writer)->Write(pipeline::testing::BatchOf("{\"uuid\":\"a\"}"), {}).ok());
  const auto lines = Lines("out.ndjson");
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_TRUE(lines[1].starts_with("{\"uuid\":\"a\""));
}

TEST_F(FileTest, TwoWritersOfOneFileDestroyNothing) {
  auto one = maker_->MakeWriter("{type: file, path: out.ndjson}");
  auto other = maker_->MakeWriter("{type: file, path: out.ndjson}");
  ASSERT_TRUE((*one)->Open({}).ok() && (*other)->Open({}).ok());
  for (int i = 0; i < 6; i += 2) {
    ASSERT_TRUE((*one)->Write(pipeline::testing::Numbered("a", i, i + 1), {}).ok());
    ASSERT_TRUE((*other)->Write(pipeline::testing::Numbered("a", i + 1, i + 2), {}).ok());
  }
  const auto lines = Lines("out.ndjson");
  ASSERT_EQ(lines.size(), 6U);
  for (size_t i = 0; i < lines.size(); ++i)
    EXPECT_THAT(lines[i], ::testing::HasSubstr(fmt::format("\"a{}\"", i)));
}

TEST_F(FileTest, AFolderIsNoFile) {
  auto writer = maker_->MakeWriter("{type: file, path: .}");
  ASSERT_TRUE(writer.ok());
  EXPECT_FALSE((*writer)->Open({}).ok());
  auto ingestor = maker_->MakeIngestor("{type: file, path: missing.ndjson}");
  ASSERT_TRUE(ingestor.ok());
  struct NoIntake final : pipeline::Intake {
    Status Offer(pipeline::Delivery, std::chrono::milliseconds) override { return {}; }
  } intake;
  const Status status = (*ingestor)->Start(intake, {});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace sluice::connectors
