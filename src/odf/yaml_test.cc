#include "odf/yaml.h"

#include <fstream>
#include <sstream>

#include "base/testing/matchers.h"
#include "odf/codec.h"
#include "odf/testing/random_event.h"
#include "odf/testing/vectors.h"
#include "odf/yaml_tree_internal.h"

namespace sluice::odf {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Result<MetadataEvent> EventOfManifest(const std::string& text) {
  ASSIGN_OR_RETURN(auto manifests, ParseManifests(text, "m.yaml"));
  if (manifests.size() != 1 || !std::holds_alternative<MetadataEvent>(manifests[0])) {
    return InvalidArgument("not one event");
  }
  return std::get<MetadataEvent>(std::move(manifests[0]));
}

TEST(YamlTest, ReadsBackEveryEventItWrites) {
  for (uint32_t seed = 0; seed < 4000; ++seed) {
    const MetadataEvent event = testing::RandomEvent(seed);
    const std::string text = ToYaml(event);
    const auto read = EventOfManifest(text);
    ASSERT_THAT(read, IsOk()) << "seed " << seed << "\n" << text;
    ASSERT_TRUE(*read == event) << "seed " << seed << "\n" << text << "\nread as\n" << ToYaml(*read);
  }
}

TEST(YamlTest, ReadsBackEveryBlockOfTheVectors) {
  for (const auto& vector : testing::SingleBlocks()) {
    ASSERT_OK_AND_ASSIGN(const auto manifests, ParseManifests(ToYaml(vector.block), vector.name));
    ASSERT_EQ(manifests.size(), 1u);
    EXPECT_EQ(std::get<MetadataBlock>(manifests[0]), vector.block) << vector.name;
  }
}

TEST(YamlTest, RandomEventsSurviveTheBlockEncoding) {
  for (uint32_t seed = 0; seed < 4000; ++seed) {
    const MetadataBlock block = testing::InEnvelope(testing::RandomEvent(seed));
    const auto v3 = DecodeBlock(*EncodeBlock(block));
    ASSERT_THAT(v3, IsOk()) << "seed " << seed;
    ASSERT_TRUE(*v3 == block) << "seed " << seed;
    const auto v2 = DecodeBlock(EncodeBlockV2(block));
    ASSERT_THAT(v2, IsOk()) << "seed " << seed;
    ASSERT_TRUE(*v2 == block) << "seed " << seed;
  }
}

TEST(YamlTest, WritesTheStyleOfTheReference) {
  MetadataBlock block;
  block.system_time = *ParseInstant("2024-05-01T10:00:00.250Z");
  block.prev_block_hash = testing::HashOf("prev");
  block.sequence_number = 7;
  AddPushSource source;
  source.source_name = "default";
  source.read.format = ReadFormat::kCsv;
  source.read.separator = ",";
  source.read.header = true;
  source.read.schema =
      DataSchema{{{"a b", DataType::Option(DataType::Of(TypeKind::kInt64)), R"({"x/y":"z"})"}}, {}};
  source.preprocess =
      TransformSql{"datafusion", {}, {}, std::vector<SqlQueryStep>{{{}, "select *\nfrom input\n"}}, {}};
  source.merge = {MergeKind::kLedger, {"a b"}, {}};
  block.event = source;
  EXPECT_EQ(ToYaml(block), R"(kind: MetadataBlock
version: 3
content:
  systemTime: 2024-05-01T10:00:00.250Z
  prevBlockHash: f16209eb949bd8ff0bb1d827f11809aebc6bd0d5955c7f368469a913c70d196620272
  sequenceNumber: 7
  event:
    kind: AddPushSource
    sourceName: default
    read:
      kind: Csv
      separator: ','
      header: true
      schema:
        fields:
        - name: a b
          type:
            kind: Option
            inner:
              kind: Int64
          extra:
            x/y: z
    preprocess:
      kind: Sql
      engine: datafusion
      queries:
      - query: |
          select *
          from input
    merge:
      kind: Ledger
      primaryKey:
      - a b
)");
}

constexpr std::string_view kSnapshot = R"yaml(
kind: DatasetSnapshot
version: 1
content:
  name: river.gauges
  kind: root
  metadata:
    - kind: setPollingSource
      fetch:
        kind: Url
        url: https://data.example.org/gauges/latest.zip
        eventTime: FromMetadata
        cache: forever
      prepare:
        - kind: Decompress
          format: zip
          subPath: "*.csv"
      read:
        kind: csv
        header: true
        schema:
          fields:
            - { name: id, type: Int64 }
            - { name: at, type: { kind: Timestamp, unit: millisecond } }
            - { name: tags, type: "Option<List<String>>" }
            - { name: price, type: "decimal(10, 2)" }
            - { name: seen, type: "Timestamp(Microsecond, UTC)" }
            - { name: counts, type: "Map<String, Option<UInt8>>" }
      merge: { kind: Ledger, primaryKey: [id] }
    - kind: SetVocab
      eventTimeColumn: at
      offsetColumn: null
---
kind: MetadataEvent
version: 1
content: { kind: SetInfo, description: text, keywords: [] }
)yaml";

