#include "multiformats/sha3.h"

#include <algorithm>
#include <cstring>

#include "multiformats/keccak_internal.h"

namespace sluice::multiformats {
namespace {

constexpr size_t kBlockBytes = 136;
constexpr size_t kMaxLanes = 8;

// Blocks that a group of lanes absorbs before the streams are regrouped; bringing states in and out costs
// about one.
constexpr size_t kMinRunBlocks = 8;
constexpr size_t kRunsPerUpdate = 16;

// One of an engine's kernels and the number of streams that it takes; an engine lists them narrowest first.
struct Width {
  size_t lanes;
  KeccakKernel absorb;
};

#if defined(__x86_64__)
KeccakKernel ScalarKernel() {
  static const bool fast = __builtin_cpu_supports("bmi") != 0 && __builtin_cpu_supports("bmi2") != 0;
  return fast ? AbsorbBmi2 : AbsorbPortable;
}

// For one stream alone.
KeccakKernel SingleKernel() {
  static const bool avx512 = IsAvailable(Sha3Engine::kAvx512);
  return avx512 ? AbsorbAvx512x1 : ScalarKernel();
}

std::vector<Width> WidthsOf(Sha3Engine engine) {
  switch (engine) {
    case Sha3Engine::kAvx512:
      return {{1, AbsorbAvx512x1}, {4, AbsorbAvx512x4}, {8, AbsorbAvx512}};
    case Sha3Engine::kAvx2:
      return {{1, ScalarKernel()}, {4, AbsorbAvx2}};
    case Sha3Engine::kAuto:
    case Sha3Engine::kPortable:
      break;
  }
  return {{1, ScalarKernel()}};
}
#else
KeccakKernel SingleKernel() { return AbsorbPortable; }

std::vector<Width> WidthsOf(Sha3Engine) { return {{1, AbsorbPortable}}; }
#endif

Sha3Engine Resolve(Sha3Engine engine) {
  if (engine != Sha3Engine::kAuto) return IsAvailable(engine) ? engine : Sha3Engine::kPortable;
  for (const Sha3Engine wide : {Sha3Engine::kAvx512, Sha3Engine::kAvx2}) {
    if (IsAvailable(wide)) return wide;
  }
  return Sha3Engine::kPortable;
}

const uint8_t* Bytes(std::string_view text) { return reinterpret_cast<const uint8_t*>(text.data()); }

}  // namespace

bool IsAvailable(Sha3Engine engine) {
  switch (engine) {
    case Sha3Engine::kAuto:
    case Sha3Engine::kPortable:
      return true;
#if defined(__x86_64__)
    case Sha3Engine::kAvx2:
      return __builtin_cpu_supports("avx2") != 0;
    case Sha3Engine::kAvx512:
      return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512vl") != 0;
#else
    case Sha3Engine::kAvx2:
    case Sha3Engine::kAvx512:
      return false;
#endif
  }
  return false;
}

// ---- one stream

Sha3Hasher::Sha3Hasher() = default;

size_t Sha3Hasher::Fill(std::string_view bytes) {
  const size_t taken = std::min(bytes.size(), kBlockBytes - buffered_);
  if (taken > 0) std::memcpy(buffer_.data() + buffered_, bytes.data(), taken);
  buffered_ += taken;
  return taken;
}

void Sha3Hasher::Pad() {
  std::memset(buffer_.data() + buffered_, 0, kBlockBytes - buffered_);
  buffer_[buffered_] = domain_;
  buffer_[kBlockBytes - 1] |= 0x80;
}

Sha3Digest Sha3Hasher::Digest() const {
  Sha3Digest digest;
  for (size_t i = 0; i < digest.size(); ++i) digest[i] = static_cast<uint8_t>(state_[i / 8] >> (i % 8 * 8));
  return digest;
}

void Sha3Hasher::Update(std::string_view bytes) {
  const uint8_t* head = nullptr;
  if (buffered_ > 0) {
    bytes.remove_prefix(Fill(bytes));
    if (buffered_ < kBlockBytes) return;
    head = buffer_.data();
  }
  const size_t blocks = bytes.size() / kBlockBytes;
  const size_t all_blocks = blocks + (head != nullptr ? 1 : 0);
  if (all_blocks > 0) {
    const KeccakRun run{state_.data(), head, Bytes(bytes)};
    SingleKernel()(&run, 1, all_blocks);
    buffered_ = 0;
  }
  Fill(bytes.substr(blocks * kBlockBytes));
}

Sha3Digest Sha3Hasher::Finish() {
  Pad();
  const KeccakRun run{state_.data(), buffer_.data(), nullptr};
  SingleKernel()(&run, 1, 1);
  return Digest();
}

Sha3Digest Sha3(std::string_view bytes) {
  Sha3Hasher hasher;
  hasher.Update(bytes);
  return hasher.Finish();
}

Sha3Digest Keccak256(std::string_view bytes) {
  Sha3Hasher hasher;
  hasher.domain_ = 0x01;
  hasher.Update(bytes);
  return hasher.Finish();
}

// ---- many streams

struct Sha3Lanes::Impl {
  // A stream's blocks still to be absorbed in this update.
  struct Work {
    KeccakRun run;
    size_t blocks;
  };

