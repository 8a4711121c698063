#include "connectors/http/connector.h"

#include <set>

#include "connectors/http/ingestor.h"
#include "connectors/http/writer.h"
#include "connectors/web/headers.h"
#include "net/headers.h"
#include "pipeline/environment.h"
#include "pipeline/registry.h"
#include "pipeline/settings.h"

namespace sluice::connectors {
namespace {

using http::IngestorOptions;
using http::WriterOptions;

using pipeline::ConnectorKind;
using pipeline::Declaration;
using pipeline::OptionType;
using pipeline::Settings;

constexpr int64_t kMostConnections = 256;

Declaration IngestorDeclaration() {
  Declaration d;
  d.kind = ConnectorKind::kIngestor;
  d.type = "http";
  d.summary = "Receives records by HTTP POST: one JSON object, an array, or NDJSON";
  d.tier = pipeline::Tier::kStable;
  d.guarantee = pipeline::Guarantee::kAtLeastOnce;
  d.guarantee_text =
      "A request is answered when the writer (or the spool) has its records; a sender that repeats an "
      "unanswered request with the same uuid stores nothing twice where the writer is idempotent.";
  d.options = {
      {.name = "listen",
       .description = "Address and port, such as 127.0.0.1:5000; port 0 takes a free one",
       .is_required = true},
      {.name = "path", .description = "Path that records are posted to", .default_text = "/ingest"},
      {.name = "max_body",
       .type = OptionType::kBytes,
       .description = "Largest body of a request, as sent and expanded; larger ones get 413",
       .default_text = "16MiB"},
      {.name = "token",
       .description = "Bearer token that requests must show, of no tenant in particular",
       .is_sensitive = true},
      {.name = "tokens",
       .type = OptionType::kTextMap,
       .description = "Tenant to bearer token: a request with it brings records of that tenant alone",
       .is_sensitive = true},
      {.name = "anonymous",
       .type = OptionType::kBoolean,
       .description = "Whether everybody may send to an address that is not loopback, without any token",
       .default_text = "false"},
      {.name = "tenants",
       .type = OptionType::kTexts,
       .description = "The only tenants whose records are taken (403 otherwise); none = any"},
      {.name = "rate",
       .type = OptionType::kNumber,
       .description = "Records per second that each tenant may bring; more get 429. 0 = no limit",
       .default_text = "0"},
      {.name = "patience",
       .type = OptionType::kDuration,
       .description = "How long a request waits for room in the pipeline before it gets 503",
       .default_text = "2s"},
      {.name = "tls_certificate", .description = "PEM file of the certificate with its chain, for HTTPS"},
      {.name = "tls_key", .description = "PEM file of the certificate's private key"},
  };
  d.example = "type: http\nlisten: 127.0.0.1:5000\npath: /ingest\n";
  return d;
}

Declaration WriterDeclaration() {
  Declaration d;
  d.kind = ConnectorKind::kWriter;
  d.type = "http";
  d.summary = "Sends records by HTTP POST, one JSON object each or in batches";
  d.tier = pipeline::Tier::kStable;
  d.guarantee = pipeline::Guarantee::kAtLeastOnce;
  d.guarantee_text =
      "A record is done when the other side answered 2xx, or named its outcome. What was sent and not answered "
      "is sent again with the same uuid: the other side decides whether that has an effect.";
  d.options = {
      {.name = "url", .description = "Where records are posted to", .is_required = true},
      {.name = "batch",
       .type = OptionType::kInteger,
       .description =
           "Records in a POST: 1 = one JSON object, more = NDJSON, 0 = as many as come when the other side says that it takes several",
       .default_text = "1"},
      {.name = "timeout",
       .type = OptionType::kDuration,
       .description = "Time limit of a POST",
       .default_text = "5s"},
      {.name = "connections",
       .type = OptionType::kInteger,
       .description = "POSTs under way at a time; only 1 keeps the order of records",
       .default_text = "8"},
      {.name = "max_body",
       .type = OptionType::kBytes,
       .description = "Largest body of a POST with several records; larger batches are cut",
       .default_text = "8MiB"},
      {.name = "token", .description = "Bearer token to show", .is_sensitive = true},
      {.name = "headers",
       .type = OptionType::kTextMap,
       .description = "More header fields of each request",
       .is_sensitive = true},
      {.name = "ca_file", .description = "PEM file of the authorities to trust instead of the system's"},
  };
  d.example = "type: http\nurl: http://127.0.0.1:5001/ingest\n";
  return d;
}

bool IsLoopback(const std::string& host) { return host.starts_with("127.") || host == "::1"; }

Result<std::unique_ptr<pipeline::Ingestor>> IngestorOf(const Settings& settings,
                                                       pipeline::Environment& environment) {
  IngestorOptions options;
  if (Status parsed = http::ParseListen(settings.text("listen"), &options); !parsed.ok())
    return settings.Complain("listen", parsed.error().message());
  options.path = settings.text("path");
  if (!options.path.starts_with('/')) return settings.Complain("path", "a path begins with '/'");
  if (options.path.find_first_of("?# \t\r\n") != std::string::npos)
    return settings.Complain("path", "a path without query and blanks, such as /ingest");
  options.max_body_bytes = settings.bytes("max_body");
  if (options.max_body_bytes == 0) return settings.Complain("max_body", "no record fits into 0 bytes");
  options.token = settings.text("token");
  options.tokens = settings.text_map("tokens");
  std::set<std::string> seen;
  for (const auto& [tenant, token] : options.tokens) {
    if (tenant.empty() || token.empty()) return settings.Complain("tokens", "a tenant or a token is empty");
    if (token == options.token || !seen.insert(token).second)
      return settings.Complain(
          "tokens",
          fmt::format("the token of '{}' is another one's too: it would not say whose records come", tenant));
  }
  options.tenants = settings.texts("tenants");
  options.rate = settings.number("rate");
  if (!(options.rate >= 0)) return settings.Complain("rate", "a rate is not negative");
  options.patience = settings.duration("patience");
  const std::string certificate = settings.text("tls_certificate");
  const std::string key = settings.text("tls_key");
  if (certificate.empty() != key.empty())
    return settings.Complain(key.empty() ? "tls_key" : "tls_certificate",
                             "tls_certificate and tls_key go together");
  if (!key.empty()) options.tls = net::TlsFiles{environment.Resolve(certificate), environment.Resolve(key)};
  const bool is_open = options.token.empty() && options.tokens.empty();
  if (is_open && !IsLoopback(options.host) && !settings.boolean("anonymous"))
    return settings.Complain(
        "listen", fmt::format("'{}' can be reached from other machines: set 'token' or 'tokens', or "
                              "'anonymous: true' when everybody may send",
                              options.host));
  return http::MakeIngestor(std::move(options), environment);
}

Result<std::unique_ptr<pipeline::IngestionWriter>> WriterOf(const Settings& settings,
                                                            pipeline::Environment& environment) {
  WriterOptions options;
  options.url = settings.text("url");
  options.batch = settings.integer("batch");
  if (options.batch < 0) return settings.Complain("batch", "0, 1 or more records");
  options.timeout = settings.duration("timeout");
  if (options.timeout.count() <= 0) return settings.Complain("timeout", "a time limit is more than 0");
  const int64_t connections = settings.integer("connections");
  if (connections < 1 || connections > kMostConnections)
    return settings.Complain("connections", fmt::format("1 to {}", kMostConnections));
  options.connections = static_cast<int>(connections);
  options.max_body_bytes = settings.bytes("max_body");
  if (options.max_body_bytes == 0) return settings.Complain("max_body", "no record fits into 0 bytes");
  ASSIGN_OR_RETURN(options.headers, web::ReadHeaders(settings));
  for (const auto& [name, value] : options.headers) {
    if (net::EqualsIgnoringCase(name, "Content-Type"))
      return settings.Complain("headers",
                               "'Content-Type' is that of records, application/json or application/x-ndjson");
  }
  if (!settings.text("ca_file").empty()) options.ca_file = environment.Resolve(settings.text("ca_file"));
  auto writer = http::MakeWriter(std::move(options), environment);
  if (!writer.ok()) return settings.Complain("url", writer.error().message());
  return writer;
}

}  // namespace

void RegisterHttp(pipeline::Registry& registry) {
  registry.Add(IngestorDeclaration(), pipeline::Registry::Maker<pipeline::Ingestor>(IngestorOf));
  registry.Add(WriterDeclaration(), pipeline::Registry::Maker<pipeline::IngestionWriter>(WriterOf));
}

}  // namespace sluice::connectors
