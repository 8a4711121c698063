#include "ingest/shape.h"

#include <arrow/array.h>
#include <arrow/json/from_string.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "base/testing/matchers.h"
#include "odf/arrow_schema.h"

namespace sluice::ingest {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::shared_ptr<arrow::DataType> Millis() { return arrow::timestamp(arrow::TimeUnit::MILLI, "UTC"); }

ShapeSpec Spec(odf::MergeKind kind = odf::MergeKind::kAppend) {
  ShapeSpec spec;
  spec.merge = kind;
  return spec;
}

odf::DataSchema DatasetWith(const arrow::FieldVector& data) {
  arrow::FieldVector fields = {
      arrow::field("offset", arrow::int64(), false), arrow::field("op", arrow::int32(), false),
      arrow::field("system_time", Millis(), false), arrow::field("event_time", Millis(), false)};
  fields.insert(fields.end(), data.begin(), data.end());
  return odf::FromArrow(*arrow::schema(fields)).value();
}

std::shared_ptr<arrow::RecordBatch> Batch(const std::shared_ptr<arrow::Schema>& schema,
                                          const std::vector<std::string>& columns) {
  arrow::ArrayVector arrays;
  for (size_t i = 0; i < columns.size(); ++i) {
    arrays.push_back(arrow::json::ArrayFromJSONString(schema->field(static_cast<int>(i))->type(), columns[i])
                         .ValueOrDie());
  }
  const int64_t rows = arrays.empty() ? 0 : arrays[0]->length();
  return arrow::RecordBatch::Make(schema, rows, arrays);
}

TEST(ShaperTest, AddsAnEventTimeAndBringsTimesToMilliseconds) {
  auto frame = arrow::schema(
      {arrow::field("a", arrow::int64()), arrow::field("t", arrow::timestamp(arrow::TimeUnit::NANO))});
  ASSERT_OK_AND_ASSIGN(auto shaper, Shaper::Make(Spec(), frame));
  ASSERT_EQ(shaper.schema()->field_names(), (std::vector<std::string>{"a", "t", "event_time"}));
  EXPECT_TRUE(shaper.schema()->field(1)->type()->Equals(*Millis()));
  std::vector<BadValue> bad;
  ASSERT_OK_AND_ASSIGN(auto rows, shaper.Apply(*Batch(frame, {"[1]", "[1999999]"}), &bad));
  EXPECT_EQ(static_cast<const arrow::TimestampArray&>(*rows->column(1)).Value(0), 1);
  EXPECT_EQ(rows->column(2)->null_count(), 1);
}

TEST(ShaperTest, TypesWithoutALogicalHashBecomeTheirJson) {
  auto frame =
      arrow::schema({arrow::field("m", arrow::map(arrow::utf8(), arrow::int32())),
                     arrow::field("l", arrow::list(arrow::struct_({arrow::field("a", arrow::int32())}))),
                     arrow::field("n", arrow::null())});
  ASSERT_OK_AND_ASSIGN(auto shaper, Shaper::Make(Spec(), frame));
  std::vector<BadValue> bad;
  ASSERT_OK_AND_ASSIGN(
      auto rows,
      shaper.Apply(*Batch(frame, {R"([[["x", 1]], null])", R"([[{"a": 2}], []])", "[null, null]"}), &bad));
  EXPECT_EQ(static_cast<const arrow::StringArray&>(*rows->column(0)).GetString(0), R"({"x":1})");
  EXPECT_TRUE(rows->column(0)->IsNull(1));
  EXPECT_EQ(static_cast<const arrow::StringArray&>(*rows->column(1)).GetString(0), R"([{"a":2}])");
  EXPECT_EQ(rows->column(2)->null_count(), 2);
}

TEST(ShaperTest, TakesASecondFrameOfEveryTypeThatItTook) {
  struct Case {
    std::shared_ptr<arrow::DataType> type;
    const char* value;
    std::shared_ptr<arrow::DataType> shaped;
  };
  const auto naive = arrow::timestamp(arrow::TimeUnit::MICRO);
  const auto micros = arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
  const Case cases[] = {
      {arrow::date64(), "[86400000]", arrow::date32()},
      {arrow::decimal256(38, 1), R"(["1.5"])", arrow::decimal128(38, 1)},
      {arrow::decimal256(39, 1), R"(["1.5"])", arrow::decimal256(39, 1)},
      {arrow::list(naive), "[[1500]]", arrow::list(micros)},
      {arrow::list(arrow::decimal256(5, 1)), R"([["1.5"]])", arrow::list(arrow::decimal128(5, 1))},
      {arrow::struct_({arrow::field("x", naive), arrow::field("d", arrow::date64())}), "[[1500, 86400000]]",
       arrow::struct_({arrow::field("x", micros), arrow::field("d", arrow::date32())})},
  };
  for (const auto& [type, value, shaped_type] : cases) {
    auto frame = arrow::schema({arrow::field("k", type)});
    ASSERT_OK_AND_ASSIGN(auto shaper, Shaper::Make(Spec(), frame));
    EXPECT_TRUE(shaper.schema()->field(0)->type()->Equals(*shaped_type)) << type->ToString();
    std::vector<BadValue> bad;
    ASSERT_OK_AND_ASSIGN(auto rows, shaper.Apply(*Batch(frame, {value}), &bad));
    const auto expected = Batch(arrow::schema({shaper.schema()->field(0)}), {value});
    if (type->id() != arrow::Type::DATE64 && type->id() != arrow::Type::STRUCT)
      EXPECT_TRUE(rows->column(0)->Equals(*expected->column(0))) << rows->column(0)->ToString();
    auto spec = Spec();
    spec.dataset_schema = DatasetWith({shaper.schema()->field(0)});
    EXPECT_OK(Shaper::Make(spec, frame)) << type->ToString();
  }
}

TEST(ShaperTest, NamesTheInnerValuesThatNoDatasetCanHold) {
  const auto required = arrow::field("item", arrow::int64(), false);
  const auto structs = arrow::struct_({arrow::field("x", arrow::list(required))});
  auto frame = arrow::schema({arrow::field("l", arrow::list(required)),
                              arrow::field("f", arrow::fixed_size_list(arrow::int64(), 2)),
                              arrow::field("s", structs)});
  ASSERT_OK_AND_ASSIGN(auto shaper, Shaper::Make(Spec(), frame));
  std::vector<BadValue> bad;
  ASSERT_OK(shaper.Apply(
      *Batch(frame, {"[[1], null, [], [1, null], [2]]", "[[1, 2], null, [1, null], [1, 2], [1, 2]]",
                     "[[[1]], [[2]], null, [[3]], [[4, null]]]"}),
      &bad));
  std::vector<std::string> found;
  for (const auto& value : bad) found.push_back(std::to_string(value.row) + " " + value.column);
  EXPECT_EQ(found, (std::vector<std::string>{"1 f", "2 s", "3 l[]", "4 s.x[]"}));
}

TEST(ShaperTest, InferredStructsWithNullRowsAreTexts) {
  auto frame = arrow::schema({arrow::field("s", arrow::struct_({arrow::field("a", arrow::int32())}))});
  auto spec = Spec();
  spec.is_inferred = true;
  ASSERT_OK_AND_ASSIGN(auto whole, Shaper::Make(spec, frame));
  EXPECT_EQ(whole.schema()->field(0)->type()->id(), arrow::Type::STRUCT);
  spec.null_structs.insert("s");
  ASSERT_OK_AND_ASSIGN(auto texts, Shaper::Make(spec, frame));
  std::vector<BadValue> bad;
  ASSERT_OK_AND_ASSIGN(auto rows, texts.Apply(*Batch(frame, {"[[1], null]"}), &bad));
  EXPECT_TRUE(bad.empty());
  EXPECT_EQ(static_cast<const arrow::StringArray&>(*rows->column(0)).GetString(0), R"({"a":1})");
  // Once the dataset has its schema that alone counts.
  spec.null_structs.clear();
  spec.dataset_schema = DatasetWith({arrow::field("s", arrow::utf8())});
  ASSERT_OK_AND_ASSIGN(auto later, Shaper::Make(spec, frame));
  EXPECT_EQ(later.schema()->field(1)->type()->id(), arrow::Type::STRING);
}

TEST(ShaperTest, RefusesTimesThatNobodyCanWrite) {
  auto frame = arrow::schema({arrow::field("t", Millis())});
  ASSERT_OK_AND_ASSIGN(auto shaper, Shaper::Make(Spec(), frame));
  std::vector<BadValue> bad;
  const auto batch =
      Batch(frame, {"[-62167219200000, 253402300799999, null, 253402300800000, 1000000000000000000]"});
  ASSERT_OK(shaper.Apply(*batch, &bad));
  ASSERT_EQ(bad.size(), 2u);
  EXPECT_EQ(bad[0].row, 3);
  EXPECT_EQ(bad[1].row, 4);
  EXPECT_THAT(bad[0].reason, HasSubstr("9999"));
}

TEST(ShaperTest, RefusesSystemColumns) {
  for (const char* name : {"offset", "system_time", "op"}) {
    auto frame = arrow::schema({arrow::field(name, arrow::int64())});
    EXPECT_THAT(Shaper::Make(Spec(), frame),
                IsError(ErrorCode::kInvalidArgument, AllOf(HasSubstr("BadInputSchema"), HasSubstr(name))));
  }
  // Where the strategy takes an operation it is the input's.
  EXPECT_OK(
      Shaper::Make(Spec(odf::MergeKind::kUpsertStream), arrow::schema({arrow::field("op", arrow::int32())})));
  // Without a query and a schema they are renamed.
  auto spec = Spec();
  spec.default_preprocess = true;
  ASSERT_OK_AND_ASSIGN(auto renamed,
                       Shaper::Make(spec, arrow::schema({arrow::field("offset", arrow::int64())})));
  EXPECT_EQ(renamed.schema()->field(0)->name(), "_offset");
}

TEST(ShaperTest, RefusesAColumnTwice) {
  auto frame = arrow::schema({arrow::field("a", arrow::int64()), arrow::field("a", arrow::int64())});
  EXPECT_THAT(Shaper::Make(Spec(), frame), IsError(ErrorCode::kInvalidArgument, HasSubstr("twice")));
}

TEST(ShaperTest, TakesTimesAsTextOrSecondsOnlyByDefault) {
  auto text = arrow::schema({arrow::field("event_time", arrow::utf8())});
  auto seconds = arrow::schema({arrow::field("event_time", arrow::int64())});
  EXPECT_THAT(Shaper::Make(Spec(), text),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("Date or Timestamp")));
  auto spec = Spec();
  spec.default_preprocess = true;
  ASSERT_OK_AND_ASSIGN(auto from_text, Shaper::Make(spec, text));
  std::vector<BadValue> bad;
  ASSERT_OK_AND_ASSIGN(auto rows, from_text.Apply(*Batch(text, {R"(["1970-01-01T00:00:01Z", null])"}), &bad));
  EXPECT_TRUE(bad.empty());
  EXPECT_EQ(static_cast<const arrow::TimestampArray&>(*rows->column(0)).Value(0), 1000);
  EXPECT_TRUE(rows->column(0)->IsNull(1));
  EXPECT_OK(from_text.Apply(*Batch(text, {R"(["1970-01-01T00:00:01Z", "soon"])"}), &bad));
  ASSERT_EQ(bad.size(), 1u);
  EXPECT_EQ(bad[0].row, 1);
  EXPECT_EQ(bad[0].value, "soon");
  ASSERT_OK_AND_ASSIGN(auto from_seconds, Shaper::Make(spec, seconds));
  ASSERT_OK_AND_ASSIGN(rows, from_seconds.Apply(*Batch(seconds, {"[2]"}), &bad));
  EXPECT_EQ(static_cast<const arrow::TimestampArray&>(*rows->column(0)).Value(0), 2000);
}

