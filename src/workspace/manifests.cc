#include "workspace/manifests.h"

#include <algorithm>

namespace sluice::workspace {
namespace {

bool Takes(const odf::DatasetSnapshot& snapshot, const std::string& name) {
  return std::any_of(
      snapshot.metadata.begin(), snapshot.metadata.end(), [&](const odf::MetadataEvent& event) {
        const auto* transform = std::get_if<odf::SetTransform>(&event);
        return transform && std::any_of(transform->inputs.begin(), transform->inputs.end(),
                                        [&](const auto& input) { return input.dataset_ref == name; });
      });
}

}  // namespace

Result<std::vector<size_t>> DependencyOrder(const std::vector<const odf::DatasetSnapshot*>& snapshots) {
  std::vector<size_t> order, left;
  for (size_t i = 0; i < snapshots.size(); ++i) left.push_back(i);
  while (!left.empty()) {
    const auto ready = std::find_if(left.begin(), left.end(), [&](size_t candidate) {
      return std::none_of(left.begin(), left.end(),
                          [&](size_t other) { return Takes(*snapshots[candidate], snapshots[other]->name); });
    });
    if (ready == left.end()) {
      return InvalidArgument("datasets depend on each other in a circle, '{}' among them",
                             snapshots[left.front()]->name);
    }
    order.push_back(*ready);
    left.erase(ready);
  }
  return order;
}

Status ResolveInputs(const Workspace& workspace, const std::vector<NewDataset>& made,
                     std::vector<odf::MetadataEvent>* events) {
  for (auto& event : *events) {
    auto* transform = std::get_if<odf::SetTransform>(&event);
    if (!transform) continue;
    for (auto& input : transform->inputs) {
      const auto with_it = std::find_if(made.begin(), made.end(), [&](const NewDataset& other) {
        return other.snapshot.name == input.dataset_ref;
      });
      std::string id;
      if (with_it != made.end()) {
        id = with_it->key.id().ToString();
      } else {
        ASSIGN_OR_RETURN(auto entry, workspace.Resolve(input.dataset_ref));
        id = entry.id.ToString();
      }
      if (!input.alias) input.alias = input.dataset_ref;
      input.dataset_ref = std::move(id);
    }
  }
  return {};
}

}  // namespace sluice::workspace
