#include "sql/dialect.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/testing/matchers.h"
#include "sql/preprocess.h"
#include "sql/test_batches.h"

namespace sluice::sql {
namespace {

std::string Hex(const std::string& bytes) {
  std::string out;
  for (unsigned char c : bytes) out += fmt::format("{:02X}", c);
  return out;
}

std::string Show(const arrow::Scalar& scalar) {
  if (!scalar.is_valid) return "null";
  switch (scalar.type->id()) {
    case arrow::Type::BINARY:
      return Hex(static_cast<const arrow::BinaryScalar&>(scalar).value->ToString());
    case arrow::Type::DOUBLE:
      return fmt::format("{}", static_cast<const arrow::DoubleScalar&>(scalar).value);
    case arrow::Type::LIST: {
      std::string out;
      for (char c : static_cast<const arrow::ListScalar&>(scalar).value->ToString()) {
        if (c != '\n' && c != ' ') out += c;
      }
      return out;
    }
    default:
      return scalar.ToString();
  }
}

// Every row of every dialect's table: the example gives exactly this type and this value.
TEST(DialectTest, ExamplesGiveTheirTypeAndValue) {
  auto batch = MakeBatch({{"one", Int64s({1})}});
  Limits limits{.threads = 1};
  for (const Dialect& dialect : AllDialects()) {
    for (const DialectFunction& function : dialect.functions) {
      SCOPED_TRACE(fmt::format("{}: {}", dialect.name, function.name));
      auto query = fmt::format("select {} as x from input", function.example);
      auto preprocess =
          Preprocess::Prepare(OneStep(std::string(dialect.name), query), batch->schema(), limits);
      EXPECT_OK(preprocess);
      if (!preprocess.ok()) continue;
      EXPECT_EQ((*preprocess)->schema()->field(0)->type()->ToString(), function.type);
      auto out = (*preprocess)->Run({batch});
      EXPECT_OK(out);
      if (!out.ok()) continue;
      ASSERT_EQ(RowsOf(*out), 1);
      if (function.value == "*") continue;
      EXPECT_EQ(Show(*CellOf(*out, 0)), function.value);
    }
  }
}

struct SyntaxCase {
  const char* engine;
  const char* expression;
  const char* type;
  const char* value;
};

// Operators, casts and literals are part of a dialect as well.
TEST(DialectTest, SyntaxGivesItsTypeAndValue) {
  const SyntaxCase kCases[] = {
      {"datafusion", "1", "int64", "1"},
      {"datafusion", "-1", "int64", "-1"},
      {"datafusion", "1.5", "double", "1.5"},
      {"datafusion", "1e3", "double", "1000"},
      {"datafusion", "99999999999999999999", "double", "1e+20"},
      {"datafusion", "7 / 2", "int64", "3"},
      {"datafusion", "-7 / 2", "int64", "-3"},
      {"datafusion", "7 / 2.0", "double", "3.5"},
      {"datafusion", "7 % 4", "int64", "3"},
      {"datafusion", "6 ^ 3", "int64", "5"},
      {"datafusion", "cast(2.9 as bigint)", "int64", "2"},
      {"datafusion", "cast(-2.9 as int)", "int32", "-2"},
      {"datafusion", "cast('12' as bigint)", "int64", "12"},
      {"datafusion", "cast(true as bigint)", "int64", "1"},
      {"datafusion", "cast(cast('2.99' as decimal(10, 2)) as bigint)", "int64", "2"},
      {"datafusion", "cast('1' as decimal)", "decimal128(38, 10)", "1.0000000000"},
      {"datafusion", "cast(7 as bigint unsigned)", "uint64", "7"},
      {"datafusion", "cast('2.5' as double)", "double", "2.5"},
      {"datafusion", "cast('2.5' as float)", "float", "2.5"},
      {"datafusion", "cast(7 as String)", "string", "7"},
      {"datafusion", "cast(1.0 as varchar)", "string", "1.0"},
      {"datafusion", "cast('2020-01-31' as date)", "date32[day]", "2020-01-31"},
      {"datafusion", "cast('2020-01-01T00:00:00+02:00' as timestamp)", "timestamp[us, tz=UTC]",
       "2019-12-31 22:00:00.000000Z"},
      {"datafusion", "cast(to_timestamp(0) as varchar)", "string", "1970-01-01T00:00:00Z"},
      {"datafusion", "to_timestamp('2020-01-02T01:02:03.123456789Z')", "timestamp[us, tz=UTC]",
       "2020-01-02 01:02:03.123456Z"},
      {"datafusion", "to_timestamp('2020-01-02')", "timestamp[us, tz=UTC]", "2020-01-02 00:00:00.000000Z"},
      {"datafusion", "to_timestamp(1577926923)", "timestamp[us, tz=UTC]", "2020-01-02 01:02:03.000000Z"},
      {"datafusion", "try_cast('x' as bigint)", "int64", "null"},
      {"datafusion", "try_cast(12.7 as bigint)", "int64", "12"},
      {"datafusion", "try_cast('12' as int)", "int32", "12"},
      {"datafusion", "try_cast('12.7' as int)", "int32", "null"},
      {"datafusion", "try_cast('1e3' as bigint)", "int64", "null"},
      {"datafusion", "try_cast(1e300 as bigint)", "int64", "null"},
      {"datafusion", "cast(to_timestamp('2020-01-01T00:00:01.987654Z') as timestamp(3))",
       "timestamp[us, tz=UTC]", "2020-01-01 00:00:01.987000Z"},
      {"datafusion", "cast('2020-01-01T00:00:01.9Z' as timestamp(0))", "timestamp[us, tz=UTC]",
       "2020-01-01 00:00:01.000000Z"},
      {"datafusion", "cast('2020-01-01T00:00:01.987654Z' as timestamp(9))", "timestamp[us, tz=UTC]",
       "2020-01-01 00:00:01.987654Z"},
      {"datafusion", "try_cast('x' as timestamp(3))", "timestamp[us, tz=UTC]", "null"},
      {"datafusion", "extract(epoch from to_timestamp('2050-01-01T00:00:00.5Z'))", "double", "2524608000.5"},
      {"datafusion", "date_part('EPOCH', date '2050-01-01')", "double", "2524608000"},
      {"datafusion", "to_timestamp('2020-01-01T00:00:00.5Z') || ''", "string", "2020-01-01 00:00:00.5+00"},
      {"datafusion", "concat(to_timestamp('2020-01-01T00:00:00.5Z'))", "string", "2020-01-01 00:00:00.5+00"},
      {"datafusion", "cast(to_timestamp('2020-01-01T00:00:00.5Z') as varchar)", "string",
       "2020-01-01T00:00:00.5Z"},
      {"datafusion", "one / (one + one)", "int64", "0"},
      {"datafusion", "nullif(one, 1) / (one - 1)", "int64", "null"},
      {"datafusion", "1.5 / (one - 1)", "double", "null"},
      {"datafusion", "sum(one) / count(one)", "int64", "1"},
      {"datafusion", "'a' || 'b'", "string", "ab"},
      {"datafusion", "'a' || nullif(cast(one as varchar), '1')", "string", "null"},
      {"datafusion", "'abc' ~ 'b'", "bool", "true"},
      {"datafusion", "'abc' like 'a%'", "bool", "true"},
      {"datafusion", "'Abc' ilike 'a_c'", "bool", "true"},
      {"datafusion", R"('{"a":"x"}' ->> 'a')", "string", "x"},
      {"datafusion", R"('{"a":"x"}' -> 'a')", "string", "\"x\""},
      {"datafusion", "'not json' ->> 'a'", "string", "null"},
      {"datafusion", "json_get_str('not json', 'a')", "string", "null"},
      {"datafusion", R"(json_get_str('{"a":1}', 'a'))", "string", "null"},
      {"datafusion", R"(json_get_str('{"a b\"c":"x"}', 'nosuch'))", "string", "null"},
      {"datafusion", "NULL", "string", "null"},
      {"datafusion", "coalesce(NULL, 'a')", "string", "a"},
      {"datafusion", "case when one = 1 then 'a' else cast(1 / 0 as varchar) end", "string", "a"},
      {"datafusion", "case when '' <> '' then to_timestamp('') else NULL end", "timestamp[us, tz=UTC]",
       "null"},
      {"datafusion", "[1, 2][2]", "int64", "2"},
      {"datafusion", "to_timestamp(0) + interval '1 day'", "timestamp[us, tz=UTC]",
       "1970-01-02 00:00:00.000000Z"},
      {"datafusion", "to_timestamp(0) + interval '2' hour", "timestamp[us, tz=UTC]",
       "1970-01-01 02:00:00.000000Z"},
      {"datafusion", "date '2020-01-31' = cast('2020-01-31' as date)", "bool", "true"},
      {"datafusion", "sum(cast(one as int))", "int64", "1"},
      {"datafusion", "sum(1.5)", "double", "1.5"},
      {"datafusion", "one in (1, 2)", "bool", "true"},
      {"datafusion", "one between 0 and 2", "bool", "true"},
      {"spark", "\"text\"", "string", "text"},
      {"spark", "'it\\'s'", "string", "it's"},
      {"spark", "`one`", "int64", "1"},
      {"spark", "7 / 2", "double", "3.5"},
      {"spark", "cast('x' as int)", "int32", "null"},
      {"spark", "cast('2.9' as int)", "int32", "2"},
      {"spark", "cast('x' as double)", "double", "null"},
      {"spark", "try_cast('x' as bigint)", "int64", "null"},
      {"spark", "cast(unix_timestamp('1/2/2020 3:4:5 PM', 'M/d/yyyy h:m:s a') as timestamp)",
       "timestamp[us, tz=UTC]", "2020-01-02 15:04:05.000000Z"},
      {"spark", "cast('2020-01-02 03:04:05' as timestamp)", "timestamp[us, tz=UTC]",
       "2020-01-02 03:04:05.000000Z"},
      {"spark", "cast('2020' as date)", "date32[day]", "2020-01-01"},
      {"spark", "cast(' 2020-5 ' as date)", "date32[day]", "2020-05-01"},
      {"spark", "cast('2020-5-6' as date)", "date32[day]", "2020-05-06"},
      {"spark", "cast('2020-05-06T07:08:09+10:00' as date)", "date32[day]", "2020-05-06"},
      {"spark", "cast('2020-05-06 nonsense' as date)", "date32[day]", "2020-05-06"},
      {"spark", "cast('2020-05-06x' as date)", "date32[day]", "null"},
      {"spark", "cast('06.05.2020' as date)", "date32[day]", "null"},
      {"spark", "cast('' as date)", "date32[day]", "null"},
      {"spark", "cast(cast('2020-05-06 07:08:09' as timestamp) as date)", "date32[day]", "2020-05-06"},
      {"spark", "cast('2020' as timestamp)", "timestamp[us, tz=UTC]", "2020-01-01 00:00:00.000000Z"},
      {"spark", "to_timestamp('2020-05')", "timestamp[us, tz=UTC]", "2020-05-01 00:00:00.000000Z"},
      {"spark", "to_date('2020')", "date32[day]", "2020-01-01"},
      {"spark", "year('2020-05')", "int32", "2020"},
      {"spark", "month('nonsense')", "int32", "null"},
      {"spark", "date '2020-01-31'", "date32[day]", "2020-01-31"},
      {"spark", "unix_timestamp('nonsense', 'dd/MM/yyyy')", "int64", "null"},
      {"spark", "concat('a', nullif(cast(one as string), '1'))", "string", "null"},
      {"flink", "7 / 2", "int32", "3"},
      {"flink", "`one` + 1", "int64", "2"},
      {"flink", "CAST(2.9 AS BIGINT)", "int64", "2"},
      {"flink", "TRY_CAST(2.9 AS BIGINT)", "int64", "2"},
      {"flink", "CAST(TO_TIMESTAMP_LTZ(1577926923004, 3) AS TIMESTAMP(0))", "timestamp[us, tz=UTC]",
       "2020-01-02 01:02:03.000000Z"},
      {"spark", "cast('1e3' as bigint)", "int64", "null"},
      {"spark", "concat('a', null, 'b')", "string", "null"},
      {"spark", "substring('abc', 0, 2)", "string", "ab"},
      {"spark", "7 / 0", "double", "null"},
      {"spark", "7 % 0", "int32", "null"},
  };
  auto batch = MakeBatch({{"one", Int64s({1})}});
  Limits limits{.threads = 1};
  for (const SyntaxCase& test : kCases) {
    SCOPED_TRACE(fmt::format("{}: {}", test.engine, test.expression));
    auto preprocess =
        Preprocess::Prepare(OneStep(test.engine, fmt::format("select {} as x from input", test.expression)),
                            batch->schema(), limits);
    EXPECT_OK(preprocess);
    if (!preprocess.ok()) continue;
    EXPECT_EQ((*preprocess)->schema()->field(0)->type()->ToString(), test.type);
    auto out = (*preprocess)->Run({batch});
    EXPECT_OK(out);
    if (!out.ok()) continue;
    EXPECT_EQ(Show(*CellOf(*out, 0)), test.value);
  }
}

TEST(DialectTest, RefusesToDivideByZero) {
  auto batch = MakeBatch({{"one", Int64s({1})}});
  Limits limits{.threads = 1};
  for (const char* engine : {"datafusion", "flink"}) {
    for (const char* expression :
         {"one / (one - 1)", "one % (one - 1)", "7 / 0", "sum(one) / (count(one) - 1)",
          "cast('7' as decimal(10, 2)) % (one - 1)"}) {
      SCOPED_TRACE(fmt::format("{}: {}", engine, expression));
      ASSERT_OK_AND_ASSIGN(
          const auto preprocess,
          Preprocess::Prepare(OneStep(engine, fmt::format("select {} as x from input", expression)),
                              batch->schema(), limits));
      EXPECT_THAT(preprocess->Run({batch}),
                  IsError(ErrorCode::kInvalidRecords, testing::HasSubstr("division by zero")));
    }
  }
}

TEST(DialectTest, TranslatesJavaPatterns) {
  EXPECT_EQ(FromJavaFormat("dd/MM/yyyy").value(), "%d/%m/%Y");
  EXPECT_EQ(FromJavaFormat("MMMM d yyyy").value(), "%B %-d %Y");
  EXPECT_EQ(FromJavaFormat("M/d/yyyy h:m:s a").value(), "%-m/%-d/%Y %-I:%-M:%-S %p");
  EXPECT_EQ(FromJavaFormat("yyyy-MM-dd'T'HH:mm:ss''").value(), "%Y-%m-%dT%H:%M:%S'");
  EXPECT_THAT(FromJavaFormat("QQ"), IsError(ErrorCode::kUnsupported, testing::HasSubstr("'Q'")));
  EXPECT_THAT(FromJavaFormat("'open"), IsErrorCode(ErrorCode::kInvalidArgument));
}

TEST(DialectTest, PageIsFresh) {
  std::string path = std::string(SLUICE_SOURCE_DIR) + "/docs/dialect.md";
  if (std::getenv("SLUICE_UPDATE_DOCS") != nullptr) std::ofstream(path) << DialectMarkdown();
  std::ifstream file(path);
  std::stringstream content;
  content << file.rdbuf();
  EXPECT_EQ(content.str(), DialectMarkdown()) << "set SLUICE_UPDATE_DOCS=1 and run again";
}

}  // namespace
}  // namespace sluice::sql
