#include "workspace/trust.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "multiformats/multihash.h"
#include "odf/yaml.h"

namespace sluice::workspace {
namespace {

std::string PathOf(const std::string& root) { return root + "/trusted-sources"; }

std::string DigestOf(const odf::SetPollingSource& source) {
  return multiformats::Sha3Multihash(odf::ToYaml(odf::MetadataEvent(source))).ToString();
}

constexpr char kPublicMark[] = " public";

}  // namespace

Result<Trust> TrustOf(const std::string& workspace_root, const odf::SetPollingSource& source) {
  const std::string digest = DigestOf(source);
  std::ifstream file(PathOf(workspace_root), std::ios::binary);
  Trust trust = Trust::kNone;
  for (std::string line; std::getline(file, line);) {
    if (line == digest) return Trust::kWhole;
    if (line == digest + kPublicMark) trust = Trust::kPublic;
  }
  return trust;
}

Result<bool> IsTrustedSource(const std::string& workspace_root, const odf::SetPollingSource& source) {
  ASSIGN_OR_RETURN(const Trust trust, TrustOf(workspace_root, source));
  return trust == Trust::kWhole;
}

Status TrustSource(const std::string& workspace_root, const odf::SetPollingSource& source, Trust trust) {
  ASSIGN_OR_RETURN(const Trust known, TrustOf(workspace_root, source));
  if (known >= trust) return {};
  const std::string path = PathOf(workspace_root);
  const std::string line = DigestOf(source) + (trust == Trust::kPublic ? kPublicMark : "") + "\n";
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return FromErrno(errno, "cannot open '" + path + "'");
  const bool written =
      ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()) && ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  if (!written) return FromErrno(error, "cannot write '" + path + "'");
  return {};
}

Status TrustSources(const std::string& workspace_root, const std::vector<odf::MetadataEvent>& events) {
  for (const auto& event : events) {
    if (const auto* source = std::get_if<odf::SetPollingSource>(&event))
      RETURN_IF_ERROR(TrustSource(workspace_root, *source));
  }
  return {};
}

}  // namespace sluice::workspace
