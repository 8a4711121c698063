#include "workspace/compact.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <set>

#include "base/cancel.h"
#include "columnar/slice.h"
#include "dataset/verify.h"

namespace sluice::workspace {
namespace {

// Builds the new chain block by block.
class Compaction {
 public:
  Compaction(dataset::Dataset& dataset, const CompactOptions& options)
      : dataset_(dataset), options_(options) {
    // Blocks whose source state must survive: the newest of each active source, of both kinds.
    const auto& state = dataset.state();
    for (const auto& [name, source] : state.push_sources) {
      if (source.state_sequence) needed_states_.insert(*source.state_sequence);
      if (source.file_state_sequence) needed_states_.insert(*source.file_state_sequence);
    }
    if (state.polling_source && state.polling_source->state_sequence) {
      needed_states_.insert(*state.polling_source->state_sequence);
    }
    polling_ = state.polling_source.has_value();
  }

  // False when nothing would change.
  Result<bool> Build() {
    std::vector<odf::Multihash> hashes;
    RETURN_IF_ERROR(dataset_.WalkBack([&](const dataset::StoredBlock& block) -> Result<bool> {
      hashes.push_back(block.hash);
      return true;
    }));
    for (auto it = hashes.rbegin(); it != hashes.rend(); ++it) {
      RETURN_IF_ERROR(CheckCancelled(options_.stop));
      ASSIGN_OR_RETURN(auto stored, dataset_.ReadBlock(*it));
      RETURN_IF_ERROR(Take(std::move(stored.block)));
    }
    RETURN_IF_ERROR(FlushGroup());
    return changed_;
  }

  // As Replacement::successors: new blocks are numbered from the Seed, which is 0.
  std::vector<std::pair<uint64_t, uint64_t>> Successors() const {
    std::vector<std::pair<uint64_t, uint64_t>> successors;
    for (size_t i = 0; i < newest_old_.size(); ++i) successors.emplace_back(newest_old_[i], i);
    return successors;
  }
  std::vector<odf::MetadataBlock> TakeBlocks() { return std::move(blocks_); }
  std::vector<dataset::StagedSlice> TakeSlices() { return std::move(slices_); }

 private:
  Status Take(odf::MetadataBlock block) {
    auto* data = std::get_if<odf::AddData>(&block.event);
    if (!data) {
      RETURN_IF_ERROR(FlushGroup());
      newest_old_.push_back(block.sequence_number);
      blocks_.push_back(std::move(block));
      return {};
    }
    if (options_.keep_metadata_only) {
      changed_ = true;
      return {};
    }
    // What carries checkpoints or linked objects stays a block of its own.
    const bool alone = data->prev_checkpoint || data->new_checkpoint || data->extra;
    if (alone || !Fits(*data)) RETURN_IF_ERROR(FlushGroup());
    group_.push_back(std::move(block));
    if (alone) RETURN_IF_ERROR(FlushGroup());
    return {};
  }

  bool Fits(const odf::AddData& data) const {
    if (!data.new_data) return true;
    uint64_t records = data.new_data->offset_interval.end - data.new_data->offset_interval.start + 1;
    uint64_t bytes = data.new_data->size;
    for (const auto& block : group_) {
      const auto& slice = std::get<odf::AddData>(block.event).new_data;
      if (!slice) continue;
      records += slice->offset_interval.end - slice->offset_interval.start + 1;
      bytes += slice->size;
    }
    return records <= options_.max_slice_records && bytes <= options_.max_slice_bytes;
  }

