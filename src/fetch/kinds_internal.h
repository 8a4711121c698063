#pragma once

#include <memory>
#include <string>

#include "fetch/fetch.h"

// The kinds of fetch and the schemes of `url`: one function each, entered in the tables of fetch.cc.
namespace sluice::fetch {

// A `url` step whose templates are filled in.
struct UrlCall {
  const odf::FetchUrl& step;
  std::string url;
  std::shared_ptr<Redactor> redactor;
};

Result<Fetched> FetchFile(const UrlCall& call, const FetchRequest& request, const FetchContext& context);
Result<Fetched> FetchHttp(const UrlCall& call, const FetchRequest& request, const FetchContext& context);
Result<Fetched> FetchData(const UrlCall& call, const FetchRequest& request, const FetchContext& context);
Result<Fetched> FetchExec(const UrlCall& call, const FetchRequest& request, const FetchContext& context);
Result<Fetched> FetchFilesGlob(const odf::FetchFilesGlob& step, const FetchRequest& request,
                               const FetchContext& context);

// Whether a source without a usable state would bring again what is in the dataset (odf-ingest.md 5.1).
bool IsUncacheable(const FetchRequest& request, bool has_usable_state);

}  // namespace sluice::fetch
