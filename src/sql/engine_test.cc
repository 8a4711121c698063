#include "sql/engine.h"

#include <arrow/io/file.h>
#include <parquet/arrow/writer.h>

#include <filesystem>

#include "base/testing/matchers.h"
#include "sql/names.h"
#include "sql/test_batches.h"

namespace sluice::sql {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Limits kLimits{.memory_bytes = int64_t{256} << 20, .threads = 2, .time_ms = 0, .spill_folder = {}};

Result<RecordBatches> RunQuery(Engine& engine, const std::string& statement) {
  ASSIGN_OR_RETURN(auto result, engine.Query(statement));
  return Collect(*result);
}

TEST(NamesTest, RoundTripsAndKeepsCaseApart) {
  for (const char* name : {"", "a", "MIXed", "mixED", "USD (AM)", "ISO_A2", "Ärger", "abcdefghijklmnopQ"}) {
    EXPECT_EQ(DecodeName(EncodeName(name)), name);
  }
  EXPECT_EQ(EncodeName("plain_1"), "plain_1");
  EXPECT_NE(EncodeName("MIXed"), EncodeName("mixED"));
  EXPECT_EQ(DecodeMessage("no \"" + EncodeName("AbC") + "\" in __sl_df_to_date"), "no \"AbC\" in to_date");
}

TEST(EngineTest, SpeaksTheDialectOfAnEngine) {
  auto batch = MakeBatch({{"Id", Int64s({7})}, {"id", Int64s({9})}});
  const auto run = [&](const std::string& dialect, const std::string& statement) -> Result<std::string> {
    ASSIGN_OR_RETURN(auto engine, Engine::OpenFenced(kLimits, dialect));
    RETURN_IF_ERROR(engine->RegisterBatches("a-b", batch->schema(), {batch}));
    std::string text;
    for (int i = 0; i < 2; ++i) {  // what a query needs is there for the next one too
      ASSIGN_OR_RETURN(auto out, RunQuery(*engine, statement));
      text = CellOf(out, 0)->ToString();
    }
    return text;
  };
  const auto ask = [&](const std::string& dialect, const std::string& statement) {
    auto text = run(dialect, statement);
    return text.ok() ? *text : text.error().ToString();
  };
  EXPECT_EQ(ask("", "select Id / 2 from 'a-b'"), "3.5");
  EXPECT_EQ(ask("duckdb", "select Id / 2 from 'a-b'"), "3.5");
  EXPECT_EQ(ask("datafusion", "select Id / 2 from 'a-b'"), "3");
  EXPECT_EQ(ask("datafusion", "select json_get_int('{\"a\":4}', 'a') + id from \"a-b\""), "13");
  EXPECT_EQ(ask("Spark", "select `Id` / 2 from `a-b`"), "3.5");
  EXPECT_THAT(run("datafusion", "select list_transform([1], lambda x: x)"),
              IsErrorCode(ErrorCode::kUnsupported));
  EXPECT_THAT(run("datafusion", "select * from nosuch"), IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_THAT(run("oracle", "select 1"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("duckdb, datafusion, spark, flink")));
}

TEST(EngineTest, ReadsBatchesAgainAndAgain) {
  ASSERT_OK_AND_ASSIGN(auto engine, Engine::OpenFenced(kLimits));
  auto batch = MakeBatch({{"Id", Int64s({1, 2, 3})}, {"id", Int64s({7, 8, 9})}});
  ASSERT_OK(engine->RegisterBatches("player-scores", batch->schema(), {batch, batch}));
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK_AND_ASSIGN(
        auto out, RunQuery(*engine, "select sum(Id) as s, sum(id) as \"S\", count(*) from 'player-scores'"));
    EXPECT_EQ(CellOf(out, 0)->ToString(), "12");
    EXPECT_EQ(CellOf(out, 1)->ToString(), "48");
    EXPECT_EQ(CellOf(out, 2)->ToString(), "6");
    EXPECT_THAT(out[0]->schema()->field_names(), ElementsAre("s", "S", "count(*)"));
  }
  auto other = MakeBatch({{"x", Texts({"new"})}});
  ASSERT_OK(engine->RegisterBatches("player-scores", other->schema(), {other}));
  ASSERT_OK_AND_ASSIGN(auto out, RunQuery(*engine, "select * from \"player-scores\""));
  EXPECT_EQ(CellOf(out, 0)->ToString(), "new");
  EXPECT_THAT(RunQuery(*engine, "select * from nosuch"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("player-scores")));
  EXPECT_THAT(RunQuery(*engine, "select ID from 'player-scores'"),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("ID")));
}

