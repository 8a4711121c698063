#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

// Compressed streams and archives, read front to back in bounded memory. What expands beyond the limits is
// refused before it fills a disk.
namespace sluice::archive {

// The next bytes, at most `size`; 0 at the end.
using ReadBytes = std::function<Result<size_t>(char* buffer, size_t size)>;

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Up to `size` bytes, 0 at the end. Errors: those of the input; kInvalidArgument for damaged, cut or
  // encrypted data; kTooLarge over the limits.
  virtual Result<size_t> Read(char* buffer, size_t size) = 0;
};

struct Limits {
  uint64_t max_bytes = uint64_t{256} << 30;  // of expanded data
  // Expanded to compressed bytes, asked once that much was expanded. Tables of real life stay below 100.
  double max_ratio = 250;
  uint64_t ratio_from_bytes = 256 << 20;
};

enum class Codec { kGzip, kDeflate, kZstd, kXz, kBzip2 };
// "gzip", ...
std::string_view NameOf(Codec codec);

// Several members, frames or streams one after the other are one content, as the programs of these names
// have it. Checksums are compared. `name` is for messages. Errors of opening and of Read: as ByteStream's.
Result<std::unique_ptr<ByteStream>> Decompress(Codec codec, ReadBytes input, std::string name,
                                               const Limits& limits = {});

// The contents of the regular files of a tar stream, one after the other, as `tar -xO` gives them: all, or
// those that the glob `pattern` names. Errors: kNotFound when there is none.
Result<std::unique_ptr<ByteStream>> ReadTar(ReadBytes input, std::string pattern, std::string name,
                                            const Limits& limits = {});

// Whether the glob names the path: all of it, or, when the glob has no `/`, its last part.
bool MatchesGlob(const std::string& pattern, const std::string& path);

}  // namespace sluice::archive
