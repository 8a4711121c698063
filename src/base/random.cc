#include "base/random.h"

#include <sys/random.h>

#include <cstring>

#include "base/clock.h"

namespace sluice {

namespace {

void Fill(char* bytes, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t n = getrandom(bytes + done, size - done, 0);
    if (n > 0) done += static_cast<size_t>(n);
  }
}

}  // namespace

std::string RandomBytes(size_t size) {
  // The kernel is asked for several at once: a call costs more than the bytes.
  constexpr size_t kKept = 512;
  thread_local char kept[kKept];
  thread_local size_t left = 0;
  std::string bytes(size, '\0');
  if (size > kKept / 4) {
    Fill(bytes.data(), size);
    return bytes;
  }
  if (left < size) {
    Fill(kept, kKept);
    left = kKept;
  }
  left -= size;
  std::memcpy(bytes.data(), kept + left, size);
  std::memset(kept + left, 0, size);  // given out once
  return bytes;
}

std::string RandomName(size_t size) {
  static constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::string name = RandomBytes(size);
  for (char& c : name) c = kAlphabet[static_cast<unsigned char>(c) % 36];
  return name;
}

std::string NewUuid() {
  std::string b = RandomBytes(16);
  const uint64_t millis = static_cast<uint64_t>(SystemClock().Now().ToMillis());
  for (int i = 0; i < 6; ++i) b[i] = static_cast<char>(millis >> (8 * (5 - i)));
  b[6] = static_cast<char>((b[6] & 0x0f) | 0x70);
  b[8] = static_cast<char>((b[8] & 0x3f) | 0x80);
  std::string text;
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", static_cast<unsigned char>(b[i]));
  }
  return text;
}

}  // namespace sluice
