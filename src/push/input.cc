#include "push/input.h"

#include <poll.h>

#include <algorithm>
#include <deque>
#include <thread>

#include "base/cancel.h"
#include "push/files_internal.h"
#include "push/position.h"
#include "push/records_internal.h"

namespace sluice::push {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kReadBytes = 256 << 10;
constexpr std::chrono::milliseconds kStopEvery{50};
// A file that was under its own name so long ago was not rotated twice since.
constexpr std::chrono::seconds kSoon{2};
constexpr size_t kRemembered = 64;

class InputImpl final : public Input {
 public:
  InputImpl(std::vector<std::string> paths, const InputOptions& options, std::stop_token stop)
      : paths_(std::move(paths)), options_(options), stop_(std::move(stop)), scanner_(options.format) {}

  Status Check() {
    for (const std::string& path : paths_) {
      ASSIGN_OR_RETURN(const auto file, InputFile::Open(path));
      is_pipe_ = is_pipe_ || file->is_pipe();
      if (file->is_pipe()) continue;
      ASSIGN_OR_RETURN(const uint64_t bytes, file->Size());
      total_bytes_ += bytes;
    }
    if (is_pipe_ && paths_.size() > 1) {
      return InvalidArgument("a pipe or standard input can only be the one input of a push");
    }
    return {};
  }

  Status Seek(const std::optional<std::string>& position) override;
  Result<Batch> Next() override;

  bool Shrink() override {
    if (options_.max_rows <= 1) return false;
    options_.max_rows = std::max<uint64_t>(1, std::min(options_.max_rows, last_rows_) / 2);
    options_.max_bytes = std::max<uint64_t>(1, options_.max_bytes / 2);
    return true;
  }

  std::optional<uint64_t> total_bytes() const override {
    if (is_pipe_ || options_.follow) return std::nullopt;
    return total_bytes_;
  }

 private:
  Status SeekFile(const Position& position);
  Status SeekPipe(const std::optional<Position>& position);
  // Opens the next of the queue, from its beginning. False at the end.
  Result<bool> OpenNext();
  void StartFile(std::unique_ptr<InputFile> file);
  void FinishFile();
  bool IsNamed(const std::string& path) const { return std::ranges::find(paths_, path) != paths_.end(); }
  Status SkipTo(const Position& position);
  // Moves whole records from pending_ into the batch. False when there is none, or the batch is full.
  Result<bool> TakeRecord(Batch& batch, bool is_last);
  std::string_view rest() const { return std::string_view(pending_).substr(begin_); }
  bool IsFull(const Batch& batch) const {
    return batch.rows >= options_.max_rows || batch.bytes >= options_.max_bytes;
  }
  // What to do when no more bytes are there. kEnd: of this input, for good.
  enum class AtEnd { kMore, kEnd, kEmit };
  Result<AtEnd> Wait(const Batch& batch);
  Result<AtEnd> Rotated();
  Result<bool> IsOver();
  Result<bool> IsCopy(const std::string& name, std::optional<int64_t> renamed_ns) const;
  Result<bool> WasRead(const std::string& name) const;
  Result<bool> ReadMore();
  // Whether the file, which is followed, still holds before read_offset_ what was read there.
  Result<bool> IsAsRead() const;
  // Goes on where the position is now: the file was copied and truncated (copytruncate), or truncated only.
  Status FindAgain();
  Status WaitForPipe(std::chrono::milliseconds longest, bool& is_ready);
  Status Sleep(std::chrono::milliseconds time) const;
  Batch Finish(Batch batch);

  const std::vector<std::string> paths_;
  InputOptions options_;
  const std::stop_token stop_;
  bool is_pipe_ = false;
  uint64_t total_bytes_ = 0;

