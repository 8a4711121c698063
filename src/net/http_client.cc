#include "net/http_client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "net/quote.h"
#include "net/url.h"

namespace sluice::net {
namespace {

constexpr size_t kMostHeaderBytes = 256 << 10;
constexpr size_t kMostHeaderLine = 100 << 10;  // the library's own bound

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, FreeList>;

// What one call keeps while the library runs.
struct Transfer {
  const HttpCall& call;
  const HttpClientOptions& options;
  std::stop_token stop;
  CURL* curl;
  HttpAnswer answer;
  uint64_t header_bytes = 0;
  uint64_t sent = 0;  // of call.body
  std::string piece;  // of call.source
  size_t piece_sent = 0;
  std::optional<Error> error;  // ours, in place of the library's
  bool headers_told = false;
  bool follows = false;  // an answer that redirects is not the caller's

  bool IsPassedOver(long status) const {
    return follows && status >= 300 && status < 400 && answer.headers.Contains("Location");
  }
};

Transfer& TransferOf(void* user) { return *static_cast<Transfer*>(user); }

// Runs `work`; what it throws becomes the call's error.
template <class Work>
bool Guarded(Transfer& transfer, Work work) {
  try {
    Status outcome = work();
    if (outcome.ok()) return true;
    transfer.error = std::move(outcome).error();
  } catch (const std::exception& e) {
    transfer.error = Internal("unexpected: {}", e.what());
  }
  return false;
}

Status TellHeaders(Transfer& transfer, long status) {
  if (transfer.headers_told || !transfer.call.on_headers || transfer.IsPassedOver(status)) return {};
  transfer.headers_told = true;
  return transfer.call.on_headers(static_cast<int>(status), transfer.answer.headers);
}

Error HeadersTooLarge() {
  return MakeError(ErrorCode::kTooLarge,
                   "the headers of the answer are larger than is taken ({} KiB, {} KiB a line): whoever runs "
                   "the server, or the proxy before it, has to mend that",
                   kMostHeaderBytes >> 10, kMostHeaderLine >> 10);
}

size_t OnHeader(char* data, size_t, size_t size, void* user) {
  Transfer& transfer = TransferOf(user);
  transfer.header_bytes += size;
  if (!Guarded(transfer, [&]() -> Status {
        if (transfer.header_bytes > kMostHeaderBytes) return HeadersTooLarge();
        return {};
      }))
    return 0;
  std::string_view line(data, size);
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) {
    // A new answer: after 100 Continue, or a redirect.
    transfer.answer.headers = {};
    return size;
  }
  const size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    transfer.answer.headers.Add(std::string(line.substr(0, colon)),
                                std::string(Trimmed(line.substr(colon + 1))));
  }
  return size;
}

size_t OnBody(char* data, size_t, size_t size, void* user) {
  Transfer& transfer = TransferOf(user);
  const bool is_good = Guarded(transfer, [&]() -> Status {
    long status = 0;
    curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &status);
    if (transfer.IsPassedOver(status)) return {};
    RETURN_IF_ERROR(TellHeaders(transfer, status));
    const std::string_view bytes(data, size);
    if (transfer.call.sink && status >= 200 && status < 300) return transfer.call.sink(bytes);
    if (transfer.answer.body.size() + size > transfer.call.max_body_bytes) {
      return MakeError(ErrorCode::kTooLarge, "the answer is larger than the limit of {} bytes",
                       transfer.call.max_body_bytes);
    }
    transfer.answer.body += bytes;
    return {};
  });
  return is_good ? size : 0;
}

size_t OnSend(char* data, size_t, size_t size, void* user) {
  Transfer& transfer = TransferOf(user);
  size_t n = 0;
  if (!transfer.call.source) {
    n = std::min<size_t>(size, transfer.call.body.size() - transfer.sent);
    transfer.call.body.copy(data, n, transfer.sent);
    transfer.sent += n;
    return n;
  }
  const bool is_good = Guarded(transfer, [&]() -> Status {
    if (transfer.piece_sent == transfer.piece.size()) {
      ASSIGN_OR_RETURN(transfer.piece, transfer.call.source());
      transfer.piece_sent = 0;
    }
    n = std::min(size, transfer.piece.size() - transfer.piece_sent);
    transfer.piece.copy(data, n, transfer.piece_sent);
    transfer.piece_sent += n;
    return {};
  });
  return is_good ? n : CURL_READFUNC_ABORT;
}