TEST(EngineTest, JoinsAndSortsTablesOfNamesWithCase) {
  ASSERT_OK_AND_ASSIGN(auto engine, Engine::OpenFenced(kLimits));
  auto left = MakeBatch({{"Key", Int64s({1, 2})}, {"L", Texts({"a", "b"})}});
  auto right = MakeBatch({{"Key", Int64s({2, 3})}, {"R", Texts({"x", "y"})}});
  ASSERT_OK(engine->RegisterBatches("Left", left->schema(), {left}));
  ASSERT_OK(engine->RegisterBatches("left", right->schema(), {right}));
  ASSERT_OK_AND_ASSIGN(auto out, RunQuery(*engine,
                                          "with Pair as (select * from \"Left\" join \"left\" using (Key)) "
                                          "select B.* exclude (Key), Key as K from Pair B order by Key"));
  EXPECT_THAT(out[0]->schema()->field_names(), ElementsAre("L", "R", "K"));
  EXPECT_EQ(CellOf(out, 2)->ToString(), "2");
  ASSERT_OK_AND_ASSIGN(out, RunQuery(*engine, "values (1, 'a'), (2, 'b')"));
  EXPECT_EQ(RowsOf(out), 2);
  ASSERT_OK_AND_ASSIGN(out, RunQuery(*engine,
                                     "with recursive R(n) as (select 1 union all select n + 1 from R where n "
                                     "< 5) select max(n) from R"));
  EXPECT_EQ(CellOf(out, 0)->ToString(), "5");
}

template <class Builder>
std::shared_ptr<arrow::Array> Sample(const std::shared_ptr<arrow::DataType>& type, const Builder& append) {
  auto builder = arrow::MakeBuilder(type).ValueOrDie();
  append(*builder);
  EXPECT_TRUE(builder->AppendNull().ok());
  return builder->Finish().ValueOrDie();
}

