#include "read/encoding.h"

#include <iconv.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/names.h"
#include "read/json_text.h"
#include "read/reader.h"

namespace sluice::read {
namespace {

struct KnownEncoding {
  const char* name;   // as manifests write it, lower case
  const char* iconv;  // null = UTF-8
};

// Names that iconv has otherwise, or not at all. Every other name is looked up there.
constexpr KnownEncoding kEncodings[] = {
    {"utf8", nullptr},           {"utf-8", nullptr},       {"ascii", "ASCII"},
    {"latin1", "ISO-8859-1"},    {"latin2", "ISO-8859-2"}, {"latin9", "ISO-8859-15"},
    {"iso8859-1", "ISO-8859-1"}, {"utf16", "UTF-16"},      {"utf16le", "UTF-16LE"},
    {"utf16be", "UTF-16BE"},     {"utf32", "UTF-32"},
};

// Some that people look for, for the message.
constexpr const char* kCommonNames[] = {"utf-8",       "utf-16",       "iso-8859-1",   "iso-8859-2",
                                        "iso-8859-15", "windows-1250", "windows-1251", "windows-1252",
                                        "cp437",       "cp850",        "macintosh",    "koi8-r",
                                        "shift_jis",   "gb18030",      "big5",         "euc-kr"};

const iconv_t kNoConverter = reinterpret_cast<iconv_t>(-1);

// iconv takes options behind slashes, and names that mean the locale's own set: none of that here.
iconv_t OpenConverter(const std::string& name) {
  const bool plain = !name.empty() && name.size() < 40 &&
                     std::all_of(
                         name.begin(), name.end(),
                         [](unsigned char c) {
                           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == ':';
                         });
  if (!plain) return kNoConverter;
  std::string upper = name;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (upper == "CHAR" || upper == "WCHAR_T" || upper == "INTERNAL") return kNoConverter;
  return ::iconv_open("UTF-8", upper.c_str());
}

// iconv's name, empty for UTF-8; nothing for a name that nobody knows.
std::optional<std::string> IconvName(const std::string& encoding) {
  std::string lower = encoding;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const KnownEncoding& known : kEncodings) {
    if (lower == known.name) return known.iconv == nullptr ? std::string() : known.iconv;
  }
  if (!TextDecoder::Knows(lower)) return std::nullopt;
  return lower;
}

class TranscodingSource final : public ByteSource {
 public:
  TranscodingSource(std::unique_ptr<ByteSource> source, iconv_t converter, std::string encoding)
      : source_(std::move(source)), converter_(converter), encoding_(std::move(encoding)), input_(64 << 10) {}
  ~TranscodingSource() override { ::iconv_close(converter_); }

  const std::string& name() const override { return source_->name(); }

  Result<size_t> Read(char* buffer, size_t size) override {
    // Room for the longest character, kept aside when the caller asks for less.
    if (size < 8) return ReadThroughSpill(buffer, size);
    for (;;) {
      if (spill_begin_ < spill_.size()) return TakeSpill(buffer, size);
      char* in = input_.data() + begin_;
      size_t in_left = end_ - begin_;
      char* out = buffer;
      size_t out_left = size;
      const size_t converted = ::iconv(converter_, &in, &in_left, &out, &out_left);
      const int error = errno;
      consumed_ += static_cast<uint64_t>(in - (input_.data() + begin_));
      begin_ = static_cast<size_t>(in - input_.data());
      if (out != buffer) return static_cast<size_t>(out - buffer);
      if (converted == static_cast<size_t>(-1) && error == EILSEQ) {
        return InvalidArgument("byte {} of '{}' is not valid {}", consumed_ + 1, name(), encoding_);
      }
      if (ended_) {
        if (in_left != 0) return InvalidArgument("'{}' ends within a {} character", name(), encoding_);
        return static_cast<size_t>(0);
      }
      RETURN_IF_ERROR(Refill());
    }
  }

