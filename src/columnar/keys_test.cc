#include "columnar/keys.h"

#include <arrow/api.h>
#include <arrow/json/from_string.h>

#include <cmath>
#include <functional>
#include <limits>
#include <random>

#include "base/testing/matchers.h"

namespace sluice::columnar {
namespace {

using testing::HasSubstr;

std::shared_ptr<arrow::Array> FromJson(const std::shared_ptr<arrow::DataType>& type,
                                       const std::string& json) {
  return arrow::json::ArrayFromJSONString(type, json).ValueOrDie();
}

std::shared_ptr<arrow::RecordBatch> Batch(const std::vector<std::shared_ptr<arrow::Array>>& columns) {
  arrow::FieldVector fields;
  for (size_t i = 0; i < columns.size(); ++i) {
    fields.push_back(arrow::field("c" + std::to_string(i), columns[i]->type()));
  }
  return arrow::RecordBatch::Make(arrow::schema(fields), columns.front()->length(), columns);
}

PackedBytes Encode(const arrow::RecordBatch& batch, std::vector<bool>* nulls = nullptr) {
  auto encoder = KeyEncoder::Make(*batch.schema(), batch.schema()->field_names());
  EXPECT_OK(encoder);
  PackedBytes out;
  EXPECT_OK(encoder->Encode(batch, &out, nulls));
  return out;
}

int Sign(int value) { return (value > 0) - (value < 0); }

// `values` ascending and distinct: the encodings must be strictly ascending, before and after slicing.
void ExpectAscending(const std::shared_ptr<arrow::Array>& values) {
  const PackedBytes keys = Encode(*Batch({values}));
  ASSERT_EQ(keys.size(), static_cast<size_t>(values->length()));
  for (size_t i = 0; i < keys.size(); ++i) {
    for (size_t j = 0; j < keys.size(); ++j) {
      EXPECT_EQ(Sign(keys[i].compare(keys[j])), i < j ? -1 : (i > j ? 1 : 0))
          << values->type()->ToString() << " " << i << " " << j;
    }
  }
  const PackedBytes sliced = Encode(*Batch({values->Slice(1)}));
  for (size_t i = 0; i < sliced.size(); ++i) EXPECT_EQ(sliced[i], keys[i + 1]);
}

TEST(KeyEncoderTest, OrdersEveryTypeAsItsValues) {
  ExpectAscending(FromJson(arrow::int8(), "[null, -128, -1, 0, 1, 127]"));
  ExpectAscending(FromJson(arrow::int16(), "[null, -32768, -1, 0, 255, 256]"));
  ExpectAscending(FromJson(arrow::int32(), "[null, -2147483648, -1, 0, 65536]"));
  ExpectAscending(FromJson(arrow::int64(), "[null, -9223372036854775808, -1, 0, 1, 9223372036854775807]"));
  ExpectAscending(FromJson(arrow::uint8(), "[null, 0, 1, 255]"));
  ExpectAscending(FromJson(arrow::uint16(), "[null, 0, 1, 65535]"));
  ExpectAscending(FromJson(arrow::uint32(), "[null, 0, 1, 4294967295]"));
  ExpectAscending(FromJson(arrow::uint64(), "[null, 0, 1, 18446744073709551615]"));
  ExpectAscending(FromJson(arrow::boolean(), "[null, false, true]"));
  ExpectAscending(FromJson(arrow::date32(), "[null, -1, 0, 20000]"));
  ExpectAscending(FromJson(arrow::date64(), "[null, -86400000, 0, 86400000]"));
  ExpectAscending(FromJson(arrow::time32(arrow::TimeUnit::MILLI), "[null, 0, 1, 86399999]"));
  ExpectAscending(FromJson(arrow::time64(arrow::TimeUnit::NANO), "[null, 0, 1, 86399999999999]"));
  ExpectAscending(FromJson(arrow::timestamp(arrow::TimeUnit::MILLI, "UTC"), "[null, -1, 0, 1577836800000]"));
  ExpectAscending(FromJson(arrow::decimal32(9, 2), R"([null, "-1.00", "0.00", "0.01", "999.99"])"));
  ExpectAscending(FromJson(arrow::decimal64(18, 2), R"([null, "-1.00", "0.00", "0.01", "999.99"])"));
  ExpectAscending(
      FromJson(arrow::decimal128(38, 2), R"([null, "-9.00", "-0.01", "0.00", "0.01", "256.00"])"));
  ExpectAscending(FromJson(arrow::decimal256(60, 1), R"([null, "-9.0", "-0.1", "0.0", "0.1", "256.0"])"));
  ExpectAscending(FromJson(arrow::fixed_size_binary(2), R"([null, "aa", "ab", "ba"])"));
}

TEST(KeyEncoderTest, OrdersStringsOfEveryKindAlike) {
  const std::vector<std::string> values = {std::string(),
                                           std::string("\0", 1),
                                           std::string("\0\0", 2),
                                           std::string("\0\x01", 2),
                                           "\x01",
                                           "a",
                                           std::string("a\0", 2),
                                           std::string("a\0b", 3),
                                           "a\x01",
                                           "aa",
                                           "b",
                                           "\xc5\x81",
                                           "\xff"};
  arrow::StringBuilder plain;
  arrow::LargeStringBuilder large;
  arrow::StringViewBuilder view;
  for (const std::string& value : values) {
    ASSERT_TRUE(plain.Append(value).ok() && large.Append(value).ok() && view.Append(value).ok());
  }
  const auto plain_values = plain.Finish().ValueOrDie();
  const auto large_values = large.Finish().ValueOrDie();
  const auto view_values = view.Finish().ValueOrDie();
  ExpectAscending(plain_values);
  ExpectAscending(large_values);
  ExpectAscending(view_values);
  EXPECT_EQ(Encode(*Batch({plain_values})).data, Encode(*Batch({large_values})).data);
  EXPECT_EQ(Encode(*Batch({plain_values})).data, Encode(*Batch({view_values})).data);
}

template <class Builder, class Value>
void ExpectFloatOrder() {
  using Limits = std::numeric_limits<Value>;
  Builder builder;
  for (Value value :
       {-Limits::infinity(), Limits::lowest(), Value{-1}, -Limits::denorm_min(), Value{0},
        Limits::denorm_min(), Value{1}, Limits::max(), Limits::infinity(), Limits::quiet_NaN()}) {
    ASSERT_TRUE(builder.Append(value).ok());
  }
  ExpectAscending(builder.Finish().ValueOrDie());
  ASSERT_TRUE(builder.AppendValues({Value{0}, -Value{0}, Limits::quiet_NaN(), -Limits::quiet_NaN()}).ok());
  const PackedBytes keys = Encode(*Batch({builder.Finish().ValueOrDie()}));
  EXPECT_EQ(keys[0], keys[1]);
  EXPECT_EQ(keys[2], keys[3]);
}

TEST(KeyEncoderTest, OrdersFloatsWithNanLastAndOneZero) {
  ExpectFloatOrder<arrow::FloatBuilder, float>();
  ExpectFloatOrder<arrow::DoubleBuilder, double>();
}

TEST(KeyEncoderTest, ComparesColumnByColumn) {
  std::mt19937 random(7);
  const std::vector<std::optional<std::string>> texts = {std::nullopt, "",   std::string("\0", 1),
                                                         "a",          "ab", "b"};
  const std::vector<std::optional<int64_t>> numbers = {std::nullopt, -5, 0, 3};
  arrow::StringBuilder strings;
  arrow::Int64Builder integers;
  std::vector<std::pair<std::optional<std::string>, std::optional<int64_t>>> rows;
  for (int i = 0; i < 200; ++i) {
    rows.emplace_back(texts[random() % texts.size()], numbers[random() % numbers.size()]);
    ASSERT_TRUE((rows.back().first ? strings.Append(*rows.back().first) : strings.AppendNull()).ok());
    ASSERT_TRUE((rows.back().second ? integers.Append(*rows.back().second) : integers.AppendNull()).ok());
  }
  std::vector<bool> nulls;
  const auto batch = Batch({strings.Finish().ValueOrDie(), integers.Finish().ValueOrDie()});
  const PackedBytes keys = Encode(*batch, &nulls);
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(nulls[i], !rows[i].first || !rows[i].second);
    for (size_t j = 0; j < rows.size(); ++j) {
      ASSERT_EQ(keys[i] < keys[j], rows[i] < rows[j]);  // nullopt is less than every value
      ASSERT_EQ(keys[i] == keys[j], rows[i] == rows[j]);
    }
  }
}

TEST(KeyEncoderTest, TakesDictionariesByValue) {
  const auto dictionary = arrow::DictionaryArray::FromArrays(FromJson(arrow::int32(), "[1, 0, null]"),
                                                             FromJson(arrow::utf8(), R"(["b", "a"])"))
                              .ValueOrDie();
  const PackedBytes keys = Encode(*Batch({dictionary}));
  EXPECT_EQ(keys.data, Encode(*Batch({FromJson(arrow::utf8(), R"(["a", "b", null])")})).data);
}

TEST(KeyEncoderTest, AppendsToWhatIsThere) {
  const auto batch = Batch({FromJson(arrow::utf8(), R"(["x", "yy"])")});
  auto encoder = KeyEncoder::Make(*batch->schema(), {"c0"});
  ASSERT_OK(encoder);
  PackedBytes out;
  ASSERT_OK(encoder->Encode(*batch, &out, nullptr));
  ASSERT_OK(encoder->Encode(*batch, &out, nullptr));
  ASSERT_EQ(out.size(), 4u);
  EXPECT_EQ(out[1], out[3]);
  EXPECT_EQ(out[0], std::string_view("\x01x\0\0", 4));
}

TEST(KeyEncoderTest, NamesWhatCannotBeAKey) {
  const auto schema =
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("l", arrow::list(arrow::int8()))});
  EXPECT_THAT(KeyEncoder::Make(*schema, {"key"}),
              IsError(ErrorCode::kInvalidArgument,
                      HasSubstr("no column 'key' for the key; the columns are 'id', 'l'")));
  EXPECT_THAT(KeyEncoder::Make(*schema, {"l"}), IsError(ErrorCode::kUnsupported, HasSubstr("column 'l'")));
}

