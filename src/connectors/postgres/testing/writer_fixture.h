#pragma once

#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "connectors/postgres/connection.h"
#include "connectors/postgres/testing/server.h"
#include "connectors/postgres/writer.h"
#include "pipeline/record.h"

// A writer and its table, on a PostgreSQL server of the test suite's own.
namespace sluice::connectors::postgres {

inline pipeline::Batch BatchOf(const std::string& ndjson) {
  auto parsed = pipeline::ParseRecords(ndjson);
  EXPECT_TRUE(parsed.ok()) << (parsed.ok() ? "" : parsed.error().ToString());
  EXPECT_TRUE(parsed->bad.empty()) << (parsed->bad.empty() ? "" : parsed->bad[0].reason);
  pipeline::Batch batch;
  batch.records = parsed->records;
  return batch;
}

inline std::vector<pipeline::OutcomeKind> KindsOf(const pipeline::Outcomes& outcomes) {
  std::vector<pipeline::OutcomeKind> kinds;
  for (const auto& outcome : outcomes) kinds.push_back(outcome.kind);
  return kinds;
}

// `count` records of one source, from number `first`.
inline std::string Numbered(int first, int count, const std::string& uuid_prefix = "u",
                            const std::string& data = "x") {
  std::string text;
  for (int i = first; i < first + count; ++i) {
    text += fmt::format(
        R"({{"uuid":"{}{}","tenant_id":"t","source_type":"forum","source_id":"s","data_id":"{}","data":"{}"}})"
        "\n",
        uuid_prefix, i, i, data);
  }
  return text;
}

inline std::string RowText(const Reply& reply) {
  std::string text;
  for (int i = 0; i < PQnfields(reply.get()); ++i) {
    if (i > 0) text += '|';
    text += PQgetvalue(reply.get(), 0, i);
  }
  return text;
}

class WriterTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto started = Server::Start();
    ASSERT_TRUE(started.ok()) << started.error().ToString();
    server_ = std::move(started).value();
  }
  static void TearDownTestSuite() { server_.reset(); }

  void SetUp() override {
    Connect();
    Sql("DROP TABLE IF EXISTS feedback");
  }
  void Connect() {
    auto connection = Connection::Open({.uri = server_->Uri()}, {});
    ASSERT_TRUE(connection.ok()) << connection.error().ToString();
    sql_ = std::move(connection).value();
  }

  static WriterOptions Options() {
    WriterOptions options;
    options.connect.uri = server_->Uri();
    options.connect.timeout = std::chrono::seconds(20);
    options.target.table = "feedback";
    options.target.create_table = true;
    return options;
  }
  static WriterOptions Updating() {
    WriterOptions options = Options();
    options.target.updates = true;
    return options;
  }

  static std::unique_ptr<pipeline::IngestionWriter> Opened(const WriterOptions& options) {
    auto writer = MakeWriter(options);
    const Status opened = writer->Open({});
    EXPECT_TRUE(opened.ok()) << (opened.ok() ? "" : opened.error().ToString());
    return writer;
  }
  static std::string OpenError(const WriterOptions& options) {
    const Status opened = MakeWriter(options)->Open({});
    return opened.ok() ? ""
                       : std::string(InfoOf(opened.error().code()).name) + " " + opened.error().ToString();
  }
  static pipeline::Outcomes Write(pipeline::IngestionWriter& writer, const std::string& ndjson) {
    auto outcomes = writer.Write(BatchOf(ndjson), {});
    EXPECT_TRUE(outcomes.ok()) << (outcomes.ok() ? "" : outcomes.error().ToString());
    return outcomes.ok() ? std::move(outcomes).value() : pipeline::Outcomes();
  }

  void Sql(const std::string& statement) {
    auto run = sql_->Run(statement, {});
    ASSERT_TRUE(run.ok()) << run.error().ToString();
  }
  // One row, its columns joined by `|`.
  std::string Ask(const std::string& query) {
    auto run = sql_->Run(query, {});
    EXPECT_TRUE(run.ok()) << (run.ok() ? "" : run.error().ToString());
    return run.ok() ? RowText(run->back()) : "";
  }

  static inline std::unique_ptr<Server> server_;
  std::unique_ptr<Connection> sql_;
};

}  // namespace sluice::connectors::postgres
