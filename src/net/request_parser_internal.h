#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "net/http_message.h"

namespace sluice::net {

struct ParserLimits {
  uint32_t max_header_bytes = 64 << 10;
  size_t max_header_fields = 100;
};

// One request out of the bytes of a connection, strictly: what two programs could read differently is refused
// (two lengths, a length beside a transfer encoding, encodings other than `chunked`, several Hosts, `..` and
// encoded slashes in a path). Does no input. Confined.
class RequestParser : private boost::beast::http::basic_parser<true> {
 public:
  // A refusal, with the status that says why.
  struct Refusal {
    int status = 400;
    std::string message;
  };

  RequestParser(HttpRequest& request, const ParserLimits& limits);

  // Reads as much of the header as there is; returns how many bytes were used up. The header is complete when
  // is_header_done(); what follows in `bytes` is the body's. After a refusal nothing more can be parsed.
  size_t PutHeader(std::string_view bytes);
  // Reads body bytes and appends what they carry to `body`, which has room for `max_bytes` in all.
  size_t PutBody(std::string_view bytes, std::string& body);

  bool is_header_done() const { return is_header_done_; }
  bool is_done() const { return Base::is_done(); }
  bool is_keep_alive() const { return Base::keep_alive(); }
  bool is_http11() const { return version_ >= 11; }
  std::optional<uint64_t> content_length() const;
  // Bytes that the body carried so far, without framing.
  uint64_t body_bytes() const { return body_bytes_; }
  void set_max_body_bytes(uint64_t bytes) { max_body_bytes_ = bytes; }
  const std::optional<Refusal>& refusal() const { return refusal_; }

 private:
  using Base = boost::beast::http::basic_parser<true>;
  using View = boost::beast::string_view;
  using Code = boost::beast::error_code;

  size_t Put(std::string_view bytes);
  void CheckHeader();
  void CheckFraming();
  void CheckTarget();
  void Refuse(int status, std::string message);
  size_t TakeBody(View bytes, Code& error);

  void on_request_impl(boost::beast::http::verb, View method, View target, int version, Code& error) override;
  void on_response_impl(int, View, int, Code&) override {}
  void on_field_impl(boost::beast::http::field, View name, View value, Code& error) override;
  void on_header_impl(Code&) override { is_header_done_ = true; }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, Code&) override {}
  size_t on_body_impl(View bytes, Code& error) override { return TakeBody(bytes, error); }
  void on_chunk_header_impl(std::uint64_t, View, Code&) override {}
  size_t on_chunk_body_impl(std::uint64_t, View bytes, Code& error) override {
    return TakeBody(bytes, error);
  }
  void on_finish_impl(Code&) override {}

  HttpRequest& request_;
  const ParserLimits& limits_;
  std::string* body_ = nullptr;
  uint64_t body_bytes_ = 0;
  uint64_t max_body_bytes_ = 0;
  int version_ = 11;
  bool is_header_done_ = false;
  std::optional<Refusal> refusal_;
};

}  // namespace sluice::net
