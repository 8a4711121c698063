#include <zlib.h>

#include <algorithm>
#include <vector>

#include "archive/reader_internal.h"

namespace sluice::archive {
namespace {

constexpr int kGzipWindow = 15 + 16;
constexpr int kZlibWindow = 15;
constexpr int kRawWindow = -15;

class InflateStream final : public ByteStream {
 public:
  InflateStream(Codec codec, ReadBytes input, Guard guard)
      : codec_(codec), input_(std::move(input)), guard_(std::move(guard)) {}
  ~InflateStream() override {
    if (ready_) inflateEnd(&z_);
  }

  Result<size_t> Read(char* buffer, size_t size) override {
    if (size == 0 || ended_) return size_t{0};
    z_.next_out = reinterpret_cast<Bytef*>(buffer);
    z_.avail_out = static_cast<uInt>(std::min<size_t>(size, size_t{1} << 30));
    const uInt room = z_.avail_out;
    while (z_.avail_out == room) {
      if (z_.avail_in == 0) RETURN_IF_ERROR(Fill());
      if (!in_member_) {
        if (z_.avail_in == 0) {
          if (members_ == 0) return Damaged("it is empty");
          ended_ = true;
          break;
        }
        ASSIGN_OR_RETURN(const bool begins, BeginMember());
        if (!begins) {
          ended_ = true;
          break;
        }
      }
      const int code = inflate(&z_, Z_NO_FLUSH);
      if (code == Z_STREAM_END) {
        in_member_ = false;
        ++members_;
      } else if (code != Z_OK && code != Z_BUF_ERROR) {
        return Damaged(z_.msg != nullptr ? z_.msg : "damaged data");
      } else if (z_.avail_in == 0 && at_end_ && z_.avail_out == room) {
        return Damaged("it is cut off");
      }
    }
    const size_t n = room - z_.avail_out;
    RETURN_IF_ERROR(guard_.Out(n));
    return n;
  }

 private:
  Error Damaged(std::string_view why) const {
    return InvalidArgument("'{}' is not whole {} data: {}", guard_.name(), NameOf(codec_), why);
  }

  Status Fill() {
    if (at_end_) return {};
    ASSIGN_OR_RETURN(const size_t n, input_(buffer_.data(), buffer_.size()));
    at_end_ = n == 0;
    guard_.In(n);
    z_.next_in = reinterpret_cast<Bytef*>(buffer_.data());
    z_.avail_in = static_cast<uInt>(n);
    return {};
  }

  // False for what may follow the last member: zeros, as tapes are filled up with.
  Result<bool> BeginMember() {
    if (members_ > 0 && codec_ == Codec::kDeflate) return Damaged("there is more after its end");
    if (members_ > 0 && *z_.next_in != 0x1f) {
      while (z_.avail_in > 0 || !at_end_) {
        for (; z_.avail_in > 0; --z_.avail_in, ++z_.next_in) {
          if (*z_.next_in != 0) return Damaged("there is something else after its end");
        }
        RETURN_IF_ERROR(Fill());
      }
      return false;
    }
    // Servers send `deflate` with and without zlib's header.
    const bool raw = codec_ == Codec::kDeflate && (*z_.next_in & 0x0f) != 8;
    const int window = codec_ == Codec::kGzip ? kGzipWindow : raw ? kRawWindow : kZlibWindow;
    const int code = ready_ ? inflateReset2(&z_, window) : inflateInit2(&z_, window);
    if (code != Z_OK) return Error(ErrorCode::kResourceExhausted, "out of memory");
    ready_ = in_member_ = true;
    return true;
  }

  Codec codec_;
  ReadBytes input_;
  Guard guard_;
  z_stream z_{};
  std::vector<char> buffer_ = std::vector<char>(size_t{128} << 10);
  bool ready_ = false, in_member_ = false, at_end_ = false, ended_ = false;
  int64_t members_ = 0;
};

}  // namespace

std::unique_ptr<ByteStream> Inflate(Codec codec, ReadBytes input, Guard guard) {
  return std::make_unique<InflateStream>(codec, std::move(input), std::move(guard));
}

}  // namespace sluice::archive
