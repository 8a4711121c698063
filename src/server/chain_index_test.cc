#include "server/chain_index.h"

#include <gtest/gtest.h>

#include "dataset/testing/sample.h"

namespace sluice::server {
namespace {

using dataset::testing::CommitInfo;
using dataset::testing::CommitRows;
using Kind = ChainIndexes::Kind;

class ChainIndexTest : public testing::Test {
 protected:
  ChainIndexTest() : dataset_(std::move(*dataset::testing::CreateSample(dataset::testing::MemoryStores()))) {}
  bool Holds(Kind kind, const odf::Multihash& hash) {
    const auto holds = indexes_.Holds(*dataset_, kind, hash);
    EXPECT_TRUE(holds.ok());
    return holds.ok() && *holds;
  }
  odf::Multihash SliceOf(const odf::Multihash& block) {
    const auto stored = dataset_->ReadBlock(block);
    return std::get<odf::AddData>(stored->block.event).new_data->physical_hash;
  }

  const std::unique_ptr<dataset::Dataset> dataset_;
  ChainIndexes indexes_;
};

TEST_F(ChainIndexTest, KnowsBlocksAndSlicesByTheirKind) {
  const auto first = CommitRows(*dataset_, 3)->new_head;
  const auto second = CommitInfo(*dataset_, "x")->new_head;
  const auto slice = SliceOf(first);
  EXPECT_TRUE(Holds(Kind::kBlock, second));
  EXPECT_TRUE(Holds(Kind::kBlock, first));
  EXPECT_TRUE(Holds(Kind::kData, slice));
  EXPECT_FALSE(Holds(Kind::kBlock, slice));
  EXPECT_FALSE(Holds(Kind::kData, first));
  EXPECT_FALSE(Holds(Kind::kCheckpoint, slice));
  EXPECT_FALSE(Holds(Kind::kBlock, odf::Multihash()));
}

TEST_F(ChainIndexTest, FollowsTheHead) {
  const auto first = CommitRows(*dataset_, 1)->new_head;
  EXPECT_TRUE(Holds(Kind::kBlock, first));
  std::vector<odf::Multihash> blocks;
  for (int i = 0; i < 5; ++i) blocks.push_back(CommitRows(*dataset_, 1)->new_head);
  EXPECT_TRUE(Holds(Kind::kData, SliceOf(blocks[0])));
  EXPECT_TRUE(Holds(Kind::kBlock, blocks[4]));
  EXPECT_TRUE(Holds(Kind::kBlock, first));
}

TEST_F(ChainIndexTest, WhoOpenedTheDatasetEarlierAsksThePresentHeadToo) {
  const auto stores = dataset::testing::MemoryStores();
  const auto writer = std::move(*dataset::testing::CreateSample(stores));
  const auto early = std::move(*dataset::Dataset::Open(stores));
  for (int i = 0; i < 3; ++i) {
    const auto block = CommitRows(*writer, 1)->new_head;
    for (auto* asking : {writer.get(), early.get()}) {
      const auto holds = indexes_.Holds(*asking, Kind::kBlock, block);
      EXPECT_TRUE(holds.ok() && *holds) << i;
    }
  }
}

TEST_F(ChainIndexTest, WhatAResetTookOutIsNotHeldAnyMore) {
  const auto kept = CommitRows(*dataset_, 1)->new_head;
  const auto lost = CommitRows(*dataset_, 1)->new_head;
  const auto slice = SliceOf(lost);
  EXPECT_TRUE(Holds(Kind::kBlock, lost));
  EXPECT_TRUE(Holds(Kind::kData, slice));
  ASSERT_TRUE(dataset_->Reset(kept).ok());
  EXPECT_FALSE(Holds(Kind::kBlock, lost));
  EXPECT_FALSE(Holds(Kind::kData, slice));
  EXPECT_TRUE(Holds(Kind::kBlock, kept));
  // A chain that has grown past the old head without it.
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(CommitInfo(*dataset_, std::to_string(i)).ok());
  EXPECT_FALSE(Holds(Kind::kBlock, lost));
  EXPECT_FALSE(Holds(Kind::kData, slice));
  EXPECT_TRUE(Holds(Kind::kBlock, kept));
}

TEST_F(ChainIndexTest, AChainThatGrewPastAnOldHeadWithoutItIsBegunAnew) {
  const auto kept = CommitRows(*dataset_, 1)->new_head;
  const auto lost = CommitRows(*dataset_, 1)->new_head;
  EXPECT_TRUE(Holds(Kind::kBlock, lost));
  ASSERT_TRUE(dataset_->Reset(kept).ok());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(CommitInfo(*dataset_, std::to_string(i)).ok());
  EXPECT_FALSE(Holds(Kind::kBlock, lost));
  EXPECT_TRUE(Holds(Kind::kBlock, kept));
}

TEST_F(ChainIndexTest, ADatasetCanBeForgotten) {
  const auto first = CommitRows(*dataset_, 1)->new_head;
  EXPECT_TRUE(Holds(Kind::kBlock, first));
  indexes_.Forget(dataset_->state().dataset_id);
  EXPECT_TRUE(Holds(Kind::kBlock, first));
}

}  // namespace
}  // namespace sluice::server
