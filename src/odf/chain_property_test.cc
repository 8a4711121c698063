// Random valid chains: the incremental state against a naive walk back over the blocks, and against its own
// cache.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <random>

#include "base/testing/matchers.h"
#include "odf/testing/chain_builder.h"

namespace sluice::odf {
namespace {

using namespace odf::testing;

constexpr std::string_view kNames[] = {"a", "b", "default", "odf/polling"};
constexpr std::string_view kUrls[] = {"http://x", "http://y"};
constexpr std::string_view kKinds[] = {"sluice/token", "odf/etag", "sluice/file"};

class RandomEvents {
 public:
  explicit RandomEvents(uint32_t seed) : random_(seed) {}

  MetadataEvent Next(const ChainState& state) {
    switch (Below(12)) {
      case 0:
        return TestPushSource(Name(), Below(2)
                                          ? MergeStrategy{}
                                          : MergeStrategy{.kind = MergeKind::kLedger, .primary_key = {"k"}});
      case 1:
        return DisablePushSource{Name()};
      case 2: {
        SetPollingSource source = TestPollingSource(std::string(kUrls[Below(2)]));
        if (Below(2)) source.merge = {.kind = MergeKind::kLedger, .primary_key = {"k"}};
        return source;
      }
      case 3:
        return DisablePollingSource{};
      case 4:
        return SetInfo{.description = fmt::format("{}", Below(100))};
      case 5:
        return Below(2) ? TestSchema() : TestSchema({OptionalColumn("v", TypeKind::kString)});
      default:
        return Data(state);
    }
  }

 private:
  uint32_t Below(uint32_t bound) { return random_() % bound; }
  std::string Name() { return std::string(kNames[Below(std::size(kNames))]); }

  AddData Data(const ChainState& state) {
    AddData data = NextData(state, Below(3));
    if (Below(4) == 0) data.new_watermark = Instant{.seconds = Below(1000)};
    if (Below(4) == 0) data.new_checkpoint = Checkpoint{.physical_hash = TestHash(Below(5)), .size = 1};
    if (Below(4) == 0) return data;
    return WithState(std::move(data), Name(), kKinds[Below(std::size(kKinds))], fmt::format("{}", Below(3)));
  }

  std::mt19937 random_;
};

// --- the oracle: push-protocol.md 1 read literally, newest block to oldest, from nothing but the blocks ---

using Blocks = std::vector<MetadataBlock>;

// Sequence of the AddPushSource that activated `name`: the oldest one behind which no disable event comes.
std::optional<uint64_t> PushActivation(const Blocks& blocks, std::string_view name) {
  std::optional<uint64_t> activation;
  for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) {
    const auto* add = std::get_if<AddPushSource>(&block->event);
    const auto* disable = std::get_if<DisablePushSource>(&block->event);
    if (disable && disable->source_name == name) break;
    if (add && add->source_name == name) activation = block->sequence_number;
  }
  return activation;
}

// The same for the polling source, where another fetch step activates anew.
std::optional<uint64_t> PollingActivation(const Blocks& blocks) {
  std::optional<uint64_t> activation;
  const SetPollingSource* newest = nullptr;
  for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) {
    if (std::holds_alternative<DisablePollingSource>(block->event)) break;
    const auto* set = std::get_if<SetPollingSource>(&block->event);
    if (!set) continue;
    if (!newest) newest = set;
    if (set->fetch != newest->fetch) break;
    activation = block->sequence_number;
  }
  return activation;
}

// Sequence of the newest state of any of `names` after block `activation`.
std::optional<uint64_t> NewestState(const Blocks& blocks, const std::vector<std::string_view>& names,
                                    uint64_t activation, bool of_files) {
  for (auto block = blocks.rbegin(); block != blocks.rend() && block->sequence_number > activation; ++block) {
    const auto* data = std::get_if<AddData>(&block->event);
    if (!data || !data->new_source_state) continue;
    const SourceState& state = *data->new_source_state;
    const bool is_its = std::ranges::find(names, state.source_name) != names.end();
    if (is_its && (state.kind == "sluice/file") == of_files) return block->sequence_number;
  }
  return std::nullopt;
}

void ExpectState(const Blocks& blocks, std::optional<uint64_t> expected,
                 const std::optional<SourceState>& state, std::optional<uint64_t> sequence) {
  EXPECT_EQ(sequence, expected);
  ASSERT_EQ(state.has_value(), expected.has_value());
  if (!expected) return;
  EXPECT_EQ(state, std::get<AddData>(blocks[*expected].event).new_source_state);
}

void ExpectLikeOracle(const ChainBuilder& chain) {
  const Blocks& blocks = chain.blocks();
  size_t active = 0;
  for (std::string_view name : kNames) {
    const std::optional<uint64_t> activation = PushActivation(blocks, name);
    const auto source = chain.state().push_sources.find(std::string(name));
    ASSERT_EQ(source != chain.state().push_sources.end(), activation.has_value()) << name;
    if (!activation) continue;
    ++active;
    EXPECT_EQ(source->second.activated_at, *activation);
    ExpectState(blocks, NewestState(blocks, {name}, *activation, false), source->second.state,
                source->second.state_sequence);
    ExpectState(blocks, NewestState(blocks, {name}, *activation, true), source->second.file_state,
                source->second.file_state_sequence);
  }
  EXPECT_EQ(chain.state().push_sources.size(), active);

  const std::optional<uint64_t> polling = PollingActivation(blocks);
  ASSERT_EQ(chain.state().polling_source.has_value(), polling.has_value());
  if (!polling) return;
  EXPECT_EQ(active, 0u) << "push and polling sources are active together";
  EXPECT_EQ(chain.state().polling_source->activated_at, *polling);
  ExpectState(blocks, NewestState(blocks, {"odf/polling", "default"}, *polling, false),
              chain.state().polling_source->state, chain.state().polling_source->state_sequence);
}

