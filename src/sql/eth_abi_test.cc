#include "sql/eth_abi.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/matchers.h"

namespace sluice::sql {
namespace {

using ::testing::HasSubstr;

std::string Unhex(std::string_view text) {
  std::string out;
  for (size_t i = 0; i + 1 < text.size(); i += 2)
    out += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
  return out;
}

std::string Word(std::string_view hex) { return Unhex(std::string(64 - hex.size(), '0') + std::string(hex)); }
// Bytes at the front of a word.
std::string Left(std::string_view hex) { return Unhex(std::string(hex) + std::string(64 - hex.size(), '0')); }

Result<std::string> Decode(std::string_view signature, std::vector<std::string> topics,
                           const std::string& data) {
  ASSIGN_OR_RETURN(const EthEvent event, EthEvent::Parse(signature));
  std::vector<std::optional<std::string_view>> given;
  const std::string selector = event.Selector();
  given.emplace_back(selector);
  for (const std::string& topic : topics) given.emplace_back(topic);
  while (given.size() < 4) given.emplace_back(std::nullopt);
  return DecodeEthEvent(event, given, data);
}

TEST(EthAbiTest, ReadsSignatures) {
  const auto canonical = [](std::string_view signature) {
    auto event = EthEvent::Parse(signature);
    return event.ok() ? event->Canonical() : event.error().message();
  };
  EXPECT_EQ(canonical("Transfer(address indexed from, address indexed to, uint256 value)"),
            "Transfer(address,address,uint256)");
  EXPECT_EQ(canonical("event A(uint,int[] x,bytes32[2][] indexed y) anonymous;"),
            "A(uint256,int256[],bytes32[2][])");
  EXPECT_EQ(canonical("A(tuple(uint8 a, (string,bool) b)[] indexed c)"), "A((uint8,(string,bool))[])");
  EXPECT_EQ(canonical("A()"), "A()");
  EXPECT_THAT(canonical("A(uint7 x)"), HasSubstr("expected a type at character"));
  EXPECT_THAT(canonical("A(bytes33 x)"), HasSubstr("expected a type"));
  EXPECT_THAT(canonical("A(uint256"), HasSubstr("',' or ')'"));
  EXPECT_THAT(canonical("(uint256)"), HasSubstr("the name of an event"));
  EXPECT_THAT(canonical("A(money x)"), HasSubstr("expected a type"));
  EXPECT_THAT(canonical("A(uint8 x) y"), HasSubstr("the end"));
  EXPECT_THAT(canonical("A(" + std::string(1000, '(')), HasSubstr("fewer types"));
}

TEST(EthAbiTest, DecodesIndexedAndPlainParameters) {
  EXPECT_EQ(
      Decode("SendRequest(uint64 indexed requestId, address indexed consumerAddr, bytes request)",
             {Word("7b"), Word("aabbccddaabbccddaabbccddaabbccddaabbccdd")},
             Word("20") + Word("04") + Left("ff00bbaa"))
          .value(),
      R"({"consumerAddr":"aabbccddaabbccddaabbccddaabbccddaabbccdd","name":"SendRequest","request":"ff00bbaa","requestId":123})");
  EXPECT_EQ(
      Decode("TokensMinted(address indexed to, uint256 amount, uint256 ethAmount, uint256 time)",
             {Word("01")}, Word("de0b6b3a7640000") + Word("ffffffffffffffffffffffffffffffff") + Word("65"))
          .value(),
      R"({"amount":"1000000000000000000","ethAmount":"340282366920938463463374607431768211455","name":"TokensMinted",)"
      R"("time":"101","to":"0000000000000000000000000000000000000001"})");
}

TEST(EthAbiTest, DecodesEveryType) {
  const std::string minus_two = Unhex(std::string(63, 'f') + "e");
  EXPECT_EQ(Decode("E(int8 a, int256 b, bool c, bytes3 d, uint8[2] e)", {},
                   minus_two + minus_two + Word("1") + Left("616263") + Word("5") + Word("6"))
                .value(),
            R"({"a":-2,"b":"-2","c":true,"d":"616263","e":[5,6],"name":"E"})");
  EXPECT_EQ(Decode("E(string a, uint16[] b, (uint8 x, string y) c)", {},
                   Word("60") + Word("a0") + Word("100") +               // offsets
                       Word("3") + Left("c3a476") +                      // "äv"
                       Word("2") + Word("7") + Word("8") +               // list
                       Word("9") + Word("40") + Word("1") + Left("7a"))  // tuple
                .value(),
            R"({"a":"äv","b":[7,8],"c":{"x":9,"y":"z"},"name":"E"})");
  // Indexed strings are hashes.
  EXPECT_EQ(Decode("E(string indexed a)", {Word("abcd")}, "").value(),
            R"({"a":"000000000000000000000000000000000000000000000000000000000000abcd","name":"E"})");
}

TEST(EthAbiTest, RefusesOtherLogs) {
  ASSERT_OK_AND_ASSIGN(const EthEvent event, EthEvent::Parse("Ping(uint64 indexed n, uint64 m)"));
  const std::string other(32, 'x'), selector = event.Selector(), n = Word("1");
  using Topics = std::vector<std::optional<std::string_view>>;
  EXPECT_THAT(DecodeEthEvent(event, Topics{other, n, {}, {}}, n),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("not of the event")));
  EXPECT_THAT(DecodeEthEvent(event, Topics{selector, {}, {}, {}}, n),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("1 topics")));
  EXPECT_THAT(DecodeEthEvent(event, Topics{selector, n, n, {}}, n), IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_THAT(DecodeEthEvent(event, Topics{selector, n, {}, {}}, n.substr(1)),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("too short")));
  EXPECT_THAT(DecodeEthEvent(event, Topics{selector, "x", {}, {}}, n),
              IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_THAT(DecodeEthEvent(event, Topics{{}, {}, {}, {}}, n), IsErrorCode(ErrorCode::kInvalidArgument));
}

TEST(EthAbiTest, SurvivesHostileData) {
  // Offsets behind the data, counts without data, lists of nothing.
  EXPECT_FALSE(Decode("E(string a)", {}, Word("ffffffff")).ok());
  EXPECT_FALSE(Decode("E(string a)", {}, std::string(32, '\xff')).ok());
  EXPECT_FALSE(Decode("E(string a)", {}, Word("20") + Word("ffff")).ok());
  EXPECT_FALSE(Decode("E(uint8[] a)", {}, Word("20") + Word("ffffffff")).ok());
  EXPECT_FALSE(Decode("E(uint8[0][] a)", {}, Word("20") + Word("ffffffff")).ok());
  EXPECT_FALSE(Decode("E(uint8[999999][999999][999999][999999] a)", {}, Word("20")).ok());
  EXPECT_FALSE(Decode("E(uint8[][][][] a)", {}, Word("0") + Word("0") + Word("0") + Word("0")).ok() &&
               Decode("E(uint8[][][][] a)", {}, Word("0")).value().size() > 1000);
}

}  // namespace
}  // namespace sluice::sql
