#include "auth/token_store.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

#include "base/mutex.h"
#include "base/random.h"
#include "multiformats/multibase.h"
#include "storage/disk.h"
#include "storage/file_lock.h"

namespace sluice::auth {
namespace {

constexpr std::string_view kPrefix = "sluice_";
constexpr size_t kIdBytes = 10;
constexpr size_t kSecretBytes = 43;  // 256 bits of letters and digits
constexpr std::chrono::milliseconds kLookEvery{200};
constexpr std::chrono::seconds kLockWait{10};
constexpr uint64_t kMaxFileBytes = 64 << 20;

using Digest = std::string;  // 32 bytes

struct StoredToken {
  TokenInfo info;
  Digest digest;
};
using Table = std::map<std::string, StoredToken, std::less<>>;  // by id

Digest DigestOf(std::string_view secret) {
  Digest digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(secret.data()), secret.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

struct TokenParts {
  std::string_view id;
  std::string_view secret;
};

std::optional<TokenParts> Split(std::string_view token) {
  if (!IsStoredToken(token)) return std::nullopt;
  return TokenParts{token.substr(kPrefix.size(), kIdBytes), token.substr(kPrefix.size() + kIdBytes + 1)};
}

nlohmann::json ToJson(const StoredToken& token) {
  nlohmann::json scopes = nlohmann::json::array();
  for (const Scope& scope : token.info.scopes) scopes.push_back(ToString(scope));
  nlohmann::json json = {{"id", token.info.id},
                         {"account", token.info.account},
                         {"scopes", std::move(scopes)},
                         {"created", FormatInstant(token.info.created)},
                         {"sha256", multiformats::EncodeHex(token.digest)}};
  if (token.info.expires) json["expires"] = FormatInstant(*token.info.expires);
  return json;
}

Result<std::string> Text(const nlohmann::json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_string()) return Corruption("a token has no '{}'", key);
  return found->get<std::string>();
}

Result<StoredToken> FromJson(const nlohmann::json& json) {
  if (!json.is_object()) return Corruption("a token is not an object");
  StoredToken token;
  ASSIGN_OR_RETURN(token.info.id, Text(json, "id"));
  ASSIGN_OR_RETURN(token.info.account, Text(json, "account"));
  ASSIGN_OR_RETURN(const std::string created, Text(json, "created"));
  ASSIGN_OR_RETURN(token.info.created, ParseInstant(created));
  ASSIGN_OR_RETURN(const std::string digest, Text(json, "sha256"));
  ASSIGN_OR_RETURN(token.digest, multiformats::DecodeHex(digest));
  if (token.digest.size() != SHA256_DIGEST_LENGTH) return Corruption("a token's digest is too short");
  if (json.contains("expires")) {
    ASSIGN_OR_RETURN(const std::string expires, Text(json, "expires"));
    ASSIGN_OR_RETURN(token.info.expires, ParseInstant(expires));
  }
  const auto scopes = json.find("scopes");
  if (scopes == json.end() || !scopes->is_array()) return Corruption("a token has no 'scopes'");
  for (const nlohmann::json& scope : *scopes) {
    if (!scope.is_string()) return Corruption("a token's scope is not text");
    ASSIGN_OR_RETURN(Scope parsed, ParseScope(scope.get_ref<const std::string&>()));
    token.info.scopes.push_back(std::move(parsed));
  }
  return token;
}

Result<Table> ParseTable(const std::string& text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || json.value("version", 0) != 1 || !json.contains("tokens") ||
      !json["tokens"].is_array()) {
    return Corruption("not a file of tokens, version 1");
  }
  Table table;
  for (const nlohmann::json& item : json["tokens"]) {
    ASSIGN_OR_RETURN(StoredToken token, FromJson(item));
    std::string id = token.info.id;
    table.insert_or_assign(std::move(id), std::move(token));
  }
  return table;
}

std::string FormatTable(const Table& table) {
  std::vector<const StoredToken*> tokens;
  for (const auto& [id, token] : table) tokens.push_back(&token);
  std::ranges::stable_sort(tokens, {}, [](const StoredToken* token) { return token->info.created; });
  nlohmann::json json = {{"version", 1}, {"tokens", nlohmann::json::array()}};
  for (const StoredToken* token : tokens) json["tokens"].push_back(ToJson(*token));
  return json.dump(2) + "\n";
}

// What tells a file from the one that replaced it.
struct Stamp {
  ino_t inode = 0;
  off_t bytes = 0;
  int64_t seconds = 0, nanoseconds = 0;
  bool operator==(const Stamp&) const = default;
};

class FileTokenStore final : public TokenStore {
 public:
  explicit FileTokenStore(const std::string& root)
      : path_(root + "/tokens"), lock_path_(root + "/locks/tokens") {}