// Totals and last data, counted over all blocks.
void ExpectTotals(const ChainBuilder& chain) {
  uint64_t records = 0;
  uint64_t slices = 0;
  std::optional<uint64_t> last_offset;
  std::optional<Instant> watermark;
  for (const MetadataBlock& block : chain.blocks()) {
    const auto* data = std::get_if<AddData>(&block.event);
    if (!data) continue;
    watermark = data->new_watermark;
    if (!data->new_data) continue;
    ++slices;
    last_offset = data->new_data->offset_interval.end;
    records = *last_offset + 1;
  }
  EXPECT_EQ(chain.state().data_records, records);
  EXPECT_EQ(chain.state().data_blocks, slices);
  EXPECT_EQ(chain.state().last_offset(), last_offset);
  EXPECT_EQ(chain.state().watermark(), watermark);
}

TEST(ChainPropertyTest, IncrementalStateIsWhatAWalkFinds) {
  size_t accepted = 0;
  size_t refused = 0;
  for (uint32_t seed = 0; seed < 200 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    RandomEvents events(seed);
    ChainBuilder chain;
    for (int i = 0; i < 150; ++i) {
      const ChainState before = chain.state();
      if (chain.Append(events.Next(before)).ok()) {
        ++accepted;
        ExpectLikeOracle(chain);
      } else {
        ++refused;
        ASSERT_EQ(chain.state(), before) << "a refused block changed the state";
      }
    }
    ExpectTotals(chain);
  }
  EXPECT_GT(accepted, 5'000u);
  EXPECT_GT(refused, 1'000u);
}

TEST(ChainPropertyTest, TheCacheGoesOnWhereItStopped) {
  for (uint32_t seed = 1000; seed < 1020; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    RandomEvents events(seed);
    ChainBuilder chain;
    ChainState reread = chain.state();
    for (int i = 0; i < 60; ++i) {
      if (!chain.Append(events.Next(chain.state())).ok()) continue;
      ASSERT_OK(reread.Apply(chain.blocks().back(), TestHash(chain.blocks().size())));
      ASSERT_OK_AND_ASSIGN(reread, ChainState::Deserialize(reread.Serialize()));
      ASSERT_EQ(reread, chain.state());
    }
  }
}

TEST(ChainPropertyTest, WhatWasAppendedReplays) {
  for (uint32_t seed = 2000; seed < 2050; ++seed) {
    RandomEvents events(seed);
    ChainBuilder chain;
    for (int i = 0; i < 100; ++i) (void)chain.Append(events.Next(chain.state())).ok();
    ChainState replayed;
    for (size_t i = 0; i < chain.blocks().size(); ++i) {
      ASSERT_OK(replayed.Apply(chain.blocks()[i], TestHash(i + 1), Judging::kReplay)) << "seed " << seed;
    }
    ASSERT_EQ(replayed, chain.state());
  }
}

// The cost of a block does not grow with the chain. Times are reported; the bound only catches a quadratic
// walk.
TEST(ChainCostTest, ABlockCostsTheSameAfterManyBlocks) {
  constexpr uint64_t kBlocks = 100'000;
  ChainBuilder start;
  ASSERT_OK(start.Append(TestSchema()));
  for (std::string_view name : {"a", "b", "c"}) ASSERT_OK(start.Append(TestPushSource(std::string(name))));
  ChainState state = start.state();
  const auto apply = [&](uint64_t count) {
    const auto begin = std::chrono::steady_clock::now();
    for (uint64_t i = 0; i < count; ++i) {
      const MetadataBlock block{
          .system_time = state.system_time,
          .prev_block_hash = state.head,
          .sequence_number = state.sequence + 1,
          .event = WithState(NextData(state, 10), "b", "sluice/token", fmt::format("{}", state.sequence))};
      const Status status = state.Apply(block, TestHash(block.sequence_number));
      if (!status.ok()) return std::chrono::duration<double>(-1);
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin);
  };
  const double first = apply(kBlocks / 10).count();
  const double middle = apply(kBlocks / 10 * 8).count();
  const double last = apply(kBlocks / 10).count();
  ASSERT_GE(std::min({first, middle, last}), 0);
  EXPECT_EQ(state.data_records, kBlocks * 10);
  EXPECT_LT(last, first * 10 + 0.1);
  std::cout << fmt::format("{} blocks in {:.0f} ms; first tenth {:.1f} ms, last tenth {:.1f} ms\n", kBlocks,
                           (first + middle + last) * 1e3, first * 1e3, last * 1e3);
  const auto begin = std::chrono::steady_clock::now();
  const std::string bytes = state.Serialize();
  ASSERT_OK(ChainState::Deserialize(bytes));
  const std::chrono::duration<double> cache = std::chrono::steady_clock::now() - begin;
  std::cout << fmt::format("cache: {} bytes, written and read in {:.2f} ms\n", bytes.size(),
                           cache.count() * 1e3);
}

}  // namespace
}  // namespace sluice::odf
