#include "fetch/address.h"

#include <arpa/inet.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace sluice::fetch {
namespace {

struct Net4 {
  uint32_t base;
  int bits;
};
// Not reachable from the public internet (the special-purpose registries of RFC 6890).
constexpr Net4 kPrivate4[] = {
    {0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8}, {0xa9fe0000, 16}, {0xac100000, 12},
    {0xc0000000, 24}, {0xc0a80000, 16}, {0xc6120000, 15}, {0xe0000000, 4}, {0xf0000000, 4},
};

bool IsPrivate4(uint32_t address) {
  for (const auto& net : kPrivate4) {
    const uint32_t mask = ~uint32_t{0} << (32 - net.bits);
    if ((address & mask) == net.base) return true;
  }
  return false;
}

bool IsPrivate6(const std::array<uint8_t, 16>& a) {
  static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  static constexpr uint8_t kTranslated[12] = {0, 0x64, 0xff, 0x9b};  // 64:ff9b::/96
  auto v4 = [&](size_t at) {
    return static_cast<uint32_t>(a[at]) << 24 | static_cast<uint32_t>(a[at + 1]) << 16 |
           static_cast<uint32_t>(a[at + 2]) << 8 | a[at + 3];
  };
  if (std::memcmp(a.data(), kMapped, 12) == 0 || std::memcmp(a.data(), kTranslated, 12) == 0)
    return IsPrivate4(v4(12));
  if (a[0] == 0x20 && a[1] == 0x02) return IsPrivate4(v4(2));  // 6to4
  return (a[0] & 0xe0) != 0x20;  // all but 2000::/3: loopback, link-local, unique local, multicast
}

}  // namespace

Status CheckPublicAddress(const std::string& ip_address) {
  in_addr v4{};
  std::array<uint8_t, 16> v6{};
  bool is_private = true;
  if (inet_pton(AF_INET, ip_address.c_str(), &v4) == 1) {
    is_private = IsPrivate4(ntohl(v4.s_addr));
  } else if (inet_pton(AF_INET6, ip_address.c_str(), v6.data()) == 1) {
    is_private = IsPrivate6(v6);
  }
  if (!is_private) return {};
  return MakeError(ErrorCode::kPermissionDenied,
                   "this source may not reach the private address {}: its manifest came from elsewhere",
                   ip_address);
}

}  // namespace sluice::fetch
