#include "pipeline/intake_gate.h"

#include <arrow/api.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "columnar/arrow_status.h"
#include "pipeline/record.h"
#include "pipeline/rows.h"

namespace sluice::pipeline {
namespace {

constexpr int kTenant = static_cast<int>(Column::kTenantId);
// Allowances gather for so long while nothing is sent.
constexpr double kBurstSeconds = 1.0;
constexpr size_t kMaxBuckets = 100'000;

const arrow::StringArray& Tenants(const arrow::RecordBatch& records) {
  return static_cast<const arrow::StringArray&>(*records.column(kTenant));
}

Status SetTenant(const std::string& tenant, Batch* batch) {
  const auto& given = Tenants(*batch->records);
  bool is_missing = false;
  for (int64_t row = 0; row < given.length() && !is_missing; ++row) is_missing = given.value_length(row) == 0;
  if (!is_missing) return {};
  arrow::StringBuilder builder;
  for (int64_t row = 0; row < given.length(); ++row) {
    RETURN_IF_ARROW_ERROR(given.value_length(row) == 0 ? builder.Append(tenant)
                                                       : builder.Append(given.GetView(row)));
  }
  std::shared_ptr<arrow::Array> column;
  RETURN_IF_ARROW_ERROR(builder.Finish(&column));
  ASSIGN_OR_RETURN_ARROW(
      batch->records, batch->records->SetColumn(kTenant, RecordSchema()->field(kTenant), std::move(column)));
  return {};
}

}  // namespace

Result<Admitted> Admit(const TenantOptions& options, Delivery* delivery) {
  Admitted admitted;
  Batch& batch = delivery->batch;
  if (!batch.records || batch.records->num_columns() != kColumns)
    return Internal("a delivery without records");
  if (!delivery->tenant.empty()) RETURN_IF_ERROR(SetTenant(delivery->tenant, &batch));
  ASSIGN_OR_RETURN(batch.records, FillUuids(batch.records));
  for (const auto& refusal : delivery->refused) admitted.refused.emplace_back(refusal.row, refusal.reason);
  const auto& tenants = Tenants(*batch.records);
  const uint64_t row_bytes =
      batch.rows() == 0 ? 0 : SizeOf(*batch.records) / static_cast<uint64_t>(batch.rows());
  auto next_refused = delivery->refused.begin();
  std::pair<uint64_t, uint64_t>* counted = nullptr;
  std::string_view last;
  std::optional<std::string_view> checked;  // the tenant that is_known is about
  bool is_known = true;
  for (int64_t row = 0; row < batch.rows(); ++row) {
    if (next_refused != delivery->refused.end() && next_refused->row == row) {
      ++next_refused;
      continue;
    }
    const std::string_view tenant = tenants.GetView(row);
    if (!delivery->tenant.empty() && tenant != delivery->tenant) {
      admitted.refused.emplace_back(
          row, fmt::format("field 'tenant_id': '{}' is not the tenant of the credential, '{}'", tenant,
                           delivery->tenant));
      continue;
    }
    if (!checked || tenant != *checked) {
      checked = tenant;
      is_known = options.known.empty() ||
                 std::find(options.known.begin(), options.known.end(), tenant) != options.known.end();
    }
    if (!is_known) {
      admitted.refused.emplace_back(row, fmt::format("field 'tenant_id': there is no tenant '{}'", tenant));
      continue;
    }
    admitted.rows.push_back(static_cast<int32_t>(row));
    if (counted == nullptr || tenant != last) {
      counted = &admitted.tenants[std::string(tenant)];
      last = tenant;
    }
    counted->first += 1;
    counted->second += row_bytes;
  }
  admitted.is_all = admitted.refused.empty();
  if (admitted.tenants.size() == 1) admitted.flow = admitted.tenants.begin()->first;
  // Positions have an order, which turns between tenants would break.
  if (!batch.partition.empty()) admitted.flow = "partition " + batch.partition;
  return admitted;
}

const TenantLimits& TenantBuckets::LimitsOf(const std::string& tenant) const {
  const auto found = options_.named.find(tenant);
  return found == options_.named.end() ? options_.all : found->second;
}

Millis TenantBuckets::WaitFor(const std::map<std::string, std::pair<uint64_t, uint64_t>>& tenants,
                              std::string* who) {
  const auto now = std::chrono::steady_clock::now();
  double wait = 0;
  for (const auto& [tenant, sent] : tenants) {
    const TenantLimits& limits = LimitsOf(tenant);
    if (limits.records_per_second <= 0 && limits.bytes_per_second == 0) continue;
    if (buckets_.size() > kMaxBuckets) buckets_.clear();
    auto [found, is_new] = buckets_.try_emplace(tenant);
    Bucket& bucket = found->second;
    const double records = limits.records_per_second;
    const auto bytes = static_cast<double>(limits.bytes_per_second);
    if (is_new) {
      bucket = {records * kBurstSeconds, bytes * kBurstSeconds, now};
    } else {
      const double passed = std::chrono::duration<double>(now - bucket.updated).count();
      bucket.records = std::min(bucket.records + passed * records, records * kBurstSeconds);
      bucket.bytes = std::min(bucket.bytes + passed * bytes, bytes * kBurstSeconds);
      bucket.updated = now;
    }
    // A little debt is allowed, so that a batch larger than the allowance passes at all.
    if (records > 0 && bucket.records <= 0) wait = std::max(wait, -bucket.records / records + 0.001);
    if (bytes > 0 && bucket.bytes <= 0) wait = std::max(wait, -bucket.bytes / bytes + 0.001);
    if (wait > 0 && who->empty()) *who = tenant;
  }
  return Millis(static_cast<int64_t>(wait * 1000 + 0.999));
}

void TenantBuckets::Add(const std::map<std::string, std::pair<uint64_t, uint64_t>>& tenants, double sign) {
  for (const auto& [tenant, sent] : tenants) {
    const auto found = buckets_.find(tenant);
    if (found == buckets_.end()) continue;
    found->second.records += sign * static_cast<double>(sent.first);
    found->second.bytes += sign * static_cast<double>(sent.second);
  }
}

void TenantBuckets::GiveBack(const std::map<std::string, std::pair<uint64_t, uint64_t>>& tenants) {
  std::lock_guard lock(mutex_);
  Add(tenants, 1);
}

namespace {

// What there is no limit of is not told.
std::string Shown(const TenantLimits& limits) {
  std::string text;
  if (limits.records_per_second > 0) text = fmt::format("{} records", limits.records_per_second);
  if (limits.bytes_per_second > 0)
    text += fmt::format("{}{} bytes", text.empty() ? "" : " and ", limits.bytes_per_second);
  return text;
}

}  // namespace

Status TenantBuckets::Spend(const std::map<std::string, std::pair<uint64_t, uint64_t>>& tenants,
                            Millis patience, Millis* how_long) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (true) {
    Millis wait{0};
    {
      std::lock_guard lock(mutex_);
      std::string who;
      wait = WaitFor(tenants, &who);
      if (wait.count() == 0) {
        Add(tenants, -1);
        return {};
      }
      if (std::chrono::steady_clock::now() + wait > deadline) {
        *how_long = wait;
        return MakeError(ErrorCode::kResourceExhausted,
                         "tenant '{}' is over its limit of {} a second; wait {} ms", who,
                         Shown(LimitsOf(who)), wait.count());
      }
    }
    std::this_thread::sleep_for(std::min(wait, Millis(100)));
  }
}

}  // namespace sluice::pipeline
