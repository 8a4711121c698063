#include "pipeline/testing/scripted.h"

#include <arrow/api.h>
#include <fmt/format.h>

#include <condition_variable>
#include <thread>

#include "pipeline/record.h"

namespace sluice::pipeline::testing {
namespace {

const arrow::StringArray& Texts(const Batch& batch, Column column) {
  return static_cast<const arrow::StringArray&>(*batch.records->column(static_cast<int>(column)));
}

class DoorIngestor final : public Ingestor {
 public:
  explicit DoorIngestor(Door& door) : door_(door) {}
  Status Start(Intake& intake, const Places& from) override {
    door_.intake = &intake;
    door_.from = from;
    return {};
  }
  Status Stop(std::chrono::milliseconds deadline) override {
    return door_.on_stop ? door_.on_stop(deadline) : OkStatus();
  }
  bool is_finished() const override { return door_.is_finished; }

 private:
  Door& door_;
};

class ScriptProcessor final : public Processor {
 public:
  explicit ScriptProcessor(ScriptedConnectors& connectors) : connectors_(connectors) {}
  Result<Batch> Process(Batch batch, std::vector<Reject>* rejected, std::stop_token) override {
    return connectors_.on_process ? connectors_.on_process(std::move(batch), rejected) : std::move(batch);
  }

 private:
  ScriptedConnectors& connectors_;
};

}  // namespace

class StoreWriter final : public IngestionWriter {
 public:
  explicit StoreWriter(Store& store) : store_(store) {}
  Status Open(std::stop_token) override { return store_.open_status; }
  Result<Outcomes> Write(const Batch& batch, std::stop_token) override {
    int call = 0;
    {
      std::lock_guard lock(store_.mutex_);
      call = ++store_.calls_;
      store_.batch_sizes_.push_back(batch.rows());
    }
    return store_.on_write ? store_.on_write(batch, call) : store_.Take(batch);
  }
  Status fatal() const override { return store_.is_over ? NotFound("nobody reads it") : OkStatus(); }
  int concurrency() const override { return store_.concurrency; }
  int64_t preferred_rows() const override { return store_.preferred_rows; }
  Result<std::optional<Places>> StoredPlaces() override { return store_.places; }

