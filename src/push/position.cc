#include "push/position.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "multiformats/multibase.h"
#include "multiformats/multihash.h"
#include "net/url.h"

namespace sluice::push {
namespace {

constexpr std::string_view kVersion = "1";
constexpr size_t kDigestDigits = 16;
constexpr size_t kMaxNameBytes = 512;
constexpr char kSeparator = ';';

std::vector<std::string_view> Fields(std::string_view text) {
  std::vector<std::string_view> fields;
  while (true) {
    const size_t end = std::min(text.find(kSeparator), text.size());
    fields.push_back(text.substr(0, end));
    if (end == text.size()) return fields;
    text.remove_prefix(end + 1);
  }
}

template <class T>
bool ParseNumber(std::string_view text, T& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

bool IsDigest(std::string_view text) {
  return text.size() == kDigestDigits &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

std::string WindowDigest(std::string_view bytes) {
  const auto digest = multiformats::Sha3Multihash(bytes).digest();
  const std::string_view raw(reinterpret_cast<const char*>(digest.data()), kDigestDigits / 2);
  return multiformats::EncodeHex(raw);
}

std::string FormatPosition(const Position& position) {
  std::string text =
      fmt::format("{1}{0}{2}{0}{3}{0}{4}{0}{5}{0}{6}{0}{7}", kSeparator, kVersion, position.offset,
                  position.head_bytes, position.head, position.tail, net::PercentEncode(position.file),
                  net::PercentEncode(position.name.substr(0, kMaxNameBytes)));
  if (position.seen_ns != 0) text += fmt::format("{}{}", kSeparator, position.seen_ns);
  return text;
}

Result<Position> ParsePosition(std::string_view text) {
  const std::vector<std::string_view> fields = Fields(text);
  Position position;
  const bool has_seen = fields.size() == 8;
  if ((fields.size() != 7 && !has_seen) || fields[0] != kVersion ||
      !ParseNumber(fields[1], position.offset) || !ParseNumber(fields[2], position.head_bytes) ||
      !IsDigest(fields[3]) || !IsDigest(fields[4]) ||
      position.head_bytes != std::min(position.offset, kWindowBytes) ||
      (has_seen && !ParseNumber(fields[7], position.seen_ns))) {
    return InvalidArgument("'{}' is not a position that this version writes", text);
  }
  position.head = fields[3];
  position.tail = fields[4];
  ASSIGN_OR_RETURN(position.file, net::PercentDecode(fields[5]));
  ASSIGN_OR_RETURN(position.name, net::PercentDecode(fields[6]));
  return position;
}

void PositionTracker::Add(std::string_view bytes) {
  offset_ += bytes.size();
  if (head_.size() < kWindowBytes) head_ += bytes.substr(0, kWindowBytes - head_.size());
  if (bytes.size() >= kWindowBytes) {
    tail_ = bytes.substr(bytes.size() - kWindowBytes);
    return;
  }
  tail_ += bytes;
  if (tail_.size() > 2 * kWindowBytes) tail_.erase(0, tail_.size() - kWindowBytes);
}

Position PositionTracker::At() const {
  const std::string_view tail =
      std::string_view(tail_).substr(tail_.size() - std::min<size_t>(tail_.size(), kWindowBytes));
  return {
      .offset = offset_, .head_bytes = head_.size(), .head = WindowDigest(head_), .tail = WindowDigest(tail)};
}

}  // namespace sluice::push
