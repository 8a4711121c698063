#include "sql/preprocess.h"

#include "base/testing/matchers.h"
#include "sql/test_batches.h"

namespace sluice::sql {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

const Limits kLimits{.memory_bytes = int64_t{256} << 20, .threads = 1, .time_ms = 0, .spill_folder = {}};

std::shared_ptr<arrow::RecordBatch> Cities() {
  return MakeBatch(
      {{"city", Texts({"A", "B", "C"}), false}, {"population", Int64s({1000, 2000, 3000}), false}});
}

std::vector<std::string> NamesOf(const arrow::Schema& schema) { return schema.field_names(); }

TEST(PreprocessTest, RunsStepsOverTheOneBefore) {
  TransformSpec spec{"datafusion",
                     {{"step1", "select city, population*10 as population from input"},
                      {"", "select city, population+1 as population from step1"}}};
  ASSERT_OK_AND_ASSIGN(auto preprocess, Preprocess::Prepare(spec, Cities()->schema(), kLimits));
  ASSERT_OK_AND_ASSIGN(auto out, preprocess->Run({Cities()}));
  EXPECT_EQ(CellOf(out, 1)->ToString(), "10001");
  EXPECT_TRUE(preprocess->is_row_wise());
}

TEST(PreprocessTest, NamesWhatIsMissing) {
  EXPECT_THAT(
      Preprocess::Prepare(OneStep("datafusion", "select nosuch from input"), Cities()->schema(), kLimits),
      IsError(ErrorCode::kInvalidArgument,
              AllOf(HasSubstr("nosuch"), HasSubstr("population"), HasSubstr("line 1, column 8"))));
  EXPECT_THAT(
      Preprocess::Prepare(OneStep("datafusion", "select City from input"), Cities()->schema(), kLimits),
      IsError(ErrorCode::kInvalidArgument, HasSubstr("City")));
  EXPECT_THAT(
      Preprocess::Prepare(OneStep("datafusion", "select city frm input"), Cities()->schema(), kLimits),
      IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_THAT(
      Preprocess::Prepare(OneStep("datafusion", "select 1 from elsewhere"), Cities()->schema(), kLimits),
      IsError(ErrorCode::kInvalidArgument, AllOf(HasSubstr("elsewhere"), HasSubstr("input"))));
  EXPECT_THAT(Preprocess::Prepare(OneStep("datafusion", "select *\nfrom input where ( "), Cities()->schema(),
                                  kLimits),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("at end of input")));
}

TEST(PreprocessTest, KeepsNamesThatDifferInCaseOnly) {
  auto batch = MakeBatch(
      {{"lower", Int64s({1})}, {"MIXed", Int64s({2})}, {"mixED", Int64s({3})}, {"UPPER", Int64s({4})}});
  ASSERT_OK_AND_ASSIGN(
      auto preprocess,
      Preprocess::Prepare(
          OneStep("datafusion", "select lower, MIXed, mixED, mixED as mixed, UPPER from input"),
          batch->schema(), kLimits));
  EXPECT_THAT(NamesOf(*preprocess->schema()), ElementsAre("lower", "MIXed", "mixED", "mixed", "UPPER"));
  ASSERT_OK_AND_ASSIGN(auto out, preprocess->Run({batch}));
  EXPECT_EQ(out[0]->column(1)->GetScalar(0).ValueOrDie()->ToString(), "2");
  EXPECT_EQ(out[0]->column(2)->GetScalar(0).ValueOrDie()->ToString(), "3");
  ASSERT_OK_AND_ASSIGN(preprocess, Preprocess::Prepare(OneStep("datafusion", "select * from input i"),
                                                       batch->schema(), kLimits));
  EXPECT_THAT(NamesOf(*preprocess->schema()), ElementsAre("lower", "MIXed", "mixED", "UPPER"));
}

TEST(PreprocessTest, TakesReservedWordsAsColumns) {
  std::vector<std::string> words = {"to",    "timestamp", "date",   "time",  "open", "close",
                                    "value", "hash",      "input",  "name",  "id",   "order",
                                    "desc",  "end",       "offset", "group", "user", "Date2"};
  std::vector<TestColumn> columns;
  std::string list;
  for (const std::string& word : words) {
    columns.push_back({word, Int64s({1}), false});
    list += (list.empty() ? "" : ", ") + word;
  }
  auto batch = MakeBatch(columns);
  ASSERT_OK_AND_ASSIGN(
      auto preprocess,
      Preprocess::Prepare(OneStep("datafusion", "select " + list + " from input"), batch->schema(), kLimits));
  EXPECT_THAT(NamesOf(*preprocess->schema()), testing::ElementsAreArray(words));
  EXPECT_FALSE(preprocess->schema()->field(0)->nullable());
  ASSERT_OK_AND_ASSIGN(preprocess,
                       Preprocess::Prepare(OneStep("datafusion",
                                                   "select id as from, id as order, case when to = 1 then "
                                                   "end else 2 end as x, input.to, max(offset) m, "
                                                   "offset + 1 as group from input where to > 0 group by id, "
                                                   "to, end, offset order by to desc limit 1 offset 0"),
                                           batch->schema(), kLimits));
  EXPECT_EQ(preprocess->schema()->field(0)->name(), "from");
}

std::shared_ptr<arrow::RecordBatch> Events() {
  auto fields =
      arrow::FieldVector{arrow::field("time", arrow::utf8()), arrow::field("ethAmount", arrow::utf8()),
                         arrow::field("from", arrow::utf8())};
  auto event = arrow::StructArray::Make(
      {Texts({"1577926923"}), Texts({"1500000000000000000"}), Texts({"0xab"})}, fields);
  return MakeBatch(
      {{"event", event.ValueOrDie()}, {"USD (AM)", Doubles({1.5})}, {"tokenSymbol", Texts({"ETH"}), false}});
}

TEST(PreprocessTest, ReachesFieldsOfStructs) {
  auto batch = Events();
  ASSERT_OK_AND_ASSIGN(
      auto preprocess,
      Preprocess::Prepare(
          OneStep("datafusion",
                  "-- a comment\nselect to_timestamp_seconds(cast(event.time as bigint)) as time, "
                  "cast(event.\"ethAmount\" as double) / pow(10.0, 18) as amount, event.from as from, 'eth' "
                  "as kind, "
                  "\"USD (AM)\" as usd, tokenSymbol, event from input"),
          batch->schema(), kLimits));
  ASSERT_OK_AND_ASSIGN(auto out, preprocess->Run({batch}));
  EXPECT_EQ(CellOf(out, 0)->ToString(), "2020-01-02 01:02:03.000000Z");
  EXPECT_EQ(CellOf(out, 1)->ToString(), "1.5");
  EXPECT_EQ(CellOf(out, 2)->ToString(), "0xab");
  const arrow::Schema& schema = *preprocess->schema();
  EXPECT_TRUE(schema.field(0)->nullable());
  EXPECT_FALSE(schema.GetFieldByName("kind")->nullable());
  EXPECT_FALSE(schema.GetFieldByName("tokenSymbol")->nullable());
  EXPECT_EQ(schema.GetFieldByName("event")->type()->field(1)->name(), "ethAmount");
}

TEST(PreprocessTest, TellsNullabilityFromTheStatement) {
  auto required = [](const std::string& list, const std::string& rest = " from input") {
    auto preprocess =
        Preprocess::Prepare(OneStep("datafusion", "select " + list + rest), Cities()->schema(), kLimits);
    EXPECT_OK(preprocess);
    std::string out;
    if (!preprocess.ok()) return out;
    for (const auto& field : (*preprocess)->schema()->fields()) out += field->nullable() ? '?' : '!';
    return out;
  };
  EXPECT_EQ(required("*"), "!!");
  EXPECT_EQ(required("population + 1 as p, 1 as one, NULL as n, 'x' as x, *", " from (select * from input)"),
            "?!?!!!");
  EXPECT_EQ(required("i.city", " from input i"), "!");
  EXPECT_EQ(required("cast(city as varchar) as c, max(population) as m", " from input group by city"), "??");
  EXPECT_EQ(required("a.city", " from input a left join input b on a.city = b.city"), "?");
}

TEST(PreprocessTest, KnowsWhatIsRowWise) {
  auto row_wise = [](const std::string& query) {
    auto preprocess = Preprocess::Prepare(OneStep("datafusion", query), Cities()->schema(), kLimits);
    EXPECT_OK(preprocess) << query;
    const bool is_row_wise = preprocess.ok() && (*preprocess)->is_row_wise();
    const auto row_by_row = IsRowByRow(OneStep("datafusion", query));
    EXPECT_OK(row_by_row);
    const bool expands = query.find("unnest") != std::string::npos;
    EXPECT_EQ(row_by_row.ok() && *row_by_row, is_row_wise && !expands) << query;
    return is_row_wise;
  };
  EXPECT_TRUE(row_wise("select * from input"));
  EXPECT_TRUE(row_wise("select upper(city) as c from (select * from input) where population > 10"));
  EXPECT_TRUE(row_wise("select city, unnest([1, 2]) as n from input"));
  EXPECT_TRUE(row_wise("select upper(c) as c from (select unnest([city]) as c from input)"));
  for (const char* query :
       {"select count(*) from input", "select distinct city from input", "select * from input limit 1",
        "select * from input order by city", "select row_number() over (order by city) as n from input",
        "select city from input group by city",
        "select * from input where population = (select max(population) from input)",
        "select a.city from input a join input b on a.city = b.city",
        "select * from input union all select * from input", "select now() as n from input",
        "with c as (select * from input) select * from c"}) {
    EXPECT_FALSE(row_wise(query)) << query;
  }
  EXPECT_THAT(
      Preprocess::Prepare(OneStep("datafusion", "select * from input a join input b on a.city = b.city"),
                          Cities()->schema(), kLimits),
      IsError(ErrorCode::kInvalidArgument, HasSubstr("two columns")));
}

TEST(PreprocessTest, ReportsTheValueThatFails) {
  ASSERT_OK_AND_ASSIGN(
      auto preprocess,
      Preprocess::Prepare(OneStep("datafusion", "select cast(city as bigint) as c from input"),
                          Cities()->schema(), kLimits));
  EXPECT_THAT(preprocess->Run({Cities()}), IsError(ErrorCode::kInvalidRecords, HasSubstr("'A'")));
  // The next run is not affected.
  auto good = MakeBatch({{"city", Texts({"7"}), false}, {"population", Int64s({1}), false}});
  ASSERT_OK_AND_ASSIGN(auto out, preprocess->Run({good}));
  EXPECT_EQ(CellOf(out, 0)->ToString(), "7");
  ASSERT_OK_AND_ASSIGN(
      preprocess,
      Preprocess::Prepare(OneStep("datafusion", "select sum(population * 1000000000000000) as s from input"),
                          Cities()->schema(), kLimits));
  auto big = MakeBatch({{"city", Texts({"a", "b"}), false}, {"population", Int64s({9000, 9000}), false}});
  EXPECT_THAT(preprocess->Run({big}), IsError(ErrorCode::kInvalidRecords, HasSubstr("18000000000000000000")));
}

TEST(PreprocessTest, RunsAgainAndOverManyBatches) {
  ASSERT_OK_AND_ASSIGN(auto preprocess,
                       Preprocess::Prepare(OneStep("datafusion", "select population, city from input"),
                                           Cities()->schema(), kLimits));
  for (int run = 0; run < 3; ++run) {
    RecordBatches input;
    int64_t next = 0;
    for (int64_t rows : {1, 0, 5000, 100000, 2048}) {
      std::vector<int64_t> numbers(static_cast<size_t>(rows));
      std::vector<std::string> texts;
      for (auto& number : numbers) {
        texts.push_back(fmt::format("a text that is not short: {}", next));
        number = next++;
      }
      input.push_back(MakeBatch({{"city", Texts(texts), false}, {"population", Int64s(numbers), false}}));
    }
    ASSERT_OK_AND_ASSIGN(auto out, preprocess->Run(input));
    int64_t expected = 0;
    for (const auto& batch : out) {
      const auto& numbers = static_cast<const arrow::Int64Array&>(*batch->column(0));
      const auto& texts = static_cast<const arrow::StringArray&>(*batch->column(1));
      for (int64_t i = 0; i < batch->num_rows(); ++i, ++expected) {
        ASSERT_EQ(numbers.Value(i), expected);
        ASSERT_EQ(texts.GetString(i), fmt::format("a text that is not short: {}", expected));
      }
    }
    EXPECT_EQ(expected, next);
    EXPECT_GE(out[0]->num_rows(), 64 << 10);
  }
  ASSERT_OK_AND_ASSIGN(auto none, preprocess->Run({}));
  EXPECT_EQ(RowsOf(none), 0);
}

TEST(PreprocessTest, RunsTheQueriesOfRealManifests) {
  struct Manifest {
    const char* engine;
    const char* query;
    std::vector<std::string> columns;  // all of text
  };
  const std::vector<Manifest> manifests = {
      {"datafusion",
       "select to_timestamp(Reported_Date) as reported_date, row_number() over (order by Reported_Date) as "
       "id, Sex as "
       "gender from input",
       {"Reported_Date", "Sex"}},
      {"datafusion",
       "select cast(row_number() over (order by d) as bigint) as id, cast(d as date) as d from input",
       {"d"}},
      {"datafusion",
       "select to_timestamp(Date, '%m/%d/%Y %I:%M:%S %p') as event_time, cast(open as double) as open, "
       "cast(close as "
       "double) as close from input",
       {"Date", "open", "close"}},
      {"datafusion",
       "select case when timestamp = '' then NULL else to_timestamp(timestamp) end as t, 'spy' as symbol "
       "from input",
       {"timestamp"}},
      {"datafusion",
       "select to_timestamp_seconds(cast(\"timeStamp\" as bigint)) as block_time, hash as transaction_hash, "
       "cast(value as double) / pow(10.0, 18) as value, to from input",
       {"timeStamp", "hash", "value", "to"}},
      {"datafusion",
       "select json_get_str(event, 'id') as id, coalesce(json_get_str(event, 'name'), 'none') as name, "
       "json_get_float(event, 'price') as price, concat(chain, '-', json_get_int(event, 'n')) as key from "
       "input",
       {"event", "chain"}},
      {"datafusion",
       "select to_unixtime(to_timestamp(t)) as u, decode(x, 'hex') as b, * from (select t, x from input)",
       {"t", "x"}},
      {"datafusion",
       "select\n  -- quarters\n  date, \"USD (AM)\" as usd_am, cast(\"EUR (PM)\" as double) as eur from "
       "input",
       {"date", "USD (AM)", "EUR (PM)"}},
      {"spark",
       "SELECT cast(unix_timestamp(report_date, 'dd/MM/yyyy') as timestamp) as report_date, cast(`case no.` "
       "as bigint) as "
       "case_no, \"hk\" as place FROM input",
       {"report_date", "case no."}},
      {"spark",
       "SELECT to_date(REPORT_YEAR, 'yyyy') as REPORT_YEAR, concat(PID, '-', PID) as k, try_cast(PID as "
       "double) d FROM input "
       "WHERE PID is not null",
       {"REPORT_YEAR", "PID"}},
      {"spark",
       "SELECT cast(unix_timestamp(concat(month, ' ', day, ' ', year), 'MMMM d yyyy') as timestamp) as t, "
       "cast(yield as "
       "integer) as y FROM input",
       {"month", "day", "year", "yield"}},
  };
  for (const Manifest& manifest : manifests) {
    SCOPED_TRACE(manifest.query);
    arrow::FieldVector fields;
    for (const std::string& column : manifest.columns) fields.push_back(arrow::field(column, arrow::utf8()));
    TransformSpec spec = OneStep(manifest.engine, manifest.query);
    EXPECT_OK(CheckTransform(spec));
    auto preprocess = Preprocess::Prepare(spec, arrow::schema(fields), kLimits);
    EXPECT_OK(preprocess);
    if (!preprocess.ok()) continue;
    auto out = (*preprocess)->Run({});
    EXPECT_OK(out);
  }
}

TEST(PreprocessTest, RefusesStepsThatDoNotFit) {
  auto check = [](TransformSpec spec) { return CheckTransform(spec); };
  EXPECT_THAT(check({"datafusion", {}}), IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_THAT(check({"datafusion", {{"", "select 1"}, {"", "select 2"}}}),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("no alias")));
  EXPECT_THAT(check({"datafusion", {{"a", "select 1"}}}), IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_THAT(check({"datafusion", {{"input", "select 1"}, {"", "select 2"}}}),
              IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_THAT(check(OneStep("postgres", "select 1")),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("datafusion")));
  EXPECT_OK(check(OneStep("DataFusion", "select anything from input")));
}

TEST(PreprocessTest, RefusesFunctionsOutsideTheTable) {
  EXPECT_THAT(CheckTransform(OneStep("datafusion", "select to_timestmp(a) from input")),
              IsError(ErrorCode::kUnsupported, AllOf(HasSubstr("'to_timestmp'"), HasSubstr("'datafusion'"),
                                                     HasSubstr("to_timestamp"))));
  EXPECT_THAT(CheckTransform(OneStep("datafusion", "select eth_call(a) from input")),
              IsError(ErrorCode::kUnsupported, HasSubstr("eth_call")));
  EXPECT_THAT(
      CheckTransform(OneStep("datafusion", "select ST_Transform(g, 'epsg:3157', 'epsg:4326') from input")),
      IsError(ErrorCode::kUnsupported, AllOf(HasSubstr("st_transform"), HasSubstr("datafusion"))));
  EXPECT_THAT(CheckTransform(OneStep("spark", "select to_timestamp_seconds(a) from input")),
              IsErrorCode(ErrorCode::kUnsupported));
  EXPECT_THAT(CheckTransform(OneStep("datafusion", "select row_number() from input")),
              IsErrorCode(ErrorCode::kInvalidArgument));
}

// Queries of the shapes that geography and chains have in real manifests.
TEST(PreprocessTest, TransformsCoordinates) {
  auto batch = MakeBatch({{"geometry", Texts({R"({"coordinates":[491000.0,5459000.0],"type":"Point"})"})},
                          {"STATION", Texts({"A"})}});
  auto preprocess = Preprocess::Prepare(
      OneStep("spark",
              "SELECT ST_Transform(ST_GeomFromGeoJSON(geometry), \"epsg:26910\", \"epsg:4326\") as geometry, "
              "`STATION` as station FROM input"),
      batch->schema(), Limits{.threads = 1});
  ASSERT_OK(preprocess);
  EXPECT_TRUE((*preprocess)->is_row_wise());
  ASSERT_OK_AND_ASSIGN(auto out, (*preprocess)->Run({batch}));
  EXPECT_THAT(CellOf(out, 0)->ToString(), testing::StartsWith(R"({"coordinates":[-123.12375)"));
  auto bad = MakeBatch({{"geometry", Texts({"nonsense"})}, {"STATION", Texts({"A"})}});
  EXPECT_THAT((*preprocess)->Run({bad}),
              IsError(ErrorCode::kInvalidRecords, HasSubstr("'nonsense' is no GeoJSON geometry")));
}

TEST(PreprocessTest, RefusesTypesItCannotHold) {
  auto schema = arrow::schema({arrow::field("wide", arrow::decimal256(50, 2))});
  EXPECT_THAT(Preprocess::Prepare(OneStep("datafusion", "select * from input"), schema, kLimits),
              IsError(ErrorCode::kUnsupported, HasSubstr("'wide'")));
  schema = arrow::schema({arrow::field("half", arrow::float16())});
  EXPECT_THAT(Preprocess::Prepare(OneStep("datafusion", "select * from input"), schema, kLimits),
              IsError(ErrorCode::kUnsupported, HasSubstr("'half'")));
  EXPECT_THAT(Preprocess::Prepare(OneStep("datafusion", "select interval '1 day' as i from input"),
                                  Cities()->schema(), kLimits),
              IsError(ErrorCode::kUnsupported, HasSubstr("'i'")));
}

}  // namespace
}  // namespace sluice::sql
