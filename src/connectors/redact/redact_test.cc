#include <gtest/gtest.h>

#include "connectors/redact/connector.h"
#include "connectors/redact/redactor.h"
#include "pipeline/testing/bed.h"

namespace sluice::connectors::redact {
namespace {

using pipeline::Column;
using Texts = std::vector<std::string>;

pipeline::Batch RunOn(const std::string& yaml, const std::string& records) {
  pipeline::testing::Bed bed(RegisterRedact);
  auto processor = bed.MakeProcessor(yaml);
  EXPECT_TRUE(processor.ok()) << (processor.ok() ? "" : processor.error().ToString());
  if (!processor.ok()) return pipeline::testing::BatchOf("");
  std::vector<pipeline::Processor::Reject> rejected;
  auto out = (*processor)->Process(pipeline::testing::BatchOf(records), &rejected, {});
  EXPECT_TRUE(out.ok()) << (out.ok() ? "" : out.error().ToString());
  return *out;
}

TEST(RedactTest, ReplacesInTexts) {
  const auto out = RunOn("{type: redact}",
                         "{\"data\":\"nothing here\"}\n"
                         "{\"data\":\"ada@example.org or +49 30 901820, card 4111 1111 1111 1111\"}\n"
                         "{\"data\":\"\"}\n");
  EXPECT_EQ(pipeline::testing::ColumnOf(out, Column::kData),
            (Texts{"nothing here", "[email] or [phone], card [card]", ""}));
}

TEST(RedactTest, ReplacesInsideOfJson) {
  const auto out =
      RunOn("{type: redact, fields: [metadata, extra], find: [email, card]}",
            R"({"metadata": {"ada@example.org": ["to \"ada@example.org\"", 4111111111111111, 1.50, null]},)"
            R"( "note": "b@example.org", "data": "c@example.org"})"
            "\n{\"metadata\": null}\n");
  EXPECT_EQ(pipeline::testing::ColumnOf(out, Column::kMetadata),
            (Texts{R"({"ada@example.org": ["to \"[email]\"", "[card]", 1.50, null]})", ""}));
  EXPECT_EQ(pipeline::testing::Shown(out)[0].find("b@example.org"), std::string::npos);
  EXPECT_EQ(pipeline::testing::ColumnOf(out, Column::kData)[0], "c@example.org");
}

TEST(RedactTest, FindsWhatTheConfigurationNames) {
  const auto out =
      RunOn("{type: redact, find: [email], custom: {ticket: 'TCK-[0-9]+'}, replacement: '<{kind}>'}",
            "{\"data\":\"TCK-17 of ada@example.org, +49 30 901820\"}\n");
  EXPECT_EQ(pipeline::testing::ColumnOf(out, Column::kData), (Texts{"<ticket> of <email>, +49 30 901820"}));
}

TEST(RedactTest, HashesEqualValuesAlike) {
  const std::string records = "{\"data\":\"a@example.org b@example.org a@example.org\"}\n";
  const std::string one =
      pipeline::testing::ColumnOf(RunOn("{type: redact, mode: hash, salt: s}", records), Column::kData)[0];
  const std::string other =
      pipeline::testing::ColumnOf(RunOn("{type: redact, mode: hash, salt: t}", records), Column::kData)[0];
  ASSERT_EQ(one.size(), std::string("[email:0123456789ab]").size() * 3 + 2) << one;
  EXPECT_EQ(one.substr(0, 20), one.substr(42));
  EXPECT_NE(one.substr(0, 20), one.substr(21, 20));
  EXPECT_NE(one, other);
}

TEST(RedactTest, TakesTheLongestOfWhatOverlaps) {
  RedactorOptions options;
  options.kinds = {Kind::kEmail};
  options.custom = {{"name", "ada"}, {"all", "to ada@"}};
  auto redactor = Redactor::Make(options);
  ASSERT_TRUE(redactor.ok());
  std::string out;
  ASSERT_TRUE((*redactor)->Redact("ada ada@example.org", &out));
  EXPECT_EQ(out, "[name] [email]");
  ASSERT_TRUE((*redactor)->Redact("to ada@example.org", &out));
  EXPECT_EQ(out, "[all]example.org");
}

TEST(RedactTest, RefusesOptionsThatMakeNoSense) {
  pipeline::testing::Bed bed(RegisterRedact);
  const auto said = [&](const std::string& yaml, const std::string& part) {
    auto made = bed.MakeProcessor(yaml);
    ASSERT_FALSE(made.ok()) << yaml;
    EXPECT_NE(made.error().ToString().find(part), std::string::npos) << made.error().ToString();
  };
  said("{type: redact, fields: [dta]}", "did you mean 'data'");
  said("{type: redact, fields: [uuid]}", "not redacted");
  said("{type: redact, fields: [metadata.x]}", "name the field");
  said("{type: redact, find: [mail]}", "email, phone, card, ip, iban");
  said("{type: redact, custom: {x: '('}}", "no regular expression");
  said("{type: redact, custom: {x: 'a*'}}", "empty text");
  said("{type: redact, mode: hash}", "salt");
  said("{type: redact, salt: x}", "only mode 'hash'");
}

}  // namespace
}  // namespace sluice::connectors::redact
