#include "columnar/logical_hash.h"

#include <arrow/api.h>
#include <arrow/extension/uuid.h>
#include <arrow/json/from_string.h>

#include <random>

#include "base/testing/matchers.h"
#include "columnar/logical_hash_internal.h"
#include "columnar/value_bytes_internal.h"
#include "multiformats/multibase.h"

namespace sluice::columnar {
namespace {

using arrow::field;
using arrow::json::ArrayFromJSONString;
using multiformats::EncodeHex;
using multiformats::Sha3Digest;
using testing::HasSubstr;
using Arrays = std::vector<std::shared_ptr<arrow::Array>>;

std::string Hex(const Sha3Digest& digest) {
  return EncodeHex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::shared_ptr<arrow::Array> Array(const std::shared_ptr<arrow::DataType>& type, const std::string& json) {
  return ArrayFromJSONString(type, json).ValueOrDie();
}

std::shared_ptr<arrow::RecordBatch> Batch(const arrow::FieldVector& fields, const Arrays& arrays) {
  return arrow::RecordBatch::Make(arrow::schema(fields), arrays.empty() ? 0 : arrays[0]->length(), arrays);
}

Result<std::string> HashOf(const std::shared_ptr<arrow::Schema>& schema,
                           const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches) {
  ASSIGN_OR_RETURN(LogicalHasher hasher, LogicalHasher::Make(schema));
  for (const auto& batch : batches) RETURN_IF_ERROR(hasher.Update(*batch));
  ASSIGN_OR_RETURN(const multiformats::Multihash hash, hasher.Finish());
  return hash.ToString();
}

Result<std::string> HashOf(const std::shared_ptr<arrow::RecordBatch>& batch) {
  return HashOf(batch->schema(), {batch});
}

std::string LogicalText(const std::string& digest) { return "f9680c00120" + digest; }

struct ArrayVector {
  std::shared_ptr<arrow::DataType> type;
  std::string json;
  std::string digest;
};

TEST(ArrayDigestTest, GivesThePublishedDigests) {
  const auto utc = arrow::timestamp(arrow::TimeUnit::MILLI, "UTC");
  const std::vector<ArrayVector> vectors = {
      {arrow::int32(), "[1,2,3]", "95d11399ecaed3721501c76f154c3430744d178831b53896cb8f54fed36fb321"},
      {arrow::int32(), "[1,2,null,3]", "20b4574d7526ce57fcdf90a4544eebfb94d9b65bc14d4dd8d2ac24d2b6adaf1f"},
      {arrow::int32(), "[]", "853720ccf7d3cb0dd2605edc1197a238c839214462a0a2d506a6df6d69e7ce21"},
      {arrow::uint32(), "[1,2,3]", "e831c2bdebc5fde2cdf84c8d0d71d4fdbb78b2e5f015aa112af03129474b4926"},
      {arrow::boolean(), "[true,false,null]",
       "e27d02edfa98282d836408cb1b3ffe984e7f5c766a08a60be362a9ef25a8e6b9"},
      {arrow::utf8(), R"(["foo","bar","baz"])",
       "c09fe3b0cabaef56d03b408feb328d0f0e523d130f1af88799669c88317bab85"},
      {arrow::utf8(), R"(["foo","",null])",
       "0755db53e84a62025fa9c5046f67dcf1cbb1eb3994e88f1636570553995a296d"},
      {arrow::binary(), R"(["one","two","","three"])",
       "16d5271300f8c442e0ad73aebd592942a12d9a3ac1db0f936d22ac16dfe60b7a"},
      {arrow::list(arrow::int32()), "[[0,1,2],null,[3,null,4,5],[6,7]]",
       "ba72d7de1b2334d11a456cc787a9f3aa358dd1a136f90278105e0641813a2671"},
      {arrow::date32(), "[0,19000]", "cf6f513bdb326cbe88b9dd29edc281a9d1f202ef39fc7d92a4b65ca16e374657"},
      {utc, "[0]", "312fc007ffefc7626041f6183e743da302e1944166ea07b958adc366dc79f138"},
      {arrow::timestamp(arrow::TimeUnit::MILLI), "[0]",
       "3bd835ff34a512da5d934665fddad486b7c2be0c1d8dd9fe66b4f9a1097c1f59"},
      {arrow::decimal128(10, 2), R"(["123.45"])",
       "8d5d745968a70e2f05c22809e81aac3c03437ae229a37884b483946435c6bce4"},
      {arrow::float64(), "[1.5]", "ed35930547d4bddf9eb6d618ec16b2f7c75577d9efee0a063ae6ae5b51afb57c"}};
  for (const ArrayVector& vector : vectors) {
    ASSERT_OK_AND_ASSIGN(const Sha3Digest digest, ArrayDigest(*Array(vector.type, vector.json)));
    EXPECT_EQ(Hex(digest), vector.digest) << vector.type->ToString() << " " << vector.json;
  }
}

TEST(ArrayDigestTest, SignExtendsANegativeScale) {
  arrow::Decimal128Builder builder(arrow::decimal128(10, -2));
  ASSERT_TRUE(builder.Append(arrow::Decimal128(12345)).ok());
  ASSERT_OK_AND_ASSIGN(const Sha3Digest digest, ArrayDigest(*builder.Finish().ValueOrDie()));
  EXPECT_EQ(Hex(digest), "53277d87c6da1ebfb08c9fb5ff992d7574ddcc67d942ab9078f17df2b6dbb696");
}

TEST(TypeBytesTest, AreTheFormats) {
  using arrow::TimeUnit;
  const std::pair<std::shared_ptr<arrow::DataType>, const char*> types[] = {
      {arrow::int8(),
       "0100"
       "01"
       "0800000000000000"},
      {arrow::uint64(),
       "0100"
       "00"
       "4000000000000000"},
      {arrow::float16(),
       "0200"
       "1000000000000000"},
      {arrow::float64(),
       "0200"
       "4000000000000000"},
      {arrow::fixed_size_binary(7), "0300"},
      {arrow::binary_view(), "0300"},
      {arrow::large_utf8(), "0400"},
      {arrow::boolean(), "0500"},
      {arrow::decimal32(5, 1),
       "0600"
       "2000000000000000"
       "0500000000000000"
       "0100000000000000"},
      {arrow::decimal256(60, -1),
       "0600"
       "0001000000000000"
       "3c00000000000000"
       "ffffffffffffffff"},
      {arrow::date32(),
       "0700"
       "2000000000000000"
       "0000"},
      {arrow::date64(),
       "0700"
       "4000000000000000"
       "0100"},
      {arrow::time32(TimeUnit::SECOND),
       "0800"
       "2000000000000000"
       "0000"},
      {arrow::time64(TimeUnit::NANO),
       "0800"
       "4000000000000000"
       "0300"},
      {arrow::timestamp(TimeUnit::MILLI, "UTC"),
       "0900"
       "0100"
       "0300000000000000"
       "555443"},
      {arrow::timestamp(TimeUnit::MICRO),
       "0900"
       "0200"
       "00"},
      {arrow::large_list(arrow::fixed_size_list(arrow::utf8(), 2)),
       "0b00"
       "0b00"
       "0400"}};
  for (const auto& [type, hex] : types) {
    ASSERT_OK_AND_ASSIGN(const std::string bytes, TypeBytes(*type));
    EXPECT_EQ(EncodeHex(bytes), hex) << type->ToString();
  }
}

TEST(LogicalHasherTest, GivesThePublishedRecordDigests) {
  const auto a = field("a", arrow::int32());
  const auto b = field("b", arrow::utf8());
  const auto c = field("c", arrow::utf8());
  const auto d = field("d", arrow::int32());
  const auto time = arrow::timestamp(arrow::TimeUnit::MILLI, "UTC");
  const auto nested = arrow::struct_({c, d});
  const std::pair<std::shared_ptr<arrow::RecordBatch>, const char*> vectors[] = {
      {Batch({a, b}, {Array(a->type(), "[1,2,3]"), Array(b->type(), R"(["a","b","c"])")}),
       "5684f7bfdcaf4ff7d1f9bf0fd766c98d8ded335e933fb4eec245054f3206b61a"},
      {Batch({a, b}, {Array(a->type(), "[1,2,3,4,5]"), Array(b->type(), R"(["a","b","c","d","e"])")}),
       "98c0eccc62805320769d68714e1a5fb9cd4deeb7bdb7f4d77f36259883f3ef28"},
      {Batch({a, field("b", nested)},
             {Array(a->type(), "[1,2,3]"),
              Array(nested, R"([{"c":"a","d":3},{"c":"b","d":2},{"c":"c","d":1}])")}),
       "fad2f505cc7d67eb2a3c24e137831723ce886e31e34b80bddac5f8757616aa0b"},
      {Batch({a, b}, {Array(a->type(), "[]"), Array(b->type(), "[]")}),
       "2b615cd0b31e04124fa35efd863e724ad6179d1c8cfe52921030c45d21a99100"},
      {Batch({field("offset", arrow::int64()), field("op", arrow::int32()), field("system_time", time),
              field("event_time", time), field("city", arrow::utf8()), field("population", arrow::uint64())},
             {Array(arrow::int64(), "[0,1]"), Array(arrow::int32(), "[0,0]"),
              Array(time, "[2524651200000,2524651200000]"), Array(time, "[2524651200000,2524651200000]"),
              Array(arrow::utf8(), R"(["A","B"])"), Array(arrow::uint64(), "[100,200]")}),
       "440446fcdeef120c68757288af2391e174a83831812756c56b7298be251608d5"}};
  for (const auto& [batch, digest] : vectors) {
    ASSERT_OK_AND_ASSIGN(const std::string hash, HashOf(batch));
    EXPECT_EQ(hash, LogicalText(digest)) << batch->ToString();
  }
  ASSERT_OK_AND_ASSIGN(const std::string no_batches, HashOf(arrow::schema({a, b}), {}));
  EXPECT_EQ(no_batches, LogicalText("2b615cd0b31e04124fa35efd863e724ad6179d1c8cfe52921030c45d21a99100"));
}

TEST(LogicalHasherTest, CountsLargeAndViewVariantsAsPlain) {
  const char* text = R"(["a",null,"","a text that is longer than a view holds inline"])";
  const char* lists = "[[1,null],null,[],[2,3,4]]";
  const std::vector<std::vector<std::shared_ptr<arrow::Array>>> groups = {
      {Array(arrow::utf8(), text), Array(arrow::large_utf8(), text), Array(arrow::utf8_view(), text)},
      {Array(arrow::binary(), text), Array(arrow::large_binary(), text), Array(arrow::binary_view(), text)},
      {Array(arrow::list(arrow::int64()), lists), Array(arrow::large_list(arrow::int64()), lists)},
      {Array(arrow::list(arrow::int64()), "[[1,2],null]"),
       Array(arrow::fixed_size_list(arrow::int64(), 2), "[[1,2],null]")},
      {Array(arrow::binary(), R"(["abc",null])"), Array(arrow::fixed_size_binary(3), R"(["abc",null])")}};
  for (const auto& group : groups) {
    ASSERT_OK_AND_ASSIGN(const std::string plain, HashOf(Batch({field("x", group[0]->type())}, {group[0]})));
    for (const auto& variant : group) {
      const auto schema = arrow::schema({field("x", group[0]->type())});
      ASSERT_OK_AND_ASSIGN(const std::string hash,
                           HashOf(schema, {Batch({field("x", variant->type())}, {variant})}));
      EXPECT_EQ(hash, plain) << variant->type()->ToString();
    }
  }
}

TEST(LogicalHasherTest, TellsValuesApart) {
  const auto digest = [](const std::shared_ptr<arrow::DataType>& type, const char* json) {
    return Hex(ArrayDigest(*Array(type, json)).value_or(Sha3Digest{}));
  };
  EXPECT_NE(digest(arrow::utf8(), "[null]"), digest(arrow::utf8(), R"([""])"));
  EXPECT_NE(digest(arrow::utf8(), R"(["ab","c"])"), digest(arrow::utf8(), R"(["a","bc"])"));
  EXPECT_NE(digest(arrow::float64(), "[0.0]"), digest(arrow::float64(), "[-0.0]"));
  EXPECT_NE(digest(arrow::boolean(), "[false]"), digest(arrow::boolean(), "[null]"));
  EXPECT_NE(digest(arrow::int32(), "[1]"), digest(arrow::uint32(), "[1]"));
  EXPECT_NE(digest(arrow::timestamp(arrow::TimeUnit::MILLI, "UTC"), "[1]"),
            digest(arrow::timestamp(arrow::TimeUnit::MILLI, "+00:00"), "[1]"));
}

TEST(LogicalHasherTest, IgnoresWhatLiesUnderNulls) {
  const auto values = arrow::Buffer::FromString(std::string("\1\0\0\0\2\0\0\0\3\0\0\0", 12));
  const auto other = arrow::Buffer::FromString(std::string("\1\0\0\0\7\7\7\7\3\0\0\0", 12));
  const auto validity = arrow::Buffer::FromString("\5");
  const arrow::Int32Array first(3, values, validity);
  const arrow::Int32Array second(3, other, validity);
  ASSERT_OK_AND_ASSIGN(const Sha3Digest first_digest, ArrayDigest(first));
  ASSERT_OK_AND_ASSIGN(const Sha3Digest second_digest, ArrayDigest(second));
  EXPECT_EQ(first_digest, second_digest);
}

TEST(LogicalHasherTest, RefusesTypesWithoutALogicalHash) {
  const auto in_list = arrow::list(arrow::struct_({field("x", arrow::int32())}));
  const std::pair<std::shared_ptr<arrow::DataType>, const char*> types[] = {
      {arrow::null(), "null"},
      {arrow::duration(arrow::TimeUnit::MILLI), "duration"},
      {arrow::map(arrow::utf8(), arrow::int32()), "map"},
      {arrow::dictionary(arrow::int32(), arrow::utf8()), "dictionary"},
      {arrow::month_interval(), "month_interval"},
      {arrow::list_view(arrow::int32()), "list_view"},
      {arrow::run_end_encoded(arrow::int32(), arrow::int32()), "run_end_encoded"},
      {arrow::dense_union({field("x", arrow::int32())}), "union"},
      {in_list, "within a list"}};
  for (const auto& [type, text] : types) {
    const auto is_refused =
        IsError(ErrorCode::kUnsupported, testing::AllOf(HasSubstr("column 'bad'"), HasSubstr(text)));
    EXPECT_THAT(LogicalHasher::Make(arrow::schema({field("good", arrow::int32()), field("bad", type)})),
                is_refused);
    EXPECT_THAT(CheckHashable("bad", *type), is_refused);
    EXPECT_THAT(CheckHashable("s", *arrow::struct_({field("bad", type)})),
                IsError(ErrorCode::kUnsupported, HasSubstr("column 's.bad'")));
  }
  EXPECT_OK(CheckHashable("s", *arrow::struct_({field("x", arrow::list(arrow::list(arrow::utf8())))})));
}

TEST(LogicalHasherTest, RefusesStructsWithNullRows) {
  const auto type = arrow::struct_({field("x", arrow::int32())});
  const auto batch = Batch({field("s", type)}, {Array(type, R"([{"x":1},null,{"x":3}])")});
  EXPECT_THAT(HashOf(batch),
              IsError(ErrorCode::kUnsupported, HasSubstr("column 's': a struct with null rows")));
  EXPECT_OK(HashOf(batch->schema(), {batch->Slice(0, 1), batch->Slice(2, 1)}));
  const auto outer = arrow::struct_({field("inner", type)});
  EXPECT_THAT(HashOf(Batch({field("s", outer)}, {Array(outer, R"([{"inner":null}])")})),
              IsError(ErrorCode::kUnsupported, HasSubstr("column 's.inner'")));
}

TEST(LogicalHasherTest, RefusesBatchesOfOtherTypes) {
  const auto schema = arrow::schema({field("x", arrow::int32())});
  EXPECT_THAT(HashOf(schema, {Batch({field("x", arrow::int64())}, {Array(arrow::int64(), "[1]")})}),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("column 'x' has the type int64")));
  EXPECT_THAT(HashOf(schema, {Batch({}, {})}), IsErrorCode(ErrorCode::kInvalidArgument));
}

TEST(LogicalHasherTest, HashesExtensionTypesByTheirStorage) {
  const auto storage = Array(arrow::fixed_size_binary(16), R"(["0123456789abcdef",null])");
  const auto uuids = arrow::ExtensionType::WrapArray(arrow::extension::uuid(), storage);
  ASSERT_OK_AND_ASSIGN(const std::string plain, HashOf(Batch({field("x", storage->type())}, {storage})));
  ASSERT_OK_AND_ASSIGN(const std::string extension, HashOf(Batch({field("x", uuids->type())}, {uuids})));
  EXPECT_EQ(extension, plain);
}

// ---- against a plain row-by-row writing of the format

std::string LittleEndian(uint64_t value) {
  std::string out;
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
  return out;
}

std::string NaiveArray(const arrow::Array& array);

std::string NaiveValue(const arrow::Scalar& scalar) {
  if (!scalar.is_valid) return std::string(1, '\0');
  if (scalar.type->id() == arrow::Type::BOOL) {
    return std::string(1, static_cast<const arrow::BooleanScalar&>(scalar).value ? '\2' : '\1');
  }
  if (const auto* text = dynamic_cast<const arrow::BaseBinaryScalar*>(&scalar)) {
    return LittleEndian(text->view().size()) + std::string(text->view());
  }
  if (const auto* list = dynamic_cast<const arrow::BaseListScalar*>(&scalar)) {
    return LittleEndian(static_cast<uint64_t>(list->value->length())) + NaiveArray(*list->value);
  }
  if (const auto* decimal = dynamic_cast<const arrow::Decimal128Scalar*>(&scalar)) {
    return {reinterpret_cast<const char*>(decimal->value.ToBytes().data()), 16};
  }
  if (const auto* decimal = dynamic_cast<const arrow::Decimal256Scalar*>(&scalar)) {
    return {reinterpret_cast<const char*>(decimal->value.ToBytes().data()), 32};
  }
  if (const auto* decimal = dynamic_cast<const arrow::Decimal64Scalar*>(&scalar)) {
    return {reinterpret_cast<const char*>(decimal->value.ToBytes().data()), 8};
  }
  if (const auto* decimal = dynamic_cast<const arrow::Decimal32Scalar*>(&scalar)) {
    return {reinterpret_cast<const char*>(decimal->value.ToBytes().data()), 4};
  }
  return std::string(dynamic_cast<const arrow::internal::PrimitiveScalarBase&>(scalar).view());
}

std::string NaiveArray(const arrow::Array& array) {
  std::string out;
  for (int64_t i = 0; i < array.length(); ++i) out += NaiveValue(*array.GetScalar(i).ValueOrDie());
  return out;
}

class RandomArrays {
 public:
  explicit RandomArrays(uint64_t seed) : random_(seed) {}