TEST(SortedOrderTest, IsStableAndSkipsTheSharedPrefix) {
  std::mt19937 random(1);
  PackedBytes entries;
  for (int i = 0; i < 5000; ++i) {
    entries.Append("shared prefix of all " + std::to_string(random() % 700) +
                   (random() % 2 != 0 ? "" : "tail"));
  }
  std::vector<uint32_t> expected(entries.size());
  for (size_t i = 0; i < expected.size(); ++i) expected[i] = static_cast<uint32_t>(i);
  std::stable_sort(expected.begin(), expected.end(),
                   [&](uint32_t a, uint32_t b) { return entries[a] < entries[b]; });
  EXPECT_EQ(SortedOrder(entries), expected);
  EXPECT_TRUE(SortedOrder(PackedBytes()).empty());
}

std::shared_ptr<arrow::RecordBatch> EveryType() {
  const auto nested =
      arrow::list(arrow::struct_({arrow::field("x", arrow::int32()), arrow::field("y", arrow::utf8())}));
  return Batch(
      {FromJson(arrow::int8(), "[1, null, -3]"), FromJson(arrow::uint64(), "[1, null, 18446744073709551615]"),
       FromJson(arrow::float64(), "[0.5, null, -1e300]"), FromJson(arrow::boolean(), "[true, null, false]"),
       FromJson(
           arrow::utf8(),
           R"(["", null, "a long text, longer than a varint of one byte can count: it goes on and on and on and on and on and on and on, until it stops"])"),
       FromJson(arrow::large_utf8(), R"(["x", null, "y"])"), FromJson(arrow::binary(), R"(["", null, "z"])"),
       FromJson(arrow::utf8_view(), R"(["x", null, "y"])"), FromJson(arrow::null(), "[null, null, null]"),
       FromJson(arrow::decimal128(10, 2), R"(["1.25", null, "-7.00"])"),
       FromJson(arrow::fixed_size_binary(3), R"(["abc", null, "def"])"),
       FromJson(arrow::date32(), "[1, null, -1]"),
       FromJson(arrow::timestamp(arrow::TimeUnit::MILLI, "UTC"), "[1, null, 1577836800000]"),
       FromJson(arrow::list(arrow::utf8()), R"([["a", null, "bc"], null, []])"),
       FromJson(arrow::fixed_size_list(arrow::int16(), 2), "[[1, 2], null, [null, 4]]"),
       FromJson(arrow::large_list(arrow::boolean()), "[[true], null, [null]]"),
       FromJson(
           arrow::struct_({arrow::field("a", arrow::int64()), arrow::field("b", arrow::list(arrow::int8()))}),
           R"([{"a": 1, "b": [1, null]}, null, {"a": null, "b": null}])"),
       FromJson(nested, R"([[{"x": 1, "y": "q"}, null], null, [{"x": null, "y": null}]])")});
}