// The library may have to send a body again, on a connection that turned out to be dead.
int OnSeek(void* user, curl_off_t offset, int origin) {
  Transfer& transfer = TransferOf(user);
  if (transfer.call.source || origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  transfer.sent = static_cast<uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

int OnProgress(void* user, curl_off_t total, curl_off_t done, curl_off_t, curl_off_t) {
  Transfer& transfer = TransferOf(user);
  if (transfer.stop.stop_requested()) {
    transfer.error = Error(ErrorCode::kCancelled, "interrupted");
    return 1;
  }
  const bool is_good = Guarded(transfer, [&] {
    if (transfer.call.progress)
      transfer.call.progress(static_cast<uint64_t>(done), static_cast<uint64_t>(total));
    return OkStatus();
  });
  return is_good ? 0 : 1;
}

curl_socket_t OnOpenSocket(void* user, curlsocktype, curl_sockaddr* address) {
  Transfer& transfer = TransferOf(user);
  char text[INET6_ADDRSTRLEN] = {};
  if (address->family == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(&address->addr)->sin_addr, text, sizeof(text));
  } else if (address->family == AF_INET6) {
    ::inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6*>(&address->addr)->sin6_addr, text, sizeof(text));
  }
  if (transfer.options.allow_address && text[0] != 0) {
    if (!Guarded(transfer, [&] { return transfer.options.allow_address(text); })) return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

bool HasBody(const HttpCall& call) {
  return !call.body.empty() || call.source || call.method == "POST" || call.method == "PUT";
}

ErrorCode CodeOf(CURLcode code) {
  switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_BAD_FUNCTION_ARGUMENT:
      return ErrorCode::kInvalidArgument;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_TOO_MANY_REDIRECTS:
      return ErrorCode::kUnsupported;
    case CURLE_OPERATION_TIMEDOUT:
      return ErrorCode::kTimeout;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
      return ErrorCode::kPermissionDenied;
    case CURLE_SSL_CACERT_BADFILE:
      return ErrorCode::kInvalidArgument;
    case CURLE_OUT_OF_MEMORY:
      return ErrorCode::kResourceExhausted;
    default:
      return ErrorCode::kUnavailable;
  }
}

// The library takes a line of the answer's headers over its bound for a lack of memory.
bool IsLineTooLong(CURLcode outcome, CURL* curl) {
  curl_off_t sent = 0, body = 0;
  long request = 0;
  curl_easy_getinfo(curl, CURLINFO_STARTTRANSFER_TIME_T, &sent);
  curl_easy_getinfo(curl, CURLINFO_SIZE_DOWNLOAD_T, &body);
  curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &request);
  return outcome == CURLE_OUT_OF_MEMORY && request > 0 && sent > 0 && body == 0;
}

Status AppendLine(const std::string& line, List* list) {
  curl_slist* longer = curl_slist_append(list->get(), line.c_str());
  if (longer == nullptr) return Error(ErrorCode::kResourceExhausted, "out of memory");
  (void)list->release();
  list->reset(longer);
  return {};
}

// From here on it is worth asking first whether the server wants the body at all.
constexpr uint64_t kLargeBody = 1 << 20;

bool HasLargeBody(const HttpCall& call) {
  return (call.source ? call.source_bytes.value_or(kLargeBody) : call.body.size()) >= kLargeBody;
}

Result<List> MakeHeaderList(const Headers& headers, bool may_ask_first) {
  List list;
  for (const auto& [name, value] : headers.fields()) {
    if (!IsSafeField(name, value)) return InvalidArgument("'{}: {}' is not a header field", name, value);
    // The library takes `name;` for a field without a value.
    RETURN_IF_ERROR(AppendLine(value.empty() ? name + ";" : name + ": " + value, &list));
  }
  // It would wait for up to a second for a leave to send that many servers do not give.
  if (!may_ask_first && !headers.Contains("Expect")) RETURN_IF_ERROR(AppendLine("Expect:", &list));
  return list;
}

// What may go to another server than the one that a caller's headers are meant for.
Headers WithoutSecrets(const Headers& headers) {
  static constexpr std::string_view kHarmless[] = {
      "Accept",        "Accept-Encoding",   "Accept-Language", "If-Match",
      "If-None-Match", "If-Modified-Since", "If-Range",        "Range"};
  Headers kept;
  for (const auto& [name, value] : headers.fields()) {
    const bool harmless =
        std::any_of(std::begin(kHarmless), std::end(kHarmless),
                    [&name = name](std::string_view known) { return EqualsIgnoringCase(name, known); });
    if (harmless) kept.Add(name, value);
  }
  return kept;
}

class CurlClient final : public HttpClient {
 public:
  CurlClient(HttpClientOptions options, CURL* curl) : options_(std::move(options)), curl_(curl) {}
  ~CurlClient() override { curl_easy_cleanup(curl_); }

  Result<HttpAnswer> Send(const HttpCall& call, std::stop_token stop) override;

 private:
  // One request and its answer; where that redirects to, if `redirect` is given.
  Result<HttpAnswer> SendOnce(const HttpCall& call, std::stop_token stop, std::string* redirect);

