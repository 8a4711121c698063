#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "connectors/rest/options.h"
#include "connectors/rest/pace.h"
#include "net/http_client.h"

namespace sluice::connectors::rest {

// An answer of the API: well-formed JSON.
struct Answer {
  std::string body;
  net::Headers headers;
  int64_t server_seconds = 0;  // when it was given, by the server's clock where it says so
};

// Asks an API, as fast as it may be asked. Confined.
class Client {
 public:
  // `options` outlives it. Errors: kInvalidArgument naming the option.
  static Result<std::unique_ptr<Client>> Make(const RestOptions& options);

  // The URL with these parameters, behind those of the configuration. Secret ones are added when it is sent.
  std::string UrlWith(const std::vector<std::pair<std::string, std::string>>& parameters) const;
  // A link of an answer to `url` as a URL of its own, without secret parameters. Errors: kPermissionDenied
  // for one that leads to another server; kInvalidArgument for what is no link.
  Result<std::string> Follow(const std::string& url, const std::string& link) const;

  // Tries once; again and again where the server only says that it is too early. `limited` is told how long
  // that will take. Errors: kUnauthenticated, kPermissionDenied, kNotFound, ... as the status says,
  // kTooLarge, kCorruption for what is no JSON, those of net::HttpClient; all without secrets.
  Result<Answer> Get(const std::string& url, std::chrono::milliseconds timeout,
                     const std::function<void(std::chrono::milliseconds)>& limited,
                     const std::stop_token& stop);

  // Of the URL, for messages: without its query.
  static std::string Shown(const std::string& url) { return url.substr(0, url.find('?')); }

 private:
  Client(const RestOptions& options, std::unique_ptr<net::HttpClient> http)
      : options_(options), http_(std::move(http)), pace_(options.requests_per_second) {}
  Error ErrorOf(const std::string& url, const net::HttpAnswer& answer) const;

  const RestOptions& options_;
  const std::unique_ptr<net::HttpClient> http_;
  Pace pace_;
};

}  // namespace sluice::connectors::rest