Result<std::shared_ptr<arrow::RecordBatch>> RoundTrip(const std::shared_ptr<arrow::RecordBatch>& batch) {
  ASSIGN_OR_RETURN(const RowCodec codec, RowCodec::Make(batch->schema()));
  PackedBytes rows;
  RETURN_IF_ERROR(codec.Encode(*batch, &rows));
  std::vector<std::string_view> views;
  for (size_t i = 0; i < rows.size(); ++i) views.push_back(rows[i]);
  return codec.Decode(views);
}

TEST(RowCodecTest, BringsEveryTypeBack) {
  for (const auto& batch :
       {EveryType(), EveryType()->Slice(1), EveryType()->Slice(2), EveryType()->Slice(0, 0)}) {
    ASSERT_OK_AND_ASSIGN(const auto back, RoundTrip(batch));
    ASSERT_TRUE(back->ValidateFull().ok()) << back->ValidateFull().ToString();
    EXPECT_TRUE(back->Equals(*batch)) << back->ToString() << "\nexpected\n" << batch->ToString();
  }
}

TEST(RowCodecTest, TakesRowsInAnyOrder) {
  const auto batch = EveryType();
  ASSERT_OK_AND_ASSIGN(const RowCodec codec, RowCodec::Make(batch->schema()));
  PackedBytes rows;
  ASSERT_OK(codec.Encode(*batch, &rows));
  ASSERT_OK_AND_ASSIGN(const auto back, codec.Decode({rows[2], rows[0], rows[2]}));
  EXPECT_TRUE(back->Slice(0, 1)->Equals(*batch->Slice(2, 1)));
  EXPECT_TRUE(back->Slice(1, 1)->Equals(*batch->Slice(0, 1)));
  EXPECT_TRUE(back->Slice(2, 1)->Equals(*batch->Slice(2, 1)));
}

