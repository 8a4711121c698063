#include <arrow/record_batch.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <functional>
#include <optional>

#include "connectors/file/file_internal.h"
#include "pipeline/backoff.h"
#include "pipeline/feeding_ingestor.h"
#include "pipeline/text_records.h"
#include "push/position.h"
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
  std::string name;  // the path as it is configured: it holds wherever the pipeline's folder is moved
  bool follow = false;
  bool from_end = false;
  std::chrono::milliseconds poll{200};
  pipeline::TextRecordsOptions text;
};

// Which file has the name just now.
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

constexpr int64_t kEpoch = int64_t{1} << pipeline::kEpochBits;

// The offset in its file.
int64_t OffsetOf(int64_t next) { return next & (kEpoch - 1); }

// What a file begins with, up to an offset: tells it again wherever it was moved or copied, and another file
// that has come to its name. `head` is a window of it, or as much as there is up to that offset.
std::string CursorOf(std::string_view head) {
  return fmt::format("{}:{}", head.size(), push::WindowDigest(head));
}

// Whether `place` is one of this file, `size` bytes long.
Result<bool> Holds(const File& file, uint64_t size, const pipeline::Place& place) {
  if (place.next < 0 || static_cast<uint64_t>(OffsetOf(place.next)) > size) return false;
  int64_t bytes = 0;
  const auto [end, error] =
      std::from_chars(place.cursor.data(), place.cursor.data() + place.cursor.size(), bytes);
  if (error != std::errc() || bytes < 0) return false;
  const auto window = std::min<uint64_t>(static_cast<uint64_t>(bytes), push::kWindowBytes);
  ASSIGN_OR_RETURN(const std::string head, file.ReadSome(0, window));
  return CursorOf(head) == place.cursor;
}

// Reads a file from a place on. Its partition is its name, its cursor says which file had that name; each
// file that comes to the name is an epoch.
class FileSource final : public pipeline::FeedSource {
 public:
  FileSource(FileOptions options, pipeline::Environment& environment)
      : options_(std::move(options)), environment_(environment) {}

  Result<std::shared_ptr<arrow::RecordBatch>> Reread(std::string_view text) const override {
    return pipeline::RereadText(options_.text, text);
  }

  Status Open(const pipeline::Places& from) override {
    const auto found = Look(options_.path);
    if (!found && !options_.follow) return NotFound("there is no file '{}'", options_.path);
    if (found && !found->is_regular) return InvalidArgument("'{}' is no plain file", options_.path);
    if (found) {
      // Rights are found out now, not in the background.
      auto file = File::Open(Disk::Real(), options_.path, O_RDONLY);
      if (!file.ok()) return std::move(file).error();
    }
    if (const auto place = from.find(options_.name); place != from.end()) from_ = place->second;
    return {};
  }

  Status Read(Feeder& feeder, const std::function<void(Status)>& tell, const std::stop_token& stop) override {
    bool is_first = true;
    while (!stop.stop_requested()) {
      const auto identity = Look(options_.path);
      Status status;
      if (identity) {
        tell({});
        status = ReadFile(feeder, *identity, is_first, stop);
        if (!options_.follow || stop.stop_requested()) return status;
      } else if (!options_.follow) {
        return NotFound("there is no file '{}'", options_.path);
      } else {
        tell(NotFound("waiting for file '{}'", options_.path));
        pipeline::SleepFor(options_.poll, stop);
      }
      is_first = false;  // a file that comes later is new as a whole
      if (!status.ok()) {
        environment_.Note("file: " + status.error().ToString());
        tell(std::move(status));
        pipeline::SleepFor(std::chrono::seconds(1), stop);
      }
    }
    return {};
  }

