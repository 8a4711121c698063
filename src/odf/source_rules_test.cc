// Push and polling sources: which may stand together, how they end, whose state is whose.
#include "base/testing/matchers.h"
#include "odf/testing/chain_builder.h"

namespace sluice::odf {
namespace {

using namespace odf::testing;

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

auto Breaks(std::string_view rule, std::string_view detail) {
  return IsError(ErrorCode::kInvalidArgument,
                 AllOf(StartsWith(std::string(rule) + ": "), HasSubstr(std::string(detail))));
}

using Steps = std::vector<SqlQueryStep>;

std::string StateValue(const std::optional<SourceState>& state) { return state ? state->value : "none"; }
std::string PushState(const ChainState& state, const std::string& name) {
  return StateValue(state.push_sources.at(name).state);
}

// --- V8, V9: what an event tells alone ---

TEST(SourceRulesTest, PushSourceNamesAreUsable) {
  ChainBuilder chain;
  EXPECT_THAT(chain.Append(TestPushSource("")), Breaks("InvalidEvent", "a push source needs a name, not ''"));
  EXPECT_THAT(chain.Append(TestPushSource(" \t")), Breaks("InvalidEvent", "a push source needs a name"));
  EXPECT_THAT(chain.Append(TestPushSource(" a")), Breaks("InvalidEvent", "begins or ends with white space"));
  EXPECT_THAT(chain.Append(TestPushSource("a\n")), Breaks("InvalidEvent", "begins or ends with white space"));
  EXPECT_THAT(chain.Append(TestPushSource("odf/polling")),
              Breaks("InvalidEvent", "'odf/polling' names the state of the polling source"));
  for (const char* name : {"default", "a b", "odf/other", "\xc3\xa4"})
    EXPECT_OK(chain.Append(TestPushSource(name)));
}

template <class Source>
void ExpectReadAndPreprocessRules(Source source) {
  const auto append = [](const Source& event) { return ChainBuilder().Append(event); };
  source.read.ddl_schema = Strings{"a INT"};
  EXPECT_OK(append(source));
  source.read.schema = DataSchema{.fields = {Column("a", TypeKind::kInt32)}};
  EXPECT_THAT(append(source), Breaks("InvalidEvent", "both schema and ddlSchema"));
  source.read.ddl_schema.reset();
  EXPECT_OK(append(source));

  source.preprocess = TestQuery();
  EXPECT_OK(append(source));
  source.preprocess->query = "select 1";
  EXPECT_THAT(append(source), Breaks("InvalidEvent", "preprocess: 'query' has to be given as 'queries'"));
  EXPECT_OK(ChainBuilder().Append(source, Judging::kReplay));
  source.preprocess->query.reset();
  source.preprocess->queries->clear();
  EXPECT_THAT(append(source), Breaks("InvalidEvent", "preprocess: there are no queries"));
  source.preprocess->queries.reset();
  EXPECT_THAT(append(source), Breaks("InvalidEvent", "preprocess: there are no queries"));
  source.preprocess->queries = Steps{{.alias = "x", .query = "select 1"}};
  EXPECT_THAT(append(source),
              Breaks("InvalidEvent", "the last query is the result and has no alias, not 'x'"));
  source.preprocess->queries = Steps{{.query = "select 1"}, {.query = "select 2"}};
  EXPECT_THAT(append(source), Breaks("InvalidEvent", "query 1 of 2 needs an alias"));
  source.preprocess->queries = Steps{{.alias = "x", .query = "select 1"}, {.query = "select * from x"}};
  EXPECT_OK(append(source));
}

TEST(SourceRulesTest, ReadAndPreprocessStepsAreWellFormed) {
  ExpectReadAndPreprocessRules(TestPushSource("a"));
  ExpectReadAndPreprocessRules(TestPollingSource("http://a"));
}

TEST(SourceRulesTest, EthereumLogsNeedAnEndpoint) {
  SetPollingSource source = TestPollingSource("");
  source.fetch = FetchEthereumLogs{.filter = "x"};
  EXPECT_THAT(ChainBuilder().Append(source), Breaks("InvalidEvent", "EthereumLogs needs chainId or nodeUrl"));
  source.fetch = FetchEthereumLogs{.chain_id = 1};
  EXPECT_OK(ChainBuilder().Append(source));
  source.fetch = FetchEthereumLogs{.node_url = "http://node"};
  EXPECT_OK(ChainBuilder().Append(source));
}

// --- V8, V9 and the disable events: what the chain tells ---

TEST(SourceRulesTest, SameContentIsNoEventOtherContentReplaces) {
  ChainBuilder chain;
  EXPECT_OK(chain.Append(TestPushSource("a")));
  EXPECT_OK(chain.Append(TestPushSource("b")));
  EXPECT_OK(chain.Append(WithState({}, "a", "k", "1")));
  EXPECT_THAT(chain.Append(TestPushSource("a")),
              Breaks("NoOpEvent", "push source 'a' is active with the same content"));
  AddPushSource other = TestPushSource("a", {.kind = MergeKind::kLedger, .primary_key = {"id"}});
  EXPECT_OK(chain.Append(other));
  EXPECT_EQ(chain.state().push_sources.at("a").event, other);
  EXPECT_EQ(chain.state().push_sources.at("a").activated_at, 1u);
  EXPECT_EQ(PushState(chain.state(), "a"), "1") << "replacing keeps the state";
  EXPECT_OK(chain.Append(TestPushSource("a"))) << "the content before the last one is other content";
}

TEST(SourceRulesTest, ExplicitDefaultsAreTheSameContent) {
  AddPushSource plain = TestPushSource("a");
  plain.read.format = ReadFormat::kCsv;
  plain.read.schema = DataSchema{.fields = {Column("t", TypeKind::kTimestamp), Column("u", TypeKind::kTime)}};
  AddPushSource full = plain;
  full.read.separator = ",";
  full.read.encoding = "utf8";
  full.read.quote = "\"";
  full.read.escape = "\\";
  full.read.header = false;
  full.read.infer_schema = false;
  full.read.null_value = "";
  full.read.date_format = "rfc3339";
  full.read.timestamp_format = "rfc3339";
  full.read.schema->fields[0].type.unit = TimeUnit::kMillisecond;
  full.read.schema->fields[0].type.timezone = "UTC";
  full.read.schema->fields[1].type.unit = TimeUnit::kMillisecond;
  ChainBuilder chain;
  EXPECT_OK(chain.Append(plain));
  EXPECT_THAT(chain.Append(full), Breaks("NoOpEvent", "'a'"));
  full.read.header = true;
  EXPECT_OK(chain.Append(full));
  full.read.schema->fields[0].type.unit = TimeUnit::kSecond;
  EXPECT_OK(chain.Append(full));
  full.read.format = ReadFormat::kJson;
  EXPECT_OK(chain.Append(full));
}

TEST(SourceRulesTest, PushAndPollingExcludeEachOther) {
  ChainBuilder chain;
  EXPECT_OK(chain.Append(TestPushSource("a")));
  EXPECT_OK(chain.Append(TestPushSource("b")));
  EXPECT_THAT(chain.Append(TestPollingSource("http://a")),
              Breaks("InvalidEvent", "push sources are still active, disable them first: 'a', 'b'"));
  EXPECT_OK(chain.Append(DisablePushSource{"a"}));
  EXPECT_THAT(chain.Append(TestPollingSource("http://a")), Breaks("InvalidEvent", "disable them first: 'b'"));
  EXPECT_OK(chain.Append(DisablePushSource{"b"}));
  EXPECT_OK(chain.Append(TestPollingSource("http://a")));
  EXPECT_OK(chain.Append(TestPollingSource("http://a"))) << "an equal polling source may be set again";
  EXPECT_THAT(chain.Append(TestPushSource("a")),
              Breaks("InvalidEvent", "push source 'a' cannot be added: the polling source is still active"));
  EXPECT_OK(chain.Append(DisablePollingSource{}));
  EXPECT_OK(chain.Append(TestPushSource("a")));
  EXPECT_EQ(chain.state().push_sources.size(), 1u);
  EXPECT_FALSE(chain.state().polling_source);
}

TEST(SourceRulesTest, OnlyWhatIsActiveCanBeDisabled) {
  ChainBuilder chain;
  EXPECT_THAT(chain.Append(DisablePollingSource{}), Breaks("InvalidEvent", "no polling source is active"));
  EXPECT_THAT(chain.Append(DisablePushSource{"a"}),
              Breaks("InvalidEvent", "push source 'a' is not active; active are: none"));
  EXPECT_OK(chain.Append(TestPushSource("b")));
  EXPECT_THAT(chain.Append(DisablePushSource{"a"}), Breaks("InvalidEvent", "active are: 'b'"));
  EXPECT_THAT(chain.Append(DisablePollingSource{}), Breaks("InvalidEvent", "no polling source is active"));
  EXPECT_OK(chain.Append(DisablePushSource{"b"}));
  EXPECT_THAT(chain.Append(DisablePushSource{"b"}), Breaks("InvalidEvent", "'b' is not active"));
  EXPECT_OK(chain.Append(TestPollingSource("http://a")));
  EXPECT_OK(chain.Append(DisablePollingSource{}));
  EXPECT_THAT(chain.Append(DisablePollingSource{}), Breaks("InvalidEvent", "no polling source is active"));
}

// --- states ---

TEST(SourceStateTest, EachSourceHasItsOwn) {
  ChainBuilder chain;
  EXPECT_OK(chain.Append(TestPushSource("a")));
  EXPECT_OK(chain.Append(TestPushSource("b")));
  EXPECT_OK(chain.Append(WithState({}, "a", "k", "a1")));
  EXPECT_OK(chain.Append(WithState({}, "b", "k", "b1")));
  AddData stateless;
  stateless.new_watermark = Instant{.seconds = 5};
  EXPECT_OK(chain.Append(stateless));
  EXPECT_EQ(PushState(chain.state(), "a"), "a1");
  EXPECT_EQ(PushState(chain.state(), "b"), "b1");
  EXPECT_EQ(chain.state().push_sources.at("a").state_sequence, 3u);
  EXPECT_EQ(chain.state().push_sources.at("b").state_sequence, 4u);
}

TEST(SourceStateTest, AReaddedSourceStartsWithoutOne) {
  ChainBuilder chain;
  EXPECT_OK(chain.Append(TestPushSource("a")));
  EXPECT_OK(chain.Append(WithState({}, "a", "k", "1")));
  EXPECT_OK(chain.Append(WithState({}, "a", "sluice/file", "f")));
  EXPECT_OK(chain.Append(DisablePushSource{"a"}));
  EXPECT_OK(chain.Append(TestPushSource("a")));
  const ChainState::PushSource& source = chain.state().push_sources.at("a");
  EXPECT_EQ(source.activated_at, 5u);
  EXPECT_FALSE(source.state || source.state_sequence || source.file_state || source.file_state_sequence);
}

TEST(SourceStateTest, FileStatesStandApart) {
  ChainBuilder chain;
  EXPECT_OK(chain.Append(TestPushSource("a")));
  EXPECT_OK(chain.Append(WithState({}, "a", "sluice/file", "f1")));
  EXPECT_EQ(PushState(chain.state(), "a"), "none");
  EXPECT_OK(chain.Append(WithState({}, "a", "k", "1")));
  EXPECT_OK(chain.Append(WithState({}, "a", "sluice/file", "f2")));
  EXPECT_EQ(PushState(chain.state(), "a"), "1");
  EXPECT_EQ(StateValue(chain.state().push_sources.at("a").file_state), "f2");
  EXPECT_EQ(chain.state().push_sources.at("a").state_sequence, 3u);
  EXPECT_EQ(chain.state().push_sources.at("a").file_state_sequence, 4u);
}

TEST(SourceStateTest, PollingStateIsReadUnderBothNames) {
  ChainBuilder chain;
  EXPECT_OK(chain.Append(TestPollingSource("http://a")));
  EXPECT_OK(chain.Append(WithState({}, "default", "odf/etag", "1")));
  EXPECT_EQ(StateValue(chain.state().polling_source->state), "1");
  EXPECT_OK(chain.Append(WithState({}, "odf/polling", "odf/etag", "2")));
  EXPECT_EQ(StateValue(chain.state().polling_source->state), "2");
  EXPECT_THAT(chain.Append(WithState({}, "default", "odf/etag", "2")), Breaks("NoOpEvent", "source state"))
      << "the same state under the other name";
  EXPECT_OK(chain.Append(WithState({}, "other", "odf/etag", "3")));
  EXPECT_OK(chain.Append(WithState({}, "odf/polling", "sluice/file", "4")));
  EXPECT_EQ(StateValue(chain.state().polling_source->state), "2");
  EXPECT_EQ(chain.state().polling_source->state_sequence, 3u);
}

TEST(SourceStateTest, DefaultIsAnOrdinaryPushSourceWithoutPolling) {
  ChainBuilder chain;
  EXPECT_OK(chain.Append(TestPushSource("default")));
  EXPECT_OK(chain.Append(WithState({}, "default", "k", "1")));
  EXPECT_OK(chain.Append(WithState({}, "odf/polling", "k", "2")));
  EXPECT_EQ(PushState(chain.state(), "default"), "1");
}

TEST(SourceStateTest, AnotherFetchStepStartsWithoutOne) {
  ChainBuilder chain;
  SetPollingSource source = TestPollingSource("http://a");
  EXPECT_OK(chain.Append(source));
  EXPECT_OK(chain.Append(WithState({}, "odf/polling", "k", "1")));
  source.merge = {.kind = MergeKind::kLedger, .primary_key = {"id"}};
  EXPECT_OK(chain.Append(source));
  EXPECT_EQ(StateValue(chain.state().polling_source->state), "1");
  EXPECT_EQ(chain.state().polling_source->activated_at, 1u);
  EXPECT_EQ(chain.state().polling_source->event, source);
  EXPECT_OK(chain.Append(TestPollingSource("http://b")));
  EXPECT_EQ(StateValue(chain.state().polling_source->state), "none");
  EXPECT_EQ(chain.state().polling_source->activated_at, 4u);
  EXPECT_OK(chain.Append(TestPollingSource("http://a")));
  EXPECT_EQ(StateValue(chain.state().polling_source->state), "none") << "going back does not bring it back";
}

TEST(SourceStateTest, AWatermarkAloneIsNoPoll) {
  ChainBuilder chain;
  EXPECT_OK(chain.Append(TestSchema({OptionalColumn("v", TypeKind::kString)})));
  EXPECT_OK(chain.Append(TestPollingSource("http://a")));
  EXPECT_FALSE(chain.state().polling_source->polled);
  AddData watermark = NextData(chain.state(), 0);
  watermark.new_watermark = Instant{.seconds = 1};
  EXPECT_OK(chain.Append(watermark));
  EXPECT_FALSE(chain.state().polling_source->polled);
  EXPECT_OK(chain.Append(NextData(chain.state(), 1)));
  EXPECT_TRUE(chain.state().polling_source->polled);
  EXPECT_OK(chain.Append(TestPollingSource("http://b")));
  EXPECT_FALSE(chain.state().polling_source->polled) << "another fetch step begins anew";
  EXPECT_OK(chain.Append(WithState(NextData(chain.state(), 0), "odf/polling", "k", "1")));
  EXPECT_TRUE(chain.state().polling_source->polled);
}

TEST(SourceStateTest, AnExplicitDefaultIsNoOtherFetchStep) {
  ChainBuilder chain;
  SetPollingSource source = TestPollingSource("");
  source.fetch = FetchMqtt{.host = "h", .port = 1, .topics = {{.path = "t"}}};
  EXPECT_OK(chain.Append(source));
  EXPECT_OK(chain.Append(WithState({}, "odf/polling", "k", "1")));
  source.fetch = FetchMqtt{.host = "h", .port = 1, .topics = {{.path = "t", .qos = MqttQos::kAtMostOnce}}};
  EXPECT_OK(chain.Append(source));
  EXPECT_EQ(StateValue(chain.state().polling_source->state), "1");
}

TEST(SourceStateTest, PushToPollingAndBack) {
  ChainBuilder chain;
  EXPECT_OK(chain.Append(TestPushSource("default")));
  EXPECT_OK(chain.Append(WithState({}, "default", "k", "push 1")));
  EXPECT_OK(chain.Append(DisablePushSource{"default"}));
  EXPECT_OK(chain.Append(TestPollingSource("http://a")));
  EXPECT_FALSE(chain.state().polling_source->state) << "the push source's state is not the polling source's";
  EXPECT_OK(chain.Append(WithState({}, "default", "k", "poll 1")));
  EXPECT_OK(chain.Append(DisablePollingSource{}));
  EXPECT_OK(chain.Append(TestPushSource("default")));
  EXPECT_EQ(PushState(chain.state(), "default"), "none");
  EXPECT_OK(chain.Append(WithState({}, "default", "k", "push 2")));
  EXPECT_EQ(PushState(chain.state(), "default"), "push 2");
  EXPECT_OK(chain.Append(DisablePushSource{"default"}));
  EXPECT_OK(chain.Append(TestPollingSource("http://a")));
  EXPECT_FALSE(chain.state().polling_source->state);
  EXPECT_EQ(chain.state().polling_source->activated_at, 10u);
}

// --- shared Snapshot ---

TEST(SharedSnapshotTest, ASnapshotSourceStandsAlone) {
  const MergeStrategy snapshot{.kind = MergeKind::kSnapshot, .primary_key = {"id"}};
  ChainBuilder chain;
  EXPECT_OK(CheckSharedSnapshot(chain.state(), TestPushSource("s", snapshot)));
  EXPECT_OK(chain.Append(TestPushSource("a")));
  EXPECT_OK(chain.Append(TestPushSource("b")));
  EXPECT_OK(CheckSharedSnapshot(chain.state(), TestPushSource("c")));
  EXPECT_THAT(
      CheckSharedSnapshot(chain.state(), TestPushSource("s", snapshot)),
      IsError(ErrorCode::kInvalidArgument, AllOf(HasSubstr("'s' has the Snapshot strategy"),
                                                 HasSubstr("'a', 'b'"), HasSubstr("--shared-snapshot"))));
  EXPECT_OK(chain.Append(DisablePushSource{"b"}));
  EXPECT_OK(CheckSharedSnapshot(chain.state(), TestPushSource("a", snapshot)))
      << "it replaces the only other one";
  EXPECT_OK(chain.Append(TestPushSource("a", snapshot)));
  EXPECT_THAT(
      CheckSharedSnapshot(chain.state(), TestPushSource("c")),
      IsError(ErrorCode::kInvalidArgument, HasSubstr("the rows of source 'c' would be retracted by active "
                                                     "sources with the Snapshot strategy: 'a'")));
}

}  // namespace
}  // namespace sluice::odf
