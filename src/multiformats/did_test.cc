#include "multiformats/did.h"

#include "base/testing/matchers.h"
#include "multiformats/multibase.h"

namespace sluice::multiformats {
namespace {

using testing::HasSubstr;

TEST(DatasetIdTest, SeedsAreTheFormats) {
  const std::pair<const char*, const char*> vectors[] = {
      {"multihash", "did:odf:fed012126262ba49e1ba8392c26f7a39e1ba8d756c7469786d3365200c68402ff65dc"},
      {"", "did:odf:fed01df230b49615d175307d580c33d6fda61fc7b9aec91df0f5c1a5ebe3b8cbfee02"},
      {"kamu", "did:odf:fed016b61ed2ab1b63a006b61ed2ab1b63a00b016d65607000000e0821aafbf163e6f"},
      {"input1", "did:odf:fed01816ef0a9abe93aba816ef0a9abe93aba90e6065747170300c0d3d30c2cd8d7a4"},
      {"input2", "did:odf:fed01826ef0a9abea3a3a826ef0a9abea3a3a90e6065747270300c1d3b30a2cd9d724"},
      {"foo", "did:odf:fed01666f6fb3b7370000666f6fb3b737000060f6f60600000000895cddbcb7f7b8cc"},
      {"bar", "did:odf:fed01626172b130390000626172b1303900002016260700000000508ebebd3079f00e"},
      {"dataset", "did:odf:fed01969b7413a41f25ba969b7413a41f25ba4016461736574607650ec170632ade10"},
      {"account", "did:odf:fed01989de31f27202c3b989de31f27202c3b103636f656e746078ac3c053218d8e6b"}};
  for (const auto& [seed, text] : vectors) {
    EXPECT_EQ(DatasetId::FromSeed(seed).ToString(), text);
    ASSERT_OK_AND_ASSIGN(const DatasetId parsed, DatasetId::Parse(text));
    EXPECT_EQ(parsed, DatasetId::FromSeed(seed));
  }
  EXPECT_EQ(DatasetId::FromSeed(std::string(32, '\0')), DatasetId::FromSeed(""));
}

TEST(DatasetIdTest, HasAllForms) {
  const DatasetId id = DatasetId::FromSeed("multihash");
  EXPECT_EQ(id.ToDidKey(), "did:key:z6MkggfEoTnRceFGdwjUtm1JaWeHQVKUpttKZUY6KAMaWvqq");
  EXPECT_EQ(id.ToMultibase(), id.ToString().substr(8));
  EXPECT_EQ(id.ToBytes().size(), 34U);
  for (const auto& parsed : {DatasetId::FromBytes(id.ToBytes()), DatasetId::Parse(id.ToDidKey()),
                             DatasetId::ParseMultibase(id.ToMultibase())}) {
    ASSERT_OK(parsed);
    EXPECT_EQ(*parsed, id);
  }
}

TEST(DatasetIdTest, ReadsDidKey) {
  ASSERT_OK_AND_ASSIGN(const DatasetId id,
                       DatasetId::Parse("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"));
  EXPECT_EQ(id.ToString(), "did:odf:fed012e6fcce36701dc791488e0d0b1745cc1e33a4c1c9fcc41c63bd343dbbe0970e6");
}

TEST(DatasetIdTest, RefusesWhatIsNoId) {
  const std::string text = DatasetId::FromSeed("a").ToString();
  EXPECT_THAT(DatasetId::Parse("did:pkh:eip155:1:0xb9"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("did:pkh:eip155")));
  EXPECT_THAT(DatasetId::Parse(text + "00"), IsError(ErrorCode::kInvalidArgument, HasSubstr("33 bytes")));
  EXPECT_THAT(DatasetId::Parse(text.substr(0, 75)),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("31 bytes")));
  // secp256k1-pub is another multicodec.
  EXPECT_THAT(DatasetId::Parse("did:odf:fe701" + text.substr(13)),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("ed25519")));
  EXPECT_THAT(DatasetId::ParseMultibase("hello"), IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_THAT(DatasetId::FromBytes(""), IsErrorCode(ErrorCode::kInvalidArgument));
}

std::string Unhex(std::string_view text) { return DecodeHex(text).value_or(""); }

TEST(KeyPairTest, SignsThePublishedExamples) {
  // RFC 8032, 7.1, tests 1 and 2.
  struct Vector {
    const char *seed, *public_key, *message, *signature;
  };
  const Vector vectors[] = {{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                             "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
                             "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33ba"
                             "cc61e39701cf9b46bd25bf5f0595bbe2465"
                             "5141438e7a100b"},
                            {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                             "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
                             "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996"
                             "e458f3613d0f11d8c387b2eaeb4302aeeb0"
                             "0d291612bb0c00"}};
  for (const Vector& vector : vectors) {
    ASSERT_OK_AND_ASSIGN(const KeyPair keys, KeyPair::FromPrivateKey(Unhex(vector.seed)));
    EXPECT_EQ(EncodeHex(keys.id().ToBytes()), std::string("ed01") + vector.public_key);
    const std::string message = Unhex(vector.message);
    ASSERT_OK_AND_ASSIGN(const std::string signature, keys.Sign(message));
    EXPECT_EQ(EncodeHex(signature), vector.signature);
    EXPECT_TRUE(VerifySignature(keys.id(), message, signature));
  }
}

TEST(KeyPairTest, RefusesForeignSignatures) {
  ASSERT_OK_AND_ASSIGN(const KeyPair keys, KeyPair::Generate());
  ASSERT_OK_AND_ASSIGN(const KeyPair other, KeyPair::Generate());
  EXPECT_NE(keys.id(), other.id());
  ASSERT_OK_AND_ASSIGN(std::string signature, keys.Sign("message"));
  EXPECT_TRUE(VerifySignature(keys.id(), "message", signature));
  EXPECT_FALSE(VerifySignature(other.id(), "message", signature));
  EXPECT_FALSE(VerifySignature(keys.id(), "massage", signature));
  EXPECT_FALSE(VerifySignature(keys.id(), "message", signature.substr(1)));
  signature[5] ^= 1;
  EXPECT_FALSE(VerifySignature(keys.id(), "message", signature));
}

TEST(KeyPairTest, TextRoundTrips) {
  ASSERT_OK_AND_ASSIGN(const KeyPair keys, KeyPair::Generate());
  EXPECT_EQ(keys.PrivateKeyText().size(), 44U);
  ASSERT_OK_AND_ASSIGN(const KeyPair parsed, KeyPair::ParsePrivateKey(keys.PrivateKeyText()));
  EXPECT_EQ(parsed.id(), keys.id());
}

TEST(KeyPairTest, ErrorsDoNotQuoteTheKey) {
  EXPECT_THAT(KeyPair::ParsePrivateKey("fsecret"),
              IsError(ErrorCode::kInvalidArgument, testing::Not(HasSubstr("secret"))));
  EXPECT_THAT(KeyPair::ParsePrivateKey("usec#ret"),
              IsError(ErrorCode::kInvalidArgument, testing::Not(HasSubstr("sec#"))));
  EXPECT_THAT(KeyPair::ParsePrivateKey("uAAAA"), IsError(ErrorCode::kInvalidArgument, HasSubstr("3 bytes")));
}

}  // namespace
}  // namespace sluice::multiformats
