#include "odf/codec.h"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <random>
#include <sstream>

#include "base/testing/matchers.h"
#include "multiformats/multibase.h"
#include "odf/testing/vectors.h"

namespace sluice::odf {
namespace {

namespace fs = std::filesystem;
using multiformats::EncodeHex;
using ::testing::HasSubstr;

std::string HexDigestOf(std::string_view bytes) { return HashBlock(bytes).ToString().substr(5); }

std::vector<testing::BlockVector> AllVectors() {
  auto all = testing::SingleBlocks();
  for (auto& vector : testing::ChainBlocks()) all.push_back(std::move(vector));
  return all;
}

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST(CodecTest, EncodesVersion3ToTheBytesOfOtherPrograms) {
  for (const auto& vector : AllVectors()) {
    const std::string bytes = *EncodeBlock(vector.block);
    EXPECT_EQ(bytes.size(), vector.v3_size) << vector.name;
    EXPECT_EQ(HexDigestOf(bytes), vector.v3_digest) << vector.name;
  }
}

TEST(CodecTest, EncodesVersion2ToTheBytesOfOtherPrograms) {
  for (const auto& vector : AllVectors()) {
    if (vector.v2_size == 0) continue;
    const std::string bytes = EncodeBlockV2(vector.block);
    EXPECT_EQ(bytes.size(), vector.v2_size) << vector.name;
    EXPECT_EQ(HexDigestOf(bytes), vector.v2_digest) << vector.name;
  }
}

TEST(CodecTest, EncodesTheAnnotatedExamples) {
  const auto vectors = testing::SingleBlocks();
  auto block = [&](std::string_view name) {
    for (const auto& vector : vectors) {
      if (vector.name == name) return vector.block;
    }
    ADD_FAILURE() << name;
    return MetadataBlock();
  };
  EXPECT_EQ(EncodeHex(*EncodeBlock(block("9.3 Seed root"))),
            "140000000000000000000a0018000c00080004000a0000001400000003000000"
            "000040000000000000000000680000001400000000000e001e000c0000000000"
            "0b0004000e00000020000000000000030208000001000000c0a8000000000000"
            "0000060008000400060000000400000022000000ed01666f6fb3b7370000666f"
            "6fb3b737000060f6f60600000000895cddbcb7f7b8cc0000");
  EXPECT_EQ(EncodeHex(EncodeBlockV2(block("9.3 Seed root"))),
            "140000000000000000000a0014000c00080004000a0000001000000002000000"
            "0000400000000000640000001400000000000e001a000a000000000009000400"
            "0e0000001c00000000030208000001000000c0a8000000000000060008000400"
            "060000000400000022000000ed01666f6fb3b7370000666f6fb3b737000060f6"
            "f60600000000895cddbcb7f7b8cc0000");
  EXPECT_EQ(EncodeHex(*EncodeBlock(block("4.8 (c) SetInfo"))),
            "140000000000000000000a0018000c00080004000a0000001400000003000000"
            "000040000000000000000000480000001400000000000e001e000c0000000000"
            "0b0004000e00000020000000000000080208000001000000c0a8000000000000"
            "0000060008000400060000000400000003000000666f6f00");
}

TEST(CodecTest, DecodesWhatItEncoded) {
  for (const auto& vector : AllVectors()) {
    ASSERT_OK_AND_ASSIGN(const MetadataBlock v3, DecodeBlock(*EncodeBlock(vector.block)));
    EXPECT_EQ(v3, vector.block) << vector.name;
    ASSERT_OK_AND_ASSIGN(const MetadataBlock v2, DecodeBlock(EncodeBlockV2(vector.block)));
    EXPECT_EQ(v2, vector.block) << vector.name;
  }
}

// Every block file of `dataset` decodes, and encodes again to the very same bytes.
void ExpectReencodes(const fs::path& dataset,
                     const std::function<std::string(const MetadataBlock&)>& encode) {
  size_t count = 0;
  for (const auto& entry : fs::directory_iterator(dataset / "blocks")) {
    const std::string bytes = ReadFile(entry.path());
    EXPECT_EQ(HashBlock(bytes).ToString(), entry.path().filename());
    ASSERT_OK_AND_ASSIGN(const MetadataBlock block, DecodeBlock(bytes));
    EXPECT_EQ(EncodeHex(encode(block)), EncodeHex(bytes)) << entry.path();
    ++count;
  }
  EXPECT_GT(count, 0u) << dataset;
}

TEST(CodecTest, ReencodesBlocksOfTheReferenceVersion3) {
  const fs::path root = fs::path(SLUICE_SOURCE_DIR) / "tests/vectors/kamu-v3";
  const auto encode = [](const MetadataBlock& block) { return *EncodeBlock(block); };
  ExpectReencodes(root / "ledger", encode);
  ExpectReencodes(root / "changelog", encode);
}

// Real datasets that may not be copied into the repository; read where they lie, if they do.
TEST(CodecTest, ReencodesBlocksOfTheReferenceVersion2) {
  const char* shared = std::getenv("SLUICE_SHARED");
  const fs::path root = (shared ? fs::path(shared) : fs::path(SLUICE_SOURCE_DIR) / "../shared") / "fixtures";
  for (const char* name : {"kamu-v2-gps", "kamu-v2-vessels.gps"}) {
    if (!fs::exists(root / name)) {
      std::cout << "left out: " << name << " is not under SLUICE_SHARED\n";
      continue;
    }
    ExpectReencodes(root / name, EncodeBlockV2);
  }
}

// The manifest's version is the int32 whose bytes precede `kind` in blocks of this program.
std::string WithVersion(std::string bytes, int32_t version) {
  std::memcpy(bytes.data() + 0x1c, &version, sizeof(version));
  return bytes;
}

TEST(CodecTest, RefusesOtherVersions) {
  const std::string bytes = *EncodeBlock(testing::InEnvelope(SetInfo{}));
  EXPECT_THAT(DecodeBlock(WithVersion(bytes, 1)), IsError(ErrorCode::kUnsupported, HasSubstr("version 1")));
  EXPECT_THAT(DecodeBlock(WithVersion(bytes, 4)), IsError(ErrorCode::kUnsupported, HasSubstr("version 4")));
  EXPECT_THAT(DecodeBlock(WithVersion(bytes, 2)), IsOk());
}

TEST(CodecTest, NamesAnUnknownEvent) {
  std::string bytes = *EncodeBlock(testing::InEnvelope(DisablePollingSource{}));
  // The discriminant is the only byte 13 of this block that can be told from padding and lengths.
  size_t changed = 0;
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string copy = bytes;
    if (copy[at] != 13) continue;
    copy[at] = 99;
    const auto decoded = DecodeBlock(copy);
    if (!decoded.ok() && decoded.error().code() == ErrorCode::kUnsupported) {
      EXPECT_THAT(decoded.error().message(), HasSubstr("metadata event with discriminant 99"));
      ++changed;
    }
  }
  EXPECT_EQ(changed, 1u);
}

TEST(CodecTest, CallsForeignBytesCorrupt) {
  EXPECT_THAT(DecodeBlock(""), IsErrorCode(ErrorCode::kCorruption));
  EXPECT_THAT(DecodeBlock("abc"), IsErrorCode(ErrorCode::kCorruption));
  EXPECT_THAT(DecodeBlock(std::string(200, '\0')), IsErrorCode(ErrorCode::kCorruption));
  EXPECT_THAT(DecodeBlock(std::string(200, '\xff')), IsErrorCode(ErrorCode::kCorruption));
}

TEST(CodecTest, SurvivesTruncationAtEveryByte) {
  const std::string bytes = *EncodeBlock(testing::InEnvelope(testing::AllTypesSchema()));
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto decoded = DecodeBlock(std::string_view(bytes).substr(0, size));
    if (decoded.ok()) {
      EXPECT_GT(size, bytes.size() - 8);  // only padding is gone
    }
  }
}

