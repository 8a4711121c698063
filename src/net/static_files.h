#pragma once

#include <string>
#include <string_view>

#include "net/http_server.h"

namespace sluice::net {

struct StaticFilesOptions {
  std::string prefix = "/";          // of the paths to serve; the rest names the file
  std::string index = "index.html";  // for a folder; empty = folders are not found
  std::string cache_control;         // sent as it is when not empty
};

// Serves the regular files below a folder: GET and HEAD, ETag of size and time of change, ranges. What begins
// with a dot is not found, nor is anything outside the folder, also where a symbolic link leads there.
// Thread-safe.
class StaticFiles final : public HttpHandler {
 public:
  explicit StaticFiles(std::string folder, StaticFilesOptions options = {})
      : folder_(std::move(folder)), options_(std::move(options)) {}

  HttpResponse Handle(HttpRequest& request) override;

 private:
  const std::string folder_;
  const StaticFilesOptions options_;
};

// By the file name's ending; `application/octet-stream` when unknown.
std::string_view ContentTypeOf(std::string_view file_name);

}  // namespace sluice::net
