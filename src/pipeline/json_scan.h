#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// A small scanner of JSON texts: finds where a value ends and checks its grammar. It exists because metadata
// and unknown fields are passed on as they were given, which a parser that builds values cannot do; what is
// passed on unread must still be JSON.
namespace sluice::pipeline {

// Behind white space.
size_t SkipSpace(std::string_view text, size_t at);

// Where the value that begins at `at` ends by its brackets and quotes alone, the grammar unchecked;
// npos when the text ends first. A scalar ends before a comma, a bracket or white space.
size_t FindValueEnd(std::string_view text, size_t at);

// Whether `text` is one JSON value and nothing else. `why` says what is wrong.
bool IsJson(std::string_view text, uint32_t max_depth, std::string* why);

// `text` with quotes and escapes. UTF-8 stays as it is.
void AppendJsonText(std::string_view text, std::string* out);

}  // namespace sluice::pipeline
