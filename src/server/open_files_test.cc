#include "server/open_files.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace sluice::server {
namespace {

class OpenFilesTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0); }
  void TearDown() override { setrlimit(RLIMIT_NOFILE, &before_); }
  void Lower(rlim_t soft) {
    rlimit limit = before_;
    limit.rlim_cur = soft;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  }
  rlimit before_{};
};

TEST_F(OpenFilesTest, RaisesWhatMayBeRaised) {
  if (before_.rlim_max < 2048) FAIL() << "the hard limit of this machine is too low for the test";
  Lower(256);
  const auto raised = RaiseOpenFileLimit(100);
  EXPECT_TRUE(raised.is_enough);
  EXPECT_EQ(raised.limit, OpenFilesFor(100));
  EXPECT_EQ(raised.connections, 100);
  rlimit now{};
  getrlimit(RLIMIT_NOFILE, &now);
  EXPECT_EQ(now.rlim_cur, OpenFilesFor(100));
  // Never lowers.
  EXPECT_EQ(RaiseOpenFileLimit(1).limit, OpenFilesFor(100));
}

TEST_F(OpenFilesTest, SaysWhatIsPossible) {
  if (before_.rlim_max == RLIM_INFINITY || before_.rlim_max > INT32_MAX - 10'000) return;
  const int too_many = static_cast<int>(before_.rlim_max) + 1;
  const auto raised = RaiseOpenFileLimit(too_many);
  EXPECT_FALSE(raised.is_enough);
  EXPECT_EQ(raised.limit, before_.rlim_max);
  EXPECT_LT(raised.connections, too_many);
  EXPECT_GT(raised.connections, 0);
}

}  // namespace
}  // namespace sluice::server
