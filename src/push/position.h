#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace sluice::push {

inline constexpr char kPositionKind[] = "sluice/position";

// How far an input has been pushed, in a form that finds the input again wherever it was moved: by what it
// begins with and by what stands just before the position, not by its name or size. Written as a source state
// (push-protocol.md 1): visible ASCII, well under 4,096 bytes.
struct Position {
  uint64_t offset = 0;      // bytes pushed
  uint64_t head_bytes = 0;  // min(offset, kWindowBytes)
  std::string head;         // digest of the input's first `head_bytes`
  std::string tail;         // digest of the last min(offset, kWindowBytes) before `offset`
  std::string file;  // hints, where several inputs fit: device and inode, and the file's name; or empty
  std::string name;
  // Nanoseconds: when the input had changed last as it was seen under its own name; 0: unknown. A file that
  // was made before is none that took its place when it was rotated.
  int64_t seen_ns = 0;

  bool operator==(const Position&) const = default;
};

inline constexpr uint64_t kWindowBytes = 4096;

std::string FormatPosition(const Position& position);
// Errors: kInvalidArgument for what FormatPosition does not write.
Result<Position> ParsePosition(std::string_view text);

// 16 hexadecimal digits.
std::string WindowDigest(std::string_view bytes);

// Follows the bytes of one input, in order, and knows the position after them. Memory: two windows.
class PositionTracker {
 public:
  PositionTracker() = default;
  // As after `offset` bytes that begin with `head` and end with `tail`, each a window if there is that much.
  PositionTracker(uint64_t offset, std::string head, std::string tail)
      : offset_(offset), head_(std::move(head)), tail_(std::move(tail)) {}

  void Add(std::string_view bytes);
  uint64_t offset() const { return offset_; }
  // `file` and `name` are left empty.
  Position At() const;

 private:
  uint64_t offset_ = 0;
  std::string head_;
  std::string tail_;  // the last window, and up to as much before it
};

}  // namespace sluice::push
