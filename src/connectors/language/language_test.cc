#include <gtest/gtest.h>

#include "connectors/language/connector.h"
#include "connectors/language/detector.h"
#include "pipeline/testing/bed.h"

namespace sluice::connectors::language {
namespace {

using pipeline::Column;
using Texts = std::vector<std::string>;

// Article 1 of the Universal Declaration of Human Rights.
constexpr char kRecords[] =
    R"({"data":"All human beings are born free and equal in dignity and rights."})"
    "\n"
    R"({"data":"Alle Menschen sind frei und gleich an Würde und Rechten geboren."})"
    "\n"
    R"({"data":"Tous les êtres humains naissent libres et égaux en dignité et en droits.","lang":"xx"})"
    "\n"
    R"({"data":"すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"})"
    "\n"
    R"({"data":"כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם."})"
    "\n"
    R"({"data":"42 -- 17"})"
    "\n"
    R"({"data":""})"
    "\n";

Texts RunOn(const std::string& yaml) {
  pipeline::testing::Bed bed(RegisterLanguage);
  auto processor = bed.MakeProcessor(yaml);
  EXPECT_TRUE(processor.ok()) << (processor.ok() ? "" : processor.error().ToString());
  if (!processor.ok()) return {};
  std::vector<pipeline::Processor::Reject> rejected;
  auto out = (*processor)->Process(pipeline::testing::BatchOf(kRecords), &rejected, {});
  EXPECT_TRUE(out.ok());
  return pipeline::testing::ColumnOf(*out, Column::kLang);
}

TEST(LanguageTest, FillsWhatIsEmpty) {
  EXPECT_EQ(RunOn("{type: language}"), (Texts{"en", "de", "xx", "ja", "he", "", ""}));
}

TEST(LanguageTest, ReplacesWhenAsked) {
  EXPECT_EQ(RunOn("{type: language, overwrite: true}"), (Texts{"en", "de", "fr", "ja", "he", "", ""}));
}

TEST(LanguageTest, KeepsToTheLanguagesGiven) {
  EXPECT_EQ(RunOn("{type: language, languages: [de, fr], default: und}"),
            (Texts{"und", "de", "xx", "und", "und", "und", "und"}));
}

TEST(LanguageTest, CutsBetweenLetters) {
  const std::string text = "Alle Menschen sind frei und gleich an W\u00fcrde und Rechten geboren.";
  for (size_t bytes = 0; bytes <= text.size(); ++bytes) {
    const Detected detected = Detect(text, bytes, true);
    if (bytes > 45) {
      EXPECT_EQ(detected.code, "de") << bytes;
    }
  }
  EXPECT_EQ(Detect("\xff\xfe", 100, true).code, "");
}

}  // namespace
}  // namespace sluice::connectors::language
