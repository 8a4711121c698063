#include "fetch/download.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <thread>

#include "base/cancel.h"
#include "base/mutex.h"
#include "base/random.h"
#include "fetch/address.h"
#include "fetch/streams.h"
#include "net/http_client.h"
#include "net/http_condition.h"
#include "read/rejects.h"

namespace sluice::fetch {
namespace {

constexpr size_t kReadBytes = 1 << 20;
constexpr uint64_t kErrorBodyBytes = 4 << 20;
constexpr int kMostAttempts = 200;  // however much each of them brings
constexpr std::chrono::seconds kLongestRetryAfter{120};
constexpr std::chrono::seconds kWaitAfterRefusal{2};

// A file descriptor that closes itself.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd() { Reset(); }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  void Reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// `bytes 5-9/100` -> 5 and 100 (0 = not said).
bool ParseContentRange(std::string_view text, uint64_t* start, uint64_t* total) {
  if (!text.starts_with("bytes ")) return false;
  text.remove_prefix(6);
  const char* end = text.data() + text.size();
  auto number = std::from_chars(text.data(), end, *start);
  if (number.ec != std::errc() || number.ptr == end || *number.ptr != '-') return false;
  const size_t slash = text.find('/');
  *total = 0;
  if (slash == std::string_view::npos) return false;
  std::from_chars(text.data() + slash + 1, end, *total);
  return true;
}

// Empty for bytes that are no text: HTTP allows them, the source states of a dataset do not.
std::string ValidatorIn(const net::Headers& headers, std::string_view name) {
  std::string value = headers.Find(name).value_or("");
  return read::IsUtf8(value) ? value : std::string();
}

// In lower case, as nobody cares; empty for none, nothing where none is named.
std::optional<std::string> EncodingIn(const net::Headers& headers) {
  auto encoding = headers.Find("Content-Encoding");
  if (!encoding) return std::nullopt;
  for (char& c : *encoding) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return *encoding == "identity" ? std::string() : *encoding;
}

}  // namespace

struct Download::Shared {
  Shared(DownloadSpec s, const FetchContext& c, Savepoint p)
      : spec(std::move(s)), context(c), savepoint(std::move(p)) {}

  const DownloadSpec spec;
  const FetchContext context;
  const Savepoint savepoint;

  mutable Mutex mutex;
  CondVar changed;
  // Under the mutex.
  std::optional<Start> start;
  std::optional<Error> error;
  bool done = false;
  bool stopped = false;
  int generation = 0;    // raised when the body begins anew
  int opened = 0;        // generation that was opened last
  uint64_t arrived = 0;  // bytes of this generation in the file
  DownloadInfo info;
  std::string note;

  // Of the download's thread alone.
  std::optional<DownloadInfo> saved;  // complete, from an earlier run
  Fd file;
  std::unique_ptr<ContentHash> hash;
  bool body_began = false;  // in this attempt
  int generations_begun = 0;

  std::jthread thread;
  std::unique_ptr<std::stop_callback<std::function<void()>>> on_stop;

  void Run(std::stop_token stop);
  Result<bool> Attempt(net::HttpClient& client, const std::stop_token& stop,
                       std::optional<std::chrono::milliseconds>* retry_after);
  net::HttpCall MakeCall(uint64_t have);
  Status OnHeaders(int status, const net::Headers& headers, uint64_t have);
  Status OnBytes(std::string_view bytes);
  Status BeginBody();
  Status ContinueBody();
  Status Finish();
  void Settle(Start how);
  void Fail(Error e);
  bool Pause(std::chrono::milliseconds time, const std::stop_token& stop);
  uint64_t Have() const {
    MutexLock lock(mutex);
    return file.get() >= 0 && !info.StrongValidator().empty() ? arrived : 0;
  }
};

namespace {

// Reads a body while it arrives.
class ArrivingSource final : public read::ByteSource {
 public:
  ArrivingSource(std::shared_ptr<Download::Shared> shared, std::string name, int fd, int generation)
      : shared_(std::move(shared)), name_(std::move(name)), fd_(fd), generation_(generation) {}

