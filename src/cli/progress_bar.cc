#include "cli/progress_bar.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>

namespace sluice::cli {
namespace {

using std::chrono::steady_clock;
constexpr auto kInterval = std::chrono::milliseconds(100);
constexpr auto kQuietStart = std::chrono::milliseconds(500);

std::string Mebibytes(double bytes) { return fmt::format("{:.1f} MiB", bytes / (1 << 20)); }

}  // namespace

bool ProgressBar::DueForDrawing() {
  if (!enabled_) return false;
  const auto now = steady_clock::now();
  if (now - start_ < kQuietStart || now - last_ < kInterval) return false;
  last_ = now;
  return true;
}

void ProgressBar::Draw(const std::string& line) {
  std::fputs(("\r\x1b[2K" + line).c_str(), stderr);
  std::fflush(stderr);
  drawn_ = true;
}

void ProgressBar::Clear() {
  if (!drawn_) return;
  std::fputs("\r\x1b[2K", stderr);
  std::fflush(stderr);
  drawn_ = false;
}

void ProgressBar::OnInput(const std::string& name, std::optional<uint64_t> total_bytes) {
  name_ = std::filesystem::path(name).filename().string();
  total_ = total_bytes;
  start_ = steady_clock::now();
}

void ProgressBar::OnRead(uint64_t bytes, int64_t rows) {
  if (!DueForDrawing()) return;
  const double seconds = std::chrono::duration<double>(steady_clock::now() - start_).count();
  const double rate = static_cast<double>(bytes) / seconds;
  std::string line = fmt::format("{}: {} rows, {}, {}/s", name_, rows, Mebibytes(static_cast<double>(bytes)),
                                 Mebibytes(rate));
  if (total_ && *total_ > bytes && rate > 0) {
    line += fmt::format(", {:.0f} %, {:.0f} s left",
                        100.0 * static_cast<double>(bytes) / static_cast<double>(*total_),
                        static_cast<double>(*total_ - bytes) / rate);
  }
  Draw(line);
}

void ProgressBar::OnStage(const std::string& stage) {
  if (DueForDrawing()) Draw(name_ + ": " + stage);
}

void ProgressBar::OnIndex(int64_t done, int64_t total) {
  if (DueForDrawing()) Draw(fmt::format("building the key index: {} of {} rows", done, total));
}

}  // namespace sluice::cli
