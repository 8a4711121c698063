#include "columnar/testing/batches.h"

#include <arrow/array.h>
#include <arrow/json/from_string.h>
#include <arrow/pretty_print.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

namespace sluice::columnar::testing {

std::shared_ptr<arrow::RecordBatch> BatchFromJson(const std::shared_ptr<arrow::Schema>& schema,
                                                  const std::string& rows) {
  auto array = arrow::json::ArrayFromJSONString(arrow::struct_(schema->fields()), rows).ValueOrDie();
  return arrow::RecordBatch::FromStructArray(array).ValueOrDie()->ReplaceSchema(schema).ValueOrDie();
}

std::shared_ptr<arrow::RecordBatch> AllTypesBatch() {
  auto schema = arrow::schema({
      arrow::field("bool", arrow::boolean()),
      arrow::field("i8", arrow::int8()),
      arrow::field("i16", arrow::int16()),
      arrow::field("i32", arrow::int32()),
      arrow::field("i64", arrow::int64()),
      arrow::field("u8", arrow::uint8()),
      arrow::field("u16", arrow::uint16()),
      arrow::field("u32", arrow::uint32()),
      arrow::field("u64", arrow::uint64()),
      arrow::field("f32", arrow::float32()),
      arrow::field("f64", arrow::float64()),
      arrow::field("text", arrow::utf8()),
      arrow::field("binary", arrow::binary()),
      arrow::field("fixed", arrow::fixed_size_binary(2)),
      arrow::field("date", arrow::date32()),
      arrow::field("date64", arrow::date64()),
      arrow::field("ms", arrow::timestamp(arrow::TimeUnit::MILLI, "UTC")),
      arrow::field("us", arrow::timestamp(arrow::TimeUnit::MICRO)),
      arrow::field("ns", arrow::timestamp(arrow::TimeUnit::NANO, "UTC")),
      arrow::field("t32", arrow::time32(arrow::TimeUnit::MILLI)),
      arrow::field("t64", arrow::time64(arrow::TimeUnit::NANO)),
      arrow::field("d9", arrow::decimal128(9, 2)),
      arrow::field("d18", arrow::decimal128(18, 3)),
      arrow::field("d38", arrow::decimal128(38, 0)),
      arrow::field("d76", arrow::decimal256(76, 1)),
      arrow::field("list", arrow::list(arrow::field("item", arrow::int32()))),
      arrow::field("pair", arrow::fixed_size_list(arrow::field("item", arrow::float32()), 2)),
  });
  return BatchFromJson(schema, R"([
    [true, -1, -2, -3, -4, 1, 2, 3, 4, 0.5, 1.25, "a", "x", "hi", 18262, 1577836800000, 1577836800000, 1577836800000001,
     1577836800000000002, 3661000, 3661000000001, "1.25", "-0.125", "99999999999999999999999999999999999999", "0.5",
     [1, null, 3], [1, 2]],
    [false, 127, 32767, 2147483647, 9223372036854775807, 255, 65535, 4294967295, 18446744073709551615, -1e30, 1e300, "", "",
     "ho", -1, -86400000, -1, -1, -1, 0, 0, "-9999999.99", "999999999999999.999", "-1", "-1.5", [], [null, 4]],
    [null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
     null, null, null, null, null, null, null]])");
}

std::string ToText(const arrow::RecordBatch& batch) {
  std::string text;
  if (!arrow::PrettyPrint(*batch.ToStructArray().ValueOrDie(), arrow::PrettyPrintOptions(0, 1 << 20), &text)
           .ok()) {
    return "not printable";
  }
  return text;
}

}  // namespace sluice::columnar::testing
