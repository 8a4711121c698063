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

DatasetId Id(std::string_view name) { return DatasetId::FromSeed(name); }

SetTransform TransformOf(const std::vector<std::string>& inputs) {
  SetTransform event{.transform = TestQuery()};
  for (const std::string& name : inputs)
    event.inputs.push_back({.dataset_ref = Id(name).ToString(), .alias = name});
  return event;
}

// Reads `inputs` from where the previous query ended, one block and ten records each.
ExecuteTransform NextQuery(const ChainState& state, const std::vector<std::string>& inputs, uint64_t rows) {
  const AddData data = NextData(state, rows);
  ExecuteTransform query{.prev_checkpoint = data.prev_checkpoint,
                         .prev_offset = data.prev_offset,
                         .new_data = data.new_data,
                         .new_watermark = data.new_watermark};
  for (size_t i = 0; i < inputs.size(); ++i) {
    ExecuteTransformInput input{.dataset_id = Id(inputs[i])};
    if (state.last_data && i < state.last_data->inputs.size()) {
      const ExecuteTransformInput& before = state.last_data->inputs[i];
      input.prev_block_hash = before.new_block_hash ? before.new_block_hash : before.prev_block_hash;
      input.prev_offset = before.new_offset ? before.new_offset : before.prev_offset;
    }
    input.new_block_hash = TestHash(1000 * (i + 1) + state.sequence);
    input.new_offset = input.prev_offset ? *input.prev_offset + 10 : 9;
    query.query_inputs.push_back(input);
  }
  return query;
}

const std::vector<std::string> kInputs = {"a", "b"};

// A derivative dataset of `a` and `b` in which one query has run.
ChainBuilder WithQuery() {
  ChainBuilder chain(DatasetKind::kDerivative);
  EXPECT_OK(chain.Append(TransformOf(kInputs)));
  EXPECT_OK(chain.Append(TestSchema()));
  EXPECT_OK(chain.Append(NextQuery(chain.state(), kInputs, 5)));
  return chain;
}

TEST(SetTransformTest, InputsAreResolvedAndDistinct) {
  ChainBuilder chain(DatasetKind::kDerivative);
  EXPECT_THAT(chain.Append(TransformOf({})), Breaks("InvalidEvent", "SetTransform has no inputs"));
  EXPECT_THAT(chain.Append(TransformOf({"a", "b", "a"})), Breaks("InvalidEvent", "is given twice"));
  SetTransform transform = TransformOf({"a"});
  transform.inputs[0].dataset_ref = "some.name";
  EXPECT_THAT(chain.Append(transform), Breaks("InvalidEvent", "'some.name' is not resolved to a dataset id"));
  transform = TransformOf({"a"});
  transform.inputs[0].alias.reset();
  EXPECT_THAT(chain.Append(transform), Breaks("InvalidEvent", "has no alias"));
  EXPECT_OK(chain.Append(TransformOf({"a"})));
  EXPECT_OK(chain.Append(TransformOf({"a"}))) << "may repeat";
}

TEST(SetTransformTest, QueriesAreNormalized) {
  ChainBuilder chain(DatasetKind::kDerivative);
  SetTransform transform = TransformOf({"a"});
  transform.transform.query = "select 1";
  EXPECT_THAT(chain.Append(transform),
              Breaks("InvalidEvent", "transform: 'query' has to be given as 'queries'"));
  transform = TransformOf({"a"});
  transform.transform.queries->clear();
  EXPECT_THAT(chain.Append(transform), Breaks("InvalidEvent", "transform: there are no queries"));
  EXPECT_OK(chain.Append(transform, Judging::kReplay));
}

TEST(ExecuteTransformTest, NeedsATransformAndForDataASchema) {
  ChainBuilder chain(DatasetKind::kDerivative);
  EXPECT_THAT(chain.Append(NextQuery(chain.state(), kInputs, 1)),
              Breaks("InvalidEvent", "ExecuteTransform has data, but no SetDataSchema comes before it"));
  EXPECT_OK(chain.Append(TestSchema()));
  EXPECT_THAT(chain.Append(NextQuery(chain.state(), kInputs, 1)),
              Breaks("InvalidEvent", "ExecuteTransform needs a SetTransform before it"));
  EXPECT_OK(chain.Append(TransformOf(kInputs)));
  EXPECT_OK(chain.Append(NextQuery(chain.state(), kInputs, 1)));
}

TEST(ExecuteTransformTest, InputsKeepTheirDeclaredOrder) {
  ChainBuilder chain = WithQuery();
  EXPECT_THAT(
      chain.Append(NextQuery(chain.state(), {"b", "a"}, 1)),
      Breaks("InvalidEvent", "inputs must keep their declared order: input 1 is " + Id("b").ToString()));
  EXPECT_THAT(chain.Append(NextQuery(chain.state(), {"a"}, 1)),
              Breaks("InvalidEvent", "the query has 1 inputs, the transform 2"));
  EXPECT_THAT(chain.Append(NextQuery(chain.state(), {"a", "b", "c"}, 1)), Breaks("InvalidEvent", "3 inputs"));
  EXPECT_OK(chain.Append(NextQuery(chain.state(), kInputs, 1)));
  // A transform that is newer than the last query counts instead of that query.
  EXPECT_OK(chain.Append(TransformOf({"a", "c"})));
  EXPECT_THAT(chain.Append(NextQuery(chain.state(), kInputs, 1)),
              Breaks("InvalidEvent", "declared order: input 2"));
  EXPECT_OK(chain.Append(NextQuery(chain.state(), {"a", "c"}, 1)));
  EXPECT_OK(chain.Append(NextQuery(chain.state(), {"a", "c"}, 1)));
}