  template <class T>
  void Set(CURLoption option, T value) {
    curl_easy_setopt(curl_, option, value);
  }
  void SetConnection(const HttpCall& call, const std::string& url);
  void SetCallbacks(Transfer& transfer);
  void SetMethodAndBody(const HttpCall& call);
  void SetSignature(const AwsSigning& aws);

  const HttpClientOptions options_;
  CURL* const curl_;
};

void CurlClient::SetConnection(const HttpCall& call, const std::string& url) {
  Set(CURLOPT_NOSIGNAL, 1L);
  Set(CURLOPT_URL, url.c_str());
  Set(CURLOPT_PROTOCOLS_STR, "http,https");
  Set(CURLOPT_USERAGENT, options_.user_agent.c_str());
  Set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(call.connect_timeout.count()));
  Set(CURLOPT_TIMEOUT_MS, static_cast<long>(call.timeout.count()));
  if (call.stall_timeout.count() > 0) {
    Set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    Set(CURLOPT_LOW_SPEED_TIME, std::max<long>(1, static_cast<long>(call.stall_timeout.count() / 1000)));
  }
  if (!call.unix_socket.empty()) {
    Set(CURLOPT_UNIX_SOCKET_PATH, call.unix_socket.c_str());
    Set(CURLOPT_PROXY, "");
  } else if (options_.proxy) {
    Set(CURLOPT_PROXY, options_.proxy->c_str());
  }
  if (!options_.ca_file.empty()) Set(CURLOPT_CAINFO, options_.ca_file.c_str());
}

void CurlClient::SetCallbacks(Transfer& transfer) {
  Set(CURLOPT_HEADERFUNCTION, &OnHeader);
  Set(CURLOPT_HEADERDATA, &transfer);
  Set(CURLOPT_WRITEFUNCTION, &OnBody);
  Set(CURLOPT_WRITEDATA, &transfer);
  Set(CURLOPT_READFUNCTION, &OnSend);
  Set(CURLOPT_READDATA, &transfer);
  Set(CURLOPT_SEEKFUNCTION, &OnSeek);
  Set(CURLOPT_SEEKDATA, &transfer);
  Set(CURLOPT_NOPROGRESS, 0L);
  Set(CURLOPT_XFERINFOFUNCTION, &OnProgress);
  Set(CURLOPT_XFERINFODATA, &transfer);
  Set(CURLOPT_OPENSOCKETFUNCTION, &OnOpenSocket);
  Set(CURLOPT_OPENSOCKETDATA, &transfer);
}

void CurlClient::SetMethodAndBody(const HttpCall& call) {
  if (call.method == "HEAD") {
    Set(CURLOPT_NOBODY, 1L);
  } else if (HasBody(call) && call.aws) {
    // The library signs only a body that it has as a whole.
    Set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
    Set(CURLOPT_POSTFIELDS, call.body.c_str());
    Set(CURLOPT_CUSTOMREQUEST, call.method.c_str());
  } else if (HasBody(call)) {
    Set(CURLOPT_UPLOAD, 1L);
    Set(CURLOPT_CUSTOMREQUEST, call.method.c_str());
    if (!call.source) {
      Set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
    } else if (call.source_bytes) {
      Set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(*call.source_bytes));
    }
  } else {
    Set(CURLOPT_HTTPGET, 1L);
    if (call.method != "GET") Set(CURLOPT_CUSTOMREQUEST, call.method.c_str());
  }
}

void CurlClient::SetSignature(const AwsSigning& aws) {
  // Both are copied by the library.
  Set(CURLOPT_AWS_SIGV4, ("aws:amz:" + aws.region + ":" + aws.service).c_str());
  Set(CURLOPT_USERNAME, aws.access_key_id.c_str());
  Set(CURLOPT_PASSWORD, aws.secret_access_key.c_str());
}

// Not left to the library, which would send every header to wherever the server points.
Result<HttpAnswer> CurlClient::Send(const HttpCall& call, std::stop_token stop) {
  if (call.max_redirects == 0 || HasBody(call)) return SendOnce(call, std::move(stop), nullptr);
  const auto start = std::chrono::steady_clock::now();
  HttpCall next = call;
  for (int redirects = 0;; ++redirects) {
    std::string to;
    ASSIGN_OR_RETURN(auto answer, SendOnce(next, stop, &to));
    if (to.empty()) return answer;
    if (redirects == call.max_redirects)
      return Unsupported("{} '{}': more than {} redirects", call.method, call.url, call.max_redirects);
    if (OriginOf(to) != OriginOf(next.url)) {
      next.headers = WithoutSecrets(next.headers);
      next.aws.reset();
    }
    next.url = std::move(to);
    if (call.timeout.count() == 0) continue;
    const auto spent =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
    next.timeout = std::max(call.timeout - spent, std::chrono::milliseconds(1));
  }
}

