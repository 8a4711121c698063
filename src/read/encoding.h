#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::read {

class ByteSource;
class TextArena;

// Character sets of inputs other than UTF-8, turned into UTF-8 while the bytes pass.
// OK for the names that are known, in any case. Errors: kUnsupported listing them.
Status CheckEncoding(const std::string& encoding);

// `source` itself when the encoding is UTF-8 or absent (empty). Bytes that the character set does not have
// are an error of the wrapped source's Read (kInvalidArgument with the byte offset).
Result<std::unique_ptr<ByteSource>> Transcode(std::unique_ptr<ByteSource> source,
                                              const std::string& encoding);

// What an input that is no UTF-8 seems to be by its `beginning`, and what to do, to stand behind a message;
// empty where it cannot be told.
std::string AdviceAbout(std::string_view beginning);

// Short texts of one character set, given by iconv's name, as UTF-8. Confined to one thread.
class TextDecoder {
 public:
  static bool Knows(const std::string& iconv_name);
  // Errors: kUnsupported for names that this system does not know.
  static Result<std::unique_ptr<TextDecoder>> Make(const std::string& iconv_name);
  ~TextDecoder();
  TextDecoder(const TextDecoder&) = delete;
  TextDecoder& operator=(const TextDecoder&) = delete;

  // In `arena`; nothing when the bytes are no text of that set.
  std::optional<std::string_view> Decode(std::string_view text, TextArena* arena);

 private:
  explicit TextDecoder(void* converter) : converter_(converter) {}
  void* converter_;  // iconv_t
};

}  // namespace sluice::read