TEST(ExecuteTransformTest, InputIntervalsFollowEachOther) {
  ChainBuilder chain = WithQuery();
  const auto with = [&](auto change) {
    ExecuteTransform query = NextQuery(chain.state(), kInputs, 1);
    change(query.query_inputs[1]);
    return chain.Append(query);
  };
  using Input = ExecuteTransformInput;
  EXPECT_THAT(with([](Input& i) { i.new_block_hash = i.prev_block_hash; }),
              Breaks("InvalidEvent", "input 2 has the empty block interval"));
  EXPECT_THAT(with([](Input& i) { i.new_offset = i.prev_offset; }),
              Breaks("InvalidEvent", "input 2 has the empty offset interval 9..9"));
  EXPECT_THAT(with([](Input& i) { i.prev_block_hash = TestHash(5); }),
              Breaks("InvalidEvent", "input 2 continues after block " + TestHash(5).ToString()));
  EXPECT_THAT(with([](Input& i) { i.prev_block_hash.reset(); }),
              Breaks("InvalidEvent", "input 2 continues after block none"));
  EXPECT_THAT(with([](Input& i) { i.prev_offset = 8; }),
              Breaks("InvalidEvent", "input 2 continues after offset 8, but the previous query ended at 9"));
  EXPECT_THAT(with([](Input& i) { i.new_block_hash.reset(); }),
              Breaks("InvalidEvent", "input 2 has newOffset 19 without newBlockHash"));
  EXPECT_OK(with([](Input& i) { i.new_offset.reset(); })) << "new blocks may hold no records";
  EXPECT_OK(with([](Input& i) {
    i.new_offset.reset();
    i.new_block_hash.reset();
  })) << "an input may stand still";
  EXPECT_OK(with([](Input&) {}));
}

TEST(ExecuteTransformTest, CheckpointsFollowEachOther) {
  ChainBuilder chain = WithQuery();
  ExecuteTransform query = NextQuery(chain.state(), kInputs, 1);
  query.prev_checkpoint = TestHash(5);
  EXPECT_THAT(chain.Append(query), Breaks("InvalidEvent", "but the previous checkpoint is none"));
  query.prev_checkpoint.reset();
  query.new_checkpoint = Checkpoint{.physical_hash = TestHash(5), .size = 1};
  EXPECT_OK(chain.Append(query));
  query = NextQuery(chain.state(), kInputs, 1);
  query.prev_checkpoint.reset();
  EXPECT_THAT(chain.Append(query), Breaks("InvalidEvent", "prevCheckpoint is none"));
}

TEST(ExecuteTransformTest, AdvancesSomething) {
  ChainBuilder chain = WithQuery();
  ExecuteTransform query = NextQuery(chain.state(), kInputs, 0);
  EXPECT_THAT(chain.Append(query), Breaks("NoOpEvent", "neither data nor checkpoint nor watermark"))
      << "inputs alone are not enough";
  query.new_watermark = Instant{.seconds = 5};
  EXPECT_OK(chain.Append(query));
  query = NextQuery(chain.state(), kInputs, 0);
  EXPECT_OK(ChainBuilder(chain).Append(query)) << "a carried watermark and new input blocks";
  for (ExecuteTransformInput& input : query.query_inputs) {
    input.new_block_hash.reset();
    input.new_offset.reset();
  }
  EXPECT_THAT(chain.Append(query), Breaks("NoOpEvent", "nor an input advances"));
  query.new_watermark = Instant{.seconds = 4};
  EXPECT_THAT(chain.Append(query), Breaks("WatermarkIsNotMonotonic", "is before"));
  query.new_watermark = Instant{.seconds = 6};
  EXPECT_OK(chain.Append(query));
}

TEST(ExecuteTransformTest, OffsetsAreThoseOfAddData) {
  ChainBuilder chain = WithQuery();
  ExecuteTransform query = NextQuery(chain.state(), kInputs, 1);
  query.new_data->offset_interval.start = 7;
  EXPECT_THAT(chain.Append(query), Breaks("OffsetsAreNotSequential", "offset 5, not at 7"));
  query = NextQuery(chain.state(), kInputs, 0);
  query.new_watermark = Instant{.seconds = 5};
  query.prev_offset = 3;
  EXPECT_THAT(chain.Append(query),
              Breaks("InvalidEvent", "prevOffset is 3, but the last offset in the chain is 4"));
}

}  // namespace
}  // namespace sluice::odf
