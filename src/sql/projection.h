#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"

namespace sluice::sql {

// Coordinates from one system into another; x is east or longitude, y north or latitude, whatever order the
// systems themselves have. Confined to one thread at a time.
class Transformer {
 public:
  // Systems by code: `epsg:3157`, `ESRI:102001`, `OGC:CRS84`. Texts that could name files are refused.
  // Errors: kInvalidArgument for codes that do not exist.
  static Result<std::unique_ptr<Transformer>> Make(std::string_view from, std::string_view to);
  virtual ~Transformer() = default;
  // In place; points that have no counterpart become infinite.
  virtual void Apply(std::span<double> xs, std::span<double> ys) = 0;
};

// Transformers to be used again: making one takes milliseconds. Thread-safe.
class TransformerPool {
 public:
  Result<std::unique_ptr<Transformer>> Take(std::string_view from, std::string_view to) EXCLUDES(mutex_);
  void Give(std::string_view from, std::string_view to, std::unique_ptr<Transformer> transformer)
      EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::vector<std::unique_ptr<Transformer>>> idle_
      GUARDED_BY(mutex_);
};

}  // namespace sluice::sql
