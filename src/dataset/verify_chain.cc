#include <algorithm>
#include <unordered_set>

#include "dataset/verify_internal.h"

namespace sluice::dataset {
namespace {

struct Link {
  Multihash hash;
  std::string bytes;
};

// What events of either kind say of data.
struct DataView {
  const std::optional<uint64_t>& prev_offset;
  const std::optional<odf::DataSlice>& new_data;
  const std::optional<odf::Checkpoint>& new_checkpoint;
  const std::optional<Instant>& new_watermark;
  std::optional<std::string> extra;  // of AddData
};

std::optional<DataView> ViewData(const odf::MetadataEvent& event) {
  if (const auto* add = std::get_if<odf::AddData>(&event)) {
    return DataView{add->prev_offset, add->new_data, add->new_checkpoint, add->new_watermark, add->extra};
  }
  if (const auto* run = std::get_if<odf::ExecuteTransform>(&event)) {
    return DataView{run->prev_offset, run->new_data, run->new_checkpoint, run->new_watermark, std::nullopt};
  }
  return std::nullopt;
}

class ChainChecker {
 public:
  ChainChecker(const storage::Storage& files, const std::stop_token& stop, Findings& findings)
      : files_(files), stop_(stop), findings_(findings) {}

  Result<ChainCheck> Run() {
    ASSIGN_OR_RETURN(const auto head, ReadHead());
    if (!head) return std::move(check_);
    RETURN_IF_ERROR(WalkBack(*head));
    RETURN_IF_ERROR(WalkForward());
    return std::move(check_);
  }

 private:
  Status CheckStop() const {
    if (stop_.stop_requested()) return MakeError(ErrorCode::kCancelled, "verification was stopped");
    return {};
  }
  void Report(const Multihash& hash, uint64_t sequence, std::string_view rule, std::string detail) {
    findings_.Add({hash, sequence, "", std::string(rule), std::move(detail)});
  }

  Result<std::optional<Multihash>> ReadHead();
  // Blocks newest first, as far as they can be followed.
  Status WalkBack(Multihash hash);
  // The block that `link` names; nothing when the chain cannot be followed below it.
  std::optional<odf::MetadataBlock> Open(const Link& link, uint64_t expected_sequence);
  // Rules, oldest first.
  Status WalkForward();
  void Judge(const odf::MetadataBlock& block, const Multihash& hash);
  void StepOver(const odf::MetadataBlock& block, const Multihash& hash);
  void ClaimFiles(const odf::MetadataBlock& block, const Multihash& hash);

