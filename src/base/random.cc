#include "base/random.h"

#include <sys/random.h>

#include "base/clock.h"

namespace sluice {

std::string RandomBytes(size_t size) {
  std::string bytes(size, '\0');
  size_t done = 0;
  while (done < size) {
    ssize_t n = getrandom(bytes.data() + done, size - done, 0);
    if (n > 0) done += static_cast<size_t>(n);
  }
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
