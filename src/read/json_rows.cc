#include "read/json_rows.h"

#include <arrow/array/array_base.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <cstring>

#include "read/blocks.h"

namespace sluice::read {
namespace {

constexpr size_t kCellsPerRound = 16384;
constexpr size_t kFirstRows = 16;  // most inputs of a node have few

std::vector<std::string> NamesOf(const arrow::Schema& schema) {
  std::vector<std::string> names;
  for (const auto& field : schema.fields()) names.push_back(field->name());
  return names;
}

}  // namespace

JsonRows::JsonRows(std::shared_ptr<const JsonRowsPlan> plan)
    : plan_(std::move(plan)),
      slots_(NamesOf(*plan_->fields)),
      round_rows_(std::clamp<size_t>(kCellsPerRound / std::max<size_t>(slots_.size(), 1), kFirstRows, 2048)),
      values_(kFirstRows * slots_.size()) {}

Result<std::unique_ptr<JsonRows>> JsonRows::Make(std::shared_ptr<const JsonRowsPlan> plan) {
  std::unique_ptr<JsonRows> rows(new JsonRows(std::move(plan)));
  for (const auto& field : rows->plan_->fields->fields()) {
    ASSIGN_OR_RETURN(auto column, JsonColumn::Make(*field, rows->plan_->cast));
    rows->columns_.push_back(std::move(column));
  }
  return rows;
}

void JsonRows::Refuse(const JsonPlace& place, std::string_view column, std::string_view value,
                      std::string reason) {
  rejects_.Add(place.record, place.line, std::string(column), value, std::move(reason), place.raw);
}

Result<const char*> JsonRows::AddObject(const char* p, JsonPlace place, CheckBehind check_behind,
                                        JsonError* error) {
  std::string unknown;
  std::string* unknown_out = plan_->strict ? &unknown : nullptr;
  const size_t used = places_.size() * slots_.size();
  if (used == values_.size() && used > 0) values_.resize(std::min(round_rows_ * slots_.size(), used * 4));
  std::string_view* values = values_.data() + used;
  const char* next =
      plan_->features ? SkipJsonValue(p, 0, error) : slots_.ReadObject(p, 0, values, unknown_out, error);
  if (next == nullptr || (check_behind != nullptr && check_behind(next, error) == nullptr)) return nullptr;
  place.raw = std::string_view(p, static_cast<size_t>(next - p));
  if (check_text_ && !IsUtf8(place.raw)) {
    Refuse(place, "", place.raw, "not valid UTF-8");
    return next;
  }
  if (plan_->features) {
    auto record = RecordOfFeature(place.raw, &features_);
    if (!record.ok()) {
      Refuse(place, "", place.raw, record.error().message());
      return next;
    }
    slots_.ReadObject(record->data(), 0, values, unknown_out, error);
  }
  if (!unknown.empty()) {
    Refuse(place, unknown, "", "field is not in the schema");
    return next;
  }
  places_.push_back(place);
  if (places_.size() == round_rows_) RETURN_IF_ERROR(Flush());
  return next;
}

Status JsonRows::Flush() {
  const size_t width = slots_.size();
  std::vector<BadJson> bad;
  for (size_t c = 0; c < width; ++c) {
    bad.clear();
    RETURN_IF_ERROR(columns_[c]->Append(values_.data() + c, width, places_.size(), &bad));
    for (BadJson& b : bad) {
      if (!rejects_.MarkRow(flushed_rows_ + static_cast<int64_t>(b.row))) continue;
      Refuse(places_[b.row], slots_.name(c) + b.path, b.value, std::move(b.reason));
    }
  }
  flushed_rows_ += static_cast<int64_t>(places_.size());
  places_.clear();
  features_.Clear();
  return {};
}

Result<std::shared_ptr<arrow::RecordBatch>> JsonRows::Finish() {
  RETURN_IF_ERROR(Flush());
  arrow::ArrayVector arrays;
  for (auto& column : columns_) {
    ASSIGN_OR_RETURN(auto array, column->Finish());
    arrays.push_back(std::move(array));
  }
  auto batch = arrow::RecordBatch::Make(plan_->schema, std::exchange(flushed_rows_, 0), std::move(arrays));
  return DropRows(batch, rejects_.rows());
}

Result<std::string_view> RecordOfFeature(std::string_view feature, TextArena* arena) {
  TextArena keys;
  std::vector<JsonMember> members;
  ListMembers(feature, &keys, &members);
  std::string_view type, properties, geometry;
  for (const JsonMember& member : members) {
    if (member.key == "type") type = member.value;
    if (member.key == "properties") properties = member.value;
    if (member.key == "geometry") geometry = member.value;
  }
  if (type != "\"Feature\"") {
    return InvalidArgument("expected a feature, but its type is {}",
                           type.data() == nullptr ? "absent" : Shortened(type));
  }
  const auto is_object = [](std::string_view value) {
    return value.data() != nullptr && KindOf(value) == JsonKind::kObject;
  };
  if (!is_object(properties)) return InvalidArgument("feature without an object 'properties'");
  if (!is_object(geometry)) return InvalidArgument("feature without an object 'geometry'");
  // Of equal keys the last one counts, so the geometry goes behind a property of that name.
  std::string record(properties.substr(0, properties.size() - 1));
  if (SkipJsonSpace(record.c_str() + 1) != record.c_str() + record.size()) record += ',';
  record += "\"geometry\":";
  AppendJsonString(CanonicalJson(geometry), &record);
  record += '}';
  char* copy = arena->Allocate(record.size() + kBlockPadding);
  std::memcpy(copy, record.data(), record.size());
  std::memset(copy + record.size(), 0, kBlockPadding);
  return std::string_view(copy, record.size());
}

}  // namespace sluice::read
