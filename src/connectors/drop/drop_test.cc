#include <gtest/gtest.h>

#include "connectors/drop/connector.h"
#include "pipeline/testing/bed.h"

namespace sluice::connectors::drop {
namespace {

TEST(DropTest, LetsAllGo) {
  pipeline::testing::Bed bed(RegisterDrop);
  auto processor = bed.MakeProcessor("{type: drop}");
  ASSERT_TRUE(processor.ok()) << processor.error().ToString();
  std::vector<pipeline::Processor::Reject> rejected;
  auto out = (*processor)
                 ->Process(pipeline::testing::BatchOf("{\"data\":\"a\"}\n{\"data\":\"b\"}\n"), &rejected, {});
  ASSERT_TRUE(out.ok()) << out.error().ToString();
  EXPECT_EQ(out->rows(), 0);
  EXPECT_TRUE(rejected.empty());
}

}  // namespace
}  // namespace sluice::connectors::drop