TEST(CodecTest, SurvivesChangedBytes) {
  std::mt19937 random(7);
  for (const auto& vector : testing::SingleBlocks()) {
    const std::string bytes = *EncodeBlock(vector.block);
    for (int round = 0; round < 300; ++round) {
      std::string copy = bytes;
      for (int i = 0; i < 1 + round % 3; ++i) copy[random() % copy.size()] = static_cast<char>(random());
      const auto decoded = DecodeBlock(copy);
      if (decoded.ok()) {
        EXPECT_THAT(DecodeBlock(*EncodeBlock(*decoded)), IsOk());
      }
    }
  }
}

TEST(CodecTest, LimitsNesting) {
  DataType type = DataType::Of(TypeKind::kInt32);
  for (int i = 0; i < 80; ++i) type = DataType::List(type);
  const auto block = testing::InEnvelope(SetDataSchema{{}, DataSchema{{{"deep", type, {}}}, {}}});
  EXPECT_THAT(DecodeBlock(EncodeBlockV2(block)), IsError(ErrorCode::kCorruption, HasSubstr("nested")));
  EXPECT_THAT(EncodeBlock(block), IsError(ErrorCode::kInvalidArgument, HasSubstr("SetDataSchema")));
}

TEST(CodecTest, EncodesNothingThatCannotBeReadBack) {
  AddData data;
  data.new_source_state = SourceState{"odf/polling", "odf/etag", "\"a\xff\""};
  EXPECT_THAT(EncodeBlock(testing::InEnvelope(data)),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("field 'value' is not UTF-8")));
  data.new_source_state->value = "\"\xc3\xb6\"";
  EXPECT_THAT(EncodeBlock(testing::InEnvelope(data)), IsOk());
}

TEST(CodecTest, KeepsTimesOutsideOfFourDigitYears) {
  for (const int64_t seconds :
       {-62135596800LL, -62167219201LL, 253402300800LL, -1LL, 951782399LL, 951868800LL}) {
    MetadataBlock block = testing::InEnvelope(SetInfo{});
    block.system_time = {seconds, 999999999};
    ASSERT_OK_AND_ASSIGN(const MetadataBlock decoded, DecodeBlock(*EncodeBlock(block)));
    EXPECT_EQ(decoded.system_time, block.system_time);
  }
}

}  // namespace
}  // namespace sluice::odf
