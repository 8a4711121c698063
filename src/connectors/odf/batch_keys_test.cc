#include "connectors/odf/batch_keys.h"

#include <gtest/gtest.h>

namespace sluice::connectors::odf {
namespace {

TEST(BatchKeysTest, AnEqualBatchAfterAnAnswerIsAnother) {
  BatchKeys keys;
  const std::string first = keys.KeyOf("d", "open");
  keys.Answered("d", "open", {"u1"});
  EXPECT_NE(keys.KeyOf("d", "open"), first);
}

TEST(BatchKeysTest, ARepeatOfWhatWasNotAnsweredKeepsItsKey) {
  BatchKeys keys;
  const std::string first = keys.KeyOf("d", "open");
  keys.Unanswered("d", "open", first, {"u1"});
  EXPECT_EQ(keys.KeyOf("d", "open"), first);
  EXPECT_NE(keys.KeyOf("d", "closed"), first);
  EXPECT_NE(keys.KeyOf("e", "open"), first) << "another dataset";
  keys.Unanswered("d", "open", first, {"u1"});
  keys.Answered("d", "other", {"u2"});
  EXPECT_EQ(keys.KeyOf("d", "open"), first) << "what concerns other records changes nothing";
  keys.Answered("d", "open", {"u1"});
  EXPECT_NE(keys.KeyOf("d", "open"), first);
}

TEST(BatchKeysTest, NewsOfARecordMakeWhatItSaidBeforeNewAgain) {
  BatchKeys keys;
  const std::string first = keys.KeyOf("d", "open");
  keys.Unanswered("d", "open", first, {"u0", "u1"});
  keys.Answered("e", "closed", {"u1"});
  keys.Answered("d", "refused", {});
  EXPECT_EQ(keys.KeyOf("d", "open"), first);
  keys.Answered("d", "closed", {"u2", "u1"});
  EXPECT_NE(keys.KeyOf("d", "open"), first);
}

TEST(BatchKeysTest, RecordsWithoutUuidHaveNoNews) {
  BatchKeys keys;
  const std::string first = keys.KeyOf("d", "a");
  keys.Unanswered("d", "a", first, {""});
  keys.Answered("d", "b", {""});
  EXPECT_EQ(keys.KeyOf("d", "a"), first);
}

TEST(BatchKeysTest, ForgetsTheOldestBeyondItsLimits) {
  BatchKeys keys({.batches = 2, .records = 4});
  keys.Unanswered("d", "a", "key-a", {"u1"});
  keys.Unanswered("d", "b", "key-b", {"u2"});
  keys.Unanswered("d", "c", "key-c", {"u3"});
  EXPECT_NE(keys.KeyOf("d", "a"), "key-a");
  EXPECT_EQ(keys.KeyOf("d", "b"), "key-b");
  keys.Unanswered("d", "e", "key-e", {"u4", "u5", "u6", "u7"});
  EXPECT_NE(keys.KeyOf("d", "c"), "key-c");
  EXPECT_EQ(keys.KeyOf("d", "e"), "key-e");
}

}  // namespace
}  // namespace sluice::connectors::odf
