#include "base/testing/matchers.h"
#include "odf/testing/chain_builder.h"

namespace sluice::odf {
namespace {

using namespace odf::testing;

ChainBuilder FullRoot() {
  ChainBuilder chain;
  EXPECT_OK(chain.Append(SetVocab{.event_time_column = "when"}));
  EXPECT_OK(chain.Append(SetInfo{.description = "d", .keywords = Strings{"a", "b"}}));
  EXPECT_OK(chain.Append(SetLicense{.short_name = "s", .name = "n", .spdx_id = "i", .website_url = "u"}));
  EXPECT_OK(chain.Append(SetAttachments{.items = {{.path = "README.md", .content = std::string(500, 'x')}}}));
  EXPECT_OK(chain.Append(TestSchema({OptionalColumn("v", TypeKind::kString)})));
  EXPECT_OK(chain.Append(TestPushSource("a", {.kind = MergeKind::kLedger, .primary_key = {"v"}})));
  EXPECT_OK(chain.Append(TestPushSource("b")));
  AddData data = WithState(NextData(chain.state(), 10), "a", "sluice/token", std::string("\0x", 2));
  data.new_watermark = Instant{.seconds = -5, .nanoseconds = 999'999'999};
  data.new_checkpoint = Checkpoint{.physical_hash = TestHash(77), .size = 3};
  EXPECT_OK(chain.Append(data));
  EXPECT_OK(chain.Append(WithState(NextData(chain.state(), 0), "a", "sluice/file", "1:2:3")));
  return chain;
}

ChainBuilder FullDerivative() {
  ChainBuilder chain(DatasetKind::kDerivative);
  EXPECT_OK(chain.Append(
      SetTransform{.inputs = {{.dataset_ref = DatasetId::FromSeed("in").ToString(), .alias = "in"}},
                   .transform = TestQuery()}));
  ExecuteTransform query;
  query.query_inputs = {
      {.dataset_id = DatasetId::FromSeed("in"), .new_block_hash = TestHash(5), .new_offset = 0}};
  query.new_watermark = Instant{.seconds = 1};
  EXPECT_OK(chain.Append(query));
  return chain;
}

TEST(ChainStateCacheTest, GivesBackWhatWasWritten) {
  ChainBuilder polling;
  ASSERT_OK(polling.Append(TestPollingSource("http://a")));
  ASSERT_OK(polling.Append(WithState({}, "odf/polling", "odf/etag", "x")));
  for (const ChainState& state : {ChainState{}, ChainBuilder().state(), FullRoot().state(),
                                  FullDerivative().state(), polling.state()}) {
    ASSERT_OK_AND_ASSIGN(const ChainState read, ChainState::Deserialize(state.Serialize()));
    EXPECT_EQ(read, state);
    EXPECT_EQ(read.Serialize(), state.Serialize());
  }
}

TEST(ChainStateCacheTest, AReadStateJudgesLikeTheWrittenOne) {
  ChainBuilder chain = FullRoot();
  ASSERT_OK_AND_ASSIGN(ChainState read, ChainState::Deserialize(chain.state().Serialize()));
  const MetadataBlock next = chain.Next(NextData(chain.state(), 5));
  EXPECT_OK(read.Apply(next, TestHash(99)));
  ChainState original = chain.state();
  EXPECT_OK(original.Apply(next, TestHash(99)));
  EXPECT_EQ(read, original);
}

TEST(ChainStateCacheTest, EveryTruncationIsCorruption) {
  const std::string bytes = FullRoot().state().Serialize();
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_THAT(ChainState::Deserialize(bytes.substr(0, size)), IsErrorCode(ErrorCode::kCorruption)) << size;
  }
  EXPECT_THAT(ChainState::Deserialize(bytes + '\0'), IsErrorCode(ErrorCode::kCorruption));
  EXPECT_THAT(ChainState::Deserialize(bytes + bytes), IsErrorCode(ErrorCode::kCorruption));
}

TEST(ChainStateCacheTest, EveryBitFlipIsCorruption) {
  const std::string bytes = FullRoot().state().Serialize();
  for (size_t i = 0; i < bytes.size() * 8; ++i) {
    std::string flipped = bytes;
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << (i % 8)));
    ASSERT_THAT(ChainState::Deserialize(flipped), IsErrorCode(ErrorCode::kCorruption)) << "bit " << i;
  }
}

}  // namespace
}  // namespace sluice::odf