  std::deque<std::string> queue_;  // inputs after the present one
  std::unique_ptr<InputFile> file_;
  std::string pending_;  // read; from begin_ on not yet in a batch
  size_t begin_ = 0;
  size_t scanned_ = 0;  // of the first record behind begin_
  uint64_t read_offset_ = 0;
  std::string read_tail_;  // what stood before read_offset_ when it was read: a window
  bool is_gone_ = false;   // what was read of the file was truncated away, and is nowhere else
  PositionTracker tracker_;
  RecordScanner scanner_;
  std::optional<std::string> header_;  // of the present input
  Clock::time_point first_record_{};
  Clock::time_point seen_at_{};        // under its own name, the file that is followed
  int64_t seen_ns_ = 0;                // as Position::seen_ns
  Clock::time_point grew_at_{};        // a file that was rotated
  bool was_moved_ = false;             // the file that is followed is another one by now
  std::optional<int64_t> renamed_ns_;  // when that was, if it was once
  std::deque<Position> done_;          // files that were read to their end
  uint64_t last_rows_ = 0;

  // Of a pipe: what the last batch was made of, for going back.
  std::optional<std::string> last_start_;
  std::string last_raw_;
  PositionTracker last_tracker_;
  std::optional<std::string> last_header_;
};

Status InputImpl::Seek(const std::optional<std::string>& text) {
  if (is_pipe_ && file_ != nullptr) {
    if (text != last_start_) {
      return MakeError(ErrorCode::kPrecondition, "'{}' is a pipe and cannot be gone back in", paths_[0]);
    }
    pending_.replace(0, begin_, last_raw_);
    begin_ = 0;
    last_raw_.clear();
    tracker_ = last_tracker_;
    header_ = last_header_;
    scanned_ = 0;
    scanner_.Reset();
    return {};
  }
  std::optional<Position> position;
  if (text) {
    auto parsed = ParsePosition(*text);
    if (!parsed.ok()) return MakeError(ErrorCode::kPrecondition, "{}", parsed.error().message());
    position = std::move(*parsed);
  }
  last_start_ = text;
  file_.reset();
  done_.clear();  // they may be behind it now
  queue_.assign(paths_.begin(), paths_.end());
  if (is_pipe_) return SeekPipe(position);
  if (position && position->offset > 0) return SeekFile(*position);
  return {};
}

Status InputImpl::SeekFile(const Position& position) {
  // Several may hold it, copies for one: then it is the very file, or the one of that name, or the first.
  std::unique_ptr<InputFile> best;
  int best_rank = 0;
  std::deque<std::string> rest;
  const auto consider = [&](const std::string& path, auto behind) -> Status {
    auto file = InputFile::Open(path);
    if (!file.ok() && file.error().code() == ErrorCode::kNotFound) return {};
    if (!file.ok()) return std::move(file).error();
    ASSIGN_OR_RETURN(const bool holds, (*file)->Holds(position));
    const int rank = !holds                                 ? 0
                     : (*file)->identity() == position.file ? 3
                     : BaseName(path) == position.name      ? 2
                                                            : 1;
    if (rank <= best_rank) return {};
    best_rank = rank;
    best = std::move(*file);
    rest = behind();
    return {};
  };
  for (size_t i = 0; i < paths_.size(); ++i) {
    RETURN_IF_ERROR(consider(paths_[i], [&] {
      return std::deque<std::string>(paths_.begin() + static_cast<long>(i) + 1, paths_.end());
    }));
  }
  for (size_t i = 0; i < paths_.size() && best_rank < 3; ++i) {
    const std::vector<std::string> rotated = RotatedNames(paths_[i]);
    for (size_t j = 0; j < rotated.size(); ++j) {
      if (IsNamed(rotated[j])) continue;
      // Behind a rotated file come those that were rotated after it, then the input itself.
      RETURN_IF_ERROR(consider(rotated[j], [&] {
        std::deque<std::string> behind;
        for (size_t k = j + 1; k < rotated.size(); ++k) {
          if (!IsNamed(rotated[k])) behind.push_back(rotated[k]);
        }
        behind.insert(behind.end(), paths_.begin() + static_cast<long>(i), paths_.end());
        return behind;
      }));
    }
  }
  queue_.clear();
  if (best == nullptr) {
    return MakeError(
        ErrorCode::kPrecondition,
        "the source stands at byte {} of '{}', which is none of the inputs, or was changed since",
        position.offset, position.name);
  }
  StartFile(std::move(best));
  if (best_rank == 3) {
    seen_ns_ = std::max(seen_ns_, position.seen_ns);
  } else {
    grew_at_ = {};  // nobody writes to a copy
  }
  for (std::string& path : rest) {
    // Inputs that were named are taken whatever they hold.
    bool is_copy = false;
    if (!IsNamed(path)) {
      ASSIGN_OR_RETURN(is_copy, IsCopy(path, std::nullopt));
    }
    if (!is_copy) queue_.push_back(std::move(path));
  }
  return SkipTo(position);
}

// Whether a neighbour of what is read now holds nothing new.
Result<bool> InputImpl::IsCopy(const std::string& name, std::optional<int64_t> renamed_ns) const {
  // What took the place of this file was made when it had left it: not before it was seen there.
  if (const auto made = MadeNs(name); made && *made < seen_ns_) return true;
  ASSIGN_OR_RETURN(const bool was_read, WasRead(name));
  if (was_read) return true;
  ASSIGN_OR_RETURN(const bool is_older, IsOlderCopy(name, *file_, renamed_ns));
  if (is_older) return true;
  return IsNamedCopy(name, RotatedNames(paths_.back()));
}

// To its end, and it is still the same.
Result<bool> InputImpl::WasRead(const std::string& name) const {
  const auto there = LookAt(name);
  const auto done = std::ranges::find_if(
      done_, [&](const Position& read) { return there && read.file == there->identity; });
  if (done == done_.end()) return false;
  const auto file = InputFile::Open(name);
  if (!file.ok()) return false;  // gone again
  return (*file)->Holds(*done);
}

// Behind the position in a file; its header is read again.
Status InputImpl::SkipTo(const Position& position) {
  const uint64_t tail_bytes = std::min(position.offset, kWindowBytes);
  ASSIGN_OR_RETURN(const std::string head, file_->ReadAt(0, position.head_bytes));
  ASSIGN_OR_RETURN(const std::string tail, file_->ReadAt(position.offset - tail_bytes, tail_bytes));
  tracker_ = PositionTracker(position.offset, head, tail);
  read_offset_ = position.offset;
  read_tail_ = tail;
  if (!options_.has_header) return {};
  std::string first;
  RecordScanner scanner(options_.format);
  size_t scanned = 0, end = std::string::npos;
  while (end == std::string::npos && first.size() < position.offset) {
    ASSIGN_OR_RETURN(
        const std::string piece,
        file_->ReadAt(first.size(), std::min<uint64_t>(kReadBytes, position.offset - first.size())));
    if (piece.empty()) break;
    first += piece;
    end = scanner.FindEnd(first, scanned);
    scanned = first.size();
  }
  header_ = first.substr(0, end);
  return {};
}

Status InputImpl::SeekPipe(const std::optional<Position>& position) {
  ASSIGN_OR_RETURN(auto file, InputFile::Open(paths_[0]));
  queue_.clear();
  StartFile(std::move(file));
  if (!position || position->offset == 0) return {};
  // What begins as before is taken for a repeat.
  const auto fill = [this](uint64_t bytes) -> Status {
    while (rest().size() < bytes) {
      ASSIGN_OR_RETURN(const bool has_more, ReadMore());
      if (!has_more) break;
    }
    return {};
  };
  RETURN_IF_ERROR(fill(position->head_bytes));
  if (rest().size() < position->head_bytes ||
      WindowDigest(rest().substr(0, position->head_bytes)) != position->head) {
    return {};
  }
  const size_t header_end =
      options_.has_header ? RecordScanner(options_.format).FindEnd(rest(), 0) : std::string::npos;
  if (options_.has_header) header_ = rest().substr(0, header_end);
  while (tracker_.offset() < position->offset) {
    RETURN_IF_ERROR(fill(1));
    if (rest().empty()) {
      return MakeError(
          ErrorCode::kPrecondition,
          "'{}' begins like what was pushed before, but ends at byte {}, before byte {} where the "
          "source stands",
          file_->path(), tracker_.offset(), position->offset);
    }
    const size_t take = std::min<uint64_t>(rest().size(), position->offset - tracker_.offset());
    tracker_.Add(rest().substr(0, take));
    begin_ += take;
  }
  if (tracker_.At().tail != position->tail) {
    return MakeError(ErrorCode::kPrecondition,
                     "'{}' begins like what was pushed before, but differs from it before byte {}",
                     file_->path(), position->offset);
  }
  return {};
}

void InputImpl::StartFile(std::unique_ptr<InputFile> file) {
  file_ = std::move(file);
  seen_at_ = file_->path() == paths_.back() ? Clock::now() : Clock::time_point();
  const auto there = IsNamed(file_->path()) ? LookAt(file_->path()) : std::nullopt;
  seen_ns_ = there && there->identity == file_->identity() ? there->changed_ns : 0;
  was_moved_ = false;
  // A file that was rotated long ago is quiet; that of one just now cannot be told.
  grew_at_ = {};
  if (const auto changed = file_->ChangedNs(); changed.ok() && !IsNamed(file_->path())) {
    const auto now = std::chrono::system_clock::now();
    const auto quiet = now.time_since_epoch() - std::chrono::nanoseconds(*changed);
    if (quiet < options_.rotated_quiet) grew_at_ = Clock::now() - std::max(quiet, decltype(quiet)::zero());
  }
  pending_.clear();
  begin_ = scanned_ = 0;
  read_offset_ = 0;
  read_tail_.clear();
  is_gone_ = false;
  tracker_ = PositionTracker();
  scanner_.Reset();
  header_.reset();
}

void InputImpl::FinishFile() {
  if (!file_->is_pipe() && !is_gone_ && tracker_.offset() > 0) {
    Position position = tracker_.At();
    position.file = file_->identity();
    done_.push_back(std::move(position));
    if (done_.size() > kRemembered) done_.pop_front();
  }
  file_.reset();
}

Result<bool> InputImpl::OpenNext() {
  if (queue_.empty()) return false;
  auto file = InputFile::Open(queue_.front());
  while (!file.ok() && file.error().code() == ErrorCode::kNotFound && options_.follow) {
    RETURN_IF_ERROR(Sleep(options_.poll_interval));  // it is being rotated
    file = InputFile::Open(queue_.front());
  }
  if (!file.ok()) return std::move(file).error();
  queue_.pop_front();
  StartFile(std::move(*file));
  return true;
}

Result<bool> InputImpl::ReadMore() {
  if (file_->is_pipe()) {
    bool is_ready = false;
    while (!is_ready) RETURN_IF_ERROR(WaitForPipe(kStopEvery, is_ready));
  }
  if (is_gone_) return false;
  ASSIGN_OR_RETURN(const std::string piece, file_->ReadAt(read_offset_, kReadBytes));
  if (read_offset_ == 0) RETURN_IF_ERROR(CheckNotCompressed(piece, file_->path()));
  if (!piece.empty()) grew_at_ = Clock::now();
  if (options_.follow && !file_->is_pipe() && queue_.empty()) {
    // Looked at after reading: the piece is of the file that was read before, or is not used.
    ASSIGN_OR_RETURN(const bool is_as_read, IsAsRead());
    if (!is_as_read) {
      RETURN_IF_ERROR(FindAgain());
      return !is_gone_;
    }
    read_tail_ += piece;
    if (read_tail_.size() > kWindowBytes) read_tail_.erase(0, read_tail_.size() - kWindowBytes);
  }
  pending_.erase(0, begin_);
  begin_ = 0;
  pending_ += piece;
  read_offset_ += piece.size();
  return !piece.empty();
}

Result<bool> InputImpl::IsAsRead() const {
  ASSIGN_OR_RETURN(const std::string there,
                   file_->ReadAt(read_offset_ - read_tail_.size(), read_tail_.size()));
  return there == read_tail_;
}

Status InputImpl::FindAgain() {
  const Position position = tracker_.At();
  if (position.offset > 0) {
    auto found = SeekFile(position);
    if (found.ok() || found.error().code() != ErrorCode::kPrecondition) return found;
    // Nowhere, though the file begins as before: it was changed, and from its beginning all would come twice.
    ASSIGN_OR_RETURN(const std::string head, file_->ReadAt(0, position.head_bytes));
    if (WindowDigest(head) == position.head) return found;
  }
  is_gone_ = true;
  pending_.clear();  // a record that never ended is gone
  begin_ = scanned_ = 0;
  scanner_.Reset();
  queue_.push_back(paths_.back());
  return {};
}

Result<bool> InputImpl::TakeRecord(Batch& batch, bool is_last) {
  const std::string_view bytes = rest();
  size_t end = scanner_.FindEnd(bytes, scanned_);
  scanned_ = bytes.size();
  if (end == std::string::npos) {
    if (bytes.size() > options_.max_record_bytes) {
      return MakeError(ErrorCode::kInvalidRecords, "'{}': the record at byte {} has no end within {} bytes{}",
                       file_->path(), tracker_.offset(), options_.max_record_bytes,
                       options_.format == RecordFormat::kCsv ? "; is a quote left open?" : "");
    }
    if (!is_last || bytes.empty()) return false;
    end = bytes.size();
  }
  const std::string_view record = bytes.substr(0, end);
  tracker_.Add(record);
  if (options_.has_header && !header_) {
    header_ = record;
  } else {
    if (batch.body.empty() && header_) {
      batch.body = *header_;
      if (!batch.body.ends_with('\n')) batch.body += '\n';
    }
    if (batch.bytes == 0) first_record_ = Clock::now();
    batch.body += record;
    batch.bytes += record.size();
    batch.rows += IsBlank(record) ? 0 : 1;
  }
  if (is_pipe_) last_raw_ += record;
  begin_ += end;
  scanned_ = 0;
  scanner_.Reset();
  return true;
}

Batch InputImpl::Finish(Batch batch) {
  Position position = tracker_.At();
  position.file = file_->identity();
  position.name = file_->is_pipe() ? "-" : BaseName(file_->path());
  position.seen_ns = seen_ns_;
  batch.position = FormatPosition(position);
  batch.origin = file_->path();
  last_rows_ = batch.rows;
  return batch;
}

Result<Batch> InputImpl::Next() {
  Batch batch;
  if (is_pipe_ && file_ != nullptr) {
    const Position at = tracker_.At();
    if (!last_raw_.empty()) {
      Position start = at;
      start.name = "-";
      last_start_ = FormatPosition(start);
    }
    last_tracker_ = tracker_;
    last_header_ = header_;
    last_raw_.clear();
  }
  while (true) {
    RETURN_IF_ERROR(CheckCancelled(stop_));
    if (file_ == nullptr) {
      ASSIGN_OR_RETURN(const bool has_next, OpenNext());
      if (!has_next) return batch;
    }
    while (!IsFull(batch)) {
      ASSIGN_OR_RETURN(const bool has_taken, TakeRecord(batch, false));
      if (!has_taken) break;
    }
    if (IsFull(batch)) {
      if (batch.rows > 0) return Finish(std::move(batch));
      batch = {};  // blank lines
      continue;
    }
    ASSIGN_OR_RETURN(const AtEnd at_end, Wait(batch));
    if (at_end == AtEnd::kEmit) return Finish(std::move(batch));
    if (at_end == AtEnd::kMore) continue;
    // A last record without a line end.
    ASSIGN_OR_RETURN(const bool has_last, TakeRecord(batch, true));
    if (has_last || batch.rows > 0) {
      if (batch.rows > 0) return Finish(std::move(batch));
      continue;
    }
    if (is_pipe_) return batch;
    FinishFile();
    batch = {};  // blank lines at the most
  }
}

Result<InputImpl::AtEnd> InputImpl::Wait(const Batch& batch) {
  const bool is_waiting = batch.rows > 0;
  if (file_->is_pipe()) {
    bool is_ready = false;
    while (!is_ready) {
      if (is_waiting && Clock::now() >= first_record_ + options_.max_age) return AtEnd::kEmit;
      RETURN_IF_ERROR(WaitForPipe(kStopEvery, is_ready));
    }
    ASSIGN_OR_RETURN(const bool has_more, ReadMore());
    return has_more ? AtEnd::kMore : AtEnd::kEnd;
  }
  ASSIGN_OR_RETURN(const bool has_more, ReadMore());
  if (has_more) return AtEnd::kMore;
  if (!options_.follow) return AtEnd::kEnd;
  if (!queue_.empty()) {
    bool is_over = IsNamed(file_->path());
    if (!is_over) {
      ASSIGN_OR_RETURN(is_over, IsOver());
    }
    if (is_over) return AtEnd::kEnd;
  }
  if (is_waiting && Clock::now() >= first_record_ + options_.max_age) return AtEnd::kEmit;
  if (queue_.empty()) {
    ASSIGN_OR_RETURN(const AtEnd rotated, Rotated());
    if (rotated != AtEnd::kMore) return rotated;
  }
  RETURN_IF_ERROR(Sleep(options_.poll_interval));
  return AtEnd::kMore;
}

// Whether nothing more will come to a file that was rotated.
Result<bool> InputImpl::IsOver() {
  if (Clock::now() >= grew_at_ + options_.rotated_quiet) return true;
  if (!file_->IsClosed()) return false;
  // What was written before it was closed.
  ASSIGN_OR_RETURN(const bool has_more, ReadMore());
  return !has_more;
}

// Whether the file that is followed is another one by now.
Result<InputImpl::AtEnd> InputImpl::Rotated() {
  const std::string& path = paths_.back();
  const auto now = LookAt(path);
  if (!now) return AtEnd::kMore;  // being rotated
  if (now->identity == file_->identity()) {
    seen_at_ = Clock::now();
    seen_ns_ = std::max(seen_ns_, now->changed_ns);
    return AtEnd::kMore;
  }
  if (!was_moved_) {
    was_moved_ = true;
    grew_at_ = Clock::now();
    renamed_ns_.reset();
    if (seen_at_ + kSoon > Clock::now()) {
      ASSIGN_OR_RETURN(renamed_ns_, file_->ChangedNs());
    }
  }
  // What was written to it before it was closed.
  ASSIGN_OR_RETURN(const bool has_more, ReadMore());
  if (has_more) return AtEnd::kMore;
  ASSIGN_OR_RETURN(const bool is_over, IsOver());
  if (!is_over) return AtEnd::kMore;
  // It may have been rotated more than once meanwhile.
  const std::vector<std::string> names = RotatedNames(path);
  const auto ours = std::ranges::find_if(names, [this](const std::string& name) {
    const auto there = LookAt(name);
    return there && there->identity == file_->identity();
  });
  for (const std::string& name :
       std::ranges::subrange(std::ranges::next(ours, 1, names.end()), names.end())) {
    ASSIGN_OR_RETURN(const bool is_copy, IsCopy(name, renamed_ns_));
    if (!is_copy) queue_.push_back(name);
  }
  queue_.push_back(path);
  return AtEnd::kEnd;
}

Status InputImpl::WaitForPipe(std::chrono::milliseconds longest, bool& is_ready) {
  RETURN_IF_ERROR(CheckCancelled(stop_));
  pollfd ready{file_->fd(), POLLIN, 0};
  is_ready = ::poll(&ready, 1, static_cast<int>(longest.count())) > 0;
  return {};
}

Status InputImpl::Sleep(std::chrono::milliseconds time) const {
  const auto until = Clock::now() + time;
  while (Clock::now() < until) {
    RETURN_IF_ERROR(CheckCancelled(stop_));
    std::this_thread::sleep_for(std::min(kStopEvery, time));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Input>> Input::Open(std::vector<std::string> paths, const InputOptions& options,
                                           std::stop_token stop) {
  auto input = std::make_unique<InputImpl>(std::move(paths), options, std::move(stop));
  RETURN_IF_ERROR(input->Check());
  return std::unique_ptr<Input>(std::move(input));
}

}  // namespace sluice::push
