#include "archive/zip.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "archive/reader_internal.h"
#include "base/names.h"

namespace sluice::archive {
namespace {

constexpr size_t kBlockBytes = 128 << 10;
constexpr size_t kMostListed = 10;

// A zip archive opened by its central directory.
class SeekingReader {
 public:
  static Result<std::unique_ptr<SeekingReader>> Open(const std::string& path, const std::string& name) {
    RETURN_IF_ERROR(LoadLibArchive());
    auto reader = std::make_unique<SeekingReader>();
    reader->name_ = name;
    Lib().support_zip_seekable(reader->archive_.get());
    if (::access(path.c_str(), R_OK) != 0) return FromErrno(errno, "cannot read '" + name + "'");
    if (Lib().read_open_filename(reader->archive_.get(), path.c_str(), kBlockBytes) != ARCHIVE_OK)
      return InvalidArgument("'{}' is not a zip archive", name);
    return reader;
  }

  ::archive* get() const { return archive_.get(); }
  Result<archive_entry*> NextEntry() {
    archive_entry* entry = nullptr;
    const TextLocale locale;
    const int code = Lib().read_next_header(archive_.get(), &entry);
    if (code == ARCHIVE_EOF) return nullptr;
    if (code != ARCHIVE_OK && code != ARCHIVE_WARN) return LastError("is not a whole zip archive");
    return entry;
  }
  Error LastError(std::string_view what) const {
    const char* text = Lib().error_string(archive_.get());
    return InvalidArgument("'{}' {}{}{}", name_, what, text != nullptr ? ": " : "",
                           text != nullptr ? text : "");
  }

 private:
  std::unique_ptr<::archive, FreeArchive> archive_{Lib().read_new()};
  std::string name_;
};

bool IsFile(archive_entry* entry, const std::string& path) {
  return Lib().entry_filetype(entry) == AE_IFREG && !path.empty() && !path.ends_with('/') &&
         !path.starts_with("__MACOSX/");
}

class EntryStream final : public ByteStream {
 public:
  EntryStream(std::unique_ptr<SeekingReader> reader, std::string name, const Limits& limits,
              uint64_t compressed)
      : reader_(std::move(reader)), guard_(std::move(name), limits) {
    guard_.In(compressed);
  }

  Result<size_t> Read(char* buffer, size_t size) override {
    const la_ssize_t n = Lib().read_data(reader_->get(), buffer, size);
    if (n < 0) return reader_->LastError("cannot be unpacked");
    RETURN_IF_ERROR(guard_.Out(static_cast<uint64_t>(n)));
    return static_cast<size_t>(n);
  }

 private:
  std::unique_ptr<SeekingReader> reader_;
  Guard guard_;
};

}  // namespace

Result<std::unique_ptr<ZipFile>> ZipFile::Open(const std::string& path, std::string name,
                                               const Limits& limits) {
  std::unique_ptr<ZipFile> zip(new ZipFile());
  zip->path_ = path;
  zip->name_ = std::move(name);
  zip->limits_ = limits;
  ASSIGN_OR_RETURN(auto reader, SeekingReader::Open(path, zip->name_));
  while (true) {
    ASSIGN_OR_RETURN(auto* entry, reader->NextEntry());
    if (entry == nullptr) break;
    std::string entry_path = PathOf(entry);
    if (!IsFile(entry, entry_path)) continue;
    zip->entries_.push_back({std::move(entry_path), static_cast<uint64_t>(Lib().entry_size(entry))});
  }
  return zip;
}

Result<std::vector<size_t>> ZipFile::Find(const std::string& sub_path) const {
  std::vector<size_t> found;
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].path == sub_path) return std::vector<size_t>{i};
    if (MatchesGlob(sub_path, entries_[i].path)) found.push_back(i);
  }
  if (!found.empty()) return found;
  std::vector<std::string> names;
  for (const auto& entry : entries_) names.push_back(entry.path);
  const auto near = NearNames(sub_path, names);
  const size_t count = names.size();
  if (names.size() > kMostListed) names.resize(kMostListed);
  return NotFound("'{}' has no entry '{}'{}; its {} entries are: {}{}", name_, sub_path,
                  near.empty() ? "" : " (did you mean '" + near.front() + "'?)", count, JoinNames(names),
                  count > kMostListed ? ", ..." : "");
}

Result<size_t> ZipFile::FindOne(const std::string& sub_path) const {
  if (sub_path.empty()) {
    if (entries_.empty()) return NotFound("'{}' has no files in it", name_);
    return size_t{0};
  }
  ASSIGN_OR_RETURN(const auto found, Find(sub_path));
  if (found.size() == 1) return found.front();
  std::vector<std::string> names;
  for (size_t i = 0; i < std::min(found.size(), kMostListed); ++i) names.push_back(entries_[found[i]].path);
  return InvalidArgument("'{}' names {} entries of '{}', only one can be read: {}", sub_path, found.size(),
                         name_, JoinNames(names));
}

Result<std::unique_ptr<ByteStream>> ZipFile::OpenEntry(size_t index) const {
  const auto& wanted = entries_.at(index);
  std::string portable = wanted.path;  // some programs write `a\b`
  std::replace(portable.begin(), portable.end(), '\\', '/');
  if (LeadsOut(portable))
    return InvalidArgument("entry '{}' of '{}' leads out of the archive: it is not read", wanted.path, name_);
  ASSIGN_OR_RETURN(auto reader, SeekingReader::Open(path_, name_));
  size_t at = 0;
  while (true) {
    ASSIGN_OR_RETURN(auto* entry, reader->NextEntry());
    if (entry == nullptr) return InvalidArgument("'{}' changed while it was read", name_);
    const std::string path = PathOf(entry);
    if (!IsFile(entry, path) || at++ != index) continue;
    if (path != wanted.path) return InvalidArgument("'{}' changed while it was read", name_);
    if (Lib().entry_is_data_encrypted(entry) != 0)
      return InvalidArgument("entry '{}' of '{}' is encrypted", path, name_);
    struct stat info{};
    const uint64_t compressed = ::stat(path_.c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
    return std::unique_ptr<ByteStream>(
        std::make_unique<EntryStream>(std::move(reader), name_ + ": " + path, limits_, compressed));
  }
}

}  // namespace sluice::archive
