#include "server/uploads.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "multiformats/multibase.h"
#include "multiformats/sealed.h"
#include "net/headers.h"
#include "storage/disk.h"
#include "storage/storage.h"

namespace sluice::server {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr size_t kKeyBytes = multiformats::kSealKeyBytes;
constexpr char kSealContext[] = "upload token";
constexpr size_t kIdSize = 24;
constexpr size_t kMaxTokenBytes = 8192;

Result<std::string> LoadOrMakeKey(const std::string& root) {
  const std::string path = root + "/upload-key";
  auto& disk = storage::Disk::Real();
  struct stat about{};
  if (stat(path.c_str(), &about) == 0) {
    if ((about.st_mode & 077) != 0) {
      return MakeError(
          ErrorCode::kPermissionDenied,
          "'{}' may be read by others: set its mode to 0600, or remove it to end all upload tokens", path);
    }
    std::ifstream file(path, std::ios::binary);
    std::string key((std::istreambuf_iterator<char>(file)), {});
    if (key.size() == kKeyBytes) return key;
    // Cut short by a crash: nothing was sealed with it.
    std::error_code ignored;
    fs::remove(path, ignored);
  }
  std::string key = RandomBytes(kKeyBytes);
  ASSIGN_OR_RETURN(auto file, storage::File::Open(disk, path, O_WRONLY | O_CREAT | O_EXCL, 0600));
  RETURN_IF_ERROR(file->WriteAll(key, 0));
  RETURN_IF_ERROR(file->Sync());
  RETURN_IF_ERROR(storage::SyncFolder(disk, root));
  return key;
}

class LocalUploads final : public Uploads {
 public:
  LocalUploads(std::string folder, std::string key, std::unique_ptr<storage::Storage> files,
               const Clock& clock, const UploadOptions& options)
      : folder_(std::move(folder)),
        key_(std::move(key)),
        files_(std::move(files)),
        clock_(clock),
        options_(options) {}

  Result<std::string> Prepare(Upload upload) override {
    RemoveExpired();
    std::lock_guard lock(mutex_);
    if (TotalBytes() + upload.content_length > options_.max_total_bytes) return TooMuch();
    upload.id = RandomName(kIdSize);
    upload.expires = clock_.Now().seconds + options_.lifetime.count();
    json about = {{"upload_id", upload.id},
                  {"file_name", upload.file_name},
                  {"owner_account_id", upload.account},
                  {"content_length", upload.content_length},
                  {"expires", upload.expires}};
    if (!upload.content_type.empty()) about["content_type"] = upload.content_type;
    const auto text = about.dump(-1, ' ', false, json::error_handler_t::replace);
    ASSIGN_OR_RETURN(const auto sealed, multiformats::Seal(key_, text, kSealContext));
    return multiformats::EncodeBase64Url(sealed);
  }

  Result<Upload> Check(const std::string& token) const override {
    const auto bad = [] { return InvalidArgument("this is not an upload token of this node"); };
    if (token.size() > kMaxTokenBytes) return bad();
    const auto sealed = multiformats::DecodeBase64Url(token);
    if (!sealed.ok()) return bad();
    const auto text = multiformats::Unseal(key_, *sealed, kSealContext);
    if (!text.ok()) return bad();
    const auto about = json::parse(*text, nullptr, /*allow_exceptions=*/false);
    if (!about.is_object()) return bad();
    Upload upload;
    upload.id = about.value("upload_id", "");
    upload.account = about.value("owner_account_id", "");
    upload.file_name = about.value("file_name", "");
    upload.content_type = about.value("content_type", "");
    upload.content_length = about.value("content_length", uint64_t{0});
    upload.expires = about.value("expires", int64_t{0});
    if (upload.expires <= clock_.Now().seconds)
      return MakeError(ErrorCode::kUnauthenticated, "the upload token has expired: prepare the upload again");
    return upload;
  }

  Status Store(const Upload& upload, const std::string& bytes) override {
    if (bytes.size() != upload.content_length) {
      return InvalidArgument("Actual content length {} does not match the initially declared length {}",
                             bytes.size(), upload.content_length);
    }
    std::lock_guard lock(mutex_);
    const uint64_t before = files_->Size(upload.id).value_or(0);
    if (TotalBytes() - before + bytes.size() > options_.max_total_bytes) return TooMuch();
    return files_->Replace(upload.id, bytes);
  }

  Result<std::string> Load(const Upload& upload) const override {
    auto bytes = files_->Get(upload.id);
    if (!bytes.ok() && bytes.error().code() == ErrorCode::kNotFound)
      return NotFound("nothing was uploaded with this token yet");
    return bytes;
  }

