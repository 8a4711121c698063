#include "fetch/streams.h"

#include <algorithm>
#include <cstring>

namespace sluice::fetch {
namespace {

class StreamSource final : public read::ByteSource {
 public:
  StreamSource(std::unique_ptr<archive::ByteStream> stream, std::string name)
      : stream_(std::move(stream)), name_(std::move(name)) {}
  Result<size_t> Read(char* buffer, size_t size) override { return stream_->Read(buffer, size); }
  const std::string& name() const override { return name_; }

 private:
  std::unique_ptr<archive::ByteStream> stream_;
  std::string name_;
};

class PutBackSource final : public read::ByteSource {
 public:
  PutBackSource(std::string head, std::unique_ptr<read::ByteSource> rest)
      : head_(std::move(head)), rest_(std::move(rest)) {}
  Result<size_t> Read(char* buffer, size_t size) override {
    if (given_ == head_.size()) return rest_->Read(buffer, size);
    const size_t n = std::min(size, head_.size() - given_);
    std::memcpy(buffer, head_.data() + given_, n);
    given_ += n;
    return n;
  }
  const std::string& name() const override { return rest_->name(); }
  std::optional<uint64_t> size() const override { return rest_->size(); }
  std::optional<std::string> local_path() const override { return rest_->local_path(); }

 private:
  std::string head_;
  std::unique_ptr<read::ByteSource> rest_;
  size_t given_ = 0;
};

}  // namespace

Result<std::optional<archive::Codec>> CodecOfContentEncoding(const std::string& encoding) {
  if (encoding.empty()) return std::optional<archive::Codec>();
  if (encoding == "gzip" || encoding == "x-gzip") return std::optional(archive::Codec::kGzip);
  if (encoding == "deflate") return std::optional(archive::Codec::kDeflate);
  if (encoding == "zstd") return std::optional(archive::Codec::kZstd);
  return Unsupported("the server sent the content encoding '{}', which was not asked for", encoding);
}

Result<std::unique_ptr<read::ByteSource>> DecodeStream(archive::Codec codec,
                                                       std::unique_ptr<read::ByteSource> source,
                                                       const archive::Limits& limits) {
  const std::string name = source->name();
  ASSIGN_OR_RETURN(auto stream, archive::Decompress(codec, ReadFrom(std::move(source)), name, limits));
  return SourceOf(std::move(stream), name);
}

archive::ReadBytes ReadFrom(std::shared_ptr<read::ByteSource> source) {
  return [source](char* buffer, size_t size) { return source->Read(buffer, size); };
}

std::unique_ptr<read::ByteSource> SourceOf(std::unique_ptr<archive::ByteStream> stream, std::string name) {
  return std::make_unique<StreamSource>(std::move(stream), std::move(name));
}

std::unique_ptr<read::ByteSource> PutBack(std::string head, std::unique_ptr<read::ByteSource> rest) {
  return std::make_unique<PutBackSource>(std::move(head), std::move(rest));
}

Result<std::string> ReadHead(read::ByteSource& source, size_t size) {
  std::string head(size, '\0');
  size_t have = 0;
  while (have < size) {
    ASSIGN_OR_RETURN(const size_t n, source.Read(head.data() + have, size - have));
    if (n == 0) break;
    have += n;
  }
  head.resize(have);
  return head;
}

}  // namespace sluice::fetch
