#include <arrow/memory_pool.h>
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "connectors/match/connector.h"
#include "pipeline/testing/bed.h"

namespace {
std::atomic<int64_t> allocations{0};
}  // namespace

// Counted; Arrow counts its own.
void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace sluice::connectors::match {
namespace {

using pipeline::Column;
using pipeline::testing::BatchOf;
using pipeline::testing::Bed;
using pipeline::testing::ColumnOf;
using Texts = std::vector<std::string>;

constexpr char kRecords[] =
    R"({"uuid":"1","data":"about product1 and product2","metadata":{"id":"m-1","n":5}})"
    "\n"
    R"({"uuid":"2","data":"about product2","lang":"de","metadata":{"id":null}})"
    "\n"
    R"({"uuid":"3","data":"else","source_id":"given"})"
    "\n";

pipeline::Batch RunOn(const std::string& yaml) {
  Bed bed(RegisterMatch);
  auto processor = bed.MakeProcessor(yaml);
  EXPECT_TRUE(processor.ok()) << (processor.ok() ? "" : processor.error().ToString());
  if (!processor.ok()) return BatchOf("");
  std::vector<pipeline::Processor::Reject> rejected;
  auto out = (*processor)->Process(BatchOf(kRecords), &rejected, {});
  EXPECT_TRUE(out.ok()) << (out.ok() ? "" : out.error().ToString());
  EXPECT_TRUE(rejected.empty());
  return *out;
}

TEST(MatchTest, SetsFieldsWhereTheConditionHolds) {
  const auto out = RunOn(R"({type: match, rules: [
    {when: {field: data, contains: product1}, set: {source_id: product1, lang: en}},
    {when: {field: data, contains: product2}, set: {source_id: product2}}]})");
  EXPECT_EQ(ColumnOf(out, Column::kSourceId), (Texts{"product2", "product2", "given"}));
  EXPECT_EQ(ColumnOf(out, Column::kLang), (Texts{"en", "de", ""}));
  EXPECT_TRUE(out.origins.empty());
}

TEST(MatchTest, TextsBecomeJsonWithTheirQuotes) {
  Bed bed(RegisterMatch);
  auto processor = bed.MakeProcessor("{type: match, rules: [{set: {metadata: {from: metadata.x}}}]}");
  ASSERT_TRUE(processor.ok());
  std::vector<pipeline::Processor::Reject> rejected;
  const auto out = (*processor)
                       ->Process(BatchOf(R"({"metadata":{"x":"1,\"tenant_id\":\"evil\""}})"
                                         "\n"
                                         R"({"metadata":{"x":[1,"two"]}})"
                                         "\n"),
                                 &rejected, {});
  ASSERT_TRUE(out.ok());
  EXPECT_EQ(ColumnOf(*out, Column::kMetadata), (Texts{R"("1,\"tenant_id\":\"evil\"")", R"([1,"two"])"}));
}

// Of a run over so many records.
int64_t AllocationsOf(pipeline::Processor& processor, int rows) {
  std::string text;
  for (int row = 0; row < rows; ++row) {
    text += fmt::format(
        R"({{"uuid":"{0}","data":"About Product{1}, number {0}","lang":"en","metadata":{{"id":"m{0}","tags":["a"]}}}})"
        "\n",
        row, row % 3);
  }
  const pipeline::Batch batch = BatchOf(text);
  std::vector<pipeline::Processor::Reject> rejected;
  const auto asked = [] { return allocations + arrow::default_memory_pool()->num_allocations(); };
  const int64_t before = asked();
  const auto out = processor.Process(batch, &rejected, {});
  EXPECT_TRUE(out.ok());
  return asked() - before;
}

TEST(MatchTest, AsksForMemoryByTheBatchAndNotByTheRow) {
  Bed bed(RegisterMatch);
  auto processor = bed.MakeProcessor(R"({type: match, rules: [
    {when: {field: data, contains: Product1}, set: {source_id: product1}},
    {when: {field: data, contains: [PRODUCT2, x], ignore_case: true}, set: {source_id: product2}},
    {when: {field: data, matches: 'number [0-9]+5$'}, set: {source_type: five}},
    {when: {all: [{field: lang, in: [en, de]}, {not: {field: metadata.id, equals: m7}}]},
     set: {data_id: {from: metadata.id}, tenant_id: acme}}]})");
  ASSERT_TRUE(processor.ok()) << processor.error().ToString();
  AllocationsOf(**processor, 20'000);  // buffers that are kept grow
  const int64_t few = AllocationsOf(**processor, 2'000);
  const int64_t many = AllocationsOf(**processor, 20'000);
  EXPECT_LT(many - few, 50) << few << " for 2,000 records, " << many << " for 20,000";
}

TEST(MatchTest, FollowsTheFirstRuleOnly) {
  const auto out = RunOn(R"({type: match, first_only: true, rules: [
    {when: {field: data, contains: product1}, set: {source_id: product1}},
    {when: {field: data, contains: product2}, set: {source_id: product2}},
    {set: {source_id: other}}]})");
  EXPECT_EQ(ColumnOf(out, Column::kSourceId), (Texts{"product1", "product2", "other"}));
}

TEST(MatchTest, LaterRulesSeeWhatEarlierOnesSet) {
  const auto out = RunOn(R"({type: match, rules: [
    {when: {field: data, contains: else}, set: {tenant_id: acme}},
    {when: {field: tenant_id, equals: acme}, set: {source_type: known, source_id: ''}}]})");
  EXPECT_EQ(ColumnOf(out, Column::kSourceType), (Texts{"", "", "known"}));
  EXPECT_EQ(ColumnOf(out, Column::kSourceId), (Texts{"", "", ""}));
}

TEST(MatchTest, CopiesValuesOfTheRecord) {
  const auto out =
      RunOn(R"({type: match, rules: [{set: {data_id: {from: metadata.id}, lang: {from: metadata.n}}},
    {when: {field: uuid, equals: '3'}, set: {metadata: {from: data}}},
    {when: {field: uuid, equals: '2'}, set: {metadata: '{"set": true}'}}]})");
  EXPECT_EQ(ColumnOf(out, Column::kDataId), (Texts{"m-1", "", ""}));
  EXPECT_EQ(ColumnOf(out, Column::kLang), (Texts{"5", "de", ""})) << "what is absent sets nothing";
  EXPECT_EQ(ColumnOf(out, Column::kMetadata),
            (Texts{R"({"id":"m-1","n":5})", R"({"set": true})", R"("else")"}));
}

TEST(MatchTest, RefusesRulesThatAreNone) {
  Bed bed(RegisterMatch);
  const auto said = [&](const std::string& yaml, const std::string& part) {
    auto made = bed.MakeProcessor(yaml);
    ASSERT_FALSE(made.ok()) << yaml;
    EXPECT_NE(made.error().ToString().find(part), std::string::npos) << made.error().ToString();
  };
  said("{type: match}", "rules");
  said("{type: match, rules: []}", "list");
  said("{type: match, rules: [{when: {field: data, exists: true}}]}", "sets nothing");
  said("{type: match, rules: [{set: {uuid: x}}]}", "cannot be set");
  said("{type: match, rules: [{set: {metadata: '{'}}]}", "no JSON");
  said("{type: match, rules: [{set: {lang: {form: x}}}]}", "from");
  said("{type: match, rules: [{then: {lang: x}}]}", "'then'");
}

}  // namespace
}  // namespace sluice::connectors::match
