#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "net/body_coding.h"
#include "net/request_parser_internal.h"

// Bytes of a connection, cut in two places: parsing must not depend on where they were cut, and must end.
namespace {

struct Outcome {
  std::string method, path, body;
  int refusal = 0;
  bool is_done = false;
  bool operator==(const Outcome&) const = default;
};

Outcome Parse(std::string_view bytes, size_t piece) {
  sluice::net::HttpRequest request;
  const sluice::net::ParserLimits limits{.max_header_bytes = 4096, .max_header_fields = 20};
  sluice::net::RequestParser parser(request, limits);
  parser.set_max_body_bytes(1000);
  Outcome outcome;
  std::string held;
  for (size_t at = 0; at < bytes.size() && !parser.refusal(); at += piece) {
    held += bytes.substr(at, piece);
    while (!held.empty() && !parser.refusal()) {
      const bool was_done = parser.is_header_done();
      if (was_done && parser.is_done()) break;
      const size_t used = was_done ? parser.PutBody(held, outcome.body) : parser.PutHeader(held);
      held.erase(0, used);
      if (used == 0 && was_done == parser.is_header_done()) break;
    }
  }
  outcome.refusal = parser.refusal() ? parser.refusal()->status : 0;
  outcome.is_done = parser.is_header_done() && parser.is_done();
  if (outcome.refusal != 0 || !parser.is_header_done()) return {.refusal = outcome.refusal};
  outcome.method = request.method;
  outcome.path = request.url.path;
  if (outcome.body.size() > 1000) std::abort();
  return outcome;
}

void Expand(sluice::net::BodyCoding coding, std::string_view bytes) {
  auto decoder = sluice::net::BodyDecoder::Make(coding, {.max_bytes = 100'000, .max_ratio = 100});
  if (!decoder.ok()) return;
  std::string expanded;
  size_t before = 0;
  do {
    before = expanded.size();
    if (!(*decoder)->Decode(bytes, expanded).ok()) return;
    if (expanded.size() > 100'000) std::abort();
  } while (!bytes.empty() || expanded.size() > before);
  (void)(*decoder)->Finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Outcome whole = Parse(bytes, bytes.size() + 1);
  if (!(Parse(bytes, 7) == whole) && whole.refusal == 0) std::abort();
  Expand(sluice::net::BodyCoding::kGzip, bytes);
  Expand(sluice::net::BodyCoding::kZstd, bytes);
  return 0;
}
