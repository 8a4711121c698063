// What is known of a dataset's sources: their states, and the blocks that brought them (push-protocol.md 3).
#include <nlohmann/json.hpp>

#include "dataset/dataset.h"
#include "multiformats/multihash.h"
#include "odf/yaml.h"
#include "server/access.h"
#include "server/problem.h"
#include "server/routes.h"
#include "server/workers.h"

namespace sluice::server {
namespace {

using multiformats::Multihash;
using nlohmann::json;

constexpr size_t kTagDigits = 16;

template <class T>
json OrNull(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

// A block of a source, as much of it as there still is: all of it in its block, so that what is said together
// belongs together.
struct SourceBlock {
  std::optional<uint64_t> sequence;
  std::optional<Multihash> hash;
  std::optional<Instant> system_time;
  std::optional<odf::OffsetInterval> offsets;
  std::optional<uint64_t> last_offset;  // of the dataset, with this block
};

struct Known {
  gateway::SourceView view;
  SourceBlock state, last;
};

// A chain tells the number of a polling source's block only: it is the newest with data, or soon behind it.
Result<std::optional<Multihash>> HashAt(const dataset::Dataset& dataset, uint64_t sequence) {
  std::optional<Multihash> hash;
  RETURN_IF_ERROR(dataset.WalkBack([&](const dataset::StoredBlock& block) -> Result<bool> {
    if (block.block.sequence_number == sequence) hash = block.hash;
    return block.block.sequence_number > sequence;
  }));
  return hash;
}

Result<SourceBlock> BlockAt(const dataset::Dataset& dataset, std::optional<uint64_t> sequence,
                            std::optional<Multihash> hash) {
  SourceBlock found{.sequence = sequence, .hash = hash};
  if (sequence && !hash) {
    ASSIGN_OR_RETURN(found.hash, HashAt(dataset, *sequence));
  }
  if (!found.hash) return found;
  auto stored = dataset.ReadBlock(*found.hash);
  // A compaction may have ended since it was asked for.
  if (!stored.ok() && stored.error().code() == ErrorCode::kNotFound) return found;
  if (!stored.ok()) return std::move(stored).error();
  found.system_time = stored->block.system_time;
  if (const auto* data = std::get_if<odf::AddData>(&stored->block.event)) {
    found.last_offset = data->prev_offset;
    if (data->new_data) {
      found.offsets = data->new_data->offset_interval;
      found.last_offset = found.offsets->end;
    }
  }
  return found;
}

Result<std::vector<Known>> SourcesOf(const Context& context, const Call& call,
                                     const std::optional<std::string>& name) {
  ASSIGN_OR_RETURN(const auto entry, DatasetOf(context, call));
  ASSIGN_OR_RETURN(const auto hold, context.workspace->HoldFiles(entry.id));
  ASSIGN_OR_RETURN(auto views, context.gateway->Sources(entry, name));
  ASSIGN_OR_RETURN(const auto dataset, context.workspace->Open(entry));
  std::vector<Known> sources;
  for (auto& view : views) {
    Known known{std::move(view), {}, {}};
    ASSIGN_OR_RETURN(known.state, BlockAt(*dataset, known.view.state_sequence, known.view.state_block));
    known.last = known.state;
    if (known.view.last_sequence != known.view.state_sequence) {
      ASSIGN_OR_RETURN(known.last, BlockAt(*dataset, known.view.last_sequence, known.view.last_block));
    }
    sources.push_back(std::move(known));
  }
  return sources;
}

json HashJson(const std::optional<Multihash>& hash) { return hash ? json(hash->ToString()) : json(nullptr); }

json LastCommitJson(const SourceBlock& block) {
  if (!block.sequence) return nullptr;
  json offsets = nullptr;
  if (block.offsets) offsets = {{"start", block.offsets->start}, {"end", block.offsets->end}};
  return {{"blockHash", HashJson(block.hash)},
          {"sequence", *block.sequence},
          {"systemTime", block.system_time ? json(FormatInstant(*block.system_time)) : json(nullptr)},
          {"offsets", std::move(offsets)}};
}

json StateJson(const Known& source) {
  const auto& [view, state, last] = source;
  json body = {{"sourceName", view.name},
               {"kind", nullptr},
               {"committed", nullptr},
               {"accepted", nullptr},
               {"blockHash", HashJson(state.hash)},
               {"offset", OrNull(state.last_offset)}};
  if (view.committed) body["committed"] = view.committed->value;
  if (view.accepted) body["accepted"] = view.accepted->value;
  if (view.accepted) body["kind"] = view.accepted->kind;
  return body;
}

json SourceJson(const Known& source) {
  const auto& view = source.view;
  json body = StateJson(source);
  body.update({{"type", view.is_polling ? "polling" : "push"},
               {"readFormat", odf::NameOf(view.read.format)},
               {"mergeStrategy", odf::NameOf(view.merge.kind)},
               {"stateSequence", OrNull(view.state_sequence)},
               {"lastCommit", LastCommitJson(source.last)},
               {"queued", {{"batches", view.queued}, {"bytes", view.queued_bytes}}},
               {"stoppedAt", OrNull(view.stopped)},
               {"lastError", view.last_error.empty() ? json(nullptr) : json(view.last_error)}});
  // What a client that cuts a file into batches must repeat before each.
  if (view.read.format == odf::ReadFormat::kCsv) body["hasHeader"] = view.read.header.value_or(false);
  if (!view.merge.primary_key.empty()) body["primaryKey"] = view.merge.primary_key;
  return body;
}

std::string TagOf(const gateway::State& state) {
  return "\"" +
         multiformats::Sha3Multihash(state.kind + "\n" + state.value).ToString().substr(9, kTagDigits) + "\"";
}

Result<net::HttpResponse> Source(const Context& context, const Call& call) {
  // The polling source's name is two segments of the path.
  const std::string name = call.rest.empty() ? std::string(odf::kPollingSourceName) : call.rest[0];
  ASSIGN_OR_RETURN(const auto sources, SourcesOf(context, call, name));
  const auto& source = sources.front();
  if (!call.route.ends_with("/state")) return JsonResponse(200, SourceJson(source));
  if (!source.view.accepted) return NotFound("source '{}' has no state yet", name);
  auto response = JsonResponse(200, StateJson(source));
  response.headers.Set("ETag", TagOf(*source.view.accepted));
  return response;
}

}  // namespace

void GetSources(const Context& context, const CallPtr& call) {
  AnswerLater(*context.short_calls, call, [&context, call]() -> Result<net::HttpResponse> {
    ASSIGN_OR_RETURN(const auto sources, SourcesOf(context, *call, std::nullopt));
    json list = json::array();
    for (const auto& source : sources) {
      // Who may only push sees what it may push to.
      if (context.access->Check(call->caller, Right::kRead, call->dataset, source.view.name).ok())
        list.push_back(SourceJson(source));
    }
    return JsonResponse(200, {{"sources", std::move(list)}});
  });
}

void GetSource(const Context& context, const CallPtr& call) {
  AnswerLater(*context.short_calls, call, [&context, call] { return Source(context, *call); });
}

}  // namespace sluice::server
