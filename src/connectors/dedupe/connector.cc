#include "connectors/dedupe/connector.h"

#include <arrow/api.h>

#include <algorithm>
#include <unordered_map>

#include "connectors/dedupe/window.h"
#include "pipeline/columns.h"
#include "pipeline/fates.h"
#include "pipeline/field_path.h"
#include "pipeline/registry.h"
#include "pipeline/rows.h"
#include "pipeline/settings.h"

namespace sluice::connectors {
namespace {

using dedupe::Key;
using dedupe::Window;
using pipeline::Batch;
using pipeline::Column;
using pipeline::Fates;
using pipeline::FieldPath;
using pipeline::FieldReader;
using pipeline::Outcome;
using pipeline::OutcomeKind;

struct Identities {
  bool by_uuid = false;           // tenant_id and uuid
  bool by_key = false;            // tenant_id, source_type, source_id, data_id
  std::vector<FieldPath> fields;  // together one more
};

// Tells the window, and whoever waits, what became of the records of a batch; what is still under way when it
// goes is forgotten.
class Watcher final : public pipeline::OutcomeWatcher {
 public:
  explicit Watcher(std::shared_ptr<Window> window)
      : window_(std::move(window)), fates_(std::make_shared<Fates>()) {}
  ~Watcher() override {
    for (const auto& [row, keys] : under_way_) window_->Forget(keys);
    fates_->Close();
  }

  const std::shared_ptr<Fates>& fates() const { return fates_; }
  bool is_empty() const { return under_way_.empty(); }
  // Row kAll: what came from all rows.
  void Add(int32_t row, std::vector<Key> keys) { under_way_.emplace(row, std::move(keys)); }

  void Settled(int64_t input_row, const Outcome& outcome) override {
    Settle(static_cast<int32_t>(input_row), outcome);
    // A row is told to be stored only after what came from all of them is.
    if (IsStored(outcome)) Settle(kAll, outcome);
  }

  static constexpr int32_t kAll = -1;

 private:
  static bool IsStored(const Outcome& outcome) {
    return outcome.kind == OutcomeKind::kAccepted || outcome.kind == OutcomeKind::kDuplicate;
  }
  void Settle(int32_t row, const Outcome& outcome) {
    const auto [begin, end] = under_way_.equal_range(row);
    if (begin == end) return;
    for (auto one = begin; one != end; ++one) {
      if (IsStored(outcome)) {
        window_->Store(one->second, Window::Clock::now());
      } else {
        window_->Forget(one->second);
      }
    }
    fates_->Set(row, outcome);
    under_way_.erase(begin, end);
  }

  const std::shared_ptr<Window> window_;
  const std::shared_ptr<Fates> fates_;
  std::unordered_multimap<int32_t, std::vector<Key>> under_way_;  // by row of the input
};

class Dedupe final : public pipeline::Processor {
 public:
  Dedupe(Identities identities, std::shared_ptr<Window> window)
      : identities_(std::move(identities)), window_(std::move(window)) {}

  Result<Batch> Process(Batch batch, std::vector<Reject>*, std::stop_token) override {
    auto watcher = std::make_shared<Watcher>(window_);
    const bool is_split = HasRepeats(batch.origins);
    std::vector<int32_t> kept;
    std::vector<pipeline::Follower> followers;
    for (int32_t row = 0; row < static_cast<int32_t>(batch.rows()); ++row) {
      const int32_t origin = batch.origins.empty() ? row : batch.origins[static_cast<size_t>(row)];
      std::vector<Key> keys = KeysOf(*batch.records, row);
      const Window::Seen seen = window_->Find(keys, Window::Clock::now());
      switch (keys.empty() ? Fate::kGoesOn : FateOf(seen, origin, watcher->fates(), is_split)) {
        case Fate::kGone:
          break;
        case Fate::kFollows:
          followers.push_back({origin, seen.fates, seen.row});
          break;
        case Fate::kGoesOn:
          kept.push_back(row);
          if (keys.empty() || seen.state != Window::State::kNew) break;
          window_->Enter(keys, watcher->fates(), origin);
          watcher->Add(origin, std::move(keys));
      }
    }
    if (static_cast<int64_t>(kept.size()) != batch.rows()) {
      ASSIGN_OR_RETURN(batch, pipeline::TakeRows(batch, kept));
    }
    batch.followers = std::move(followers);
    if (!watcher->is_empty()) batch.watchers.push_back(std::move(watcher));
    return batch;
  }

 private:
  enum class Fate { kGoesOn, kFollows, kGone };

  static bool HasRepeats(const std::vector<int32_t>& origins) {
    std::vector<int32_t> sorted = origins;
    std::sort(sorted.begin(), sorted.end());
    return std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end();
  }

