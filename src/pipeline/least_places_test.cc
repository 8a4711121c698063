#include "pipeline/least_places.h"

#include <gtest/gtest.h>

namespace sluice::pipeline {
namespace {

constexpr int64_t kEpoch = int64_t{1} << kEpochBits;

TEST(LeastPlacesTest, BeginsWhereTheLastOneStands) {
  EXPECT_EQ(LeastOf({}), Places());
  EXPECT_EQ(
      LeastOf({{{"f", {30, "c"}}}, {{"f", {20, "b"}}, {"g", {1, ""}}}, {{"f", {40, "d"}}, {"g", {5, ""}}}})
          .at("f"),
      (Place{20, "b"}));
}

TEST(LeastPlacesTest, ADatasetThatKnowsNothingOfItGetsAll) {
  EXPECT_EQ(LeastOf({{{"f", {30, "c"}}}, {}}).at("f"), (Place{0, "c"}));
  EXPECT_EQ(LeastOf({{{"r", {30, "page 3", true}}}, {}}).at("r"), (Place{0, "", true}));
}

TEST(LeastPlacesTest, OneInAnEarlierEpochGetsTheNewestFromItsBeginning) {
  EXPECT_EQ(LeastOf({{{"f", {kEpoch + 30, "new"}}}, {{"f", {500, "old"}}}}).at("f"), (Place{kEpoch, "new"}));
}

TEST(LeastPlacesTest, PlainNumbersHaveNoEpochs) {
  const Place late{(int64_t{1} << 60) + 5, "", true}, early{int64_t{1} << 59, "p", true};
  EXPECT_EQ(LeastOf({{{"r", late}}, {{"r", early}}}).at("r"), early);
  EXPECT_EQ(*PlacesFromJson(PlacesToJson({{"r", early}, {"f", {3, "c"}}})),
            (Places{{"r", early}, {"f", {3, "c"}}}));
  EXPECT_FALSE(PlacesFromJson(R"({"r":{"next":1,"plain":1}})").ok());
}

}  // namespace
}  // namespace sluice::pipeline
