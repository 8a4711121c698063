#include "merge/seen_keys.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace sluice::merge {
namespace {

TEST(SeenKeysTest, AgreesWithAMapThroughManyBatches) {
  std::mt19937 random(2);
  SeenKeys seen(random());
  std::map<std::string, uint32_t> expected;
  std::vector<SeenKeys::Entry> entries;
  for (uint32_t batch = 1; batch <= 60; ++batch) {
    columnar::PackedBytes keys;
    for (int i = 0; i < 3000; ++i)
      keys.Append(std::string(random() % 4, 'x') + std::to_string(random() % 40'000));
    keys.Append("");
    seen.Insert(keys, batch, &entries);
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

TEST(SeenKeysTest, TakesKeysLargerThanAChunk) {
  SeenKeys seen(1);
  columnar::PackedBytes keys;
  for (size_t size : {3u << 20, 1u, (1u << 20) - 8, 1u << 20, 5u, (1u << 20) - 16}) {
    keys.Append(std::string(size, 'k'));
    keys.Append(std::string(size, 'l'));
  }
  std::vector<SeenKeys::Entry> entries;
  for (bool fresh : {true, false}) {
    seen.Insert(keys, 1, &entries);
    for (const auto& entry : entries) EXPECT_EQ(entry.fresh, fresh);
  }
}

}  // namespace
}  // namespace sluice::merge
