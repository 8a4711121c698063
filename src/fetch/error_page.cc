#include <algorithm>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

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

// A column may be called `<TICKER>`: where the server does not say that it is a page, the tag must be one of
// those that pages begin with.
bool IsMarkup(std::string_view text, std::string_view media_type) {
  if (!text.starts_with('<')) return false;
  if (StartsWith(media_type, "text/html") || StartsWith(media_type, "application/xhtml")) return true;
  static constexpr std::string_view kBeginnings[] = {
      "<!doctype", "<!--",    "<html",  "<head", "<body", "<?xml", "<error", "<title",
      "<center",   "<script", "<style", "<meta", "<h1>",  "<h2>",  "<h3>",   "<p>",
      "<br>",      "<br/>",   "<br />", "<pre>", "<div>", "<div "};
  return std::any_of(std::begin(kBeginnings), std::end(kBeginnings),
                     [&](std::string_view beginning) { return StartsWith(text, beginning); });
}

// What a field's name says: that something went wrong; what, but records have messages too; how it is
// classed; or no more than where and when.
enum class Saying { kError, kMessage, kClass, kRest, kNothing };

Saying SayingOf(const std::string& name) {
  static const std::map<std::string, Saying> kNames = {{"error", Saying::kError},
                                                       {"errors", Saying::kError},
                                                       {"Error Message", Saying::kError},
                                                       {"error_message", Saying::kError},
                                                       {"errorMessage", Saying::kError},
                                                       {"error_description", Saying::kError},
                                                       {"Information", Saying::kError},
                                                       {"Note", Saying::kError},
                                                       {"fault", Saying::kError},
                                                       {"message", Saying::kMessage},
                                                       {"Message", Saying::kMessage},
                                                       {"msg", Saying::kMessage},
                                                       {"reason", Saying::kMessage},
                                                       {"detail", Saying::kMessage},
                                                       {"details", Saying::kMessage},
                                                       {"status", Saying::kClass},
                                                       {"code", Saying::kClass},
                                                       {"cod", Saying::kClass},
                                                       {"statusCode", Saying::kClass},
                                                       {"status_code", Saying::kClass},
                                                       {"error_code", Saying::kClass},
                                                       {"success", Saying::kClass},
                                                       {"ok", Saying::kClass},
                                                       {"title", Saying::kClass},
                                                       {"documentation_url", Saying::kClass},
                                                       {"type", Saying::kRest},
                                                       {"path", Saying::kRest},
                                                       {"timestamp", Saying::kRest},
                                                       {"instance", Saying::kRest},
                                                       {"meta", Saying::kRest},
                                                       {"request_id", Saying::kRest},
                                                       {"requestId", Saying::kRest},
                                                       {"trace_id", Saying::kRest}};
  const auto found = kNames.find(name);
  return found == kNames.end() ? Saying::kNothing : found->second;
}

// Whether these fields, all there are, tell of an error and of nothing else.
bool TellsOfError(const Json& object) {
  bool error = false, message = false, is_class = false, rest = false;
  for (const auto& [name, value] : object.items()) {
    const Saying saying = SayingOf(name);
    if (saying == Saying::kNothing) return false;
    error = error || saying == Saying::kError;
    message = message || saying == Saying::kMessage;
    is_class = is_class || saying == Saying::kClass;
    rest = rest || saying == Saying::kRest;
  }
  return error || (message && (is_class || !rest));
}

bool IsErrorObject(const std::string& head, const odf::ReadStep& step) {
  const Json json = Json::parse(head, nullptr, false);
  if (!json.is_object() || json.empty()) return false;
  // Text in the place of the records: `{"status":"0","result":"Max rate limit reached"}`.
  if (step.sub_path && json.contains(*step.sub_path) && json[*step.sub_path].is_string()) return true;
  if (!TellsOfError(json)) return false;
  if (step.sub_path) return true;  // the data would be deeper
  const auto schema = odf::DeclaredSchema(step);
  if (!schema.ok() || !*schema) return true;
  // Such columns may be what the source is about.
  return std::none_of((*schema)->fields.begin(), (*schema)->fields.end(),
                      [&](const auto& field) { return json.contains(field.name); });
}

bool IsErrorPage(const std::string& head, const odf::ReadStep& step, std::string_view media_type) {
  const auto text = SkipSpace(head);
  if (IsMarkup(text, media_type) || StartsWith(media_type, "application/problem+")) return true;
  if (step.format == Format::kCsv) {
    // A header line does not look like the beginning of an object, or of a list of them.
    const auto object = text.starts_with('[') ? SkipSpace(text.substr(1)) : text;
    return object.starts_with('{') && SkipSpace(object.substr(1)).starts_with('"') &&
           object.find("\":") != std::string_view::npos;
  }
  const bool whole = head.size() < kHeadBytes;
  return whole && step.format != Format::kParquet && step.format != Format::kEsriShapefile &&
         IsErrorObject(head, step);
}

}  // namespace

Result<std::unique_ptr<read::ByteSource>> RefuseErrorPage(std::unique_ptr<read::ByteSource> source,
                                                          const odf::ReadStep& step,
                                                          std::string_view media_type) {
  ASSIGN_OR_RETURN(auto head, ReadHead(*source, kHeadBytes));
  if (IsErrorPage(head, step, media_type)) {
    auto line = SkipSpace(head);
    // An object's first line may be its bracket.
    if (!line.starts_with('{')) line = line.substr(0, line.find_first_of("\r\n"));
    return MakeError(ErrorCode::kUnavailable,
                     "the server answered with a page instead of {} data, nothing was taken: {}{}",
                     odf::NameOf(step.format), net::OneLine(line, kQuotedBytes),
                     line.size() > kQuotedBytes ? "..." : "");
  }
  return PutBack(std::move(head), std::move(source));
}

}  // namespace sluice::fetch
