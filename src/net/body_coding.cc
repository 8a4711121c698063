#include "net/body_coding.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>

namespace sluice::net {
namespace {

constexpr size_t kPieceBytes = 256 << 10;
constexpr uint64_t kRatioFromBytes = 1 << 20;
constexpr int kMaxZstdWindowLog = 23;  // 8 MiB, what levels up to 19 use

// Counts, and says when it is too much.
class Meter {
 public:
  explicit Meter(const DecodeLimits& limits) : limits_(limits) {}

  Status Add(uint64_t sent, uint64_t expanded) {
    sent_ += sent;
    expanded_ += expanded;
    if (expanded_ > limits_.max_bytes) {
      return MakeError(ErrorCode::kTooLarge, "the body expands to more than the limit of {} bytes",
                       limits_.max_bytes);
    }
    if (expanded_ > kRatioFromBytes && expanded_ / limits_.max_ratio > sent_) {
      return MakeError(ErrorCode::kTooLarge,
                       "the body expands to more than {} times its size; send it in smaller parts",
                       limits_.max_ratio);
    }
    return {};
  }
  bool is_empty() const { return sent_ == 0; }

 private:
  const DecodeLimits limits_;
  uint64_t sent_ = 0;
  uint64_t expanded_ = 0;
};

// Of one step: small for the small bodies of which there are many.
size_t RoomFor(std::string_view input) { return std::clamp<size_t>(input.size() * 8, 4096, kPieceBytes); }

Error EndsEarly(std::string_view format) {
  return InvalidArgument("the {} body ends in the middle of its data", format);
}

class GzipDecoder final : public BodyDecoder {
 public:
  explicit GzipDecoder(const DecodeLimits& limits) : meter_(limits) {}
  ~GzipDecoder() override {
    if (is_ready_) inflateEnd(&stream_);
  }

  Status Start() {
    is_ready_ = inflateInit2(&stream_, 16 + MAX_WBITS) == Z_OK;
    if (!is_ready_) return MakeError(ErrorCode::kResourceExhausted, "no memory to expand a gzip body");
    return {};
  }

  Status Decode(std::string_view& input, std::string& expanded) override {
    const size_t before = expanded.size();
    const size_t sent = std::min<size_t>(input.size(), 1 << 30);
    const size_t room = RoomFor(input);
    expanded.resize(before + room);
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
    stream_.avail_in = static_cast<uInt>(sent);
    stream_.next_out = reinterpret_cast<Bytef*>(expanded.data() + before);
    stream_.avail_out = static_cast<uInt>(room);
    Status status = Inflate();
    expanded.resize(expanded.size() - stream_.avail_out);
    const size_t used = sent - stream_.avail_in;
    input.remove_prefix(used);
    RETURN_IF_ERROR(status);
    return meter_.Add(used, expanded.size() - before);
  }

  Status Finish() override {
    if (!is_between_ || meter_.is_empty()) return EndsEarly("gzip");
    return {};
  }

 private:
  Status Inflate() {
    while (stream_.avail_out > 0) {
      if (is_between_ && stream_.avail_in == 0) return {};
      is_between_ = false;
      const int code = inflate(&stream_, Z_NO_FLUSH);
      if (code == Z_STREAM_END) {
        is_between_ = true;  // another member may follow
        inflateReset(&stream_);
      } else if (code == Z_BUF_ERROR) {
        return {};
      } else if (code != Z_OK) {
        return InvalidArgument("the gzip body is broken: {}",
                               stream_.msg == nullptr ? "not gzip data" : stream_.msg);
      }
    }
    return {};
  }

  Meter meter_;
  z_stream stream_{};
  bool is_ready_ = false;
  bool is_between_ = true;  // members
};

struct DctxDeleter {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

class ZstdDecoder final : public BodyDecoder {
 public:
  explicit ZstdDecoder(const DecodeLimits& limits) : meter_(limits), context_(ZSTD_createDCtx()) {}

  Status Start() {
    if (context_ == nullptr)
      return MakeError(ErrorCode::kResourceExhausted, "no memory to expand a zstd body");
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxZstdWindowLog);
    return {};
  }

  Status Decode(std::string_view& input, std::string& expanded) override {
    const size_t before = expanded.size();
    const size_t room = RoomFor(input);
    expanded.resize(before + room);
    ZSTD_inBuffer in{input.data(), input.size(), 0};
    ZSTD_outBuffer out{expanded.data() + before, room, 0};
    size_t code = rest_;
    // What the context still holds comes out also without input.
    do {
      const size_t in_before = in.pos, out_before = out.pos;
      code = ZSTD_decompressStream(context_.get(), &out, &in);
      if (ZSTD_isError(code) || (in.pos == in_before && out.pos == out_before)) break;
      rest_ = code;
    } while (out.pos < out.size && (in.pos < in.size || code != 0));
    expanded.resize(before + out.pos);
    input.remove_prefix(in.pos);
    if (ZSTD_isError(code)) {
      return InvalidArgument("the zstd body is broken: {}", ZSTD_getErrorName(code));
    }
    return meter_.Add(in.pos, out.pos);
  }

  Status Finish() override {
    if (rest_ != 0 || meter_.is_empty()) return EndsEarly("zstd");
    return {};
  }

 private:
  Meter meter_;
  const std::unique_ptr<ZSTD_DCtx, DctxDeleter> context_;
  size_t rest_ = 0;  // 0 = at the end of a frame
};

template <class Decoder>
Result<std::unique_ptr<BodyDecoder>> Started(std::unique_ptr<Decoder> decoder) {
  RETURN_IF_ERROR(decoder->Start());
  return std::unique_ptr<BodyDecoder>(std::move(decoder));
}

}  // namespace

Result<BodyCoding> BodyCodingOf(const Headers& headers) {
  const std::string value = headers.Joined("Content-Encoding");
  const std::string_view coding = Trimmed(value);
  if (coding.empty() || EqualsIgnoringCase(coding, "identity")) return BodyCoding::kIdentity;
  if (EqualsIgnoringCase(coding, "gzip") || EqualsIgnoringCase(coding, "x-gzip")) return BodyCoding::kGzip;
  if (EqualsIgnoringCase(coding, "zstd")) return BodyCoding::kZstd;
  return MakeError(ErrorCode::kUnsupportedMedia,
                   "Content-Encoding '{}' is not known; send gzip, zstd or none", coding);
}

Result<std::unique_ptr<BodyDecoder>> BodyDecoder::Make(BodyCoding coding, const DecodeLimits& limits) {
  switch (coding) {
    case BodyCoding::kGzip:
      return Started(std::make_unique<GzipDecoder>(limits));
    case BodyCoding::kZstd:
      return Started(std::make_unique<ZstdDecoder>(limits));
    case BodyCoding::kIdentity:
      break;
  }
  return Internal("a body that is sent as it is needs no decoder");
}

}  // namespace sluice::net
