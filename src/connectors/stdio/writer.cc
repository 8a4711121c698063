#include <arrow/record_batch.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "connectors/stdio/stdio_internal.h"
#include "pipeline/record.h"

namespace sluice::connectors {
namespace {

class StdoutWriter final : public pipeline::IngestionWriter {
 public:
  explicit StdoutWriter(bool is_pretty) : is_pretty_(is_pretty) {}

  Status Open(std::stop_token) override { return {}; }

  Result<pipeline::Outcomes> Write(const pipeline::Batch& batch, std::stop_token stop) override {
    std::string text;
    for (int64_t row = 0; row < batch.rows(); ++row) {
      pipeline::AppendRecord(*batch.records, row, {.write_empty = true, .pretty = is_pretty_}, &text);
      text += '\n';
    }
    for (size_t done = 0; done < text.size();) {
      // A reader that stands still must not hold up a shutdown.
      pollfd ready{STDOUT_FILENO, POLLOUT, 0};
      while (::poll(&ready, 1, 100) == 0) {
        if (stop.stop_requested()) return Error(ErrorCode::kCancelled, "standard output is not read");
      }
      const ssize_t wrote =
          ::write(STDOUT_FILENO, text.data() + done, std::min<size_t>(text.size() - done, 1 << 16));
      if (wrote >= 0) {
        done += static_cast<size_t>(wrote);
      } else if (errno == EPIPE) {
        has_reader_ = false;
        return fatal().error();
      } else if (errno != EINTR && errno != EAGAIN) {
        return Error(ErrorCode::kUnavailable, FromErrno(errno, "cannot write standard output").message());
      }
    }
    return pipeline::Outcomes(static_cast<size_t>(batch.rows()));
  }

  Status fatal() const override {
    return has_reader_ ? OkStatus() : NotFound("nobody reads standard output any more");
  }

 private:
  const bool is_pretty_;
  std::atomic<bool> has_reader_ = true;
};

}  // namespace

Result<std::unique_ptr<pipeline::IngestionWriter>> MakeStdoutWriter(const pipeline::Settings& settings,
                                                                    pipeline::Environment&) {
  return std::unique_ptr<pipeline::IngestionWriter>(
      std::make_unique<StdoutWriter>(settings.text("format") == "pretty"));
}

}  // namespace sluice::connectors
