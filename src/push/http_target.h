#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "push/pusher.h"

namespace sluice::push {

struct HttpTargetOptions {
  std::string url;                             // of the dataset: `https://host/account/dataset`
  std::string unix_socket;                     // connect there; the URL's host is then only a name
  std::string token;                           // may be empty
  std::optional<std::string> source;           // needed where the dataset has several
  std::string content_type;                    // empty = the source's own format
  std::string ca_file;                         // empty = the system's
  std::chrono::milliseconds timeout{120'000};  // for one call
};

// A dataset on a node, over HTTP (push-protocol.md 3). Errors: kInvalidArgument for a URL that names no
// dataset. Without a source it is the only one that the token may read or push to.
Result<std::unique_ptr<Target>> MakeHttpTarget(const HttpTargetOptions& options, std::stop_token stop);

}  // namespace sluice::push