 private:
  Store& store_;
};

Batch BatchOf(std::string_view ndjson) {
  ParseLimits limits;
  limits.layout = Layout::kLines;
  Batch batch;
  batch.records = ParseRecords(ndjson, limits).value().records;
  return batch;
}

Batch Numbered(std::string_view prefix, int from, int to, std::string_view tenant) {
  std::string text;
  for (int i = from; i < to; ++i)
    text += fmt::format("{{\"uuid\":\"{}{}\",\"data\":\"{}\",\"tenant_id\":\"{}\"}}\n", prefix, i, i, tenant);
  return BatchOf(text);
}

Outcomes Store::Take(const Batch& batch) {
  std::lock_guard lock(mutex_);
  Outcomes outcomes;
  for (int64_t row = 0; row < batch.rows(); ++row) {
    const std::string uuid = Texts(batch, Column::kUuid).GetString(row);
    const bool is_new = ++counts_[uuid] == 1;
    order_.push_back(uuid);
    const auto& extra = Texts(batch, Column::kExtra);
    extras_.push_back(extra.IsNull(row) ? "" : extra.GetString(row));
    outcomes.push_back({is_new ? OutcomeKind::kAccepted : OutcomeKind::kDuplicate, {}});
  }
  return outcomes;
}
std::map<std::string, int> Store::counts() const {
  std::lock_guard lock(mutex_);
  return counts_;
}
std::vector<std::string> Store::order() const {
  std::lock_guard lock(mutex_);
  return order_;
}
std::vector<std::string> Store::extras() const {
  std::lock_guard lock(mutex_);
  return extras_;
}
std::vector<int64_t> Store::batch_sizes() const {
  std::lock_guard lock(mutex_);
  return batch_sizes_;
}
int Store::calls() const {
  std::lock_guard lock(mutex_);
  return calls_;
}

Outcomes Door::Send(Batch batch, std::string tenant, std::chrono::milliseconds patience) {
  struct Waiting {
    std::mutex mutex;
    std::condition_variable told;
    std::optional<Outcomes> outcomes;
  };
  auto waiting = std::make_shared<Waiting>();
  const Status status = Offer(
      std::move(batch),
      [waiting](const Outcomes& outcomes) {
        std::lock_guard lock(waiting->mutex);
        waiting->outcomes = outcomes;
        waiting->told.notify_all();
      },
      std::move(tenant), patience);
  if (!status.ok()) return {{OutcomeKind::kFailed, status.error().ToString()}};
  std::unique_lock lock(waiting->mutex);
  waiting->told.wait_for(lock, std::chrono::seconds(20), [&] { return waiting->outcomes.has_value(); });
  return waiting->outcomes.value_or(Outcomes{{OutcomeKind::kFailed, "no outcome within 20 s"}});
}

Status Door::Offer(Batch batch, std::function<void(const Outcomes&)> done, std::string tenant,
                   std::chrono::milliseconds patience) {
  Delivery delivery;
  delivery.batch = std::move(batch);
  delivery.done = std::move(done);
  delivery.tenant = std::move(tenant);
  return intake->Offer(std::move(delivery), patience);
}

ScriptedConnectors::ScriptedConnectors() {
  Declaration declaration;
  declaration.type = "ingestor";
  const auto make_door = [this](const Settings&, Environment&) -> Result<std::unique_ptr<Ingestor>> {
    return std::unique_ptr<Ingestor>(std::make_unique<DoorIngestor>(door));
  };
  registry.Add(declaration, Registry::Maker<Ingestor>(make_door));
  declaration.type = "ordered_ingestor";
  declaration.has_positions = true;
  registry.Add(declaration, Registry::Maker<Ingestor>(make_door));
  declaration = {};
  for (Store* one : {&store, &graveyard}) {
    declaration.type = one == &store ? "store" : "graveyard";
    registry.Add(declaration,
                 Registry::Maker<IngestionWriter>(
                     [one](const Settings&, Environment&) -> Result<std::unique_ptr<IngestionWriter>> {
                       return std::unique_ptr<IngestionWriter>(std::make_unique<StoreWriter>(*one));
                     }));
  }
  declaration.type = "script";
  registry.Add(declaration, Registry::Maker<Processor>(
                                [this](const Settings&, Environment&) -> Result<std::unique_ptr<Processor>> {
                                  return std::unique_ptr<Processor>(std::make_unique<ScriptProcessor>(*this));
                                }));
}

std::vector<std::string> ScriptedConnectors::notes() const {
  std::lock_guard lock(mutex_);
  return notes_;
}

RunnerHost ScriptedConnectors::host() {
  return {clock_, registry, [this](const std::string& line) {
            std::lock_guard lock(mutex_);
            notes_.push_back(line);
          }};
}

Result<std::unique_ptr<Runner>> ScriptedConnectors::Start(const std::string& yaml,
                                                          const std::string& folder) {
  std::string text = yaml;
  if (text.find("ingestors:") == std::string::npos) text += "\ningestors: [{type: ingestor}]";
  if (text.find("writer:") == std::string::npos) text += "\nwriter: {type: store}";
  if (text.find("retry:") == std::string::npos) text += "\nretry: {initial: 1ms, max: 5ms}";
  if (text.find("shutdown:") == std::string::npos) text += "\nshutdown: 5s";
  ASSIGN_OR_RETURN(auto config, ReadConfig(text, folder + "/test.yaml", registry,
                                           [](std::string_view whole) { return std::string(whole); }));
  return Runner::Start(std::move(config), host());
}

bool Eventually(const std::function<bool()>& holds) {
  for (int i = 0; i < 4000; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

}  // namespace sluice::pipeline::testing
