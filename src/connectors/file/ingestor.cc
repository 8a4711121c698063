#include <arrow/record_batch.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <mutex>
#include <thread>

#include "connectors/file/file_internal.h"
#include "pipeline/backoff.h"
#include "pipeline/feeder.h"
#include "pipeline/text_records.h"
#include "storage/disk.h"

namespace sluice::connectors {
namespace {

using pipeline::Delivery;
using pipeline::Feeder;
using pipeline::TextRecords;
using storage::Disk;
using storage::File;

constexpr uint64_t kReadBytes = 1 << 20;

struct FileOptions {
  std::string path;
  bool follow = false;
  bool from_end = false;
  std::chrono::milliseconds poll{200};
  pipeline::TextRecordsOptions text;
};

// Which file it is: a name may come to mean another one.
struct Identity {
  std::string text;
  uint64_t size = 0;
  bool is_regular = true;
};

std::optional<Identity> Look(const std::string& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  return Identity{fmt::format("{}:{}", info.st_dev, info.st_ino), static_cast<uint64_t>(info.st_size),
                  S_ISREG(info.st_mode)};
}

// Reads a file from a place on. Its partition is its path; its cursor says which file had that path.
class FileIngestor final : public pipeline::Ingestor {
 public:
  FileIngestor(FileOptions options, pipeline::Environment& environment)
      : options_(std::move(options)), environment_(environment) {}
  ~FileIngestor() override { static_cast<void>(Stop(std::chrono::milliseconds(0))); }

  Status Start(pipeline::Intake& intake, const pipeline::Places& from) override {
    const auto found = Look(options_.path);
    if (!found && !options_.follow) return NotFound("there is no file '{}'", options_.path);
    if (found && !found->is_regular) return InvalidArgument("'{}' is no plain file", options_.path);
    if (found) {
      // Rights are found out now, not in the background.
      auto file = File::Open(Disk::Real(), options_.path, O_RDONLY);
      if (!file.ok()) return std::move(file).error();
    }
    if (const auto place = from.find(options_.path); place != from.end()) from_ = place->second;
    feeder_ = std::make_unique<Feeder>(intake);
    thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
    return {};
  }
  Status Stop(std::chrono::milliseconds deadline) override {
    if (!thread_.joinable()) return {};
    const auto until = std::chrono::steady_clock::now() + deadline;
    thread_.request_stop();
    thread_.join();
    feeder_->WaitUntil(until, {});
    return {};
  }
  bool is_finished() const override { return is_finished_; }
  Status health() const override {
    std::lock_guard lock(mutex_);
    return health_;
  }

 private:
  void SetHealth(Status status) {
    std::lock_guard lock(mutex_);
    health_ = std::move(status);
  }

  void Run(const std::stop_token& stop) {
    bool is_first = true;
    while (!stop.stop_requested()) {
      const auto identity = Look(options_.path);
      if (!identity) {
        SetHealth(NotFound("waiting for file '{}'", options_.path));
        is_first = false;  // a file that comes later is new as a whole
        pipeline::SleepFor(options_.poll, stop);
        continue;
      }
      Status status = ReadFile(*identity, is_first, stop);
      is_first = false;
      if (stop.stop_requested()) return;
      if (!status.ok()) {
        environment_.Note("file: " + status.error().ToString());
        SetHealth(std::move(status));
        if (!options_.follow || !pipeline::SleepFor(std::chrono::seconds(1), stop)) return;
      } else if (!options_.follow) {
        while (!stop.stop_requested() && !is_finished_) {
          is_finished_ = feeder_->WaitUntil(std::chrono::steady_clock::now() + std::chrono::seconds(1), stop);
        }
        return;
      }
    }
  }

  // Where to begin in it.
  int64_t StartIn(const Identity& identity, bool is_first) {
    if (from_) {
      const pipeline::Place place = *from_;
      const bool is_same = place.cursor == identity.text && place.next >= 0 &&
                           static_cast<uint64_t>(place.next) <= identity.size;
      if (is_same) return place.next;
      if (is_first)
        environment_.Note(fmt::format(
            "file '{}' is another one than last time: it is read from its beginning", options_.path));
      return 0;
    }
    return is_first && options_.follow && options_.from_end ? static_cast<int64_t>(identity.size) : 0;
  }

