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
constexpr size_t kObjectBytes = 64 << 10;  // of an object, which may be about an error
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

// A member of the root object, as far as it was read.
struct Member {
  enum class Value { kUnseen, kNothing, kText, kOther };  // nothing: null, false, 0 or empty
  std::string name;
  Value value = Value::kUnseen;
  bool is_whole = false;
};

// Collects the members of an object; the text may end anywhere. Everything else is refused.
class MemberReader final : public nlohmann::json_sax<Json> {
 public:
  explicit MemberReader(size_t size) : size_(size) {}

  bool null() override { return Take(Member::Value::kNothing); }
  bool boolean(bool value) override { return Take(value ? Member::Value::kOther : Member::Value::kNothing); }
  bool number_integer(number_integer_t) override { return Take(Member::Value::kOther); }
  bool number_unsigned(number_unsigned_t value) override {
    return Take(value == 0 ? Member::Value::kNothing : Member::Value::kOther);
  }
  bool number_float(number_float_t, const string_t&) override { return Take(Member::Value::kOther); }
  bool string(string_t& text) override {
    return Take(text.empty() ? Member::Value::kNothing : Member::Value::kText);
  }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override {
    is_object_ = is_object_ || depth_ == 0;
    return Enter();
  }
  bool end_object() override { return Leave(); }
  bool start_array(size_t) override { return Enter(); }
  bool end_array() override { return Leave(); }
  bool key(string_t& name) override {
    if (depth_ == 1) members_.push_back({name});
    if (depth_ == 2) members_.back().value = Member::Value::kOther;
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    is_cut_ = position >= size_;
    // Nothing else tells a text that was cut off from a value that did not begin.
    const bool in_text = std::string_view(error.what()).find("invalid string") != std::string_view::npos;
    const bool is_text = in_text && !members_.empty() && !members_.back().is_whole;
    if (is_cut_ && is_text)
      members_.back().value = depth_ == 1 ? Member::Value::kText : Member::Value::kOther;
    return false;
  }

  bool is_object() const { return is_object_; }
  bool is_cut() const { return is_cut_; }  // the text ends within the object
  const std::vector<Member>& members() const { return members_; }

 private:
  bool Take(Member::Value value) {
    if (depth_ == 0) return false;
    if (depth_ == 1) {
      members_.back().value = value;
      members_.back().is_whole = true;
    } else if (depth_ == 2) {
      members_.back().value = Member::Value::kOther;
    }
    return true;
  }
  bool Enter() {
    if (!is_object_) return false;
    if (depth_ == 1) members_.back().value = Member::Value::kNothing;
    if (depth_ == 2) members_.back().value = Member::Value::kOther;
    ++depth_;
    return true;
  }
  bool Leave() {
    if (--depth_ == 1) members_.back().is_whole = true;
    return true;
  }

  const size_t size_;
  size_t depth_ = 0;
  bool is_object_ = false, is_cut_ = false;
  std::vector<Member> members_;
};

// Whether these members, all there are, tell of an error and of nothing else. Of an object that goes on
// unseen, the data may be still to come: an error must have been named then, and not in passing.
bool TellsOfError(const std::vector<Member>& members, bool is_cut) {
  bool error = false, message = false, is_class = false, rest = false;
  for (const auto& member : members) {
    const Saying saying = SayingOf(member.name);
    if (saying == Saying::kNothing) return false;
    const bool says_so = member.value == Member::Value::kText || member.value == Member::Value::kOther;
    const bool goes_on = member.value == Member::Value::kText && !member.is_whole;
    error = error || (saying == Saying::kError && (!is_cut || says_so));
    message = message || (saying == Saying::kMessage && (!is_cut || goes_on));
    is_class = is_class || saying == Saying::kClass;
    rest = rest || saying == Saying::kRest;
  }
  return error || (message && (is_class || !rest));
}

bool IsErrorObject(const std::string& head, const odf::ReadStep& step) {
  MemberReader reader(head.size());
  const bool is_whole = Json::sax_parse(head, &reader);
  const auto& members = reader.members();
  if ((!is_whole && !reader.is_cut()) || !reader.is_object() || members.empty()) return false;
  if (step.sub_path && !step.sub_path->empty()) {
    const auto first = step.sub_path->substr(0, step.sub_path->find('.'));
    const auto found = std::find_if(members.begin(), members.end(),
                                    [&](const Member& member) { return member.name == first; });
    // Text in the place of the records: `{"status":"0","result":"Max rate limit reached"}`. Else they are
    // what was asked for, whatever they are called.
    if (found != members.end()) return found->value == Member::Value::kText;
    return TellsOfError(members, reader.is_cut());
  }
  if (!TellsOfError(members, reader.is_cut())) return false;
  const auto schema = odf::DeclaredSchema(step);
  if (!schema.ok() || !*schema) return true;
  // Such columns may be what the source is about.
  const auto is_column = [&](const Member& member) {
    return std::any_of((*schema)->fields.begin(), (*schema)->fields.end(),
                       [&](const auto& field) { return field.name == member.name; });
  };
  return std::none_of(members.begin(), members.end(), is_column);
}

bool IsJson(Format format) {
  return format == Format::kJson || format == Format::kNdJson || format == Format::kGeoJson ||
         format == Format::kNdGeoJson;
}

// A header line does not look like the beginning of an object, or of a list of them.
bool BeginsLikeObjects(std::string_view text) {
  const auto object = text.starts_with('[') ? SkipSpace(text.substr(1)) : text;
  return object.starts_with('{') && SkipSpace(object.substr(1)).starts_with('"') &&
         object.find("\":") != std::string_view::npos;
}

