#include "connectors/sqs/queue.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace sluice::connectors::sqs {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct CodeRow {
  std::string_view name;  // without namespace and the suffix `Exception`
  ErrorCode code;
};
constexpr std::array kCodes = {
    CodeRow{"QueueDoesNotExist", ErrorCode::kNotFound},
    CodeRow{"AWS.SimpleQueueService.NonExistentQueue", ErrorCode::kNotFound},
    CodeRow{"InvalidClientTokenId", ErrorCode::kUnauthenticated},
    CodeRow{"UnrecognizedClient", ErrorCode::kUnauthenticated},
    CodeRow{"SignatureDoesNotMatch", ErrorCode::kUnauthenticated},
    CodeRow{"InvalidSignature", ErrorCode::kUnauthenticated},
    CodeRow{"IncompleteSignature", ErrorCode::kUnauthenticated},
    CodeRow{"MissingAuthenticationToken", ErrorCode::kUnauthenticated},
    CodeRow{"InvalidAccessKeyId", ErrorCode::kUnauthenticated},
    CodeRow{"ExpiredToken", ErrorCode::kUnauthenticated},
    CodeRow{"InvalidSecurity", ErrorCode::kUnauthenticated},
    CodeRow{"AccessDenied", ErrorCode::kPermissionDenied},
    CodeRow{"KmsAccessDenied", ErrorCode::kPermissionDenied},
    CodeRow{"RequestThrottled", ErrorCode::kResourceExhausted},
    CodeRow{"Throttling", ErrorCode::kResourceExhausted},
    CodeRow{"ThrottlingException", ErrorCode::kResourceExhausted},
    CodeRow{"OverLimit", ErrorCode::kResourceExhausted},
    CodeRow{"RequestTimeout", ErrorCode::kUnavailable},
    CodeRow{"InternalFailure", ErrorCode::kUnavailable},
    CodeRow{"InternalError", ErrorCode::kUnavailable},
    CodeRow{"ServiceUnavailable", ErrorCode::kUnavailable},
    // What a call is refused with for what its messages hold.
    CodeRow{"InvalidMessageContents", ErrorCode::kInvalidRecords},
    CodeRow{"InvalidParameterValue", ErrorCode::kInvalidRecords},
    CodeRow{"MalformedRequest", ErrorCode::kInvalidRecords},
    CodeRow{"Serialization", ErrorCode::kInvalidRecords},
    CodeRow{"BatchRequestTooLong", ErrorCode::kInvalidRecords},
    CodeRow{"AWS.SimpleQueueService.BatchRequestTooLong", ErrorCode::kInvalidRecords},
};

// `com.amazonaws.sqs#QueueDoesNotExist` -> `QueueDoesNotExist`.
std::string BareName(std::string name) {
  if (const size_t hash = name.rfind('#'); hash != std::string::npos) name.erase(0, hash + 1);
  if (const size_t colon = name.find(':'); colon != std::string::npos) name.erase(colon);
  for (const std::string_view suffix : {"Exception"}) {
    if (name.ends_with(suffix)) name.resize(name.size() - suffix.size());
  }
  return name;
}