  Result<size_t> Read(char* buffer, size_t size) override {
    ASSIGN_OR_RETURN(const uint64_t until, WaitFor(false));
    const size_t wanted = static_cast<size_t>(std::min<uint64_t>(size, until - position_));
    if (wanted == 0) return size_t{0};
    while (true) {
      const ssize_t n = ::pread(fd_.get(), buffer, wanted, static_cast<off_t>(position_));
      if (n > 0) {
        position_ += static_cast<uint64_t>(n);
        return static_cast<size_t>(n);
      }
      if (n == 0) return Error(ErrorCode::kUnavailable, "the downloaded file was cut");
      if (errno != EINTR) return FromErrno(errno, "cannot read what was downloaded");
    }
  }
  const std::string& name() const override { return name_; }
  std::optional<uint64_t> size() const override {
    MutexLock lock(shared_->mutex);
    return shared_->info.total_bytes > 0 ? std::optional(shared_->info.total_bytes) : std::nullopt;
  }
  // Waits for the end: whoever opens the file wants all of it.
  std::optional<std::string> local_path() const override {
    if (!WaitFor(true).ok()) return std::nullopt;
    return shared_->savepoint.body_path();
  }

 private:
  // Until there is something to read, or (`all`) nothing more to come; how far the file goes then.
  Result<uint64_t> WaitFor(bool all) const {
    auto& s = *shared_;
    MutexLock lock(s.mutex);
    s.changed.Wait(s.mutex, [&]() NO_THREAD_SAFETY_ANALYSIS {
      return s.error || s.done || s.stopped || s.generation != generation_ || (!all && s.arrived > position_);
    });
    if (s.generation != generation_) {
      return MakeError(ErrorCode::kConflict,
                       "the content changed while it was downloaded; the download has begun anew");
    }
    if (!all && s.arrived > position_) return s.arrived;
    if (s.error) return *s.error;
    if (!s.done) return Error(ErrorCode::kCancelled, "interrupted");
    return s.arrived;
  }

