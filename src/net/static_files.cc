#include "net/static_files.h"

#include <sys/stat.h>

#include <filesystem>
#include <utility>

#include "net/http_condition.h"

namespace sluice::net {
namespace {

namespace fs = std::filesystem;

constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
    {".css", "text/css; charset=utf-8"},
    {".csv", "text/csv; charset=utf-8"},
    {".gz", "application/gzip"},
    {".html", "text/html; charset=utf-8"},
    {".ico", "image/x-icon"},
    {".js", "text/javascript; charset=utf-8"},
    {".json", "application/json"},
    {".md", "text/markdown; charset=utf-8"},
    {".ndjson", "application/x-ndjson"},
    {".parquet", "application/vnd.apache.parquet"},
    {".png", "image/png"},
    {".svg", "image/svg+xml"},
    {".txt", "text/plain; charset=utf-8"},
    {".wasm", "application/wasm"},
    {".woff2", "font/woff2"},
    {".xml", "application/xml"},
    {".yaml", "application/yaml"},
    {".zip", "application/zip"},
};

// False for a part that is empty in the middle, or begins with a dot: `..`, `.`, hidden and temporary files.
bool HasOnlyPlainParts(std::string_view path) {
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part.starts_with('.')) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
  return true;
}

// The real path, when it lies below the real `folder`.
std::string RealPathBelow(const std::string& folder, const std::string& name) {
  std::error_code error;
  const std::string root = fs::canonical(folder, error).native();
  if (error) return {};
  const std::string path = fs::canonical(root + "/" + name, error).native();
  if (error) return {};
  const std::string below = root == "/" ? root : root + "/";
  return path == root || path.starts_with(below) ? path : std::string();
}

}  // namespace

std::string_view ContentTypeOf(std::string_view file_name) {
  for (const auto& [ending, type] : kTypes) {
    if (file_name.ends_with(ending)) return type;
  }
  return "application/octet-stream";
}

HttpResponse StaticFiles::Handle(HttpRequest& request) {
  if (request.method != "GET" && request.method != "HEAD") {
    HttpResponse response = TextResponse(405, "only GET and HEAD\n");
    response.headers.Set("Allow", "GET, HEAD");
    return response;
  }
  std::string_view name = request.url.path;
  if (!name.starts_with(options_.prefix)) return TextResponse(404, "not found\n");
  name.remove_prefix(options_.prefix.size());
  while (name.starts_with('/')) name.remove_prefix(1);
  if (!HasOnlyPlainParts(name)) return TextResponse(404, "not found\n");

  std::string path = RealPathBelow(folder_, std::string(name));
  struct stat info{};
  if (!path.empty() && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && !options_.index.empty()) {
    path = RealPathBelow(folder_, std::string(name) + "/" + options_.index);
  }
  if (path.empty() || ::stat(path.c_str(), &info) < 0 || !S_ISREG(info.st_mode)) {
    return TextResponse(404, "not found\n");
  }
  HttpResponse response;
  response.headers.Set("Content-Type", std::string(ContentTypeOf(path)));
  response.headers.Set(
      "ETag", fmt::format("\"{:x}-{:x}-{:x}\"", info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec));
  response.headers.Set("Last-Modified", FormatHttpDate(info.st_mtim.tv_sec));
  response.headers.Set("X-Content-Type-Options", "nosniff");
  if (!options_.cache_control.empty()) response.headers.Set("Cache-Control", options_.cache_control);
  response.body = FileRange{std::move(path), 0, static_cast<uint64_t>(info.st_size)};
  return response;
}

}  // namespace sluice::net