std::string TextIn(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Servers answer errors as JSON, older parts of them as XML.
std::string XmlText(std::string_view body, std::string_view tag) {
  const std::string open = fmt::format("<{}>", tag);
  const size_t start = body.find(open);
  if (start == std::string_view::npos) return {};
  const size_t end = body.find('<', start + open.size());
  return std::string(body.substr(start + open.size(), end - start - open.size()));
}

Error ErrorOf(const net::HttpAnswer& answer, const std::string& queue_url, const std::string& action) {
  const Json json = Json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
  std::string name = json.is_object() ? TextIn(json, "__type") : XmlText(answer.body, "Code");
  std::string message = json.is_object() ? TextIn(json, "message") : XmlText(answer.body, "Message");
  if (json.is_object() && message.empty()) message = TextIn(json, "Message");
  name = BareName(std::move(name));
  const auto* known =
      std::find_if(kCodes.begin(), kCodes.end(), [&](const CodeRow& row) { return row.name == name; });
  ErrorCode code = ErrorCode::kInvalidArgument;
  if (known != kCodes.end()) {
    code = known->code;
  } else if (answer.status >= 500 || answer.status == 429) {
    code = ErrorCode::kUnavailable;
  } else if (answer.status == 400 && name.empty()) {
    code = ErrorCode::kInvalidRecords;  // the server could not even read it
  } else if (answer.status == 401) {
    code = ErrorCode::kUnauthenticated;
  } else if (answer.status == 403) {
    code = ErrorCode::kPermissionDenied;
  }
  return MakeError(code, "queue '{}': {} answered {}{}{}{}{}", queue_url, action, answer.status,
                   name.empty() ? "" : " ", name, message.empty() ? "" : ": ", message);
}

bool IsFinalCode(const std::string& name) {
  const std::string bare = BareName(name);
  const auto* known =
      std::find_if(kCodes.begin(), kCodes.end(), [&](const CodeRow& row) { return row.name == bare; });
  return known == kCodes.end() || !IsRetryable(known->code);
}

// Some servers cannot read a call with the two characters that are none, U+FFFE and U+FFFF; escaped, only the
// entry that has them is refused.
std::string Readable(std::string json) {
  for (const auto& [raw, escaped] :
       {std::pair("\xef\xbf\xbe", "\\ufffe"), std::pair("\xef\xbf\xbf", "\\uffff")}) {
    for (size_t at = json.find(raw); at != std::string::npos; at = json.find(raw, at))
      json.replace(at, 3, escaped);
  }
  return json;
}

// One outcome for each of `count` entries, which were named `0`, `1`, ...
Result<std::vector<EntryOutcome>> ReadOutcomes(const std::string& body, size_t count) {
  std::vector<EntryOutcome> outcomes(count, {.is_done = false, .is_final = false, .reason = "no answer"});
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return MakeError(ErrorCode::kUnavailable, "the answer is no JSON");
  const auto each = [&](const char* list, auto&& take) {
    const auto found = json.find(list);
    if (found == json.end() || !found->is_array()) return;
    for (const Json& entry : *found) {
      const std::string id = TextIn(entry, "Id");
      if (id.size() == 1 && id[0] >= '0' && static_cast<size_t>(id[0] - '0') < count)
        take(outcomes[static_cast<size_t>(id[0] - '0')], entry);
    }
  };
  each("Successful", [](EntryOutcome& outcome, const Json&) { outcome = {.is_done = true}; });
  each("Failed", [](EntryOutcome& outcome, const Json& entry) {
    const std::string code = TextIn(entry, "Code");
    outcome.is_final = entry.value("SenderFault", false) && IsFinalCode(code);
    outcome.reason = fmt::format("{}: {}", code, TextIn(entry, "Message"));
  });
  return outcomes;
}

Json EntryAt(size_t i) { return {{"Id", std::string(1, static_cast<char>('0' + i))}}; }

// As text; bytes that are no UTF-8 cannot be in a record's text.
std::string Dump(const Json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace

Result<QueuePlace> PlaceOf(const std::string& queue_url) {
  const size_t scheme = queue_url.find("://");
  const size_t slash = scheme == std::string::npos ? scheme : queue_url.find('/', scheme + 3);
  if ((!queue_url.starts_with("https://") && !queue_url.starts_with("http://")) ||
      slash == std::string::npos || slash == scheme + 3 || slash + 1 == queue_url.size()) {
    return InvalidArgument("'{}' is no queue URL: https://sqs.REGION.amazonaws.com/ACCOUNT/NAME", queue_url);
  }
  QueuePlace place{
      .endpoint = queue_url.substr(0, slash + 1), .region = {}, .is_fifo = queue_url.ends_with(".fifo")};
  const std::string host = queue_url.substr(scheme + 3, slash - scheme - 3);
  if (host.starts_with("sqs.") && host.find(".amazonaws.com") != std::string::npos)
    place.region = host.substr(4, host.find('.', 4) - 4);
  return place;
}

Queue::Queue(QueueOptions options, QueuePlace place, std::unique_ptr<net::HttpClient> client)
    : options_(std::move(options)), place_(std::move(place)), client_(std::move(client)) {}

Result<std::unique_ptr<Queue>> Queue::Make(const QueueOptions& options) {
  ASSIGN_OR_RETURN(QueuePlace place, PlaceOf(options.queue_url));
  ASSIGN_OR_RETURN(auto client, net::HttpClient::Make());
  return std::unique_ptr<Queue>(new Queue(options, std::move(place), std::move(client)));
}

Result<std::string> Queue::Call(const std::string& action, std::string body, milliseconds timeout,
                                std::stop_token stop) {
  net::HttpCall call;
  call.method = "POST";
  call.url = place_.endpoint;
  call.headers = {{"Content-Type", "application/x-amz-json-1.0"}, {"X-Amz-Target", "AmazonSQS." + action}};
  call.body = std::move(body);
  call.aws = options_.signing;
  call.connect_timeout = std::min(options_.timeout, milliseconds(10'000));
  call.timeout = options_.timeout + timeout;
  auto answer = client_->Send(call, std::move(stop));
  if (!answer.ok()) return std::move(answer).error().With("queue '" + options_.queue_url + "'");
  if (answer->status < 200 || answer->status >= 300) return ErrorOf(*answer, options_.queue_url, action);
  return std::move(answer->body);
}

Status Queue::Check(std::stop_token stop) {
  const Json request = {{"QueueUrl", options_.queue_url}, {"AttributeNames", {"VisibilityTimeout"}}};
  auto answer = Call("GetQueueAttributes", Dump(request), milliseconds(0), std::move(stop));
  if (!answer.ok()) return std::move(answer).error();
  return {};
}

Result<std::vector<Message>> Queue::Receive(seconds wait, seconds visibility, std::stop_token stop) {
  const Json request = {{"QueueUrl", options_.queue_url},
                        {"MaxNumberOfMessages", kMaxEntries},
                        {"WaitTimeSeconds", wait.count()},
                        {"VisibilityTimeout", visibility.count()},
                        {"AttributeNames", {"MessageGroupId", "ApproximateReceiveCount"}}};
  ASSIGN_OR_RETURN(const std::string body, Call("ReceiveMessage", Dump(request), wait, std::move(stop)));
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object())
    return MakeError(ErrorCode::kUnavailable, "queue '{}': the answer is no JSON", options_.queue_url);
  std::vector<Message> messages;
  const auto found = json.find("Messages");
  if (found == json.end() || !found->is_array()) return messages;
  for (const Json& entry : *found) {
    Message message{.id = TextIn(entry, "MessageId"),
                    .receipt = TextIn(entry, "ReceiptHandle"),
                    .body = TextIn(entry, "Body"),
                    .group = {}};
    if (const auto attributes = entry.find("Attributes"); attributes != entry.end()) {
      message.group = TextIn(*attributes, "MessageGroupId");
      message.deliveries = std::atoi(TextIn(*attributes, "ApproximateReceiveCount").c_str());
    }
    if (!message.receipt.empty()) messages.push_back(std::move(message));
  }
  return messages;
}

Result<std::vector<EntryOutcome>> Queue::Delete(const std::vector<std::string>& receipts,
                                                std::stop_token stop) {
  Json entries = Json::array();
  for (const std::string& receipt : receipts) {
    Json entry = EntryAt(entries.size());
    entry["ReceiptHandle"] = receipt;
    entries.push_back(std::move(entry));
  }
  ASSIGN_OR_RETURN(const std::string body,
                   Call("DeleteMessageBatch", Dump({{"QueueUrl", options_.queue_url}, {"Entries", entries}}),
                        milliseconds(0), std::move(stop)));
  return ReadOutcomes(body, receipts.size());
}

Result<std::vector<EntryOutcome>> Queue::ChangeVisibility(const std::vector<std::string>& receipts,
                                                          seconds visibility, std::stop_token stop) {
  Json entries = Json::array();
  for (const std::string& receipt : receipts) {
    Json entry = EntryAt(entries.size());
    entry["ReceiptHandle"] = receipt;
    entry["VisibilityTimeout"] = visibility.count();
    entries.push_back(std::move(entry));
  }
  ASSIGN_OR_RETURN(
      const std::string body,
      Call("ChangeMessageVisibilityBatch", Dump({{"QueueUrl", options_.queue_url}, {"Entries", entries}}),
           milliseconds(0), std::move(stop)));
  return ReadOutcomes(body, receipts.size());
}

Result<std::vector<EntryOutcome>> Queue::Send(const std::vector<Outgoing>& outgoing, std::stop_token stop) {
  Json entries = Json::array();
  for (const Outgoing& one : outgoing) {
    Json entry = EntryAt(entries.size());
    entry["MessageBody"] = one.body;
    if (place_.is_fifo) {
      entry["MessageGroupId"] = one.group;
      entry["MessageDeduplicationId"] = one.deduplication_id;
    }
    entries.push_back(std::move(entry));
  }
  const std::string call = Readable(Dump({{"QueueUrl", options_.queue_url}, {"Entries", entries}}));
  ASSIGN_OR_RETURN(const std::string body, Call("SendMessageBatch", call, milliseconds(0), std::move(stop)));
  return ReadOutcomes(body, outgoing.size());
}

}  // namespace sluice::connectors::sqs
