// Every row of the table in docs/formats/chain-rules.md, failing and holding, with its message.
#include <limits>

#include "base/testing/matchers.h"
#include "odf/testing/chain_builder.h"

namespace sluice::odf {
namespace {

using namespace odf::testing;

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

auto Breaks(std::string_view rule, std::string_view detail) {
  return IsError(ErrorCode::kInvalidArgument,
                 AllOf(StartsWith(std::string(rule) + ": "), HasSubstr(std::string(detail))));
}

Instant At(int64_t seconds) { return {.seconds = seconds}; }

// A root dataset with a schema and ten rows.
ChainBuilder WithRows() {
  ChainBuilder chain;
  EXPECT_OK(chain.Append(TestSchema()));
  EXPECT_OK(chain.Append(NextData(chain.state(), 10)));
  return chain;
}

// --- V2, V3, V4: place and time ---

TEST(ChainRulesTest, SeedStartsAChainAndNothingElseDoes) {
  ChainBuilder chain = ChainBuilder::Empty();
  EXPECT_THAT(chain.Append(SetInfo{}),
              Breaks("FirstBlockMustBeSeed", "a chain begins with Seed, not with SetInfo"));
  EXPECT_OK(chain.Append(Seed{}));
  EXPECT_THAT(chain.Append(Seed{}),
              Breaks("AppendingSeedBlockToNonEmptyChain", "a Seed can only start a chain"));
  MetadataBlock second_seed = chain.Next(Seed{});
  second_seed.prev_block_hash.reset();
  second_seed.sequence_number = 0;
  EXPECT_THAT(chain.AppendBlock(second_seed),
              Breaks("AppendingSeedBlockToNonEmptyChain", "this one has 1 blocks"));
  MetadataBlock loose = chain.Next(SetInfo{});
  loose.prev_block_hash.reset();
  EXPECT_THAT(chain.AppendBlock(loose), Breaks("FirstBlockMustBeSeed", "SetInfo"));
}

TEST(ChainRulesTest, SequenceNumbersHaveNoGapsAndNoRepeats) {
  MetadataBlock seed = ChainBuilder::Empty().Next(Seed{});
  seed.sequence_number = 1;
  EXPECT_THAT(ChainBuilder::Empty().AppendBlock(seed),
              Breaks("SequenceIntegrity", "the first block has sequence number 0, not 1"));
  ChainBuilder chain = WithRows();
  for (uint64_t wrong : {0u, 2u, 4u}) {
    MetadataBlock block = chain.Next(SetInfo{});
    block.sequence_number = wrong;
    EXPECT_THAT(chain.AppendBlock(block),
                Breaks("SequenceIntegrity", fmt::format("block {} cannot follow block 2", wrong)));
  }
}

TEST(ChainRulesTest, PreviousHashIsTheHead) {
  MetadataBlock block = ChainBuilder::Empty().Next(SetInfo{});
  block.prev_block_hash = TestHash(7);
  EXPECT_THAT(ChainBuilder::Empty().AppendBlock(block), Breaks("PrevBlockNotFound", TestHash(7).ToString()));
  ChainBuilder chain;
  block = chain.Next(SetInfo{});
  block.prev_block_hash = TestHash(7);
  EXPECT_THAT(chain.AppendBlock(block), Breaks("PrevBlockHashMismatch", TestHash(7).ToString()));
}

TEST(ChainRulesTest, SystemTimeMayStandStillButNotGoBack) {
  ChainBuilder chain;
  MetadataBlock block = chain.Next(SetInfo{});
  block.system_time = chain.state().system_time;
  EXPECT_OK(chain.AppendBlock(block));
  block = chain.Next(SetInfo{});
  block.system_time.seconds = chain.state().system_time.seconds - 1;
  block.system_time.nanoseconds = 999'999'999;
  EXPECT_THAT(
      chain.AppendBlock(block),
      Breaks(
          "SystemTimeIsNotMonotonic",
          "system time 2020-09-13T12:26:39.999999999Z is before 2020-09-13T12:26:40Z of the previous block"));
}

// --- kinds ---

TEST(ChainRulesTest, EventsFitTheKindOfDataset) {
  const SetTransform transform{
      .inputs = {{.dataset_ref = DatasetId::FromSeed("in").ToString(), .alias = "in"}},
      .transform = TestQuery()};
  ExecuteTransform query;
  query.new_watermark = At(1);
  AddData data;
  data.new_watermark = At(1);
  for (Judging judging : {Judging::kAppend, Judging::kReplay}) {
    ChainBuilder root(DatasetKind::kRoot);
    EXPECT_THAT(root.Append(transform, judging),
                Breaks("InvalidEvent", "SetTransform belongs in a derivative dataset, this one is root"));
    EXPECT_THAT(root.Append(query, judging),
                Breaks("InvalidEvent", "ExecuteTransform belongs in a derivative"));
    ChainBuilder derivative(DatasetKind::kDerivative);
    for (const MetadataEvent& event :
         std::vector<MetadataEvent>{TestPushSource("a"), TestPollingSource("http://a"),
                                    DisablePushSource{"a"}, DisablePollingSource{}, data}) {
      EXPECT_THAT(derivative.Append(event, judging),
                  Breaks("InvalidEvent", fmt::format("{} belongs in a root dataset, this one is derivative",
                                                     KindNameOf(event))));
    }
    EXPECT_OK(derivative.Append(transform, judging));
  }
}

TEST(ChainRulesTest, DescribingEventsFitBothKindsAndMayRepeat) {
  for (DatasetKind kind : {DatasetKind::kRoot, DatasetKind::kDerivative}) {
    ChainBuilder chain(kind);
    for (int round = 0; round < 2; ++round) {
      EXPECT_OK(chain.Append(SetInfo{.description = "d"}));
      EXPECT_OK(chain.Append(SetLicense{.short_name = "l"}));
      EXPECT_OK(chain.Append(SetAttachments{}));
      EXPECT_OK(chain.Append(SetVocab{.event_time_column = "t"}));
    }
    EXPECT_EQ(chain.state().info->description, "d");
    EXPECT_EQ(chain.state().license->short_name, "l");
    EXPECT_TRUE(chain.state().attachments);
    EXPECT_EQ(chain.state().vocabulary.event_time, "t");
  }
}

// --- V5, V6, V7: watermark, emptiness, offsets ---

TEST(ChainRulesTest, WatermarkIsCarriedAndNeverGoesBack) {
  ChainBuilder chain = WithRows();
  AddData data = NextData(chain.state(), 1);
  data.new_watermark = At(100);
  EXPECT_OK(chain.Append(data));
  data = NextData(chain.state(), 1);
  data.new_watermark.reset();
  EXPECT_THAT(chain.Append(data),
              Breaks("WatermarkIsNotMonotonic", "the watermark 1970-01-01T00:01:40Z is dropped"));
  data.new_watermark = At(99);
  EXPECT_THAT(chain.Append(data), Breaks("WatermarkIsNotMonotonic",
                                         "watermark 1970-01-01T00:01:39Z is before 1970-01-01T00:01:40Z"));
  data.new_watermark = At(100);
  EXPECT_OK(chain.Append(data));
  EXPECT_OK(chain.Append(SetInfo{}));
  data = NextData(chain.state(), 0);
  data.new_watermark = At(101);
  EXPECT_OK(chain.Append(data));
  EXPECT_EQ(chain.state().watermark(), At(101));
}

TEST(ChainRulesTest, DataEventsCarrySomething) {
  ChainBuilder root;
  EXPECT_THAT(root.Append(AddData{}), Breaks("NoOpEvent", "AddData carries neither data nor checkpoint"));
  AddData data;
  data.prev_offset = 3;
  data.extra = "{\"a\":1}";
  EXPECT_THAT(root.Append(data), Breaks("NoOpEvent", "nor source state"));
  ChainBuilder derivative(DatasetKind::kDerivative);
  ExecuteTransform query;
  query.query_inputs = {{.dataset_id = DatasetId::FromSeed("in"), .new_block_hash = TestHash(1)}};
  EXPECT_THAT(derivative.Append(query),
              Breaks("NoOpEvent", "ExecuteTransform carries neither data nor checkpoint"));
}

TEST(ChainRulesTest, OffsetsFollowThePreviousOnes) {
  ChainBuilder chain;
  EXPECT_OK(chain.Append(TestSchema()));
  AddData data = NextData(chain.state(), 5);
  data.new_data->offset_interval = {.start = 1, .end = 5};
  EXPECT_THAT(chain.Append(data),
              Breaks("OffsetsAreNotSequential", "expected the data to start at offset 0, not at 1"));
  data.prev_offset = 0;
  EXPECT_THAT(chain.Append(data), Breaks("InvalidEvent", "prevOffset is 0, but no data event comes before"));

  EXPECT_OK(chain.Append(NextData(chain.state(), 5)));
  EXPECT_EQ(chain.state().last_offset(), 4u);
  data = NextData(chain.state(), 5);
  data.new_data->offset_interval = {.start = 4, .end = 9};
  EXPECT_THAT(chain.Append(data),
              Breaks("OffsetsAreNotSequential", "expected the data to start at offset 5, not at 4"));
  data.new_data->offset_interval = {.start = 5, .end = 4};
  EXPECT_THAT(chain.Append(data), Breaks("InvalidEvent", "bad offset interval 5..4"));
  data.new_data->offset_interval = {.start = 5, .end = std::numeric_limits<uint64_t>::max()};
  EXPECT_THAT(chain.Append(data), Breaks("InvalidEvent", "bad offset interval 5..18446744073709551615"));
  data.prev_offset = std::numeric_limits<uint64_t>::max();
  data.new_data->offset_interval = {.start = 0, .end = 4};
  EXPECT_THAT(chain.Append(data),
              Breaks("InvalidEvent", "no offset follows prevOffset 18446744073709551615"));
  data.prev_offset = 5;
  data.new_data->offset_interval = {.start = 6, .end = 7};
  EXPECT_THAT(chain.Append(data),
              Breaks("InvalidEvent", "prevOffset is 5, but the last offset in the chain is 4"));
  data.prev_offset.reset();
  data.new_data->offset_interval = {.start = 0, .end = 4};
  EXPECT_THAT(chain.Append(data),
              Breaks("InvalidEvent", "prevOffset is none, but the last offset in the chain is 4"));
}

TEST(ChainRulesTest, LastOffsetPassesThroughEventsWithoutASlice) {
  ChainBuilder chain;
  EXPECT_OK(chain.Append(TestSchema()));
  AddData watermark;
  watermark.new_watermark = At(5);
  EXPECT_OK(chain.Append(watermark));
  EXPECT_EQ(chain.state().last_offset(), std::nullopt);
  EXPECT_OK(chain.Append(NextData(chain.state(), 3)));
  watermark = NextData(chain.state(), 0);
  watermark.new_watermark = At(6);
  EXPECT_OK(chain.Append(watermark));
  EXPECT_EQ(chain.state().last_offset(), 2u);
  EXPECT_OK(chain.Append(NextData(chain.state(), 1)));
  EXPECT_EQ(chain.state().last_offset(), 3u);
  EXPECT_EQ(chain.state().data_blocks, 2u);
  EXPECT_EQ(chain.state().data_records, 4u);
  EXPECT_EQ(chain.state().data_bytes, 40u);
  EXPECT_EQ(chain.state().last_data_time, chain.state().system_time);
}

// --- V11: AddData ---

TEST(ChainRulesTest, DataNeedsASchema) {
  ChainBuilder chain;
  EXPECT_THAT(chain.Append(NextData(chain.state(), 1)),
              Breaks("InvalidEvent", "no SetDataSchema comes before it"));
  AddData watermark;
  watermark.new_watermark = At(1);
  EXPECT_OK(chain.Append(watermark));
}

TEST(ChainRulesTest, CheckpointsFollowEachOther) {
  ChainBuilder chain = WithRows();
  AddData data = NextData(chain.state(), 1);
  data.prev_checkpoint = TestHash(50);
  EXPECT_THAT(chain.Append(data), Breaks("InvalidEvent", "but the previous checkpoint is none"));
  data = NextData(chain.state(), 1);
  data.new_checkpoint = Checkpoint{.physical_hash = TestHash(50), .size = 1};
  EXPECT_OK(chain.Append(data));
  data = NextData(chain.state(), 1);
  data.prev_checkpoint.reset();
  EXPECT_THAT(chain.Append(data),
              Breaks("InvalidEvent", "prevCheckpoint is none, but the previous checkpoint is f1620"));
  data = NextData(chain.state(), 1);
  EXPECT_EQ(data.prev_checkpoint, TestHash(50));
  EXPECT_OK(chain.Append(data)) << "an event without a new checkpoint ends the sequence of checkpoints";
  EXPECT_EQ(NextData(chain.state(), 1).prev_checkpoint, std::nullopt);
  EXPECT_OK(chain.Append(NextData(chain.state(), 1)));
}

TEST(ChainRulesTest, AddDataAdvancesSomething) {
  ChainBuilder chain = WithRows();
  EXPECT_OK(chain.Append(TestPushSource("s")));
  AddData data = WithState(NextData(chain.state(), 0), "s", "sluice/token", "1");
  data.new_watermark = At(1);
  data.new_checkpoint = Checkpoint{.physical_hash = TestHash(50), .size = 1};
  EXPECT_OK(chain.Append(data));
  const auto repeated = [&] {
    AddData again = WithState(NextData(chain.state(), 0), "s", "sluice/token", "1");
    again.new_checkpoint = Checkpoint{.physical_hash = TestHash(50), .size = 1};
    return again;
  };
  EXPECT_THAT(chain.Append(repeated()),
              Breaks("NoOpEvent", "neither data nor checkpoint nor watermark nor source"));
  AddData other = repeated();
  other.new_watermark = At(2);
  EXPECT_OK(ChainBuilder(chain).Append(other));
  other = repeated();
  other.new_checkpoint->physical_hash = TestHash(51);
  EXPECT_OK(ChainBuilder(chain).Append(other));
  other = repeated();
  other.new_source_state->value = "2";
  EXPECT_OK(ChainBuilder(chain).Append(other));
  other = repeated();
  other.new_source_state->kind = "odf/etag";
  EXPECT_OK(ChainBuilder(chain).Append(other));
}

TEST(ChainRulesTest, NoOpIsJudgedPerSource) {
  ChainBuilder chain;
  EXPECT_OK(chain.Append(TestPushSource("a")));
  EXPECT_OK(chain.Append(TestPushSource("b")));
  EXPECT_OK(chain.Append(WithState({}, "a", "k", "1")));
  EXPECT_OK(chain.Append(WithState({}, "b", "k", "1")));
  EXPECT_THAT(chain.Append(WithState({}, "a", "k", "1")), Breaks("NoOpEvent", "source state"));
  EXPECT_OK(ChainBuilder(chain).Append(WithState({}, "a", "k", "1"), Judging::kReplay))
      << "the reference looks at the last AddData alone";
  EXPECT_OK(chain.Append(WithState({}, "a", "sluice/file", "1"))) << "file states stand apart";
  EXPECT_THAT(chain.Append(WithState({}, "a", "sluice/file", "1")), Breaks("NoOpEvent", "source state"));
  EXPECT_THAT(chain.Append(WithState({}, "a", "k", "1")), Breaks("NoOpEvent", "source state"));
  // A source that starts anew may take the same state again.
  EXPECT_OK(chain.Append(DisablePushSource{"a"}));
  EXPECT_OK(chain.Append(TestPushSource("a")));
  EXPECT_OK(chain.Append(WithState({}, "a", "k", "1")));
  // But not the one that the last block has, which whoever reads the chain would refuse.
  EXPECT_OK(chain.Append(DisablePushSource{"a"}));
  EXPECT_OK(chain.Append(TestPushSource("a")));
  EXPECT_THAT(chain.Append(WithState({}, "a", "k", "1")), Breaks("NoOpEvent", "source state"));
  // A state that no active source has is compared with the last AddData.
  EXPECT_OK(chain.Append(WithState({}, "nobody", "k", "1")));
  EXPECT_THAT(chain.Append(WithState({}, "nobody", "k", "1")), Breaks("NoOpEvent", "source state"));
}

TEST(ChainRulesTest, DroppingTheStateAdvancesNothing) {
  ChainBuilder chain = WithRows();
  EXPECT_OK(chain.Append(TestPushSource("a")));
  AddData data = WithState(NextData(chain.state(), 0), "a", "k", "1");
  data.new_watermark = At(1);
  EXPECT_OK(chain.Append(data));
  EXPECT_THAT(chain.Append(NextData(chain.state(), 0)), Breaks("NoOpEvent", "source state"));
  EXPECT_OK(chain.Append(NextData(chain.state(), 0), Judging::kReplay));
}

// --- replay ---

TEST(ChainRulesTest, ReplayTakesWhatTheReferenceWrites) {
  ChainBuilder chain;
  EXPECT_OK(chain.Append(TestSchema()));
  AddData data = NextData(chain.state(), 5);
  data.prev_offset = 9;
  data.new_data->offset_interval = {.start = 10, .end = 14};
  EXPECT_THAT(chain.Append(data), Breaks("InvalidEvent", "no data event comes before"));
  EXPECT_OK(chain.Append(data, Judging::kReplay));
  EXPECT_THAT(chain.Append(TestPushSource("odf/polling")),
              Breaks("InvalidEvent", "'odf/polling' names the state"));
  EXPECT_OK(chain.Append(TestPushSource("odf/polling"), Judging::kReplay));
}

TEST(ChainRulesTest, AFailureLeavesTheStateAsItWas) {
  ChainBuilder chain = WithRows();
  const ChainState before = chain.state();
  EXPECT_FALSE(chain.Append(AddData{}).ok());
  EXPECT_FALSE(chain.Append(SetDataSchema{.raw_arrow_schema = "no schema"}).ok());
  EXPECT_FALSE(chain.Append(DisablePushSource{"x"}).ok());
  EXPECT_EQ(chain.state(), before);
}

}  // namespace
}  // namespace sluice::odf
