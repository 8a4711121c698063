#include <gtest/gtest.h>

#include "connectors/batch/connector.h"
#include "pipeline/testing/bed.h"

namespace sluice::connectors {
namespace {

using pipeline::Batch;
using pipeline::Column;
using Texts = std::vector<std::string>;

TEST(BatchTest, PutsGroupsTogetherInTheirOrder) {
  pipeline::testing::Bed bed(RegisterBatch);
  auto processor = bed.MakeProcessor("{type: batch, by: [tenant_id, metadata.t]}");
  ASSERT_TRUE(processor.ok()) << processor.error().ToString();
  Batch batch = pipeline::testing::BatchOf(
      "{\"data\":\"1\",\"tenant_id\":\"b\"}\n{\"data\":\"2\",\"tenant_id\":\"a\"}\n{\"data\":\"3\",\"tenant_id\":\"b\"}\n"
      "{\"data\":\"4\",\"tenant_id\":\"a\",\"metadata\":{\"t\":1}}\n{\"data\":\"5\",\"tenant_id\":\"a\"}\n");
  std::vector<pipeline::Processor::Reject> rejected;
  auto out = (*processor)->Process(batch, &rejected, {});
  ASSERT_TRUE(out.ok());
  EXPECT_EQ(pipeline::testing::ColumnOf(*out, Column::kData), (Texts{"1", "3", "2", "5", "4"}));
  EXPECT_EQ(out->origins, (std::vector<int32_t>{0, 2, 1, 4, 3}));
  batch.next = {1, 2, 3, 4, 5};
  out = (*processor)->Process(batch, &rejected, {});
  EXPECT_EQ(pipeline::testing::ColumnOf(*out, Column::kData), (Texts{"1", "2", "3", "4", "5"}));
  EXPECT_FALSE(bed.MakeProcessor("{type: batch, by: []}").ok());
  EXPECT_FALSE(bed.MakeProcessor("{type: batch, by: [x]}").ok());
}

}  // namespace
}  // namespace sluice::connectors