  // Reads the file when it changed. Errors: as Open.
  Status Refresh() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return RefreshLocked(/*now=*/true);
  }

  Result<NewToken> Create(const TokenSpec& spec, const Clock& clock) override {
    RETURN_IF_ERROR(CheckAccount(spec.account));
    if (spec.scopes.empty()) return InvalidArgument("a token without scopes could do nothing");
    if (spec.lifetime && spec.lifetime->count() <= 0) return InvalidArgument("a token must live for a while");
    NewToken token;
    const std::string secret = RandomName(kSecretBytes);
    token.info = {.id = RandomName(kIdBytes),
                  .account = spec.account,
                  .scopes = spec.scopes,
                  .created = clock.Now().TruncatedToMillis()};
    if (spec.lifetime) {
      token.info.expires = token.info.created;
      token.info.expires->seconds += spec.lifetime->count();
    }
    token.text = fmt::format("{}{}_{}", kPrefix, token.info.id, secret);
    MutexLock lock(mutex_);
    ASSIGN_OR_RETURN(auto file_lock, LockFile());
    RETURN_IF_ERROR(RefreshLocked(/*now=*/true));
    Table table = *table_;
    table.insert_or_assign(token.info.id, StoredToken{token.info, DigestOf(secret)});
    RETURN_IF_ERROR(Write(std::move(table)));
    return token;
  }

  Result<std::vector<TokenInfo>> List() override {
    MutexLock lock(mutex_);
    RETURN_IF_ERROR(RefreshLocked(/*now=*/true));
    std::vector<TokenInfo> tokens;
    for (const auto& [id, token] : *table_) tokens.push_back(token.info);
    std::ranges::stable_sort(tokens, {}, &TokenInfo::created);
    return tokens;
  }

  Status Revoke(std::string_view id) override {
    MutexLock lock(mutex_);
    ASSIGN_OR_RETURN(auto file_lock, LockFile());
    RETURN_IF_ERROR(RefreshLocked(/*now=*/true));
    Table table = *table_;
    const auto found = table.find(id);
    if (found == table.end()) return NotFound("there is no token with id '{}'", id);
    table.erase(found);
    return Write(std::move(table));
  }

  Result<Principal> Check(std::string_view text, Instant now) override {
    static const Error kRefused(ErrorCode::kUnauthenticated, "the token is not valid");
    const auto parts = Split(text);
    if (!parts) return kRefused;
    std::shared_ptr<const Table> table;
    {
      MutexLock lock(mutex_);
      Status status = RefreshLocked(/*now=*/false);
      // One that was made a moment ago is good at once.
      if (status.ok() && !table_->contains(parts->id)) status = RefreshLocked(/*now=*/true);
      if (!status.ok()) {
        return MakeError(ErrorCode::kUnavailable, "tokens cannot be checked: {}", status.error().ToString());
      }
      table = table_;
    }
    const auto found = table->find(parts->id);
    // Somebody's secret is compared also when the id is unknown.
    static const Digest kNobody(SHA256_DIGEST_LENGTH, '\0');
    const Digest& expected = found == table->end() ? kNobody : found->second.digest;
    const Digest digest = DigestOf(parts->secret);
    const bool is_equal = CRYPTO_memcmp(digest.data(), expected.data(), expected.size()) == 0;
    if (!is_equal || found == table->end()) return kRefused;
    const TokenInfo& info = found->second.info;
    if (info.expires && *info.expires <= now) {
      return Error(ErrorCode::kUnauthenticated, "the token has expired");
    }
    return Principal{info.id, info.account, info.scopes, info.expires};
  }

