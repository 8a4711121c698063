#include "multiformats/sha3.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <algorithm>
#include <random>
#include <string>

#include "multiformats/multibase.h"

namespace sluice::multiformats {
namespace {

std::string Hex(const Sha3Digest& digest) {
  return EncodeHex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

Sha3Digest OpenSslSha3(std::string_view bytes) {
  Sha3Digest digest;
  unsigned size = 0;
  EXPECT_EQ(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha3_256(), nullptr), 1);
  return digest;
}

std::string RandomText(std::mt19937_64* random, size_t size) {
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>((*random)());
  return out;
}

std::vector<Sha3Engine> Engines() {
  std::vector<Sha3Engine> engines = {Sha3Engine::kAuto, Sha3Engine::kPortable};
  for (const Sha3Engine engine : {Sha3Engine::kAvx2, Sha3Engine::kAvx512}) {
    if (IsAvailable(engine)) engines.push_back(engine);
  }
  return engines;
}

// Splits `text` at random places, some of them equal.
std::vector<std::string_view> RandomPieces(std::mt19937_64* random, std::string_view text, size_t pieces) {
  std::vector<size_t> cuts = {0, text.size()};
  while (cuts.size() < pieces + 1) cuts.push_back((*random)() % (text.size() + 1));
  std::ranges::sort(cuts);
  std::vector<std::string_view> out;
  for (size_t i = 0; i + 1 < cuts.size(); ++i) out.push_back(text.substr(cuts[i], cuts[i + 1] - cuts[i]));
  return out;
}

TEST(Sha3Test, GivesThePublishedDigests) {
  EXPECT_EQ(Hex(Sha3("")), "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a");
  EXPECT_EQ(Hex(Sha3("abc")), "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532");
  EXPECT_EQ(Hex(Sha3("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "41c0dba2a9d6240849100376a8235e2c82e1b9998a999e21db32dd97496d3376");
  EXPECT_EQ(Hex(Sha3(std::string(200, '\xa3'))),
            "79f38adec5c20307a98ef76e8324afbfd46cfd81b22e3973c65fa1bd9de31787");
  EXPECT_EQ(Hex(Sha3(std::string(1000000, 'a'))),
            "5c8875ae474a3634ba4fd55ec85bffd661f32aca75c6d699d0cdcb6c115891c1");
}

TEST(Sha3Test, KeccakIsTheOlderPadding) {
  EXPECT_EQ(Hex(Keccak256("")), "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
  EXPECT_EQ(Hex(Keccak256("Transfer(address,address,uint256)")),
            "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
}

TEST(Sha3Test, GivesTheDigestsOfTheFormatsVectors) {
  EXPECT_EQ(Hex(Sha3("[]")), "ca4510738395af1429224dd785675309c344b2b549632e20275c69b15ed1d210");
  EXPECT_EQ(Hex(Sha3("prev")), "9eb949bd8ff0bb1d827f11809aebc6bd0d5955c7f368469a913c70d196620272");
  EXPECT_EQ(Hex(Sha3("a")), "80084bf2fba02475726feb2cab2d8215eab14bc6bdd8bfb2c8151257032ecd8b");
  EXPECT_EQ(Hex(Sha3("b")), "b039179a8a4ce2c252aa6f2f25798251c19b75fc1508d9d511a191e0487d64a7");
  EXPECT_EQ(Hex(Sha3("checkpoint")), "894b355f91b194f31c1116dcec200b68d5cfd90a3df19032829fa643bc711fcb");
  EXPECT_EQ(Hex(Sha3("foo")), "76d3bc41c9f588f7fcd0d5bf4718f8f84b1c41b20882703100b9eb9413807c01");
  EXPECT_EQ(Hex(Sha3("bar")), "cceefd7e0545bcf8b6d19f3b5750c8a3ee8350418877bc6fb12e32de28137355");
}

TEST(Sha3Test, AgreesWithOpenSslForEveryLengthAroundBlocks) {
  std::mt19937_64 random(1);
  const std::string text = RandomText(&random, 700);
  for (size_t size = 0; size <= text.size(); ++size) {
    const std::string_view part = std::string_view(text).substr(0, size);
    ASSERT_EQ(Hex(Sha3(part)), Hex(OpenSslSha3(part))) << size;
  }
}

TEST(Sha3HasherTest, DoesNotDependOnHowTheInputIsCut) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 200; ++round) {
    const std::string text = RandomText(&random, random() % 3000);
    Sha3Hasher hasher;
    for (const std::string_view piece : RandomPieces(&random, text, 1 + random() % 12)) hasher.Update(piece);
    ASSERT_EQ(Hex(hasher.Finish()), Hex(OpenSslSha3(text))) << "round " << round;
  }
}

TEST(Sha3LanesTest, AgreesWithOpenSslOnEveryEngine) {
  std::mt19937_64 random(3);
  for (const Sha3Engine engine : Engines()) {
    for (int round = 0; round < 60; ++round) {
      const size_t streams = random() % 21;
      const size_t updates = 1 + random() % 5;
      std::vector<std::string> texts;
      std::vector<std::vector<std::string_view>> pieces;
      // A few streams much longer than the others, some empty.
      for (size_t i = 0; i < streams; ++i)
        texts.push_back(RandomText(&random, random() % (random() % 4 == 0 ? 20000 : 900)));
      for (const std::string& text : texts) pieces.push_back(RandomPieces(&random, text, updates));
      Sha3Lanes lanes(streams, engine);
      ASSERT_EQ(lanes.streams(), streams);
      for (size_t update = 0; update < updates; ++update) {
        std::vector<std::string_view> inputs;
        for (size_t i = 0; i < streams; ++i) inputs.push_back(pieces[i][update]);
        lanes.Update(inputs);
      }
      const std::vector<Sha3Digest> digests = lanes.Finish();
      ASSERT_EQ(digests.size(), streams);
      for (size_t i = 0; i < streams; ++i) {
        ASSERT_EQ(Hex(digests[i]), Hex(OpenSslSha3(texts[i])))
            << "engine " << static_cast<int>(lanes.engine()) << " round " << round << " stream " << i;
      }
    }
  }
}

TEST(Sha3LanesTest, CanBeMoved) {
  Sha3Lanes lanes(2);
  const std::vector<std::string_view> inputs = {"a", "b"};
  lanes.Update(inputs);
  Sha3Lanes moved = std::move(lanes);
  EXPECT_THAT(moved.Finish(), testing::ElementsAre(Sha3("a"), Sha3("b")));
}

TEST(Sha3LanesTest, TakesAnAvailableEngine) {
  EXPECT_TRUE(IsAvailable(Sha3Engine::kAuto));
  EXPECT_TRUE(IsAvailable(Sha3Engine::kPortable));
  for (const Sha3Engine engine : Engines()) {
    if (engine == Sha3Engine::kAuto) continue;
    EXPECT_EQ(Sha3Lanes(1, engine).engine(), engine);
  }
  EXPECT_NE(Sha3Lanes(1).engine(), Sha3Engine::kAuto);
}

}  // namespace
}  // namespace sluice::multiformats