  Status FlushGroup() {
    if (group_.empty()) return {};
    odf::AddData merged;
    merged.prev_checkpoint = std::get<odf::AddData>(group_.front().event).prev_checkpoint;
    merged.prev_offset = last_offset_;
    std::vector<odf::DataSlice> parts;
    std::vector<odf::SourceState> states;
    for (auto& block : group_) {
      auto& data = std::get<odf::AddData>(block.event);
      if (data.new_data) parts.push_back(*data.new_data);
      if (data.new_checkpoint) merged.new_checkpoint = data.new_checkpoint;
      if (data.extra) merged.extra = data.extra;
      if (data.new_watermark) merged.new_watermark = data.new_watermark;
      const bool last_of_polling = polling_ && &block == &group_.back();
      if (data.new_source_state && (needed_states_.contains(block.sequence_number) || last_of_polling)) {
        states.push_back(*data.new_source_state);
      }
    }
    if (parts.size() > 1) {
      ASSIGN_OR_RETURN(merged.new_data, Merge(parts));
      changed_ = true;
    } else if (parts.size() == 1) {
      merged.new_data = parts.front();
    }
    if (!states.empty()) {
      merged.new_source_state = states.front();
      states.erase(states.begin());
    }
    const bool says_something = merged.new_data || merged.new_checkpoint || merged.new_source_state ||
                                (merged.new_watermark && merged.new_watermark != last_watermark_);
    const Instant time = group_.back().system_time;
    const uint64_t newest = group_.back().sequence_number;
    if (merged.new_data) last_offset_ = merged.new_data->offset_interval.end;
    if (says_something) {
      blocks_.push_back({time, std::nullopt, 0, merged});
      newest_old_.push_back(newest);
    }
    // One block holds one state: the others follow in blocks of their own.
    for (auto& state : states) {
      odf::AddData only;
      only.prev_offset = last_offset_;
      if (merged.new_checkpoint) only.prev_checkpoint = merged.new_checkpoint->physical_hash;
      only.new_watermark = merged.new_watermark;
      only.new_source_state = std::move(state);
      blocks_.push_back({time, std::nullopt, 0, std::move(only)});
      newest_old_.push_back(newest);
    }
    if (merged.new_watermark) last_watermark_ = merged.new_watermark;
    group_.clear();
    return {};
  }

  // The rows of several slices in one, unchanged: offsets, ops and system times stay.
  Result<odf::DataSlice> Merge(const std::vector<odf::DataSlice>& parts) {
    std::unique_ptr<columnar::SliceWriter> writer;
    for (const auto& part : parts) {
      ASSIGN_OR_RETURN(auto reader,
                       columnar::SliceReader::Open(dataset_.files(), dataset::DataName(part.physical_hash)));
      if (!writer) {
        ASSIGN_OR_RETURN(auto file, dataset_.files().Stage("data"));
        const auto& vocabulary = dataset_.state().vocabulary;
        columnar::SliceOptions slice_options;
        slice_options.dictionary_columns = {vocabulary.op, vocabulary.system_time};
        ASSIGN_OR_RETURN(
            writer, columnar::SliceWriter::Open(std::move(file), reader->schema(), std::move(slice_options)));
      }
      while (true) {
        RETURN_IF_ERROR(CheckCancelled(options_.stop));
        ASSIGN_OR_RETURN(auto batch, reader->Next());
        if (!batch) break;
        RETURN_IF_ERROR(writer->Write(std::move(batch)));
      }
    }
    ASSIGN_OR_RETURN(auto info, writer->Close());
    odf::DataSlice slice{info.logical_hash,
                         info.physical_hash,
                         {parts.front().offset_interval.start, parts.back().offset_interval.end},
                         info.size};
    slices_.push_back({writer->TakeFile(), info.physical_hash});
    return slice;
  }

