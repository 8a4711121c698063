#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "ingest/progress.h"

namespace sluice::cli {

// One line on the terminal, redrawn: rows, bytes, rate, remaining time. Draws nothing for the first half
// second, and removes itself at the end.
class ProgressBar final : public ingest::Progress {
 public:
  explicit ProgressBar(bool enabled) : enabled_(enabled), start_(std::chrono::steady_clock::now()) {}
  ~ProgressBar() override { Clear(); }

  void OnInput(const std::string& name, std::optional<uint64_t> total_bytes) override;
  void OnRead(uint64_t bytes, int64_t rows) override;
  void OnStage(const std::string& stage) override;
  void OnIndex(int64_t done, int64_t total) override;
  void Clear();

 private:
  bool DueForDrawing();
  void Draw(const std::string& line);

  const bool enabled_;
  std::chrono::steady_clock::time_point start_, last_{};
  std::string name_;
  std::optional<uint64_t> total_;
  bool drawn_ = false;
};

}  // namespace sluice::cli
