#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "pipeline/testing/conformance.h"
#include "pipeline/testing/scripted.h"

namespace sluice::pipeline::testing {
namespace {

using nlohmann::json;

std::unique_ptr<IngestionWriter> Opened(const WriterBench& bench) {
  auto writer = bench.make();
  if (!writer.ok()) {
    ADD_FAILURE() << "cannot be made: " << writer.error().ToString();
    return nullptr;
  }
  const Status status = (*writer)->Open({});
  if (!status.ok()) {
    ADD_FAILURE() << "cannot be opened: " << status.error().ToString();
    return nullptr;
  }
  return *std::move(writer);
}

std::map<std::string, std::vector<json>> ByUuid(const WriterBench& bench) {
  std::map<std::string, std::vector<json>> all;
  for (const auto& text : bench.stored()) {
    json record = json::parse(text, nullptr, false);
    if (!record.is_object()) {
      ADD_FAILURE() << "stored and no JSON object: " << text;
      continue;
    }
    all[record.value("uuid", "")].push_back(std::move(record));
  }
  return all;
}

// Writes until no row fails, as the runner does.
Outcomes Write(IngestionWriter& writer, const Batch& batch) {
  for (int attempt = 0; attempt < 20; ++attempt) {
    auto outcomes = writer.Write(batch, {});
    if (outcomes.ok()) {
      EXPECT_EQ(outcomes->size(), static_cast<size_t>(batch.rows())) << "one outcome for each row";
      return *outcomes;
    }
    if (!IsRetryable(outcomes.error().code())) {
      ADD_FAILURE() << "Write: " << outcomes.error().ToString();
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return Outcomes(static_cast<size_t>(batch.rows()), {OutcomeKind::kFailed, "no success"});
}

void Fields(const WriterBench& bench, const WriterQuirks& quirks) {
  SCOPED_TRACE("every field arrives as it was");
  auto writer = Opened(bench);
  if (!writer) return;
  EXPECT_TRUE(Write(*writer, BatchOf("")).empty());
  const std::string text =
      R"({"uuid":"00000000-0000-7000-8000-0000000000f1","source_type":"st","source_id":"s'i\"d","data":"line\nä€😀\\ \"q\" ,;\t'","data_id":"1",)"
      R"("metadata":{"a":[1,2.5,{"b":null}],"t":"é"},"metadata_type":"mt","lang":"en","tenant_id":"conf",)"
      R"("created_at":"2026-01-02T03:04:05.123456Z","updated_at":"1999-12-31T23:59:59Z","stars":[5]})"
      "\n"
      R"({"uuid":"00000000-0000-7000-8000-0000000000f2"})";
  for (const auto& one : Write(*writer, BatchOf(text)))
    EXPECT_EQ(one.kind, OutcomeKind::kAccepted) << one.reason;
  EXPECT_TRUE(writer->Close().ok());
  EXPECT_TRUE(writer->Close().ok()) << "closing may be repeated";
  const auto stored = ByUuid(bench);
  ASSERT_TRUE(stored.contains("00000000-0000-7000-8000-0000000000f1"));
  ASSERT_TRUE(stored.contains("00000000-0000-7000-8000-0000000000f2"));
  const json& record = stored.at("00000000-0000-7000-8000-0000000000f1")[0];
  const json sent = json::parse(text.substr(0, text.find('\n')));
  for (const auto& [name, value] : sent.items()) {
    if (name == "stars" && !quirks.keeps_unknown_fields) continue;
    ASSERT_TRUE(record.contains(name)) << name;
    EXPECT_EQ(record.at(name), value) << name;
  }
}

void Repeats(const WriterBench& bench, const WriterQuirks& quirks) {
  SCOPED_TRACE("what a repeat does");
  auto writer = Opened(bench);
  if (!writer) return;
  const std::string first =
      R"({"uuid":"00000000-0000-7000-8000-0000000000a1","data":"x","tenant_id":"conf","source_type":"r","source_id":"r","data_id":"id1"})";
  Write(*writer, BatchOf(first));
  const auto again = Write(*writer, BatchOf(first));
  EXPECT_NE(again[0].kind, OutcomeKind::kRejected);
  EXPECT_NE(again[0].kind, OutcomeKind::kFailed);
  if (quirks.is_idempotent) {
    EXPECT_EQ(again[0].kind, OutcomeKind::kDuplicate);
    EXPECT_EQ(ByUuid(bench)["00000000-0000-7000-8000-0000000000a1"].size(), 1U);
    // Within one batch, and beside a new one.
    const auto both = Write(*writer, BatchOf(R"({"uuid":"00000000-0000-7000-8000-0000000000a2","data":"y"})"
                                             "\n"
                                             R"({"uuid":"00000000-0000-7000-8000-0000000000a2","data":"y"})"
                                             "\n" +
                                             first));
    EXPECT_EQ(both[2].kind, OutcomeKind::kDuplicate);
    EXPECT_EQ(ByUuid(bench)["00000000-0000-7000-8000-0000000000a2"].size(), 1U);
  }
  if (quirks.knows_identifiers) {
    const auto other = Write(
        *writer,
        BatchOf(
            R"({"uuid":"00000000-0000-7000-8000-0000000000a3","data":"x","tenant_id":"conf","source_type":"r","source_id":"r","data_id":"id1"})"));
    EXPECT_EQ(other[0].kind, OutcomeKind::kDuplicate);
    EXPECT_FALSE(ByUuid(bench).contains("00000000-0000-7000-8000-0000000000a3"));
  }
}

void Nul(const WriterBench& bench, const WriterQuirks& quirks) {
  SCOPED_TRACE("a NUL character");
  auto writer = Opened(bench);
  if (!writer) return;
  const auto outcomes =
      Write(*writer, BatchOf(R"({"uuid":"00000000-0000-7000-8000-0000000000b1","data":"a\u0000b"})"
                             "\n"
                             R"({"uuid":"00000000-0000-7000-8000-0000000000b2","data":"good"})"));
  EXPECT_EQ(outcomes[1].kind, OutcomeKind::kAccepted)
      << "a bad record spoils no other: " << outcomes[1].reason;
  if (quirks.stores_nul) {
    EXPECT_EQ(outcomes[0].kind, OutcomeKind::kAccepted) << outcomes[0].reason;
    EXPECT_EQ(ByUuid(bench)["00000000-0000-7000-8000-0000000000b1"].size(), 1U);
  } else {
    EXPECT_EQ(outcomes[0].kind, OutcomeKind::kRejected);
    EXPECT_FALSE(outcomes[0].reason.empty());
  }
}

void Many(const WriterBench& bench) {
  SCOPED_TRACE("as many calls at a time as it says");
  auto writer = Opened(bench);
  if (!writer) return;
  const int threads = std::clamp(writer->concurrency(), 1, 8);
  std::atomic<int> bad = 0;
  {
    std::vector<std::jthread> writers;
    for (int thread = 0; thread < threads; ++thread) {
      writers.emplace_back([&, thread] {
        for (int i = 0; i < 5; ++i) {
          std::string text;
          for (int row = 0; row < 100; ++row)
            text +=
                fmt::format("{{\"uuid\":\"00000000-0000-7000-8000-{:04x}0000{:04x}\",\"data\":\"many\"}}\n",
                            thread + 1, 100 * i + row);
          for (const auto& one : Write(*writer, BatchOf(text)))
            bad += one.kind == OutcomeKind::kAccepted ? 0 : 1;
        }
      });
    }
  }
  EXPECT_EQ(bad, 0);
  EXPECT_TRUE(writer->Close().ok());
  size_t found = 0;
  for (const auto& [uuid, records] : ByUuid(bench)) found += records[0].value("data", "") == "many" ? 1U : 0U;
  EXPECT_EQ(found, static_cast<size_t>(500 * threads));
}

void Stopped(const WriterBench& bench) {
  SCOPED_TRACE("a stop is heard");
  auto writer = Opened(bench);
  if (!writer) return;
  std::stop_source stop;
  stop.request_stop();
  const auto start = std::chrono::steady_clock::now();
  const auto outcomes = writer->Write(
      BatchOf(R"({"uuid":"00000000-0000-7000-8000-0000000000c1","data":"late"})"), stop.get_token());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  if (outcomes.ok()) {
    EXPECT_EQ(outcomes->size(), 1U);
  }
}

}  // namespace

void CheckWriter(const WriterBench& bench, const WriterQuirks& quirks) {
  Fields(bench, quirks);
  Repeats(bench, quirks);
  Nul(bench, quirks);
  Many(bench);
  Stopped(bench);
}

}  // namespace sluice::pipeline::testing