  size_t Below(size_t limit) { return random_() % limit; }

  std::shared_ptr<arrow::Array> Make(const std::shared_ptr<arrow::DataType>& type, int64_t rows) {
    // No nulls, few, half, or long runs of both.
    null_rate_ = Below(4);
    std::string json = "[";
    for (int64_t i = 0; i < rows; ++i) json += (i > 0 ? "," : "") + Value(*type, true);
    return Array(type, json + "]");
  }

 private:
  bool IsNull() {
    if (null_rate_ == 0) return false;
    if (null_rate_ == 1) return Below(30) == 0;
    if (null_rate_ == 2) return Below(2) == 0;
    if (Below(100) == 0) in_nulls_ = !in_nulls_;
    return in_nulls_;
  }

  std::string Value(const arrow::DataType& type, bool nullable) {
    using arrow::Type;
    if (nullable && IsNull()) return "null";
    switch (type.id()) {
      case Type::BOOL:
        return Below(2) == 0 ? "true" : "false";
      case Type::HALF_FLOAT:
      case Type::FLOAT:
      case Type::DOUBLE:
        return fmt::format("{}.5", static_cast<int>(Below(1000)) - 500);
      case Type::DECIMAL32:
      case Type::DECIMAL64:
      case Type::DECIMAL128:
      case Type::DECIMAL256:
        return fmt::format("\"-{}.{}\"", Below(1000), 10 + Below(90));
      case Type::FIXED_SIZE_BINARY:
        return fmt::format("\"{}\"", std::string(static_cast<size_t>(type.byte_width()),
                                                 static_cast<char>('a' + Below(26))));
      case Type::LIST:
      case Type::LARGE_LIST:
        return List(type, Below(5));
      case Type::FIXED_SIZE_LIST:
        return List(type,
                    static_cast<size_t>(static_cast<const arrow::FixedSizeListType&>(type).list_size()));
      case Type::STRUCT: {
        std::string out = "{";
        for (const auto& child : type.fields()) {
          out += fmt::format("{}\"{}\":{}", out.size() > 1 ? "," : "", child->name(),
                             Value(*child->type(), true));
        }
        return out + "}";
      }
      default:
        break;
    }
    if (arrow::is_base_binary_like(type.id()) || arrow::is_binary_view_like(type.id())) {
      return fmt::format("\"{}\"",
                         std::string(Below(Below(10) == 0 ? 60 : 18), static_cast<char>('a' + Below(26))));
    }
    if (type.id() == Type::DATE64) return std::to_string(86400000 * Below(100));
    return std::to_string(Below(100));
  }