TEST(ShaperTest, AlignsColumnsByName) {
  auto spec = Spec();
  spec.dataset_schema = DatasetWith({arrow::field("a", arrow::int64(), false),
                                     arrow::field("b", arrow::utf8()), arrow::field("c", arrow::utf8())});
  auto frame = arrow::schema({arrow::field("b", arrow::utf8(), false), arrow::field("a", arrow::int64())});
  ASSERT_OK_AND_ASSIGN(auto shaper, Shaper::Make(spec, frame));
  EXPECT_EQ(shaper.schema()->field_names(), (std::vector<std::string>{"event_time", "a", "b", "c"}));
  std::vector<BadValue> bad;
  ASSERT_OK_AND_ASSIGN(auto rows, shaper.Apply(*Batch(frame, {R"(["x", "y"])", "[1, 2]"}), &bad));
  ASSERT_TRUE(rows->ValidateFull().ok());
  EXPECT_EQ(rows->column(3)->null_count(), 2);
  // Optional here, required there: checked row by row.
  EXPECT_TRUE(bad.empty());
  EXPECT_OK(shaper.Apply(*Batch(frame, {R"(["x", "y"])", "[1, null]"}), &bad));
  ASSERT_EQ(bad.size(), 1u);
  EXPECT_EQ(bad[0].row, 1);
  EXPECT_EQ(bad[0].column, "a");
}

TEST(ShaperTest, NamesEveryDifferingColumn) {
  auto spec = Spec();
  spec.dataset_schema =
      DatasetWith({arrow::field("a", arrow::int64(), false), arrow::field("b", arrow::utf8())});
  auto frame = arrow::schema({arrow::field("b", arrow::int32()), arrow::field("new", arrow::utf8())});
  EXPECT_THAT(Shaper::Make(spec, frame),
              IsError(ErrorCode::kConflict,
                      AllOf(HasSubstr("required column 'a'"), HasSubstr("'b' is Option<Int32>"),
                            HasSubstr("'new'"), HasSubstr("dataset schema ["), HasSubstr("data schema ["))));
}

TEST(ShaperTest, SaysWhatADatasetWithoutSystemColumnsLacks) {
  auto spec = Spec();
  spec.dataset_schema = odf::FromArrow(*arrow::schema({arrow::field("a", arrow::int64())})).value();
  EXPECT_THAT(Shaper::Make(spec, arrow::schema({arrow::field("a", arrow::int64())})),
              IsError(ErrorCode::kConflict, HasSubstr("'event_time'")));
}

}  // namespace
}  // namespace sluice::ingest
