#include "fetch/savepoint.h"

#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "read/reader.h"

namespace sluice::fetch {
namespace {

using Json = nlohmann::json;

constexpr size_t kReadBytes = 1 << 20;

// Changes with every start of the machine: what was written before may be lost or cut.
std::string BootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

Status WriteInfo(const std::string& path, const DownloadInfo& info) {
  const Json json = {{"version", 1},
                     {"key", info.key},
                     {"fetchedAt", FormatInstant(info.fetched_at)},
                     {"etag", info.etag},
                     {"lastModified", info.last_modified},
                     {"mediaType", info.media_type},
                     {"contentEncoding", info.content_encoding},
                     {"totalBytes", info.total_bytes},
                     {"hash", info.hash},
                     {"refused", info.refused},
                     {"boot", BootId()}};
  const std::string temporary = path + ".new";
  {
    std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
    file << json.dump(1, ' ', false, Json::error_handler_t::replace);
    file.flush();
    if (!file) return FromErrno(errno != 0 ? errno : EIO, "cannot write '" + temporary + "'");
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0)
    return FromErrno(errno, "cannot rename '" + temporary + "'");
  return {};
}

// Nothing when it is not there, damaged, or for another key.
std::optional<DownloadInfo> ReadInfo(const std::string& path, const std::string& key, bool same_boot) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  const Json json = Json::parse(file, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  try {
    DownloadInfo info;
    if (json.at("version") != 1) return std::nullopt;
    info.key = json.at("key");
    if (info.key != key) return std::nullopt;
    if (same_boot && json.at("boot") != BootId()) return std::nullopt;
    auto at = ParseInstant(json.at("fetchedAt").get<std::string>());
    if (!at.ok()) return std::nullopt;
    info.fetched_at = *at;
    info.etag = json.at("etag");
    info.last_modified = json.at("lastModified");
    info.media_type = json.at("mediaType");
    info.content_encoding = json.at("contentEncoding");
    info.total_bytes = json.at("totalBytes");
    info.hash = json.at("hash");
    info.refused = json.at("refused");
    return info;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

void Remove(const std::string& path) { ::unlink(path.c_str()); }

}  // namespace

std::string DownloadInfo::StrongValidator() const {
  if (!etag.empty() && !etag.starts_with("W/")) return etag;
  return etag.empty() ? last_modified : "";
}

Status SaveInfo(const std::string& path, const DownloadInfo& info) { return WriteInfo(path + ".json", info); }

bool DropInfo(const std::string& path) { return ::unlink((path + ".json").c_str()) == 0 || errno == ENOENT; }

std::optional<DownloadInfo> LoadWhole(const std::string& path, const std::string& key) {
  auto info = ReadInfo(path + ".json", key, false);
  if (!info) return std::nullopt;
  auto file = read::OpenFileSource(path);
  if (!file.ok() || (*file)->size().value_or(0) != info->total_bytes) return std::nullopt;
  ContentHash hash;
  std::string buffer(kReadBytes, '\0');
  while (true) {
    auto n = (*file)->Read(buffer.data(), buffer.size());
    if (!n.ok()) return std::nullopt;
    if (*n == 0) return hash.Hex() == info->hash ? info : std::nullopt;
    hash.Update({buffer.data(), *n});
  }
}

struct ContentHash::State {
  XXH3_state_t xxh;
};

ContentHash::ContentHash() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh); }
ContentHash::~ContentHash() = default;

void ContentHash::Update(std::string_view bytes) {
  XXH3_128bits_update(&state_->xxh, bytes.data(), bytes.size());
}

std::string ContentHash::Hex() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(&state_->xxh);
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

Result<Savepoint> Savepoint::Open(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return FromErrno(error.value(), "cannot make '" + folder + "'");
  return Savepoint(folder);
}

std::optional<DownloadInfo> Savepoint::LoadBody(const std::string& key) const {
  auto info = LoadWhole(body_path(), key);
  if (!info) DropBody();
  return info;
}

std::optional<DownloadInfo> Savepoint::LoadPart(const std::string& key) const {
  auto info = ReadInfo(part_path() + ".json", key, true);
  struct stat file{};
  if (info && !info->StrongValidator().empty() && ::stat(part_path().c_str(), &file) == 0 && file.st_size > 0)
    return info;
  DropPart();
  return std::nullopt;
}

Status Savepoint::SavePart(const DownloadInfo& info) const { return SaveInfo(part_path(), info); }

Status Savepoint::SaveBody(const DownloadInfo& info) const { return SaveInfo(body_path(), info); }

Status Savepoint::Finish(const DownloadInfo& info) const {
  // In this order: who is killed in between has the part still, or all of the body.
  Remove(body_path());
  RETURN_IF_ERROR(SaveBody(info));
  if (std::rename(part_path().c_str(), body_path().c_str()) != 0)
    return FromErrno(errno, "cannot rename '" + part_path() + "'");
  Remove(part_path() + ".json");
  return {};
}

void Savepoint::DropPart() const {
  Remove(part_path() + ".json");
  Remove(part_path());
}

void Savepoint::DropBody() const {
  Remove(body_path() + ".json");
  Remove(body_path());
}

}  // namespace sluice::fetch
