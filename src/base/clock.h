#pragma once

#include "base/instant.h"

namespace sluice {

// Where "now" comes from, so that tests and --system-time can freeze it. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant Now() const = 0;
};

class SystemClock final : public Clock {
 public:
  Instant Now() const override;
};

// Always the same instant until moved. Thread-compatible.
class FixedClock final : public Clock {
 public:
  explicit FixedClock(Instant now) : now_(now) {}
  Instant Now() const override { return now_; }
  void Set(Instant now) { now_ = now; }

 private:
  Instant now_;
};

}  // namespace sluice