// Each type goes in and comes out with its values; the second type is the one that comes out.
TEST(EngineTest, CarriesEveryType) {
  struct Case {
    std::shared_ptr<arrow::DataType> in;
    std::shared_ptr<arrow::DataType> out;
  };
  auto utc = [](arrow::TimeUnit::type unit) { return arrow::timestamp(unit, "UTC"); };
  auto micro = utc(arrow::TimeUnit::MICRO);
  auto item = arrow::struct_({arrow::field("Aa", arrow::utf8()), arrow::field("aA", arrow::int32())});
  const std::vector<Case> cases = {
      {arrow::boolean(), arrow::boolean()},
      {arrow::int8(), arrow::int8()},
      {arrow::int16(), arrow::int16()},
      {arrow::int32(), arrow::int32()},
      {arrow::int64(), arrow::int64()},
      {arrow::uint8(), arrow::uint8()},
      {arrow::uint16(), arrow::uint16()},
      {arrow::uint32(), arrow::uint32()},
      {arrow::uint64(), arrow::uint64()},
      {arrow::float32(), arrow::float32()},
      {arrow::float64(), arrow::float64()},
      {arrow::decimal128(9, 2), arrow::decimal128(9, 2)},
      {arrow::decimal128(38, 10), arrow::decimal128(38, 10)},
      {arrow::utf8(), arrow::utf8()},
      {arrow::large_utf8(), arrow::utf8()},
      {arrow::utf8_view(), arrow::utf8()},
      {arrow::binary(), arrow::binary()},
      {arrow::fixed_size_binary(3), arrow::binary()},
      {arrow::date32(), arrow::date32()},
      {arrow::time32(arrow::TimeUnit::MILLI), arrow::time64(arrow::TimeUnit::MICRO)},
      {arrow::time64(arrow::TimeUnit::MICRO), arrow::time64(arrow::TimeUnit::MICRO)},
      {utc(arrow::TimeUnit::SECOND), micro},
      {utc(arrow::TimeUnit::MILLI), micro},
      {utc(arrow::TimeUnit::MICRO), micro},
      {utc(arrow::TimeUnit::NANO), micro},
      {arrow::timestamp(arrow::TimeUnit::MICRO), micro},
      {arrow::list(arrow::int64()), arrow::list(arrow::int64())},
      {arrow::large_list(arrow::utf8()), arrow::list(arrow::utf8())},
      {arrow::fixed_size_list(arrow::int32(), 2), arrow::fixed_size_list(arrow::int32(), 2)},
      {item, item},
      {arrow::list(item), arrow::list(item)},
      {arrow::map(arrow::utf8(), arrow::int64()), arrow::map(arrow::utf8(), arrow::int64())},
      {arrow::dictionary(arrow::int32(), arrow::utf8()), arrow::utf8()},
      {arrow::null(), arrow::utf8()},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.in->ToString());
    std::shared_ptr<arrow::Array> array;
    if (test.in->id() == arrow::Type::DICTIONARY) {
      array = arrow::DictionaryArray::FromArrays(test.in, MakeArray<arrow::Int32Builder, int32_t>({1, 0}),
                                                 Texts({"p", "q"}))
                  .ValueOrDie();
    } else {
      array = Sample(test.in, [](arrow::ArrayBuilder& builder) {
        EXPECT_TRUE(builder.AppendEmptyValue().ok());
        EXPECT_TRUE(builder.AppendEmptyValue().ok());
      });
    }
    // A slice, so that offsets count.
    auto batch = MakeBatch({{"V", array->Slice(array->length() > 2 ? 1 : 0)}});
    ASSERT_OK_AND_ASSIGN(auto engine, Engine::OpenTrusted(kLimits));
    ASSERT_OK(engine->RegisterBatches("t", batch->schema(), {batch}));
    auto out = RunQuery(*engine, "select V from t");
    EXPECT_OK(out);
    if (!out.ok()) continue;
    EXPECT_TRUE((*out)[0]->schema()->field(0)->type()->Equals(*test.out))
        << (*out)[0]->schema()->field(0)->type()->ToString();
    ASSERT_EQ(RowsOf(*out), 2);
    EXPECT_TRUE((*out)[0]->ValidateFull().ok());
    if (test.in->Equals(*test.out)) {
      EXPECT_TRUE((*out)[0]->column(0)->Equals(*batch->column(0))) << (*out)[0]->column(0)->ToString();
    }
  }
}

class ParquetTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, const std::shared_ptr<arrow::RecordBatch>& batch) {
    std::string path = testing::TempDir() + "/sluice_sql_" + name;
    auto table = arrow::Table::FromRecordBatches({batch}).ValueOrDie();
    auto file = arrow::io::FileOutputStream::Open(path).ValueOrDie();
    EXPECT_TRUE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), file).ok());
    EXPECT_TRUE(file->Close().ok());
    paths_.push_back(path);
    return path;
  }
  void TearDown() override {
    for (const auto& path : paths_) std::filesystem::remove(path);
  }

 private:
  std::vector<std::string> paths_;
};

