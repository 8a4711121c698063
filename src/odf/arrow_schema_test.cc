#include "odf/arrow_schema.h"

#include <arrow/type.h>

#include <random>

#include "base/testing/matchers.h"
#include "odf/testing/vectors.h"

namespace sluice::odf {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

DataType Of(TypeKind kind) { return DataType::Of(kind); }

DataSchema OneField(DataType type, std::optional<std::string> extra = std::nullopt) {
  return {{{"f", std::move(type), std::move(extra)}}, std::nullopt};
}

TEST(ArrowSchemaTest, ConvertsEveryType) {
  DataSchema schema = *testing::AllTypesSchema().schema;
  ASSERT_OK_AND_ASSIGN(const auto arrow_schema, ToArrow(schema));
  ASSERT_EQ(arrow_schema->num_fields(), static_cast<int>(schema.fields.size()));
  EXPECT_EQ(
      arrow_schema->ToString(),
      "binary: binary not null\nbinary4: fixed_size_binary[4] not null\nbool: bool not null\n"
      "date: date32[day] not null\ndecimal: decimal128(10, 2) not null\ndecimal0: decimal128(10, 0) not null\n"
      "duration: duration[ns] not null\nfloat16: halffloat not null\nfloat32: float not null\n"
      "float64: double not null\nint8: int8 not null\nint16: int16 not null\nint32: int32 not null\n"
      "int64: int64 not null\nuint8: uint8 not null\nuint16: uint16 not null\nuint32: uint32 not null\n"
      "uint64: uint64 not null\nlist: fixed_size_list<item: int32 not null>[3] not null\n"
      "map: map<string ('keys'), int64 ('values')> not null\nnull: null not null\noption: string\n"
      "struct: struct<x: int32 not null, y: string not null> not null\ntime: time32[s] not null\n"
      "ts: timestamp[ms, tz=UTC] not null\nstring: string not null");
  // All of these parameters are explicit, so that the way back gives the same schema.
  ASSERT_OK_AND_ASSIGN(const DataSchema back, FromArrow(*arrow_schema));
  EXPECT_EQ(ToString(back), ToString(schema));
  EXPECT_EQ(back, schema);
}

TEST(ArrowSchemaTest, AppliesDefaultsOfAbsentParameters) {
  EXPECT_TRUE((*ToArrow(Of(TypeKind::kTimestamp)))->Equals(arrow::timestamp(arrow::TimeUnit::MILLI, "UTC")));
  EXPECT_TRUE((*ToArrow(Of(TypeKind::kTime)))->Equals(arrow::time32(arrow::TimeUnit::MILLI)));
  EXPECT_TRUE((*ToArrow(Of(TypeKind::kDuration)))->Equals(arrow::duration(arrow::TimeUnit::MILLI)));
  DataType micros = Of(TypeKind::kTime);
  micros.unit = TimeUnit::kMicrosecond;
  EXPECT_TRUE((*ToArrow(micros))->Equals(arrow::time64(arrow::TimeUnit::MICRO)));
}

TEST(ArrowSchemaTest, AppliesEncodingAttributes) {
  struct Case {
    DataType type;
    const char* extra;
    std::shared_ptr<arrow::DataType> expected;  // null: refused
  };
  DataType decimal = Of(TypeKind::kDecimal);
  decimal.precision = 9;
  decimal.scale = 2;
  const auto item = arrow::field("item", arrow::int32(), false);
  const DataType list = DataType::List(Of(TypeKind::kInt32));
  const std::vector<Case> cases = {
      {Of(TypeKind::kString), R"({"arrow.apache.org/bufferEncoding":{"kind":"Contiguous"}})", arrow::utf8()},
      {Of(TypeKind::kString),
       R"({"arrow.apache.org/bufferEncoding":{"kind":"contiguous","offsetBitWidth":64}})",
       arrow::large_utf8()},
      {Of(TypeKind::kString), R"({"arrow.apache.org/bufferEncoding":{"kind":"View","offsetBitWidth":32}})",
       arrow::utf8_view()},
      {DataType::Option(Of(TypeKind::kBinary)), R"({"arrow.apache.org/bufferEncoding":{"kind":"View"}})",
       arrow::binary_view()},
      {Of(TypeKind::kString), R"({"arrow.apache.org/bufferEncoding":{"kind":"View","offsetBitWidth":64}})",
       nullptr},
      {Of(TypeKind::kString), R"({"arrow.apache.org/bufferEncoding":{"kind":"RunEnd","runEndsBitWidth":32}})",
       nullptr},
      {list, R"({"arrow.apache.org/bufferEncoding":{"kind":"Contiguous","offsetBitWidth":64}})",
       arrow::large_list(item)},
      {list, R"({"arrow.apache.org/bufferEncoding":{"kind":"View","offsetBitWidth":64}})",
       arrow::large_list_view(item)},
      {Of(TypeKind::kDate), R"({"arrow.apache.org/dateEncoding":{"unit":"Millisecond"}})", arrow::date64()},
      {Of(TypeKind::kInt32), R"({"arrow.apache.org/dateEncoding":{"unit":"Day"}})", nullptr},
      {decimal, R"({"arrow.apache.org/decimalEncoding":{"bitWidth":32}})", arrow::decimal32(9, 2)},
      {decimal, R"({"arrow.apache.org/decimalEncoding":{"bitWidth":256}})", arrow::decimal256(9, 2)},
      {decimal, R"({"arrow.apache.org/decimalEncoding":{"bitWidth":16}})", nullptr},
      {Of(TypeKind::kString), R"({"opendatafabric.org/description":"x"})", arrow::utf8()},
  };
  for (const auto& c : cases) {
    const auto converted = ToArrow(OneField(c.type, c.extra));
    if (!c.expected) {
      EXPECT_THAT(converted, IsError(ErrorCode::kUnsupported, HasSubstr("field 'f'"))) << c.extra;
      continue;
    }
    ASSERT_THAT(converted, IsOk()) << c.extra;
    EXPECT_TRUE((*converted)->field(0)->type()->Equals(*c.expected)) << (*converted)->ToString();
    EXPECT_EQ((*converted)->field(0)->nullable(), c.type.is_option());
  }
}

TEST(ArrowSchemaTest, RefusesWhatArrowCannotHold) {
  DataType decimal = Of(TypeKind::kDecimal);
  decimal.precision = 77;
  EXPECT_THAT(ToArrow(OneField(decimal)),
              IsError(ErrorCode::kUnsupported, AllOf(HasSubstr("field 'f'"), HasSubstr("Decimal(77, 0)"))));
  EXPECT_THAT(ToArrow(DataType::Option(DataType::Option(Of(TypeKind::kBool)))),
              IsErrorCode(ErrorCode::kUnsupported));
  DataType binary = Of(TypeKind::kBinary);
  binary.fixed_length = uint64_t{1} << 40;
  EXPECT_THAT(ToArrow(binary), IsErrorCode(ErrorCode::kUnsupported));
}

TEST(ArrowSchemaTest, TakesVariantsOfArrowTypesForThePlainOnes) {
  const auto schema = arrow::schema(
      {arrow::field("a", arrow::large_utf8()), arrow::field("b", arrow::binary_view(), false),
       arrow::field("c", arrow::large_list(arrow::int8()), false), arrow::field("d", arrow::date64(), false),
       arrow::field("e", arrow::timestamp(arrow::TimeUnit::NANO), false),
       arrow::field("f", arrow::run_end_encoded(arrow::int32(), arrow::int64()), false)});
  ASSERT_OK_AND_ASSIGN(const DataSchema converted, FromArrow(*schema));
  EXPECT_EQ(ToString(converted),
            "a Option<String>\nb Binary\nc List<Option<Int8>>\nd Date\ne Timestamp(Nanosecond)\nf Int64\n");
}

TEST(ArrowSchemaTest, RefusesArrowTypesWithoutCounterpart) {
  for (const auto& type : {arrow::dictionary(arrow::int32(), arrow::utf8()), arrow::month_interval(),
                           arrow::dense_union({arrow::field("x", arrow::int8())})}) {
    const auto schema = arrow::schema({arrow::field("s", arrow::struct_({arrow::field("inner", type)}))});
    EXPECT_THAT(FromArrow(*schema),
                IsError(ErrorCode::kUnsupported,
                        AllOf(HasSubstr("field 's': field 'inner'"), HasSubstr("counterpart"))));
  }
}

TEST(ArrowSchemaTest, ReadsLegacySchemas) {
  std::string raw;
  for (const auto& vector : testing::SingleBlocks()) {
    const auto* event = std::get_if<SetDataSchema>(&vector.block.event);
    if (event && event->raw_arrow_schema) raw = *event->raw_arrow_schema;
  }
  ASSERT_OK_AND_ASSIGN(const DataSchema schema, FromRawArrow(raw));
  EXPECT_EQ(ToString(schema), "a Int64\nb Bool\n");

  std::mt19937 random(3);
  for (int round = 0; round < 5000; ++round) {
    std::string copy = raw;
    for (int i = 0; i < 1 + round % 4; ++i) copy[random() % copy.size()] = static_cast<char>(random());
    const auto changed = FromRawArrow(copy);
    if (!changed.ok()) {
      EXPECT_EQ(changed.error().code(), ErrorCode::kCorruption);
    }
  }
  // Only the padding at the end may be missing.
  for (size_t size = 0; size < raw.size() - 3; ++size) {
    EXPECT_THAT(FromRawArrow(raw.substr(0, size)), IsErrorCode(ErrorCode::kCorruption)) << size;
  }
}

TEST(ArrowSchemaTest, StripsEncodingsAndNothingElse) {
  DataType structure = Of(TypeKind::kStruct);
  structure.fields = {{"x", Of(TypeKind::kDate), R"({"arrow.apache.org/dateEncoding":{"unit":"Day"}})"}};
  DataSchema schema;
  schema.fields = {
      {"a", Of(TypeKind::kString), R"({"arrow.apache.org/bufferEncoding":{"kind":"View"},"x.y/z":1.50})"},
      {"b", DataType::Option(structure), R"({"x.y/z":1.50})"}};
  schema.extra = R"({"kamu.dev/archetype":"Collection"})";
  const DataSchema stripped = StripEncodings(schema);
  EXPECT_EQ(stripped.fields[0].extra, R"({"x.y/z":1.5})");
  EXPECT_EQ(stripped.fields[1].extra, R"({"x.y/z":1.50})");  // nothing to strip: left as it was
  EXPECT_EQ(stripped.fields[1].type.inner().fields[0].extra, std::nullopt);
  EXPECT_EQ(stripped.extra, schema.extra);
}

}  // namespace
}  // namespace sluice::odf
