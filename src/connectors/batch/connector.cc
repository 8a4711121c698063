#include "connectors/batch/connector.h"

#include <arrow/api.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "pipeline/field_path.h"
#include "pipeline/registry.h"
#include "pipeline/rows.h"
#include "pipeline/settings.h"

namespace sluice::connectors {
namespace {

using pipeline::Batch;
using pipeline::FieldPath;

class Regroup final : public pipeline::Processor {
 public:
  explicit Regroup(std::vector<FieldPath> by) : by_(std::move(by)) {}

  Result<Batch> Process(Batch batch, std::vector<Reject>*, std::stop_token) override {
    // Where an upstream counts positions, rows stay in its order.
    if (!batch.next.empty() || batch.rows() < 2) return batch;
    const std::vector<size_t> groups = GroupsOf(*batch.records);
    if (std::is_sorted(groups.begin(), groups.end())) return batch;
    std::vector<int32_t> order(groups.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      return groups[static_cast<size_t>(a)] < groups[static_cast<size_t>(b)];
    });
    return pipeline::TakeRows(batch, order);
  }

 private:
  // The number of each row's group, counted in the order in which groups appear.
  std::vector<size_t> GroupsOf(const arrow::RecordBatch& records) {
    std::map<std::vector<std::string>, size_t> numbers;
    std::vector<size_t> groups;
    groups.reserve(static_cast<size_t>(records.num_rows()));
    for (int64_t row = 0; row < records.num_rows(); ++row) {
      std::vector<std::string> key;
      for (const FieldPath& path : by_) {
        const pipeline::FieldValue value = reader_.Read(records, row, path);
        key.emplace_back(value.kind == pipeline::ValueKind::kAbsent ? std::string_view() : value.text);
      }
      groups.push_back(numbers.try_emplace(std::move(key), numbers.size()).first->second);
    }
    return groups;
  }

  const std::vector<FieldPath> by_;
  pipeline::FieldReader reader_;
};

}  // namespace

void RegisterBatch(pipeline::Registry& registry) {
  pipeline::Declaration d;
  d.kind = pipeline::ConnectorKind::kProcessor;
  d.type = "batch";
  d.summary = "Puts records of one group next to each other within a batch";
  d.tier = pipeline::Tier::kStable;
  d.guarantee_text =
      "Changes the order of records, not what they are; those of a source with positions keep theirs. How large "
      "batches are and how long they wait is the pipeline's `batch`.";
  d.options = {
      {.name = "by",
       .type = pipeline::OptionType::kTexts,
       .description = "Fields that make a group, such as [tenant_id, source_id] or [metadata.topic]",
       .is_required = true},
  };
  d.example = "type: batch\nby: [tenant_id]\n";
  registry.Add(std::move(d),
               [](const pipeline::Settings& settings,
                  pipeline::Environment&) -> Result<std::unique_ptr<pipeline::Processor>> {
                 std::vector<FieldPath> by;
                 for (const std::string& name : settings.texts("by")) {
                   auto path = FieldPath::Parse(name);
                   if (!path.ok()) return settings.Complain("by", path.error().message());
                   by.push_back(std::move(path).value());
                 }
                 if (by.empty()) return settings.Complain("by", "a field is missing");
                 return std::unique_ptr<pipeline::Processor>(std::make_unique<Regroup>(std::move(by)));
               });
}

}  // namespace sluice::connectors