TEST_F(ParquetTest, ReadsItsFilesAndNoOthers) {
  auto fields = arrow::FieldVector{arrow::field("ethAmount", arrow::int64())};
  auto event = [&](int64_t v) { return arrow::StructArray::Make({Int64s({v, v})}, fields).ValueOrDie(); };
  std::string one = Write(
      "one.parquet", MakeBatch({{"MIXed", Int64s({1, 2})}, {"mixED", Int64s({3, 4})}, {"Event", event(5)}}));
  auto second = MakeBatch({{"MIXed", Int64s({5, 6})},
                           {"mixED", Int64s({7, 8})},
                           {"Event", event(6)},
                           {"Extra", Texts({"x", "y"})}});
  std::string two = Write("two.parquet", second);
  std::string other = Write("other.parquet", second);
  for (bool fenced : {true, false}) {
    SCOPED_TRACE(fenced);
    ASSERT_OK_AND_ASSIGN(auto engine, fenced ? Engine::OpenFenced(kLimits) : Engine::OpenTrusted(kLimits));
    ASSERT_OK(engine->RegisterParquet("data", second->schema(), {one, two}));
    ASSERT_OK(engine->RegisterParquet("Short", second->schema(), {one}));
    ASSERT_OK(engine->RegisterParquet("none", second->schema(), {}));
    ASSERT_OK_AND_ASSIGN(auto out,
                         RunQuery(*engine, "select MIXed, mixED, Extra, Event.ethAmount, Event from data"));
    ASSERT_EQ(RowsOf(out), 4);
    EXPECT_EQ(CellOf(out, 0, 3)->ToString(), "6");
    EXPECT_EQ(CellOf(out, 1, 3)->ToString(), "8");
    EXPECT_FALSE(CellOf(out, 2, 0)->is_valid);
    EXPECT_EQ(CellOf(out, 2, 3)->ToString(), "y");
    EXPECT_EQ(CellOf(out, 3, 3)->ToString(), "6");
    EXPECT_EQ(out[0]->schema()->field(4)->type()->field(0)->name(), "ethAmount");
    ASSERT_OK_AND_ASSIGN(out, RunQuery(*engine, "select Extra, MIXed from Short"));
    EXPECT_EQ(out[0]->schema()->field(0)->type()->id(), arrow::Type::STRING);
    ASSERT_OK_AND_ASSIGN(out, RunQuery(*engine, "select count(*) from none"));
    EXPECT_EQ(CellOf(out, 0)->ToString(), "0");
    if (!fenced) continue;
    EXPECT_FALSE(RunQuery(*engine, "select * from '" + other + "'").ok());
    EXPECT_FALSE(RunQuery(*engine, "select * from read_parquet('" + other + "')").ok());
    EXPECT_FALSE(RunQuery(*engine, "copy (select 1) to '" + one + "'").ok());
    EXPECT_OK(RunQuery(*engine, "select * from data"));
    EXPECT_FALSE(engine->RegisterParquet("late", second->schema(), {other}).ok());
  }
}

TEST(EngineTest, StreamsBatchesOfManyRows) {
  ASSERT_OK_AND_ASSIGN(auto engine, Engine::OpenFenced(kLimits));
  ASSERT_OK_AND_ASSIGN(auto out, RunQuery(*engine, "select i, 'text ' || i as s from range(1000000) r(i)"));
  EXPECT_EQ(RowsOf(out), 1000000);
  EXPECT_LE(out.size(), 16u);
  EXPECT_EQ(CellOf(out, 1, 999999)->ToString(), "text 999999");
  // A result that is left half-read does not disturb the next.
  {
    ASSERT_OK_AND_ASSIGN(auto half, engine->Query("select * from range(100000000) r(i)"));
    ASSERT_OK(half->Next());
  }
  ASSERT_OK_AND_ASSIGN(auto older, engine->Query("select * from range(100000000) r(i)"));
  ASSERT_OK_AND_ASSIGN(out, RunQuery(*engine, "select 1 as one"));
  EXPECT_EQ(CellOf(out, 0)->ToString(), "1");
  EXPECT_THAT(older->Next(), IsErrorCode(ErrorCode::kCancelled));
}

}  // namespace
}  // namespace sluice::sql
