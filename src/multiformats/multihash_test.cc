#include "multiformats/multihash.h"

#include <unordered_set>

#include "base/testing/matchers.h"
#include "multiformats/multibase.h"

namespace sluice::multiformats {
namespace {

using testing::HasSubstr;

constexpr char kSha3Text[] = "f162008c3792b2a4deed1bd7ea2328fb5de5531eccf0fbfa04a7d800cdc267137c635";
constexpr char kSha2Text[] = "f12209cbc07c3f991725836a3aa2a581ca2029198aa420b9d99bc0e131d9f3e2cbe47";

TEST(MultihashTest, HasTheFormatsText) {
  const Multihash hash = Sha3Multihash("multihash");
  EXPECT_EQ(hash.ToString(), kSha3Text);
  EXPECT_EQ(hash.ToShortString(), "7137c635");
  EXPECT_EQ(EncodeMultibase(Multibase::kBase58Btc, hash.ToBytes()),
            "zW1a3CNT52HXiJNniLkWMeev3CPRy9QiNRMWGyTrVNg4hY8");
  EXPECT_EQ(Sha3Multihash("[]").ToString(),
            "f1620ca4510738395af1429224dd785675309c344b2b549632e20275c69b15ed1d210");
}

TEST(MultihashTest, ParsesEveryBase) {
  ASSERT_OK_AND_ASSIGN(const Multihash hash, Multihash::Parse(kSha3Text));
  EXPECT_EQ(hash, Sha3Multihash("multihash"));
  for (const Multibase base :
       {Multibase::kBase16, Multibase::kBase16Upper, Multibase::kBase64Url, Multibase::kBase58Btc}) {
    ASSERT_OK_AND_ASSIGN(const Multihash parsed, Multihash::Parse(EncodeMultibase(base, hash.ToBytes())));
    EXPECT_EQ(parsed, hash);
  }
}

TEST(MultihashTest, KnowsSha2AndTheLogicalHash) {
  ASSERT_OK_AND_ASSIGN(const Multihash sha2, Multihash::Parse(kSha2Text));
  EXPECT_EQ(sha2.code(), HashCode::kSha2_256);
  EXPECT_EQ(EncodeMultibase(Multibase::kBase58Btc, sha2.ToBytes()),
            "zQmYtUc4iTCbbfVSDNKvtQqrfyezPPnFvE33wFmutw9PBBk");
  const Multihash logical(HashCode::kArrow0Sha3_256, {});
  EXPECT_EQ(logical.ToString(), "f9680c00120" + std::string(64, '0'));
  ASSERT_OK_AND_ASSIGN(const Multihash parsed, Multihash::Parse(logical.ToString()));
  EXPECT_EQ(parsed, logical);
}

TEST(MultihashTest, RefusesWhatIsNoMultihash) {
  const std::string bytes = Sha3Multihash("x").ToBytes();
  EXPECT_THAT(Multihash::FromBytes(bytes + "y"), IsError(ErrorCode::kInvalidArgument, HasSubstr("has 33")));
  EXPECT_THAT(Multihash::FromBytes(bytes.substr(0, 33)), IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_THAT(Multihash::FromBytes("\x16\x21" + bytes.substr(2) + "y"),
              IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_THAT(Multihash::FromBytes("\x17" + bytes.substr(1)),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("0x17")));
  EXPECT_THAT(Multihash::FromBytes(""), IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_THAT(Multihash::Parse("f16zz"), IsError(ErrorCode::kInvalidArgument, HasSubstr("f16zz")));
  EXPECT_THAT(Multihash::Parse(std::string(kSha3Text) + "\n"), IsErrorCode(ErrorCode::kInvalidArgument));
}

TEST(MultihashTest, OrdersByCodeAndCanBeAKey) {
  ASSERT_OK_AND_ASSIGN(const Multihash sha2, Multihash::Parse(kSha2Text));
  EXPECT_LT(sha2, Sha3Multihash("multihash"));
  const std::unordered_set<Multihash> set = {sha2, Sha3Multihash("a"), Sha3Multihash("a")};
  EXPECT_EQ(set.size(), 2U);
}

}  // namespace
}  // namespace sluice::multiformats
