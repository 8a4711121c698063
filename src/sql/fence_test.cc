#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/testing/matchers.h"
#include "sql/test_batches.h"

namespace sluice::sql {
namespace {

const Limits kLimits{.memory_bytes = int64_t{128} << 20, .threads = 2, .time_ms = 0, .spill_folder = {}};

std::unique_ptr<Engine> FencedEngine(const Limits& limits = kLimits) {
  auto engine = Engine::OpenFenced(limits);
  auto batch = MakeBatch({{"a", Int64s({1, 2, 3})}});
  EXPECT_OK((*engine)->RegisterBatches("t", batch->schema(), {batch}));
  return std::move(engine).value();
}

Result<RecordBatches> RunQuery(Engine& engine, const std::string& statement, std::stop_token stop = {}) {
  ASSIGN_OR_RETURN(auto result, engine.Query(statement, stop));
  return Collect(*result);
}

class FenceTest : public testing::TestWithParam<const char*> {};

TEST_P(FenceTest, KeepsStatementOut) {
  std::string secret = testing::TempDir() + "/sluice_fence_secret.csv";
  std::ofstream(secret) << "word\nswordfish\n";
  auto engine = FencedEngine();
  std::string statement = GetParam();
  for (size_t at; (at = statement.find("FILE")) != std::string::npos;) statement.replace(at, 4, secret);
  auto out = RunQuery(*engine, statement);
  EXPECT_FALSE(out.ok()) << statement;
  if (!out.ok()) {
    EXPECT_NE(out.error().code(), ErrorCode::kInternal) << out.error().ToString();
  }
  EXPECT_FALSE(std::filesystem::exists(secret + ".out"));
  // The engine goes on, the fence stands.
  EXPECT_OK(RunQuery(*engine, "select a from t"));

  auto schema = arrow::schema({arrow::field("a", arrow::int64())});
  EXPECT_FALSE(Preprocess::Prepare(OneStep("datafusion", statement), schema, kLimits).ok()) << statement;
  std::filesystem::remove(secret);
}

INSTANTIATE_TEST_SUITE_P(
    Statements, FenceTest,
    testing::Values(
        "select * from read_csv('FILE')", "select * from read_csv_auto('FILE')", "select * from 'FILE'",
        "select * from \"FILE\"", "select * from read_text('FILE')", "select * from read_blob('FILE')",
        "select * from glob('/*')", "select * from read_parquet('FILE')",
        "select * from parquet_metadata('FILE')", "select * from read_json('FILE')",
        "select * from sniff_csv('FILE')", "copy t to 'FILE.out'",
        "copy (select 1) to 'FILE.out' (format parquet)", "copy t from 'FILE'", "attach 'FILE.out' as x",
        "attach ':memory:' as x", "detach memory", "install httpfs", "load httpfs", "load 'FILE'",
        "set enable_external_access = true", "set memory_limit = '1TB'", "reset memory_limit",
        "set lock_configuration = false", "set threads = 100", "pragma database_list",
        "pragma enable_profiling", "export database 'FILE.out'", "import database 'FILE'",
        "select getenv('HOME')", "select current_setting('memory_limit')", "select * from duckdb_settings()",
        "select * from duckdb_secrets()", "select * from pragma_database_list()",
        "select * from information_schema.tables", "select * from pg_catalog.pg_tables",
        "select * from sqlite_master", "insert into t values (1)", "delete from t", "update t set a = 1",
        "create table x as select 1", "create or replace view t as select 1", "drop view t",
        "create macro f() as 1", "create secret (type s3)", "call pragma_version()", "vacuum", "checkpoint",
        "begin", "select 1; select 2", "select 1; drop view t", "explain select 1",
        "explain analyze select 1", "prepare p as select 1", "execute p", "deallocate p", "use memory",
        "show tables", "describe t", "summarize t", "select * from query('select 1')",
        "select * from query_table('t')",
        "select * from json_execute_serialized_sql(json_serialize_sql('select 1'))",
        "select * from __sl_scan(0)", "select $1", "select ?", "", ";", "-- nothing", "/* open",
        "select 'open", "select \"open", "select (", ")", "pivot t on a using sum(a)",
        "select * from t pivot (sum(a) for a in (1))", "select * from nosuch", "select nosuch(1)",
        "comment on table t is 'x'", "alter view t rename to u", "select * from memory.main.t",
        "select * from read_csv('http://127.0.0.1:1/x')", "select * from checkpoint()", "set variable x = 1",
        "select * from which_secret('x', 'y')", "select unnest(a) from t", "select * from t where"));

TEST(FenceLimitsTest, StopsAtTheTimeLimit) {
  Limits limits = kLimits;
  limits.time_ms = 200;
  auto engine = FencedEngine(limits);
  auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(RunQuery(*engine, "select sum(x.i * y.i) from range(1000000000) x(i), range(1000000) y(i)"),
              IsError(ErrorCode::kTimeout, testing::HasSubstr("200 ms")));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  EXPECT_OK(RunQuery(*engine, "select a from t"));
}

TEST(FenceLimitsTest, StopsWhenAsked) {
  auto engine = FencedEngine();
  std::stop_source stop;
  std::jthread asker([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    stop.request_stop();
  });
  EXPECT_THAT(RunQuery(*engine, "select sum(x.i * y.i) from range(1000000000) x(i), range(1000000) y(i)",
                       stop.get_token()),
              IsErrorCode(ErrorCode::kCancelled));
  EXPECT_THAT(RunQuery(*engine, "select 1", stop.get_token()), IsErrorCode(ErrorCode::kCancelled));
  EXPECT_OK(RunQuery(*engine, "select a from t"));
}

TEST(FenceLimitsTest, StopsAtTheMemoryLimit) {
  Limits limits = kLimits;
  limits.memory_bytes = int64_t{16} << 20;
  auto engine = FencedEngine(limits);
  EXPECT_THAT(
      RunQuery(*engine, "select count(*) from (select distinct i, hash(i) h from range(10000000) r(i))"),
      IsErrorCode(ErrorCode::kResourceExhausted));
  EXPECT_OK(RunQuery(*engine, "select a from t"));
}

// What is made of an argument is not held to the memory limit, so the argument is.
TEST(FenceLimitsTest, RefusesTextAndListsOfAnySize) {
  auto engine = FencedEngine();
  for (const char* expression :
       {"repeat('x', 600000000)", "repeat(repeat('x', 50000), 50000)", "lpad('x', 600000000, 'y')",
        "rpad('x', 100001, 'y')", "printf('%200000000d', 1)", "printf('%*d', 200000000, 1)",
        "format('{:>200000000}', 'x')", "format('{:>{}}', 'x', 200000000)", "range(100000000)",
        "range(1, 100000000)", "generate_series(100000000, 1, -1)", "list_resize([1], 100000000)",
        "generate_series(timestamp '2000-01-01', timestamp '2003-01-01', interval '1 second')"}) {
    EXPECT_THAT(RunQuery(*engine, fmt::format("select length({}) as l", expression)),
                IsErrorCode(ErrorCode::kInvalidArgument))
        << expression;
  }
  ASSERT_OK_AND_ASSIGN(
      auto out, RunQuery(*engine,
                         "select concat_ws(' ', repeat('ab', 2), lpad('7', 3, '0'), rpad('x', a::int, 'y'), "
                         "printf('%5.2f', 1.5), format('{:>4}', 'x'), len(range(3)), len(range(1, 3)), "
                         "len(generate_series(date '2020-01-01', date '2020-02-01', interval 1 day)), "
                         "len(list_resize([1], 5)), len(repeat([1], 3)), len(range(5, 0, -1)), "
                         "repeat('x', NULL) is null, len(list_transform([2], lambda n: repeat('x', n)))) "
                         "from t where a = 3"));
  EXPECT_EQ(CellOf(out, 0)->ToString(), "abab 007 xyy  1.50    x 3 2 32 5 3 5 true 1");
}

TEST(FenceLimitsTest, SpillsWhereItMay) {
  std::string folder = testing::TempDir() + "/sluice_spill";
  std::filesystem::create_directories(folder);
  Limits limits = kLimits;
  limits.memory_bytes = int64_t{48} << 20;
  limits.spill_folder = folder;
  auto engine = FencedEngine(limits);
  ASSERT_OK_AND_ASSIGN(
      auto out,
      RunQuery(*engine,
               "select count(*) from (select i, hash(i) h from range(4000000) r(i) order by h offset 1)"));
  EXPECT_EQ(CellOf(out, 0)->ToString(), "3999999");
  engine.reset();
  std::filesystem::remove_all(folder);
}

TEST(FenceLimitsTest, SurvivesDeepStatements) {
  auto engine = FencedEngine();
  for (int depth : {100, 5000, 100000}) {
    std::string open(static_cast<size_t>(depth), '(');
    std::string close(static_cast<size_t>(depth), ')');
    (void)RunQuery(*engine, "select " + open + "1" + close).ok();
    std::string sum = "select 1";
    for (int i = 0; i < depth; ++i) sum += "+1";
    (void)RunQuery(*engine, sum).ok();
    std::string nots = "select ";
    for (int i = 0; i < depth; ++i) nots += "not ";
    (void)RunQuery(*engine, nots + "true").ok();
  }
  EXPECT_THAT(RunQuery(*engine, std::string(2 << 20, ' ')), IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_OK(RunQuery(*engine, "select a from t"));
}

}  // namespace
}  // namespace sluice::sql