bool IsErrorPage(const std::string& head, const odf::ReadStep& step, std::string_view media_type) {
  const auto text = SkipSpace(head);
  if (IsMarkup(text, media_type) || StartsWith(media_type, "application/problem+")) return true;
  if (IsJson(step.format)) return IsErrorObject(head, step);
  return BeginsLikeObjects(text);
}

// Whether a document of XML is about an error by its outermost element; a command may be there to read
// others.
bool IsErrorDocument(std::string_view text) {
  while (text.starts_with("<?") || text.starts_with("<!--")) {
    const std::string_view end = text.starts_with("<?") ? "?>" : "-->";
    const size_t at = text.find(end);
    if (at == std::string_view::npos) return false;
    text = SkipSpace(text.substr(at + end.size()));
  }
  std::string name(text.substr(0, text.find_first_of(" \t\r\n>/", 1)));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const char* part : {"html", "error", "exception", "fault"}) {
    if (name.find(part) != std::string::npos) return true;
  }
  return false;
}

// Whether an answer looks like a page before commands made something of it, which read what they like.
bool LooksLikePage(const std::string& head, std::string_view media_type) {
  const auto text = SkipSpace(head);
  if (StartsWith(media_type, "application/problem+")) return true;
  if (IsMarkup(text, media_type)) return !StartsWith(text, "<?xml") || IsErrorDocument(text);
  odf::ReadStep json;
  json.format = Format::kJson;
  return IsErrorObject(head, json);
}

// Nothing but nulls and empty texts and lists, whatever its type is called.
bool IsEmptyJson(const Json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  if (!value.is_structured()) return value.is_null();
  const auto items = value.items();
  return std::all_of(items.begin(), items.end(), [&](const auto& item) {
    return (value.is_object() && item.key() == "type") || IsEmptyJson(item.value());
  });
}

// Whether no record is in what `prepare` made, as far as its beginning tells.
bool HasNoRecord(const std::string& head, const odf::ReadStep& step) {
  auto text = SkipSpace(head);
  while (!text.empty() && std::string_view(" \t\r\n").find(text.back()) != std::string_view::npos)
    text.remove_suffix(1);
  if (text.empty()) return true;
  if (head.size() == kHeadBytes) return false;
  if (step.format == Format::kCsv)
    return step.header.value_or(false) && text.find_first_of("\r\n") == std::string_view::npos;
  if (!IsJson(step.format)) return false;
  const auto value = Json::parse(text, nullptr, false);
  return !value.is_discarded() && IsEmptyJson(value);
}

// An object that goes on may be a long message, or hold the data: more of it tells.
Result<std::string> ReadHeadOfAnswer(read::ByteSource& source, bool may_be_object) {
  ASSIGN_OR_RETURN(auto head, ReadHead(source, kHeadBytes));
  if (head.size() < kHeadBytes || !may_be_object || !SkipSpace(head).starts_with('{')) return head;
  ASSIGN_OR_RETURN(const auto more, ReadHead(source, kObjectBytes - kHeadBytes));
  return head + more;
}

Error Refusal(std::string_view head, std::string_view expected, bool* is_page) {
  *is_page = true;
  auto line = SkipSpace(head);
  // An object's first line may be its bracket.
  if (!line.starts_with('{')) line = line.substr(0, line.find_first_of("\r\n"));
  return MakeError(ErrorCode::kUnavailable,
                   "the server answered with a page instead of {} data, nothing was taken: {}{}", expected,
                   net::OneLine(line, kQuotedBytes), line.size() > kQuotedBytes ? "..." : "");
}

}  // namespace

Result<std::unique_ptr<read::ByteSource>> RefuseErrorPage(std::unique_ptr<read::ByteSource> source,
                                                          const odf::ReadStep& step,
                                                          std::string_view media_type, bool* is_page) {
  ASSIGN_OR_RETURN(auto head, ReadHeadOfAnswer(*source, IsJson(step.format)));
  if (IsErrorPage(head, step, media_type)) return Refusal(head, odf::NameOf(step.format), is_page);
  return PutBack(std::move(head), std::move(source));
}

Result<std::unique_ptr<read::ByteSource>> PrepareAnswer(const odf::SetPollingSource& source,
                                                        std::unique_ptr<read::ByteSource> answer,
                                                        std::string_view media_type,
                                                        const PrepareOptions& options, bool* is_page) {
  if (!source.prepare || source.prepare->empty())
    return RefuseErrorPage(std::move(answer), source.read, media_type, is_page);
  ASSIGN_OR_RETURN(auto head, ReadHeadOfAnswer(*answer, true));
  if (const auto* unpack = std::get_if<odf::PrepDecompress>(&source.prepare->front())) {
    const auto text = SkipSpace(head);
    const bool is_text = IsMarkup(text, media_type) || StartsWith(media_type, "application/problem+") ||
                         (!options.decoded && BeginsLikeObjects(text));
    if (is_text)
      return Refusal(head, unpack->format == odf::CompressionFormat::kZip ? "zip" : "gzip", is_page);
  }
  const bool looks_like_page = LooksLikePage(head, media_type);
  const std::string beginning = looks_like_page ? head : std::string();
  ASSIGN_OR_RETURN(auto made, Prepare(source.prepare, PutBack(std::move(head), std::move(answer)), options));
  // A command that finds no record in a page says nothing of it: a Snapshot would lose all of its records.
  if (looks_like_page) {
    ASSIGN_OR_RETURN(auto made_head, ReadHead(*made, kHeadBytes));
    if (HasNoRecord(made_head, source.read))
      return Refusal(beginning, odf::NameOf(source.read.format), is_page);
    made = PutBack(std::move(made_head), std::move(made));
  }
  return RefuseErrorPage(std::move(made), source.read, media_type, is_page);
}

}  // namespace sluice::fetch
