#include "gateway/committers.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace sluice::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// One thread that is kept busy until Open; then everything that was given before runs, one after another.
class CommittersTest : public testing::Test {
 protected:
  void SetUp() override {
    committers_->RunAt(steady_clock::now(), "gate", [this] {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return is_open_; });
    });
    std::this_thread::sleep_for(milliseconds(20));
  }
  Committers::Ticket Add(const std::string& tenant, const std::string& name, milliseconds takes = {},
                         steady_clock::duration in = {}) {
    ++given_;
    return committers_->RunAt(steady_clock::now() + in, tenant, [this, name, takes] {
      std::this_thread::sleep_for(takes);
      std::lock_guard lock(mutex_);
      order_.push_back(name);
      changed_.notify_all();
    });
  }
  std::vector<std::string> Open() {
    std::unique_lock lock(mutex_);
    is_open_ = true;
    changed_.notify_all();
    changed_.wait_for(lock, std::chrono::seconds(20), [this] { return order_.size() == given_; });
    return order_;
  }
  size_t PlaceOf(const std::vector<std::string>& order, const std::string& name) {
    return static_cast<size_t>(std::find(order.begin(), order.end(), name) - order.begin());
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_open_ = false;
  size_t given_ = 0;
  std::vector<std::string> order_;
  std::unique_ptr<Committers> committers_ = Committers::Start(1);
};

TEST_F(CommittersTest, WithinATenantTheEarliestDueFirst) {
  Add("a", "2", {}, milliseconds(30));
  Add("a", "1");
  EXPECT_EQ(Open(), (std::vector<std::string>{"1", "2"}));
}

TEST_F(CommittersTest, ManyOfOneDoNotHoldUpTheOther) {
  for (int i = 0; i < 50; ++i) Add("flood", "f" + std::to_string(i), milliseconds(2));
  Add("calm", "c0", milliseconds(2));
  Add("calm", "c1", milliseconds(2));
  const auto order = Open();
  ASSERT_EQ(order.size(), 52U);
  EXPECT_LT(PlaceOf(order, "c0"), 3U);
  EXPECT_LT(PlaceOf(order, "c1"), 6U);
}

TEST_F(CommittersTest, LongWorkCountsForMore) {
  for (int i = 0; i < 2; ++i) Add("long", "l" + std::to_string(i), milliseconds(600));
  for (int i = 0; i < 8; ++i) Add("short", "s" + std::to_string(i), milliseconds(2));
  const auto order = Open();
  // The second of the long ones comes after the short ones.
  EXPECT_LT(PlaceOf(order, "s7"), PlaceOf(order, "l1"));
}

TEST_F(CommittersTest, WorkOfSeveralGoesWithTheOneThatHadLeast) {
  for (int i = 0; i < 20; ++i) Add("flood", "f" + std::to_string(i), milliseconds(2));
  const auto shared = Add("flood", "shared", milliseconds(2));
  committers_->Join(shared, "calm");
  committers_->Join(shared + 100, "calm");  // no such ticket: nothing happens
  EXPECT_LT(PlaceOf(Open(), "shared"), 3U);
}

TEST(CommittersThreadsTest, OneLeavesAThreadWhileOthersCome) {
  auto committers = Committers::Start(2);
  std::mutex mutex;
  std::condition_variable changed;
  bool is_open = false;
  int running = 0, most = 0, done = 0;
  const auto hold = [&] {
    std::unique_lock lock(mutex);
    most = std::max(most, ++running);
    changed.notify_all();
    changed.wait(lock, [&] { return is_open; });
    --running;
    ++done;
    changed.notify_all();
  };
  std::unique_lock lock(mutex);
  const auto wait = [&](auto is_true) { return changed.wait_for(lock, std::chrono::seconds(20), is_true); };
  committers->RunAt(steady_clock::now(), "calm", [&] {
    std::lock_guard inner(mutex);
    ++done;
    changed.notify_all();
  });
  ASSERT_TRUE(wait([&] { return done == 1; }));
  committers->RunAt(steady_clock::now(), "flood", hold);
  committers->RunAt(steady_clock::now(), "flood", hold);
  ASSERT_TRUE(wait([&] { return running == 1; }));
  changed.wait_for(lock, milliseconds(50), [&] { return running == 2; });
  EXPECT_EQ(most, 1);
  committers->RunAt(steady_clock::now(), "calm", [&] {
    std::lock_guard inner(mutex);
    ++done;
    changed.notify_all();
  });
  EXPECT_TRUE(wait([&] { return done == 2; }));  // at once, beside the flood
  is_open = true;
  changed.notify_all();
  EXPECT_TRUE(wait([&] { return done == 4; }));
}

TEST(CommittersThreadsTest, OneAloneHasAllThreads) {
  auto committers = Committers::Start(2);
  std::mutex mutex;
  std::condition_variable changed;
  int running = 0;
  for (int i = 0; i < 2; ++i) {
    committers->RunAt(steady_clock::now(), "only", [&] {
      std::unique_lock lock(mutex);
      ++running;
      changed.notify_all();
      changed.wait_for(lock, std::chrono::seconds(20), [&] { return running == 2; });
    });
  }
  std::unique_lock lock(mutex);
  EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(20), [&] { return running == 2; }));
}

}  // namespace
}  // namespace sluice::gateway
