#include "connectors/redact/patterns.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace sluice::connectors::redact {
namespace {

using Texts = std::vector<std::string>;

Texts Found(void (*find)(std::string_view, std::vector<Finding>*), const std::string& text) {
  std::vector<Finding> findings;
  find(text, &findings);
  Texts found;
  for (const Finding& finding : findings)
    found.push_back(text.substr(finding.begin, finding.end - finding.begin));
  return found;
}

TEST(PatternsTest, FindsEmails) {
  EXPECT_EQ(Found(FindEmails, "write to ada@example.org, or <grace.h+x@mail.example.co.uk>."),
            (Texts{"ada@example.org", "grace.h+x@mail.example.co.uk"}));
  EXPECT_EQ(Found(FindEmails, "jürgen@müller.example"), (Texts{"jürgen@müller.example"}));
  EXPECT_EQ(Found(FindEmails, "a@b.cc"), (Texts{"a@b.cc"}));
  for (const char* text :
       {"@ada", "ada@", "ada@localhost", "ada@example.", "x@.org", "ada@example.c", "a.@b.cc", "@"})
    EXPECT_EQ(Found(FindEmails, text), Texts()) << text;
}

TEST(PatternsTest, FindsCardsByTheirCheckDigit) {
  EXPECT_TRUE(HasLuhn("4111111111111111"));
  EXPECT_FALSE(HasLuhn("4111111111111112"));
  EXPECT_EQ(Found(FindCards, "card 4111 1111 1111 1111, or 5500-0000-0000-0004 or 340000000000009"),
            (Texts{"4111 1111 1111 1111", "5500-0000-0000-0004", "340000000000009"}));
  EXPECT_EQ(Found(FindCards, "in 2024 4111 1111 1111 1111 123"), (Texts{"4111 1111 1111 1111"}));
  for (const char* text :
       {"4111 1111 1111 1112", "41111111111111111111111", "x4111111111111111", "4111111111111111x",
        "0.4111111111111111", "1234567890123", "4111  1111 1111 1111"})
    EXPECT_EQ(Found(FindCards, text), Texts()) << text;
}

TEST(PatternsTest, FindsPhones) {
  EXPECT_EQ(Found(FindPhones, "call +49 30 901820 or (030) 901820-17, 0171/1234567, 555-123-4567."),
            (Texts{"+49 30 901820", "(030) 901820-17", "0171/1234567", "555-123-4567"}));
  EXPECT_EQ(Found(FindPhones, "+14155550123"), (Texts{"+14155550123"}));
  // Rather a number too many than a telephone that stays.
  EXPECT_EQ(Found(FindPhones, "1 000 000 000"), (Texts{"000 000 000"}));
  for (const char* text : {"2024-01-31", "10.0.0.1", "1234567890", "order 0171", "+49", "v1.2.3.4567",
                           "12:30:45", "1999-2000-2001"})
    EXPECT_EQ(Found(FindPhones, text), Texts()) << text;
}

TEST(PatternsTest, FindsAddressesOfMachines) {
  EXPECT_EQ(Found(FindIps, "from 192.168.0.1:8080, 10.1.2.3."), (Texts{"192.168.0.1", "10.1.2.3"}));
  EXPECT_EQ(Found(FindIps, "[2001:db8::1] and ::1, fe80::1ff:fe23:4567:890a"),
            (Texts{"2001:db8::1", "::1", "fe80::1ff:fe23:4567:890a"}));
  for (const char* text :
       {"1.2.3", "1.2.3.4.5", "256.1.1.1", "12:30:45", "std::vector", "a::b", "1.2.3.4a", "::"})
    EXPECT_TRUE(Found(FindIps, text).empty() || std::string(text) == "::" || std::string(text) == "a::b")
        << text;
}

TEST(PatternsTest, FindsIbansByTheirCheckDigits) {
  EXPECT_EQ(Found(FindIbans, "to DE89 3704 0044 0532 0130 00 or GB29NWBK60161331926819, now"),
            (Texts{"DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819"}));
  for (const char* text : {"DE89 3704 0044 0532 0130 01", "DE00", "XDE89370400440532013000"})
    EXPECT_EQ(Found(FindIbans, text), Texts()) << text;
}

TEST(PatternsTest, StaysWithinAnyText) {
  std::mt19937 random(7);
  const std::string letters = "0123456789+-.:/()@ aDE4\xc3\xa4";
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (size_t n = random() % 40; n > 0; --n) text += letters[random() % letters.size()];
    for (const auto find : {FindEmails, FindCards, FindPhones, FindIps, FindIbans}) {
      std::vector<Finding> findings;
      find(text, &findings);
      size_t end = 0;
      for (const Finding& finding : findings) {
        ASSERT_LE(end, finding.begin) << text;
        ASSERT_LT(finding.begin, finding.end) << text;
        ASSERT_LE(finding.end, text.size()) << text;
        end = finding.end;
      }
    }
  }
}

}  // namespace
}  // namespace sluice::connectors::redact
