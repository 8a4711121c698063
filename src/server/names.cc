#include "server/names.h"

#include <algorithm>
#include <cctype>

namespace sluice::server {
namespace {

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

}  // namespace

Result<std::shared_ptr<const Names::Table>> Names::Load() {
  uint64_t generation;
  {
    std::lock_guard lock(mutex_);
    if (table_) return table_;
    generation = generation_;
  }
  ASSIGN_OR_RETURN(auto entries, workspace_.List());
  auto table = std::make_shared<Table>();
  for (auto& entry : entries) table->emplace(Lower(entry.alias), std::move(entry));
  std::lock_guard lock(mutex_);
  // Kept only when nothing can have changed since the listing began.
  if (!is_suspended_ && generation == generation_) table_ = table;
  return std::shared_ptr<const Table>(std::move(table));
}

Result<workspace::Entry> Names::Resolve(const std::string& ref) {
  ASSIGN_OR_RETURN(const auto table, Load());
  if (auto it = table->find(Lower(ref)); it != table->end()) return it->second;
  return workspace_.Resolve(ref);  // an id, or an error with near names
}

Result<std::vector<workspace::Entry>> Names::List() {
  ASSIGN_OR_RETURN(const auto table, Load());
  std::vector<workspace::Entry> entries;
  for (const auto& [name, entry] : *table) entries.push_back(entry);
  return entries;
}

void Names::Invalidate() {
  std::lock_guard lock(mutex_);
  ++generation_;
  table_.reset();
}

Status Names::Change(std::chrono::milliseconds wait, const std::function<Status()>& change) {
  std::shared_lock turn(turn_, wait);
  if (!turn.owns_lock())
    return MakeError(ErrorCode::kUnavailable, "another process is changing the workspace; try again");
  Status status = change();
  Invalidate();
  return status;
}

void Names::Suspend() {
  turn_.lock();
  std::lock_guard lock(mutex_);
  ++generation_;
  is_suspended_ = true;
  table_.reset();
}

void Names::Resume() {
  {
    std::lock_guard lock(mutex_);
    ++generation_;
    is_suspended_ = false;
  }
  turn_.unlock();
}

}  // namespace sluice::server
