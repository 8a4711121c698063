// Chains that other programs wrote, legacy schemas, and events of any shape.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "base/testing/matchers.h"
#include "multiformats/multibase.h"
#include "odf/codec.h"
#include "odf/testing/chain_builder.h"
#include "odf/testing/random_event.h"
#include "odf/testing/vectors.h"

namespace sluice::odf {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The state of the dataset in `folder`, its blocks applied from the Seed to the head.
Result<ChainState> Replay(const fs::path& folder, Judging judging) {
  std::vector<std::pair<Multihash, MetadataBlock>> blocks;
  ASSIGN_OR_RETURN(Multihash hash, Multihash::Parse(ReadFile(folder / "refs/head")));
  while (true) {
    const std::string bytes = ReadFile(folder / "blocks" / hash.ToString());
    if (HashBlock(bytes) != hash) return Corruption("block {} has other bytes", hash.ToString());
    ASSIGN_OR_RETURN(MetadataBlock block, DecodeBlock(bytes));
    const std::optional<Multihash> previous = block.prev_block_hash;
    blocks.emplace_back(hash, std::move(block));
    if (!previous) break;
    hash = *previous;
  }
  std::reverse(blocks.begin(), blocks.end());
  ChainState state;
  for (const auto& [block_hash, block] : blocks) RETURN_IF_ERROR(state.Apply(block, block_hash, judging));
  return state;
}

void ExpectCacheable(const ChainState& state) {
  ASSERT_OK_AND_ASSIGN(const ChainState read, ChainState::Deserialize(state.Serialize()));
  EXPECT_EQ(read, state);
}

TEST(ChainReplayTest, ChainsOfTheReferenceHoldAndGoOn) {
  for (const char* name : {"ledger", "changelog"}) {
    SCOPED_TRACE(name);
    const fs::path folder = fs::path(SLUICE_SOURCE_DIR) / "tests/vectors/kamu-v3" / name;
    ASSERT_OK_AND_ASSIGN(ChainState state, Replay(folder, Judging::kReplay));
    ExpectCacheable(state);
    EXPECT_GT(state.data_records, 0u);
    EXPECT_EQ(state.data_records, *state.last_offset() + 1);
    EXPECT_TRUE(state.schema);
    EXPECT_THAT(Replay(folder, Judging::kAppend), IsOk()) << "it keeps our rules too";

    const MetadataBlock next{.system_time = state.system_time,
                             .prev_block_hash = state.head,
                             .sequence_number = state.sequence + 1,
                             .event = testing::NextData(state, 5)};
    EXPECT_OK(state.Apply(next, testing::TestHash(1)));
  }
}

// Real datasets that may not be copied into the repository; read where they lie, if they do.
TEST(ChainReplayTest, ChainsOfVersion2Hold) {
  const char* shared = std::getenv("SLUICE_SHARED");
  const fs::path root = (shared ? fs::path(shared) : fs::path(SLUICE_SOURCE_DIR) / "../shared") / "fixtures";
  for (const char* name : {"kamu-v2-gps", "kamu-v2-vessels.gps"}) {
    if (!fs::exists(root / name)) {
      std::cout << "left out: " << name << " is not under SLUICE_SHARED\n";
      continue;
    }
    SCOPED_TRACE(name);
    ASSERT_OK_AND_ASSIGN(const ChainState state, Replay(root / name, Judging::kReplay));
    ExpectCacheable(state);
  }
}

TEST(ChainReplayTest, ThePublishedChainHolds) {
  ChainState state;
  for (const testing::BlockVector& vector : testing::ChainBlocks()) {
    ASSERT_OK(state.Apply(vector.block, HashBlock(*EncodeBlock(vector.block)))) << vector.name;
  }
  EXPECT_EQ(state.sequence + 1, testing::ChainBlocks().size());
}

// --- legacy schemas ---

// Fields a Int64 and b Boolean, neither nullable (odf-metadata.md 9.1).
constexpr std::string_view kRawSchema =
    "DAAAAAgACAAAAAQACAAAAAQAAAACAAAAQAAAAAQAAADY////"
    "GAAAAAwAAAAAAAAGEAAAAAAAAAAEAAQABAAAAAEAAABiAAAAEAAUABAAAAAPAAQAAA"
    "AIABAAAAAYAAAAIAAAAAAAAAIcAAAACAAMAAQACwAIAAAAQAAAAAAAAAEAAAAAAQAAAGEAAAA=";

SetDataSchema LegacySchema() { return {.raw_arrow_schema = multiformats::DecodeBase64(kRawSchema).value()}; }
DataSchema SchemaOf(std::vector<DataField> fields) { return {.fields = std::move(fields)}; }

TEST(LegacySchemaTest, IsConvertedAndLetsOptionalityChangeOnce) {
  const DataField a = testing::Column("a", TypeKind::kInt64);
  const DataField b = testing::Column("b", TypeKind::kBool);
  const DataField optional_b = testing::OptionalColumn("b", TypeKind::kBool);
  testing::ChainBuilder chain;
  ASSERT_OK(chain.Append(LegacySchema()));
  EXPECT_TRUE(chain.state().schema_is_legacy);
  EXPECT_EQ(chain.state().schema, SchemaOf({a, b}));
  ExpectCacheable(chain.state());
  EXPECT_OK(chain.Append(LegacySchema())) << "a legacy schema is not judged";
  EXPECT_THAT(chain.Append(SetDataSchema{.schema = SchemaOf({a, b})}),
              IsError(ErrorCode::kInvalidArgument, StartsWith("NoOpEvent: ")));
  EXPECT_THAT(chain.Append(SetDataSchema{.schema = SchemaOf({a, testing::Column("b", TypeKind::kString)})}),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("column 'b' changed from Bool to String")));
  EXPECT_OK(chain.Append(SetDataSchema{.schema = SchemaOf({a, optional_b})}));
  EXPECT_FALSE(chain.state().schema_is_legacy);
  EXPECT_THAT(
      chain.Append(SetDataSchema{.schema = SchemaOf({a, b})}),
      IsError(ErrorCode::kInvalidArgument, HasSubstr("column 'b' changed from Option<Bool> to Bool")));
}

// --- events of any shape ---

TEST(AnyEventTest, IsJudgedAndCached) {
  size_t accepted = 0;
  testing::ChainBuilder root;
  testing::ChainBuilder derivative(DatasetKind::kDerivative);
  for (uint32_t seed = 0; seed < 3000; ++seed) {
    const MetadataEvent event = testing::RandomEvent(seed);
    const Status alone = CheckEvent(event);
    for (testing::ChainBuilder* chain : {&root, &derivative}) {
      const ChainState before = chain->state();
      const Status status = chain->Append(event);
      if (!status.ok()) {
        EXPECT_EQ(status.error().code(), ErrorCode::kInvalidArgument);
        EXPECT_THAT(status.error().message(), ::testing::MatchesRegex("[A-Z][A-Za-z]+: .+"));
        EXPECT_EQ(chain->state(), before);
        EXPECT_FALSE(chain->Append(event).ok());
        continue;
      }
      ++accepted;
      ExpectCacheable(chain->state());
    }
    if (alone.ok()) continue;
    EXPECT_FALSE(alone.error().message().empty());
  }
  EXPECT_GT(accepted, 1000u);
}

}  // namespace
}  // namespace sluice::odf
