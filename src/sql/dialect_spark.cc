#include <array>

#include "sql/dialect.h"

// The functions of engines `spark` and `flink` that real manifests use, and their near kin.
namespace sluice::sql {
namespace {

using enum FunctionKind;
using enum CallRewrite;

constexpr std::string_view kNoGeometry = "coordinates are not transformed in this build";

constexpr auto kSpark = std::to_array<DialectFunction>({
    {"unix_timestamp", kScalar, "",
     "(a) AS epoch_us(TRY_CAST(a AS TIMESTAMP WITH TIME ZONE)) // 1000000, (a, f) AS "
     "epoch_us(try_strptime(a, f)) // 1000000",
     "unix_timestamp('31/01/2020', 'dd/MM/yyyy')", "int64", "1580428800", kJavaFormat},
    {"from_unixtime", kScalar, "",
     "(a) AS strftime(make_timestamp(CAST(a AS BIGINT) * 1000000), '%Y-%m-%d %H:%M:%S'), "
     "(a, f) AS strftime(make_timestamp(CAST(a AS BIGINT) * 1000000), f)",
     "from_unixtime(0, 'yyyy-MM-dd')", "string", "1970-01-01", kJavaFormat},
    {"to_date", kScalar, "",
     "(a) AS TRY_CAST(a AS DATE), (a, f) AS CAST(try_strptime(CAST(a AS VARCHAR), f) AS DATE)",
     "to_date('2017', 'yyyy')", "date32[day]", "2017-01-01", kJavaFormat},
    {"to_timestamp", kScalar, "",
     "(a) AS TRY_CAST(a AS TIMESTAMP WITH TIME ZONE), (a, f) AS try_strptime(a, f)",
     "to_timestamp('January 2 2020', 'MMMM d yyyy')", "timestamp[us, tz=UTC]", "2020-01-02 00:00:00.000000Z",
     kJavaFormat},
    {"date_format", kScalar, "", "(a, f) AS strftime(CAST(a AS TIMESTAMP), f)",
     "date_format(date '2020-01-31', 'dd.MM.yyyy')", "string", "31.01.2020", kJavaFormat},
    {"date_trunc", kScalar, "", "(p, a) AS CAST(date_trunc(p, a) AS TIMESTAMP WITH TIME ZONE)",
     "date_trunc('month', date '2020-03-04')", "timestamp[us, tz=UTC]", "2020-03-01 00:00:00.000000Z"},
    {"date_part", kScalar, "", "(p, a) AS CAST(date_part(p, a) AS INTEGER)",
     "extract(year from date '2020-03-04')", "int32", "2020"},
    {"year", kScalar, "", "(a) AS CAST(year(CAST(a AS DATE)) AS INTEGER)", "year(date '2020-03-04')", "int32",
     "2020"},
    {"month", kScalar, "", "(a) AS CAST(month(CAST(a AS DATE)) AS INTEGER)", "month(date '2020-03-04')",
     "int32", "3"},
    {"day", kScalar, "", "(a) AS CAST(day(CAST(a AS DATE)) AS INTEGER)", "day(date '2020-03-04')", "int32",
     "4"},
    {"current_timestamp", kScalar, "now", "", "current_timestamp()", "timestamp[us, tz=UTC]", "*"},
    {"concat", kScalar, "||", "", "concat('a', 1)", "string", "a1", kNullConcat},
    {"concat_ws", kScalar, "concat_ws", "", "concat_ws('-', 'a', NULL, 'b')", "string", "a-b"},
    {"lower", kScalar, "lower", "", "lower('Ab')", "string", "ab"},
    {"upper", kScalar, "upper", "", "upper('Ab')", "string", "AB"},
    {"trim", kScalar, "trim", "", "trim(' a ')", "string", "a"},
    {"length", kScalar, "", "(a) AS CAST(length(a) AS INTEGER)", "length('ab')", "int32", "2"},
    {"substr", kScalar, "substring", "", "substr('abcd', 2, 2)", "string", "bc"},
    {"substring", kScalar, "substring", "", "substring('abcd', 2, 2)", "string", "bc"},
    {"replace", kScalar, "replace", "", "replace('aba', 'a', 'x')", "string", "xbx"},
    {"regexp_replace", kScalar, "", "(a, p, r) AS regexp_replace(a, p, r, 'g')",
     "regexp_replace('aba', 'a', 'x')", "string", "xbx"},
    {"split", kScalar, "string_split_regex", "", "split('a,b', ',')", "list<item: string>", "[\"a\",\"b\"]"},
    {"get_json_object", kScalar, "", "(j, p) AS CASE WHEN json_valid(j) THEN json_extract_string(j, p) END",
     R"(get_json_object('{"a":"x"}', '$.a'))", "string", "x"},
    {"unhex", kScalar, "unhex", "", "unhex('617a')", "binary", "617A"},
    {"hex", kScalar, "hex", "", "hex('az')", "string", "617A"},
    {"md5", kScalar, "md5", "", "md5('a')", "string", "0cc175b9c0f1b6a831c399e269772661"},
    {"abs", kScalar, "abs", "", "abs(-2)", "int32", "2"},
    {"round", kScalar, "", "(a) AS round(CAST(a AS DOUBLE)), (a, n) AS round(CAST(a AS DOUBLE), n)",
     "round(2.345, 1)", "double", "2.3"},
    {"floor", kScalar, "", "(a) AS CAST(floor(CAST(a AS DOUBLE)) AS BIGINT)", "floor(1.7)", "int64", "1"},
    {"ceil", kScalar, "", "(a) AS CAST(ceil(CAST(a AS DOUBLE)) AS BIGINT)", "ceil(1.2)", "int64", "2"},
    {"pow", kScalar, "pow", "", "pow(2, 3)", "double", "8"},
    {"power", kScalar, "pow", "", "power(2, 3)", "double", "8"},
    {"sqrt", kScalar, "sqrt", "", "sqrt(9)", "double", "3"},
    {"nullif", kScalar, "nullif", "", "nullif('a', 'a')", "string", "null"},
    {"nvl", kScalar, "", "(a, b) AS coalesce(a, b)", "nvl(NULL, 'a')", "string", "a"},
    {"greatest", kScalar, "greatest", "", "greatest(1, 2)", "int32", "2"},
    {"least", kScalar, "least", "", "least(1, 2)", "int32", "1"},
    {"ST_GeomFromGeoJSON", kScalar, kNoGeometry, "", "", "", "", kNothing},
    {"ST_Transform", kScalar, kNoGeometry, "", "", "", "", kNothing},
    {"count", kAggregate, "count", "", "count(1)", "int64", "1"},
    {"count_star", kAggregate, "count_star", "", "count(*)", "int64", "1"},
    {"sum", kAggregate, "sum", "", "sum(2)", "int64", "2"},
    {"min", kAggregate, "min", "", "min(2)", "int32", "2"},
    {"max", kAggregate, "max", "", "max(2)", "int32", "2"},
    {"avg", kAggregate, "avg", "", "avg(2)", "double", "2"},
    {"first", kAggregate, "first", "", "first('a')", "string", "a"},
    {"last", kAggregate, "last", "", "last('a')", "string", "a"},
    {"row_number", kWindow, "row_number", "", "cast(row_number() over (order by 1) as int)", "int32", "1"},
    {"rank", kWindow, "rank", "", "cast(rank() over (order by 1) as int)", "int32", "1"},
    {"lag", kWindow, "lag", "", "lag('a') over (order by 1)", "string", "null"},
    {"lead", kWindow, "lead", "", "lead('a') over (order by 1)", "string", "null"},
});

constexpr auto kFlink = std::to_array<DialectFunction>({
    {"to_timestamp", kScalar, "", "(a) AS CAST(a AS TIMESTAMP WITH TIME ZONE), (a, f) AS strptime(a, f)",
     "TO_TIMESTAMP('2020-01-02 01:02:03', 'yyyy-MM-dd HH:mm:ss')", "timestamp[us, tz=UTC]",
     "2020-01-02 01:02:03.000000Z", kJavaFormat},
    {"to_timestamp_ltz", kScalar, "",
     "(a, p) AS make_timestamptz(CASE p WHEN 0 THEN CAST(a AS BIGINT) * 1000000 ELSE CAST(a AS BIGINT) * "
     "1000 END)",
     "TO_TIMESTAMP_LTZ(1577926923004, 3)", "timestamp[us, tz=UTC]", "2020-01-02 01:02:03.004000Z"},
    {"to_date", kScalar, "", "(a) AS CAST(a AS DATE), (a, f) AS CAST(strptime(a, f) AS DATE)",
     "TO_DATE('31.01.2020', 'dd.MM.yyyy')", "date32[day]", "2020-01-31", kJavaFormat},
    {"unix_timestamp", kScalar, "",
     "(a) AS epoch_us(CAST(a AS TIMESTAMP)) // 1000000, (a, f) AS epoch_us(strptime(a, f)) // 1000000",
     "UNIX_TIMESTAMP('1970-01-02', 'yyyy-MM-dd')", "int64", "86400", kJavaFormat},
    {"date_format", kScalar, "", "(a, f) AS strftime(CAST(a AS TIMESTAMP), f)",
     "DATE_FORMAT(DATE '2020-01-31', 'dd.MM.yyyy')", "string", "31.01.2020", kJavaFormat},
    {"date_part", kScalar, "", "(p, a) AS date_part(p, a)", "EXTRACT(YEAR FROM DATE '2020-03-04')", "int64",
     "2020"},
    {"concat", kScalar, "||", "", "CONCAT('a', 'b')", "string", "ab", kNullConcat},
    {"concat_ws", kScalar, "concat_ws", "", "CONCAT_WS('-', 'a', 'b')", "string", "a-b"},
    {"lower", kScalar, "lower", "", "LOWER('Ab')", "string", "ab"},
    {"upper", kScalar, "upper", "", "UPPER('Ab')", "string", "AB"},
    {"trim", kScalar, "trim", "", "TRIM(' a ')", "string", "a"},
    {"char_length", kScalar, "", "(a) AS CAST(length(a) AS INTEGER)", "CHAR_LENGTH('ab')", "int32", "2"},
    {"substring", kScalar, "substring", "", "SUBSTRING('abcd', 2, 2)", "string", "bc"},
    {"replace", kScalar, "replace", "", "REPLACE('aba', 'a', 'x')", "string", "xbx"},
    {"abs", kScalar, "abs", "", "ABS(-2)", "int32", "2"},
    {"power", kScalar, "pow", "", "POWER(2, 3)", "double", "8"},
    {"nullif", kScalar, "nullif", "", "NULLIF('a', 'a')", "string", "null"},
    {"ifnull", kScalar, "", "(a, b) AS coalesce(a, b)", "IFNULL(NULL, 'a')", "string", "a"},
    {"count", kAggregate, "count", "", "COUNT(1)", "int64", "1"},
    {"count_star", kAggregate, "count_star", "", "COUNT(*)", "int64", "1"},
    {"sum", kAggregate, "sum", "", "SUM(2)", "int64", "2"},
    {"min", kAggregate, "min", "", "MIN(2)", "int32", "2"},
    {"max", kAggregate, "max", "", "MAX(2)", "int32", "2"},
    {"avg", kAggregate, "avg", "", "AVG(2)", "double", "2"},
    {"row_number", kWindow, "row_number", "", "CAST(ROW_NUMBER() OVER (ORDER BY 1) AS BIGINT)", "int64", "1"},
});

}  // namespace

std::span<const DialectFunction> SparkFunctions() { return kSpark; }
std::span<const DialectFunction> FlinkFunctions() { return kFlink; }

}  // namespace sluice::sql
