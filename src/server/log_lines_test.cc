#include "server/log_lines.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

namespace sluice::server {
namespace {

using nlohmann::json;

std::string Line(bool is_json, const json& members) {
  LogOptions options;
  options.is_json = is_json;
  return LogLine(options, *ParseInstant("2024-01-02T03:04:05Z"), LogLevel::kWarn, "request", members);
}

TEST(LogLinesTest, WritesOneJsonObjectALine) {
  const std::string line = Line(true, {{"id", "a\nb"}, {"status", 200}, {"text", "\xff"}});
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto parsed = json::parse(line);
  EXPECT_EQ(parsed["time"], "2024-01-02T03:04:05Z");
  EXPECT_EQ(parsed["level"], "warn");
  EXPECT_EQ(parsed["event"], "request");
  EXPECT_EQ(parsed["id"], "a\nb");
  EXPECT_EQ(parsed["status"], 200);
  EXPECT_EQ(Line(true, json::object()).back(), '}');
}

TEST(LogLinesTest, WritesTextThatNothingCanBreak) {
  EXPECT_EQ(Line(false, {{"a", "plain"}, {"b", 1}}), "2024-01-02T03:04:05Z warn request a=plain b=1");
  EXPECT_EQ(Line(false, {{"a", "two words"}, {"b", "x\ny=1"}}),
            "2024-01-02T03:04:05Z warn request a=\"two words\" b=\"x\\ny=1\"");
  EXPECT_EQ(Line(false, {{"a", ""}}), "2024-01-02T03:04:05Z warn request a=\"\"");
}

TEST(LogLinesTest, MakesAFileAnewThatWasMovedAway) {
  const auto folder = std::filesystem::temp_directory_path() / ("sluice-log-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  const std::string path = folder / "node.log";
  const auto lines = [&] {
    std::ifstream file(path);
    int count = 0;
    for (std::string line; std::getline(file, line);) ++count;
    return count;
  };
  const auto comes = [&](int count) {
    for (int i = 0; i < 300 && lines() != count; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return lines();
  };
  SystemClock clock;
  LogOptions options;
  options.file = path;
  {
    auto log = LogLines::Open(options, clock);
    ASSERT_TRUE(log.ok());
    (*log)->Write(LogLevel::kDebug, "unseen", json::object());
    (*log)->Write(LogLevel::kInfo, "a", json::object());
    EXPECT_EQ(comes(1), 1);
    std::filesystem::rename(path, path + ".1");
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));
    (*log)->Write(LogLevel::kInfo, "b", json::object());
    EXPECT_EQ(comes(1), 1);
    (*log)->Write(LogLevel::kInfo, "c", json::object());
  }
  EXPECT_EQ(lines(), 2);  // what waited was written
  options.file = "/nowhere/at/all";
  EXPECT_FALSE(LogLines::Open(options, clock).ok());
  std::filesystem::remove_all(folder);
}

TEST(LogLinesTest, HidesUploadTokens) {
  EXPECT_EQ(WithoutSecrets("/d/ingest?uploadToken=abc.def&a=b"), "/d/ingest?uploadToken=***&a=b");
  EXPECT_EQ(WithoutSecrets("/platform/file/upload/abc.def"), "/platform/file/upload/***");
  EXPECT_EQ(WithoutSecrets("/platform/file/upload/prepare?fileName=x"),
            "/platform/file/upload/prepare?fileName=x");
}

}  // namespace
}  // namespace sluice::server
