#include "connectors/http/answer.h"

#include <gtest/gtest.h>

namespace sluice::connectors::http {
namespace {

using pipeline::OutcomeKind;

TEST(AnswerTest, GoesThereAndBack) {
  const std::vector<Answered> records = {{{OutcomeKind::kAccepted, ""}, "1"},
                                         {{OutcomeKind::kDuplicate, ""}, "2"},
                                         {{OutcomeKind::kRejected, "a \"bad\" \xff one"}, ""},
                                         {{OutcomeKind::kFailed, "later"}, "4"}};
  const std::string json = OutcomesToJson(records);
  EXPECT_NE(json.find("\"accepted\":1,\"duplicate\":1,\"rejected\":1,\"failed\":1"), std::string::npos)
      << json;
  const auto outcomes = OutcomesFromJson(json, 4);
  ASSERT_TRUE(outcomes);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ((*outcomes)[i].kind, records[i].outcome.kind);
  EXPECT_EQ((*outcomes)[2].reason, "a \"bad\" \xef\xbf\xbd one");
}

TEST(AnswerTest, IsNotTakenForWhatItIsNot) {
  for (const char* body :
       {"", "ok", "[]", "{}", "{\"outcomes\":[]}", "{\"outcomes\":[1]}", "{\"outcomes\":[{}]}",
        "{\"outcomes\":[{\"outcome\":\"great\"}]}", "{\"outcomes\":\"accepted\"}"})
    EXPECT_FALSE(OutcomesFromJson(body, 1)) << body;
}

TEST(AnswerTest, HasTheStatusOfTheWorst) {
  const Answered accepted{{OutcomeKind::kAccepted, ""}, ""}, duplicate{{OutcomeKind::kDuplicate, ""}, ""},
      rejected{{OutcomeKind::kRejected, ""}, ""}, failed{{OutcomeKind::kFailed, ""}, ""},
      unreadable{{OutcomeKind::kRejected, ""}, "", true};
  EXPECT_EQ(StatusOf({}), 200);
  EXPECT_EQ(StatusOf({accepted, duplicate}), 200);
  EXPECT_EQ(StatusOf({accepted, rejected}), 422);
  EXPECT_EQ(StatusOf({accepted, unreadable}), 400);
  EXPECT_EQ(StatusOf({rejected, unreadable}), 422);
  EXPECT_EQ(StatusOf({rejected, failed, accepted}), 503);
}

}  // namespace
}  // namespace sluice::connectors::http
