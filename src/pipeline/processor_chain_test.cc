#include "pipeline/processor_chain.h"

#include <gtest/gtest.h>

#include "pipeline/metrics.h"
#include "pipeline/rows.h"
#include "pipeline/settings_reader.h"
#include "pipeline/testing/bed.h"

namespace sluice::pipeline {
namespace {

using testing::BatchOf;
using testing::Bed;
using testing::ColumnOf;
using Texts = std::vector<std::string>;

// Drops data `drop`, refuses data `bad`.
class Filter final : public Processor {
 public:
  Result<Batch> Process(Batch batch, std::vector<Reject>* rejected, std::stop_token) override {
    std::vector<int32_t> kept;
    const Texts data = ColumnOf(batch, Column::kData);
    for (int32_t row = 0; row < static_cast<int32_t>(batch.rows()); ++row) {
      const std::string& text = data[static_cast<size_t>(row)];
      if (text == "bad") {
        rejected->push_back({row, "it is bad"});
      } else if (text != "drop") {
        kept.push_back(row);
      }
    }
    return TakeRows(batch, kept);
  }
};

void RegisterFilter(Registry& registry) {
  Declaration d;
  d.kind = ConnectorKind::kProcessor;
  d.type = "filter";
  registry.Add(std::move(d), [](const Settings&, Environment&) -> Result<std::unique_ptr<Processor>> {
    return std::unique_ptr<Processor>(std::make_unique<Filter>());
  });
}

class ChainTest : public ::testing::Test {
 protected:
  ChainTest() : bed_(RegisterFilter), metrics_("p") {}

  Status Make(const std::vector<std::string>& steps) {
    std::vector<PipelineConfig::Step> read;
    for (const std::string& yaml : steps) {
      ASSIGN_OR_RETURN(const Tree tree,
                       ReadTree(yaml, "p.yaml", [](std::string_view text) -> Result<std::string> {
                         return std::string(text);
                       }));
      SettingsReader reader(bed_.registry());
      PipelineConfig::Step step;
      ASSIGN_OR_RETURN(step.settings, reader.Read(tree, ConnectorKind::kProcessor, {"when"}));
      if (const Tree* when = tree.Find("when")) step.when = *when;
      read.push_back(std::move(step));
    }
    ASSIGN_OR_RETURN(chain_, ProcessorChain::Make(read, bed_.registry(), bed_, &metrics_));
    return chain_->Open();
  }

  Batch RunOn(const Batch& batch) {
    refused_.clear();
    auto out = chain_->Run(batch, &refused_, {});
    EXPECT_TRUE(out.ok()) << (out.ok() ? "" : out.error().ToString());
    return out.ok() ? *out : Batch();
  }

  Bed bed_;
  PipelineMetrics metrics_;
  std::unique_ptr<ProcessorChain> chain_;
  std::vector<ProcessorChain::Refused> refused_;
};

constexpr char kRecords[] =
    "{\"data\":\"a\",\"lang\":\"x\"}\n{\"data\":\"drop\",\"lang\":\"x\"}\n{\"data\":\"drop\",\"lang\":\"y\"}\n"
    "{\"data\":\"bad\",\"lang\":\"y\"}\n{\"data\":\"bad\",\"lang\":\"x\"}\n{\"data\":\"b\",\"lang\":\"x\"}\n";

TEST_F(ChainTest, ShowsAStepOnlyWhatItsConditionMeans) {
  ASSERT_TRUE(Make({"{type: filter, when: {field: lang, equals: x}}"}).ok());
  Batch batch = BatchOf(kRecords);
  batch.partition = "p";
  batch.next = {1, 2, 3, 4, 5, 6};
  const Batch out = RunOn(batch);
  EXPECT_EQ(ColumnOf(out, Column::kData), (Texts{"a", "drop", "bad", "b"}));
  EXPECT_EQ(out.origins, (std::vector<int32_t>{0, 2, 3, 5}));
  EXPECT_EQ(out.next, (std::vector<int64_t>{1, 3, 4, 6}));
  ASSERT_EQ(refused_.size(), 1U);
  EXPECT_EQ(refused_[0].input_row, 4);
}

TEST_F(ChainTest, SeesWhatEarlierStepsLeft) {
  ASSERT_TRUE(Make({"{type: filter, when: {field: lang, equals: x}}",
                    "{type: filter, when: {field: lang, equals: y}}"})
                  .ok());
  const Batch out = RunOn(BatchOf(kRecords));
  EXPECT_EQ(ColumnOf(out, Column::kData), (Texts{"a", "b"}));
  EXPECT_EQ(out.origins, (std::vector<int32_t>{0, 5}));
  EXPECT_EQ(refused_.size(), 2U);
}

TEST_F(ChainTest, RefusesAllRowsOfWhatWasMadeOfAll) {
  ASSERT_TRUE(Make({"{type: filter}"}).ok());
  Batch made = BatchOf("{\"data\":\"bad\"}\n{\"data\":\"good\"}\n{\"data\":\"good\"}");
  made.origins = {-1, -1, 2};
  EXPECT_EQ(RunOn(made).rows(), 2);
  ASSERT_EQ(refused_.size(), 3U);
  for (size_t row = 0; row < 3; ++row) EXPECT_EQ(refused_[row].input_row, static_cast<int64_t>(row));
}

TEST_F(ChainTest, LeavesABatchAloneThatNoRowOfIsMeant) {
  ASSERT_TRUE(Make({"{type: filter, when: {field: lang, equals: z}}"}).ok());
  EXPECT_EQ(RunOn(BatchOf(kRecords)).rows(), 6);
  ASSERT_TRUE(Make({"{type: filter, when: {field: lang, exists: true}}"}).ok());
  EXPECT_EQ(ColumnOf(RunOn(BatchOf(kRecords)), Column::kData), (Texts{"a", "b"}));
}

TEST_F(ChainTest, RefusesConditionsThatAreNone) {
  const Status made = Make({"{type: filter, when: {field: language, equals: z}}"});
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.error().ToString().find("p.yaml:1"), std::string::npos) << made.error().ToString();
}

}  // namespace
}  // namespace sluice::pipeline
