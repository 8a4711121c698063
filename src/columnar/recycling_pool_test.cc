#include <arrow/buffer.h>
#include <gtest/gtest.h>

#include <cstring>

#include "columnar/recycling_pool_internal.h"

namespace sluice::columnar {
namespace {

// Counts what the system is asked for.
class RecyclingPoolTest : public testing::Test {
 protected:
  arrow::ProxyMemoryPool system_{arrow::default_memory_pool()};
};

TEST_F(RecyclingPoolTest, GivesFreedBlocksOutAgain) {
  {
    RecyclingPool pool(&system_);
    uint8_t* first = nullptr;
    uint8_t* second = nullptr;
    ASSERT_TRUE(pool.Allocate(100'000, 64, &first).ok());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % 64, 0u);
    pool.Free(first, 100'000, 64);
    ASSERT_TRUE(pool.Allocate(90'000, 64, &second).ok());
    EXPECT_EQ(first, second);
    EXPECT_EQ(pool.bytes_allocated(), 90'000);
    pool.Free(second, 90'000, 64);
    EXPECT_EQ(system_.num_allocations(), 1);
  }
  EXPECT_EQ(system_.bytes_allocated(), 0);
}

TEST_F(RecyclingPoolTest, KeepsContentWhenABlockGrows) {
  RecyclingPool pool(&system_);
  uint8_t* block = nullptr;
  ASSERT_TRUE(pool.Allocate(10, 64, &block).ok());
  std::memcpy(block, "0123456789", 10);
  ASSERT_TRUE(pool.Reallocate(10, 5000, 64, &block).ok());
  EXPECT_EQ(std::memcmp(block, "0123456789", 10), 0);
  pool.Free(block, 5000, 64);
}

TEST_F(RecyclingPoolTest, LivesAsLongAsItsLastBuffer) {
  std::unique_ptr<arrow::Buffer> kept;
  {
    RecyclingPoolOwner pool(new RecyclingPool(&system_));
    auto other = arrow::AllocateBuffer(1000, pool.get()).ValueOrDie();
    kept = arrow::AllocateBuffer(1000, pool.get()).ValueOrDie();
    other.reset();
  }
  EXPECT_GT(system_.bytes_allocated(), 0);
  std::memset(kept->mutable_data(), 1, 1000);
  kept.reset();
  EXPECT_EQ(system_.bytes_allocated(), 0);
}

// As of a column of texts that are all NULL.
TEST_F(RecyclingPoolTest, LivesAsLongAsAnEmptyBuffer) {
  uint8_t* empty = nullptr;
  uint8_t* full = nullptr;
  RecyclingPool* pool = new RecyclingPool(&system_);
  ASSERT_TRUE(pool->Allocate(0, 64, &empty).ok());
  ASSERT_TRUE(pool->Allocate(1000, 64, &full).ok());
  pool->Retire();
  pool->Free(full, 1000, 64);
  EXPECT_EQ(pool->bytes_allocated(), 0);  // it is still there
  ASSERT_TRUE(pool->Reallocate(0, 100, 64, &empty).ok());
  std::memset(empty, 1, 100);
  pool->Free(empty, 100, 64);
  EXPECT_EQ(system_.bytes_allocated(), 0);
}

TEST_F(RecyclingPoolTest, GoesAtOnceWhenNothingIsInUse) {
  RecyclingPoolOwner pool(new RecyclingPool(&system_));
  arrow::AllocateBuffer(1000, pool.get()).ValueOrDie().reset();
  pool.reset();
  EXPECT_EQ(system_.bytes_allocated(), 0);
}

TEST_F(RecyclingPoolTest, RefusesWhatNoMachineHas) {
  RecyclingPool pool(&system_);
  uint8_t* block = nullptr;
  EXPECT_TRUE(pool.Allocate(int64_t{1} << 50, 64, &block).IsOutOfMemory());
}

}  // namespace
}  // namespace sluice::columnar
