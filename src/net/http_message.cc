#include "net/http_message.h"

#include <boost/beast/http/status.hpp>
#include <nlohmann/json.hpp>

namespace sluice::net {

HttpResponse ProblemResponse(int status, std::string_view message) {
  const auto reason =
      boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(static_cast<unsigned>(status)));
  const nlohmann::json problem = {{"type", "about:blank"},
                                  {"title", std::string(reason.data(), reason.size())},
                                  {"status", status},
                                  {"detail", message},
                                  {"message", message}};
  HttpResponse response;
  response.status = status;
  response.headers.Set("Content-Type", "application/problem+json");
  // What a client sent, and a message quotes, need not be UTF-8.
  response.body = problem.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  return response;
}

HttpResponse TextResponse(int status, std::string text) {
  HttpResponse response;
  response.status = status;
  response.headers.Set("Content-Type", "text/plain; charset=utf-8");
  response.body = std::move(text);
  return response;
}

}  // namespace sluice::net
