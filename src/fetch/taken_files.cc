#include "fetch/taken_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "read/rejects.h"

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

// A path is bytes. What is no text is kept as hexadecimal digits.
Json PathToJson(const std::string& path) {
  if (read::IsUtf8(path)) return path;
  std::string digits;
  for (const unsigned char c : path) digits += fmt::format("{:02x}", c);
  Json json = Json::object();
  json["hex"] = std::move(digits);
  return json;
}

// Nothing for what is no path.
std::optional<std::string> PathFromJson(const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (!json.is_object() || !json.contains("hex") || !json["hex"].is_string()) return std::nullopt;
  const auto digits = json["hex"].get<std::string>();
  std::string path;
  for (size_t at = 0; at + 1 < digits.size(); at += 2) {
    unsigned value = 0;
    const auto end = std::from_chars(digits.data() + at, digits.data() + at + 2, value, 16);
    if (end.ptr != digits.data() + at + 2) return std::nullopt;
    path += static_cast<char>(value);
  }
  return path;
}

}  // namespace

Result<std::unique_ptr<TakenFiles>> TakenFiles::Load(const std::string& path, bool has_state, uint64_t rows) {
  std::unique_ptr<TakenFiles> files(new TakenFiles(path, rows));
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

// Lines `[path, bytes, seconds, nanoseconds, rows]`, the last of a path counting. A line that a crash cut is
// left out, and so is what a reset took out of the dataset.
Status TakenFiles::ReadAll() {
  std::ifstream file(path_, std::ios::binary);
  if (!file) return {};
  is_new_ = false;
  size_t lines = 0, undone = 0;
  for (std::string line; std::getline(file, line); ++lines) {
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_array() || json.size() < 4 || json.size() > 5 || !json[1].is_number_unsigned() ||
        !json[2].is_number_integer() || !json[3].is_number_unsigned())
      continue;
    const auto path = PathFromJson(json[0]);
    const uint64_t rows = json.size() > 4 && json[4].is_number_unsigned() ? json[4].get<uint64_t>() : 0;
    if (!path) continue;
    if (rows > rows_) {
      ++undone;
      continue;
    }
    seen_[*path] = {json[1].get<uint64_t>(), {json[2].get<int64_t>(), json[3].get<uint32_t>()}, rows};
  }
  if (undone == 0 && lines <= 2 * seen_.size() + 1000) return {};
  const Files all(seen_.begin(), seen_.end());
  const std::string old = path_;
  path_ += ".new";
  ::unlink(path_.c_str());
  auto status = Append(all);
  if (status.ok() && ::rename(path_.c_str(), old.c_str()) != 0)
    status = FromErrno(errno, "rename '" + path_ + "'");
  path_ = old;
  return status;
}

// More rows than before the announcement: its commit was made. One that brought none has left no trace, and
// what it took is harmless to take again.
Status TakenFiles::ResolveAnnounced() {
  std::ifstream file(path_ + ".next", std::ios::binary);
  if (!file) return {};
  const Json json = Json::parse(file, nullptr, false);
  if (json.is_object() && json.contains("rows") && json["rows"].is_number_unsigned() &&
      json["rows"].get<uint64_t>() < rows_ && json.contains("files") && json["files"].is_array()) {
    Files files;
    for (const auto& one : json["files"]) {
      if (!one.is_array() || one.size() != 4) continue;
      const auto path = PathFromJson(one[0]);
      if (!path) continue;
      files.push_back(
          {*path, {one[1].get<uint64_t>(), {one[2].get<int64_t>(), one[3].get<uint32_t>()}, rows_}});
    }
    RETURN_IF_ERROR(Append(files));
  }
  ::unlink((path_ + ".next").c_str());
  return {};
}

bool TakenFiles::Has(const std::string& file, const FileStamp& stamp) const {
  const auto it = seen_.find(file);
  return it != seen_.end() && it->second.bytes == stamp.bytes && it->second.changed == stamp.changed;
}

Status TakenFiles::Append(const Files& files) {
  std::string text;
  for (const auto& [name, seen] : files) {
    text +=
        Json::array({PathToJson(name), seen.bytes, seen.changed.seconds, seen.changed.nanoseconds, seen.rows})
            .dump() +
        "\n";
    seen_[name] = seen;
  }
  is_new_ = false;
  return WriteAll(path_, text, O_APPEND, false);
}

Status TakenFiles::Record(const std::vector<std::string>& files) {
  RETURN_IF_ERROR(Announce(files));
  return Confirm(std::vector<uint64_t>(files.size(), rows_));
}

Status TakenFiles::Announce(std::vector<std::string> files) {
  announced_.clear();
  if (path_.empty()) return {};
  Json list = Json::array();
  for (auto& file : files) {
    const auto stamp = StampOf(file);
    // One that is gone keeps its place, with a stamp that no file has.
    const Seen seen = stamp.ok() ? Seen{stamp->bytes, stamp->changed, rows_} : Seen{};
    list.push_back({PathToJson(file), seen.bytes, seen.changed.seconds, seen.changed.nanoseconds});
    announced_.push_back({std::move(file), seen});
  }
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), error);
  const Json json = {{"rows", rows_}, {"files", std::move(list)}};
  return WriteAll(path_ + ".next", json.dump(), O_TRUNC, true);
}

Status TakenFiles::Confirm(const std::vector<uint64_t>& rows_after) {
  if (path_.empty()) return {};
  for (size_t i = 0; i < announced_.size() && i < rows_after.size(); ++i)
    announced_[i].second.rows = rows_after[i];
  RETURN_IF_ERROR(Append(announced_));
  announced_.clear();
  ::unlink((path_ + ".next").c_str());
  return {};
}

}  // namespace sluice::fetch