  std::string List(const arrow::DataType& type, size_t items) {
    std::string out = "[";
    for (size_t i = 0; i < items; ++i) {
      out += (i > 0 ? "," : "") + Value(*static_cast<const arrow::BaseListType&>(type).value_type(), true);
    }
    return out + "]";
  }

  std::mt19937_64 random_;
  size_t null_rate_ = 0;
  bool in_nulls_ = false;
};

std::vector<std::shared_ptr<arrow::DataType>> AllTypes() {
  return {arrow::int8(),
          arrow::int16(),
          arrow::int32(),
          arrow::int64(),
          arrow::uint8(),
          arrow::uint16(),
          arrow::uint32(),
          arrow::uint64(),
          arrow::float16(),
          arrow::float32(),
          arrow::float64(),
          arrow::boolean(),
          arrow::utf8(),
          arrow::large_utf8(),
          arrow::utf8_view(),
          arrow::binary(),
          arrow::large_binary(),
          arrow::binary_view(),
          arrow::fixed_size_binary(5),
          arrow::decimal32(9, 2),
          arrow::decimal64(18, 2),
          arrow::decimal128(20, 2),
          arrow::decimal256(50, 2),
          arrow::date32(),
          arrow::date64(),
          arrow::time32(arrow::TimeUnit::SECOND),
          arrow::time32(arrow::TimeUnit::MILLI),
          arrow::time64(arrow::TimeUnit::MICRO),
          arrow::time64(arrow::TimeUnit::NANO),
          arrow::timestamp(arrow::TimeUnit::SECOND),
          arrow::timestamp(arrow::TimeUnit::NANO, "Europe/Berlin"),
          arrow::list(arrow::int16()),
          arrow::list(arrow::utf8()),
          arrow::large_list(arrow::boolean()),
          arrow::fixed_size_list(arrow::int32(), 3),
          arrow::fixed_size_list(arrow::utf8(), 2),
          arrow::list(arrow::fixed_size_list(arrow::list(arrow::decimal128(10, 2)), 2))};
}

TEST(LogicalHasherTest, AgreesWithARowByRowEncodingForEveryType) {
  RandomArrays random(1);
  for (const auto& type : AllTypes()) {
    for (int round = 0; round < 8; ++round) {
      const auto whole = random.Make(type, 300);
      const auto begin = static_cast<int64_t>(random.Below(100));
      const auto array = whole->Slice(begin, static_cast<int64_t>(random.Below(200)));
      ASSERT_OK_AND_ASSIGN(const std::string stream, ArrayStream(*array));
      ASSERT_OK_AND_ASSIGN(const std::string type_bytes, TypeBytes(*type));
      ASSERT_EQ(EncodeHex(stream), EncodeHex(type_bytes + NaiveArray(*array)))
          << type->ToString() << array->ToString();
    }
  }
}

TEST(LogicalHasherTest, DoesNotDependOnBatches) {
  RandomArrays random(2);
  arrow::FieldVector fields;
  for (const auto& type : AllTypes()) fields.push_back(field(fmt::format("c{}", fields.size()), type));
  const auto inner = arrow::struct_({field("p", arrow::int32()), field("q", arrow::utf8())});
  fields.push_back(
      field("s", arrow::struct_({field("inner", inner, false), field("r", arrow::boolean())}), false));
  constexpr int64_t kRows = 9000;
  Arrays arrays;
  for (size_t i = 0; i + 1 < fields.size(); ++i) arrays.push_back(random.Make(fields[i]->type(), kRows));
  const auto inner_array =
      arrow::StructArray::Make({random.Make(arrow::int32(), kRows), random.Make(arrow::utf8(), kRows)},
                               inner->fields())
          .ValueOrDie();
  arrays.push_back(arrow::StructArray::Make({inner_array, random.Make(arrow::boolean(), kRows)},
                                            fields.back()->type()->fields())
                       .ValueOrDie());
  const auto batch = Batch(fields, arrays);
  ASSERT_OK_AND_ASSIGN(const std::string expected, HashOf(batch));
  for (const size_t largest : {700U, 5000U, 9000U}) {
    std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
    for (int64_t begin = 0; begin < kRows;) {
      const auto rows = static_cast<int64_t>(random.Below(largest));
      batches.push_back(batch->Slice(begin, rows));
      begin += rows;
    }
    ASSERT_OK_AND_ASSIGN(const std::string hash, HashOf(batch->schema(), batches));
    EXPECT_EQ(hash, expected) << largest;
  }
}

TEST(LogicalHasherTest, TakesValuesLongerThanItsMemoryForThem) {
  arrow::StringBuilder builder;
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(builder.Append(std::string(i % 3 == 0 ? 3000000 : 3, static_cast<char>('a' + i % 26))).ok());
  }
  const auto array = builder.Finish().ValueOrDie();
  const auto batch = Batch({field("x", arrow::utf8()), field("y", arrow::int64())},
                           {array, RandomArrays(3).Make(arrow::int64(), array->length())});
  ASSERT_OK_AND_ASSIGN(const std::string hash, HashOf(batch));
  std::vector<std::shared_ptr<arrow::RecordBatch>> rows;
  for (int64_t i = 0; i < batch->num_rows(); ++i) rows.push_back(batch->Slice(i, 1));
  ASSERT_OK_AND_ASSIGN(const std::string by_row, HashOf(batch->schema(), rows));
  EXPECT_EQ(hash, by_row);
}

}  // namespace
}  // namespace sluice::columnar
