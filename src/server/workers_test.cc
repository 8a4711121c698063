#include "server/workers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <string>

namespace sluice::server {
namespace {

TEST(WorkersTest, TakesNoMoreThanCanRunAndWait) {
  Workers workers("test", 2, 4);
  std::promise<void> go;
  const auto gate = go.get_future().share();
  std::atomic<int> done = 0;
  const auto work = [&] {
    gate.wait();
    ++done;
  };
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(workers.Run("a", work)) << i;
  EXPECT_FALSE(workers.Run("a", work));
  EXPECT_EQ(workers.running() + workers.waiting(), 5u);
  go.set_value();
  while (done < 5 || workers.running() > 0) std::this_thread::yield();
  EXPECT_TRUE(workers.Run("a", work));
  while (done < 6) std::this_thread::yield();
}

TEST(WorkersTest, AccountsHaveTheirTurns) {
  Workers workers("test", 1, 8);
  std::promise<void> go;
  const auto gate = go.get_future().share();
  std::mutex mutex;
  std::string order;
  const auto as = [&](char name) {
    return [&, name] {
      gate.wait();
      std::lock_guard lock(mutex);
      order += name;
    };
  };
  EXPECT_TRUE(workers.Run("a", as('a')));
  while (workers.running() == 0) std::this_thread::yield();
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(workers.Run("a", as('a')));
  EXPECT_FALSE(workers.Run("a", as('a')));  // the last places are for others
  EXPECT_TRUE(workers.Run("b", as('b')));
  EXPECT_TRUE(workers.Run("c", as('c')));
  EXPECT_FALSE(workers.Run("d", as('d')));
  go.set_value();
  while (workers.running() + workers.waiting() > 0) std::this_thread::yield();
  EXPECT_EQ(order, "abcaaaaaa");
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