 private:
  // Where to begin in it.
  Result<int64_t> StartIn(const File& file, const Identity& identity, bool is_first) {
    if (!from_)
      return is_first && options_.follow && options_.from_end ? static_cast<int64_t>(identity.size) : 0;
    ASSIGN_OR_RETURN(const bool is_same, Holds(file, identity.size, *from_));
    if (is_same) return from_->next;
    if (is_first)
      environment_.Note(fmt::format("file '{}' is another one than last time: it is read from its beginning",
                                    options_.path));
    return (from_->next | (kEpoch - 1)) + 1;
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
  Status ReadFile(Feeder& feeder, const Identity& identity, bool is_first, const std::stop_token& stop) {
    ASSIGN_OR_RETURN(auto file, File::Open(Disk::Real(), options_.path, O_RDONLY));
    ASSIGN_OR_RETURN(const int64_t begin, StartIn(*file, identity, is_first));
    const int64_t start = OffsetOf(begin);
    epoch_ = begin - start;
    cursor_.clear();
    ASSIGN_OR_RETURN(head_,
                     file->ReadSome(0, std::min<uint64_t>(static_cast<uint64_t>(start), push::kWindowBytes)));
    from_ = PlaceAt(start);
    auto text = options_.text;
    RETURN_IF_ERROR(TakeHeader(*file, start, &text));
    TextRecords records(text, start);
    uint64_t at = static_cast<uint64_t>(start);
    while (!stop.stop_requested()) {
      ASSIGN_OR_RETURN(std::string bytes, file->ReadSome(at, kReadBytes));
      // Looked at behind the reading: what was read is of the same file as what was read before.
      ASSIGN_OR_RETURN(bool is_end, IsRewritten(*file));
      if (is_end) bytes.clear();
      at += bytes.size();
      head_.append(bytes, 0, push::kWindowBytes - head_.size());
      records.Append(bytes);
      if (!is_end && bytes.empty()) {
        const bool is_over = !options_.follow || IsReplaced(identity, at);
        if (!is_over) {
          RETURN_IF_ERROR(feeder.Pump(stop));
          pipeline::SleepFor(options_.poll, stop);
          continue;
        }
        is_end = true;
      }
      while (true) {
        ASSIGN_OR_RETURN(auto delivery, records.Take(is_end));
        if (!delivery) break;
        RETURN_IF_ERROR(Deliver(feeder, *std::move(delivery), stop));
      }
      if (is_end) return {};
    }
    return {};
  }

  // Another file has the name, or this one was cut.
  bool IsReplaced(const Identity& identity, uint64_t at) const {
    const auto now = Look(options_.path);
    return now && (now->text != identity.text || now->size < at);
  }

  // This file was cut and written anew, and has by now as much as was read of it, or more.
  Result<bool> IsRewritten(const File& file) const {
    if (!options_.follow) return false;
    ASSIGN_OR_RETURN(const std::string head, file.ReadSome(0, head_.size()));
    return head != head_;
  }

  // `offset`: of what was read.
  pipeline::Place PlaceAt(int64_t offset) {
    // Later it stays the same.
    const bool is_short = cursor_at_ < static_cast<int64_t>(push::kWindowBytes);
    if (cursor_.empty() || (is_short && offset != cursor_at_)) {
      // Of what was read, not of what is in the file by now: that may be another one.
      cursor_ = CursorOf(std::string_view(head_).substr(0, static_cast<size_t>(offset)));
      cursor_at_ = offset;
    }
    return pipeline::Place{epoch_ + offset, cursor_};
  }

  Status Deliver(Feeder& feeder, Delivery delivery, const std::stop_token& stop) {
    const auto place = PlaceAt(delivery.batch.next.back());
    for (int64_t& next : delivery.batch.next) next += epoch_;
    delivery.batch.partition = options_.name;
    delivery.batch.places[options_.name] = place;
    RETURN_IF_ERROR(feeder.Feed(std::move(delivery), stop));
    from_ = place;
    return {};
  }

  const FileOptions options_;
  pipeline::Environment& environment_;
  std::optional<pipeline::Place> from_;
  int64_t epoch_ = 0;   // of the file that is open
  std::string head_;    // a window of it, as it was read
  std::string cursor_;  // of it, made at cursor_at_
  int64_t cursor_at_ = 0;
};

}  // namespace

Result<std::unique_ptr<pipeline::Ingestor>> MakeFileIngestor(const pipeline::Settings& settings,
                                                             pipeline::Environment& environment) {
  FileOptions options;
  options.name = settings.text("path");
  options.path = environment.Resolve(options.name);
  options.follow = settings.boolean("follow");
  options.from_end = settings.text("start") == "end";
  options.poll = std::max(settings.duration("poll"), std::chrono::milliseconds(1));
  ASSIGN_OR_RETURN(options.text, pipeline::ReadTextOptions(settings));
  return pipeline::MakeFeedingIngestor("file", std::make_unique<FileSource>(std::move(options), environment),
                                       [&environment](const std::string& line) { environment.Note(line); });
}

}  // namespace sluice::connectors