TEST(YamlTest, ReadsShortFormsAndTheThreeSpellings) {
  ASSERT_OK_AND_ASSIGN(const auto manifests, ParseManifests(kSnapshot, "m.yaml"));
  ASSERT_EQ(manifests.size(), 2u);
  const auto& snapshot = std::get<DatasetSnapshot>(manifests[0]);
  EXPECT_EQ(snapshot.name, "river.gauges");
  EXPECT_EQ(snapshot.kind, DatasetKind::kRoot);
  ASSERT_EQ(snapshot.metadata.size(), 2u);
  const auto& source = std::get<SetPollingSource>(snapshot.metadata[0]);
  const auto& fetch = std::get<FetchUrl>(source.fetch);
  EXPECT_EQ(fetch.event_time->kind, EventTimeSource::Kind::kFromMetadata);
  EXPECT_EQ(fetch.cache, SourceCaching::kForever);
  EXPECT_EQ(std::get<PrepDecompress>(source.prepare->at(0)).format, CompressionFormat::kZip);
  EXPECT_EQ(ToString(*source.read.schema),
            "id Int64\nat Timestamp(Millisecond)\ntags Option<List<String>>\nprice Decimal(10, 2)\n"
            "seen Timestamp(Microsecond, UTC)\ncounts Map<String, Option<UInt8>>\n");
  EXPECT_EQ(std::get<SetVocab>(snapshot.metadata[1]).offset_column, std::nullopt);
  EXPECT_EQ(std::get<MetadataEvent>(manifests[1]), MetadataEvent(SetInfo{"text", Strings{}}));
}

TEST(YamlTest, ReadsAListUnderSchemaAsDdl) {
  ASSERT_OK_AND_ASSIGN(const auto event, ParseEvent(R"(
kind: AddPushSource
sourceName: default
read:
  kind: NdJson
  schema: ["a INT", "b STRING"]
merge: { kind: Append }
)",
                                                    "m.yaml"));
  const auto& read = std::get<AddPushSource>(event).read;
  EXPECT_EQ(read.ddl_schema, (Strings{"a INT", "b STRING"}));
  EXPECT_EQ(read.schema, std::nullopt);
}

TEST(YamlTest, ReadsTheManifestsOfTheReference) {
  for (const char* name : {"ledger.yaml", "changelog.yaml"}) {
    std::ifstream in(std::string(SLUICE_SOURCE_DIR) + "/tests/vectors/kamu-v3/" + name);
    std::ostringstream text;
    text << in.rdbuf();
    ASSERT_OK_AND_ASSIGN(const auto manifests, ParseManifests(text.str(), name));
    EXPECT_TRUE(std::holds_alternative<DatasetSnapshot>(manifests.at(0)));
  }
}

struct BadEvent {
  const char* text;
  const char* message;
};

TEST(YamlTest, ReadsTheEscapesOfJson) {
  const std::string manifest =
      R"({"kind": "MetadataEvent", "version": 1, "content": {"kind": "SetInfo", "description": "DESCRIPTION"}})";
  const auto description = [&](const std::string& text) -> Result<std::string> {
    std::string json = manifest;
    json.replace(json.find("DESCRIPTION"), 11, text);
    ASSIGN_OR_RETURN(const auto event, EventOfManifest(json));
    return std::get<SetInfo>(event).description.value_or("");
  };
  ASSERT_OK_AND_ASSIGN(std::string text, description(R"(a \ud83d\ude00\uD834\uDD1E \u00e9)"));
  EXPECT_EQ(text, "a \xf0\x9f\x98\x80\xf0\x9d\x84\x9e \xc3\xa9");
  // An escaped backslash begins no escape.
  ASSERT_OK_AND_ASSIGN(text, description(R"(\\ud83d\\ude00)"));
  EXPECT_EQ(text, R"(\ud83d\ude00)");
}

