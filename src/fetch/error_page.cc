#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "fetch/prepare.h"
#include "fetch/streams.h"
#include "net/quote.h"
#include "odf/yaml.h"

namespace sluice::fetch {
namespace {

using Json = nlohmann::json;
using Format = odf::ReadFormat;

constexpr size_t kHeadBytes = 4096;
constexpr size_t kQuotedBytes = 200;

std::string_view SkipSpace(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first == std::string_view::npos ? std::string_view() : text.substr(first);
}

bool StartsWith(std::string_view text, std::string_view lower_case) {
  return text.size() >= lower_case.size() &&
         std::equal(lower_case.begin(), lower_case.end(), text.begin(),
                    [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b); });
}

bool IsMarkup(std::string_view text) {
  return StartsWith(text, "<!doctype") || StartsWith(text, "<html") || StartsWith(text, "<head") ||
         StartsWith(text, "<body") || StartsWith(text, "<?xml") || StartsWith(text, "<error");
}

// Field names that say that something went wrong, and those that come with them.
const std::set<std::string>& Telling() {
  static const std::set<std::string> kNames = {
      "error",   "errors",  "Error Message",    "error_message", "errorMessage",
      "message", "Message", "Information",      "Note",          "fault",
      "detail",  "details", "error_description"};
  return kNames;
}
const std::set<std::string>& Accompanying() {
  static const std::set<std::string> kNames = {"status",     "code",      "statusCode", "status_code",
                                               "success",    "ok",        "title",      "type",
                                               "path",       "timestamp", "instance",   "documentation_url",
                                               "request_id", "requestId", "trace_id",   "error_code"};
  return kNames;
}

bool IsErrorObject(const std::string& head, const odf::ReadStep& step) {
  const Json json = Json::parse(head, nullptr, false);
  if (!json.is_object() || json.empty()) return false;
  bool tells = false;
  for (const auto& [name, value] : json.items()) {
    if (Telling().contains(name)) {
      tells = true;
    } else if (!Accompanying().contains(name)) {
      return false;
    }
  }
  if (!tells) return false;
  if (step.sub_path) return true;  // the data would be deeper
  const auto schema = odf::DeclaredSchema(step);
  if (!schema.ok() || !*schema) return true;
  // Such columns may be what the source is about.
  return std::none_of((*schema)->fields.begin(), (*schema)->fields.end(),
                      [&](const auto& field) { return json.contains(field.name); });
}

bool IsErrorPage(const std::string& head, const odf::ReadStep& step) {
  const auto text = SkipSpace(head);
  if (IsMarkup(text)) return true;
  if (step.format == Format::kCsv) {
    // A header line does not look like the beginning of an object.
    return text.starts_with('{') && SkipSpace(text.substr(1)).starts_with('"') &&
           text.find("\":") != std::string_view::npos;
  }
  const bool whole = head.size() < kHeadBytes;
  return whole && step.format != Format::kParquet && step.format != Format::kEsriShapefile &&
         IsErrorObject(head, step);
}

}  // namespace

Result<std::unique_ptr<read::ByteSource>> RefuseErrorPage(std::unique_ptr<read::ByteSource> source,
                                                          const odf::ReadStep& step) {
  ASSIGN_OR_RETURN(auto head, ReadHead(*source, kHeadBytes));
  if (IsErrorPage(head, step)) {
    auto line = SkipSpace(head);
    line = line.substr(0, line.find_first_of("\r\n"));
    return MakeError(ErrorCode::kUnavailable,
                     "the server answered with a page instead of {} data, nothing was taken: {}{}",
                     odf::NameOf(step.format), net::OneLine(line, kQuotedBytes),
                     line.size() > kQuotedBytes ? "..." : "");
  }
  return PutBack(std::move(head), std::move(source));
}

}  // namespace sluice::fetch