  std::shared_ptr<Download::Shared> shared_;
  std::string name_;
  Fd fd_;
  int generation_;
  uint64_t position_ = 0;
};

}  // namespace

net::HttpCall Download::Shared::MakeCall(uint64_t have) {
  net::HttpCall call;
  call.url = spec.url;
  call.headers = spec.headers;
  if (!call.headers.Contains("Accept-Encoding")) call.headers.Add("Accept-Encoding", "gzip, zstd");
  call.connect_timeout = context.http.connect_timeout;
  call.stall_timeout = context.http.stall_timeout;
  call.max_redirects = context.http.max_redirects;
  call.max_body_bytes = kErrorBodyBytes;
  MutexLock lock(mutex);
  if (have > 0) {
    call.headers.Set("Range", fmt::format("bytes={}-", have));
    call.headers.Set("If-Range", info.StrongValidator());
    // A range is of the bytes as sent: ask for the same encoding.
    call.headers.Set("Accept-Encoding", info.content_encoding.empty() ? "identity" : info.content_encoding);
  } else if (saved && saved->HasValidator()) {
    if (!saved->etag.empty()) call.headers.Set("If-None-Match", saved->etag);
    if (saved->etag.empty()) call.headers.Set("If-Modified-Since", saved->last_modified);
  } else if (!saved) {
    if (!spec.known_etag.empty()) call.headers.Set("If-None-Match", spec.known_etag);
    if (!spec.known_last_modified.empty()) call.headers.Set("If-Modified-Since", spec.known_last_modified);
  }
  return call;
}

Status Download::Shared::OnHeaders(int status, const net::Headers& headers, uint64_t have) {
  body_began = false;
  if (status == 206 && have > 0) {
    uint64_t start = 0, total = 0;
    if (!ParseContentRange(headers.Find("Content-Range").value_or(""), &start, &total) || start != have)
      return MakeError(ErrorCode::kConflict, "the server answered with another range than asked for");
    // A server that does not know If-Range may send a part of something else.
    auto differs = [&headers](const char* name, const std::string& before) {
      const auto now = headers.Find(name);
      return now && !before.empty() && *now != before;
    };
    MutexLock lock(mutex);
    // An answer to If-Range need not say again how the whole is encoded (RFC 9110 15.3.7).
    const std::string encoding = EncodingIn(headers).value_or(info.content_encoding);
    if ((total > 0 && info.total_bytes > 0 && info.total_bytes != total) || differs("ETag", info.etag) ||
        differs("Last-Modified", info.last_modified) || encoding != info.content_encoding)
      return MakeError(ErrorCode::kConflict, "the content changed while it was downloaded");
    body_began = true;
    return {};
  }
  if (status == 206)
    return InvalidArgument("the server answered 206, a part, to a request for the whole: nothing was taken");
  if (status == 202) {
    return MakeError(ErrorCode::kUnavailable, "the server answered 202: what is asked for is not ready yet");
  }
  if (status != 200 && status != 203) return {};
  DownloadInfo next;
  next.key = spec.key;
  next.fetched_at = context.clock->Now();
  next.etag = ValidatorIn(headers, "ETag");
  next.last_modified = ValidatorIn(headers, "Last-Modified");
  next.media_type = headers.Find("Content-Type").value_or("");
  next.content_encoding = EncodingIn(headers).value_or("");
  ASSIGN_OR_RETURN(const auto coder, CodecOfContentEncoding(next.content_encoding));
  (void)coder;
  const std::string length = headers.Find("Content-Length").value_or("");
  std::from_chars(length.data(), length.data() + length.size(), next.total_bytes);
  if (context.http.max_bytes > 0 && next.total_bytes > context.http.max_bytes) {
    return MakeError(ErrorCode::kTooLarge,
                     "the download has {} bytes, the limit (source.http.maxBytes) is {}", next.total_bytes,
                     context.http.max_bytes);
  }
  {
    MutexLock lock(mutex);
    info = next;
  }
  return BeginBody();
}

Status Download::Shared::BeginBody() {
  // A new file: who still reads the old one keeps it.
  savepoint.DropPart();
  const int fd = ::open(savepoint.part_path().c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return FromErrno(errno, "cannot make '" + savepoint.part_path() + "'");
  file.Reset(fd);
  hash = std::make_unique<ContentHash>();
  body_began = true;
  MutexLock lock(mutex);
  RETURN_IF_ERROR(savepoint.SavePart(info));
  arrived = 0;
  if (generations_begun++ > 0) ++generation;
  start = Start::kComing;
  changed.NotifyAll();
  return {};
}

// Takes up a part that an earlier run left.
Status Download::Shared::ContinueBody() {
  auto part = savepoint.LoadPart(spec.key);
  if (!part) return {};
  const int fd = ::open(savepoint.part_path().c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return FromErrno(errno, "cannot open '" + savepoint.part_path() + "'");
  file.Reset(fd);
  hash = std::make_unique<ContentHash>();
  std::string buffer(kReadBytes, '\0');
  uint64_t size = 0;
  while (true) {
    const ssize_t n = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(size));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FromErrno(errno, "cannot read '" + savepoint.part_path() + "'");
    if (n == 0) break;
    hash->Update({buffer.data(), static_cast<size_t>(n)});
    size += static_cast<uint64_t>(n);
  }
  MutexLock lock(mutex);
  info = *part;
  arrived = size;
  if (info.total_bytes > 0 && size >= info.total_bytes) {  // only the end was missed
    info.hash = hash->Hex();
    file.Reset();
    if (size > info.total_bytes) {
      savepoint.DropPart();
      return {};
    }
    RETURN_IF_ERROR(savepoint.Finish(info));
    saved = info;
    return {};
  }
  note = fmt::format("continuing a download that broke off after {} bytes", size);
  ++generations_begun;
  return {};
}

Status Download::Shared::OnBytes(std::string_view bytes) {
  if (!body_began) return MakeError(ErrorCode::kUnavailable, "the server sent a body that was not asked for");
  uint64_t total = 0, at = 0;
  {
    MutexLock lock(mutex);
    at = arrived;
    total = info.total_bytes;
    if (!start) start = Start::kComing;
  }
  if (context.http.max_bytes > 0 && at + bytes.size() > context.http.max_bytes) {
    return MakeError(ErrorCode::kTooLarge,
                     "the download is larger than the limit (source.http.maxBytes) of {}",
                     context.http.max_bytes);
  }
  hash->Update(bytes);
  for (std::string_view left = bytes; !left.empty();) {
    const ssize_t n = ::pwrite(file.get(), left.data(), left.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FromErrno(errno, "cannot write '" + savepoint.part_path() + "'");
    at += static_cast<uint64_t>(n);
    left.remove_prefix(static_cast<size_t>(n));
  }
  MutexLock lock(mutex);
  arrived = at;
  changed.NotifyAll();
  if (context.progress != nullptr) context.progress->OnFetched(at, total);
  return {};
}

Status Download::Shared::Finish() {
  MutexLock lock(mutex);
  if (info.total_bytes > 0 && arrived != info.total_bytes) {
    return MakeError(ErrorCode::kUnavailable, "the transfer ended after {} of {} bytes", arrived,
                     info.total_bytes);
  }
  info.total_bytes = arrived;
  info.hash = hash->Hex();
  RETURN_IF_ERROR(savepoint.Finish(info));
  start = Start::kComing;
  done = true;
  changed.NotifyAll();
  return {};
}

void Download::Shared::Settle(Start how) {
  MutexLock lock(mutex);
  start = how;
  if (how == Start::kSaved) {
    info = *saved;
    arrived = saved->total_bytes;
  }
  done = true;
  changed.NotifyAll();
}

void Download::Shared::Fail(Error e) {
  bool has_begun = false;
  {
    MutexLock lock(mutex);
    has_begun = start.has_value();
  }
  // A body of an earlier run is better than none.
  if (saved && IsRetryable(e.code()) && !has_begun) {
    {
      MutexLock lock(mutex);
      note = fmt::format("the server cannot be asked ({}); taking what was downloaded at {}",
                         spec.redactor->Clean(e.ToString()), FormatInstant(saved->fetched_at));
    }
    Settle(Start::kSaved);
    return;
  }
  Error clean = spec.redactor->Clean(e);
  if (clean.message().find(spec.shown) == std::string::npos) clean.With(spec.shown);
  MutexLock lock(mutex);
  error = std::move(clean);
  changed.NotifyAll();
}

bool Download::Shared::Pause(std::chrono::milliseconds time, const std::stop_token& stop) {
  std::mutex m;
  std::condition_variable_any condition;
  std::unique_lock lock(m);
  condition.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

// One request. True = settled.
Result<bool> Download::Shared::Attempt(net::HttpClient& client, const std::stop_token& stop,
                                       std::optional<std::chrono::milliseconds>* retry_after) {
  const uint64_t have = Have();
  auto call = MakeCall(have);
  body_began = false;
  call.on_headers = [this, have](int status, const net::Headers& headers) {
    return OnHeaders(status, headers, have);
  };
  call.sink = [this](std::string_view bytes) { return OnBytes(bytes); };
  ASSIGN_OR_RETURN(const auto answer, client.Send(call, stop));
  if (answer.status == 304 && have == 0) {
    if (!call.headers.Contains("If-None-Match") && !call.headers.Contains("If-Modified-Since")) {
      return MakeError(ErrorCode::kUnavailable,
                       "'{}' answered 304, not modified, to a request without a condition", answer.url);
    }
    Settle(saved ? Start::kSaved : Start::kNotModified);
    return true;
  }
  if (body_began) {
    RETURN_IF_ERROR(Finish());
    return true;
  }
  if (answer.status == 416 && have > 0) {  // the part is longer than what there is now
    file.Reset();
    savepoint.DropPart();
    return false;
  }
  if (const auto wait = net::RetryAfter(answer.headers, context.clock->Now().seconds))
    *retry_after = std::min<std::chrono::milliseconds>(*wait, kLongestRetryAfter);
  RETURN_IF_ERROR(net::CheckAnswer(answer));
  return MakeError(ErrorCode::kInvalidArgument, "'{}' answered {}, which brings no data", answer.url,
                   answer.status);
}

void Download::Shared::Run(std::stop_token stop) {
  net::HttpClientOptions options;
  options.user_agent = context.http.user_agent;
  options.proxy = context.http.proxy;
  options.ca_file = context.http.ca_file;
  if (!context.may.private_addresses) {
    options.allow_address = [](const std::string& address) { return CheckPublicAddress(address); };
  }
  auto client = net::HttpClient::Make(std::move(options));
  if (!client.ok()) return Fail(std::move(client).error());
  saved = savepoint.LoadBody(spec.key);
  if (saved && !saved->HasValidator() && !saved->refused) {
    MutexLock lock(mutex);
    note = fmt::format("taking what was downloaded at {}; 'sluice system gc' clears it",
                       FormatInstant(saved->fetched_at));
  }
  if (saved && !saved->HasValidator() && !saved->refused) return Settle(Start::kSaved);
  if (!saved) {
    if (auto status = ContinueBody(); !status.ok()) return Fail(std::move(status).error());
  }
  auto backoff = context.http.first_backoff;
  int failures = 0;
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    const uint64_t before = Have();
    std::optional<std::chrono::milliseconds> retry_after;
    auto settled = Attempt(**client, stop, &retry_after);
    if (settled.ok() && *settled) return;
    if (settled.ok()) continue;
    Error failure = std::move(settled).error();
    if (stop.stop_requested()) return;
    if (failure.code() == ErrorCode::kConflict) {  // what is there now is not what the part is of
      file.Reset();
      savepoint.DropPart();
      failure = Error(ErrorCode::kUnavailable, failure.ToString());
    }
    const bool brought_more = Have() > before && before > 0;
    failures = brought_more ? 0 : failures + 1;
    if (failures == 0) backoff = context.http.first_backoff;
    if (!IsRetryable(failure.code()) || failures > context.http.retries || attempt + 1 == kMostAttempts)
      return Fail(std::move(failure));
    // Jitter, so that many clients do not come back together.
    const auto jitter = backoff * (static_cast<unsigned char>(RandomBytes(1)[0]) % 64) / 256;
    if (!Pause(retry_after.value_or(backoff + jitter), stop)) return;
    backoff = std::min(backoff * 2, context.http.longest_backoff);
  }
}

Download::Download(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

Result<std::unique_ptr<Download>> Download::Begin(DownloadSpec spec, const FetchContext& context) {
  ASSIGN_OR_RETURN(auto savepoint, Savepoint::Open(context.savepoint_folder));
  auto shared = std::make_shared<Shared>(std::move(spec), context, std::move(savepoint));
  Shared* s = shared.get();
  s->thread = std::jthread([s](std::stop_token stop) {
    s->Run(stop);
    MutexLock lock(s->mutex);
    s->stopped = true;
    s->changed.NotifyAll();
  });
  s->on_stop = std::make_unique<std::stop_callback<std::function<void()>>>(context.stop,
                                                                           [s] { s->thread.request_stop(); });
  return std::unique_ptr<Download>(new Download(std::move(shared)));
}

Download::~Download() {
  shared_->on_stop.reset();
  shared_->thread.request_stop();
  if (shared_->thread.joinable()) shared_->thread.join();
}

Result<Download::Start> Download::WaitForStart() {
  auto& s = *shared_;
  MutexLock lock(s.mutex);
  s.changed.Wait(s.mutex, [&]() NO_THREAD_SAFETY_ANALYSIS { return s.start || s.error || s.stopped; });
  if (s.start) return *s.start;
  if (s.error) return *s.error;
  return Error(ErrorCode::kCancelled, "interrupted");
}

DownloadInfo Download::info() const {
  MutexLock lock(shared_->mutex);
  return shared_->info;
}

std::string Download::note() const {
  MutexLock lock(shared_->mutex);
  return shared_->note;
}

Result<std::unique_ptr<read::ByteSource>> Download::Open() {
  auto& s = *shared_;
  MutexLock lock(s.mutex);
  const auto& path = s.done ? s.savepoint.body_path() : s.savepoint.part_path();
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FromErrno(errno, "cannot open '" + path + "'");
  s.opened = s.generation;
  return std::unique_ptr<read::ByteSource>(
      std::make_unique<ArrivingSource>(shared_, s.spec.shown, fd, s.generation));
}

bool Download::HasChanged() const {
  MutexLock lock(shared_->mutex);
  return shared_->generation != shared_->opened;
}

Status Download::WaitForEnd() {
  auto& s = *shared_;
  MutexLock lock(s.mutex);
  s.changed.Wait(s.mutex, [&]() NO_THREAD_SAFETY_ANALYSIS { return s.done || s.error || s.stopped; });
  if (s.done) return {};
  if (s.error) return *s.error;
  return Error(ErrorCode::kCancelled, "interrupted");
}

void Download::Refuse() {
  auto& s = *shared_;
  MutexLock lock(s.mutex);
  const bool ended = s.changed.WaitFor(
      s.mutex, kWaitAfterRefusal, [&]() NO_THREAD_SAFETY_ANALYSIS { return s.done || s.error || s.stopped; });
  if (!ended || !s.done || s.info.hash.empty()) return;
  s.info.refused = true;
  (void)s.savepoint.SaveBody(s.info).ok();
}

void Download::Abandon() {
  auto& s = *shared_;
  s.on_stop.reset();
  s.thread.request_stop();
  if (s.thread.joinable()) s.thread.join();
  s.savepoint.DropPart();
  s.savepoint.DropBody();
}

}  // namespace sluice::fetch
