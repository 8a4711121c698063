#include "cli/manifest_files.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/whole_file.h"
#include "cli/usage.h"
#include "net/http_client.h"

namespace sluice::cli {
namespace {

namespace fs = std::filesystem;

constexpr auto kDownloadTime = std::chrono::seconds(60);
constexpr uint64_t kMaxDownloadBytes = 16 << 20;

bool IsUrl(std::string_view place) { return place.starts_with("http://") || place.starts_with("https://"); }

// A manifest shows itself in one of its first four lines that are neither blank nor comment.
bool LooksLikeSnapshot(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  for (int seen = 0; seen < 4 && std::getline(file, line);) {
    const auto first = line.find_first_not_of(" \t\r");
    if (first == std::string::npos || line[first] == '#') continue;
    if (line.find("DatasetSnapshot") != std::string::npos) return true;
    ++seen;
  }
  return false;
}

std::vector<std::string> FindSnapshots(const std::string& folder) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().filename().string().starts_with('.')) {
      it.disable_recursion_pending();
      continue;
    }
    const auto extension = it->path().extension();
    if ((extension == ".yaml" || extension == ".yml") && LooksLikeSnapshot(it->path()))
      found.push_back(it->path().string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

Result<std::string> Download(Session& session, const std::string& url) {
  ASSIGN_OR_RETURN(auto client, net::HttpClient::Make());
  net::HttpCall call;
  call.url = url;
  call.max_redirects = 10;
  call.timeout = kDownloadTime;
  call.max_body_bytes = kMaxDownloadBytes;
  ASSIGN_OR_RETURN(auto answer, client->Send(call, session.stop()));
  RETURN_IF_ERROR(net::CheckAnswer(answer));
  return std::move(answer.body);
}

}  // namespace

Result<std::string> ReadManifestFile(const std::string& path) {
  auto text = ReadWholeFile(path);
  if (!text.ok()) return UsageError("manifest: {}", text.error().ToString());
  return text;
}

Result<std::vector<ManifestText>> ReadManifests(Session& session, const std::vector<std::string>& places,
                                                bool recursive) {
  std::vector<ManifestText> texts;
  for (const auto& place : places) {
    if (IsUrl(place)) {
      ASSIGN_OR_RETURN(auto text, Download(session, place));
      texts.push_back({place, std::move(text), true});
      continue;
    }
    std::error_code error;
    std::vector<std::string> paths = {place};
    if (fs::is_directory(place, error)) {
      if (!recursive) return UsageError("'{}' is a folder; --recursive takes the manifests in it", place);
      paths = FindSnapshots(place);
    }
    for (const auto& path : paths) {
      ASSIGN_OR_RETURN(auto text, ReadManifestFile(path));
      texts.push_back({path, std::move(text), false});
    }
  }
  return texts;
}

}  // namespace sluice::cli
