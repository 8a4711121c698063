#include "storage/name.h"

#include "base/random.h"

namespace sluice::storage {
namespace {

Status CheckParts(std::string_view name) {
  size_t begin = 0;
  while (true) {
    const size_t end = name.find('/', begin);
    const std::string_view part = name.substr(begin, end == std::string_view::npos ? end : end - begin);
    if (part.empty() || part == "." || part == "..") {
      return InvalidArgument("name '{}' is not a relative path without '.', '..' and empty parts", name);
    }
    if (part.size() > 255) return InvalidArgument("name '{}' has a part longer than 255 bytes", name);
    if (IsPendingName(part)) return InvalidArgument("name '{}' is reserved for temporary files", name);
    if (end == std::string_view::npos) return {};
    begin = end + 1;
  }
}

}  // namespace

Status CheckName(std::string_view name) {
  if (name.find('\0') != std::string_view::npos) return InvalidArgument("name contains a zero byte");
  return CheckParts(name);
}

Status CheckFolder(std::string_view folder) {
  if (folder.empty()) return {};
  return CheckName(folder);
}

std::string_view FolderOf(std::string_view name) {
  const size_t slash = name.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
}

std::string_view BaseOf(std::string_view name) {
  const size_t slash = name.rfind('/');
  return slash == std::string_view::npos ? name : name.substr(slash + 1);
}

bool IsPendingName(std::string_view base_name) { return base_name.starts_with(kPendingPrefix); }

std::string NewPendingName(std::string_view folder) {
  std::string name(folder);
  if (!name.empty()) name += '/';
  name += kPendingPrefix;
  return name + RandomName(16);
}

Error ConflictOf(std::string_view name, const std::optional<std::string>& expected,
                 const std::optional<std::string>& found) {
  const auto shown = [](const std::optional<std::string>& content) {
    return content ? fmt::format("'{}'", content->substr(0, 200)) : std::string("nothing");
  };
  return MakeError(ErrorCode::kConflict, "'{}' holds {}, expected {}", name, shown(found), shown(expected));
}

}  // namespace sluice::storage
