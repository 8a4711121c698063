#include "poll/schedule.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "poll/scheduler.h"

namespace sluice::poll {
namespace {

Instant At(const char* text) { return ParseInstant(text).value(); }

std::string Next(const char* cron, const char* after) {
  return FormatInstant(Cron::Parse(cron).value().NextAfter(At(after)));
}

TEST(CronTest, FindsTheNextTime) {
  EXPECT_EQ(Next("*/15 * * * *", "2026-01-01T00:00:00Z"), "2026-01-01T00:15:00Z");
  EXPECT_EQ(Next("0 0 29 feb *", "2026-01-01T00:00:00Z"), "2028-02-29T00:00:00Z");
  EXPECT_EQ(Next("30 4 * * mon-fri", "2026-01-02T05:00:00Z"), "2026-01-05T04:30:00Z");
  EXPECT_EQ(Next("0 12 13 * fri", "2026-01-01T00:00:00Z"), "2026-01-02T12:00:00Z");  // either day will do
  EXPECT_EQ(Next("@daily", "2026-12-31T00:00:00Z"), "2027-01-01T00:00:00Z");
  EXPECT_EQ(Next("0 0 * * 7", "2026-01-01T00:00:00Z"), "2026-01-04T00:00:00Z");
  EXPECT_EQ(Next("59 23 31 12 *", "2026-12-31T23:59:00Z"), "2027-12-31T23:59:00Z");
}

TEST(CronTest, RefusesWhatIsNone) {
  for (const char* text : {"", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "a * * * *",
                           "*/0 * * * *", "5-1 * * * *", "0 0 30 2 *", "1, * * * * *"}) {
    EXPECT_FALSE(Cron::Parse(text).ok()) << text;
  }
}

TEST(PlannedTest, TheFirstEntryThatMeansADataset) {
  std::vector<workspace::Entry> datasets(5);
  datasets[0].alias = "com.a";
  datasets[1].alias = "com.b";
  datasets[2].alias = "iso";
  datasets[3].alias = "com.pushed";
  datasets[4].alias = "pushed";
  std::vector<workspace::ScheduleEntry> schedule(2);
  schedule[0].datasets = {"com.%", "com.a"};
  schedule[0].cron = "0 * * * *";
  schedule[1].datasets = {"ISO", "none", "com.%", "pushed"};
  schedule[1].every = std::chrono::minutes(1);
  std::vector<std::string> planned;
  const auto may_be_pulled = [](const workspace::Entry& entry) {
    return entry.alias.find("pushed") == std::string::npos;
  };
  for (const auto& [alias, entry] : Planned(schedule, datasets, may_be_pulled))
    planned.push_back(alias + (entry.cron.empty() ? " every" : " cron"));
  EXPECT_EQ(planned, (std::vector<std::string>{"com.a cron", "com.b cron", "iso every", "pushed every"}));
}

TEST(PlannedTest, OneProcessRunsTheSchedules) {
  const std::string root = testing::TempDir() + "planned-" + std::to_string(getpid());
  std::filesystem::create_directories(root + "/locks");
  auto held = TakeScheduleLock(root);
  ASSERT_TRUE(held.ok());
  EXPECT_EQ(TakeScheduleLock(root).error().code(), ErrorCode::kUnavailable);
  held->reset();
  EXPECT_TRUE(TakeScheduleLock(root).ok());
  std::filesystem::remove_all(root);
}

class ScheduleTest : public testing::Test {
 protected:
  workspace::ScheduleEntry Every(int minutes) {
    workspace::ScheduleEntry entry;
    entry.every = std::chrono::minutes(minutes);
    return entry;
  }
  Schedule schedule_{[] { return 0.0; }};
  Instant now_ = At("2026-01-01T00:00:00Z");
};

TEST_F(ScheduleTest, RunsAtOnceThenAtIntervals) {
  ASSERT_TRUE(schedule_.Add("a", Every(10), {}, now_).ok());
  EXPECT_EQ(schedule_.Due(now_), std::vector<std::string>{"a"});
  schedule_.Started("a", now_);
  EXPECT_TRUE(schedule_.Due(At("2026-01-01T01:00:00Z")).empty()) << "runs twice at the same time";
  schedule_.Ended("a", At("2026-01-01T00:02:00Z"), std::nullopt);
  EXPECT_EQ(FormatInstant(*schedule_.NextTime()), "2026-01-01T00:10:00Z");
}

TEST_F(ScheduleTest, RetriesWithBackoffThenWaitsForItsTime) {
  auto entry = Every(60);
  entry.retries = 2;
  ASSERT_TRUE(schedule_.Add("a", entry, {}, now_).ok());
  const char* expected[] = {"2026-01-01T00:00:30Z", "2026-01-01T00:01:30Z", "2026-01-01T01:01:30Z"};
  Instant now = now_;
  for (const char* next : expected) {
    schedule_.Started("a", now);
    schedule_.Ended("a", now, "broken");
    EXPECT_EQ(FormatInstant(*schedule_.NextTime()), next);
    now = *schedule_.NextTime();
  }
  EXPECT_EQ(schedule_.states().at("a").failures, 3);
}

TEST_F(ScheduleTest, MakesUpOnceForMissedRunsOrSkipsThem) {
  RunState known;
  known.last_start = known.last_end = At("2025-12-30T00:00:00Z");
  auto entry = Every(60);
  ASSERT_TRUE(schedule_.Add("once", entry, known, now_).ok());
  entry.catch_up = false;
  ASSERT_TRUE(schedule_.Add("skip", entry, known, now_).ok());
  EXPECT_EQ(schedule_.Due(now_), std::vector<std::string>{"once"});
  EXPECT_EQ(FormatInstant(*schedule_.states().at("skip").next_run), "2026-01-01T01:00:00Z");
  EXPECT_EQ(schedule_.states().at("once").missed, 1);
}

TEST(SchedulerTest, RunsDatasetsWithoutOverlapAndRemembers) {
  char folder[] = "/tmp/sluice-schedule-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const SystemClock clock;
  std::atomic<int> runs{0}, together{0};
  std::atomic<bool> overlap{false};
  SchedulerOptions options;
  options.workspace_root = folder;
  options.clock = &clock;
  options.jobs = 3;
  options.run = [&](const std::string&) -> Status {
    if (++together > 1) overlap = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    --together;
    ++runs;
    return NotFound("nothing there");
  };
  options.scheduled = []() -> Result<std::vector<std::pair<std::string, workspace::ScheduleEntry>>> {
    workspace::ScheduleEntry entry;
    entry.every = std::chrono::milliseconds(5);
    entry.retries = 0;
    return std::vector<std::pair<std::string, workspace::ScheduleEntry>>{{"a", entry}};
  };
  {
    auto scheduler = Scheduler::Start(options);
    ASSERT_TRUE(scheduler.ok());
    for (int i = 0; i < 500 && runs < 3; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_FALSE((*scheduler)->RunNow("b"));
  }
  EXPECT_GE(runs, 3);
  EXPECT_FALSE(overlap);
  const auto states = LoadRunStates(folder);
  ASSERT_TRUE(states.contains("a"));
  EXPECT_TRUE(states.at("a").last_failed);
  EXPECT_EQ(states.at("a").last_error, "nothing there");
  unlink((std::string(folder) + "/schedule-state.json").c_str());
  rmdir(folder);
}

}  // namespace
}  // namespace sluice::poll
