#include "sql/engine_error.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "sql/names.h"

namespace sluice::sql {
namespace {

enum class Family { kQuery, kData, kMemory, kInterrupt, kUnsupported, kPermission, kIo, kInternal };

struct Prefix {
  std::string_view text;
  Family family;
};

constexpr std::array kPrefixes = {
    Prefix{"Parser Error: ", Family::kQuery},
    Prefix{"Syntax Error: ", Family::kQuery},
    Prefix{"Binder Error: ", Family::kQuery},
    Prefix{"Catalog Error: ", Family::kQuery},
    Prefix{"Expression Error: ", Family::kQuery},
    Prefix{"Parameter Not Resolved Error: ", Family::kQuery},
    Prefix{"Parameter Not Allowed Error: ", Family::kQuery},
    Prefix{"Invalid type Error: ", Family::kQuery},
    Prefix{"Mismatch Type Error: ", Family::kQuery},
    Prefix{"Conversion Error: ", Family::kData},
    Prefix{"Out of Range Error: ", Family::kData},
    Prefix{"Invalid Input Error: ", Family::kData},
    Prefix{"Divide by Zero Error: ", Family::kData},
    Prefix{"Decimal Error: ", Family::kData},
    Prefix{"Object Size Error: ", Family::kData},
    Prefix{"Out of Memory Error: ", Family::kMemory},
    Prefix{"INTERRUPT Error: ", Family::kInterrupt},
    Prefix{"Not implemented Error: ", Family::kUnsupported},
    Prefix{"Permission Error: ", Family::kPermission},
    Prefix{"IO Error: ", Family::kIo},
    Prefix{"HTTP Error: ", Family::kIo},
    Prefix{"Missing Extension Error: ", Family::kPermission},
    Prefix{"Extension Autoloading Error: ", Family::kPermission},
};

ErrorCode CodeOf(Family family, ErrorCode data_code) {
  switch (family) {
    case Family::kQuery:
      return ErrorCode::kInvalidArgument;
    case Family::kData:
      return data_code;
    case Family::kMemory:
      return ErrorCode::kResourceExhausted;
    case Family::kInterrupt:
      return ErrorCode::kCancelled;
    case Family::kUnsupported:
      return ErrorCode::kUnsupported;
    case Family::kPermission:
      return ErrorCode::kPermissionDenied;
    case Family::kIo:
      return ErrorCode::kUnavailable;
    case Family::kInternal:
      return ErrorCode::kInternal;
  }
  return ErrorCode::kInternal;
}

// What the engine says of a Parquet file that is not what was written.
bool IsDamage(Family family, std::string_view message) {
  if (family != Family::kIo && family != Family::kInternal && family != Family::kData) return false;
  constexpr std::array<std::string_view, 5> kSigns = {"No magic bytes found", "TProtocolException",
                                                      "not read enough bytes", "decompression failure",
                                                      "Parquet file"};
  return std::any_of(kSigns.begin(), kSigns.end(),
                     [&](std::string_view sign) { return message.find(sign) != std::string_view::npos; });
}

// Of a file of a dataset its name alone: who asks over HTTP has no business with the node's folders.
std::string WithoutFolder(std::string text) {
  const size_t name = text.find("/data/");
  if (name == std::string::npos) return text;
  const size_t quote = text.rfind('\'', name);
  const size_t quote2 = text.rfind('"', name);
  const size_t start = quote == std::string::npos    ? quote2
                       : quote2 == std::string::npos ? quote
                                                     : std::max(quote, quote2);
  if (start != std::string::npos) text.erase(start + 1, name - start);
  return text;
}

// The first line, and the line that lists the names to choose from.
std::string Essence(std::string_view text) {
  size_t end = text.find('\n');
  std::string out(text.substr(0, end));
  const auto strip_end = [&out] {
    while (!out.empty() && (out.back() == '.' || out.back() == '!' || out.back() == ' ')) out.pop_back();
  };
  strip_end();
  for (std::string_view lead : {"Candidate bindings: ", "Candidate Entries: ", "Did you mean "}) {
    size_t at = text.find(lead, end == std::string_view::npos ? text.size() : end);
    if (at == std::string_view::npos) continue;
    std::string line(text.substr(at, text.find('\n', at) - at));
    line[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(line[0])));
    // Tables of the engine's own are no answer to somebody who looks for a dataset.
    const bool is_internal = line.find("\"duckdb_") != std::string::npos ||
                             line.find("\"pg_") != std::string::npos ||
                             line.find("\"sqlite_") != std::string::npos;
    if (!is_internal) out += "; " + line;
    break;
  }
  strip_end();
  if (out.size() > 1 && !std::isupper(static_cast<unsigned char>(out[1]))) {
    out[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(out[0])));
  }
  return out;
}

bool IsWordChar(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Where the first name that the message quotes stands in the statement.
size_t FindQuotedName(std::string_view message, std::string_view statement) {
  size_t open = message.find('"');
  std::string_view name;
  if (open != std::string_view::npos) {
    size_t close = message.find('"', open + 1);
    if (close != std::string_view::npos) name = message.substr(open + 1, close - open - 1);
  }
  for (std::string_view lead : {"with name ", "given name and argument types '"}) {
    size_t at = name.empty() ? message.find(lead) : std::string_view::npos;
    if (at == std::string_view::npos) continue;
    name = message.substr(at + lead.size());
    name = name.substr(0, name.find_first_of(" ('"));
  }
  if (name.empty()) return std::string_view::npos;
  for (size_t at = statement.find(name); at != std::string_view::npos; at = statement.find(name, at + 1)) {
    bool starts = at == 0 || !IsWordChar(statement[at - 1]);
    bool ends = at + name.size() >= statement.size() || !IsWordChar(statement[at + name.size()]);
    if (starts && ends) return at;
  }
  return std::string_view::npos;
}

}  // namespace

std::string DescribePosition(std::string_view text, size_t offset) {
  size_t line = 1;
  size_t column = 1;
  for (size_t i = 0; i < offset && i < text.size(); ++i) {
    if (text[i] == '\n') {
      ++line;
      column = 1;
    } else {
      ++column;
    }
  }
  return fmt::format(" at line {}, column {}", line, column);
}

Error FromEngineMessage(std::string_view message, ErrorCode data_code, std::string_view statement) {
  Family family = Family::kInternal;
  std::string decoded = DecodeMessage(message);
  std::string_view rest = decoded;
  for (const Prefix& prefix : kPrefixes) {
    if (!rest.starts_with(prefix.text)) continue;
    family = prefix.family;
    rest.remove_prefix(prefix.text.size());
    break;
  }
  std::string text = Essence(rest);
  if (family == Family::kQuery) {
    if (size_t at = FindQuotedName(rest, statement); at != std::string_view::npos) {
      text += DescribePosition(statement, at);
    }
  }
  if (IsDamage(family, rest)) {
    return Corruption("stored data cannot be read: {}; 'sluice verify' tells where it is damaged",
                      WithoutFolder(std::move(text)));
  }
  return {CodeOf(family, data_code), text.empty() ? "the SQL engine failed without a message" : text};
}

}  // namespace sluice::sql