Result<HttpAnswer> CurlClient::SendOnce(const HttpCall& call, std::stop_token stop, std::string* redirect) {
  if (stop.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
  if (call.method.empty() || !IsSafeField(call.method, ""))
    return InvalidArgument("'{}' is not a method", call.method);
  const std::string url = EncodeUrl(call.url);
  if (url.find_first_of(" \r\n\t") != std::string::npos)
    return InvalidArgument("'{}' is not a URL", call.url);
  if (call.aws && call.source) return InvalidArgument("a body in pieces cannot be signed");
  Headers all = call.headers;
  if (call.aws && !call.aws->session_token.empty()) all.Add("X-Amz-Security-Token", call.aws->session_token);
  // Of a signed call the library would sign the line that takes the header away; it asks only before large
  // bodies by itself there.
  ASSIGN_OR_RETURN(const List headers, MakeHeaderList(all, HasLargeBody(call) || call.aws.has_value()));
  Transfer transfer{.call = call, .options = options_, .stop = std::move(stop), .curl = curl_};
  transfer.follows = redirect != nullptr;
  char message[CURL_ERROR_SIZE] = {};
  curl_easy_reset(curl_);  // keeps connections
  SetConnection(call, url);
  SetMethodAndBody(call);
  if (call.aws) SetSignature(*call.aws);
  SetCallbacks(transfer);
  Set(CURLOPT_HTTPHEADER, headers.get());
  Set(CURLOPT_ERRORBUFFER, message);
  const CURLcode outcome = curl_easy_perform(curl_);
  // The buffers are about to go.
  Set(CURLOPT_ERRORBUFFER, static_cast<char*>(nullptr));
  if (transfer.error) return std::move(*transfer.error).With(fmt::format("{} '{}'", call.method, call.url));
  if (outcome != CURLE_OK) {
    if (IsLineTooLong(outcome, curl_))
      return HeadersTooLarge().With(fmt::format("{} '{}'", call.method, call.url));
    return MakeError(CodeOf(outcome), "{} '{}': {}", call.method, call.url,
                     message[0] != 0 ? message : curl_easy_strerror(outcome));
  }
  long status = 0;
  curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &status);
  transfer.answer.status = static_cast<int>(status);
  Guarded(transfer, [&] { return TellHeaders(transfer, status); });
  if (transfer.error) return std::move(*transfer.error).With(fmt::format("{} '{}'", call.method, call.url));
  const char* to = nullptr;
  if (transfer.IsPassedOver(status)) curl_easy_getinfo(curl_, CURLINFO_REDIRECT_URL, &to);
  if (to != nullptr) *redirect = to;
  const char* effective = nullptr;
  curl_easy_getinfo(curl_, CURLINFO_EFFECTIVE_URL, &effective);
  transfer.answer.url = effective != nullptr ? effective : call.url;
  return std::move(transfer.answer);
}

ErrorCode CodeOfStatus(int status) {
  switch (status) {
    case 401:
      return ErrorCode::kUnauthenticated;
    case 403:
      return ErrorCode::kPermissionDenied;
    case 404:
    case 410:
      return ErrorCode::kNotFound;
    case 408:
      return ErrorCode::kTimeout;
    case 409:
      return ErrorCode::kConflict;
    case 412:
    case 428:
      return ErrorCode::kPrecondition;
    case 413:
      return ErrorCode::kTooLarge;
    case 415:
      return ErrorCode::kUnsupportedMedia;
    case 422:
      return ErrorCode::kInvalidRecords;
    case 429:
      return ErrorCode::kUnavailable;
    case 501:
      return ErrorCode::kUnsupported;
    default:
      return status >= 500 ? ErrorCode::kUnavailable : ErrorCode::kInvalidArgument;
  }
}

}  // namespace

Result<std::unique_ptr<HttpClient>> HttpClient::Make(HttpClientOptions options) {
  static const CURLcode kStarted = curl_global_init(CURL_GLOBAL_DEFAULT);
  CURL* curl = kStarted == CURLE_OK ? curl_easy_init() : nullptr;
  if (curl == nullptr) return Error(ErrorCode::kResourceExhausted, "cannot start the HTTP client");
  return std::unique_ptr<HttpClient>(std::make_unique<CurlClient>(std::move(options), curl));
}

constexpr size_t kQuotedBytes = 300;

Status CheckAnswer(const HttpAnswer& answer) {
  if (answer.status >= 200 && answer.status < 300) return {};
  std::string line = OneLine(TextOfMarkup(answer.body), answer.body.size());
  // Told: what hides secrets looks for the beginning of one there.
  if (line.size() > kQuotedBytes) line = OneLine(line, kQuotedBytes) + "...";
  return MakeError(CodeOfStatus(answer.status), "'{}' answered {}{}{}", answer.url, answer.status,
                   line.empty() ? "" : ": ", line);
}

}  // namespace sluice::net
