#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sluice::multiformats {

using Sha3Digest = std::array<uint8_t, 32>;

// Which Keccak runs the lanes. kAuto takes the widest that the CPU has.
enum class Sha3Engine { kAuto, kPortable, kAvx2, kAvx512 };

// True when this CPU can run it. An engine that it cannot run is replaced by the portable one.
bool IsAvailable(Sha3Engine engine);

// One SHA3-256 stream (FIPS 202), 136 bytes a permutation. Thread-compatible. One stream has no
// parallelism to be had in Keccak: many streams belong into Sha3Lanes.
class Sha3Hasher {
 public:
  Sha3Hasher();
  void Update(std::string_view bytes);
  void Update(const void* data, size_t size) { Update({static_cast<const char*>(data), size}); }
  // Ends the stream; the hasher may not be used afterwards.
  Sha3Digest Finish();

 private:
  friend class Sha3Lanes;
  friend Sha3Digest Keccak256(std::string_view bytes);
  size_t Fill(std::string_view bytes);  // into the buffer, as much as fits
  void Pad();
  Sha3Digest Digest() const;

  std::array<uint64_t, 25> state_{};
  std::array<uint8_t, 136> buffer_{};
  size_t buffered_ = 0;
  uint8_t domain_ = 0x06;  // of SHA-3; the older Keccak has 0x01
};

Sha3Digest Sha3(std::string_view bytes);
// Keccak-256 as it was before FIPS 202 padded it otherwise: what Ethereum hashes with.
Sha3Digest Keccak256(std::string_view bytes);

// Many independent SHA3-256 streams advanced together, several in the lanes of one vector register. Each
// stream gives the same digest as Sha3Hasher on every engine. Thread-compatible; distinct objects are
// independent.
class Sha3Lanes {
 public:
  explicit Sha3Lanes(size_t streams, Sha3Engine engine = Sha3Engine::kAuto);
  ~Sha3Lanes();
  Sha3Lanes(Sha3Lanes&&) noexcept;
  Sha3Lanes& operator=(Sha3Lanes&&) noexcept;

  size_t streams() const;
  Sha3Engine engine() const;

  // Appends inputs[i] to stream i, all of them at once: lanes of unequal length fill up with the streams
  // still to go. inputs.size() == streams().
  void Update(std::span<const std::string_view> inputs);
  // Ends all streams, in order.
  std::vector<Sha3Digest> Finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::multiformats
