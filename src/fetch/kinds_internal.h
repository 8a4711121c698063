#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/fetch.h"

// The kinds of fetch. Each is a file `fetch_NAME.cc` that defines `FetchKind NAME()` in the namespace
// `kinds`, and its NAME in the list of CMakeLists.txt, from which the table is made.
namespace sluice::fetch {

// A `url` step whose templates are filled in.
struct UrlCall {
  const odf::FetchUrl& step;
  std::string url;
  std::shared_ptr<Redactor> redactor;
};

// Either what is behind some schemes of `url`, or a step of its own.
struct FetchKind {
  std::vector<std::string_view> schemes;  // in lower case
  // What can be said of a URL without templates when the source is added.
  Status (*check_url)(const std::string& url) = nullptr;
  Result<Fetched> (*fetch_url)(const UrlCall&, const FetchRequest&, const FetchContext&) = nullptr;

  std::string_view step;  // its `kind` in a manifest; empty = it has schemes
  Status (*check_step)(const odf::FetchStep& step) = nullptr;
  Result<Fetched> (*fetch_step)(const FetchRequest&, const FetchContext&) = nullptr;
};

// All of them; made at the first call.
const std::vector<FetchKind>& FetchKinds();

// Whether a source without a usable state would bring again what is in the dataset (odf-ingest.md 5.1).
bool IsUncacheable(const FetchRequest& request, bool has_usable_state);

}  // namespace sluice::fetch
