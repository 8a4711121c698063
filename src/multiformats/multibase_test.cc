#include "multiformats/multibase.h"

#include <random>

#include "base/testing/matchers.h"

namespace sluice::multiformats {
namespace {

using testing::HasSubstr;

constexpr Multibase kBases[] = {Multibase::kBase16, Multibase::kBase16Upper, Multibase::kBase64Url,
                                Multibase::kBase58Btc};

TEST(MultibaseTest, EncodesThePublishedExamples) {
  // From the multibase specification's test vectors.
  EXPECT_EQ(EncodeMultibase(Multibase::kBase16, "yes mani !"), "f796573206d616e692021");
  EXPECT_EQ(EncodeMultibase(Multibase::kBase16Upper, "yes mani !"), "F796573206D616E692021");
  EXPECT_EQ(EncodeMultibase(Multibase::kBase64Url, "yes mani !"), "ueWVzIG1hbmkgIQ");
  EXPECT_EQ(EncodeMultibase(Multibase::kBase58Btc, "yes mani !"), "z7paNL19xttacUY");
  EXPECT_EQ(EncodeMultibase(Multibase::kBase58Btc, std::string_view("\0\0yes mani !", 12)),
            "z117paNL19xttacUY");
}

TEST(MultibaseTest, ReturnsWhatItEncoded) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 300; ++round) {
    std::string bytes(random() % 70, '\0');
    for (char& c : bytes) c = static_cast<char>(random() % 3 == 0 ? 0 : random());
    for (const Multibase base : kBases) {
      ASSERT_OK_AND_ASSIGN(const std::string decoded, DecodeMultibase(EncodeMultibase(base, bytes)));
      ASSERT_EQ(decoded, bytes);
    }
    ASSERT_OK_AND_ASSIGN(const std::string decoded, DecodeBase64(EncodeBase64(bytes)));
    ASSERT_EQ(decoded, bytes);
  }
}

TEST(MultibaseTest, RefusesWhatIsNoMultibase) {
  EXPECT_THAT(DecodeMultibase(""), IsError(ErrorCode::kInvalidArgument, HasSubstr("empty")));
  EXPECT_THAT(DecodeMultibase("bmfrgg"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("unknown prefix 'b'")));
  EXPECT_THAT(DecodeMultibase("f123"), IsError(ErrorCode::kInvalidArgument, HasSubstr("odd number")));
  EXPECT_THAT(DecodeMultibase("f12AB"), IsError(ErrorCode::kInvalidArgument, HasSubstr("wrong digit 'A'")));
  EXPECT_THAT(DecodeMultibase("F12ab"), IsError(ErrorCode::kInvalidArgument, HasSubstr("wrong digit 'a'")));
  EXPECT_THAT(DecodeMultibase("z10"), IsError(ErrorCode::kInvalidArgument, HasSubstr("wrong digit '0'")));
  EXPECT_THAT(DecodeMultibase("uab+c"), IsError(ErrorCode::kInvalidArgument, HasSubstr("wrong digit '+'")));
  EXPECT_THAT(DecodeMultibase("uabcde"), IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_THAT(DecodeMultibase("uab"), IsError(ErrorCode::kInvalidArgument, HasSubstr("left over")));
  EXPECT_THAT(DecodeMultibase("z" + std::string(100000, '2')),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("longer")));
}

TEST(HexTest, ReadsBothCases) {
  EXPECT_EQ(EncodeHex("\xab\xcd"), "abcd");
  ASSERT_OK_AND_ASSIGN(const std::string bytes, DecodeHex("aBCd"));
  EXPECT_EQ(bytes, "\xab\xcd");
  EXPECT_THAT(DecodeHex("0g"), IsError(ErrorCode::kInvalidArgument, HasSubstr("'g' at position 1")));
}

TEST(Base64Test, EncodesThePublishedExamples) {
  // RFC 4648, section 10.
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(EncodeBase64(bytes), text);
    ASSERT_OK_AND_ASSIGN(const std::string decoded, DecodeBase64(text));
    EXPECT_EQ(decoded, bytes);
  }
  EXPECT_EQ(EncodeBase64("\xfb\xff"), "+/8=");
  EXPECT_EQ(EncodeBase64Url("\xfb\xff"), "-_8");
}

TEST(Base64Test, RefusesWrongPadding) {
  for (const char* text : {"Zg", "Zg=", "Z===", "Zg==Zg==", "=", "====", "Zh=="}) {
    EXPECT_THAT(DecodeBase64(text), IsErrorCode(ErrorCode::kInvalidArgument)) << text;
  }
}

TEST(VarintTest, RoundTrips) {
  for (const uint64_t value : {uint64_t{0}, uint64_t{1}, uint64_t{127}, uint64_t{128}, uint64_t{0xed},
                               uint64_t{0x300016}, uint64_t{1} << 63, UINT64_MAX}) {
    std::string bytes;
    AppendVarint(value, &bytes);
    bytes += "rest";
    std::string_view rest = bytes;
    ASSERT_OK_AND_ASSIGN(const uint64_t read, ReadVarint(&rest));
    EXPECT_EQ(read, value);
    EXPECT_EQ(rest, "rest");
  }
}

TEST(VarintTest, HasTheFormatsBytes) {
  std::string bytes;
  AppendVarint(0x300016, &bytes);
  EXPECT_EQ(EncodeHex(bytes), "9680c001");
}

TEST(VarintTest, RefusesTruncatedOverlongAndHuge) {
  std::string_view truncated = "\x80\x80";
  EXPECT_THAT(ReadVarint(&truncated), IsErrorCode(ErrorCode::kInvalidArgument));
  std::string_view empty;
  EXPECT_THAT(ReadVarint(&empty), IsErrorCode(ErrorCode::kInvalidArgument));
  std::string_view huge = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02";
  EXPECT_THAT(ReadVarint(&huge), IsError(ErrorCode::kInvalidArgument, HasSubstr("64 bits")));
  std::string_view overlong("\x81\x00", 2);
  EXPECT_THAT(ReadVarint(&overlong), IsErrorCode(ErrorCode::kInvalidArgument));
}

}  // namespace
}  // namespace sluice::multiformats