TEST(YamlTest, ExplainsMistakes) {
  const std::vector<BadEvent> cases = {
      {"kind: SetInfo\ndescripton: x", "m.yaml:2: unknown field 'descripton', did you mean 'description'"},
      {"kind: SetInf", "m.yaml:1: unknown metadata event 'SetInf', did you mean 'SetInfo'; one of: AddData"},
      {"kind: SETINFO", "unknown metadata event 'SETINFO'"},
      {"description: x", "an object with 'kind' is wanted; one of: AddData"},
      {"- a", "an object with 'kind' is wanted, not a list"},
      {"kind: SetInfo\nkeywords: x", "m.yaml:2: keywords: a list is wanted, not a single value"},
      {"kind: SetInfo\nkind: SetInfo", "m.yaml:2: key 'kind' is given twice"},
      {"kind: SetLicense\nname: x", "required field 'shortName', 'websiteUrl' is missing"},
      {"kind: Seed\ndatasetId: did:odf:zz\ndatasetKind: Root", "m.yaml:2: datasetId: "},
      {"kind: AddPushSource\nsourceName: a\nread: NdJson\nmerge: {kind: Append}",
       "read: an object with 'kind' is wanted, not a single value; one of: Csv"},
      {"kind: AddPushSource\nsourceName: a\nread: {kind: Csv, header: 'true'}\nmerge: {kind: Append}",
       "read.header: 'true' is neither true nor false"},
      {"kind: AddPushSource\nsourceName: a\nread: {kind: NdJson, separator: x}\nmerge: {kind: Append}",
       "read: unknown field 'separator'"},
      {"kind: AddData\nprevOffset: -1",
       "prevOffset: '-1' is not a whole number from 0 to 18446744073709551615"},
      {"kind: AddData\nnewWatermark: yesterday", "newWatermark: 'yesterday' is not an RFC 3339 time"},
      {"kind: SetDataSchema\nschema: {fields: [{name: a, type: Decimal}]}",
       "schema.fields[0].type: type 'Decimal': a Decimal needs precision and scale"},
      {"kind: SetDataSchema\nschema: {fields: [{name: a, type: Option}]}", "Option needs one type"},
      {"kind: SetDataSchema\nschema: {fields: [{name: a, type: Int46}]}",
       "unknown type 'Int46', did you mean 'Int16'"},
      {"kind: SetDataSchema\nschema: {fields: [{name: a, type: 'List<Int64'}]}", "'>' is missing"},
      {"kind: SetDataSchema\nschema: {fields: [{name: a, type: 'Int64<Int64>'}]}", "takes no types"},
      {"kind: SetDataSchema\nschema: {fields: [{name: a, type: 'Struct'}]}", "long form"},
      {"kind: SetDataSchema\nschema: {fields: [{name: a, type: 'Int64', extra: [1]}]}",
       "object of attributes"},
      {"kind: SetInfo\n  bad: [", "m.yaml:2: "},
      {"kind: !custom SetInfo", "tag '!custom' is not supported"},
      {"&a [*a]", "alias inside of what it names"},
  };
  for (const auto& bad : cases) {
    EXPECT_THAT(ParseEvent(bad.text, "m.yaml"), IsError(ErrorCode::kInvalidArgument, HasSubstr(bad.message)))
        << bad.text;
  }
}

TEST(YamlTest, ExplainsMistakesInTheEnvelope) {
  const std::vector<BadEvent> cases = {
      {"kind: DatasetSnapshott\nversion: 1\ncontent: {}",
       "unknown manifest kind 'DatasetSnapshott', did you mean 'DatasetSnapshot'"},
      {"kind: DatasetSnapshot\nversion: 2\ncontent: {}",
       "version: DatasetSnapshot of version 2 is not known; 1 is"},
      {"kind: MetadataBlock\nversion: 1\ncontent: {}", "2 or 3"},
      {"kind: DatasetSnapshot\nversion: 1", "required field 'content' is missing"},
      {"$schema: x\nkind: DatasetSnapshot\nversion: 1\ncontent: {}", "unknown field '$schema'"},
      {"", "there is no manifest"},
      {"--- \n---\n", "there is no manifest"},
      {"text", "an object with kind, version and content"},
      {"kind: DatasetSnapshot\nversion: 1\ncontent: {name: a, kind: Root, metadata: [{kind: SetInfo, x: 1}]}",
       "m.yaml:3: content.metadata[0]: unknown field 'x'"},
  };
  for (const auto& bad : cases) {
    EXPECT_THAT(ParseManifests(bad.text, "m.yaml"),
                IsError(ErrorCode::kInvalidArgument, HasSubstr(bad.message)))
        << bad.text;
  }
}

TEST(YamlTest, LimitsWhatAliasesAndNestingCanDo) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    bomb += fmt::format("a{}: &a{} [", i, i);
    for (int k = 0; k < 10; ++k) bomb += fmt::format("{}*a{}", k ? ", " : "", i - 1);
    bomb += "]\n";
  }
  EXPECT_THAT(ParseManifests(bomb, "m.yaml"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("too many values")));
  EXPECT_THAT(ParseManifests(std::string(100000, '['), "m.yaml"), IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_THAT(ParseManifests(std::string(100, '[') + std::string(100, ']'), "m.yaml"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("nested deeper")));
  std::string type = "Int64";
  for (int i = 0; i < 40; ++i) type = "List<" + type + ">";
  EXPECT_THAT(
      ParseEvent("kind: SetDataSchema\nschema: {fields: [{name: a, type: '" + type + "'}]}", "m.yaml"),
      IsError(ErrorCode::kInvalidArgument, HasSubstr("nested deeper")));
  EXPECT_THAT(ParseManifests("kind: \xff\xfe", "m.yaml"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("UTF-8")));
}

