#include "odf/testing/vectors.h"

#include "multiformats/multibase.h"
#include "odf/codec.h"

namespace sluice::odf::testing {
namespace {

const Instant kNoon2020 = {1577880000, 0};
const Instant kNoon2050 = {2524651200, 0};

DatasetId IdOf(std::string_view seed) { return DatasetId::FromSeed(seed); }

DataSlice Slice(std::string_view logical, std::string_view physical, uint64_t start, uint64_t end,
                uint64_t size) {
  return {HashOf(logical), HashOf(physical), {start, end}, size};
}

ReadStep Read(ReadFormat format) {
  ReadStep read;
  read.format = format;
  return read;
}

MergeStrategy Merge(MergeKind kind, Strings key = {}) { return {kind, std::move(key), std::nullopt}; }

TransformSql Sql(std::string engine, std::optional<std::string> version, std::string query) {
  TransformSql sql;
  sql.engine = std::move(engine);
  sql.version = std::move(version);
  sql.query = std::move(query);
  return sql;
}

DataType TimestampOf(TimeUnit unit, std::string timezone) {
  DataType type = Of(TypeKind::kTimestamp);
  type.unit = unit;
  type.timezone = std::move(timezone);
  return type;
}

DataType WithUnit(TypeKind kind, TimeUnit unit) {
  DataType type = Of(kind);
  type.unit = unit;
  return type;
}

DataType DecimalOf(uint32_t precision, int32_t scale) {
  DataType type = Of(TypeKind::kDecimal);
  type.precision = precision;
  type.scale = scale;
  return type;
}

// "SetPollingSource A" of section 9.1.
SetPollingSource PollingA(ReadStep read) {
  SetPollingSource source;
  source.fetch =
      FetchFilesGlob{"./*.csv", EventTimeSource{}, SourceCaching::kForever, SourceOrdering::kByName};
  source.prepare = std::vector<PrepStep>{PrepDecompress{CompressionFormat::kGzip, std::nullopt}};
  source.read = std::move(read);
  source.preprocess = Sql("spark", "1.0.0", "SELECT * FROM input");
  source.merge = Merge(MergeKind::kLedger, {"a"});
  return source;
}

// "U" of section 9.3.
SetPollingSource PollingUrl() {
  SetPollingSource source;
  source.fetch =
      FetchUrl{"https://example.com/x.zip", EventTimeSource{EventTimeSource::Kind::kFromPath, "(\\d+)", "%Y"},
               SourceCaching::kForever, std::vector<RequestHeader>{{"X-Key", "abc"}}};
  source.prepare =
      std::vector<PrepStep>{PrepDecompress{CompressionFormat::kZip, "*.csv"}, PrepPipe{{"jq", "-c", "."}}};
  source.read = Read(ReadFormat::kCsv);
  source.read.separator = ";";
  source.read.header = true;
  source.read.infer_schema = false;
  source.read.schema =
      DataSchema{{Field("id", Of(TypeKind::kInt64)), Field("name", Of(TypeKind::kString))}, {}};
  source.merge = Merge(MergeKind::kSnapshot, {"id"});
  source.merge.compare_columns = Strings{"name"};
  return source;
}

SetDataSchema SchemaWithAttributes() {
  DataSchema schema;
  schema.fields = {Field("city", Of(TypeKind::kString)), Field("population", Of(TypeKind::kUInt64)),
                   Field("census", DataType::Option(Of(TypeKind::kString))),
                   Field("links", DataType::List(Of(TypeKind::kString)))};
  schema.fields[0].extra = R"({"arrow.apache.org/bufferEncoding":{"kind":"View","offsetBitWidth":32}})";
  schema.fields[2].extra =
      R"({"opendatafabric.org/type":{"kind":"ObjectLink","linkType":{"kind":"Multihash"}}})";
  schema.extra = R"({"kamu.dev/archetype":"Collection"})";
  return {std::nullopt, schema};
}

SetDataSchema LegacySchema() {
  return {
      *multiformats::DecodeBase64(
          "DAAAAAgACAAAAAQACAAAAAQAAAACAAAAQAAAAAQAAADY////GAAAAAwAAAAAAAAGEAAAAAAAAAAEAAQABAAAAAEAAABiAAAAEAAUABAA"
          "AAAPAAQAAAAIABAAAAAYAAAAIAAAAAAAAAIcAAAACAAMAAQACwAIAAAAQAAAAAAAAAEAAAAAAQAAAGEAAAA="),
      std::nullopt};
}

SetAttachments Readme() { return {{{"README.md", "Blah"}}}; }
SetInfo Info() { return {"Test dataset", Strings{"foo", "bar"}}; }
SetLicense License() {
  return {"apache-2.0", "apache-2.0", std::nullopt, "https://www.apache.org/licenses/LICENSE-2.0"};
}

std::vector<BlockVector> Section91() {
  AddData one;
  one.prev_checkpoint = HashOf("prev");
  one.prev_offset = 9;
  AddData two = one;
  two.new_watermark = kNoon2020;
  AddData three = two;
  three.new_data = Slice("logical", "physical", 10, 99, 100);
  AddData six;
  six.prev_checkpoint = HashOf("checkpoint");
  six.prev_offset = 9;
  six.new_data = three.new_data;
  six.new_source_state = SourceState{"push-source-1", "kamu/kafka-offset", "SOME_OFFSET"};
  AddData seven = six;
  seven.extra = R"({"opendatafabric.org/linkedObjects":{"numObjectsNaive":10,"sizeNaive":100}})";

  ReadStep ddl = Read(ReadFormat::kGeoJson);
  ddl.ddl_schema = Strings{"a: INT", "b: INT"};
  ReadStep schema = Read(ReadFormat::kGeoJson);
  schema.schema = DataSchema{{Field("a", Of(TypeKind::kInt32)), Field("b", Of(TypeKind::kInt32))}, {}};

  SetTransform transform;
  transform.inputs = {{IdOf("input1").ToString(), "input1"}, {"input2", "input2"}};
  transform.transform = Sql("spark", std::nullopt, "SELECT * FROM input1 UNION ALL SELECT * FROM input2");
  ExecuteTransform execute;
  execute.query_inputs = {{IdOf("input1"), HashOf("a"), HashOf("b"), 9, 20},
                          {IdOf("input2"), HashOf("a"), HashOf("b"), std::nullopt, std::nullopt}};
  execute.prev_checkpoint = HashOf("checkpoint");
  execute.prev_offset = 9;
  execute.new_data = Slice("foo", "bar", 10, 19, 10);
  execute.new_watermark = kNoon2020;

  return {
      {"9.1 #0 AddData nothing set", InEnvelope(AddData{}), 160,
       "a93874702479f83ddff1e7a660ca78085def333c86501b0d895fa3aec79c7189", 160,
       "73e2977b8beae4aef53670067c1173b9d68e69721908d080b84286ab366d1e14"},
      {"9.1 #1 AddData previous", InEnvelope(one), 216,
       "86aeb7dee0502b4886761de5e45b5111c0bc9e0fbfee02e3685487109305ef56", 216,
       "32516689d582e02e77778af75a71b6d131a640d0bebed99b99d96b385cee915f"},
      {"9.1 #2 AddData watermark", InEnvelope(two), 240,
       "d1b412dab2a6af53f3e1b183834557bbf1c4689e2fc9b92fc0d04741ef607ecc", 240,
       "1ad91cabca81e1f1771f28070980bfdcf409e5f8a877b3976b611401d2998189"},
      {"9.1 #3 AddData slice", InEnvelope(three), 392,
       "1fcf10cb843746c4c44e6c288e216995701aa073426fc4bebe14f1680f8ec6d1", 392,
       "ec1d3f6aa39bb256fcae16d79a95705f614e26d9a86d393b6f9e6b19a60d0df6"},
      {"9.1 #4 SetPollingSource DDL", InEnvelope(PollingA(ddl)), 456,
       "eb61498b7362d334131a8486a5ce4cc2638d7c1aa3e4da82a19cf834a77df718", 456,
       "18cc1680b3d36f63358b59d469d76dcbf71ddac3ea66a693ce4158cfc5dfb28d"},
      {"9.1 #5 SetPollingSource schema", InEnvelope(PollingA(schema)), 520,
       "f96c90e9e9700819ba05d87f66b200a18a08404706ac62cde6d68bc350e73861", 520,
       "39cfd70254179a7cdea4263f951b8acbdc2b8a20dc0c1c4c572ab6da2dd9b28a"},
      {"9.1 #6 AddData source state", InEnvelope(six), 464,
       "9326dc5daab04877a9f006ff6b1636a8fa9dcec9615b54f741a1a90091eaf694", 464,
       "db5044313bbd596fb54bef9387ad61a18206d1e93e833db4d1159d20cd3cac58"},
      {"9.1 #7 AddData attributes", InEnvelope(seven), 568,
       "54f64c642cca6f67416ebe2b29e5d9414ece91f819efe97cd437fbe542c61bbb", 568,
       "00b4cf8b3b22ff71931696f13cc5c06f80eb3360b6d7dccdd3a3b4fb1b5d943c"},
      {"9.1 #8 SetTransform", InEnvelope(transform), 432,
       "bb6aa1f9689b794c75affa709ae2477b209411d9ad092c2318ecd9ea94121bcc", 432,
       "dc2ab3737792021b6794d3969315bb521701780c91548104f149906d98c8da70"},
      {"9.1 #9 ExecuteTransform", InEnvelope(execute), 720,
       "21cab7396525e614beeafe21c05a38bf597a39a191cc14147b9c5ec32210cf82", 720,
       "a955281dca303056a88e39291d17e045d88ecdafca3ef9e75b09b83169633b52"},
      {"9.1 #10 SetDataSchema", InEnvelope(SchemaWithAttributes()), 656,
       "80865248519d55fa04598e24ba42884728efe70956e640dca4df5ec8043c69ca", 656,
       "33d0a65cfb9853f14830fc84e443767d9acfedd24d13c3c22bdc82f3be1b507f"},
      {"9.1 #11 SetDataSchema legacy", InEnvelope(LegacySchema()), 312,
       "a7e79d088ca7bac689f12d71ae64b93e7bab62a7db2fec83ea89e9bf90dd89ed", 312,
       "44d64d764fb207713407b9a761566409404c907f765993105608299cd6f5bebf"},
  };
}

std::vector<BlockVector> SeedsAndSmallEvents() {
  auto seed = [](DatasetKind kind) {
    return MetadataBlock{kNoon2050, std::nullopt, 0, Seed{IdOf("foo"), kind}};
  };
  AddPushSource push;
  push.source_name = "default";
  push.read = Read(ReadFormat::kNdJson);
  push.read.schema = DataSchema{{Field("event_time", Of(TypeKind::kTimestamp)),
                                 Field("value", DataType::Option(Of(TypeKind::kFloat64)))},
                                {}};
  push.preprocess =
      TransformSql{"datafusion", {}, {}, std::vector<SqlQueryStep>{{{}, "select * from input"}}, {}};
  SetVocab vocab;
  vocab.event_time_column = "ts";

  return {
      {"4.8 (c) SetInfo",
       {kNoon2050, std::nullopt, 0, SetInfo{"foo", {}}},
       120,
       "e4773ca5765b41781e721cb891182e43a2df35665cd82b378e54b9ea25f4f50f",
       0,
       ""},
      {"9.3 Seed root", seed(DatasetKind::kRoot), 152,
       "e7f9205f74eaa334a950902fb676d98fc17988cc3d79df48d778732ff6864cbd", 144,
       "4a8d23bf4ee5eb409b85c9c3806682c2f77cd0518d027e6de5be1fd024aadab8"},
      {"9.3 Seed derivative", seed(DatasetKind::kDerivative), 152,
       "a974ecbf8a6faddffea426a1d1a29ac9f9362156cc222c25c9d7b158d6650940", 152,
       "4b52813bb3f56fe03cca9fd51a6e3948a25944a868569cddc7203f2427ab595f"},
      {"9.3 AddPushSource", InEnvelope(push), 456,
       "34af7d6dc3461c302512366ac55235463b912fead11c5b118cca3436e07dc40d", 456,
       "4f3ee4c9be8b40947466d538c1d781b37dd08f8e3a0ca25e9ba365d0231a4f72"},
      {"9.3 DisablePushSource", InEnvelope(DisablePushSource{"default"}), 176,
       "9037a5dd5001d21fb7fbe4b568e77e34446bc81f679c581a8440df64a7347c70", 176,
       "679e215668eab720027486af400fd35b2abb1f9b574937013831073b9a7016e9"},
      {"9.3 DisablePollingSource", InEnvelope(DisablePollingSource{}), 160,
       "b78b68ea5b7f9037ef7571028b7e9a700054c20ceb4b9d38dd1e2cb12bebb974", 160,
       "906742f1dfcdea6cfb177e2229939048be474be0951f15b9e895883232b5ff1d"},
      {"9.3 SetVocab nothing set", InEnvelope(SetVocab{}), 160,
       "4ac3bee8daff9c0b01254b385c1d5005abf004816bb825c48228e944ac62e992", 160,
       "756854a6905b09cf4a0fad8ee4e21846f0114d6211f7ab220d9eb266c17d80ca"},
      {"9.3 SetVocab event time", InEnvelope(vocab), 176,
       "ca7c7a53110439689e38b7a4ffffd9b66501f2fb3b410c4d57808f7da9ba3ecd", 176,
       "8cbc17d107ddc36b2950aa27721d870364e01aa16b8d8844fa6fbef079a922d9"},
      {"9.3 SetAttachments", InEnvelope(Readme()), 240,
       "f99706c8e77a63c44b1991694e86c78d90a3166a5222e308106ac8e60a24a7c2", 240,
       "b0730b813b743275b046b5fb3554b79ab74a4f09d302e942e06b44a6c6f6e614"},
      {"9.3 SetInfo", InEnvelope(Info()), 216,
       "2211475e64219f3121ceab6911433e1e2b3b20da68058cbc1fdfa827e8212171", 216,
       "f0cdd0441d122511bdb2a17bc6c74968ddf47a604c16249da9b6e26a49b22beb"},
      {"9.3 SetInfo nothing set", InEnvelope(SetInfo{}), 160,
       "ee70f0d1fdabaf3365cad9ee45fc413a9562e83b311f09a12c7b8f4e7026fb4a", 160,
       "d169b31f3e97517fd7f72827d50f7588e3a02a43191ca28e691193af2e8ff79b"},
      {"9.3 SetInfo empty keywords", InEnvelope(SetInfo{{}, Strings{}}), 168,
       "b83c8a92ceb1acda45dbe6e2b5692e9620d10db6868db497c31c19e2e6e21e2a", 168,
       "903aa43f067367f3cdba9507ba4662942f233051c473615465a4aeca8c0f7be6"},
      {"9.3 SetLicense", InEnvelope(License()), 256,
       "563177597f0eaec7ef5b26c5d034f0deb08949ddcb8187388406a8a0e7b75507", 256,
       "e70f47c8382e4503b115173228094b77576e8e4dbb3279168b4722c4c12f496c"},
  };
}

std::vector<BlockVector> PollingSources() {
  SetPollingSource container;
  container.fetch = FetchContainer{"ghcr.io/x/y:1", std::nullopt, Strings{"-a"},
                                   std::vector<EnvVar>{{"KEY", "v"}, {"SECRET", std::nullopt}}};
  container.read = Read(ReadFormat::kNdJson);
  SetPollingSource mqtt;
  mqtt.fetch =
      FetchMqtt{"broker", 1883, std::nullopt, std::nullopt, {{"t/1", MqttQos::kAtMostOnce}, {"t/2", {}}}};
  mqtt.read = Read(ReadFormat::kJson);
  mqtt.read.sub_path = "a.b";
  mqtt.merge = Merge(MergeKind::kLedger, {"k"});
  SetPollingSource logs;
  logs.fetch = FetchEthereumLogs{1, std::nullopt, "address = X", "Transfer(address indexed from)"};
  logs.read = Read(ReadFormat::kParquet);
  logs.merge = Merge(MergeKind::kChangelogStream, {"block_number", "log_index"});

  return {
      {"9.3 SetPollingSource Url", InEnvelope(PollingUrl()), 688,
       "acf9cdb4bf496fdfe8d241bd16ce00b4a65463a766639b395cc1d3cc708f479b", 688,
       "95f5d17bff9da0173f3499cafa56e30f9186c6821ab104ae1f3c4fcdbc31ab3f"},
      {"9.3 SetPollingSource Container", InEnvelope(container), 352,
       "8d40c5ebf589ba191eab65932b6b60c178e27a4f7c20a65378015289d4a37331", 352,
       "24b044d6b6e3cac854cfb2a088c2e205960f746800b0005a60d84d1f073862bd"},
      {"9.3 SetPollingSource Mqtt", InEnvelope(mqtt), 352,
       "9b52f11aba5a09cb5eaf64c49fe3ba1121378a8c3cd5f0e9da83bc554d25a3da", 352,
       "f7ba7ab06751127e5f1b53c5323d1928cffb82b1c34a48f20ebacb197d68e050"},
      {"9.3 SetPollingSource EthereumLogs", InEnvelope(logs), 360,
       "209ab3e82a08e0eb86c0d003dd17f63168ee3350bbfb91605aae2575fb69dd4d", 360,
       "6b05885dff1b11b3eb58ac77607a8dc2c160d00dc501ba9423ba6518ff840d84"},
  };
}

std::vector<BlockVector> DataAndSchemas() {
  AddData first;
  first.new_data = Slice("logical", "physical", 0, 0, 1000);
  first.new_data->logical_hash =
      Multihash(multiformats::HashCode::kArrow0Sha3_256, HashOf("logical").digest());
  first.new_watermark = kNoon2020;
  first.new_source_state = SourceState{"default", "odf/etag", "abc"};
  AddData checkpoint;
  checkpoint.prev_checkpoint = HashOf("a");
  checkpoint.prev_offset = 0;
  checkpoint.new_checkpoint = Checkpoint{HashOf("b"), 42};
  ExecuteTransform execute;
  execute.query_inputs = {{IdOf("input1"), std::nullopt, HashOf("b"), std::nullopt, std::nullopt}};
  execute.new_checkpoint = Checkpoint{HashOf("b"), 42};
  execute.new_watermark = kNoon2020;
  SetTransform transform;
  transform.inputs = {{IdOf("input1").ToString(), "in1"}};
  transform.transform =
      TransformSql{"flink", "1.16", std::nullopt,
                   std::vector<SqlQueryStep>{{"x", "select 1"}, {std::nullopt, "select * from x"}},
                   std::vector<TemporalTable>{{"in1", {"id"}}}};
  return {
      {"9.3 AddData first", InEnvelope(first), 384,
       "eae51318727c6a0fc3ebbd9c27db463f35806070aa7ef5a6fcc8f513b014bf7e", 384,
       "b37d88ac8de1b11f1d355e6f1a1d5160727094f544390fdf0457f8e79ed47797"},
      {"9.3 AddData offset zero", InEnvelope(checkpoint), 288,
       "e4293fea2a5d8481092c41e63a706d346bb02056e5dc6801ec8e78d882a9c935", 288,
       "ede51219a5cae1d803d95b68ff4bcaf9a2ccdad1a44bef3533ece13f978496ec"},
      {"9.3 ExecuteTransform", InEnvelope(execute), 376,
       "fa725b8a5cdcc2eb16c39e973498f281107caf5d2f6ce2d2b404546b676105a6", 376,
       "3aa6ca8a5a46c5e2f7bbaed3364547916494b0b6425c236727334a3132c8e682"},
      {"9.3 SetTransform", InEnvelope(transform), 488,
       "7b2eff7468dc427c61b05a48b5beb20dcdc248365a2d1562e638937780ba24fa", 488,
       "2f9786dc4dbec4585e4d4203c885f205739f2a1eb25c0fae4ebe9c60d93b711b"},
      {"9.3 SetDataSchema all types", InEnvelope(AllTypesSchema()), 1400,
       "e775596549d1815dd3379644a5c81068da492f1a3412eadf0fe002d89622a20e", 1400,
       "d06adcf71b10e5077ab1c5593c0dfe07b77528b9dffdbc203e0b3825e7bafcbe"},
      {"9.3 SetDataSchema cities", InEnvelope(CitySchema()), 464,
       "d6c0c95c26ec596022551a0f9d07b19c1683cc0f3e5282521c7dc34e029eebc1", 464,
       "fec781a114341cc6b86c7f547b9ed1902b390de10b080ca4e85b09836a0ddb2c"},
  };
}

}  // namespace

Multihash HashOf(std::string_view text) { return multiformats::Sha3Multihash(text); }

MetadataBlock InEnvelope(MetadataEvent event) { return {kNoon2020, HashOf("prev"), 117, std::move(event)}; }

DataField Field(std::string name, DataType type) { return {std::move(name), std::move(type), std::nullopt}; }

DataType Of(TypeKind kind) { return DataType::Of(kind); }

SetDataSchema CitySchema() {
  DataSchema schema;
  schema.fields = {Field("offset", Of(TypeKind::kInt64)),
                   Field("op", Of(TypeKind::kInt32)),
                   Field("system_time", TimestampOf(TimeUnit::kMillisecond, "UTC")),
                   Field("event_time", TimestampOf(TimeUnit::kMillisecond, "UTC")),
                   Field("city", Of(TypeKind::kString)),
                   Field("population", Of(TypeKind::kUInt64))};
  return {std::nullopt, schema};
}

SetDataSchema AllTypesSchema() {
  DataType binary4 = Of(TypeKind::kBinary);
  binary4.fixed_length = 4;
  DataType list = DataType::List(Of(TypeKind::kInt32));
  list.fixed_length = 3;
  DataType map = Of(TypeKind::kMap);
  map.children = {Of(TypeKind::kString), Of(TypeKind::kInt64)};
  map.keys_sorted = false;
  DataType structure = Of(TypeKind::kStruct);
  structure.fields = {Field("x", Of(TypeKind::kInt32)), Field("y", Of(TypeKind::kString))};

  DataSchema schema;
  schema.fields = {Field("binary", Of(TypeKind::kBinary)),
                   Field("binary4", binary4),
                   Field("bool", Of(TypeKind::kBool)),
                   Field("date", Of(TypeKind::kDate)),
                   Field("decimal", DecimalOf(10, 2)),
                   Field("decimal0", DecimalOf(10, 0)),
                   Field("duration", WithUnit(TypeKind::kDuration, TimeUnit::kNanosecond)),
                   Field("float16", Of(TypeKind::kFloat16)),
                   Field("float32", Of(TypeKind::kFloat32)),
                   Field("float64", Of(TypeKind::kFloat64)),
                   Field("int8", Of(TypeKind::kInt8)),
                   Field("int16", Of(TypeKind::kInt16)),
                   Field("int32", Of(TypeKind::kInt32)),
                   Field("int64", Of(TypeKind::kInt64)),
                   Field("uint8", Of(TypeKind::kUInt8)),
                   Field("uint16", Of(TypeKind::kUInt16)),
                   Field("uint32", Of(TypeKind::kUInt32)),
                   Field("uint64", Of(TypeKind::kUInt64)),
                   Field("list", list),
                   Field("map", map),
                   Field("null", Of(TypeKind::kNull)),
                   Field("option", DataType::Option(Of(TypeKind::kString))),
                   Field("struct", structure),
                   Field("time", WithUnit(TypeKind::kTime, TimeUnit::kSecond)),
                   Field("ts", TimestampOf(TimeUnit::kMillisecond, "UTC")),
                   Field("string", Of(TypeKind::kString))};
  return {std::nullopt, schema};
}

std::vector<BlockVector> SingleBlocks() {
  std::vector<BlockVector> all;
  for (auto part : {Section91(), SeedsAndSmallEvents(), PollingSources(), DataAndSchemas()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

std::vector<BlockVector> ChainBlocks() {
  std::vector<BlockVector> chain = {
      {"9.4 #0",
       {kNoon2050, {}, 0, Seed{IdOf(""), DatasetKind::kRoot}},
       152,
       "74228c8ada2c22acd334db35a9327a5f14374f73799753093b3f6bbc31595268",
       0,
       ""},
      {"9.4 #1",
       {kNoon2050, {}, 1, Readme()},
       240,
       "3546e97b0bf624a60d6638aaa3b01bb1bddccb82b8f47d47c79efdfc0f9ba975",
       0,
       ""},
      {"9.4 #2",
       {kNoon2050, {}, 2, Info()},
       216,
       "e1267219adbbe5fac61f771d2bab6be1cf54e7d6667a43d752dcae38bb2d37d5",
       0,
       ""},
      {"9.4 #3",
       {kNoon2050, {}, 3, License()},
       256,
       "e060b7811b536afc9510b94ff7d89005591534a3cda7282d12df77b802028a62",
       0,
       ""},
      {"9.4 #4",
       {kNoon2050, {}, 4, CitySchema()},
       464,
       "36322a221f6724beb634dd527abe136df7ba3743b3b1b42cc056da24b18dd7b1",
       0,
       ""},
  };
  for (size_t i = 1; i < chain.size(); ++i) {
    chain[i].block.prev_block_hash = *Multihash::Parse("f1620" + chain[i - 1].v3_digest);
  }
  return chain;
}

}  // namespace sluice::odf::testing