  // CSV: the names of the columns stand at the beginning, wherever the reading goes on.
  Status TakeHeader(const File& file, int64_t start, pipeline::TextRecordsOptions* text) const {
    if (text->format != pipeline::TextFormat::kCsv || !text->columns.empty() || start == 0) return {};
    ASSIGN_OR_RETURN(const std::string head, file.ReadSome(0, kReadBytes));
    std::string_view line = std::string_view(head).substr(0, head.find('\n'));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with("\xef\xbb\xbf")) line.remove_prefix(3);
    auto names = pipeline::SplitCsv(line, text->delimiter);
    if (!names) return InvalidArgument("the header '{}' is no CSV", line);
    text->columns = *std::move(names);
    return {};
  }

  // Until its end; when following until another file has its name.
  Status ReadFile(const Identity& identity, bool is_first, const std::stop_token& stop) {
    ASSIGN_OR_RETURN(auto file, File::Open(Disk::Real(), options_.path, O_RDONLY));
    const int64_t start = StartIn(identity, is_first);
    from_ = pipeline::Place{start, identity.text};
    auto text = options_.text;
    RETURN_IF_ERROR(TakeHeader(*file, start, &text));
    TextRecords records(text, start);
    uint64_t at = static_cast<uint64_t>(start);
    SetHealth({});
    while (!stop.stop_requested()) {
      ASSIGN_OR_RETURN(const std::string bytes, file->ReadSome(at, kReadBytes));
      at += bytes.size();
      records.Append(bytes);
      bool is_end = false;
      if (bytes.empty()) {
        const bool is_over = !options_.follow || IsReplaced(identity, at);
        if (!is_over) {
          RETURN_IF_ERROR(feeder_->Pump(stop));
          pipeline::SleepFor(options_.poll, stop);
          continue;
        }
        is_end = true;
      }
      while (true) {
        ASSIGN_OR_RETURN(auto delivery, records.Take(is_end));
        if (!delivery) break;
        RETURN_IF_ERROR(Deliver(*std::move(delivery), identity, stop));
      }
      if (is_end) {
        if (options_.follow) from_.reset();  // what comes is read from its beginning
        return {};
      }
    }
    return {};
  }

  // Another file has the name, or this one was cut.
  bool IsReplaced(const Identity& identity, uint64_t at) const {
    const auto now = Look(options_.path);
    return now && (now->text != identity.text || now->size < at);
  }

  Status Deliver(Delivery delivery, const Identity& identity, const std::stop_token& stop) {
    delivery.batch.partition = options_.path;
    delivery.batch.places[options_.path] = {delivery.batch.next.back(), identity.text};
    from_ = delivery.batch.places[options_.path];
    return feeder_->Feed(std::move(delivery), stop);
  }

  const FileOptions options_;
  pipeline::Environment& environment_;
  std::unique_ptr<Feeder> feeder_;
  std::optional<pipeline::Place> from_;
  std::atomic<bool> is_finished_ = false;
  mutable std::mutex mutex_;
  Status health_;
  std::jthread thread_;
};

}  // namespace

Result<std::unique_ptr<pipeline::Ingestor>> MakeFileIngestor(const pipeline::Settings& settings,
                                                             pipeline::Environment& environment) {
  FileOptions options;
  options.path = environment.Resolve(settings.text("path"));
  options.follow = settings.boolean("follow");
  options.from_end = settings.text("start") == "end";
  options.poll = std::max(settings.duration("poll"), std::chrono::milliseconds(1));
  if (settings.text("format") == "csv") options.text.format = pipeline::TextFormat::kCsv;
  if (settings.text("delimiter").size() != 1)
    return settings.Complain("delimiter",
                             fmt::format("'{}' is not one character", settings.text("delimiter")));
  options.text.delimiter = settings.text("delimiter")[0];
  options.text.columns = settings.texts("columns");
  return std::unique_ptr<pipeline::Ingestor>(std::make_unique<FileIngestor>(std::move(options), environment));
}

}  // namespace sluice::connectors
