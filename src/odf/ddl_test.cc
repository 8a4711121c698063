#include "base/testing/matchers.h"
#include "odf/testing/vectors.h"
#include "odf/yaml.h"

namespace sluice::odf {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct DdlCase {
  const char* ddl;
  const char* type;
};

TEST(DdlTest, ReadsTheTypesOfTheTable) {
  const std::vector<DdlCase> cases = {
      {"a BOOL", "Option<Bool>"},
      {"a boolean", "Option<Bool>"},
      {"a INT", "Option<Int32>"},
      {"a INTEGER SIGNED", "Option<Int32>"},
      {"a INT(11)", "Option<Int32>"},
      {"a int unsigned", "Option<UInt32>"},
      {"a UNSIGNED", "Option<UInt32>"},
      {"a UINT32", "Option<UInt32>"},
      {"a BIGINT", "Option<Int64>"},
      {"a BIGINT UNSIGNED NOT NULL", "UInt64"},
      {"a FLOAT", "Option<Float32>"},
      {"a FLOAT32", "Option<Float32>"},
      {"a DOUBLE", "Option<Float64>"},
      {"a DECIMAL(10,2)", "Option<Decimal(10, 2)>"},
      {"a DECIMAL(10, 2) NOT NULL", "Decimal(10, 2)"},
      {"a DATE", "Option<Date>"},
      {"a DATE not null", "Date"},
      {"a TIMESTAMP", "Option<Timestamp(Millisecond, UTC)>"},
      {"a TIMESTAMP(6) WITH TIME ZONE NOT NULL", "Timestamp(Millisecond, UTC)"},
      {"a STRING", "Option<String>"},
      {"a VARCHAR(20)", "Option<String>"},
      {"a LongText", "Option<String>"},
      {"a ARRAY<BIGINT>", "Option<List<Int64>>"},
      {"a ARRAY<ARRAY<STRING>> NOT NULL", "List<List<String>>"},
  };
  for (const auto& c : cases) {
    ASSERT_OK_AND_ASSIGN(const DataSchema schema, ParseDdlSchema({c.ddl}));
    ASSERT_EQ(schema.fields.size(), 1u) << c.ddl;
    EXPECT_EQ(schema.fields[0].name, "a") << c.ddl;
    EXPECT_EQ(ToString(schema.fields[0].type), c.type) << c.ddl;
  }
}

TEST(DdlTest, ReadsNames) {
  ASSERT_OK_AND_ASSIGN(const DataSchema schema,
                       ParseDdlSchema({"Case INT", "\"with space\" INT", "`tick``ed` INT, ä_1 INT"}));
  EXPECT_EQ(ToString(schema),
            "Case Option<Int32>\nwith space Option<Int32>\ntick`ed Option<Int32>\nä_1 Option<Int32>\n");
}

TEST(DdlTest, RefusesTheRest) {
  const std::vector<DdlCase> cases = {
      {"a UUID", "type 'UUID' is not supported; supported are BOOLEAN, INT"},
      {"a SMALLINT", "'SMALLINT'"},
      {"a CHAR(2)", "'CHAR'"},
      {"a TIME", "'TIME'"},
      {"a NUMERIC(10, 2)", "'NUMERIC'"},
      {"a DOUBLE PRECISION", "'DOUBLE PRECISION'"},
      {"a DECIMAL", "DECIMAL needs its digits"},
      {"a DECIMAL(5, -2)", "DECIMAL needs its digits"},
      {"a DECIMAL(5, 7)", "7 digits behind the point and 5 in all"},
      {"a DECIMAL(10)", "DECIMAL needs its digits"},
      {"a DECIMAL(90, 2)", "1 to 76"},
      {"a INT PRIMARY KEY", "'PRIMARY KEY' is not understood"},
      {"a INT NOT", "NULL is missing"},
      {"a: INT", "type is missing"},
      {"a", "type is missing"},
      {"", "column name is missing"},
      {"a INT,", "column name is missing"},
      {"a INT, a INT", "given twice"},
      {"\"a INT", "does not end"},
      {"a ARRAY", "ARRAY<BIGINT>"},
      {"a ARRAY<INT", "'>' is missing"},
      {"a VARCHAR(x)", "one number"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(
        ParseDdlSchema({c.ddl}),
        IsError(ErrorCode::kInvalidArgument, AllOf(HasSubstr(c.type), HasSubstr(std::string("'") + c.ddl))))
        << c.ddl;
  }
}

TEST(DdlTest, PrintsWhatItReads) {
  const Strings columns = {"a BIGINT NOT NULL", "\"b c\" ARRAY<DECIMAL(10, 2)>", "d TIMESTAMP",
                           "e INT UNSIGNED"};
  ASSERT_OK_AND_ASSIGN(const DataSchema schema, ParseDdlSchema(columns));
  const std::string text = ToDdl(schema);
  EXPECT_EQ(text, "a BIGINT NOT NULL,\n\"b c\" ARRAY<DECIMAL(10, 2)>,\nd TIMESTAMP,\ne INT UNSIGNED\n");
  EXPECT_EQ(*ParseDdlSchema({text}), schema);
  EXPECT_THAT(ToDdl(*testing::AllTypesSchema().schema), HasSubstr("struct STRUCT<x INT, y STRING> NOT NULL"));
}

TEST(DdlTest, DeclaresTheSchemaOfAReadStep) {
  ReadStep read;
  EXPECT_EQ(*DeclaredSchema(read), std::nullopt);
  read.ddl_schema = Strings{"a INT"};
  ASSERT_OK_AND_ASSIGN(const auto declared, DeclaredSchema(read));
  EXPECT_EQ(ToString(*declared), "a Option<Int32>\n");
  read.schema = declared;
  EXPECT_THAT(DeclaredSchema(read), IsError(ErrorCode::kInvalidArgument, HasSubstr("both")));
  read.ddl_schema.reset();
  EXPECT_EQ(*DeclaredSchema(read), declared);
}

}  // namespace
}  // namespace sluice::odf
