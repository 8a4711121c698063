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
  void Replace(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::trunc) << text;
  }
  std::string Read(const std::string& name) const {
    std::ifstream file(folder_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
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

// Wherever a crash cuts the last of three records: the two whole ones stay, and the next is whole.
TEST_F(FileTest, WhatACrashLeftOfARecordIsRemoved) {
  const std::string data = R"({\"a\": [1, -2.5e3, true, null]}\n{\n\u00e4 ä 😀 )" + std::string(100'000, 'x');
  for (const std::string format : {"ndjson", "pretty"}) {
    const std::string path = format + ".out";
    const auto write = [&](const std::string& uuid) {
      auto writer = maker_->MakeWriter(fmt::format("{{type: file, path: {}, format: {}}}", path, format));
      ASSERT_TRUE(writer.ok()) << writer.error().ToString();
      ASSERT_TRUE((*writer)->Open({}).ok());
      const auto batch = pipeline::testing::BatchOf(
          fmt::format(R"({{"uuid":"{}","data":"{}","metadata":{{"n":[1,{{"m":2}}]}}}})", uuid, data));
      ASSERT_TRUE((*writer)->Write(batch, {}).ok());
    };
    write("a");
    const std::string one = Read(path);
    write("b");
    write("c");
    const std::string three = Read(path);
    const size_t third = one.size() * 2;
    ASSERT_EQ(three.size(), third + one.size());
    std::vector<size_t> cuts;
    for (size_t at = 0; at < one.size(); at += at < 300 || at + 500 > one.size() ? 1 : 9973)
      cuts.push_back(at);
    for (const size_t cut : cuts) {
      Replace(path, three.substr(0, third + cut));
      write("d");
      const std::string now = Read(path);
      ASSERT_EQ(now.substr(0, third), three.substr(0, third)) << format << " " << cut;
      // All but its line end was there: the record is whole.
      const size_t fourth = third + (cut + 1 == one.size() ? one.size() : 0);
      ASSERT_EQ(now.substr(fourth).size(), one.size()) << format << " " << cut;
    }
  }
}

TEST_F(FileTest, WhatIsNoRecordStays) {
  for (const std::string before :
       {"{\"torn\": nonsense", "notes of somebody", "{\"whole\": 1}", "[1, 2", "7"}) {
    Replace("out.ndjson", before);
    auto writer = maker_->MakeWriter("{type: file, path: out.ndjson}");
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE((*writer)->Open({}).ok());
    ASSERT_TRUE((*writer)->Write(pipeline::testing::BatchOf("{\"uuid\":\"a\"}"), {}).ok());
    const auto lines = Lines("out.ndjson");
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_EQ(lines[0], before);
    EXPECT_TRUE(lines[1].starts_with("{\"uuid\":\"a\""));
  }
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
