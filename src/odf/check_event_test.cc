#include "base/testing/matchers.h"
#include "odf/testing/chain_builder.h"

namespace sluice::odf {
namespace {

using namespace odf::testing;

using ::testing::AllOf;
using ::testing::HasSubstr;

auto Refused(std::string_view detail) {
  return IsError(ErrorCode::kInvalidArgument, HasSubstr(std::string(detail)));
}
auto NotSupported(std::string_view detail) {
  return IsError(ErrorCode::kUnsupported, HasSubstr(std::string(detail)));
}

MergeStrategy Keyed(MergeKind kind, Strings key) { return {.kind = kind, .primary_key = std::move(key)}; }

AddPushSource WithSchema(std::vector<DataField> fields, MergeStrategy merge = {}) {
  AddPushSource source = TestPushSource("s", std::move(merge));
  source.read.schema = DataSchema{.fields = std::move(fields)};
  return source;
}
AddPushSource WithType(DataType type) { return WithSchema({{.name = "c", .type = std::move(type)}}); }
AddPushSource WithDdl(Strings columns, MergeStrategy merge = {}) {
  AddPushSource source = TestPushSource("s", std::move(merge));
  source.read.ddl_schema = std::move(columns);
  return source;
}
DataType Decimal(uint32_t precision, int32_t scale) {
  DataType type = DataType::Of(TypeKind::kDecimal);
  type.precision = precision;
  type.scale = scale;
  return type;
}
DataType StructOf(std::vector<DataField> fields) {
  DataType type = DataType::Of(TypeKind::kStruct);
  type.fields = std::move(fields);
  return type;
}

TEST(CheckEventTest, RunsTheRulesThatNeedNoChain) {
  EXPECT_THAT(CheckEvent(TestPushSource("")), Refused("InvalidEvent: a push source needs a name"));
  EXPECT_THAT(CheckEvent(TestPushSource("odf/polling")), Refused("InvalidEvent: 'odf/polling'"));
  EXPECT_THAT(CheckEvent(AddData{}), Refused("NoOpEvent: "));
  EXPECT_THAT(CheckEvent(SetTransform{}), Refused("InvalidEvent: SetTransform has no inputs"));
  EXPECT_THAT(CheckEvent(SetDataSchema{}), Refused("InvalidEvent: SetDataSchema has neither"));
  AddPushSource both = WithSchema({Column("a", TypeKind::kInt32)});
  both.read.ddl_schema = Strings{"a INT"};
  EXPECT_THAT(CheckEvent(both), Refused("InvalidEvent: the read step has both schema and ddlSchema"));
  SetPollingSource logs = TestPollingSource("");
  logs.fetch = FetchEthereumLogs{};
  EXPECT_THAT(CheckEvent(logs), Refused("InvalidEvent: fetch step EthereumLogs needs chainId or nodeUrl"));
  for (const MetadataEvent& event : std::vector<MetadataEvent>{
           Seed{}, SetInfo{}, SetLicense{}, SetAttachments{}, DisablePushSource{"x"}, DisablePollingSource{},
           TestPushSource("s"), TestPollingSource("http://a"), TestSchema(), SetVocab{}}) {
    EXPECT_OK(CheckEvent(event)) << KindNameOf(event);
  }
}

// --- merge ---

TEST(CheckEventTest, KeysAreGivenAndDistinct) {
  for (MergeKind kind :
       {MergeKind::kLedger, MergeKind::kSnapshot, MergeKind::kChangelogStream, MergeKind::kUpsertStream}) {
    EXPECT_THAT(CheckEvent(TestPushSource("s", Keyed(kind, {}))),
                Refused(fmt::format("the primaryKey of {} is empty", NameOf(kind))));
    EXPECT_THAT(CheckEvent(TestPushSource("s", Keyed(kind, {"a", "b", "a"}))),
                Refused("primaryKey names column 'a' twice"));
    EXPECT_THAT(CheckEvent(TestPushSource("s", Keyed(kind, {""}))), Refused("a column without a name"));
    EXPECT_OK(CheckEvent(TestPushSource("s", Keyed(kind, {"a", "b"}))));
  }
  EXPECT_THAT(CheckEvent(TestPushSource("s", Keyed(MergeKind::kAppend, {"a"}))),
              Refused("Append has no primaryKey"));
}

TEST(CheckEventTest, CompareColumnsAreGivenAndNotInTheKey) {
  MergeStrategy merge = Keyed(MergeKind::kSnapshot, {"id"});
  merge.compare_columns = Strings{};
  EXPECT_THAT(CheckEvent(TestPushSource("s", merge)), Refused("compareColumns is empty"));
  merge.compare_columns = Strings{"v", "v"};
  EXPECT_THAT(CheckEvent(TestPushSource("s", merge)), Refused("compareColumns names column 'v' twice"));
  merge.compare_columns = Strings{"v", "id"};
  EXPECT_THAT(CheckEvent(TestPushSource("s", merge)),
              Refused("compareColumns names 'id', which is part of the primaryKey"));
  merge.compare_columns = Strings{"v"};
  EXPECT_OK(CheckEvent(TestPushSource("s", merge)));
  EXPECT_THAT(CheckEvent(WithSchema({Column("id", TypeKind::kInt64)}, merge)),
              Refused("compareColumns names column 'v', which is not declared; columns are: id"));
  merge.kind = MergeKind::kLedger;
  EXPECT_THAT(CheckEvent(TestPushSource("s", merge)), Refused("Ledger has no compareColumns"));
}

TEST(CheckEventTest, KeyColumnsAreDeclaredUnlessAQueryMakesThem) {
  const MergeStrategy merge = Keyed(MergeKind::kLedger, {"id"});
  AddPushSource source = WithSchema({Column("ID", TypeKind::kInt64), Column("v", TypeKind::kString)}, merge);
  EXPECT_THAT(CheckEvent(source),
              Refused("primaryKey names column 'id', which is not declared; columns are: ID, v"));
  source.preprocess = TestQuery("select ID as id from input");
  EXPECT_OK(CheckEvent(source));
  EXPECT_THAT(CheckEvent(WithDdl({"v STRING"}, merge)), Refused("columns are: v"));
  EXPECT_OK(CheckEvent(WithDdl({"id BIGINT"}, merge)));
  EXPECT_OK(CheckEvent(WithDdl({"offset BIGINT"}, Keyed(MergeKind::kLedger, {"_offset"}))))
      << "columns named like system columns are renamed";
}

// --- declared schema ---

TEST(CheckEventTest, DdlIsParsed) {
  EXPECT_FALSE(CheckEvent(WithDdl({"a NO_SUCH_TYPE"})).ok());
  EXPECT_FALSE(CheckEvent(WithDdl({"a"})).ok());
  EXPECT_OK(CheckEvent(WithDdl({"a BIGINT NOT NULL", "b STRING"})));
}

TEST(CheckEventTest, ColumnsHaveDistinctNames) {
  EXPECT_THAT(CheckEvent(WithSchema({})), Refused("read: schema: no columns are declared"));
  EXPECT_THAT(CheckEvent(WithSchema({Column("a", TypeKind::kInt32), Column("a", TypeKind::kString)})),
              Refused("read: schema: column 'a' is declared twice"));
  EXPECT_THAT(CheckEvent(WithType(StructOf({Column("x", TypeKind::kInt32), Column("x", TypeKind::kInt32)}))),
              Refused("column 'c.x' is declared twice"));
  EXPECT_THAT(CheckEvent(WithSchema({Column("", TypeKind::kInt32)})), Refused("has no name"));
  EXPECT_OK(CheckEvent(WithSchema({Column("a", TypeKind::kInt32), Column("A", TypeKind::kInt32)})));
}

TEST(CheckEventTest, TypesAreWellFormed) {
  EXPECT_THAT(CheckEvent(WithType(DataType::Option(DataType::Option(DataType::Of(TypeKind::kBool))))),
              Refused("column 'c' is an Option of Option"));
  EXPECT_THAT(CheckEvent(WithType(StructOf({}))), Refused("column 'c' is a Struct without fields"));
  EXPECT_THAT(CheckEvent(WithType(Decimal(0, 0))),
              Refused("column 'c' has precision 0, allowed are 1 to 76"));
  EXPECT_THAT(CheckEvent(WithType(Decimal(77, 0))), Refused("precision 77"));
  EXPECT_THAT(CheckEvent(WithType(Decimal(5, 6))), Refused("scale 6 above its precision 5"));
  EXPECT_THAT(CheckEvent(WithType(Decimal(5, -1))), NotSupported("negative scale -1"));
  EXPECT_OK(CheckEvent(WithType(Decimal(76, 76))));
  DataType time = DataType::Of(TypeKind::kTimestamp);
  for (const char* zone : {"UTC", "+02:00", "Europe/Vienna"}) {
    time.timezone = zone;
    EXPECT_OK(CheckEvent(WithType(time)));
  }
  for (const char* zone : {"Mars/Olympus", "", "+2", "local"}) {
    time.timezone = zone;
    EXPECT_THAT(CheckEvent(WithType(time)), Refused("which does not exist")) << zone;
  }
  DataType binary = DataType::Of(TypeKind::kBinary);
  binary.fixed_length = 0;
  EXPECT_THAT(CheckEvent(WithType(binary)), Refused("column 'c' has fixedLength 0"));
  binary.fixed_length = uint64_t{1} << 31;
  EXPECT_THAT(CheckEvent(WithType(binary)), Refused("fixedLength 2147483648"));
  binary.fixed_length = 16;
  EXPECT_OK(CheckEvent(WithType(binary)));
  EXPECT_OK(CheckEvent(
      WithType(DataType::Option(DataType::List(DataType::Option(DataType::Of(TypeKind::kString)))))));
  EXPECT_OK(CheckEvent(WithType(StructOf({OptionalColumn("x", TypeKind::kInt32)}))));
}

TEST(CheckEventTest, TypesHaveALogicalHash) {
  DataType map = DataType::Of(TypeKind::kMap);
  map.children = {DataType::Of(TypeKind::kString), DataType::Of(TypeKind::kString)};
  const DataType plain_struct = StructOf({Column("x", TypeKind::kInt32)});
  EXPECT_THAT(CheckEvent(WithType(map)), NotSupported("column 'c' is a Map, a type without a logical hash"));
  EXPECT_THAT(CheckEvent(WithType(DataType::Of(TypeKind::kDuration))),
              NotSupported("column 'c' is a Duration"));
  EXPECT_THAT(CheckEvent(WithType(DataType::Of(TypeKind::kNull))), NotSupported("column 'c' is a Null"));
  EXPECT_THAT(CheckEvent(WithType(DataType::List(plain_struct))),
              NotSupported("column 'c' is a List of Struct"));
  EXPECT_THAT(CheckEvent(WithType(DataType::List(DataType::Option(plain_struct)))),
              NotSupported("List of Struct"));
  EXPECT_THAT(CheckEvent(WithType(DataType::List(DataType::List(plain_struct)))),
              NotSupported("column 'c[]' is a List"));
  EXPECT_THAT(CheckEvent(WithType(DataType::Option(plain_struct))),
              NotSupported("column 'c' is a nullable Struct"));
  EXPECT_THAT(CheckEvent(WithType(StructOf({{.name = "m", .type = map}}))),
              NotSupported("column 'c.m' is a Map"));
  EXPECT_THAT(CheckEvent(WithType(DataType::List(DataType::Option(map)))),
              NotSupported("column 'c[]' is a Map"));
  AddPushSource with_query = WithType(map);
  with_query.preprocess = TestQuery();
  EXPECT_THAT(CheckEvent(with_query), NotSupported("column 'c' is a Map"));
  EXPECT_THAT(CheckEvent(SetDataSchema{.schema = DataSchema{.fields = {{.name = "m", .type = map}}}}),
              NotSupported("SetDataSchema: column 'm' is a Map"));
}

TEST(CheckEventTest, TypesThatAQueryCannotRead) {
  for (const DataType& type : {Decimal(39, 2), DataType::Of(TypeKind::kFloat16)}) {
    AddPushSource source = WithType(DataType::List(type));
    EXPECT_OK(CheckEvent(source));
    source.preprocess = TestQuery();
    EXPECT_THAT(CheckEvent(source), NotSupported("which a preprocess query cannot read"));
  }
  AddPushSource source = WithType(Decimal(38, 2));
  source.preprocess = TestQuery();
  EXPECT_OK(CheckEvent(source));
}

// --- read, preprocess ---

TEST(CheckEventTest, OptionsBelongToTheFormat) {
  const auto with = [](ReadFormat format, auto set) {
    AddPushSource source = TestPushSource("s");
    source.read.format = format;
    set(source.read);
    return CheckEvent(source);
  };
  const auto separator = [](ReadStep& read) { read.separator = ";"; };
  const auto sub_path = [](ReadStep& read) { read.sub_path = "a.b"; };
  const auto encoding = [](ReadStep& read) { read.encoding = "utf8"; };
  EXPECT_OK(with(ReadFormat::kCsv, separator));
  EXPECT_THAT(with(ReadFormat::kNdJson, separator), Refused("read: format NdJson has no option 'separator'"));
  EXPECT_OK(with(ReadFormat::kJson, sub_path));
  EXPECT_OK(with(ReadFormat::kEsriShapefile, sub_path));
  EXPECT_THAT(with(ReadFormat::kCsv, sub_path), Refused("read: format Csv has no option 'subPath'"));
  EXPECT_OK(with(ReadFormat::kNdJson, encoding));
  EXPECT_THAT(with(ReadFormat::kParquet, encoding), Refused("read: format Parquet has no option 'encoding'"));
}

TEST(CheckEventTest, QueriesAreNamedOnceAndNotEmpty) {
  AddPushSource source = TestPushSource("s");
  source.preprocess = TestQuery(" \n");
  EXPECT_THAT(CheckEvent(source), Refused("preprocess: query '' is empty"));
  source.preprocess = TestQuery();
  source.preprocess->engine = "";
  EXPECT_THAT(CheckEvent(source), Refused("preprocess: engine is empty"));
  source.preprocess = TestQuery();
  source.preprocess->queries =
      std::vector<SqlQueryStep>{{.alias = "x", .query = "q"}, {.alias = "x", .query = "q"}, {.query = "q"}};
  EXPECT_THAT(CheckEvent(source), Refused("preprocess: two queries have the alias 'x'"));
  source.preprocess->queries = std::vector<SqlQueryStep>{{.alias = "", .query = "q"}, {.query = "q"}};
  EXPECT_THAT(CheckEvent(source), Refused("preprocess: the alias of a query is empty"));
  source.preprocess->query = "q";
  EXPECT_THAT(CheckEvent(source), Refused("InvalidEvent: preprocess: 'query' has to be given as 'queries'"));
}

// --- fetch, prepare, vocabulary ---

TEST(CheckEventTest, FetchStepsAreComplete) {
  const auto with = [](FetchStep fetch) {
    SetPollingSource source = TestPollingSource("");
    source.fetch = std::move(fetch);
    return CheckEvent(source);
  };
  EXPECT_THAT(with(FetchUrl{}), Refused("fetch: url is empty"));
  EXPECT_THAT(with(FetchUrl{.url = "http://a", .headers = {{{.name = "", .value = "x"}}}}),
              Refused("name of a header"));
  EXPECT_THAT(with(FetchFilesGlob{}), Refused("fetch: path is empty"));
  EXPECT_THAT(with(FetchFilesGlob{.path = "*",
                                  .event_time = EventTimeSource{.kind = EventTimeSource::Kind::kFromPath}}),
              Refused("eventTime: pattern is empty"));
  EXPECT_THAT(with(FetchContainer{}), Refused("fetch: image is empty"));
  EXPECT_THAT(with(FetchContainer{.image = "i", .env = {{{.name = ""}}}}), Refused("environment variable"));
  EXPECT_THAT(with(FetchMqtt{.port = 1, .topics = {{.path = "t"}}}), Refused("fetch: host is empty"));
  EXPECT_THAT(with(FetchMqtt{.host = "h", .port = 0, .topics = {{.path = "t"}}}),
              Refused("port 0 is not between"));
  EXPECT_THAT(with(FetchMqtt{.host = "h", .port = 65536, .topics = {{.path = "t"}}}), Refused("port 65536"));
  EXPECT_THAT(with(FetchMqtt{.host = "h", .port = 1}), Refused("topics is empty"));
  EXPECT_THAT(with(FetchMqtt{.host = "h", .port = 1, .topics = {{.path = ""}}}), Refused("path of a topic"));
  EXPECT_OK(with(FetchMqtt{.host = "h", .port = 1883, .topics = {{.path = "t"}}}));
  EXPECT_OK(with(FetchEthereumLogs{.chain_id = 1}));
}

TEST(CheckEventTest, PipesHaveACommand) {
  SetPollingSource source = TestPollingSource("http://a");
  source.prepare = {{PrepPipe{}}};
  EXPECT_THAT(CheckEvent(source), Refused("prepare: Pipe has no command"));
  source.prepare = {{PrepDecompress{}, PrepPipe{.command = {"zcat"}}}};
  EXPECT_OK(CheckEvent(source));
}

TEST(CheckEventTest, SystemColumnsHaveDistinctNames) {
  EXPECT_THAT(CheckEvent(SetVocab{.event_time_column = "system_time"}),
              Refused("two system columns are called 'system_time'"));
  EXPECT_THAT(CheckEvent(SetVocab{.offset_column = ""}), Refused("the name of a system column is empty"));
  EXPECT_OK(CheckEvent(SetVocab{.offset_column = "op", .operation_type_column = "offset"}));
}

}  // namespace
}  // namespace sluice::odf
