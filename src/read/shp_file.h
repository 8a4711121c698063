#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sluice::read {

class RandomFile;

// Some shapes in a row, as they lie in a .shp file.
struct ShpBlock {
  struct Shape {
    size_t begin = 0;  // content in `bytes`
    size_t size = 0;
  };
  uint64_t first = 0;  // number of the first, from 0
  std::vector<Shape> shapes;
  std::string bytes;

  std::string_view content(size_t i) const {
    return std::string_view(bytes).substr(shapes[i].begin, shapes[i].size);
  }
};

// The shapes of a .shp file in the order of their numbers, found through the index where there is one: a file
// that was edited may keep shapes that nothing points to. Confined to one thread at a time; `bytes_read` may
// be called from any. The files must outlive it.
class ShpShapes {
 public:
  // Errors: kInvalidArgument for heads that are none and for files that are cut off.
  static Result<std::unique_ptr<ShpShapes>> Open(const RandomFile& shp, const RandomFile* shx);
  virtual ~ShpShapes() = default;

  // At most `most` of them, and some `kShpBlockBytes`; nothing at the end. Errors: kInvalidArgument naming
  // file and record.
  virtual Result<std::optional<ShpBlock>> Next(size_t most) = 0;
  // How many there are, where that is known before all are read.
  virtual std::optional<uint64_t> count() const = 0;
};

inline constexpr size_t kShpBlockBytes = 2 << 20;

}  // namespace sluice::read
