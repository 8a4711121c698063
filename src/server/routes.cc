#include "server/routes.h"

#include <algorithm>

namespace sluice::server {
namespace {

constexpr uint64_t kIngestBytes = 64 << 20;
constexpr uint64_t kManifestBytes = 4 << 20;
constexpr uint64_t kQueryBytes = 1 << 20;

std::vector<std::string> Segments(const std::string& path) {
  std::vector<std::string> segments;
  size_t start = 1;
  while (start <= path.size()) {
    const size_t end = std::min(path.find('/', start), path.size());
    segments.push_back(path.substr(start, end - start));
    start = end + 1;
  }
  return segments;
}

bool IsVariable(const std::string& segment) { return segment.starts_with('{'); }

// Matches `pattern` from segment `at`; `{rest}` takes all that is left.
bool MatchesFrom(const std::vector<std::string>& pattern, size_t pattern_at,
                 const std::vector<std::string>& segments, size_t at, std::vector<std::string>* rest) {
  rest->clear();
  for (; pattern_at < pattern.size(); ++pattern_at, ++at) {
    if (pattern[pattern_at] == "{rest}") {
      if (at >= segments.size()) return false;
      rest->insert(rest->end(), segments.begin() + static_cast<long>(at), segments.end());
      return true;
    }
    if (at >= segments.size()) return false;
    if (IsVariable(pattern[pattern_at])) {
      if (segments[at].empty()) return false;
      rest->push_back(segments[at]);
    } else if (pattern[pattern_at] != segments[at]) {
      return false;
    }
  }
  return at == segments.size();
}

bool MatchesPath(const Route& route, const std::vector<std::string>& segments, Match* match) {
  const auto pattern = Segments(route.path);
  match->dataset.clear();
  if (pattern[0] != "{dataset}") return MatchesFrom(pattern, 0, segments, 0, &match->rest);
  if (IsReservedName(segments[0])) return false;
  // `name` or `account/name`.
  for (size_t names = 1; names <= 2 && names < segments.size() + 1; ++names) {
    if (segments.size() < names || segments[names - 1].empty()) break;
    if (!MatchesFrom(pattern, 1, segments, names, &match->rest)) continue;
    match->dataset = segments[0];
    if (names == 2) match->dataset += "/" + segments[1];
    return true;
  }
  return false;
}

}  // namespace

const std::vector<Route>& Routes() {
  static const std::vector<Route> routes = {
      {"GET", "/livez", Right::kNone, GetLive},
      {"GET", "/readyz", Right::kNone, GetReady},
      {"GET", "/metrics", Right::kNone, GetMetrics},
      {"GET", "/receipts/{id}", Right::kCaller, GetReceipt},
      {"GET", "/operator/status", Right::kOperator, GetStatus},
      {"POST", "/operator/compact", Right::kOperator, PostCompact},
      {"POST", "/operator/lease", Right::kOperator, PostLease},
      {"DELETE", "/operator/lease/{id}", Right::kOperator, DeleteLease},
      {"GET", "/openapi.json", Right::kNone, GetOpenApi},
      {"POST", "/platform/file/upload/prepare", Right::kCaller, PostUploadPrepare},
      {"POST", "/platform/file/upload/{token}", Right::kCaller, PostUpload},
      {"GET", "/platform/file/upload/{token}", Right::kCaller, GetUpload},
      {"GET", "/datasets", Right::kRead, GetDatasets},
      {"POST", "/datasets", Right::kAdmin, PostDatasets, false, kManifestBytes},
      {"POST", "/query", Right::kRead, PostQuery, false, kQueryBytes},
      {"POST", "/{dataset}/ingest", Right::kPush, PostIngest, false, kIngestBytes},
      {"GET", "/{dataset}/sources", Right::kRead, GetSources},
      {"POST", "/{dataset}/sources", Right::kAdmin, PostSources, false, kManifestBytes},
      {"GET", "/{dataset}/sources/{source}", Right::kRead, GetSource},
      {"DELETE", "/{dataset}/sources/{source}", Right::kAdmin, DeleteSource},
      {"DELETE", "/{dataset}/sources/odf/polling", Right::kAdmin, DeleteSource},
      {"GET", "/{dataset}/sources/{source}/state", Right::kRead, GetSource},
      {"POST", "/{dataset}/commit", Right::kAdmin, PostCommit, false, kManifestBytes},
      {"GET", "/{dataset}/queue", Right::kAdmin, GetQueue},
      {"POST", "/{dataset}/queue/{receipt}/{action}", Right::kAdmin, PostQueue},
      {"GET", "/{dataset}/log", Right::kRead, GetLog},
      {"GET", "/{dataset}/tail", Right::kRead, GetTail},
      {"GET", "/{dataset}/query", Right::kRead, GetQuery},
      {"POST", "/{dataset}/query", Right::kRead, GetQuery, false, kQueryBytes},
      {"GET", "/{dataset}/schema", Right::kRead, GetSchema},
      {"GET", "/{dataset}/verify", Right::kRead, GetVerify},
      {"GET", "/{dataset}/refs/head", Right::kRead, GetHead},
      {"GET", "/{dataset}/blocks/{hash}", Right::kRead, GetBlock},
      {"GET", "/{dataset}/data/{hash}", Right::kRead, GetData},
      {"GET", "/{dataset}/checkpoints/{hash}", Right::kRead, GetCheckpoint},
      {"GET", "/{dataset}", Right::kRead, GetDataset},
      {"DELETE", "/{dataset}", Right::kAdmin, DeleteDataset},
  };
  return routes;
}

uint64_t MaxBodyBytes(const Route& route, const Limits& limits) {
  constexpr uint64_t kFraming = 64 << 10;  // of a multipart body
  return route.handler == PostUpload ? limits.upload_bytes + kFraming : route.max_body_bytes;
}

bool IsReservedName(const std::string& name) {
  static const std::vector<std::string> words = {"livez",    "readyz",       "metrics",  "receipts",
                                                 "platform", "openapi.json", "operator", "datasets",
                                                 "docs",     "query",        "console"};
  return std::find(words.begin(), words.end(), name) != words.end();
}

bool IsDatasetWord(const std::string& name) {
  return std::any_of(Routes().begin(), Routes().end(), [&](const Route& route) {
    const auto segments = Segments(route.path);
    return segments.size() > 1 && segments[0] == "{dataset}" && segments[1] == name;
  });
}

Match FindRoute(const std::string& method, const std::string& path, std::vector<std::string>* allow) {
  Match match;
  if (path.empty() || path[0] != '/') return match;
  const auto segments = Segments(path);
  const std::string* meant = nullptr;  // the first path that fits: `/d/log` is no dataset of account `d`
  for (const auto& route : Routes()) {
    Match candidate;
    if (meant && route.path != *meant) continue;
    if (!MatchesPath(route, segments, &candidate)) continue;
    meant = &route.path;
    if (route.method == method || (method == "HEAD" && route.method == "GET")) {
      candidate.route = &route;
      return candidate;
    }
    allow->push_back(route.method);
    if (route.method == "GET") allow->emplace_back("HEAD");
  }
  return match;
}

}  // namespace sluice::server
