#include "server/routes.h"

#include <algorithm>
#include <optional>
#include <string_view>

namespace sluice::server {
namespace {

constexpr uint64_t kIngestBytes = 64 << 20;
constexpr uint64_t kManifestBytes = 4 << 20;
constexpr uint64_t kQueryBytes = 1 << 20;

using Words = std::vector<std::string_view>;

// Between the slashes of a path, which begins with one.
Words Segments(std::string_view path) {
  Words segments;
  for (size_t start = 1; start <= path.size();) {
    const size_t end = std::min(path.find('/', start), path.size());
    segments.push_back(path.substr(start, end - start));
    start = end + 1;
  }
  return segments;
}

// A route's path taken apart, once: every request is compared with all of them.
struct Pattern {
  const Route* route;
  bool has_dataset;  // in front of `segments`
  Words segments;
};

const std::vector<Pattern>& Patterns() {
  static const std::vector<Pattern> patterns = [] {
    std::vector<Pattern> made;
    for (const auto& route : Routes()) {
      Pattern pattern{&route, route.path.starts_with("/{dataset}"), Segments(route.path)};
      if (pattern.has_dataset) pattern.segments.erase(pattern.segments.begin());
      made.push_back(std::move(pattern));
    }
    return made;
  }();
  return patterns;
}

// How many segments the variable `word` takes of `spare` that the pattern's own words leave: a source's name
// may hold slashes.
size_t Taken(std::string_view word, size_t spare) { return word == "{source}" ? spare + 1 : 1; }

// What stands for the pattern's variables; nothing when the segments from `at` on are another path.
std::optional<std::vector<std::string>> Variables(const Words& pattern, const Words& segments, size_t at) {
  if (segments.size() < at + pattern.size()) return std::nullopt;
  const size_t spare = segments.size() - at - pattern.size();
  std::vector<std::string> variables;
  for (const auto word : pattern) {
    if (!word.starts_with('{')) {
      if (word != segments[at++]) return std::nullopt;
      continue;
    }
    auto& variable = variables.emplace_back();
    for (size_t left = Taken(word, spare); left > 0; --left, ++at) {
      if (segments[at].empty()) return std::nullopt;
      (variable += variable.empty() ? "" : "/") += segments[at];
    }
  }
  return at == segments.size() ? std::optional(std::move(variables)) : std::nullopt;
}

// The dataset's name is one segment or two (`name` or `account/name`).
std::optional<Match> Fit(const Pattern& pattern, const Words& segments, bool may_be_dataset) {
  Match match{.route = pattern.route};
  if (pattern.has_dataset && !may_be_dataset) return std::nullopt;
  const size_t most_names = pattern.has_dataset ? std::min<size_t>(2, segments.size()) : 0;
  for (size_t names = pattern.has_dataset ? 1 : 0; names <= most_names; ++names) {
    if (names > 0) {
      if (segments[names - 1].empty()) break;
      (match.dataset += names > 1 ? "/" : "") += segments[names - 1];
    }
    if (auto variables = Variables(pattern.segments, segments, names)) {
      match.rest = std::move(*variables);
      return match;
    }
  }
  return std::nullopt;
}

}  // namespace

const std::vector<Route>& Routes() {
  static const std::vector<Route> routes = {
      {"GET", "/livez", Right::kNone, GetLive},
      {"GET", "/readyz", Right::kNone, GetReady},
      {"GET", "/metrics", Right::kNone, GetMetrics},
      {"GET", "/receipts/{id}", Right::kCaller, GetReceipt},
      {"GET", "/platform/status", Right::kCaller, GetStatus},
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
      {"GET", "/{dataset}/sources", Right::kSources, GetSources},
      {"POST", "/{dataset}/sources", Right::kAdmin, PostSources, false, kManifestBytes},
      {"GET", "/{dataset}/sources/odf/polling/state", Right::kRead, GetSource},
      {"GET", "/{dataset}/sources/{source}/state", Right::kRead, GetSource},
      {"GET", "/{dataset}/sources/odf/polling", Right::kRead, GetSource},
      {"DELETE", "/{dataset}/sources/odf/polling", Right::kAdmin, DeleteSource},
      {"GET", "/{dataset}/sources/{source}", Right::kRead, GetSource},
      {"DELETE", "/{dataset}/sources/{source}", Right::kAdmin, DeleteSource},
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

bool IsReservedName(std::string_view name) {
  static const std::vector<std::string_view> words = {"livez",    "readyz",       "metrics",  "receipts",
                                                      "platform", "openapi.json", "operator", "datasets",
                                                      "docs",     "query",        "console"};
  return std::find(words.begin(), words.end(), name) != words.end();
}

bool IsDatasetWord(std::string_view name) {
  return std::any_of(Patterns().begin(), Patterns().end(), [&](const Pattern& pattern) {
    return pattern.has_dataset && !pattern.segments.empty() && pattern.segments[0] == name;
  });
}

Match FindRoute(const std::string& method, const std::string& path, std::vector<std::string>* allow) {
  if (path.empty() || path[0] != '/') return {};
  const auto segments = Segments(path);
  if (segments.empty()) return {};
  const bool may_be_dataset = !IsReservedName(segments[0]);
  const std::string* meant = nullptr;  // the first path that fits: `/d/log` is no dataset of account `d`
  for (const auto& pattern : Patterns()) {
    const Route& route = *pattern.route;
    if (meant && route.path != *meant) continue;
    auto match = Fit(pattern, segments, may_be_dataset);
    if (!match) continue;
    meant = &route.path;
    if (route.method == method || (method == "HEAD" && route.method == "GET")) return std::move(*match);
    allow->push_back(route.method);
    if (route.method == "GET") allow->emplace_back("HEAD");
  }
  return {};
}

}  // namespace sluice::server
