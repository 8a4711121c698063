#include "merge/seen_keys.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include "base/testing/matchers.h"

namespace sluice::merge {
namespace {

// Counts what it gives; full after `most` units.
class CountingRoom final : public KeyRoom {
 public:
  explicit CountingRoom(size_t most) : most_(most) {}
  Result<std::shared_ptr<uint64_t[]>> Get(size_t units) override {
    if (given_ + units > most_) return MakeError(ErrorCode::kResourceExhausted, "no room");
    given_ += units;
    return std::make_shared<uint64_t[]>(units);
  }
  size_t given() const { return given_; }

 private:
  const size_t most_;
  size_t given_ = 0;
};

void CompareWithAMap(KeyMemory memory) {
  std::mt19937 random(2);
  SeenKeys seen(random(), memory);
  std::map<std::string, uint32_t> expected;
  std::vector<SeenKeys::Entry> entries;
  for (uint32_t batch = 1; batch <= 60; ++batch) {
    columnar::PackedBytes keys;
    for (int i = 0; i < 3000; ++i)
      keys.Append(std::string(random() % 4, 'x') + std::to_string(random() % 40'000));
    keys.Append("");
    ASSERT_OK(seen.Insert(keys, batch, &entries));
    ASSERT_EQ(entries.size(), keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
      const bool fresh = expected.emplace(std::string(keys[i]), batch).second;
      ASSERT_EQ(entries[i].fresh, fresh);
      ASSERT_EQ(seen.batch_of(entries[i].place), expected[std::string(keys[i])]);
      if (fresh && random() % 10 == 0) {
        seen.MarkBefore(entries[i].place);
        expected[std::string(keys[i])] = 0;
      }
    }
    if (batch % 7 == 0) {
      seen.Abandon(batch);
      std::erase_if(expected, [&](const auto& entry) { return entry.second == batch; });
    }
  }
}

TEST(SeenKeysTest, AgreesWithAMapThroughManyBatches) { CompareWithAMap({}); }

TEST(SeenKeysTest, AgreesWithAMapWhenTheKeysAreNotInMemory) {
  for (const size_t heap_bytes : {size_t{0}, size_t{1} << 18, size_t{3} << 20}) {
    CountingRoom room(size_t{1} << 30);
    CompareWithAMap({&room, heap_bytes});
    EXPECT_GT(room.given(), 0u) << heap_bytes;
  }
}

TEST(SeenKeysTest, SaysThatThereIsNoRoom) {
  CountingRoom room(0);
  SeenKeys seen(1, {&room, size_t{2} << 20});
  std::vector<SeenKeys::Entry> entries;
  Status status;
  for (int i = 0; i < 1'000'000 && status.ok(); ++i) {
    columnar::PackedBytes keys;
    keys.Append(std::to_string(i));
    status = seen.Insert(keys, 1, &entries);
  }
  EXPECT_THAT(status, IsError(ErrorCode::kResourceExhausted, testing::HasSubstr("no room")));
}

TEST(SeenKeysTest, TakesKeysLargerThanAChunk) {
  SeenKeys seen(1);
  columnar::PackedBytes keys;
  for (size_t size : {3u << 20, 1u, (1u << 20) - 8, 1u << 20, 5u, (1u << 20) - 16}) {
    keys.Append(std::string(size, 'k'));
    keys.Append(std::string(size, 'l'));
  }
  std::vector<SeenKeys::Entry> entries;
  for (bool fresh : {true, false}) {
    ASSERT_OK(seen.Insert(keys, 1, &entries));
    for (const auto& entry : entries) EXPECT_EQ(entry.fresh, fresh);
  }
}

}  // namespace
}  // namespace sluice::merge
