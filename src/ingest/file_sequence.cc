#include "ingest/file_sequence.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <charconv>
#include <filesystem>
#include <map>

namespace sluice::ingest {
namespace {

constexpr size_t kBlock = 1 << 20;

// The hash over files 1..k.
struct Running {
  XXH3_state_t state;
  uint64_t bytes = 0;

  Running() { XXH3_128bits_reset(&state); }
  void Update(const char* data, size_t size) {
    XXH3_128bits_update(&state, data, size);
    bytes += size;
  }
  std::string Value(size_t k) const {
    const XXH128_hash_t hash = XXH3_128bits_digest(&state);
    return fmt::format("{}:{}:{:016x}{:016x}", k, bytes, hash.high64, hash.low64);
  }
};

}  // namespace

struct FileSequence::Impl {
  std::vector<std::string> paths;
  std::stop_token stop;
  std::map<size_t, Running> after;  // by index; complete ones only

  Result<Running> Before(size_t index) {
    if (index == 0) return Running();
    RETURN_IF_ERROR(Complete(index - 1));
    return after.at(index - 1);
  }
  Status Complete(size_t index) {
    if (after.contains(index)) return {};
    ASSIGN_OR_RETURN(Running running, Before(index));
    ASSIGN_OR_RETURN(auto source, read::OpenFileSource(paths[index], stop));
    std::string buffer(kBlock, '\0');
    while (true) {
      ASSIGN_OR_RETURN(size_t n, source->Read(buffer.data(), buffer.size()));
      if (n == 0) break;
      running.Update(buffer.data(), n);
    }
    after.emplace(index, running);
    return {};
  }
};

namespace {

// Hands bytes on and hashes them; at the end the hash is known.
class HashingSource final : public read::ByteSource {
 public:
  using Done = std::function<void(const Running&)>;
  HashingSource(std::unique_ptr<read::ByteSource> inner, const Running& running, Done done)
      : inner_(std::move(inner)), running_(running), done_(std::move(done)) {}

  Result<size_t> Read(char* buffer, size_t size) override {
    ASSIGN_OR_RETURN(size_t n, inner_->Read(buffer, size));
    if (n > 0) {
      running_.Update(buffer, n);
    } else if (done_) {
      done_(running_);
      done_ = nullptr;
    }
    return n;
  }
  const std::string& name() const override { return inner_->name(); }
  std::optional<uint64_t> size() const override { return inner_->size(); }
  std::optional<std::string> local_path() const override { return inner_->local_path(); }

 private:
  std::unique_ptr<read::ByteSource> inner_;
  Running running_;
  Done done_;
};

}  // namespace

FileSequence::FileSequence(std::vector<std::string> paths, std::stop_token stop)
    : impl_(std::make_shared<Impl>()) {
  impl_->paths = std::move(paths);
  impl_->stop = std::move(stop);
}
FileSequence::~FileSequence() = default;

const std::vector<std::string>& FileSequence::paths() const { return impl_->paths; }

Result<size_t> FileSequence::CountTaken(const std::optional<odf::SourceState>& newest) {
  if (!newest) return size_t{0};
  size_t k = 0;
  uint64_t bytes = 0;
  const std::string& value = newest->value;
  const char* end = value.data() + value.size();
  auto first = std::from_chars(value.data(), end, k);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != ':') return size_t{0};
  auto second = std::from_chars(first.ptr + 1, end, bytes);
  if (second.ec != std::errc() || k == 0 || k > impl_->paths.size()) return size_t{0};
  uint64_t sum = 0;
  for (size_t i = 0; i < k; ++i) {
    std::error_code error;
    sum += std::filesystem::file_size(impl_->paths[i], error);
    if (error) return size_t{0};  // opening it will say why
  }
  if (sum != bytes) return size_t{0};
  ASSIGN_OR_RETURN(auto ours, ValueAfter(k - 1));
  return ours == value ? k : size_t{0};
}

Result<std::unique_ptr<read::ByteSource>> FileSequence::Open(size_t index) {
  ASSIGN_OR_RETURN(Running before, impl_->Before(index));
  // What was computed of it before may belong to other bytes.
  impl_->after.erase(impl_->after.lower_bound(index), impl_->after.end());
  ASSIGN_OR_RETURN(auto source, read::OpenFileSource(impl_->paths[index], impl_->stop));
  return std::unique_ptr<read::ByteSource>(std::make_unique<HashingSource>(
      std::move(source), before,
      [impl = impl_, index](const Running& running) { impl->after.insert_or_assign(index, running); }));
}

Result<std::string> FileSequence::ValueAfter(size_t index) {
  RETURN_IF_ERROR(impl_->Complete(index));
  return impl_->after.at(index).Value(index + 1);
}

}  // namespace sluice::ingest
