#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/call.h"

namespace sluice::server {

using RouteHandler = void (*)(const Context& context, const CallPtr& call);

// One call of the API. `path` is `/word`, `/word/{id}` (segments behind the word go to Call::rest) or
// `/{dataset}/word...`.
struct Route {
  std::string method;
  std::string path;
  Right right = Right::kNone;
  RouteHandler handler = nullptr;
  bool is_streamed = false;  // the body is read by the handler
  uint64_t max_body_bytes = 64 << 10;
};

// All calls. A fixed table: adding a call is one line, and one in openapi_calls.cc. Paths with a word come
// before `/{dataset}`, which also stands for `/{account}/{dataset}`.
const std::vector<Route>& Routes();
uint64_t MaxBodyBytes(const Route& route, const Limits& limits);

// The route of a path, with dataset and rest filled in; nothing when no route has such a path. A path that is
// known with other methods gives those in `allow`.
struct Match {
  const Route* route = nullptr;
  std::string dataset;
  std::vector<std::string> rest;
};
Match FindRoute(const std::string& method, const std::string& path, std::vector<std::string>* allow);

// Words that no dataset or account may be named when a node serves it.
bool IsReservedName(std::string_view name);
// Words that follow a dataset in paths (`log`): `account/log` could not be told from the history of
// `account`.
bool IsDatasetWord(std::string_view name);

// --- the handlers, by file ---
// push_routes.cc
void PostIngest(const Context& context, const CallPtr& call);
void GetReceipt(const Context& context, const CallPtr& call);
void GetSources(const Context& context, const CallPtr& call);
void GetSource(const Context& context, const CallPtr& call);
// dataset_routes.cc
void PostDatasets(const Context& context, const CallPtr& call);
void GetDatasets(const Context& context, const CallPtr& call);
void GetDataset(const Context& context, const CallPtr& call);
void DeleteDataset(const Context& context, const CallPtr& call);
void PostCommit(const Context& context, const CallPtr& call);
void PostSources(const Context& context, const CallPtr& call);
void DeleteSource(const Context& context, const CallPtr& call);
// read_routes.cc
void GetLog(const Context& context, const CallPtr& call);
void GetTail(const Context& context, const CallPtr& call);
void GetSchema(const Context& context, const CallPtr& call);
void GetVerify(const Context& context, const CallPtr& call);
// query_routes.cc
void GetQuery(const Context& context, const CallPtr& call);
void PostQuery(const Context& context, const CallPtr& call);
// transfer_routes.cc
void GetHead(const Context& context, const CallPtr& call);
void GetBlock(const Context& context, const CallPtr& call);
void GetData(const Context& context, const CallPtr& call);
void GetCheckpoint(const Context& context, const CallPtr& call);
// upload_routes.cc
void PostUploadPrepare(const Context& context, const CallPtr& call);
void PostUpload(const Context& context, const CallPtr& call);
void GetUpload(const Context& context, const CallPtr& call);
// `ingest` once the file of the parameter `uploadToken` stands in the place of the body.
// Pushes the call's body; `before` may change the dataset first, or refuse.
using BeforePush =
    std::function<std::optional<gateway::Refusal>(const workspace::Entry&, const gateway::PushRequest&)>;
void PushBody(const Context& context, const CallPtr& call, const BeforePush& before);
void PostUploadedIngest(const Context& context, const CallPtr& call);
// openapi.cc
void GetOpenApi(const Context& context, const CallPtr& call);
// health_routes.cc
void GetLive(const Context& context, const CallPtr& call);
void GetReady(const Context& context, const CallPtr& call);
void GetMetrics(const Context& context, const CallPtr& call);
// operator_routes.cc
void GetStatus(const Context& context, const CallPtr& call);
void GetQueue(const Context& context, const CallPtr& call);
void PostQueue(const Context& context, const CallPtr& call);
void PostCompact(const Context& context, const CallPtr& call);
void PostLease(const Context& context, const CallPtr& call);
void DeleteLease(const Context& context, const CallPtr& call);

}  // namespace sluice::server
