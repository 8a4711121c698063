#include "base/random.h"
#include "connectors/redshift/redshift_internal.h"
#include "net/url.h"

namespace sluice::connectors::redshift {

constexpr std::chrono::minutes kTimeout{5};

StagedFiles::StagedFiles(const StagingOptions& options, std::unique_ptr<net::HttpClient> client)
    : options_(options), client_(std::move(client)) {}

Result<std::unique_ptr<StagedFiles>> StagedFiles::Make(const StagingOptions& options) {
  ASSIGN_OR_RETURN(auto client, net::HttpClient::Make());
  return std::unique_ptr<StagedFiles>(new StagedFiles(options, std::move(client)));
}

std::string StagedFiles::NewKey() const { return options_.prefix + "sluice-" + NewUuid() + ".csv"; }

Status StagedFiles::Call(const std::string& method, const std::string& key, std::string body,
                         std::stop_token stop) {
  net::HttpCall call;
  call.method = method;
  call.url = options_.endpoint + net::PercentEncode(key, /*keep_slash=*/true);
  if (method == "PUT") call.headers = {{"Content-Type", "text/csv"}};
  call.body = std::move(body);
  call.aws = options_.signing;
  call.timeout = kTimeout;
  ASSIGN_OR_RETURN(const net::HttpAnswer answer, client_->Send(call, std::move(stop)));
  return net::CheckAnswer(answer);
}

Status StagedFiles::Put(const std::string& key, std::string body, std::stop_token stop) {
  Status put = Call("PUT", key, std::move(body), std::move(stop));
  if (!put.ok()) return std::move(put).error().With("staging in s3://" + options_.bucket + "/" + key);
  return {};
}

Status StagedFiles::Remove(const std::string& key, std::stop_token stop) {
  Status removed = Call("DELETE", key, "", std::move(stop));
  if (!removed.ok()) return std::move(removed).error().With("removing s3://" + options_.bucket + "/" + key);
  return {};
}

Status StagedFiles::Check(std::stop_token stop) {
  const std::string key = NewKey();
  RETURN_IF_ERROR(Put(key, "check\n", stop));
  return Remove(key, stop);
}

}  // namespace sluice::connectors::redshift
