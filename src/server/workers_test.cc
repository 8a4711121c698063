#include "server/workers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace sluice::server {
namespace {

TEST(WorkersTest, TakesNoMoreThanCanRunAndWait) {
  Workers workers("test", 2, 3);
  std::promise<void> go;
  const auto gate = go.get_future().share();
  std::atomic<int> done = 0;
  const auto work = [&] {
    gate.wait();
    ++done;
  };
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(workers.Run(work)) << i;
  EXPECT_FALSE(workers.Run(work));
  EXPECT_EQ(workers.running() + workers.waiting(), 5u);
  go.set_value();
  while (done < 5 || workers.running() > 0) std::this_thread::yield();
  EXPECT_TRUE(workers.Run(work));
  while (done < 6) std::this_thread::yield();
}

TEST(ClientWatchTest, StopsWorkWhoseClientHasGone) {
  ClientWatch watch;
  std::atomic<bool> is_gone = false;
  const auto stays = watch.Watch([] { return false; }, {});
  const auto leaves = watch.Watch([&] { return is_gone.load(); }, {});
  is_gone = true;
  while (!leaves->token().stop_requested()) std::this_thread::yield();
  EXPECT_FALSE(stays->token().stop_requested());
}

TEST(ClientWatchTest, StopsWithTheServer) {
  ClientWatch watch;
  std::stop_source server;
  const auto watched = watch.Watch([] { return false; }, server.get_token());
  EXPECT_FALSE(watched->token().stop_requested());
  server.request_stop();
  EXPECT_TRUE(watched->token().stop_requested());
}

TEST(ClientWatchTest, AsksNobodyAfterTheEnd) {
  ClientWatch watch;
  std::atomic<int> asked = 0;
  {
    const auto watched = watch.Watch(
        [&] {
          ++asked;
          return false;
        },
        {});
    while (asked == 0) std::this_thread::yield();
  }
  const int before = asked;
  std::this_thread::sleep_for(std::chrono::milliseconds(600));
  EXPECT_EQ(asked, before);
}

}  // namespace
}  // namespace sluice::server