  // By age: a token never outlives the file that it was made for by more than its own life.
  void RemoveExpired() {
    std::lock_guard lock(mutex_);
    std::error_code error;
    const auto limit = fs::file_time_type::clock::now() - options_.lifetime;
    std::vector<fs::path> expired;
    for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
      std::error_code ignored;
      const auto changed = fs::last_write_time(it->path(), ignored);
      if (!ignored && changed < limit) expired.push_back(it->path());
    }
    for (const auto& path : expired) fs::remove(path, error);
  }

 private:
  static Error TooMuch() {
    return MakeError(ErrorCode::kUnavailable, "too many uploaded files wait for their ingestion; try again");
  }

  // Under mutex_.
  uint64_t TotalBytes() const {
    uint64_t total = 0;
    std::error_code error;
    for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
      std::error_code ignored;
      const auto size = fs::file_size(it->path(), ignored);
      if (!ignored) total += size;
    }
    return total;
  }

  const std::string folder_, key_;
  const std::unique_ptr<storage::Storage> files_;
  const Clock& clock_;
  const UploadOptions options_;
  std::mutex mutex_;
};

// `name="x"` or `name=x` among a header's parameters.
std::optional<std::string> ParameterOf(std::string_view header, std::string_view name) {
  size_t at = header.find(';');
  while (at != std::string_view::npos) {
    const size_t start = header.find_first_not_of(" \t;", at);
    if (start == std::string_view::npos) return std::nullopt;
    const size_t equals = header.find('=', start);
    if (equals == std::string_view::npos) return std::nullopt;
    const auto key = net::Trimmed(header.substr(start, equals - start));
    std::string value;
    size_t end = equals + 1;
    if (end < header.size() && header[end] == '"') {
      for (++end; end < header.size() && header[end] != '"'; ++end) {
        if (header[end] == '\\' && end + 1 < header.size()) ++end;
        value += header[end];
      }
      at = header.find(';', end);
    } else {
      at = header.find(';', end);
      value = std::string(net::Trimmed(header.substr(end, at == std::string_view::npos ? at : at - end)));
    }
    if (net::EqualsIgnoringCase(key, name)) return value;
  }
  return std::nullopt;
}

}  // namespace

Result<std::unique_ptr<Uploads>> Uploads::Open(const std::string& root, const Clock& clock,
                                               const UploadOptions& options) {
  ASSIGN_OR_RETURN(auto key, LoadOrMakeKey(root));
  const std::string folder = root + "/uploads";
  ASSIGN_OR_RETURN(auto files, storage::OpenLocalStorage(folder));
  auto uploads = std::make_unique<LocalUploads>(folder, std::move(key), std::move(files), clock, options);
  uploads->RemoveExpired();
  return std::unique_ptr<Uploads>(std::move(uploads));
}

Result<std::string> MultipartField(const std::string& content_type, const std::string& body,
                                   const std::string& name) {
  const auto boundary = ParameterOf(content_type, "boundary");
  if (!boundary || boundary->empty() || boundary->size() > 70)
    return InvalidArgument("the Content-Type '{}' has no boundary of 1 to 70 characters", content_type);
  const std::string line = "--" + *boundary, separator = "\r\n" + line;
  // A delimiter begins a line; the first may begin the body.
  size_t at = body.starts_with(line) ? line.size() : body.find(separator);
  if (at == std::string::npos) return InvalidArgument("the multipart body has no part");
  if (!body.starts_with(line)) at += separator.size();
  while (body.compare(at, 2, "--") != 0) {
    const size_t headers = body.find("\r\n", at);
    const size_t content = headers == std::string::npos ? headers : body.find("\r\n\r\n", headers);
    const size_t end = content == std::string::npos ? content : body.find(separator, content + 2);
    if (end == std::string::npos) return InvalidArgument("the multipart body ends within a part");
    for (size_t start = headers + 2; start < content + 2;) {
      const size_t stop = body.find("\r\n", start);
      const auto header = std::string_view(body).substr(start, stop - start);
      const size_t colon = header.find(':');
      if (colon != std::string_view::npos &&
          net::EqualsIgnoringCase(net::Trimmed(header.substr(0, colon)), "Content-Disposition") &&
          ParameterOf(header.substr(colon + 1), "name") == name) {
        // An empty part: its blank line is the delimiter's own.
        return end < content + 4 ? std::string() : body.substr(content + 4, end - content - 4);
      }
      start = stop + 2;
    }
    at = end + separator.size();
  }
  return InvalidArgument("the multipart body has no field '{}'", name);
}

}  // namespace sluice::server
