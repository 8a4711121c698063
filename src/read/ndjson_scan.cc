#include "read/ndjson_scan.h"

#include <algorithm>
#include <cstring>

#include "read/encoding.h"

namespace sluice::read {
namespace {

const char* FindLineFeed(const char* p, const char* end) {
  const void* found = std::memchr(p, '\n', static_cast<size_t>(end - p));
  return found == nullptr ? end : static_cast<const char*>(found);
}

}  // namespace

int64_t NdJsonScanner::LineOf(const char* p) {
  line_ += CountLineFeeds(counted_, p);
  counted_ = p;
  return line_;
}

void NdJsonScanner::ToRecord() { p_ = std::min(SkipJsonSpace(p_), end()); }

const char* NdJsonScanner::CheckBehind(const char* p, JsonError* error) {
  while (*p == ' ' || *p == '\t' || *p == '\r') ++p;
  if (*p == '\n' || *p == '\0' || *p == '{') return p;
  *error = {p, "unexpected text behind the object"};
  return nullptr;
}

std::string_view NdJsonScanner::SkipBadRecord(const char* start, const JsonError& error) {
  const char* line_end = FindLineFeed(start, end());
  if (error.at > line_end) {
    // Begun well and went on over lines: a truncated record, or one of several lines.
    while (line_end < end() && *SkipJsonSpace(line_end + 1) != '{')
      line_end = FindLineFeed(line_end + 1, end());
  }
  p_ = line_end;
  while (line_end > start && (line_end[-1] == '\r' || line_end[-1] == '\n' || line_end[-1] == ' '))
    --line_end;
  return {start, static_cast<size_t>(line_end - start)};
}

Result<bool> NdJsonScanner::Next(JsonRows* rows) {
  ToRecord();
  if (p_ >= end()) return false;
  const char* start = p_;
  JsonPlace place{{}, record_++, LineOf(start)};
  JsonError error;
  if (*start == '{') {
    ASSIGN_OR_RETURN(const char* next, rows->AddObject(start, place, &CheckBehind, &error));
    if (next != nullptr) {
      p_ = next;
      return true;
    }
  } else {
    const char* next = SkipJsonValue(start, 0, &error);
    if (next != nullptr) error = {next, nullptr};
  }
  place.raw = SkipBadRecord(start, error);
  const std::string reason =
      error.reason != nullptr
          ? fmt::format("malformed JSON at byte {}: {}{}", error.at - start + 1, error.reason,
                        place.record == 0 ? AdviceAbout(place.raw) : "")
          : fmt::format("expected an object, found {}", NameWithArticle(KindOf(place.raw)));
  rows->Refuse(place, "", place.raw, reason);
  return true;
}

bool NdJsonScanner::NextObject(std::string_view* object) {
  for (;;) {
    ToRecord();
    if (p_ >= end()) return false;
    const char* start = p_;
    JsonError error;
    const char* next = SkipJsonValue(start, 0, &error);
    const bool good = next != nullptr && *start == '{' && CheckBehind(next, &error) != nullptr;
    if (good) {
      p_ = next;
      *object = {start, static_cast<size_t>(next - start)};
      return true;
    }
    if (error.at == nullptr) error.at = next;
    SkipBadRecord(start, error);
  }
}

}  // namespace sluice::read
