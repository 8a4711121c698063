#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/session.h"
#include "odf/yaml.h"

namespace sluice::cli {

struct ManifestText {
  std::string origin;  // path, URL, or `standard input`
  std::string text;
  bool is_from_url = false;
};

// Errors: a wrong usage when the file cannot be read.
Result<std::string> ReadManifestFile(const std::string& path);
// Of paths and http(s) URLs; of folders, when `recursive`, the files in it that are dataset manifests.
// Errors: a wrong usage for a folder otherwise; those of the file or the server, naming it.
Result<std::vector<ManifestText>> ReadManifests(Session& session, const std::vector<std::string>& places,
                                                bool recursive);

}  // namespace sluice::cli
