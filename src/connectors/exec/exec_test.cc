#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "connectors/exec/connector.h"
#include "pipeline/testing/bed.h"

namespace sluice::connectors::exec {
namespace {

using pipeline::Column;
using pipeline::testing::BatchOf;
using pipeline::testing::Bed;
using pipeline::testing::ColumnOf;
using Texts = std::vector<std::string>;

constexpr char kRecords[] =
    "{\"uuid\":\"1\",\"data\":\"one\"}\n{\"uuid\":\"2\",\"data\":\"two\"}\n{\"uuid\":\"3\",\"data\":\"three\"}\n";

class ExecTest : public ::testing::Test {
 protected:
  ExecTest() : bed_(RegisterExec) {
    std::string name = ::testing::TempDir() + "/exec-XXXXXX";
    folder_ = ::mkdtemp(name.data());
    bed_.set_folder(folder_);
  }
  ~ExecTest() override { std::filesystem::remove_all(folder_); }

  void Script(const std::string& text) {
    const std::string path = folder_ + "/script";
    std::ofstream(path) << "#!/bin/sh\n" << text;
    ::chmod(path.c_str(), 0700);
  }

  void Make(const std::string& options = "") {
    auto made = bed_.MakeProcessor("{type: exec, command: [./script]" + options + "}");
    ASSERT_TRUE(made.ok()) << made.error().ToString();
    processor_ = std::move(made).value();
    const Status opened = processor_->Open();
    ASSERT_TRUE(opened.ok()) << opened.error().ToString();
  }

  Result<pipeline::Batch> RunOn(std::stop_token stop = {}) {
    rejected_.clear();
    return processor_->Process(BatchOf(kRecords), &rejected_, std::move(stop));
  }

