#include "connectors/rest/testing/list_api.h"

#include <arrow/record_batch.h>
#include <fmt/format.h>

#include <sstream>

#include "connectors/rest/connector.h"
#include "pipeline/testing/scripted.h"

namespace sluice::connectors::rest::testing {

using net::HttpRequest;
using net::HttpResponse;
using nlohmann::json;
using pipeline::Column;
using pipeline::Places;
using std::chrono::milliseconds;

const char kRecord[] = "record: {uuid: {from: uuid}, data: {from: data}, data_id: {from: id}}";

const std::vector<Way> kWays = {
    {"page", "page, items: data, pagination: page, page_size: 20, size_parameter: per_page"},
    {"page_marked", "page, items: data, pagination: page, mark: number, mark_path: id"},
    {"offset", "offset, pagination: offset"},
    {"link", "link, items: data, pagination: link"},
    {"json_link", "json_link, items: data, pagination: link, next: links.next"},
    {"json_link_marked",
     "json_link, items: data, pagination: link, next: links.next, mark: number, mark_path: id"},
    {"cursor", "cursor, items: data, pagination: cursor, next: next, page_parameter: at"},
    {"since", "since, since_parameter: since, mark: number, mark_path: id"},
    {"newest", "newest, pagination: page, order: newest_first, mark: number, mark_path: id"},
    {"before", "before, pagination: before, page_size: 20, mark: number, mark_path: id"},
};

HttpResponse Json(const json& body, int status) {
  HttpResponse response;
  response.status = status;
  response.headers.Set("Content-Type", "application/json");
  response.body = body.dump();
  return response;
}

Api::Api() {
  auto server = net::HttpServer::Start({net::HttpEndpoint{}}, *this);
  EXPECT_TRUE(server.ok());
  server_ = *std::move(server);
}
Api::~Api() { server_->Stop(milliseconds(0)); }

void Api::Add(json item) {
  MutexLock lock(mutex_);
  item["id"] = items_.empty() ? 1 : items_.back()["id"].get<int>() + 1;
  items_.push_back(std::move(item));
}

void Api::AddLines(const std::string& ndjson) {
  std::istringstream lines(ndjson);
  for (std::string line; std::getline(lines, line);) Add(json::parse(line));
}

void Api::Change(const std::function<void(std::vector<json>&)>& change) {
  MutexLock lock(mutex_);
  change(items_);
}

void Api::Intercept(std::function<std::optional<HttpResponse>(const HttpRequest&)> intercept) {
  MutexLock lock(mutex_);
  intercept_ = std::move(intercept);
}

Texts Api::asked() const {
  MutexLock lock(mutex_);
  return asked_;
}

HttpResponse Api::Handle(HttpRequest& request) {
  MutexLock lock(mutex_);
  asked_.push_back(request.target);
  if (intercept_) {
    if (auto answer = intercept_(request)) return *std::move(answer);
  }
  return Answer(request);
}

json Api::Slice(int64_t from) const {
  json page = json::array();
  for (int64_t i = from; i < from + kPage && i < static_cast<int64_t>(items_.size()); ++i)
    page.push_back(items_[static_cast<size_t>(i)]);
  return page;
}

HttpResponse Api::Answer(const HttpRequest& request) {
  const auto number = [&](const char* name, int64_t otherwise) {
    const auto value = request.url.Parameter(name);
    return value ? std::stoll(*value) : otherwise;
  };
  const auto size = static_cast<int64_t>(items_.size());
  const std::string& path = request.url.path;
  if (path == "/page") return Json({{"data", Slice((number("page", 1) - 1) * kPage)}});
  if (path == "/offset") return Json(Slice(number("offset", 0)));
  if (path == "/link" || path == "/json_link" || path == "/cursor") {
    const int64_t from = number("at", 0);
    const bool is_last = from + kPage >= size;
    const std::string next = fmt::format("{}?at={}", path, from + kPage);
    json body = {{"data", Slice(from)}};
    if (path == "/json_link") body["links"] = {{"next", is_last ? json() : json(next)}};
    if (path == "/cursor") body["next"] = is_last ? "" : std::to_string(from + kPage);
    HttpResponse response = Json(body);
    if (path == "/link" && !is_last) response.headers.Set("Link", "<" + next + ">; rel=\"next\"");
    return response;
  }
  json page = json::array();
  if (path == "/since") {
    for (const auto& item : items_) {
      if (item["id"].get<int64_t>() > number("since", 0) && page.size() < kPage) page.push_back(item);
    }
    return Json(page);
  }
  if (path == "/newest") {
    const int64_t end = size - (number("page", 1) - 1) * kPage;
    for (int64_t i = end - 1; i >= 0 && i >= end - kPage; --i) page.push_back(items_[static_cast<size_t>(i)]);
    return Json(page);
  }
  if (path == "/before") {
    const int64_t before = number("before", INT64_MAX);
    for (auto item = items_.rbegin(); item != items_.rend() && page.size() < kPage; ++item) {
      if ((*item)["id"].get<int64_t>() < before) page.push_back(*item);
    }
    return Json(page);
  }
  return Json({{"errors", {"there is no such page"}}}, 404);
}

Status Collector::Offer(pipeline::Delivery delivery, milliseconds) {
  {
    MutexLock lock(mutex_);
    const auto ids = pipeline::testing::ColumnOf(delivery.batch, Column::kDataId);
    size_t refusal = 0;  // they are in the order of rows
    for (size_t row = 0; row < ids.size(); ++row) {
      if (refusal < delivery.refused.size() && delivery.refused[refusal].row == static_cast<int64_t>(row)) {
        refused_.push_back(delivery.refused[refusal++].reason);
      } else {
        ids_.push_back(ids[row]);
      }
    }
    for (const auto& [name, place] : delivery.batch.places) places_[name] = place;
  }
  if (delivery.done) delivery.done(pipeline::Outcomes(static_cast<size_t>(delivery.batch.rows())));
  return {};
}

Texts Collector::ids() const {
  MutexLock lock(mutex_);
  return ids_;
}
Texts Collector::refused() const {
  MutexLock lock(mutex_);
  return refused_;
}
Places Collector::places() const {
  MutexLock lock(mutex_);
  return places_;
}

RestTest::RestTest() : bed_(RegisterRest) {}

std::string RestTest::Yaml(const std::string& way, const std::string& more) const {
  return "{type: rest, requests_per_second: 0, " + std::string(kRecord) + ", " + more +
         ", url: " + api_.url() + "/" + way + "}";
}

std::unique_ptr<pipeline::Ingestor> RestTest::Make(const std::string& yaml) {
  auto made = bed_.MakeIngestor(yaml);
  EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().ToString());
  return made.ok() ? *std::move(made) : nullptr;
}

Places RestTest::RunOnce(const std::string& yaml, Texts* got, const Places& from, Status* health) {
  Collector intake;
  auto ingestor = Make(yaml);
  const Status started = ingestor->Start(intake, from);
  EXPECT_TRUE(started.ok()) << (started.ok() ? "" : started.error().ToString());
  EXPECT_TRUE(pipeline::testing::Eventually([&] { return ingestor->is_finished(); }));
  if (health != nullptr) {
    *health = ingestor->health();
  } else {
    EXPECT_TRUE(ingestor->health().ok()) << ingestor->health().error().ToString();
  }
  EXPECT_TRUE(ingestor->Stop(milliseconds(1000)).ok());
  *got = intake.ids();
  refused_ = intake.refused();
  return intake.places();
}

Texts RestTest::Numbers(int from, int to) {
  Texts numbers;
  for (int i = from; i < to; ++i) numbers.push_back(std::to_string(i));
  return numbers;
}

void RestTest::AddNumbered(int count) {
  for (int i = 0; i < count; ++i) api_.Add({{"uuid", fmt::format("u{}", i)}, {"data", "text"}});
}

}  // namespace sluice::connectors::rest::testing
