#include "fetch/taken_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace sluice::fetch {
namespace {

using Json = nlohmann::json;

Status WriteAll(const std::string& path, const std::string& text, int flags, bool sync) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
  if (fd < 0) return FromErrno(errno, "cannot open '" + path + "'");
  int error = 0;
  for (size_t at = 0; at < text.size() && error == 0;) {
    const ssize_t n = ::write(fd, text.data() + at, text.size() - at);
    if (n >= 0) at += static_cast<size_t>(n);
    if (n < 0 && errno != EINTR) error = errno;
  }
  if (error == 0 && sync && ::fdatasync(fd) != 0) error = errno;
  ::close(fd);
  if (error != 0) return FromErrno(error, "cannot write '" + path + "'");
  return {};
}

}  // namespace

Result<std::unique_ptr<TakenFiles>> TakenFiles::Load(const std::string& path, bool has_state,
                                                     uint64_t state_sequence) {
  std::unique_ptr<TakenFiles> files(new TakenFiles(path, state_sequence));
  if (path.empty()) return files;
  if (!has_state) {
    ::unlink(path.c_str());
    ::unlink((path + ".next").c_str());
    files->is_new_ = false;
    return files;
  }
  RETURN_IF_ERROR(files->ReadAll());
  RETURN_IF_ERROR(files->ResolveAnnounced());
  return files;
}

// Lines `["path", bytes, seconds, nanoseconds]`, the last of a path counting. A line that a crash cut is left
// out.
Status TakenFiles::ReadAll() {
  std::ifstream file(path_, std::ios::binary);
  if (!file) return {};
  is_new_ = false;
  size_t lines = 0;
  for (std::string line; std::getline(file, line); ++lines) {
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_array() || json.size() != 4 || !json[0].is_string() || !json[1].is_number_unsigned() ||
        !json[2].is_number_integer() || !json[3].is_number_unsigned())
      continue;
    seen_[json[0].get<std::string>()] = {json[1].get<uint64_t>(),
                                         {json[2].get<int64_t>(), json[3].get<uint32_t>()}};
  }
  if (lines <= 2 * seen_.size() + 1000) return {};
  std::vector<std::pair<std::string, Seen>> all(seen_.begin(), seen_.end());
  const std::string old = path_;
  path_ += ".new";
  ::unlink(path_.c_str());
  auto status = Append(all);
  if (status.ok() && ::rename(path_.c_str(), old.c_str()) != 0)
    status = FromErrno(errno, "rename '" + path_ + "'");
  path_ = old;
  return status;
}

Status TakenFiles::ResolveAnnounced() {
  std::ifstream file(path_ + ".next", std::ios::binary);
  if (!file) return {};
  const Json json = Json::parse(file, nullptr, false);
  if (json.is_object() && json.contains("after") && json["after"].is_number_unsigned() &&
      json["after"].get<uint64_t>() < state_sequence_ && json.contains("files") && json["files"].is_array()) {
    std::vector<std::pair<std::string, Seen>> files;
    for (const auto& one : json["files"]) {
      if (!one.is_array() || one.size() != 4) continue;
      files.push_back({one[0].get<std::string>(),
                       {one[1].get<uint64_t>(), {one[2].get<int64_t>(), one[3].get<uint32_t>()}}});
    }
    RETURN_IF_ERROR(Append(files));
  }
  ::unlink((path_ + ".next").c_str());
  return {};
}

bool TakenFiles::Has(const std::string& file, const FileStamp& stamp) const {
  const auto it = seen_.find(file);
  return it != seen_.end() && it->second == Seen{stamp.bytes, stamp.changed};
}

Status TakenFiles::Append(const std::vector<std::pair<std::string, Seen>>& files) {
  std::string text;
  for (const auto& [name, seen] : files) {
    text += Json::array({name, seen.bytes, seen.changed.seconds, seen.changed.nanoseconds})
                .dump(-1, ' ', false, Json::error_handler_t::replace) +
            "\n";
    seen_[name] = seen;
  }
  is_new_ = false;
  return WriteAll(path_, text, O_APPEND, false);
}

Status TakenFiles::Record(const std::vector<std::string>& files) {
  RETURN_IF_ERROR(Announce(files));
  return Confirm();
}

Status TakenFiles::Announce(std::vector<std::string> files) {
  announced_.clear();
  if (path_.empty()) return {};
  Json list = Json::array();
  for (auto& file : files) {
    const auto stamp = StampOf(file);
    if (!stamp.ok()) continue;
    list.push_back({file, stamp->bytes, stamp->changed.seconds, stamp->changed.nanoseconds});
    announced_.push_back({std::move(file), {stamp->bytes, stamp->changed}});
  }
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), error);
  const Json json = {{"after", state_sequence_}, {"files", std::move(list)}};
  return WriteAll(path_ + ".next", json.dump(-1, ' ', false, Json::error_handler_t::replace), O_TRUNC, true);
}

Status TakenFiles::Confirm() {
  if (path_.empty()) return {};
  RETURN_IF_ERROR(Append(announced_));
  announced_.clear();
  ::unlink((path_ + ".next").c_str());
  return {};
}

}  // namespace sluice::fetch
