#include "connectors/sqs/messages.h"

#include <arrow/api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/record.h"

namespace sluice::connectors::sqs {
namespace {

using pipeline::Column;
using pipeline::OutcomeKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Message MessageOf(const std::string& id, const std::string& body, const std::string& group = "") {
  return {.id = id, .receipt = "r" + id, .body = body, .group = group, .deliveries = 1};
}

std::string TextAt(const Unpacked& unpacked, Column column, int64_t row) {
  const auto& records = *unpacked.delivery.batch.records;
  return static_cast<const arrow::StringArray&>(*records.column(static_cast<int>(column))).GetString(row);
}

TEST(UnpackTest, TakesOneRecordAnArrayOrLines) {
  const std::vector<Message> messages = {MessageOf("m1", R"({"uuid":"a"})"),
                                         MessageOf("m2", R"([{"uuid":"b"},{"uuid":"c"}])"),
                                         MessageOf("m3", "{\"uuid\":\"d\"}\n{\"uuid\":\"e\"}\n")};
  const auto unpacked = Unpack(messages);
  ASSERT_TRUE(unpacked.ok());
  EXPECT_THAT(unpacked->message_of, ElementsAre(0, 1, 1, 2, 2));
  EXPECT_EQ(TextAt(*unpacked, Column::kUuid, 4), "e");
  EXPECT_TRUE(unpacked->delivery.refused.empty());
}

TEST(UnpackTest, RefusesWhatIsNoRecordAndKeepsTheRest) {
  const std::vector<Message> messages = {MessageOf("m1", "<xml/>"), MessageOf("m2", R"({"uuid":"b"})"),
                                         MessageOf("m3", R"([{"uuid":7},{"uuid":"c"}])"),
                                         MessageOf("m4", "[]")};
  const auto unpacked = Unpack(messages);
  ASSERT_TRUE(unpacked.ok());
  ASSERT_EQ(unpacked->delivery.refused.size(), 3U);
  EXPECT_EQ(unpacked->delivery.refused[0].row, 0);
  EXPECT_THAT(unpacked->delivery.refused[0].reason, HasSubstr("message m1"));
  EXPECT_EQ(TextAt(*unpacked, Column::kData, 0), "<xml/>");
  EXPECT_THAT(unpacked->delivery.refused[1].reason, HasSubstr("uuid"));
  EXPECT_THAT(unpacked->delivery.refused[2].reason, HasSubstr("holds no record"));
  EXPECT_EQ(unpacked->delivery.batch.rows(), 5);
}

TEST(UnpackTest, AMessageDeliveredAgainHasTheSameUuids) {
  const std::string id = "0192d3f2-aaaa-4bbb-8ccc-0123456789ff";
  const std::vector<Message> messages = {MessageOf(id, R"([{"data":"x"},{"data":"y"}])")};
  for (int delivery = 0; delivery < 2; ++delivery) {
    const auto unpacked = Unpack(messages);
    ASSERT_TRUE(unpacked.ok());
    EXPECT_EQ(TextAt(*unpacked, Column::kUuid, 0), id);
    EXPECT_EQ(TextAt(*unpacked, Column::kUuid, 1), "0192d3f2-aaaa-4bbb-8ccc-012345678a00");
  }
}

TEST(SettledMessagesTest, AMessageWaitsForAllItsRecordsAndForItsGroup) {
  const std::vector<Message> messages = {MessageOf("1", "", "g"), MessageOf("2", "", "h"),
                                         MessageOf("3", "", "g"), MessageOf("4", "", "h"),
                                         MessageOf("5", "")};
  pipeline::Outcomes outcomes(6);
  outcomes[1].kind = OutcomeKind::kFailed;     // the second record of message 1
  outcomes[2].kind = OutcomeKind::kRejected;   // final: message 2
  outcomes[5].kind = OutcomeKind::kDuplicate;  // final: message 5
  EXPECT_THAT(SettledMessages(messages, {0, 0, 1, 2, 3, 4}, outcomes),
              ElementsAre(false, true, false, true, true));
}

}  // namespace
}  // namespace sluice::connectors::sqs
