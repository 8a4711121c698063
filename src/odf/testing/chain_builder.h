#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "odf/chain_state.h"

// Chains for tests, event by event: sequence numbers, previous hashes and times are filled in. Hashes are
// made from the sequence number, so that no block needs encoding.
namespace sluice::odf::testing {

Multihash TestHash(uint64_t number);

class ChainBuilder {
 public:
  // Starts with a Seed.
  explicit ChainBuilder(DatasetKind kind = DatasetKind::kRoot);
  // Starts with nothing.
  static ChainBuilder Empty();

  // The valid block that would carry `event` next, one second after the newest.
  MetadataBlock Next(MetadataEvent event) const;
  Status Append(MetadataEvent event, Judging judging = Judging::kAppend);
  // Judges the block as it is.
  Status AppendBlock(const MetadataBlock& block, Judging judging = Judging::kAppend);

  const ChainState& state() const { return state_; }
  const std::vector<MetadataBlock>& blocks() const { return blocks_; }

 private:
  struct NoSeed {};
  explicit ChainBuilder(NoSeed) {}

  ChainState state_;
  std::vector<MetadataBlock> blocks_;
};

// offset, op, system_time, event_time and `columns`.
SetDataSchema TestSchema(std::vector<DataField> columns = {});
DataField Column(std::string name, TypeKind kind);
DataField OptionalColumn(std::string name, TypeKind kind);

// `rows` more rows that carry what the chain requires to be carried; none gives an event without a slice.
AddData NextData(const ChainState& state, uint64_t rows);
AddData WithState(AddData data, std::string_view source, std::string_view kind, std::string_view value);

AddPushSource TestPushSource(std::string name, MergeStrategy merge = {});
SetPollingSource TestPollingSource(std::string url);
TransformSql TestQuery(std::string query = "select * from input");

}  // namespace sluice::odf::testing
