#include "fetch/file_list.h"

#include <dirent.h>
#include <fnmatch.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace sluice::fetch {
namespace {

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::vector<std::string> Split(const std::string& pattern) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= pattern.size();) {
    const size_t end = std::min(pattern.find('/', at), pattern.size());
    if (end > at && pattern.substr(at, end - at) != ".") parts.push_back(pattern.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

bool HasWildcard(const std::string& part) { return part.find_first_of("*?[") != std::string::npos; }

std::string Join(const std::string& folder, const std::string& name) {
  if (folder.empty()) return name;
  return folder.ends_with('/') ? folder + name : folder + "/" + name;
}

struct Entry {
  std::string name;
  bool folder = false, file = false;
};

Result<std::vector<Entry>> EntriesOf(const std::string& path) {
  std::vector<Entry> entries;
  const std::unique_ptr<DIR, CloseFolder> folder(opendir(path.empty() ? "." : path.c_str()));
  if (!folder) {
    if (errno == ENOENT || errno == ENOTDIR) return entries;
    return FromErrno(errno, "cannot list the folder '" + path + "'");
  }
  while (const dirent* entry = readdir(folder.get())) {
    Entry found{entry->d_name, entry->d_type == DT_DIR, entry->d_type == DT_REG};
    if (found.name == "." || found.name == "..") continue;
    if (entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN) {
      struct stat info{};
      if (::stat(Join(path, found.name).c_str(), &info) != 0) continue;
      found.folder = S_ISDIR(info.st_mode) && entry->d_type != DT_LNK;  // links to folders may go in circles
      found.file = S_ISREG(info.st_mode);
    }
    entries.push_back(std::move(found));
  }
  return entries;
}

Status Walk(const std::string& folder, const std::vector<std::string>& parts, size_t at,
            std::vector<std::string>* found) {
  const bool last = at + 1 == parts.size();
  const auto& part = parts[at];
  if (!HasWildcard(part)) {
    const auto path = Join(folder, part);
    if (!last) return Walk(path, parts, at + 1, found);
    struct stat info{};
    if (::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode)) found->push_back(path);
    return {};
  }
  ASSIGN_OR_RETURN(const auto entries, EntriesOf(folder));
  if (part == "**" && !last) RETURN_IF_ERROR(Walk(folder, parts, at + 1, found));
  for (const auto& entry : entries) {
    const auto path = Join(folder, entry.name);
    if (part == "**") {
      if (entry.folder) RETURN_IF_ERROR(Walk(path, parts, at, found));
      if (entry.file && last) found->push_back(path);
      continue;
    }
    if (fnmatch(part.c_str(), entry.name.c_str(), 0) != 0) continue;
    if (last) {
      if (entry.file) found->push_back(path);
    } else if (!entry.file) {
      RETURN_IF_ERROR(Walk(path, parts, at + 1, found));
    }
  }
  return {};
}

}  // namespace

Result<std::vector<std::string>> ListGlob(const std::string& pattern, const std::string& base_folder) {
  std::vector<std::string> found;
  const auto parts = Split(pattern);
  if (parts.empty()) return found;
  RETURN_IF_ERROR(Walk(pattern.starts_with('/') ? "/" : base_folder, parts, 0, &found));
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

int CompareNaturally(std::string_view a, std::string_view b) {
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (!IsDigit(a[i]) || !IsDigit(b[j])) {
      if (a[i] != b[j]) return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[j]) ? -1 : 1;
      ++i, ++j;
      continue;
    }
    while (i < a.size() && a[i] == '0') ++i;
    while (j < b.size() && b[j] == '0') ++j;
    size_t m = i, n = j;
    while (m < a.size() && IsDigit(a[m])) ++m;
    while (n < b.size() && IsDigit(b[n])) ++n;
    if (m - i != n - j) return m - i < n - j ? -1 : 1;
    if (const int order = a.substr(i, m - i).compare(b.substr(j, n - j)); order != 0) return order;
    i = m, j = n;
  }
  if (i < a.size() || j < b.size()) return i < a.size() ? 1 : -1;
  return a.compare(b);  // `01` and `1`
}

}  // namespace sluice::fetch
