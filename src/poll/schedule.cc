#include "poll/schedule.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "workspace/file_write.h"

namespace sluice::poll {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

Instant Plus(Instant time, milliseconds more) { return Instant::FromMillis(time.ToMillis() + more.count()); }

}  // namespace

Schedule::Schedule(std::function<double()> random) : random_(std::move(random)) {}

Instant Schedule::RegularAfter(const Plan& plan, Instant time) const {
  return plan.cron ? plan.cron->NextAfter(time) : Plus(time, plan.entry.every);
}

Instant Schedule::WithJitter(const Plan& plan, Instant time) const {
  return Plus(time,
              milliseconds(static_cast<int64_t>(static_cast<double>(plan.entry.jitter.count()) * random_())));
}

Status Schedule::Add(const std::string& alias, const workspace::ScheduleEntry& entry, const RunState& known,
                     Instant now) {
  Plan plan{entry, std::nullopt, IsRunning(alias)};
  if (!entry.cron.empty()) {
    ASSIGN_OR_RETURN(plan.cron, Cron::Parse(entry.cron));
  }
  RunState state = known;
  if (!state.last_start) {
    // Never run: an interval begins now, a cron expression has its times.
    state.next_run = plan.cron ? WithJitter(plan, plan.cron->NextAfter(now)) : now;
  } else {
    const Instant due = RegularAfter(plan, *state.last_start);
    if (due > now) {
      // A retry that was planned stays.
      const bool retry = state.last_failed && state.next_run && *state.next_run < due;
      state.next_run = retry ? *state.next_run : WithJitter(plan, due);
    } else {
      ++state.missed;
      state.next_run = entry.catch_up ? now : WithJitter(plan, RegularAfter(plan, now));
    }
  }
  plans_[alias] = std::move(plan);
  states_[alias] = std::move(state);
  return {};
}

void Schedule::Remove(const std::string& alias) {
  plans_.erase(alias);
  states_.erase(alias);
}

bool Schedule::IsRunning(const std::string& alias) const {
  const auto it = plans_.find(alias);
  return it != plans_.end() && it->second.running;
}

std::vector<std::string> Schedule::Due(Instant now) const {
  std::vector<std::string> due;
  for (const auto& [alias, plan] : plans_) {
    const auto& next = states_.at(alias).next_run;
    if (!plan.running && next && *next <= now) due.push_back(alias);
  }
  std::sort(due.begin(), due.end(), [this](const std::string& a, const std::string& b) {
    return *states_.at(a).next_run < *states_.at(b).next_run;
  });
  return due;
}

std::optional<Instant> Schedule::NextTime() const {
  std::optional<Instant> next;
  for (const auto& [alias, plan] : plans_) {
    const auto& time = states_.at(alias).next_run;
    if (!plan.running && time && (!next || *time < *next)) next = time;
  }
  return next;
}

void Schedule::Started(const std::string& alias, Instant now) {
  plans_.at(alias).running = true;
  auto& state = states_.at(alias);
  state.last_start = now;
  state.next_run.reset();
  ++state.runs;
}

void Schedule::Ended(const std::string& alias, Instant now, const std::optional<std::string>& error) {
  const auto it = plans_.find(alias);
  if (it == plans_.end()) return;  // taken out while it ran
  auto& plan = it->second;
  auto& state = states_.at(alias);
  plan.running = false;
  state.last_end = now;
  state.last_failed = error.has_value();
  state.last_error = error.value_or("");
  state.failures = error ? state.failures + 1 : 0;
  // Times that came up while it ran are not made up for: it has just run.
  Instant regular = RegularAfter(plan, state.last_start.value_or(now));
  if (regular <= now) regular = plan.cron ? plan.cron->NextAfter(now) : now;
  state.next_run = WithJitter(plan, regular);
  if (!error || state.failures > plan.entry.retries) return;
  milliseconds backoff = plan.entry.first_backoff;
  for (int i = 1; i < state.failures && backoff < plan.entry.longest_backoff; ++i) backoff *= 2;
  backoff = std::min(backoff, plan.entry.longest_backoff);
  // Up to a quarter more, so that many do not come back together.
  const auto more = milliseconds(static_cast<int64_t>(static_cast<double>(backoff.count()) * random_() / 4));
  state.next_run = std::min(*state.next_run, Plus(now, backoff + more));
}

PlannedRuns Planned(const std::vector<workspace::ScheduleEntry>& schedule,
                    const std::vector<workspace::Entry>& datasets,
                    const std::function<bool(const workspace::Entry&)>& may_be_pulled) {
  PlannedRuns planned;
  std::set<std::string> seen;
  for (const auto& entry : schedule) {
    for (const auto& dataset : datasets) {
      bool is_named = false, is_meant = false;
      for (const auto& pattern : entry.datasets) {
        const bool matches = workspace::MatchesPattern(dataset.alias, pattern);
        is_meant = is_meant || matches;
        is_named = is_named || (matches && pattern.find('%') == std::string::npos);
      }
      if (!is_meant || seen.contains(dataset.alias) || (!is_named && !may_be_pulled(dataset))) continue;
      seen.insert(dataset.alias);
      planned.emplace_back(dataset.alias, entry);
    }
  }
  return planned;
}

Result<std::unique_ptr<storage::FileLock>> TakeScheduleLock(const std::string& workspace_root) {
  return storage::FileLock::Acquire(workspace_root + "/locks/schedule", std::chrono::milliseconds(0));
}

std::map<std::string, RunState> LoadRunStates(const std::string& workspace_root) {
  std::map<std::string, RunState> states;
  std::ifstream file(workspace_root + "/schedule-state.json", std::ios::binary);
  if (!file) return states;
  const Json json = Json::parse(file, nullptr, false);
  if (!json.is_object()) return states;
  auto time = [](const Json& one, const char* name) -> std::optional<Instant> {
    if (!one.contains(name) || !one[name].is_string()) return std::nullopt;
    auto parsed = ParseInstant(one[name].get<std::string>());
    return parsed.ok() ? std::optional(*parsed) : std::nullopt;
  };
  for (const auto& [alias, one] : json.items()) {
    if (!one.is_object()) continue;
    try {
      RunState state;
      state.last_start = time(one, "lastStart");
      state.last_end = time(one, "lastEnd");
      state.next_run = time(one, "nextRun");
      state.last_failed = one.value("lastFailed", false);
      state.last_error = one.value("lastError", "");
      state.failures = one.value("failures", 0);
      state.runs = one.value("runs", int64_t{0});
      state.missed = one.value("missed", int64_t{0});
      states[alias] = std::move(state);
    } catch (const Json::exception&) {
      continue;
    }
  }
  return states;
}

Status SaveRunStates(const std::string& workspace_root, const std::map<std::string, RunState>& states) {
  Json json = Json::object();
  auto time = [](const std::optional<Instant>& at) { return at ? Json(FormatInstant(*at)) : Json(); };
  for (const auto& [alias, state] : states) {
    json[alias] = {{"lastStart", time(state.last_start)},
                   {"lastEnd", time(state.last_end)},
                   {"nextRun", time(state.next_run)},
                   {"lastFailed", state.last_failed},
                   {"lastError", state.last_error},
                   {"failures", state.failures},
                   {"runs", state.runs},
                   {"missed", state.missed}};
  }
  return workspace::WriteFileDurably(workspace_root + "/schedule-state.json",
                                     json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n", 0644);
}

}  // namespace sluice::poll
