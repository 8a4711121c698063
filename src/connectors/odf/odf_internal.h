#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "connectors/odf/batch_keys.h"
#include "net/http_client.h"
#include "pipeline/connector.h"
#include "pipeline/environment.h"
#include "pipeline/record.h"
#include "pipeline/settings.h"
#include "push/pusher.h"

namespace sluice::connectors::odf {

// A dataset's name, or how it is made from a record: `${{ record.tenant_id }}/feedback`. Immutable.
class NamePattern {
 public:
  // Errors: kInvalidArgument for a field that is no text of the record, or a template without an end.
  static Result<NamePattern> Parse(std::string_view text);

  bool has_fields() const { return !parts_.empty() && parts_.size() > 1; }
  // Errors: kInvalidRecords when a field is empty or holds what no dataset's name does.
  Result<std::string> NameOf(const arrow::RecordBatch& records, int64_t row) const;
  // Whether a record could have brought forth `name`.
  bool Matches(std::string_view name) const;

 private:
  struct Part {
    std::string text;        // before the field
    int column = -1;         // -1 = the end
    std::string field = {};  // its name
  };
  std::vector<Part> parts_;
};

struct NodeOptions {
  std::string url;          // `http://host:port`
  std::string unix_socket;  // connect there; the URL's host is then only a name
  std::string token;
  std::string ca_file;
  std::chrono::milliseconds timeout{60'000};
};

// What the writer asks of a node beside pushing. Confined.
class Node {
 public:
  static Result<Node> Make(NodeOptions options);

  // Errors: kUnavailable when it does not answer; kUnauthenticated, kPermissionDenied.
  Result<std::vector<std::string>> DatasetNames(std::stop_token stop);
  // OK too when it is there already. Errors: the node's.
  Status Create(const std::string& manifest, std::stop_token stop);
  Result<std::unique_ptr<push::Target>> Open(const std::string& dataset, const std::string& source,
                                             std::stop_token stop) const;
  const NodeOptions& options() const { return options_; }

 private:
  Node(NodeOptions options, std::unique_ptr<net::HttpClient> client)
      : options_(std::move(options)), client_(std::move(client)) {}
  Result<net::HttpAnswer> Call(const std::string& method, const std::string& path, const std::string& body,
                               std::stop_token stop);

  NodeOptions options_;
  std::unique_ptr<net::HttpClient> client_;
};

// `keys` are the program's: a pipeline that is reloaded repeats what its predecessor got no answer for.
Result<std::unique_ptr<pipeline::IngestionWriter>> MakeOdfWriter(const pipeline::Settings& settings,
                                                                 pipeline::Environment& environment,
                                                                 std::shared_ptr<BatchKeys> keys);

}  // namespace sluice::connectors::odf
