#include <arrow/api.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>
#include <optional>
#include <thread>

#include "connectors/odf/odf_internal.h"
#include "pipeline/backoff.h"
#include "pipeline/columns.h"
#include "pipeline/least_places.h"
#include "pipeline/rows.h"

// Each dataset keeps for itself how far each partition of the upstream is stored in it: the JSON map of
// pipelines.md 4 is the source state of its push source, moved by compare-and-set in the same commit as the
// records. Records at or below a dataset's own position are duplicates of what it has.
namespace sluice::connectors::odf {
namespace {

using pipeline::Batch;
using pipeline::Outcome;
using pipeline::OutcomeKind;
using pipeline::Outcomes;
using pipeline::Places;
using push::PushReply;
using Clock = std::chrono::steady_clock;

constexpr char kPlacesKind[] = "sluice/places";
constexpr size_t kMaxStateBytes = 4096;
constexpr size_t kMaxOpenDatasets = 1000;
// For the positions that are passed on at the end, in all.
constexpr std::chrono::milliseconds kClosingTime{5'000};
constexpr char kBehind[] = "it stands behind a record that failed";
constexpr char kDatasetMark[] = "${{ dataset }}";

// A source state is visible ASCII without blanks.
std::string StateText(const Places& places) {
  const std::string json = pipeline::PlacesToJson(places);
  std::string text;
  for (const char c : json) {
    if (c == ' ') {
      text += "\\u0020";
    } else {
      text += c;
    }
  }
  return text;
}

struct Dataset {
  std::unique_ptr<push::Target> target;
  Places places;
  std::string state;  // as the source has it; empty = none
  Clock::time_point state_at;
  uint64_t used = 0;
};

class OdfWriter final : public pipeline::IngestionWriter {
 public:
  OdfWriter(const pipeline::Settings& settings, NamePattern pattern, std::string manifest, Node node,
            std::string pipeline, std::shared_ptr<BatchKeys> keys)
      : settings_(settings),
        pattern_(std::move(pattern)),
        manifest_(std::move(manifest)),
        node_(std::move(node)),
        pipeline_(std::move(pipeline)),
        keys_(std::move(keys)) {}

  Status Open(std::stop_token stop) override {
    calls_ = std::make_unique<Calls>(stop);
    auto names = node_.DatasetNames(stop);
    if (!names.ok() && IsRetryable(names.error().code()))
      return MakeError(names.error().code(), "{}: the node at '{}': {}", settings_.Where("node"), WhereNode(),
                       names.error().message());
    if (!names.ok())
      return settings_.Complain(names.error().code() == ErrorCode::kUnauthenticated ? "token" : "node",
                                fmt::format("the node at '{}': {}", WhereNode(), names.error().message()));
    if (pattern_.has_fields()) return {};
    auto dataset = Find(settings_.text("dataset"), stop);
    if (!dataset.ok()) return settings_.Complain("dataset", dataset.error().message());
    return {};
  }

  Result<std::optional<Places>> StoredPlaces() override {
    std::vector<std::string> names{settings_.text("dataset")};
    if (pattern_.has_fields()) {
      ASSIGN_OR_RETURN(names, node_.DatasetNames(calls_->end.get_token()));
      std::erase_if(names, [&](const auto& name) { return !pattern_.Matches(name); });
    }
    std::vector<Places> all;
    for (const auto& name : names) {
      ASSIGN_OR_RETURN(const Dataset* dataset, Find(name, calls_->end.get_token()));
      all.push_back(dataset->places);
    }
    reached_ = pipeline::LeastOf(all);
    return std::optional<Places>(reached_);
  }

  Result<Outcomes> Write(const Batch& batch, std::stop_token stop) override {
    Outcomes outcomes(static_cast<size_t>(batch.rows()));
    std::map<std::string, std::vector<int32_t>> rows_of;
    bool is_open = true;  // no position passes a record that was refused
    for (int32_t row = 0; row < batch.rows(); ++row) {
      auto& outcome = outcomes[static_cast<size_t>(row)];
      if (!is_open) {
        outcome = {OutcomeKind::kFailed, kBehind};
        continue;
      }
      auto name = pattern_.NameOf(*batch.records, row);
      if (name.ok()) {
        rows_of[*name].push_back(row);
      } else {
        outcome = {OutcomeKind::kRejected, name.error().message()};
        is_open = batch.next.empty();
      }
    }
    if (const Status made = MakeAll(batch, rows_of, stop); !made.ok())
      return Outcomes(outcomes.size(), {OutcomeKind::kFailed, made.error().message()});
    for (auto& [name, rows] : rows_of) {
      auto dataset = Find(name, stop);
      if (dataset.ok()) {
        Deliver(**dataset, name, batch, std::move(rows), &outcomes);
        continue;
      }
      for (const int32_t row : rows)
        outcomes[static_cast<size_t>(row)] = {
            IsNoName(dataset.error()) ? OutcomeKind::kRejected : OutcomeKind::kFailed,
            dataset.error().message()};
    }
    const bool is_stored = std::all_of(outcomes.begin(), outcomes.end(), [](const auto& outcome) {
      return pipeline::Badness(outcome.kind) <= pipeline::Badness(OutcomeKind::kAccepted);
    });
    if (is_stored && !batch.places.empty()) {
      Pass(batch.places, &reached_);
      PassReached(Clock::now() - settings_.duration("idle_state"));
    }
    return outcomes;
  }

  // Else the next start would read again what no dataset has got: records that were dropped on the way, and
  // rejected ones, which would be rejected once more.
  Status Close() override {
    if (calls_) {
      const std::jthread clock([this](const std::stop_token& done) {
        if (pipeline::SleepFor(kClosingTime, done)) calls_->end.request_stop();
      });
      PassReached(Clock::now());
    }
    datasets_.clear();
    return {};
  }

 private:
  // What ends the calls that are under way: the runner, or the end of the closing time.
  struct Calls {
    explicit Calls(const std::stop_token& stop) : at_stop(stop, Stopper{end}) {}
    struct Stopper {
      std::stop_source source;
      void operator()() { source.request_stop(); }
    };
    std::stop_source end;
    std::stop_callback<Stopper> at_stop;
  };

  std::string WhereNode() const {
    return node_.options().unix_socket.empty() ? node_.options().url : node_.options().unix_socket;
  }

  // A name that a record made is none; one that is configured may come back.
  bool IsNoName(const Error& error) const {
    return pattern_.has_fields() &&
           (error.code() == ErrorCode::kNotFound || error.code() == ErrorCode::kInvalidArgument);
  }

  // A batch moves positions on in one dataset after another. One that is not there yet when the pipeline is
  // killed in between would not be asked, at the next start, where it stands: so all are made before the
  // first moves.
  Status MakeAll(const Batch& batch, const std::map<std::string, std::vector<int32_t>>& rows_of,
                 std::stop_token stop) {
    if (batch.next.empty()) return {};
    for (const auto& [name, rows] : rows_of) {
      auto dataset = Find(name, stop);
      if (dataset.ok()) {
        RETURN_IF_ERROR(Begin(**dataset, name, batch));
      } else if (!IsNoName(dataset.error())) {
        return std::move(dataset).error();
      }
    }
    return {};
  }

  // A dataset that was made on the way begins where the pipeline stands. Without any position it would, if it
  // takes none of these records or a kill comes first, send the next start to the beginning of the upstream.
  Status Begin(Dataset& dataset, const std::string& name, const Batch& batch) {
    if (!dataset.state.empty()) return {};
    Places places = reached_;
    // Never past a record that it is to get.
    if (const auto mine = places.find(batch.partition);
        mine != places.end() && !batch.next.empty() && mine->second.next >= batch.next.front())
      places.erase(mine);
    const bool is_at_beginning =
        std::all_of(places.begin(), places.end(), [](const auto& place) { return place.second.next == 0; });
    if (is_at_beginning) return {};
    PushReply reply = SendWithPlaces(dataset, "", places);
    switch (reply.kind) {
      case PushReply::Kind::kTaken:
      case PushReply::Kind::kDuplicate:
        return {};
      case PushReply::Kind::kBehind:
        return Adopt(name, reply.accepted, &dataset);  // another process was faster
      case PushReply::Kind::kRefused:
        // A Snapshot source takes no position alone, as nothing at all is a batch too.
        if (reply.error.code() == ErrorCode::kInvalidRecords) return {};
        [[fallthrough]];
      default:
        datasets_.erase(name);  // what is wrong with it may be mended: asked for anew then
        return std::move(reply.error);
    }
  }

  // Known, asked for, or made. Errors: kNotFound when there is none and no template to make it from.
  Result<Dataset*> Find(const std::string& name, std::stop_token stop) {
    if (auto found = datasets_.find(name); found != datasets_.end()) {
      found->second.used = ++uses_;
      return &found->second;
    }
    Dataset dataset;
    ASSIGN_OR_RETURN(dataset.target, node_.Open(name, settings_.text("source"), calls_->end.get_token()));
    auto described = dataset.target->Describe();
    if (!described.ok() && described.error().code() == ErrorCode::kNotFound) {
      if (manifest_.empty())
        return NotFound("{}; make it, or give a template to make it from", described.error().message());
      std::string manifest = manifest_;
      for (size_t at = manifest.find(kDatasetMark); at != std::string::npos;
           at = manifest.find(kDatasetMark, at + name.size()))
        manifest.replace(at, sizeof kDatasetMark - 1, name);
      RETURN_IF_ERROR(node_.Create(manifest, stop));
      described = dataset.target->Describe();
    }
    if (!described.ok()) return std::move(described).error();
    RETURN_IF_ERROR(Adopt(name, described->accepted, &dataset));
    dataset.used = ++uses_;
    if (datasets_.size() >= kMaxOpenDatasets) {
      datasets_.erase(std::min_element(datasets_.begin(), datasets_.end(), [](const auto& a, const auto& b) {
        return a.second.used < b.second.used;
      }));
    }
    return &datasets_.emplace(name, std::move(dataset)).first->second;
  }

  // Takes over where the source stands.
  static Status Adopt(const std::string& name, const std::optional<push::State>& state, Dataset* dataset) {
    dataset->state_at = Clock::now();
    dataset->state.clear();
    dataset->places.clear();
    if (!state) return {};
    dataset->state = state->value;
    if (state->kind != kPlacesKind) return {};
    auto places = pipeline::PlacesFromJson(state->value);
    if (!places.ok())
      return MakeError(ErrorCode::kPrecondition,
                       "the source state of dataset '{}' is no map of positions: {}", name, state->value);
    dataset->places = std::move(*places);
    return {};
  }

  // Pushes what the dataset has not got yet, in order.
  void Deliver(Dataset& dataset, const std::string& name, const Batch& batch, std::vector<int32_t> rows,
               Outcomes* outcomes) {
    const bool has_positions = !batch.next.empty();
    if (has_positions) {
      const auto stored = dataset.places.find(batch.partition);
      const int64_t next = stored == dataset.places.end() ? INT64_MIN : stored->second.next;
      std::erase_if(rows, [&](int32_t row) {
        if (batch.next[static_cast<size_t>(row)] > next) return false;
        (*outcomes)[static_cast<size_t>(row)].kind = OutcomeKind::kDuplicate;
        return true;
      });
    }
    Push(dataset, name, batch, rows, outcomes);
  }

  // All of `rows`, or those before the first that cannot be taken: the position must not pass a record whose
  // dead letter is not durable yet. False when it stopped so. Without positions nothing stops it.
  bool Push(Dataset& dataset, const std::string& name, const Batch& batch, const std::vector<int32_t>& rows,
            Outcomes* outcomes) {
    if (rows.empty()) return true;
    const bool has_positions = !batch.next.empty();
    const auto settle = [&](OutcomeKind kind, const std::string& reason) {
      for (const int32_t row : rows) (*outcomes)[static_cast<size_t>(row)] = {kind, reason};
    };
    Places places = dataset.places;
    if (has_positions) {
      auto& place = places[batch.partition];
      place.next = batch.next[static_cast<size_t>(rows.back())];
      if (const auto now = batch.places.find(batch.partition); now != batch.places.end())
        place = {place.next, now->second.cursor, now->second.is_plain};
    }
    std::string body;
    for (const int32_t row : rows) {
      pipeline::AppendRecord(*batch.records, row, {.write_empty = false}, &body);
      body += '\n';
    }
    const PushReply reply =
        has_positions ? SendWithPlaces(dataset, body, places) : SendWithKey(dataset, name, body, batch, rows);
    switch (reply.kind) {
      case PushReply::Kind::kTaken:
        settle(OutcomeKind::kAccepted, "");
        return true;
      case PushReply::Kind::kDuplicate:
        settle(OutcomeKind::kDuplicate, "");
        return true;
      case PushReply::Kind::kBehind: {
        // Another process is active: this one stands by, and goes on where that one ends.
        const Status adopted = Adopt(name, reply.accepted, &dataset);
        settle(OutcomeKind::kFailed,
               adopted.ok() ? fmt::format("dataset '{}' was written by another pipeline meanwhile", name)
                            : adopted.error().message());
        return false;
      }
      case PushReply::Kind::kLater:
        settle(OutcomeKind::kFailed, reply.error.message());
        return false;
      case PushReply::Kind::kTooLarge:
      case PushReply::Kind::kRefused:
        break;
    }
    // What is said of the request as a whole is no fault of a record.
    if (reply.kind == PushReply::Kind::kRefused && reply.error.code() != ErrorCode::kInvalidRecords) {
      // The dataset, the source or the right to it is gone: somebody may mend that.
      settle(OutcomeKind::kFailed, reply.error.message());
      datasets_.erase(name);
      return false;
    }
    if (rows.size() == 1) {
      settle(OutcomeKind::kRejected, reply.error.message());
      return !has_positions;
    }
    const auto middle = rows.begin() + static_cast<ptrdiff_t>(rows.size() / 2);
    const std::vector<int32_t> front(rows.begin(), middle), back(middle, rows.end());
    if (Push(dataset, name, batch, front, outcomes)) return Push(dataset, name, batch, back, outcomes);
    for (const int32_t row : back) (*outcomes)[static_cast<size_t>(row)] = {OutcomeKind::kFailed, kBehind};
    return false;
  }

  // The position moves along.
  PushReply SendWithPlaces(Dataset& dataset, const std::string& body, const Places& places) {
    push::PushCall call{.body = body};
    call.if_state = dataset.state.empty() ? "*" : dataset.state;
    call.next_state = StateText(places);
    call.state_kind = kPlacesKind;
    if (call.next_state.size() > kMaxStateBytes) {
      PushReply reply;
      reply.error = MakeError(ErrorCode::kResourceExhausted,
                              "the positions of {} partitions take more than the {} bytes of a source state",
                              places.size(), kMaxStateBytes);
      return reply;
    }
    PushReply reply = dataset.target->Push(call);
    if (HasIt(reply)) {
      dataset.places = places;
      dataset.state = call.next_state;
      dataset.state_at = Clock::now();
    }
    return reply;
  }

  PushReply SendWithKey(Dataset& dataset, const std::string& name, const std::string& body,
                        const Batch& batch, const std::vector<int32_t>& rows) {
    const std::string target =
        fmt::format("{}\n{}\n{}\n{}", pipeline_, WhereNode(), settings_.text("source"), name);
    const std::string key = keys_->KeyOf(target, body);
    PushReply reply = dataset.target->Push({.body = body, .if_state = {}, .next_state = {}, .key = key});
    std::vector<std::string_view> uuids;
    const auto& column = pipeline::Texts(*batch.records, pipeline::Column::kUuid);
    for (const int32_t row : rows) uuids.push_back(column.GetView(row));
    if (HasIt(reply)) {
      keys_->Answered(target, body, uuids);
    } else if (reply.kind == PushReply::Kind::kLater || reply.error.code() == ErrorCode::kCancelled) {
      keys_->Unanswered(target, body, key, uuids);
    } else {
      keys_->Answered(target, body, {});
    }
    return reply;
  }

  static bool HasIt(const PushReply& reply) {
    return reply.kind == PushReply::Kind::kTaken || reply.kind == PushReply::Kind::kDuplicate;
  }

  static void Pass(const Places& newer, Places* places) {
    for (const auto& [partition, place] : newer) {
      auto& mine = (*places)[partition];
      if (place.next > mine.next) mine = place;
    }
  }

  // Datasets that get nothing would send a restart far back: those whose position is older than `limit` get
  // it alone. What stands between their records and it was dropped, rejected, or went to others.
  void PassReached(Clock::time_point limit) {
    if (reached_.empty()) return;
    for (auto& [name, dataset] : datasets_) {
      if (dataset.state_at > limit) continue;
      Places places = dataset.places;
      Pass(reached_, &places);
      if (places == dataset.places) continue;
      const PushReply reply = SendWithPlaces(dataset, "", places);  // the next batch tries again
      dataset.state_at = Clock::now();
      if (reply.kind == PushReply::Kind::kLater || calls_->end.stop_requested()) return;
    }
  }

  const pipeline::Settings settings_;
  const NamePattern pattern_;
  const std::string manifest_;
  Node node_;
  const std::string pipeline_;
  const std::shared_ptr<BatchKeys> keys_;
  std::unique_ptr<Calls> calls_;  // since Open
  std::map<std::string, Dataset> datasets_;
  Places reached_;  // all before it is settled: stored, dropped, or in the dead letters
  uint64_t uses_ = 0;
};

// The workspace's socket, in the folder or above it.
std::string FindSocket(const std::string& from) {
  namespace fs = std::filesystem;
  std::error_code error;
  for (fs::path folder = fs::absolute(from, error); !error; folder = folder.parent_path()) {
    const auto socket = folder / ".sluice" / "node.sock";
    if (fs::exists(socket, error)) return socket.string();
    if (folder == folder.parent_path()) break;
  }
  return "";
}

}  // namespace

Result<std::unique_ptr<pipeline::IngestionWriter>> MakeOdfWriter(const pipeline::Settings& settings,
                                                                 pipeline::Environment& environment,
                                                                 std::shared_ptr<BatchKeys> keys) {
  auto pattern = NamePattern::Parse(settings.text("dataset"));
  if (!pattern.ok()) return settings.Complain("dataset", pattern.error().message());
  NodeOptions options;
  options.url = settings.text("node");
  options.token = settings.text("token");
  options.ca_file = settings.text("ca_file");
  options.timeout = settings.duration("timeout");
  if (options.timeout.count() <= 0) return settings.Complain("timeout", "a time limit is more than 0");
  if (options.url.empty()) {
    options.url = "http://node";
    options.unix_socket = FindSocket(environment.Resolve("."));
    if (options.unix_socket.empty())
      return settings.Complain("node",
                               "no node runs in a workspace at or above the pipeline's folder: start 'sluice "
                               "serve' there, or give the node's URL");
  }
  std::string manifest;
  if (const auto& path = settings.text("template"); !path.empty()) {
    std::ifstream file(environment.Resolve(path), std::ios::binary);
    manifest.assign(std::istreambuf_iterator<char>(file), {});
    if (!file) return settings.Complain("template", fmt::format("'{}' cannot be read", path));
    if (manifest.find(kDatasetMark) == std::string::npos)
      return settings.Complain(
          "template", fmt::format("'{}' does not hold {} where the dataset's name goes", path, kDatasetMark));
  }
  ASSIGN_OR_RETURN(auto node, Node::Make(std::move(options)));
  return std::unique_ptr<pipeline::IngestionWriter>(
      std::make_unique<OdfWriter>(settings, std::move(*pattern), std::move(manifest), std::move(node),
                                  environment.pipeline(), std::move(keys)));
}

}  // namespace sluice::connectors::odf
