#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

#include "connectors/stdio/stdio_internal.h"
#include "pipeline/feeding_ingestor.h"
#include "pipeline/text_records.h"

namespace sluice::connectors {
namespace {

using pipeline::Feeder;
using pipeline::TextRecords;

constexpr int kPollMillis = 100;
constexpr size_t kReadBytes = 256 << 10;

class StandardInput final : public pipeline::FeedSource {
 public:
  explicit StandardInput(pipeline::TextRecordsOptions options) : options_(std::move(options)) {}

  Status Read(Feeder& feeder, const std::function<void(Status)>&, const std::stop_token& stop) override {
    TextRecords records(options_);
    std::string buffer(kReadBytes, '\0');
    for (bool is_end = false; !is_end;) {
      pollfd ready{STDIN_FILENO, POLLIN, 0};
      while (::poll(&ready, 1, kPollMillis) == 0) {
        if (stop.stop_requested()) return Error(ErrorCode::kCancelled, "stopped");
        RETURN_IF_ERROR(feeder.Pump(stop));
      }
      const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return FromErrno(errno, "cannot be read");
      is_end = got == 0;
      records.Append(std::string_view(buffer.data(), static_cast<size_t>(got)));
      while (true) {
        ASSIGN_OR_RETURN(auto delivery, records.Take(is_end));
        if (!delivery) break;
        delivery->batch.next.clear();
        RETURN_IF_ERROR(feeder.Feed(*std::move(delivery), stop));
      }
    }
    return {};
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Reread(std::string_view text) const override {
    return pipeline::RereadText(options_, text);
  }

 private:
  const pipeline::TextRecordsOptions options_;
};

}  // namespace

Result<std::unique_ptr<pipeline::Ingestor>> MakeStdinIngestor(const pipeline::Settings& settings,
                                                              pipeline::Environment& environment) {
  ASSIGN_OR_RETURN(auto options, pipeline::ReadTextOptions(settings));
  return pipeline::MakeFeedingIngestor("standard input", std::make_unique<StandardInput>(std::move(options)),
                                       [&environment](const std::string& line) { environment.Note(line); });
}

}  // namespace sluice::connectors
