#include "server/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/matchers.h"

namespace sluice::server {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::optional<std::string> Environment(const std::string& name) {
  static const std::map<std::string, std::string> values = {
      {"PORT", "8123"}, {"WHERE", "/etc/keys"}, {"SECRET", "hunter2-secret"}, {"FLAG", "true"}};
  const auto it = values.find(name);
  return it == values.end() ? std::nullopt : std::optional(it->second);
}

Result<NodeConfig> Read(const std::string& yaml,
                        const std::vector<std::pair<std::string, std::string>>& options = {}) {
  ConfigReader reader(Environment);
  RETURN_IF_ERROR(reader.Read(yaml, "node.yaml"));
  for (const auto& [option, value] : options) RETURN_IF_ERROR(reader.SetOption(option, value));
  return reader.Finish();
}

std::string ErrorOf(const std::string& yaml,
                    const std::vector<std::pair<std::string, std::string>>& options = {}) {
  const auto config = Read(yaml, options);
  return config.ok() ? "none" : config.error().ToString();
}

TEST(ConfigTest, AFileThatSaysNothingIsTheDefault) {
  for (const char* text : {"", "# nothing\n", "limits:\n"}) {
    const auto config = Read(text);
    ASSERT_TRUE(config.ok()) << config.error().ToString();
    ASSERT_EQ(config->listen.size(), 1U);
    EXPECT_EQ(config->listen[0].port, 8080);
    EXPECT_TRUE(config->is_loopback_only());
    EXPECT_EQ(config->gateway.journal.key_window, std::chrono::hours(24));
    EXPECT_FALSE(config->quota.requests_per_second.has_value());
    EXPECT_TRUE(config->weakened.empty());
  }
}

TEST(ConfigTest, AFallbackIsForWhatNothingElseSets) {
  const auto upload = [](const std::string& yaml, const std::string& value) -> Result<uint64_t> {
    ConfigReader reader(Environment);
    RETURN_IF_ERROR(reader.Read(yaml, "node.yaml"));
    RETURN_IF_ERROR(reader.SetFallback("limits.upload", value, "elsewhere"));
    ASSIGN_OR_RETURN(const auto config, reader.Finish());
    return config.limits.upload_bytes;
  };
  EXPECT_EQ(upload("", "3MiB").value(), 3U << 20);
  EXPECT_EQ(upload("limits: {upload: 1KiB}", "3MiB").value(), 1024U);
  EXPECT_EQ(upload("", "65MiB").error().ToString(), "elsewhere: at most 64MiB is expected");
}

TEST(ConfigTest, ReadsEveryKindOfValue) {
  const auto config = Read(R"(listen: ["[::1]:80", 8080, "unix:/tmp/x"]
blockBudget: unlimited
ack: durable
keys: {window: 2h, perSource: 50000}
limits:
  connections: 10
  headerTime: 500ms
quotas:
  default: {requestsPerSecond: 2.5}
  accounts:
    acme.inc: {datasets: 3, bytesPerSecond: 1MiB}
compaction:
  - {datasets: "sensors.%", every: 12h, sliceRecords: 77}
compactionSlices: {bytes: 5MB}
jwt: {jwks: k.json, issuer: i, audience: a}
log: {level: warn, format: json, file: /tmp/log}
)");
  ASSERT_TRUE(config.ok()) << config.error().ToString();
  ASSERT_EQ(config->listen.size(), 3U);
  EXPECT_EQ(config->listen[0].host, "::1");
  EXPECT_EQ(config->listen[1].port, 8080);
  EXPECT_EQ(config->listen[2].unix_path, "/tmp/x");
  EXPECT_TRUE(config->gateway.ack_durable && config->log.is_json);
  EXPECT_FALSE(config->gateway.blocks_per_second.has_value());
  EXPECT_EQ(config->gateway.journal.key_window, std::chrono::hours(2));
  EXPECT_EQ(config->http.max_connections, 10);
  EXPECT_EQ(config->http.header_timeout, std::chrono::milliseconds(500));
  EXPECT_EQ(config->quota.requests_per_second, 2.5);
  EXPECT_EQ(config->account_quotas.at("acme.inc").datasets, 3U);
  EXPECT_EQ(config->account_quotas.at("acme.inc").bytes_per_second, 1048576.0);
  ASSERT_EQ(config->compaction.size(), 1U);
  EXPECT_EQ(config->compaction[0].max_slice_records, 77U);
  EXPECT_EQ(config->compaction[0].max_slice_bytes, 5'000'000U);
  EXPECT_EQ(config->jwt->rules.issuer, "i");
  EXPECT_EQ(config->log.level, LogLevel::kWarn);
}

TEST(ConfigTest, NamesFileLineAndNearKey) {
  EXPECT_THAT(ErrorOf("ack: durable\nlisen: 80\n"),
              StartsWith("node.yaml:2: unknown key 'lisen' (did you mean 'listen'?)"));
  EXPECT_THAT(ErrorOf("limits:\n\n  conections: 1\n"),
              StartsWith("node.yaml:3: unknown key 'limits.conections' (did you mean 'connections'?)"));
  EXPECT_THAT(ErrorOf("# a\nlimits: {header: many}\n"),
              StartsWith("node.yaml:2: key 'limits.header' is \"many\": bytes are expected"));
  EXPECT_THAT(ErrorOf("quotas:\n  accounts:\n    kim:\n      requestPerSecond: 1\n"),
              AllOf(HasSubstr("node.yaml:4: unknown key"), HasSubstr("requestsPerSecond")));
  EXPECT_THAT(ErrorOf("compaction:\n- {every: 1h}\n"), HasSubstr("node.yaml:1: key 'compaction'"));
}

TEST(ConfigTest, RefusesOtherKindsOfValues) {
  const std::pair<const char*, const char*> cases[] = {
      {"limits: 7\n", "more keys are expected"},
      {"limits: {header: 20000000000GiB}\n", "bytes are expected"},
      {"limits: {connections: 0}\n", "whole number"},
      {"limits: {connections: 1.5}\n", "whole number"},
      {"limits: {idleTime: 60}\n", "a time is expected"},
      {"insecureHttp: yes\n", "true or false"},
      {"insecureHttp: \"true\"\n", "true or false"},
      {"blockBudget: -1\n", "unlimited"},
      {"listen: 99999\n", "HOST:PORT"},
      {"ack: sometimes\n", "committed or durable"},
      {"log: {format: xml}\n", "json or text"},
      {"accessLog: 1\n", "a text is expected"},
      {"quotas: {default: {requestsPerSecond: 0}}\n", "above 0"},
      {"compaction: readings=24h\n", "list of rules"},
      {"compaction: [{datasets: a, evry: 1h}]\n", "did you mean 'every'?"},
      {"accept: [everything]\n", "shortKeyWindow"},
      {"acceptNewLog: true\n", "command line"},
      {"- a\n", "keys with values"},
      {"a: [\n", "node.yaml:"},
      {"a: 1\n---\nb: 2\n", "one document"},
      {"ack: durable\nack: committed\n", "given twice"},
  };
  for (const auto& [yaml, word] : cases) EXPECT_THAT(ErrorOf(yaml), HasSubstr(word)) << yaml;
}

TEST(ConfigTest, PutsTogetherWhatBelongsTogether) {
  EXPECT_THAT(ErrorOf("tls:\n  certificate: a.pem\n"),
              HasSubstr("node.yaml:2: tls.certificate is given without tls.key"));
  EXPECT_THAT(ErrorOf("", {{"--tls-key", "k.pem"}}),
              HasSubstr("--tls-key: tls.key is given without tls.certificate"));
  EXPECT_THAT(ErrorOf("jwt: {jwks: k.json, issuer: i}\n"), HasSubstr("missing key 'jwt.audience'"));
  EXPECT_THAT(ErrorOf("keys: {window: 8d}\n"), HasSubstr("receipts.window"));
  EXPECT_THAT(ErrorOf("queue:\n  age: 8d\n"), HasSubstr("node.yaml:2: queue.age is longer"));
  EXPECT_THAT(ErrorOf("limits: {waiting: 1MiB}\n"), HasSubstr("could never be taken"));
  EXPECT_THAT(ErrorOf("queue: {bytes: 1MiB}\n"), HasSubstr("could take none"));
}

TEST(ConfigTest, RefusesWhatWeakensSilently) {
  EXPECT_THAT(ErrorOf("keys: {window: 10m}\n"),
              AllOf(HasSubstr("node.yaml:1: keys.window weakens a guarantee"), HasSubstr("shortKeyWindow")));
  EXPECT_THAT(ErrorOf("keys: {perSource: 100}\n"), HasSubstr("accept: [fewKeys]"));
  const auto meant = Read("accept: [shortKeyWindow]\nkeys: {window: 10m}\n");
  ASSERT_TRUE(meant.ok()) << meant.error().ToString();
  EXPECT_EQ(meant->weakened.size(), 1U);
  EXPECT_THAT(ErrorOf("listen: 0.0.0.0:80\n"), HasSubstr("node.yaml:1: listen: '0.0.0.0' can be reached"));
  const auto insecure = Read("listen: 0.0.0.0:80\ninsecureHttp: true\n");
  ASSERT_TRUE(insecure.ok());
  EXPECT_EQ(insecure->weakened.size(), 1U);
  const auto tls = Read("listen: 0.0.0.0:80\ntls: {certificate: c, key: k}\n");
  ASSERT_TRUE(tls.ok());
  EXPECT_TRUE(tls->listen[0].tls.has_value() && tls->weakened.empty());
}

TEST(ConfigTest, OptionsWinOverTheFile) {
  const auto config = Read("listen: [1, 2]\nack: durable\nblockBudget: 5\n",
                           {{"--listen", "3"}, {"--listen", "unix:/s"}, {"--block-budget", "unlimited"}});
  ASSERT_TRUE(config.ok()) << config.error().ToString();
  ASSERT_EQ(config->listen.size(), 2U);
  EXPECT_EQ(config->listen[0].port, 3);
  EXPECT_TRUE(config->gateway.ack_durable);
  EXPECT_FALSE(config->gateway.blocks_per_second.has_value());
  EXPECT_THAT(ErrorOf("", {{"--compact", "x"}}), HasSubstr("--compact 'x': DATASET=INTERVAL"));
}

TEST(ConfigTest, TakesValuesFromTheEnvironment) {
  const auto config = Read(
      "listen: ${{ env.PORT }}\njwt: {jwks: '${{ env.WHERE }}/j.json', issuer: i, audience: a}\n"
      "insecureHttp: ${{ env.FLAG }}\nlimits: {connections: \"${{ env.NONE || 12 }}\"}\n");
  ASSERT_TRUE(config.ok()) << config.error().ToString();
  EXPECT_EQ(config->listen[0].port, 8123);
  EXPECT_EQ(config->jwt->jwks, "/etc/keys/j.json");
  EXPECT_TRUE(config->insecure_http);
  EXPECT_EQ(config->http.max_connections, 12);
  EXPECT_THAT(ErrorOf("accessLog: ${{ env.NONE }}\n"),
              AllOf(StartsWith("node.yaml:1: key 'accessLog'"), HasSubstr("env.NONE")));
  // What a variable holds is never shown.
  EXPECT_THAT(ErrorOf("ack: ${{ env.SECRET }}\n"),
              AllOf(HasSubstr("${{ env.SECRET }}"), Not(HasSubstr("hunter2"))));
  EXPECT_THAT(ErrorOf("listen: ${{ env.SECRET }}\n"), Not(HasSubstr("hunter2")));
  EXPECT_THAT(ErrorOf("limits: {header: \"${{ env.SECRET }}\"}\n"), Not(HasSubstr("hunter2")));
}

TEST(ConfigTest, EveryOptionHasItsKey) {
  std::set<std::string> options;
  for (const auto& key : NodeConfigKeys()) {
    EXPECT_FALSE(key.meaning.empty() || key.kind.empty() || key.fallback.empty()) << key.path;
    if (!key.option.empty()) EXPECT_TRUE(options.insert(key.option).second) << key.option;
    EXPECT_THAT(DescribeNodeConfig(), HasSubstr("`" + key.path + "`"));
  }
  EXPECT_GE(options.size(), 16U);
}

}  // namespace
}  // namespace sluice::server
