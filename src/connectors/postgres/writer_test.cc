#include "connectors/postgres/writer.h"

#include <arrow/api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "connectors/postgres/connector.h"
#include "connectors/postgres/testing/writer_fixture.h"
#include "pipeline/registry.h"
#include "pipeline/testing/conformance.h"

// Against Debian's PostgreSQL, started here.
namespace sluice::connectors::postgres {
namespace {

using pipeline::OutcomeKind;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(WriterTest, MakesTheTableAndStoresEveryField) {
  auto writer = Opened(Options());
  const auto outcomes = Write(
      *writer,
      R"({"uuid":"u1","source_type":"forum","source_id":"s","data":"it's \"x\" ä","data_id":"7","metadata":{"a":[1,2]},"metadata_type":"m","lang":"en","tenant_id":"t","created_at":"2024-02-29T12:00:00.5Z","updated_at":"0001-01-01T00:00:00Z","stars":5})");
  EXPECT_THAT(KindsOf(outcomes), ElementsAre(OutcomeKind::kAccepted));
  EXPECT_EQ(
      Ask("SELECT uuid, source_type, source_id, data, data_id, metadata, metadata_type, lang, tenant_id, "
          "created_at, updated_at IS NULL, extra FROM feedback"),
      "u1|forum|s|it's \"x\" ä|7|{\"a\": [1, 2]}|m|en|t|2024-02-29 12:00:00.5+00|t|{\"stars\": 5}");
}

TEST_F(WriterTest, KnownUuidsAndKeysAddNoRow) {
  for (const int rows : {3, 2000}) {  // as arrays, and by COPY
    Sql("DROP TABLE IF EXISTS feedback");
    auto writer = Opened(Options());
    EXPECT_THAT(KindsOf(Write(*writer, Numbered(0, rows))), Each(OutcomeKind::kAccepted));
    EXPECT_THAT(KindsOf(Write(*writer, Numbered(0, rows))), Each(OutcomeKind::kDuplicate));
    // Another uuid, the same key.
    EXPECT_THAT(KindsOf(Write(*writer, Numbered(0, rows, "v", "y"))), Each(OutcomeKind::kDuplicate));
    EXPECT_EQ(Ask("SELECT count(*), min(data), max(data) FROM feedback"), fmt::format("{}|x|x", rows));
    // Half of them new.
    const auto half = KindsOf(Write(*writer, Numbered(rows / 2, rows, "w")));
    EXPECT_EQ(std::count(half.begin(), half.end(), OutcomeKind::kDuplicate), rows - rows / 2);
  }
}

TEST_F(WriterTest, WithoutDataIdOnlyTheUuidCounts) {
  auto writer = Opened(Options());
  EXPECT_THAT(KindsOf(Write(*writer, R"({"uuid":"a","data":"1"}
{"uuid":"b","data":"1"}
{"uuid":"a","data":"2"}
{"data":"generated"})")),
              ElementsAre(OutcomeKind::kAccepted, OutcomeKind::kAccepted, OutcomeKind::kDuplicate,
                          OutcomeKind::kAccepted));
  EXPECT_EQ(Ask("SELECT count(*) FROM feedback"), "3");
}

TEST_F(WriterTest, DuplicateWithinABatchOfADuplicateIsStillStored) {
  auto writer = Opened(Options());
  Write(*writer, R"({"uuid":"a","data_id":"1"})");
  // The first is known by its uuid, so the second is the first with this key.
  EXPECT_THAT(KindsOf(Write(*writer, R"({"uuid":"a","data_id":"2"}
{"uuid":"b","data_id":"2"})")),
              ElementsAre(OutcomeKind::kDuplicate, OutcomeKind::kAccepted));
}

TEST_F(WriterTest, UpdateReplacesAllButUuidAndCreation) {
  auto writer = Opened(Updating());
  Write(*writer, R"({"uuid":"a","data_id":"1","data":"old","created_at":"2020-01-01T00:00:00Z"}
{"uuid":"b","data":"old","created_at":"2020-01-01T00:00:00Z"})");
  EXPECT_THAT(
      KindsOf(Write(*writer, R"({"uuid":"z","data_id":"1","data":"by key","created_at":"2021-01-01T00:00:00Z"}
{"uuid":"b","data":"by uuid","lang":"de","created_at":"2021-01-01T00:00:00Z"}
{"uuid":"c","data":"new","created_at":"2021-01-01T00:00:00Z"})")),
      ElementsAre(OutcomeKind::kDuplicate, OutcomeKind::kDuplicate, OutcomeKind::kAccepted));
  EXPECT_EQ(
      Ask("SELECT string_agg(concat_ws(',', uuid, data, lang, extract(year from created_at)), ' ' ORDER BY "
          "uuid) FROM feedback"),
      "a,by key,,2020 b,by uuid,de,2020 c,new,,2021");
}

TEST_F(WriterTest, UpdateTakesTheLastOfABatchAndTheFirstTimeOfCreation) {
  auto writer = Opened(Updating());
  EXPECT_THAT(
      KindsOf(Write(*writer, R"({"uuid":"a","data_id":"1","data":"1","created_at":"2020-01-01T00:00:00Z"}
{"uuid":"b","data_id":"1","data":"2","created_at":"2021-01-01T00:00:00Z"}
{"uuid":"c","data":"3"}
{"uuid":"c","data_id":"2","data":"4"})")),
      ElementsAre(OutcomeKind::kDuplicate, OutcomeKind::kAccepted, OutcomeKind::kAccepted,
                  OutcomeKind::kDuplicate));
  EXPECT_EQ(
      Ask("SELECT string_agg(concat_ws(',', uuid, data, data_id, extract(year from created_at)), ' ' ORDER BY data) "
          "FROM feedback"),
      "a,2,1,2020 c,4,2");
}

// Batches end as their records would one by one: under the same uuids, with the same contents. Several uuids
// have one key here, and each keeps its key.
TEST_F(WriterTest, UpdateOfABatchIsThatOfItsRecordsOneByOne) {
  WriterOptions single = Updating();
  single.target.table = "single";
  std::mt19937 dice(20'240'101);
  const auto below = [&](uint32_t n) { return static_cast<int>(dice() % n); };
  for (int history = 0; history < 80; ++history) {
    Sql("DROP TABLE IF EXISTS feedback");
    Sql("DROP TABLE IF EXISTS single");
    auto batched = Opened(Updating());
    auto one_by_one = Opened(single);
    std::string told;
    for (int batch = 0; batch < 3; ++batch) {
      std::string records;
      const int count = 1 + below(6);
      for (int i = 0; i < count; ++i) {
        const int who = below(6);
        const std::string record = fmt::format(R"({{"uuid":"{}","data_id":"{}","data":"{}.{}"}})"
                                               "\n",
                                               static_cast<char>('a' + who), 1 + who % 2, batch, i);
        Write(*one_by_one, record);
        records += record;
      }
      Write(*batched, records);
      told += records + "\n";
    }
    const std::string all = "SELECT string_agg(concat_ws(',', uuid, data_id, data), ' ' ORDER BY uuid) FROM ";
    ASSERT_EQ(Ask(all + "feedback"), Ask(all + "single")) << told;
  }
}

// The same where stored records change their keys, take those that others had, and clash.
TEST_F(WriterTest, UpdateOfABatchThatChangesKeysIsThatOfItsRecordsOneByOne) {
  WriterOptions single = Updating();
  single.target.table = "single";
  std::mt19937 dice(20'240'102);
  const auto below = [&](uint32_t n) { return static_cast<int>(dice() % n); };
  for (int history = 0; history < 120; ++history) {
    Sql("DROP TABLE IF EXISTS feedback");
    Sql("DROP TABLE IF EXISTS single");
    auto batched = Opened(Updating());
    auto one_by_one = Opened(single);
    std::string told;
    for (int batch = 0; batch < 3; ++batch) {
      std::string records;
      std::vector<bool> is_rejected;
      const int count = 1 + below(7);
      for (int i = 0; i < count; ++i) {
        const int key = below(5);
        const std::string record =
            fmt::format(R"({{"uuid":"{}","data_id":"{}","data":"{}.{}"}})"
                        "\n",
                        static_cast<char>('a' + below(5)), key == 0 ? "" : std::to_string(key), batch, i);
        is_rejected.push_back(Write(*one_by_one, record)[0].kind == OutcomeKind::kRejected);
        records += record;
      }
      const auto outcomes = Write(*batched, records);
      told += records + "\n";
      for (size_t i = 0; i < is_rejected.size(); ++i) {
        EXPECT_NE(outcomes[i].kind, OutcomeKind::kFailed) << told << outcomes[i].reason;
        EXPECT_EQ(outcomes[i].kind == OutcomeKind::kRejected, is_rejected[i]) << told << i;
      }
    }
    const std::string all = "SELECT string_agg(concat_ws(',', uuid, data_id, data), ' ' ORDER BY uuid) FROM ";
    ASSERT_EQ(Ask(all + "feedback"), Ask(all + "single")) << told;
  }
}

TEST_F(WriterTest, UpdateRefusesARecordThatIsTwoStoredOnes) {
  auto writer = Opened(Updating());
  Write(*writer, R"({"uuid":"a","data_id":"1"}
{"uuid":"b","data_id":"2"})");
  const auto outcomes = Write(*writer, R"({"uuid":"a","data_id":"2","data":"x"}
{"uuid":"b","data":"y"})");
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kRejected);
  EXPECT_THAT(outcomes[0].reason, HasSubstr("those of another"));
  EXPECT_EQ(outcomes[1].kind, OutcomeKind::kDuplicate);
  EXPECT_EQ(Ask("SELECT string_agg(uuid || data, ' ' ORDER BY uuid) FROM feedback"), "a by");
}

TEST_F(WriterTest, BadValuesAreRejectedOneByOne) {
  for (const WriterOptions& options : {Options(), Updating()}) {
    for (const int good : {5, 1500}) {
      Sql("DROP TABLE IF EXISTS feedback");
      auto writer = Opened(options);
      std::string text = Numbered(0, good);
      text += R"({"uuid":"nul","data":"a\u0000b"}
{"uuid":"nul in metadata","metadata":{"a":"\u0000"}}
{"uuid":"huge number","metadata":1e999999}
{"uuid":"long key","data_id":")";
      for (int i = 0; i < 200'000; ++i) text += static_cast<char>('a' + (i * i * 31 + i / 7) % 26);
      text += "\"}\n";
      text += Numbered(good, good);
      const auto outcomes = Write(*writer, text);
      ASSERT_EQ(outcomes.size(), static_cast<size_t>(2 * good + 4));
      for (int i = 0; i < 2 * good + 4; ++i) {
        const auto& outcome = outcomes[static_cast<size_t>(i)];
        const bool is_bad = i >= good && i < good + 4;
        EXPECT_EQ(outcome.kind, is_bad ? OutcomeKind::kRejected : OutcomeKind::kAccepted)
            << i << outcome.reason;
      }
      EXPECT_THAT(outcomes[static_cast<size_t>(good)].reason, HasSubstr("data holds a NUL"));
      EXPECT_THAT(outcomes[static_cast<size_t>(good) + 3].reason, HasSubstr("index"));
      EXPECT_EQ(Ask("SELECT count(*) FROM feedback"), std::to_string(2 * good));
    }
  }
}

TEST_F(WriterTest, ComplainsAtTheStartAboutWhatIsWrong) {
  WriterOptions options = Options();
  options.connect.uri = server_->Uri("tester", "hush-hush");
  EXPECT_THAT(OpenError(options), AllOf(HasSubstr("unauthenticated"), HasSubstr("127.0.0.1:"),
                                        HasSubstr("password authentication failed"),
                                        HasSubstr("option 'uri'"), Not(HasSubstr("hush"))));
  options.connect.uri = server_->Uri() + "_missing";
  EXPECT_THAT(OpenError(options), AllOf(HasSubstr("not-found"), HasSubstr("postgres_missing")));
  options.connect.uri = "postgres://u:hush hush@/x?y";
  EXPECT_THAT(OpenError(options), AllOf(HasSubstr("invalid-argument"), Not(HasSubstr("hush"))));
  options.connect.uri = "postgres://tester@127.0.0.1:1/x";
  EXPECT_THAT(OpenError(options), AllOf(HasSubstr("unavailable"), HasSubstr("127.0.0.1:1")));
  options.connect.uri = server_->Uri() + "?sslmode=require";
  EXPECT_THAT(OpenError(options), AllOf(HasSubstr("permission-denied"), HasSubstr("SSL")));
  options = Options();
  options.target.create_table = false;
  EXPECT_THAT(OpenError(options), AllOf(HasSubstr("not-found"), HasSubstr("option 'table'"),
                                        HasSubstr("set create_table: true")));
  options.target.schema = "pg_catalog";
  options.target.table = "pg_class";
  EXPECT_THAT(OpenError(options), HasSubstr("permission-denied"));
}

TEST_F(WriterTest, ComplainsAboutATableThatRecordsDoNotFit) {
  const auto complaint = [&](const std::string& change, bool create = true) {
    {
      auto made = Opened(Options());
    }
    Sql("ALTER TABLE feedback " + change);
    WriterOptions options = Options();
    options.target.create_table = create;
    std::string error = OpenError(options);
    Sql("DROP TABLE feedback");
    return error;
  };
  EXPECT_THAT(
      complaint("DROP COLUMN lang"),
      HasSubstr("has no column 'lang': ALTER TABLE \"tester\".\"feedback\" ADD COLUMN \"lang\" text"));
  EXPECT_THAT(complaint("ALTER COLUMN metadata TYPE text"),
              HasSubstr("'metadata' as text, and records need jsonb"));
  EXPECT_THAT(complaint("ADD COLUMN mine int NOT NULL"), HasSubstr("'mine', which must be filled"));
  EXPECT_EQ(complaint("ADD COLUMN mine int NOT NULL DEFAULT 3"), "");
  EXPECT_THAT(complaint("DROP COLUMN lang, ADD COLUMN lang text GENERATED ALWAYS AS ('en') STORED"),
              HasSubstr("ALTER COLUMN lang DROP EXPRESSION"));
  EXPECT_THAT(complaint("DROP CONSTRAINT feedback_pkey", false), HasSubstr("CREATE UNIQUE INDEX"));
  EXPECT_EQ(complaint("DROP CONSTRAINT feedback_pkey"), "");  // makes it again
  EXPECT_THAT(complaint("ADD UNIQUE (tenant_id, source_type, source_id, data_id)"),
              HasSubstr("empty data_ids"));
}

// As one by one: the last is two records then, and what the third has stored stays.
TEST_F(WriterTest, WhatABatchHasStoredIsStoredForItsLaterRecords) {
  auto writer = Opened(Updating());
  const std::string key = R"("tenant_id":"t","source_type":"s","source_id":"i","data_id":)";
  const auto outcomes = Write(*writer, fmt::format(R"({{"uuid":"u1","data":"A"}}
{{"uuid":"u4",{0}"k2","data":"B"}}
{{"uuid":"u4",{0}"k1","data":"C"}}
{{"uuid":"u1",{0}"k1","data":"D"}})",
                                                   key));
  EXPECT_EQ(outcomes[3].kind, OutcomeKind::kRejected);
  EXPECT_EQ(Ask("SELECT data FROM feedback WHERE uuid = 'u1'"), "A");
  EXPECT_EQ(Ask("SELECT data FROM feedback WHERE uuid = 'u4'"), "C");
}

// The original's table: `uuid` of its own type, texts that may be null, nothing for unknown fields.
TEST_F(WriterTest, TakesATableOfOtherFittingTypes) {
  Sql("CREATE TABLE feedback (updated_at timestamp, uuid uuid PRIMARY KEY, source_type varchar(10), source_id text, "
      "data text, data_id text, metadata json, metadata_type text, lang text, tenant_id text, created_at timestamptz)");
  for (const WriterOptions& options : {Options(), Updating()}) {
    Sql("TRUNCATE feedback");
    auto writer = Opened(options);
    const std::string text =
        R"({"uuid":"0192D3F2-aaaa-7bbb-8ccc-0123456789ab","source_type":"ten chars!","metadata":{"b":1}}
{"uuid":"0192d3f2-aaaa-7bbb-8ccc-0123456789ac","source_type":"eleven char"}
{"uuid":"none"}
{"uuid":"0192d3f2-aaaa-7bbb-8ccc-0123456789ad","stars":1})";
    auto outcomes = Write(*writer, text);
    EXPECT_THAT(KindsOf(outcomes), ElementsAre(OutcomeKind::kAccepted, OutcomeKind::kRejected,
                                               OutcomeKind::kRejected, OutcomeKind::kRejected));
    EXPECT_THAT(outcomes[3].reason, HasSubstr("no column 'extra'"));
    EXPECT_EQ(Write(*writer, text)[0].kind, OutcomeKind::kDuplicate);
    EXPECT_EQ(Ask("SELECT uuid, metadata FROM feedback"), "0192d3f2-aaaa-7bbb-8ccc-0123456789ab|{\"b\":1}");
    // One uuid, spelled in two ways.
    Write(*writer, R"({"uuid":"0192d3f2-aaaa-7bbb-8ccc-0123456789af","data":"first"}
{"uuid":"0192D3F2-AAAA-7BBB-8CCC-0123456789AF","data":"SECOND"})");
    EXPECT_EQ(Ask("SELECT data FROM feedback WHERE uuid = '0192d3f2-aaaa-7bbb-8ccc-0123456789af'"),
              options.target.updates ? "SECOND" : "first");
  }
}

TEST_F(WriterTest, NamesAreTakenAsTheyAre) {
  Sql("DROP SCHEMA IF EXISTS \"My \"\"Schema\" CASCADE; CREATE SCHEMA \"My \"\"Schema\"");
  WriterOptions options = Options();
  options.target.schema = "My \"Schema";
  options.target.table = "feed'back; --";
  auto writer = Opened(options);
  EXPECT_THAT(KindsOf(Write(*writer, Numbered(0, 2000))), Each(OutcomeKind::kAccepted));
  EXPECT_EQ(Ask("SELECT count(*) FROM \"My \"\"Schema\".\"feed'back; --\""), "2000");
}

TEST_F(WriterTest, TwoWritersOfTheSameRecordsStoreEachOnce) {
  for (const WriterOptions& options : {Options(), Updating()}) {
    Sql("DROP TABLE IF EXISTS feedback");
    constexpr int kThreads = 4;
    constexpr int kBatches = 12;
    constexpr int kRows = 700;
    std::vector<int> accepted(kThreads);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        auto writer = Opened(options);  // makes the table, at the same time as the others
        for (int b = 0; b < kBatches; ++b) {
          const int rows = b % 2 == 0 ? kRows : 40;
          const auto outcomes =
              Write(*writer, Numbered(b * kRows, rows, std::string(1, static_cast<char>('a' + t))));
          for (const auto& outcome : outcomes) {
            EXPECT_TRUE(outcome.is_final()) << outcome.reason;
            if (outcome.kind == OutcomeKind::kAccepted) ++accepted[static_cast<size_t>(t)];
          }
        }
      });
    }
    for (auto& thread : threads) thread.join();
    const int expected = kBatches / 2 * (kRows + 40);
    EXPECT_EQ(Ask("SELECT count(*), count(distinct data_id) FROM feedback"),
              fmt::format("{}|{}", expected, expected));
    EXPECT_EQ(accepted[0] + accepted[1] + accepted[2] + accepted[3], expected);
  }
}

TEST_F(WriterTest, Conforms) {
  pipeline::Registry registry;
  RegisterPostgres(registry);
  pipeline::testing::ConnectorMaker maker(registry, "/nonexistent");
  for (const std::string on_duplicate : {"skip", "update"}) {
    Sql("DROP TABLE IF EXISTS feedback");
    const std::string yaml = fmt::format(
        "{{type: postgres, uri: '{}', table: feedback, create_table: true, connections: 3, on_duplicate: {}}}",
        server_->Uri(), on_duplicate);
    const std::string query =
        "SELECT jsonb_build_object('uuid', uuid, 'source_type', source_type, 'source_id', source_id, 'data', data, "
        "'data_id', data_id, 'metadata', metadata, 'metadata_type', metadata_type, 'lang', lang, 'tenant_id', "
        "tenant_id, 'created_at', to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), "
        "'updated_at', to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')) || "
        "coalesce(extra, '{}') FROM feedback";
    pipeline::testing::CheckWriter({[&] { return maker.MakeWriter(yaml); },
                                    [&] {
                                      std::vector<std::string> rows;
                                      auto run = sql_->Run(query, {});
                                      EXPECT_TRUE(run.ok()) << (run.ok() ? "" : run.error().ToString());
                                      for (int i = 0; run.ok() && i < PQntuples(run->back().get()); ++i)
                                        rows.emplace_back(PQgetvalue(run->back().get(), i, 0));
                                      return rows;
                                    }},
                                   {.stores_nul = false, .is_ordered = false});
  }
}

TEST_F(WriterTest, NothingAcknowledgedIsLostWhenTheServerCrashes) {
  auto writer = Opened(Options());
  int stored = 0;
  int failed = 0;
  std::jthread trouble_maker([&] {
    for (int i = 0; i < 2; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(400));
      const Status crashed = server_->Crash();
      EXPECT_TRUE(crashed.ok()) << (crashed.ok() ? "" : crashed.error().ToString());
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      const Status restarted = server_->Restart();
      EXPECT_TRUE(restarted.ok()) << (restarted.ok() ? "" : restarted.error().ToString());
    }
  });
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(4);
  // What failed last may be stored all the same: it is repeated until the answer comes.
  bool is_known = true;
  while (std::chrono::steady_clock::now() < end || (!is_known && failed < 1000)) {
    const int rows = stored % 3 == 0 ? 600 : 20;
    auto outcomes = writer->Write(BatchOf(Numbered(stored, rows)), {});
    is_known = outcomes.ok();
    if (outcomes.ok()) {
      // Accepted, or a duplicate of what a lost answer had stored.
      EXPECT_THAT(KindsOf(*outcomes), Each(Not(OutcomeKind::kRejected)));
      stored += rows;
      continue;
    }
    ++failed;
    EXPECT_TRUE(IsRetryable(outcomes.error().code())) << outcomes.error().ToString();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  trouble_maker.join();
  Connect();
  EXPECT_GT(failed, 0);
  EXPECT_GT(stored, 1000);
  EXPECT_EQ(Ask("SELECT count(*), count(distinct data_id) FROM feedback"),
            fmt::format("{}|{}", stored, stored));
}

TEST_F(WriterTest, TroubleLaterIsRetryableAndNamed) {
  auto writer = Opened(Options());
  Write(*writer, Numbered(0, 10));
  Sql("ALTER TABLE feedback DROP COLUMN lang");
  auto outcomes = writer->Write(BatchOf(Numbered(10, 10)), {});
  ASSERT_FALSE(outcomes.ok());
  EXPECT_EQ(outcomes.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(outcomes.error().ToString(), HasSubstr("no column 'lang'"));
  Sql("ALTER TABLE feedback ADD COLUMN lang text");
  EXPECT_THAT(KindsOf(Write(*writer, Numbered(10, 10))), Each(OutcomeKind::kAccepted));
}

TEST_F(WriterTest, AStopEndsAWriteThatWaits) {
  auto writer = Opened(Options());
  Sql("BEGIN; LOCK TABLE feedback IN ACCESS EXCLUSIVE MODE");
  std::stop_source stop;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    stop.request_stop();
  });
  const auto outcomes = writer->Write(BatchOf(Numbered(0, 10)), stop.get_token());
  ASSERT_FALSE(outcomes.ok());
  EXPECT_EQ(outcomes.error().code(), ErrorCode::kCancelled);
  Sql("ROLLBACK");
}

TEST_F(WriterTest, AStatementThatTakesTooLongIsATimeout) {
  WriterOptions options = Options();
  options.connect.timeout = std::chrono::milliseconds(300);
  auto writer = Opened(options);
  Sql("BEGIN; LOCK TABLE feedback IN ACCESS EXCLUSIVE MODE");
  const auto outcomes = writer->Write(BatchOf(Numbered(0, 10)), {});
  ASSERT_FALSE(outcomes.ok());
  EXPECT_EQ(outcomes.error().code(), ErrorCode::kTimeout);
  Sql("ROLLBACK");
}

}  // namespace
}  // namespace sluice::connectors::postgres