  struct Tail {
    Sha3Hasher* stream;
    std::string_view bytes;
  };

  void Take(Sha3Hasher* stream, std::string_view bytes);
  void Absorb();
  const Width& ChooseWidth() const;
  void RunGroup(size_t quantum);

  Sha3Engine engine;
  std::vector<Width> widths;
  std::vector<Sha3Hasher> streams;
  std::vector<Work> work;
  std::vector<Tail> tails;  // what is left of the inputs behind their last whole blocks
};

// Cuts an input into work and tail; one that completes no block goes to the stream's buffer at once.
void Sha3Lanes::Impl::Take(Sha3Hasher* stream, std::string_view bytes) {
  const uint8_t* head = nullptr;
  if (stream->buffered_ > 0) {
    bytes.remove_prefix(stream->Fill(bytes));
    if (stream->buffered_ < kBlockBytes) return;
    head = stream->buffer_.data();
  }
  const size_t body_blocks = bytes.size() / kBlockBytes;
  const size_t blocks = body_blocks + (head != nullptr ? 1 : 0);
  if (blocks == 0) {
    stream->Fill(bytes);
    return;
  }
  work.push_back({{stream->state_.data(), head, Bytes(bytes)}, blocks});
  tails.push_back({stream, bytes.substr(body_blocks * kBlockBytes)});
}

// Absorbs all of `work`. The streams with most left go first, and the group changes after some blocks, so
// that all lanes stay busy until nearly the end, unless one stream alone is longer than its share.
void Sha3Lanes::Impl::Absorb() {
  size_t longest = 0;
  for (const Work& item : work) longest = std::max(longest, item.blocks);
  const size_t quantum = std::max(kMinRunBlocks, longest / kRunsPerUpdate);
  while (!work.empty()) RunGroup(quantum);
}

// A block costs more in wide registers than in narrow ones. When the longest stream is all of a narrow
// kernel's share, that kernel ends no later than a wide one could: the others fit beside the longest.
const Width& Sha3Lanes::Impl::ChooseWidth() const {
  size_t longest = 0;
  size_t total = 0;
  for (const Work& item : work) {
    longest = std::max(longest, item.blocks);
    total += item.blocks;
  }
  size_t w = 0;
  while (w + 1 < widths.size() && total > widths[w].lanes * longest) ++w;
  return widths[w];
}

void Sha3Lanes::Impl::RunGroup(size_t quantum) {
  const Width& width = ChooseWidth();
  const size_t count = std::min(width.lanes, work.size());
  const auto inside_end = work.begin() + static_cast<ptrdiff_t>(count);
  if (inside_end != work.end()) {
    std::nth_element(work.begin(), inside_end, work.end(),
                     [](const Work& a, const Work& b) { return a.blocks > b.blocks; });
  }
  size_t blocks = SIZE_MAX;
  std::array<KeccakRun, kMaxLanes> runs;
  for (size_t i = 0; i < count; ++i) {
    blocks = std::min(blocks, work[i].blocks);
    runs[i] = work[i].run;
  }
  // Down to the level of the longest stream that has to wait, or a quantum below it.
  if (inside_end != work.end()) blocks = std::min(blocks, std::max(quantum, blocks - inside_end->blocks));
  width.absorb(runs.data(), count, blocks);
  for (size_t i = 0; i < count; ++i) {
    KeccakRun& run = work[i].run;
    run.body += (blocks - (run.head != nullptr ? 1 : 0)) * kBlockBytes;
    run.head = nullptr;
    work[i].blocks -= blocks;
  }
  std::erase_if(work, [](const Work& item) { return item.blocks == 0; });
}

Sha3Lanes::Sha3Lanes(size_t streams, Sha3Engine engine) : impl_(std::make_unique<Impl>()) {
  impl_->engine = Resolve(engine);
  impl_->widths = WidthsOf(impl_->engine);
  impl_->streams.resize(streams);
}

Sha3Lanes::~Sha3Lanes() = default;
Sha3Lanes::Sha3Lanes(Sha3Lanes&&) noexcept = default;
Sha3Lanes& Sha3Lanes::operator=(Sha3Lanes&&) noexcept = default;

size_t Sha3Lanes::streams() const { return impl_->streams.size(); }
Sha3Engine Sha3Lanes::engine() const { return impl_->engine; }

void Sha3Lanes::Update(std::span<const std::string_view> inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) impl_->Take(&impl_->streams[i], inputs[i]);
  impl_->Absorb();
  for (const auto& [stream, bytes] : impl_->tails) {
    stream->buffered_ = 0;
    stream->Fill(bytes);
  }
  impl_->tails.clear();
}

std::vector<Sha3Digest> Sha3Lanes::Finish() {
  for (Sha3Hasher& stream : impl_->streams) {
    stream.Pad();
    impl_->work.push_back({{stream.state_.data(), stream.buffer_.data(), nullptr}, 1});
  }
  impl_->Absorb();
  std::vector<Sha3Digest> digests;
  digests.reserve(impl_->streams.size());
  for (const Sha3Hasher& stream : impl_->streams) digests.push_back(stream.Digest());
  return digests;
}

}  // namespace sluice::multiformats