  dataset::Dataset& dataset_;
  const CompactOptions& options_;
  std::set<uint64_t> needed_states_;
  bool polling_ = false;
  bool changed_ = false;
  std::vector<odf::MetadataBlock> group_;  // adjacent AddData that will be one
  std::optional<uint64_t> last_offset_;
  std::optional<Instant> last_watermark_;
  std::vector<odf::MetadataBlock> blocks_;
  std::vector<uint64_t> newest_old_;  // of each of blocks_: the newest old block that it stands for
  std::vector<dataset::StagedSlice> slices_;
};

// What the new chain does not refer to. Only after its head is durable, and when nobody reads.
Status RemoveUnreferenced(dataset::Dataset& dataset) {
  std::set<std::string> keep;
  RETURN_IF_ERROR(dataset.WalkBack([&](const dataset::StoredBlock& block) -> Result<bool> {
    keep.insert(dataset::BlockName(block.hash));
    if (const auto* data = std::get_if<odf::AddData>(&block.block.event); data && data->new_data) {
      keep.insert(dataset::DataName(data->new_data->physical_hash));
      if (data->extra) keep.insert("linked");
    }
    return true;
  }));
  for (const char* folder : {"blocks", "data"}) {
    if (keep.contains("linked") && std::string_view(folder) == "data")
      continue;  // objects that rows link to live there too
    ASSIGN_OR_RETURN(auto names, dataset.files().List(folder));
    for (const auto& name : names) {
      if (!keep.contains(name)) RETURN_IF_ERROR(dataset.files().Delete(name));
    }
  }
  return {};
}

// True when a reader keeps them.
Result<bool> RemoveOldFiles(const Workspace& workspace, const Entry& entry, dataset::Dataset& dataset) {
  auto no_readers = workspace.ExcludeReaders(entry.id);
  if (!no_readers.ok() && no_readers.error().code() == ErrorCode::kUnavailable) return true;
  if (!no_readers.ok()) return std::move(no_readers).error();
  RETURN_IF_ERROR(RemoveUnreferenced(dataset));
  return false;
}

}  // namespace

Result<CompactOutcome> Compact(const Workspace& workspace, const Entry& entry,
                               const CompactOptions& options) {
  ASSIGN_OR_RETURN(auto guard, workspace.BeginCommit(entry.id));
  ASSIGN_OR_RETURN(auto dataset, workspace.Open(entry));
  if (dataset->state().kind != odf::DatasetKind::kRoot) {
    return InvalidArgument(
        "dataset '{}' is derivative: its history refers to its inputs and is not compacted", entry.alias);
  }
  if (options.verify_first) {
    ASSIGN_OR_RETURN(auto stores, workspace.StoresOf(entry.id));
    dataset::VerifyOptions verify;
    verify.stop = options.stop;
    ASSIGN_OR_RETURN(auto report, dataset::Verify(stores, verify));
    if (!report.violations.empty())
      return Corruption("dataset '{}': {}", entry.alias, report.violations.front().ToString());
  }
  const odf::Multihash old_head = dataset->head();
  Compaction compaction(*dataset, options);
  ASSIGN_OR_RETURN(bool changed, compaction.Build());
  if (!changed) {
    // What an earlier compaction or a killed writer left is swept up all the same.
    RETURN_IF_ERROR(dataset->EnsureDurable());
    ASSIGN_OR_RETURN(const bool kept, RemoveOldFiles(workspace, entry, *dataset));
    return CompactOutcome{.changed = false, .old_files_kept = kept};
  }
  const auto before_head = [&](const dataset::CommitResult& result) -> Status {
    if (!options.before_head) return {};
    return options.before_head(
        {old_head, result.new_head, result.sequence, compaction.Successors(), result.blocks});
  };
  ASSIGN_OR_RETURN(auto new_head,
                   dataset->ReplaceChain(compaction.TakeBlocks(), compaction.TakeSlices(), before_head));

  // Rows and offsets are the same, so the index only gets the new head. If this does not come to pass, it is
  // built anew.
  const auto retag = [&]() -> Status {
    ASSIGN_OR_RETURN(auto* index, guard->Index());
    if (options.keep_metadata_only) return index->DropDataset(entry.id);
    ASSIGN_OR_RETURN(auto sets, index->ListSets(entry.id));
    for (const auto& set : sets) {
      ASSIGN_OR_RETURN(auto tag, index->head(set));
      if (tag == old_head) RETURN_IF_ERROR(index->SetHead(set, new_head));
    }
    return {};
  };
  (void)retag().ok();
  auto kept = RemoveOldFiles(workspace, entry, *dataset);
  if (!kept.ok()) return std::move(kept).error().With("the dataset is compacted, but its old files remain");
  return CompactOutcome{.changed = true, .old_files_kept = *kept};
}

}  // namespace sluice::workspace