  const storage::Storage& files_;
  const std::stop_token& stop_;
  Findings& findings_;
  std::vector<Link> links_;  // newest first
  bool reached_seed_ = false;
  ChainState state_;
  std::shared_ptr<const ColumnsInForce> columns_ = std::make_shared<ColumnsInForce>();
  ChainCheck check_;
};

Result<std::optional<Multihash>> ChainChecker::ReadHead() {
  const auto report = [&](std::string detail) {
    findings_.Add({{}, 0, kHeadName, std::string(rule::kHead), std::move(detail)});
    return std::optional<Multihash>();
  };
  auto text = files_.Get(kHeadName);
  if (!text.ok()) {
    if (text.error().code() != ErrorCode::kNotFound) return std::move(text).error();
    return report("there is no head, so there is no chain");
  }
  auto hash = Multihash::Parse(*text);
  if (!hash.ok()) return report(fmt::format("'{}' is not a block hash", text->substr(0, 100)));
  if (hash->ToString() != *text)
    return report(fmt::format("'{}' is not the canonical form of a hash", *text));
  return std::optional<Multihash>(*hash);
}

std::optional<odf::MetadataBlock> ChainChecker::Open(const Link& link, uint64_t expected_sequence) {
  const Multihash actual = odf::HashBlock(link.bytes);
  auto block = odf::DecodeBlock(link.bytes);
  const uint64_t sequence = block.ok() ? block->sequence_number : expected_sequence;
  if (actual != link.hash) {
    Report(link.hash, sequence, rule::kBlockHash,
           fmt::format("its {} bytes hash to {}", link.bytes.size(), actual.ToString()));
  }
  if (!block.ok()) {
    // Bytes that are known to be damaged need not be said to be unreadable as well.
    if (actual == link.hash) Report(link.hash, sequence, rule::kBlockFormat, block.error().ToString());
    return std::nullopt;
  }
  return *std::move(block);
}

Status ChainChecker::WalkBack(Multihash hash) {
  std::unordered_set<Multihash> seen;
  uint64_t expected_sequence = 0;
  while (true) {
    RETURN_IF_ERROR(CheckStop());
    // Damaged bytes may name a block that came before.
    if (!seen.insert(hash).second) return {};
    auto bytes = files_.Get(BlockName(hash));
    if (!bytes.ok()) {
      if (bytes.error().code() != ErrorCode::kNotFound) return std::move(bytes).error();
      Report(hash, expected_sequence, rule::kBlockMissing,
             links_.empty() ? "the head refers to a block that is not there"
                            : fmt::format("block {} refers to a block that is not there",
                                          links_.back().hash.ToString()));
      return {};
    }
    Link link{hash, *std::move(bytes)};
    const auto block = Open(link, expected_sequence);
    if (!block) return {};
    links_.push_back(std::move(link));
    if (!block->prev_block_hash) {
      reached_seed_ = true;
      return {};
    }
    hash = *block->prev_block_hash;
    expected_sequence = block->sequence_number == 0 ? 0 : block->sequence_number - 1;
  }
}

Status ChainChecker::WalkForward() {
  for (auto link = links_.rbegin(); link != links_.rend(); ++link) {
    RETURN_IF_ERROR(CheckStop());
    ASSIGN_OR_RETURN(const odf::MetadataBlock block, odf::DecodeBlock(link->bytes));
    link->bytes = {};
    if (reached_seed_) Judge(block, link->hash);
    ClaimFiles(block, link->hash);
    check_.blocks += 1;
  }
  return {};
}

void ChainChecker::Judge(const odf::MetadataBlock& block, const Multihash& hash) {
  const auto status = state_.Apply(block, hash, odf::Judging::kReplay);
  if (!status.ok()) {
    const std::string detail = status.error().ToString();
    const bool watermark = detail.starts_with("WatermarkIsNotMonotonic");
    Report(hash, block.sequence_number, watermark ? rule::kWatermark : rule::kChain, detail);
    StepOver(block, hash);
  }
  const bool changes_columns = std::holds_alternative<odf::SetDataSchema>(block.event) ||
                               std::holds_alternative<odf::SetVocab>(block.event);
  if (!changes_columns) return;
  columns_ = std::make_shared<ColumnsInForce>(
      ColumnsInForce{state_.schema, state_.schema_is_legacy, state_.vocabulary});
}

// Goes on after a block that breaks a rule as if it had been accepted, so that the next is judged by its own
// faults.
void ChainChecker::StepOver(const odf::MetadataBlock& block, const Multihash& hash) {
  state_.head = hash;
  state_.sequence = block.sequence_number;
  state_.system_time = block.system_time;
  if (const auto data = ViewData(block.event)) {
    ChainState::LastData last;
    last.sequence = block.sequence_number;
    last.last_offset = data->new_data ? data->new_data->offset_interval.end : data->prev_offset;
    last.watermark = data->new_watermark;
    if (data->new_checkpoint) last.checkpoint = data->new_checkpoint->physical_hash;
    if (const auto* add = std::get_if<odf::AddData>(&block.event)) last.source_state = add->new_source_state;
    if (const auto* run = std::get_if<odf::ExecuteTransform>(&block.event)) {
      last.inputs = run->query_inputs;
      last.is_transform = true;
    }
    state_.last_data = std::move(last);
  }
  if (const auto* schema = std::get_if<odf::SetDataSchema>(&block.event); schema && schema->schema) {
    state_.schema = schema->schema;
    state_.schema_is_legacy = false;
  }
  if (const auto* seed = std::get_if<odf::Seed>(&block.event)) state_.kind = seed->dataset_kind;
}

void ChainChecker::ClaimFiles(const odf::MetadataBlock& block, const Multihash& hash) {
  const auto data = ViewData(block.event);
  if (!data) return;
  if (data->new_data) {
    const odf::DataSlice& slice = *data->new_data;
    check_.files.push_back({hash, block.sequence_number, DataName(slice.physical_hash), slice.physical_hash,
                            slice.size,
                            SliceClaim{slice.logical_hash, slice.offset_interval, block.system_time, columns_,
                                       odf::LinkedObjectsOf(data->extra)}});
  }
  if (data->new_checkpoint) {
    const odf::Checkpoint& checkpoint = *data->new_checkpoint;
    check_.files.push_back({hash, block.sequence_number, CheckpointName(checkpoint.physical_hash),
                            checkpoint.physical_hash, checkpoint.size, std::nullopt});
  }
}

}  // namespace

Result<ChainCheck> CheckChain(const storage::Storage& files, const std::stop_token& stop,
                              Findings& findings) {
  return ChainChecker(files, stop, findings).Run();
}

}  // namespace sluice::dataset