  Bed bed_;
  std::string folder_;
  std::unique_ptr<pipeline::Processor> processor_;
  std::vector<pipeline::Processor::Reject> rejected_;
};

TEST_F(ExecTest, TakesOneLineForEachLine) {
  Script("exec sed -u 's/\"data\":\"t/\"data\":\"T/'\n");
  Make();
  for (int i = 0; i < 3; ++i) {
    auto out = RunOn();
    ASSERT_TRUE(out.ok()) << out.error().ToString();
    EXPECT_EQ(ColumnOf(*out, Column::kData), (Texts{"one", "Two", "Three"}));
    EXPECT_EQ(ColumnOf(*out, Column::kUuid), (Texts{"1", "2", "3"}));
  }
}

TEST_F(ExecTest, DropsAndRefuses) {
  Script(
      "while read -r line; do case $line in *one*) echo;; *two*) echo '{\"$reject\": \"no twos\"}';; *) echo '{\"data\":\"3\"}';; esac; done\n");
  Make();
  auto out = RunOn();
  ASSERT_TRUE(out.ok()) << out.error().ToString();
  EXPECT_EQ(ColumnOf(*out, Column::kData), (Texts{"3"}));
  EXPECT_EQ(ColumnOf(*out, Column::kUuid), (Texts{"3"}));  // kept
  EXPECT_EQ(out->origins, (std::vector<int32_t>{2}));
  ASSERT_EQ(rejected_.size(), 1U);
  EXPECT_EQ(rejected_[0].row, 1);
  EXPECT_EQ(rejected_[0].reason, "no twos");
}

TEST_F(ExecTest, StartsAgainAndRefusesTheRecordThatEndsIt) {
  Script(
      "while read -r line; do case $line in *two*) echo broken on two >&2; exit 7;; *) printf '%s\\n' \"$line\";; esac; done\n");
  Make();
  auto out = RunOn();
  ASSERT_TRUE(out.ok()) << out.error().ToString();
  EXPECT_EQ(ColumnOf(*out, Column::kData), (Texts{"one", "three"}));
  ASSERT_EQ(rejected_.size(), 1U);
  EXPECT_EQ(rejected_[0].row, 1);
  EXPECT_NE(rejected_[0].reason.find("exit code 7: broken on two"), std::string::npos) << rejected_[0].reason;
  ASSERT_FALSE(bed_.notes().empty());
  EXPECT_EQ(bed_.notes()[0], "script: broken on two");
}

TEST_F(ExecTest, BlamesTheProgramThatFailsOnAll) {
  Script("exit 3\n");
  Make();
  auto out = RunOn();
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(out.error().code(), ErrorCode::kUnavailable);
  EXPECT_NE(out.error().ToString().find("exit code 3"), std::string::npos) << out.error().ToString();
}

TEST_F(ExecTest, BlamesTheProgramAlsoWhenRecordsComeOneByOne) {
  Script("exit 3\n");
  Make();
  const auto one = [&] {
    return processor_->Process(BatchOf("{\"uuid\":\"1\",\"data\":\"one\"}\n"), &rejected_, {});
  };
  EXPECT_TRUE(one().ok());
  EXPECT_TRUE(one().ok());
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(one().ok());
  EXPECT_EQ(rejected_.size(), 2U);
}

TEST_F(ExecTest, EndsAProgramThatHangs) {
  Script(
      "while read -r line; do case $line in *two*) sleep 100;; *) printf '%s\\n' \"$line\";; esac; done\n");
  Make(", timeout: 200ms");
  auto out = RunOn();
  ASSERT_TRUE(out.ok()) << out.error().ToString();
  EXPECT_EQ(ColumnOf(*out, Column::kData), (Texts{"one", "three"}));
  ASSERT_EQ(rejected_.size(), 1U);
  EXPECT_NE(rejected_[0].reason.find("in time"), std::string::npos) << rejected_[0].reason;
}

TEST_F(ExecTest, StopsWhenAsked) {
  Script("sleep 100\n");
  Make();
  std::stop_source stop;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    stop.request_stop();
  });
  const auto begin = std::chrono::steady_clock::now();
  auto out = RunOn(stop.get_token());
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(out.error().code(), ErrorCode::kCancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST_F(ExecTest, NoticesAnswersOutOfOrder) {
  Script("read -r a; read -r b; read -r c; printf '%s\\n%s\\n%s\\n' \"$b\" \"$a\" \"$c\"; sleep 100\n");
  Make();
  auto out = RunOn();
  ASSERT_FALSE(out.ok());
  EXPECT_NE(out.error().ToString().find("in order"), std::string::npos) << out.error().ToString();
}

TEST_F(ExecTest, RefusesAnswersThatAreNoRecords) {
  Script("while read -r line; do echo '{\"data\": 5}'; done\n");
  Make();
  auto out = RunOn();
  ASSERT_TRUE(out.ok()) << out.error().ToString();
  EXPECT_EQ(out->rows(), 0);
  EXPECT_EQ(rejected_.size(), 3U);
}

TEST_F(ExecTest, RunsOnceForEachBatch) {
  Script("grep -v two\n");
  Make(", mode: per_batch, exit_codes: [0, 1]");
  for (int i = 0; i < 2; ++i) {
    auto out = RunOn();
    ASSERT_TRUE(out.ok()) << out.error().ToString();
    EXPECT_EQ(ColumnOf(*out, Column::kData), (Texts{"one", "three"}));
    EXPECT_EQ(out->origins, (std::vector<int32_t>{0, 2}));
  }
}

TEST_F(ExecTest, MakesRecordsOfABatch) {
  Script("cat > /dev/null; echo '{\"data\":\"sum\"}'\n");
  Make(", mode: per_batch");
  auto out = RunOn();
  ASSERT_TRUE(out.ok()) << out.error().ToString();
  EXPECT_EQ(out->origins, (std::vector<int32_t>{-1}));
  EXPECT_EQ(ColumnOf(*out, Column::kUuid)[0].size(), 36U);
}

TEST_F(ExecTest, SaysHowABatchFailed) {
  Script("echo it broke >&2; exit 4\n");
  Make(", mode: per_batch");
  auto out = RunOn();
  ASSERT_FALSE(out.ok());
  EXPECT_NE(out.error().ToString().find("exit code 4: it broke"), std::string::npos)
      << out.error().ToString();
}

TEST_F(ExecTest, SaysAtTheStartWhatCannotRun) {
  auto made = bed_.MakeProcessor("{type: exec, command: [no-such-program-anywhere]}");
  ASSERT_TRUE(made.ok());
  const Status opened = (*made)->Open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code(), ErrorCode::kNotFound);
  EXPECT_FALSE(bed_.MakeProcessor("{type: exec, command: []}").ok());
  EXPECT_FALSE(bed_.MakeProcessor("{type: exec, command: [x], exit_codes: [0]}").ok());
  EXPECT_FALSE(bed_.MakeProcessor("{type: exec, command: [x], mode: per_batch, exit_codes: [a]}").ok());
}

}  // namespace
}  // namespace sluice::connectors::exec
