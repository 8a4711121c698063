#include "archive/decompress.h"

#include <fnmatch.h>

#include "archive/reader_internal.h"

namespace sluice::archive {
namespace {

struct CodecInfo {
  Codec codec;
  std::string_view name;
  int (*LibArchive::*support)(::archive*);  // null: zlib's
  int filter;
};

constexpr CodecInfo kCodecs[] = {
    {Codec::kGzip, "gzip", nullptr, 0},
    {Codec::kDeflate, "deflate", nullptr, 0},
    {Codec::kZstd, "zstd", &LibArchive::support_zstd, ARCHIVE_FILTER_ZSTD},
    {Codec::kXz, "xz", &LibArchive::support_xz, ARCHIVE_FILTER_XZ},
    {Codec::kBzip2, "bzip2", &LibArchive::support_bzip2, ARCHIVE_FILTER_BZIP2},
};

const CodecInfo& InfoOf(Codec codec) {
  for (const auto& info : kCodecs) {
    if (info.codec == codec) return info;
  }
  return kCodecs[0];
}

// One compressed stream without an archive in it.
class FilterStream final : public ByteStream {
 public:
  FilterStream(const CodecInfo& codec, ReadBytes input, Guard guard)
      : codec_(codec), reader_(std::move(input), std::move(guard)) {}

  Result<size_t> Read(char* buffer, size_t size) override {
    if (!started_) RETURN_IF_ERROR(Start());
    return reader_.Read(buffer, size);
  }

 private:
  Status Start() {
    (Lib().*codec_.support)(reader_.get());
    Lib().support_raw(reader_.get());
    RETURN_IF_ERROR(reader_.Start());
    ASSIGN_OR_RETURN(auto* entry, reader_.NextEntry());
    // What is not compressed passes through the library as it is.
    if (entry == nullptr || Lib().filter_code(reader_.get(), 0) != codec_.filter)
      return InvalidArgument("'{}' is not whole {} data", reader_.name(), codec_.name);
    started_ = true;
    return {};
  }

  const CodecInfo& codec_;
  StreamReader reader_;
  bool started_ = false;
};

class TarStream final : public ByteStream {
 public:
  TarStream(ReadBytes input, std::string pattern, Guard guard)
      : pattern_(std::move(pattern)), reader_(std::move(input), std::move(guard)) {}

  Result<size_t> Read(char* buffer, size_t size) override {
    if (!started_) {
      Lib().support_tar(reader_.get());
      RETURN_IF_ERROR(reader_.Start());
      started_ = true;
    }
    while (true) {
      if (in_file_) {
        ASSIGN_OR_RETURN(const size_t n, reader_.Read(buffer, size));
        if (n > 0) return n;
        in_file_ = false;
      }
      if (ended_) return size_t{0};
      ASSIGN_OR_RETURN(auto* entry, reader_.NextEntry());
      if (entry == nullptr) {
        ended_ = true;
        if (files_ > 0) return size_t{0};
        return NotFound("'{}' has no file{}", reader_.name(),
                        pattern_.empty() ? "" : " that '" + pattern_ + "' names");
      }
      if (Lib().entry_filetype(entry) != AE_IFREG) continue;
      const std::string path = PathOf(entry);
      if (!pattern_.empty() && !MatchesGlob(pattern_, path)) continue;
      if (LeadsOut(path)) {
        return InvalidArgument("entry '{}' of '{}' leads out of the archive: it is not read", path,
                               reader_.name());
      }
      in_file_ = true;
      ++files_;
    }
  }