 private:
  Result<std::unique_ptr<storage::FileLock>> LockFile() {
    RETURN_IF_ERROR(storage::MakeFolders(storage::Disk::Real(), storage::ParentPath(lock_path_)));
    return storage::FileLock::Acquire(lock_path_, kLockWait);
  }

  // `now`: even if it was looked at a moment ago.
  Status RefreshLocked(bool now) REQUIRES(mutex_) {
    const auto time = std::chrono::steady_clock::now();
    if (!now && table_ != nullptr && time < looked_ + kLookEvery) return {};
    looked_ = time;
    struct stat info{};
    if (::stat(path_.c_str(), &info) < 0) {
      if (errno != ENOENT) return FromErrno(errno, fmt::format("cannot read '{}'", path_));
      table_ = std::make_shared<Table>();
      stamp_ = {};
      return {};
    }
    const Stamp stamp{info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
    if (table_ != nullptr && stamp == stamp_) return {};
    // Until it is read, nobody is let in.
    table_ = nullptr;
    if ((info.st_mode & 022) != 0) {
      return MakeError(ErrorCode::kPermissionDenied,
                       "'{}' may be written by others than its owner; make it mode 0600", path_);
    }
    ASSIGN_OR_RETURN(const auto file, storage::File::Open(storage::Disk::Real(), path_, O_RDONLY));
    ASSIGN_OR_RETURN(const std::string text, file->ReadSome(0, kMaxFileBytes));
    auto table = ParseTable(text);
    if (!table.ok()) return std::move(table).error().With(fmt::format("file '{}'", path_));
    table_ = std::make_shared<Table>(std::move(*table));
    stamp_ = stamp;
    return {};
  }

  // File, folder, then the table in memory.
  Status Write(Table table) REQUIRES(mutex_) {
    storage::Disk& disk = storage::Disk::Real();
    const std::string pending = fmt::format("{}.pending-{}", path_, RandomName(16));
    const Status status = WriteNew(disk, pending, FormatTable(table));
    if (!status.ok()) {
      disk.Remove(pending);
      return status.error();
    }
    table_ = nullptr;  // read again by the next
    return {};
  }

  Status WriteNew(storage::Disk& disk, const std::string& pending, const std::string& text) {
    ASSIGN_OR_RETURN(const auto file, storage::File::Open(disk, pending, O_WRONLY | O_CREAT | O_EXCL, 0600));
    RETURN_IF_ERROR(file->WriteAll(text, 0));
    RETURN_IF_ERROR(file->Sync());
    if (const int code = disk.Rename(pending, path_); code < 0) {
      return FromErrno(-code, fmt::format("cannot replace '{}'", path_));
    }
    return storage::SyncFolder(disk, storage::ParentPath(path_));
  }

  const std::string path_;
  const std::string lock_path_;
  Mutex mutex_;
  std::shared_ptr<const Table> table_ GUARDED_BY(mutex_);  // null = not read, or not readable
  Stamp stamp_ GUARDED_BY(mutex_);
  std::chrono::steady_clock::time_point looked_ GUARDED_BY(mutex_);
};

}  // namespace

Result<std::unique_ptr<TokenStore>> TokenStore::Open(const std::string& root) {
  auto store = std::make_unique<FileTokenStore>(root);
  RETURN_IF_ERROR(store->Refresh());
  return std::unique_ptr<TokenStore>(std::move(store));
}

bool IsStoredToken(std::string_view token) {
  const size_t separator = kPrefix.size() + kIdBytes;
  return token.starts_with(kPrefix) && token.size() == separator + 1 + kSecretBytes &&
         token[separator] == '_';
}

Result<std::chrono::seconds> ParseLifetime(std::string_view text) {
  static constexpr std::pair<char, int64_t> kUnits[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
  constexpr int64_t kMaxSeconds = 86400LL * 36500;
  int64_t count = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, count);
  for (const auto& [unit, seconds] : kUnits) {
    if (error == std::errc() && stop + 1 == end && *stop == unit && count > 0 &&
        count <= kMaxSeconds / seconds) {
      return std::chrono::seconds(count * seconds);
    }
  }
  return InvalidArgument("'{}' is not a lifetime such as 30d, 12h, 90m or 45s", text);
}

}  // namespace sluice::auth