  // `here` = of this batch.
  static Fate FateOf(const Window::Seen& seen, int32_t origin, const std::shared_ptr<Fates>& here,
                     bool is_split) {
    if (seen.state == Window::State::kNew) return Fate::kGoesOn;
    if (seen.state == Window::State::kStored) return origin < 0 ? Fate::kGone : Fate::kFollows;
    const bool is_here = seen.fates == here;
    // All rows wait for what came from all of them, and a row for all that came from it.
    if (is_here && (seen.row < 0 || seen.row == origin)) return Fate::kGone;
    // What came from all rows would make all of them wait: the writer has to know it. And of records that
    // were split no two may wait for each other.
    const bool may_follow = origin >= 0 && !(is_here && is_split && seen.row > origin);
    return may_follow ? Fate::kFollows : Fate::kGoesOn;
  }

  std::vector<Key> KeysOf(const arrow::RecordBatch& records, int64_t row) {
    const auto text = [&](Column column) { return pipeline::Texts(records, column).GetView(row); };
    std::vector<Key> keys;
    if (identities_.by_uuid && !text(Column::kUuid).empty())
      keys.push_back(window_->KeyOf('u', {text(Column::kTenantId), text(Column::kUuid)}));
    if (identities_.by_key && !text(Column::kDataId).empty()) {
      keys.push_back(window_->KeyOf('k', {text(Column::kTenantId), text(Column::kSourceType),
                                          text(Column::kSourceId), text(Column::kDataId)}));
    }
    if (identities_.fields.empty()) return keys;
    std::vector<std::string> values;
    bool is_absent = true;
    for (const FieldPath& path : identities_.fields) {
      const pipeline::FieldValue value = reader_.Read(records, row, path);
      is_absent = is_absent && value.kind == pipeline::ValueKind::kAbsent;
      values.emplace_back(value.kind == pipeline::ValueKind::kAbsent ? std::string_view() : value.text);
    }
    if (!is_absent) keys.push_back(window_->KeyOf('f', {values.begin(), values.end()}));
    return keys;
  }

  const Identities identities_;
  const std::shared_ptr<Window> window_;
  FieldReader reader_;
};

Result<std::unique_ptr<pipeline::Processor>> MakeDedupe(const pipeline::Settings& settings) {
  Identities identities;
  for (const std::string& name : settings.texts("by")) {
    if (name != "uuid" && name != "key")
      return settings.Complain(
          "by", fmt::format("'{}' is neither uuid nor key; for others there is 'fields'", name));
    (name == "uuid" ? identities.by_uuid : identities.by_key) = true;
  }
  for (const std::string& name : settings.texts("fields")) {
    auto path = FieldPath::Parse(name);
    if (!path.ok()) return settings.Complain("fields", path.error().message());
    identities.fields.push_back(std::move(path).value());
  }
  if (settings.texts("by").empty() && identities.fields.empty())
    identities.by_uuid = identities.by_key = true;
  const auto span = settings.duration("window");
  const int64_t most = settings.integer("max_records");
  if (span.count() <= 0) return settings.Complain("window", "a time is more than 0");
  if (most < 1 || most > 100'000'000) return settings.Complain("max_records", "1 to 100000000");
  const size_t keys = static_cast<size_t>(most) *
                      (static_cast<size_t>(identities.by_uuid) + static_cast<size_t>(identities.by_key) +
                       static_cast<size_t>(!identities.fields.empty()));
  return std::unique_ptr<pipeline::Processor>(
      std::make_unique<Dedupe>(std::move(identities), std::make_shared<Window>(span, keys)));
}

}  // namespace

void RegisterDedupe(pipeline::Registry& registry) {
  pipeline::Declaration d;
  d.kind = pipeline::ConnectorKind::kProcessor;
  d.type = "dedupe";
  d.summary = "Leaves out records that came before";
  d.tier = pipeline::Tier::kStable;
  d.guarantee_text =
      "A repeat of a record that is stored is a duplicate; one of a record that is still on its way waits for "
      "it and is answered like it: a duplicate when that one is stored, to the dead letters when it is "
      "rejected, to be sent again when it failed. What was seen is kept in memory: after a restart it is the "
      "writer that knows repeats.";
  d.options = {
      {.name = "by",
       .type = pipeline::OptionType::kTexts,
       .description =
           "What makes two records of a tenant one: uuid; key = source_type, source_id and data_id, where data_id "
           "is not empty; either is enough. None, and no fields = both"},
      {.name = "fields",
       .type = pipeline::OptionType::kTexts,
       .description =
           "Fields that together make two records one, such as [tenant_id, data] or [metadata.id]; records "
           "that have none of them are left alone"},
      {.name = "window",
       .type = pipeline::OptionType::kDuration,
       .description = "How long a stored record is remembered",
       .default_text = "1h"},
      {.name = "max_records",
       .type = pipeline::OptionType::kInteger,
       .description =
           "How many of them, at about 150 bytes for each identity; the oldest are forgotten first",
       .default_text = "1000000"},
  };
  d.example = "type: dedupe\nwindow: 1h\n";
  registry.Add(std::move(d), [](const pipeline::Settings& settings, pipeline::Environment&) {
    return MakeDedupe(settings);
  });
}

}  // namespace sluice::connectors