TEST(RowCodecTest, RefusesCutAndPaddedRows) {
  const auto batch = EveryType();
  ASSERT_OK_AND_ASSIGN(const RowCodec codec, RowCodec::Make(batch->schema()));
  PackedBytes rows;
  ASSERT_OK(codec.Encode(*batch, &rows));
  for (size_t row = 0; row < rows.size(); ++row) {
    for (size_t size = 0; size < rows[row].size(); ++size) {
      EXPECT_THAT(codec.Decode({rows[row].substr(0, size)}), IsErrorCode(ErrorCode::kCorruption)) << size;
    }
    const std::string padded = std::string(rows[row]) + "x";
    EXPECT_THAT(codec.Decode({padded}), IsErrorCode(ErrorCode::kCorruption));
  }
}

TEST(RowCodecTest, SurvivesRandomBytes) {
  std::mt19937 random(3);
  const auto batch = EveryType();
  ASSERT_OK_AND_ASSIGN(const RowCodec codec, RowCodec::Make(batch->schema()));
  PackedBytes rows;
  ASSERT_OK(codec.Encode(*batch, &rows));
  for (int i = 0; i < 3000; ++i) {
    std::string row(rows[i % 3]);
    for (int change = 0; change < 3; ++change) row[random() % row.size()] = static_cast<char>(random());
    const auto decoded = codec.Decode({row});
    if (!decoded.ok()) {
      EXPECT_THAT(decoded, IsErrorCode(ErrorCode::kCorruption));
    }
  }
}

TEST(RowCodecTest, NamesAColumnThatCannotBeKept) {
  const auto schema = arrow::schema({arrow::field("m", arrow::map(arrow::utf8(), arrow::int8()))});
  EXPECT_THAT(RowCodec::Make(schema), IsError(ErrorCode::kUnsupported, HasSubstr("column 'm'")));
}

}  // namespace
}  // namespace sluice::columnar
