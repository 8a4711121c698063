#include "cli/pull_lines.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <deque>
#include <utility>

#include "base/mutex.h"

namespace sluice::cli {
namespace {

using std::chrono::steady_clock;
constexpr auto kInterval = std::chrono::milliseconds(150);
constexpr auto kQuietStart = std::chrono::milliseconds(500);

std::string Mebibytes(uint64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

}  // namespace

struct PullLines::Impl {
  explicit Impl(bool on) : enabled(on) {}

  struct Line final : poll::PullProgress {
    Line(Impl& o, std::string n) : owner(o), name(std::move(n)) {}
    void OnInput(const std::string&, std::optional<uint64_t> total_bytes) override {
      {
        MutexLock lock(owner.mutex);
        // What is told of reading is of one input.
        rows_before += std::exchange(rows, 0);
        read_before += std::exchange(read, 0);
        to_read = inputs++ == 0 ? total_bytes.value_or(0) : 0;
      }
      Set("reading");
    }
    void OnRead(uint64_t bytes_read, int64_t rows_read) override {
      MutexLock lock(owner.mutex);
      read = bytes_read;
      rows = rows_read;
      owner.Draw();
    }
    void OnStage(const std::string& text) override { Set(text); }
    void OnIndex(int64_t done_rows, int64_t total_rows) override {
      Set(fmt::format("building the key index: {} of {} rows", done_rows, total_rows));
    }
    void OnFetched(uint64_t done_bytes, uint64_t total_bytes) override {
      MutexLock lock(owner.mutex);
      done = done_bytes;
      total = total_bytes;
      owner.Draw();
    }
    void Set(const std::string& text) {
      MutexLock lock(owner.mutex);
      stage = text;
      owner.Draw();
    }
    std::string Text() const {
      const double seconds = std::chrono::duration<double>(steady_clock::now() - start).count();
      std::string text = fmt::format("{}: {}", name, stage);
      // Of what is not downloaded, what is read of it.
      const uint64_t bytes = done > 0 ? done : read_before + read;
      const uint64_t of = done > 0 ? total : to_read;
      if (bytes > 0) {
        text += ", " + Mebibytes(bytes);
        if (of > bytes) text += " of " + Mebibytes(of);
        text += fmt::format(", {}/s", Mebibytes(static_cast<uint64_t>(static_cast<double>(bytes) / seconds)));
      }
      if (rows_before + rows > 0) text += fmt::format(", {} rows", rows_before + rows);
      if (inputs > 1) text += fmt::format(", {} inputs", inputs);
      return text;
    }

    Impl& owner;
    const std::string name;
    std::string stage = "waiting";
    uint64_t done = 0, total = 0;                     // fetched
    uint64_t read_before = 0, read = 0, to_read = 0;  // of the inputs before, of this one, of the only one
    int64_t rows_before = 0, rows = 0;
    int inputs = 0;
    bool ended = false;
    steady_clock::time_point start = steady_clock::now();
  };

  void Draw() REQUIRES(mutex) {
    const auto now = steady_clock::now();
    if (!enabled || now - start < kQuietStart || now - last < kInterval) return;
    last = now;
    std::string text = Erasure();
    drawn = 0;
    for (const auto& line : lines) {
      if (line.ended) continue;
      text += "\x1b[2K" + line.Text().substr(0, 120) + "\n";
      ++drawn;
    }
    std::fputs(text.c_str(), stderr);
    std::fflush(stderr);
  }
  // Goes back to the first line drawn and takes all of them away.
  std::string Erasure() const { return drawn > 0 ? fmt::format("\x1b[{}A\x1b[J", drawn) : ""; }
  void Erase() {
    if (drawn == 0) return;
    std::fputs(Erasure().c_str(), stderr);
    std::fflush(stderr);
    drawn = 0;
  }

  const bool enabled;
  Mutex mutex;
  std::deque<Line> lines;
  int drawn = 0;
  steady_clock::time_point start = steady_clock::now(), last{};
};

PullLines::PullLines(bool enabled) : impl_(std::make_unique<Impl>(enabled)) {}
PullLines::~PullLines() { Clear(); }

poll::PullProgress* PullLines::For(const std::string& name) {
  MutexLock lock(impl_->mutex);
  return &impl_->lines.emplace_back(*impl_, name);
}

void PullLines::End(const std::string& name) {
  MutexLock lock(impl_->mutex);
  for (auto& line : impl_->lines) {
    if (line.name == name) line.ended = true;
  }
  impl_->Erase();
}

void PullLines::Clear() {
  MutexLock lock(impl_->mutex);
  impl_->Erase();
}

}  // namespace sluice::cli
