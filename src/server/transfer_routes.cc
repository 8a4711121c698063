// A dataset's contents under the simple transfer protocol (odf-metadata.md 10.1): stored bytes, as they are.
#include "server/chain_index.h"
#include "server/problem.h"
#include "server/routes.h"
#include "server/workers.h"

namespace sluice::server {
namespace {

// Named by their hash, objects never change.
constexpr char kForever[] = "private, max-age=31536000, immutable";

Result<net::HttpResponse> Object(const Context& context, const Call& call, ChainIndexes::Kind kind) {
  ASSIGN_OR_RETURN(auto entry, DatasetOf(context, call));
  const auto& name = call.rest[0];
  const auto absent = [&] { return NotFound("dataset '{}' does not hold '{}'", entry.alias, name); };
  const auto hash = multiformats::Multihash::Parse(name);
  // Names of files are in one spelling only.
  if (!hash.ok() || hash->ToString() != name) return absent();
  ASSIGN_OR_RETURN(const auto hold, context.workspace->HoldFiles(entry.id));
  ASSIGN_OR_RETURN(auto dataset, context.workspace->Open(entry));
  ASSIGN_OR_RETURN(const bool holds, context.chains->Holds(*dataset, kind, *hash));
  if (!holds) return absent();
  const std::string file = kind == ChainIndexes::Kind::kBlock  ? dataset::BlockName(*hash)
                           : kind == ChainIndexes::Kind::kData ? dataset::DataName(*hash)
                                                               : dataset::CheckpointName(*hash);
  net::FileRange range;
  ASSIGN_OR_RETURN(range.size, dataset->files().Size(file));
  range.path = dataset->files().LocalPath(file).value_or("");
  net::HttpResponse response;
  response.headers.Set("Content-Type", "application/octet-stream");
  response.headers.Set("ETag", "\"" + name + "\"");
  response.headers.Set("Cache-Control", kForever);
  response.body = std::move(range);
  return response;
}

}  // namespace

void GetHead(const Context& context, const CallPtr& call) {
  AnswerLater(*context.short_calls, call, [&context, call]() -> Result<net::HttpResponse> {
    ASSIGN_OR_RETURN(auto entry, DatasetOf(context, *call));
    // A follower builds on it: it must not be gone after a crash.
    RETURN_IF_ERROR(context.gateway->health());
    ASSIGN_OR_RETURN(const auto hold, context.workspace->HoldFiles(entry.id));
    ASSIGN_OR_RETURN(auto dataset, context.workspace->Open(entry));
    if (dataset->MustBeWrittenAnew()) {
      const auto turn = context.gateway->BeginCommit(entry);
      if (!turn.ok()) return turn.error();
      RETURN_IF_ERROR(dataset->Refresh());
      RETURN_IF_ERROR(dataset->EnsureDurable());
    }
    RETURN_IF_ERROR(dataset->EnsureDurable());
    const std::string head = dataset->head().ToString();
    auto response = net::TextResponse(200, head);
    response.headers.Set("ETag", "\"" + head + "\"");
    response.headers.Set("Cache-Control", "private, no-cache");
    return response;
  });
}

void GetBlock(const Context& context, const CallPtr& call) {
  AnswerLater(*context.short_calls, call,
              [&context, call] { return Object(context, *call, ChainIndexes::Kind::kBlock); });
}

void GetData(const Context& context, const CallPtr& call) {
  AnswerLater(*context.short_calls, call,
              [&context, call] { return Object(context, *call, ChainIndexes::Kind::kData); });
}

void GetCheckpoint(const Context& context, const CallPtr& call) {
  AnswerLater(*context.short_calls, call,
              [&context, call] { return Object(context, *call, ChainIndexes::Kind::kCheckpoint); });
}

}  // namespace sluice::server
