// Every key of a node's configuration: a row says its name, its option, and where its value goes.
#include <algorithm>

#include "auth/token_store.h"
#include "base/names.h"
#include "server/config_keys_internal.h"

namespace sluice::server {
namespace {

using Set = decltype(ConfigKey::set);

// A value that `read` understands goes to the place that `where` gives.
template <class Read, class Where>
Set To(Read read, Where where) {
  return [read, where](ConfigDraft* draft, const ConfigValue& value, const std::string& account) -> Status {
    ASSIGN_OR_RETURN(auto parsed, read(value));
    auto& place = where(*draft, account);
    place = static_cast<std::decay_t<decltype(place)>>(parsed);
    return {};
  };
}

template <class Where>
Set ToTime(Where where) {
  return [where](ConfigDraft* draft, const ConfigValue& value, const std::string&) -> Status {
    ASSIGN_OR_RETURN(const auto parsed, ConfigTime(value));
    auto& place = where(*draft);
    using Unit = std::decay_t<decltype(place)>;
    if (parsed < Unit(1)) return InvalidArgument("a longer time is expected, at least a second");
    place = std::chrono::duration_cast<Unit>(parsed);
    return {};
  };
}

// One value, or a list of them.
std::vector<ConfigValue> Items(const ConfigValue& value) {
  if (!value.json.is_array()) return {value};
  std::vector<ConfigValue> items;
  for (const auto& item : value.json) items.push_back({item, value.is_loose});
  return items;
}

Status AddListen(ConfigDraft* draft, const ConfigValue& value, const std::string&) {
  for (const auto& item : Items(value)) {
    const bool is_port = item.json.is_number_unsigned();
    if (!is_port && !item.json.is_string())
      return InvalidArgument("PORT, HOST:PORT or unix:PATH is expected, or a list of them");
    ASSIGN_OR_RETURN(auto endpoint, ParseListen(is_port ? item.json.dump() : item.json.get<std::string>()));
    draft->config.listen.push_back(std::move(endpoint));
  }
  return {};
}

Status SetBudget(ConfigDraft* draft, const ConfigValue& value, const std::string&) {
  return ParseBlockBudget(value.json.is_string() ? value.json.get<std::string>() : value.json.dump(),
                          &draft->config.gateway);
}

Status SetAck(ConfigDraft* draft, const ConfigValue& value, const std::string&) {
  if (value.json != "committed" && value.json != "durable")
    return InvalidArgument("committed or durable is expected");
  draft->config.gateway.ack_durable = value.json == "durable";
  return {};
}

Status SetShutdown(ConfigDraft* draft, const ConfigValue& value, const std::string&) {
  if (value.is_loose && value.json == "0") {
    draft->config.shutdown = std::chrono::milliseconds(0);
    return {};
  }
  ASSIGN_OR_RETURN(draft->config.shutdown, ConfigTime(value));
  if (draft->config.shutdown > std::chrono::hours(1)) return InvalidArgument("at most 1h is expected");
  return {};
}

Status SetLevel(ConfigDraft* draft, const ConfigValue& value, const std::string&) {
  static const std::vector<std::string> names = {"debug", "info", "warn", "error"};
  const auto it =
      std::find_if(names.begin(), names.end(), [&](const auto& name) { return value.json == name; });
  if (it == names.end()) return InvalidArgument("debug, info, warn or error is expected");
  draft->config.log.level = static_cast<LogLevel>(it - names.begin());
  return {};
}

Status SetFormat(ConfigDraft* draft, const ConfigValue& value, const std::string&) {
  if (value.json != "json" && value.json != "text") return InvalidArgument("json or text is expected");
  draft->config.log.is_json = value.json == "json";
  return {};
}

Status AddAccepted(ConfigDraft* draft, const ConfigValue& value, const std::string&) {
  std::vector<std::string> names;
  for (const auto& weakening : Weakenings()) names.push_back(weakening.name);
  for (const auto& item : Items(value)) {
    if (std::none_of(names.begin(), names.end(), [&](const auto& name) { return item.json == name; }))
      return InvalidArgument("{} are what can be accepted", JoinNames(names));
    draft->accepted.insert(item.json.get<std::string>());
  }
  return {};
}

Status RefuseNewLog(ConfigDraft* draft, const ConfigValue& value, const std::string&) {
  if (!value.is_loose) {
    return InvalidArgument(
        "a file would accept the loss of acknowledged batches at every start: give --accept-new-log on the command "
        "line, once");
  }
  draft->config.gateway.journal.accept_new_log = true;
  return {};
}

Result<CompactionRule> RuleOf(const nlohmann::json& item) {
  static const std::vector<std::string> names = {"datasets", "every", "sliceRecords", "sliceBytes"};
  if (!item.is_object() || !item.contains("datasets"))
    return InvalidArgument("rules with 'datasets' are expected, and perhaps every, sliceRecords, sliceBytes");
  CompactionRule rule;
  rule.max_slice_records = rule.max_slice_bytes = 0;  // as for all rules
  for (const auto& [name, given] : item.items()) {
    const ConfigValue value{given};
    const auto read = [&]() -> Status {
      if (name == "datasets") {
        ASSIGN_OR_RETURN(rule.datasets, ConfigText(value));
      } else if (name == "every") {
        ASSIGN_OR_RETURN(const auto every, ConfigTime(value));
        if (every < std::chrono::seconds(1)) return InvalidArgument("at least 1s is expected");
        rule.every = std::chrono::duration_cast<std::chrono::seconds>(every);
      } else if (name == "sliceRecords") {
        ASSIGN_OR_RETURN(rule.max_slice_records, ConfigCount(value));
      } else if (name == "sliceBytes") {
        ASSIGN_OR_RETURN(rule.max_slice_bytes, ConfigBytes(value));
      } else {
        const auto near = NearNames(name, names, 1);
        return InvalidArgument("a rule has no such key{}",
                               near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near.front()));
      }
      return {};
    };
    if (auto status = read(); !status.ok())
      return InvalidArgument("in '{}' {}", name, status.error().message());
  }
  return rule;
}

// `readings=24h` on the command line, rules in a file.
Status AddCompaction(ConfigDraft* draft, const ConfigValue& value, const std::string&) {
  if (value.json.is_array() && !value.is_loose) {
    for (const auto& item : value.json) {
      ASSIGN_OR_RETURN(auto rule, RuleOf(item));
      draft->config.compaction.push_back(std::move(rule));
    }
    return {};
  }
  const std::string text = value.json.is_string() ? value.json.get<std::string>() : "";
  const auto equals = text.rfind('=');
  if (!value.is_loose || equals == std::string::npos || equals == 0) {
    if (!value.is_loose) return InvalidArgument("a list of rules is expected");
    return InvalidArgument("DATASET=INTERVAL is expected, such as 'readings=24h'");
  }
  CompactionRule rule;
  rule.datasets = text.substr(0, equals);
  auto every = auth::ParseLifetime(text.substr(equals + 1));
  if (!every.ok()) return InvalidArgument("DATASET=INTERVAL is expected: {}", every.error().message());
  rule.every = *every;
  rule.max_slice_records = rule.max_slice_bytes = 0;
  draft->config.compaction.push_back(std::move(rule));
  return {};
}

auth::JwtOptions& JwtOf(ConfigDraft& draft) {
  if (!draft.config.jwt) draft.config.jwt.emplace();
  return *draft.config.jwt;
}

// An account's own quota replaces the default as a whole.
Quota& QuotaOf(ConfigDraft& draft, const std::string& account) {
  return account.empty() ? draft.config.quota : draft.config.account_quotas[account];
}

// An account's own grants replace the default as a whole.
Status SetCapabilities(ConfigDraft* draft, const ConfigValue& value, const std::string& account) {
  std::set<Capability> granted;
  for (const auto& item : Items(value)) {
    if (!item.json.is_string()) return InvalidArgument("names of capabilities are expected");
    ASSIGN_OR_RETURN(const auto capability, ParseCapability(item.json.get<std::string>()));
    granted.insert(capability);
  }
  (account.empty() ? draft->config.capabilities : draft->config.account_capabilities[account]) =
      std::move(granted);
  return {};
}

Result<uint64_t> ConfigUpload(const ConfigValue& value) {
  constexpr uint64_t kMost = 64 << 20;
  ASSIGN_OR_RETURN(const auto bytes, ConfigBytes(value));
  if (bytes > kMost) return InvalidArgument("at most 64MiB is expected");
  return bytes;
}

Result<uint64_t> ConfigThreads(const ConfigValue& value) {
  constexpr uint64_t kMost = 256;
  ASSIGN_OR_RETURN(const auto count, ConfigCount(value));
  if (count == 0 || count > kMost) return InvalidArgument("a number from 1 to {} is expected", kMost);
  return count;
}

using Draft = ConfigDraft;
using Name = std::string;

std::vector<ConfigKey> NodeKeys() {
  return {
      {{"listen", "--listen", "address or list", "127.0.0.1:8080",
        "PORT, HOST:PORT or unix:PATH; the option may be repeated"},
       AddListen},
      {{"tls.certificate", "--tls-certificate", "path", "no TLS",
        "PEM file: certificate with its chain; read again when it changes"},
       To(ConfigText, [](Draft& d, const Name&) -> auto& { return d.tls.certificate; })},
      {{"tls.key", "--tls-key", "path", "no TLS", "PEM file: its private key"},
       To(ConfigText, [](Draft& d, const Name&) -> auto& { return d.tls.key; })},
      {{"insecureHttp", "--insecure-http", "flag", "false",
        "Listen on other than loopback addresses without TLS"},
       To(ConfigFlag, [](Draft& d, const Name&) -> auto& { return d.config.insecure_http; })},
      {{"jwt.jwks", "--jwks", "path or URL", "no JWT",
        "File or https URL with the keys of an identity provider, whose tokens are taken too"},
       To(ConfigText, [](Draft& d, const Name&) -> auto& { return JwtOf(d).jwks; })},
      {{"jwt.issuer", "--jwt-issuer", "text", "needed with jwks", "The provider's name ('iss')"},
       To(ConfigText, [](Draft& d, const Name&) -> auto& { return JwtOf(d).rules.issuer; })},
      {{"jwt.audience", "--jwt-audience", "text", "needed with jwks", "This node's name there ('aud')"},
       To(ConfigText, [](Draft& d, const Name&) -> auto& { return JwtOf(d).rules.audience; })},
      {{"jwt.accountClaim", "", "text", "sub", "The claim that names the account"},
       To(ConfigText, [](Draft& d, const Name&) -> auto& { return JwtOf(d).rules.account_claim; })},
      {{"jwt.scopeClaim", "", "text", "scope", "The claim that lists scopes"},
       To(ConfigText, [](Draft& d, const Name&) -> auto& { return JwtOf(d).rules.scope_claim; })},
      {{"ack", "--ack", "committed or durable", "committed",
        "When a push is answered: committed, or durable in the queue"},
       SetAck},
      {{"blockBudget", "--block-budget", "number or unlimited", "1",
        "Blocks a dataset gets per second, averaged over an hour"},
       SetBudget},
      {{"shutdown", "--shutdown-seconds", "time", "10s",
        "Time to finish when told to stop; seconds on the command line"},
       SetShutdown},
      {{"compaction", "--compact", "list of rules", "none",
        "Datasets whose small slices are merged, as {datasets: NAME or pattern with %, every: 24h, sliceRecords, "
        "sliceBytes}, or DATASET=24h on the command line; replaces their history"},
       AddCompaction},
      {{"compactionSlices.records", "--compact-slice-records", "number", "10000",
        "Records of a slice, for rules that say nothing of it"},
       To(ConfigCount, [](Draft& d, const Name&) -> auto& { return d.slice_records; })},
      {{"compactionSlices.bytes", "--compact-slice-bytes", "bytes", "300MB",
        "Bytes of a slice, for rules that say nothing of it"},
       To(ConfigBytes, [](Draft& d, const Name&) -> auto& { return d.slice_bytes; })},
      {{"schedules", "--schedules", "flag", "true",
        "Whether the node pulls at the times of 'schedule:' in the workspace's configuration"},
       To(ConfigFlag, [](Draft& d, const Name&) -> auto& { return d.config.runs_schedules; })},
      {{"limits.pulls", "", "number", "4", "Datasets that are pulled at the same time"},
       To(ConfigCount, [](Draft& d, const Name&) -> auto& { return d.config.pull_jobs; })},
      {{"accept", "--accept", "list", "none",
        "Weakenings of guarantees that are meant: shortKeyWindow, fewKeys; see 'sluice explain'"},
       AddAccepted},
      {{"acceptNewLog", "--accept-new-log", "command line alone", "false",
        "Go on although the node's log is missing: acknowledged batches may be gone"},
       RefuseNewLog},
      {{"accessLog", "--access-log", "path", "none",
        "File to append one JSON line a request to, '-' for standard error"},
       To(ConfigText, [](Draft& d, const Name&) -> auto& { return d.config.access_log; })},
      {{"log.file", "--log-file", "path", "standard error", "Where the node's log goes; may be moved away"},
       To(ConfigText, [](Draft& d, const Name&) -> auto& { return d.config.log.file; })},
      {{"log.format", "--log-format", "json or text", "text", "json: one object a line"}, SetFormat},
      {{"log.level", "--log-level", "debug, info, warn, error", "info", "The least that is logged"},
       SetLevel},
  };
}

std::vector<ConfigKey> LimitKeys() {
  return {
      {{"keys.window", "", "time", "24h", "How long idempotency keys are remembered"},
       ToTime([](Draft& d) -> auto& { return d.config.gateway.journal.key_window; })},
      {{"keys.perSource", "", "number", "1000000", "How many of them, for each source"},
       To(ConfigCount,
          [](Draft& d, const Name&) -> auto& { return d.config.gateway.journal.keys_per_source; })},
      {{"receipts.window", "", "time", "7d", "How long receipts can be asked for; not less than keys.window"},
       ToTime([](Draft& d) -> auto& { return d.config.gateway.journal.receipt_window; })},
      {{"queue.bytes", "", "bytes", "8GiB", "Disk space of the durable queue; over it 503"},
       To(ConfigBytes,
          [](Draft& d, const Name&) -> auto& { return d.config.gateway.journal.max_queue_bytes; })},
      {{"queue.age", "", "time", "7d",
        "Age of a dataset's oldest queued batch from which no more are queued: 503"},
       ToTime([](Draft& d) -> auto& { return d.config.gateway.max_queue_age; })},
      {{"limits.waiting", "", "bytes", "256MiB", "Batches that wait in memory; over it 503"},
       To(ConfigBytes, [](Draft& d, const Name&) -> auto& { return d.config.gateway.max_waiting_bytes; })},
      {{"limits.connections", "", "number", "8192", "Open connections; one more is answered 503"},
       To(ConfigCount, [](Draft& d, const Name&) -> auto& { return d.config.http.max_connections; })},
      {{"limits.header", "", "bytes", "64KiB", "A request's header"},
       To(ConfigBytes, [](Draft& d, const Name&) -> auto& { return d.config.http.max_header_bytes; })},
      {{"limits.headerTime", "", "time", "10s", "From a request's first byte to the end of its header"},
       ToTime([](Draft& d) -> auto& { return d.config.http.header_timeout; })},
      {{"limits.idleTime", "", "time", "1m", "Between two requests of a connection"},
       ToTime([](Draft& d) -> auto& { return d.config.http.idle_timeout; })},
      {{"limits.bodyTime", "", "time", "30s", "Without a byte of the body"},
       ToTime([](Draft& d) -> auto& { return d.config.http.body_timeout; })},
      {{"limits.writeTime", "", "time", "30s", "For each piece of an answer"},
       ToTime([](Draft& d) -> auto& { return d.config.http.write_timeout; })},
      {{"limits.queryTime", "", "time", "30s", "A query over HTTP; a longer one is answered 422"},
       ToTime([](Draft& d) -> auto& { return d.config.limits.query_time; })},
      {{"limits.queryMemory", "", "bytes", "256MiB", "Memory of each; what does not fit waits on disk"},
       To(ConfigBytes, [](Draft& d, const Name&) -> auto& { return d.config.limits.query_memory_bytes; })},
      {{"limits.queryRows", "", "number", "1000000", "Rows of a result; more are answered 422"},
       To(ConfigCount, [](Draft& d, const Name&) -> auto& { return d.config.limits.query_rows; })},
      {{"limits.queryBytes", "", "bytes", "256MiB", "Bytes of a result; more are answered 422"},
       To(ConfigBytes, [](Draft& d, const Name&) -> auto& { return d.config.limits.query_bytes; })},
      {{"limits.upload", "", "bytes", "50MiB",
        "A file of the upload flow; at most 64MiB, as of any batch. Without it `uploads.maxFileSizeInMb` of "
        "`sluice config` holds"},
       To(ConfigUpload, [](Draft& d, const Name&) -> auto& { return d.config.limits.upload_bytes; })},
      {{"limits.uploadTime", "", "time", "1h", "How long an upload token holds, and its file is kept"},
       ToTime([](Draft& d) -> auto& { return d.config.limits.upload_lifetime; })},
      {{"limits.uploads", "", "bytes", "4GiB", "Uploaded files that wait for their ingestion; over it 503"},
       To(ConfigBytes, [](Draft& d, const Name&) -> auto& { return d.config.limits.waiting_upload_bytes; })},
      {{"limits.longCalls", "", "number", "3",
        "Queries, tails and verifications that run at the same time; some more wait, then 503"},
       To(ConfigThreads, [](Draft& d, const Name&) -> auto& { return d.config.limits.long_calls; })},
  };
}

void AddQuotaKeys(const std::string& prefix, const std::string& whose, std::vector<ConfigKey>* keys) {
  keys->push_back(
      {{prefix + ".requestsPerSecond", "", "number", "no limit",
        "Requests of " + whose + ", saved up for ten seconds; over it 429"},
       To(ConfigRate, [](Draft& d, const Name& a) -> auto& { return QuotaOf(d, a).requests_per_second; })});
  keys->push_back(
      {{prefix + ".bytesPerSecond", "", "bytes", "no limit",
        "Bytes of request bodies of " + whose + ", likewise"},
       To(ConfigBytes, [](Draft& d, const Name& a) -> auto& { return QuotaOf(d, a).bytes_per_second; })});
  keys->push_back({{prefix + ".datasets", "", "number", "no limit",
                    "Datasets of " + whose + "; one more is answered 429"},
                   To(ConfigCount, [](Draft& d, const Name& a) -> auto& { return QuotaOf(d, a).datasets; })});
}

}  // namespace

const std::vector<ConfigKey>& ConfigKeyTable() {
  static const std::vector<ConfigKey> keys = [] {
    auto all = NodeKeys();
    for (auto& key : LimitKeys()) all.push_back(std::move(key));
    AddQuotaKeys("quotas.default", "an account", &all);
    AddQuotaKeys("quotas.accounts.*", "this account, instead of all the default's", &all);
    const std::string meaning =
        "manifests that arrive over HTTP may use: pipe, container, exec, file, filesGlob, ssh, env, privateAddresses";
    all.push_back({{"capabilities.default", "", "list", "none", "What " + meaning}, SetCapabilities});
    all.push_back({{"capabilities.accounts.*", "", "list", "the default's", "What this account's " + meaning},
                   SetCapabilities});
    return all;
  }();
  return keys;
}

const std::vector<Weakening>& Weakenings() {
  static const std::vector<Weakening> all = {
      {"shortKeyWindow",
       "idempotency keys are forgotten within an hour: a client that repeats a batch later than that adds it again"},
      {"fewKeys",
       "a source remembers fewer than 10,000 idempotency keys: a busy one forgets them before a client repeats"},
  };
  return all;
}

}  // namespace sluice::server