 private:
  Status Refill() {
    std::memmove(input_.data(), input_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    ASSIGN_OR_RETURN(const size_t n, source_->Read(input_.data() + end_, input_.size() - end_));
    end_ += n;
    ended_ = n == 0;
    return {};
  }
  size_t TakeSpill(char* buffer, size_t size) {
    const size_t n = std::min(size, spill_.size() - spill_begin_);
    std::memcpy(buffer, spill_.data() + spill_begin_, n);
    spill_begin_ += n;
    return n;
  }
  Result<size_t> ReadThroughSpill(char* buffer, size_t size) {
    if (spill_begin_ == spill_.size()) {
      spill_.assign(64, '\0');
      spill_begin_ = spill_.size();
      ASSIGN_OR_RETURN(const size_t n, Read(spill_.data(), spill_.size()));
      spill_.resize(n);
      spill_begin_ = 0;
    }
    return TakeSpill(buffer, size);
  }

  std::unique_ptr<ByteSource> source_;
  iconv_t converter_;
  std::string encoding_;
  std::vector<char> input_;
  size_t begin_ = 0, end_ = 0;
  uint64_t consumed_ = 0;
  bool ended_ = false;
  std::string spill_;
  size_t spill_begin_ = 0;
};

}  // namespace

Status CheckEncoding(const std::string& encoding) {
  if (IconvName(encoding)) return {};
  const std::vector<std::string> names(std::begin(kCommonNames), std::end(kCommonNames));
  return Unsupported(
      "encoding '{}' is not supported; choose one of {}, or another name that `iconv -l` lists", encoding,
      JoinNames(names));
}

Result<std::unique_ptr<ByteSource>> Transcode(std::unique_ptr<ByteSource> source,
                                              const std::string& encoding) {
  if (encoding.empty()) return source;
  RETURN_IF_ERROR(CheckEncoding(encoding));
  const std::string name = *IconvName(encoding);
  if (name.empty()) return source;
  iconv_t converter = OpenConverter(name);
  if (converter == kNoConverter)
    return Unsupported("encoding '{}' is not available on this system", encoding);
  return std::make_unique<TranscodingSource>(std::move(source), converter, encoding);
}

bool TextDecoder::Knows(const std::string& iconv_name) {
  iconv_t converter = OpenConverter(iconv_name);
  if (converter == kNoConverter) return false;
  ::iconv_close(converter);
  return true;
}

Result<std::unique_ptr<TextDecoder>> TextDecoder::Make(const std::string& iconv_name) {
  iconv_t converter = OpenConverter(iconv_name);
  if (converter == kNoConverter)
    return Unsupported("character set '{}' is not known on this system", iconv_name);
  return std::unique_ptr<TextDecoder>(new TextDecoder(converter));
}

TextDecoder::~TextDecoder() { ::iconv_close(converter_); }

std::optional<std::string_view> TextDecoder::Decode(std::string_view text, TextArena* arena) {
  // No character set known to iconv needs more UTF-8 than this for one byte.
  const size_t room = text.size() * 8 + 8;
  char* const out = arena->Allocate(room);
  char* in_at = const_cast<char*>(text.data());
  char* out_at = out;
  size_t in_left = text.size(), out_left = room;
  ::iconv(converter_, nullptr, nullptr, nullptr, nullptr);
  if (::iconv(converter_, &in_at, &in_left, &out_at, &out_left) == static_cast<size_t>(-1) || in_left != 0)
    return std::nullopt;
  if (::iconv(converter_, nullptr, nullptr, &out_at, &out_left) == static_cast<size_t>(-1))
    return std::nullopt;
  return std::string_view(out, static_cast<size_t>(out_at - out));
}

std::string AdviceAbout(std::string_view beginning) {
  static constexpr struct {
    std::string_view magic, name, advice;
  } kKnown[] = {
      {"\x1f\x8b", "gzip data",
       "unpack it, in a polling source by 'prepare: [{kind: Decompress, format: Gzip}]'"},
      {"PK\x03\x04", "a zip archive",
       "unpack it, in a polling source by 'prepare: [{kind: Decompress, format: Zip}]'"},
      {"\x28\xb5\x2f\xfd", "zstd data",
       "unpack it, in a polling source by 'prepare: [{kind: Pipe, command: [zstd, -d]}]'"},
      {"\xfd"
       "7zXZ",
       "xz data", "unpack it, in a polling source by 'prepare: [{kind: Pipe, command: [xz, -d]}]'"},
      {"BZh", "bzip2 data",
       "unpack it, in a polling source by 'prepare: [{kind: Pipe, command: [bzip2, -d]}]'"},
      {"\xff\xfe", "UTF-16", "the read step names it by 'encoding: utf-16'"},
      {"\xfe\xff", "UTF-16", "the read step names it by 'encoding: utf-16'"},
  };
  for (const auto& known : kKnown) {
    if (beginning.starts_with(known.magic))
      return fmt::format("; it looks like {}: {}", known.name, known.advice);
  }
  // Letters of this alphabet in two bytes each.
  const auto is_nul = [&](size_t i) { return beginning[i] == '\0'; };
  if (beginning.size() < 4 || is_nul(0) == is_nul(1) || is_nul(0) != is_nul(2) || is_nul(1) != is_nul(3))
    return "";
  return fmt::format(
      "; it looks like UTF-16 without a byte order mark: the read step names it by 'encoding: {}'",
      is_nul(0) ? "utf-16be" : "utf-16le");
}

}  // namespace sluice::read
