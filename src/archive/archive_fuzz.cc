#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "archive/decompress.h"
#include "archive/zip.h"

namespace {

using sluice::archive::ByteStream;

// More than that is refused.
constexpr uint64_t kMaxBytes = 1 << 20;

void ReadAll(sluice::Result<std::unique_ptr<ByteStream>> stream) {
  std::string buffer(4096, '\0');
  uint64_t total = 0;
  while (stream.ok()) {
    const auto n = (*stream)->Read(buffer.data(), buffer.size());
    if (!n.ok() && n.error().code() == sluice::ErrorCode::kInternal) std::abort();
    if (!n.ok() || *n == 0) return;
    if (*n > buffer.size() || (total += *n) > kMaxBytes) std::abort();
  }
  if (stream.error().code() == sluice::ErrorCode::kInternal) std::abort();
}

void ReadZip(const uint8_t* data, size_t size, const sluice::archive::Limits& limits) {
  const int fd = ::memfd_create("fuzz.zip", MFD_CLOEXEC);
  if (fd < 0 || ::write(fd, data, size) != static_cast<ssize_t>(size)) std::abort();
  const auto zip = sluice::archive::ZipFile::Open("/proc/self/fd/" + std::to_string(fd), "fuzz.zip", limits);
  if (zip.ok()) {
    (void)(*zip)->Find("*");
    (void)(*zip)->FindOne("a/*.csv");
    for (size_t i = 0; i < std::min<size_t>((*zip)->entries().size(), 4); ++i) ReadAll((*zip)->OpenEntry(i));
  } else if (zip.error().code() == sluice::ErrorCode::kInternal) {
    std::abort();
  }
  ::close(fd);
}

}  // namespace

// A byte for the kind, a byte for how much is read at once, then the data: whatever it is, reading ends,
// within the limits.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using sluice::archive::Codec;
  if (size < 2) return 0;
  const uint8_t kind = data[0] % 7;
  const size_t piece = 1 + data[1];
  data += 2;
  size -= 2;
  sluice::archive::Limits limits;
  limits.max_bytes = kMaxBytes;
  if (kind == 6) {
    ReadZip(data, size, limits);
    return 0;
  }
  auto input = [data, size, piece, at = size_t{0}](char* buffer,
                                                   size_t wanted) mutable -> sluice::Result<size_t> {
    const size_t n = std::min({wanted, piece, size - at});
    std::memcpy(buffer, data + at, n);
    at += n;
    return n;
  };
  constexpr Codec kCodecs[] = {Codec::kGzip, Codec::kDeflate, Codec::kZstd, Codec::kXz, Codec::kBzip2};
  if (kind == 5) {
    ReadAll(sluice::archive::ReadTar(input, "*.csv", "fuzz.tar", limits));
  } else {
    ReadAll(sluice::archive::Decompress(kCodecs[kind], input, "fuzz", limits));
  }
  return 0;
}
