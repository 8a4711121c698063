#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "net/http_server.h"
#include "pipeline/testing/bed.h"

// APIs for tests of the ingestor `rest`.
namespace sluice::connectors::rest::testing {

using Texts = std::vector<std::string>;

net::HttpResponse Json(const nlohmann::json& body, int status = 200);

// An API with one list, whose items it gives in every way that there is. Items have an `id` from 1.
// Thread-safe.
class Api final : public net::HttpHandler {
 public:
  static constexpr int64_t kPage = 20;

  Api();
  ~Api() override;

  std::string url() const { return server_->url(); }
  void Add(nlohmann::json item);
  void AddLines(const std::string& ndjson);
  void Change(const std::function<void(std::vector<nlohmann::json>&)>& change);
  // Answers before anything else does; called with the lock held.
  void Intercept(std::function<std::optional<net::HttpResponse>(const net::HttpRequest&)> intercept);
  Texts asked() const;

  net::HttpResponse Handle(net::HttpRequest& request) override;

 private:
  net::HttpResponse Answer(const net::HttpRequest& request) REQUIRES(mutex_);
  nlohmann::json Slice(int64_t from) const REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::vector<nlohmann::json> items_ GUARDED_BY(mutex_);
  Texts asked_ GUARDED_BY(mutex_);
  std::function<std::optional<net::HttpResponse>(const net::HttpRequest&)> intercept_ GUARDED_BY(mutex_);
  std::unique_ptr<net::HttpServer> server_;
};

// Takes everything at once. Thread-safe.
class Collector final : public pipeline::Intake {
 public:
  Status Offer(pipeline::Delivery delivery, std::chrono::milliseconds patience) override;
  Texts ids() const;      // data_id of what was not refused
  Texts refused() const;  // reasons
  pipeline::Places places() const;

 private:
  mutable Mutex mutex_;
  Texts ids_ GUARDED_BY(mutex_);
  Texts refused_ GUARDED_BY(mutex_);
  pipeline::Places places_ GUARDED_BY(mutex_);
};

// A way to read the API's list: its path, and the options for it.
struct Way {
  const char* name;
  const char* options;
};
extern const std::vector<Way> kWays;
extern const char kRecord[];  // the option `record` of all of them

class RestTest : public ::testing::Test {
 protected:
  RestTest();

  // An ingestor's options; `way` as in kWays.
  std::string Yaml(const std::string& way, const std::string& more = "once: true") const;
  std::unique_ptr<pipeline::Ingestor> Make(const std::string& yaml);
  // What comes until it has ended; every delivery is done. Where it stands then.
  pipeline::Places RunOnce(const std::string& yaml, Texts* got, const pipeline::Places& from = {},
                           Status* health = nullptr);
  static Texts Numbers(int from, int to);
  void AddNumbered(int count);

  Api api_;
  pipeline::testing::Bed bed_;
  Texts refused_;  // of the last RunOnce
};

}  // namespace sluice::connectors::rest::testing