TEST(YamlTest, WritesAttributesInTheirCanonicalForm) {
  ASSERT_OK_AND_ASSIGN(const auto event,
                       ParseEvent("kind: AddData\nextra: { z: [1, 2.50], a: 'x' }", "m.yaml"));
  EXPECT_EQ(std::get<AddData>(event).extra, R"({"a":"x","z":[1,2.5]})");
  ASSERT_OK_AND_ASSIGN(const auto empty, ParseEvent("kind: AddData\nextra: {}", "m.yaml"));
  EXPECT_EQ(std::get<AddData>(empty).extra, std::nullopt);
}

TEST(YamlTest, PrintsSchemas) {
  DataSchema schema{{{"a", DataType::Option(DataType::Of(TypeKind::kInt64)), R"({"k":1.5})"}}, {}};
  EXPECT_EQ(ToYaml(schema),
            "fields:\n- name: a\n  type:\n    kind: Option\n    inner:\n      kind: Int64\n"
            "  extra:\n    k: 1.5\n");
  EXPECT_EQ(
      ToJson(DataSchema{{{"a", DataType::Of(TypeKind::kBool), {}}}, {}}),
      "{\n  \"fields\": [\n    {\n      \"name\": \"a\",\n      \"type\": {\n        \"kind\": \"Bool\"\n      }\n"
      "    }\n  ]\n}\n");
  const DataSchema all = *testing::AllTypesSchema().schema;
  EXPECT_EQ(*ParseSchemaJson(ToJson(all)), all);
  EXPECT_EQ(*ParseSchemaJson(ToJson(schema)), schema);
  EXPECT_THAT(ParseSchemaJson("{"), IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_THAT(ParseSchemaJson("{\"fields\": [{\"name\": 1}]}"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("fields[0]")));
}

TEST(YamlTest, NormalizesTransforms) {
  TransformSql single{"datafusion", {}, "select 1", {}, {}};
  ASSERT_OK(NormalizeTransform(&single));
  EXPECT_EQ(single.query, std::nullopt);
  EXPECT_EQ(single.queries, (std::vector<SqlQueryStep>{{std::nullopt, "select 1"}}));
  ASSERT_OK(NormalizeTransform(&single));

  auto steps = [](std::vector<SqlQueryStep> queries) {
    return TransformSql{"datafusion", {}, {}, std::move(queries), {}};
  };
  auto two = steps({{"a", "select 1"}, {std::nullopt, "select * from a"}});
  EXPECT_OK(NormalizeTransform(&two));
  for (auto bad :
       {TransformSql{"e", {}, "q", std::vector<SqlQueryStep>{{{}, "q"}}, {}},
        TransformSql{"e", {}, {}, {}, {}}, steps({}), steps({{"a", "q"}}), steps({{{}, "q"}, {{}, "q"}})}) {
    EXPECT_THAT(NormalizeTransform(&bad), IsErrorCode(ErrorCode::kInvalidArgument));
  }
}

std::string CanonicalOf(std::string_view yaml) {
  const auto documents = ParseYaml(yaml, "t");
  if (!documents.ok()) return documents.error().message();
  const auto json = CanonicalJson(documents->at(0));
  return json.ok() ? *json : json.error().message();
}

TEST(JsonTest, WritesCanonicalNumbersAndSortedKeys) {
  EXPECT_EQ(CanonicalOf("{b: 1, a: {z: x, ä: null, B: [true, False]}}"),
            "{\"a\":{\"B\":[true,false],\"z\":\"x\",\"ä\":null},\"b\":1}");
  EXPECT_EQ(CanonicalOf("[0, -5, +7, 18446744073709551615, 18446744073709551616, 1.0, 0.1, -0.0]"),
            "[0,-5,7,18446744073709551615,1.8446744073709552e19,1.0,0.1,-0.0]");
  EXPECT_EQ(CanonicalOf("[1e15, 1e16, 123456789.25, 1e-5, 1.5e-6, 1.25e300, 12345678901234567.0]"),
            "[1000000000000000.0,1e16,123456789.25,0.00001,1.5e-6,1.25e300,1.2345678901234568e16]");
  EXPECT_EQ(CanonicalOf("['1', \"a\\n\\u0001\\\"/\\\\\"]"), "[\"1\",\"a\\n\\u0001\\\"/\\\\\"]");
  EXPECT_EQ(CanonicalOf("[1e999]"), "number '1e999' is out of range");
}

}  // namespace
}  // namespace sluice::odf
