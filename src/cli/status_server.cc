#include "cli/status_server.h"

#include <nlohmann/json.hpp>

#include "cli/usage.h"
#include "net/http_server.h"
#include "pipeline/host.h"
#include "server/config_values.h"

namespace sluice::cli {
namespace {

class Handler final : public net::HttpHandler {
 public:
  explicit Handler(pipeline::PipelineHost& host) : host_(host) {}

  net::HttpResponse Handle(net::HttpRequest& request) override {
    if (request.method != "GET" && request.method != "HEAD") return Answer(405, "text/plain", "GET only\n");
    const std::string path = request.target.substr(0, request.target.find('?'));
    if (path == "/metrics") return Answer(200, "text/plain; version=0.0.4; charset=utf-8", host_.Metrics());
    if (path == "/healthz") return Answer(200, "text/plain", "ok\n");
    if (path == "/readyz") return Ready();
    return Answer(404, "text/plain", "there are /metrics, /healthz and /readyz\n");
  }

 private:
  static net::HttpResponse Answer(int status, std::string type, std::string body) {
    net::HttpResponse response;
    response.status = status;
    response.headers.Set("Content-Type", std::move(type));
    response.body = std::move(body);
    return response;
  }
  net::HttpResponse Ready() const {
    nlohmann::json pipelines = nlohmann::json::array();
    bool is_ready = true;
    for (const auto& one : host_.health()) {
      nlohmann::json entry = {{"name", one.pipeline}, {"ready", one.ailments.empty()}};
      for (const auto& ailment : one.ailments)
        entry["reasons"].push_back(fmt::format("{}: {}", ailment.stage, ailment.reason));
      is_ready = is_ready && one.ailments.empty();
      pipelines.push_back(std::move(entry));
    }
    const nlohmann::json body = {{"ready", is_ready}, {"pipelines", std::move(pipelines)}};
    return Answer(is_ready ? 200 : 503, "application/json",
                  body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  }

  pipeline::PipelineHost& host_;
};

class Server final : public StatusServer {
 public:
  explicit Server(pipeline::PipelineHost& host) : handler_(host) {}
  Status Listen(const net::HttpEndpoint& endpoint) {
    ASSIGN_OR_RETURN(server_, net::HttpServer::Start({endpoint}, handler_));
    return {};
  }
  std::string url() const override { return server_->url(); }

 private:
  Handler handler_;
  std::unique_ptr<net::HttpServer> server_;
};

}  // namespace

Result<std::unique_ptr<StatusServer>> StatusServer::Start(const std::string& address,
                                                          pipeline::PipelineHost& host) {
  const auto endpoint = server::ParseListen(address);
  if (!endpoint.ok() || !endpoint->unix_path.empty())
    return UsageError("--metrics takes PORT or HOST:PORT, not '{}'", address);
  auto server = std::make_unique<Server>(host);
  RETURN_IF_ERROR(server->Listen(*endpoint));
  return std::unique_ptr<StatusServer>(std::move(server));
}

}  // namespace sluice::cli
