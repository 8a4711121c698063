#include "read/encoding.h"

#include <iconv.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/names.h"
#include "read/reader.h"

namespace sluice::read {
namespace {

struct KnownEncoding {
  const char* name;   // as manifests write it, lower case
  const char* iconv;  // null = UTF-8
};

constexpr KnownEncoding kEncodings[] = {
    {"utf8", nullptr},
    {"utf-8", nullptr},
    {"ascii", "ASCII"},
    {"us-ascii", "ASCII"},
    {"latin1", "ISO-8859-1"},
    {"iso-8859-1", "ISO-8859-1"},
    {"iso-8859-2", "ISO-8859-2"},
    {"iso-8859-15", "ISO-8859-15"},
    {"windows-1250", "CP1250"},
    {"windows-1251", "CP1251"},
    {"windows-1252", "CP1252"},
    {"utf16", "UTF-16"},
    {"utf-16", "UTF-16"},
    {"utf-16le", "UTF-16LE"},
    {"utf-16be", "UTF-16BE"},
};

const KnownEncoding* Find(const std::string& encoding) {
  std::string lower = encoding;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const KnownEncoding& known : kEncodings) {
    if (lower == known.name) return &known;
  }
  return nullptr;
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
  if (Find(encoding) != nullptr) return {};
  std::vector<std::string> names;
  for (const KnownEncoding& known : kEncodings) names.emplace_back(known.name);
  return Unsupported("encoding '{}' is not supported; choose one of {}", encoding, JoinNames(names));
}

Result<std::unique_ptr<ByteSource>> Transcode(std::unique_ptr<ByteSource> source,
                                              const std::string& encoding) {
  if (encoding.empty()) return source;
  RETURN_IF_ERROR(CheckEncoding(encoding));
  const char* code = Find(encoding)->iconv;
  if (code == nullptr) return source;
  iconv_t converter = ::iconv_open("UTF-8", code);
  if (converter == reinterpret_cast<iconv_t>(-1)) {
    return Unsupported("encoding '{}' is not available on this system", encoding);
  }
  return std::make_unique<TranscodingSource>(std::move(source), converter, encoding);
}

}  // namespace sluice::read