 private:
  std::string pattern_;
  StreamReader reader_;
  bool started_ = false, in_file_ = false, ended_ = false;
  int64_t files_ = 0;
};

}  // namespace

std::string_view NameOf(Codec codec) { return InfoOf(codec).name; }

Status Guard::Out(uint64_t bytes) {
  out_ += bytes;
  if (out_ > limits_.max_bytes) {
    return MakeError(ErrorCode::kTooLarge,
                     "'{}' expands to more than {} bytes; raise source.maxExpandedBytes if that is meant",
                     name_, limits_.max_bytes);
  }
  if (out_ > limits_.ratio_from_bytes &&
      static_cast<double>(out_) > limits_.max_ratio * static_cast<double>(in_)) {
    return MakeError(
        ErrorCode::kTooLarge,
        "'{}' expands more than {} times, as only a decompression bomb does; raise source.maxExpansion if that is meant",
        name_, limits_.max_ratio);
  }
  return {};
}

la_ssize_t StreamReader::OnRead(::archive* a, void* user, const void** buffer) {
  auto& self = *static_cast<StreamReader*>(user);
  auto n = self.input_(self.buffer_.data(), self.buffer_.size());
  if (!n.ok()) {
    self.input_error_ = std::move(n).error();
    Lib().set_error(a, EIO, "input");
    return -1;
  }
  self.guard_.In(*n);
  *buffer = self.buffer_.data();
  return static_cast<la_ssize_t>(*n);
}

Error StreamReader::LastError() const {
  if (input_error_) return *input_error_;
  const char* text = Lib().error_string(archive_.get());
  return InvalidArgument("'{}' cannot be unpacked: {}", name(), text != nullptr ? text : "damaged data");
}

Status StreamReader::Start() {
  if (Lib().read_open(archive_.get(), this, nullptr, &OnRead, nullptr, nullptr) != ARCHIVE_OK)
    return LastError();
  return {};
}

Result<archive_entry*> StreamReader::NextEntry() {
  archive_entry* entry = nullptr;
  const TextLocale locale;
  const int code = Lib().read_next_header(archive_.get(), &entry);
  if (code == ARCHIVE_EOF) return nullptr;
  // A warning is about a header's extras, such as a name in another character set.
  if (code != ARCHIVE_OK && code != ARCHIVE_WARN) return LastError();
  return entry;
}

Result<size_t> StreamReader::Read(char* buffer, size_t size) {
  const la_ssize_t n = Lib().read_data(archive_.get(), buffer, size);
  if (n < 0) return LastError();
  RETURN_IF_ERROR(guard_.Out(static_cast<uint64_t>(n)));
  return static_cast<size_t>(n);
}

TextLocale::TextLocale() {
  static const locale_t kText = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  before_ = ::uselocale(kText);  // of none: only asks
}

TextLocale::~TextLocale() { ::uselocale(before_); }

bool LeadsOut(const std::string& path) {
  if (path.starts_with('/')) return true;
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    if (path.substr(at, end - at) == "..") return true;
    at = end + 1;
  }
  return false;
}

std::string PathOf(archive_entry* entry) {
  const TextLocale locale;
  const char* path = Lib().entry_pathname_utf8(entry);
  if (path == nullptr) path = Lib().entry_pathname(entry);
  return path != nullptr ? path : "";
}

Result<std::unique_ptr<ByteStream>> Decompress(Codec codec, ReadBytes input, std::string name,
                                               const Limits& limits) {
  Guard guard(std::move(name), limits);
  const auto& info = InfoOf(codec);
  if (info.support == nullptr) return Inflate(codec, std::move(input), std::move(guard));
  RETURN_IF_ERROR(LoadLibArchive());
  return std::unique_ptr<ByteStream>(
      std::make_unique<FilterStream>(info, std::move(input), std::move(guard)));
}

Result<std::unique_ptr<ByteStream>> ReadTar(ReadBytes input, std::string pattern, std::string name,
                                            const Limits& limits) {
  RETURN_IF_ERROR(LoadLibArchive());
  return std::unique_ptr<ByteStream>(
      std::make_unique<TarStream>(std::move(input), std::move(pattern), Guard(std::move(name), limits)));
}

bool MatchesGlob(const std::string& pattern, const std::string& path) {
  if (pattern == path || fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME) == 0) return true;
  if (pattern.find('/') != std::string::npos) return false;
  const std::string last = path.substr(path.rfind('/') + 1);
  return fnmatch(pattern.c_str(), last.c_str(), 0) == 0;
}

}  // namespace sluice::archive
