#include "connectors/aws/signing.h"

#include <cstdlib>

namespace sluice::connectors::aws {
namespace {

std::string Value(const pipeline::Settings& settings, const char* option, const char* variable) {
  if (!settings.text(option).empty()) return settings.text(option);
  const char* value = std::getenv(variable);
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

std::vector<pipeline::Option> SigningOptions(std::string region) {
  return {
      {.name = "region", .description = std::move(region)},
      {.name = "access_key_id", .description = "Who signs; otherwise AWS_ACCESS_KEY_ID of the environment"},
      {.name = "secret_access_key",
       .description = "The key to sign with; otherwise AWS_SECRET_ACCESS_KEY of the environment",
       .is_sensitive = true},
      {.name = "session_token",
       .description = "Of temporary credentials; otherwise AWS_SESSION_TOKEN of the environment",
       .is_sensitive = true}};
}

Result<net::AwsSigning> ReadSigning(const pipeline::Settings& settings, std::string service,
                                    std::string region) {
  net::AwsSigning signing;
  signing.service = std::move(service);
  signing.region = settings.text("region");
  if (signing.region.empty()) signing.region = std::move(region);
  if (signing.region.empty()) signing.region = Value(settings, "region", "AWS_REGION");
  if (signing.region.empty())
    return settings.Complain("region", "is needed, here or as AWS_REGION of the environment");
  signing.access_key_id = Value(settings, "access_key_id", "AWS_ACCESS_KEY_ID");
  if (signing.access_key_id.empty())
    return settings.Complain("access_key_id", "is needed, here or as AWS_ACCESS_KEY_ID of the environment");
  signing.secret_access_key = Value(settings, "secret_access_key", "AWS_SECRET_ACCESS_KEY");
  if (signing.secret_access_key.empty())
    return settings.Complain("secret_access_key",
                             "is needed, here or as AWS_SECRET_ACCESS_KEY of the environment");
  signing.session_token = Value(settings, "session_token", "AWS_SESSION_TOKEN");
  return signing;
}

}  // namespace sluice::connectors::aws
