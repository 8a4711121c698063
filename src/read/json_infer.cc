#include "read/json_infer.h"

#include <arrow/type.h>

#include <map>

#include "columnar/text_parse.h"
#include "read/json_columns.h"
#include "read/json_text.h"

namespace sluice::read {
namespace {

enum Kind : uint32_t { kBool = 1, kInt = 2, kFloat = 4, kString = 8, kArray = 16, kObject = 32 };

bool IsInt64(std::string_view number) {
  int64_t value;
  return number.find_first_of(".eE") == std::string_view::npos &&
         columnar::ParseInt64(number, &value) == columnar::ParseOutcome::kOk;
}

}  // namespace

struct JsonTypeGuess::Members {
  std::vector<std::string> order;
  std::map<std::string, JsonTypeGuess, std::less<>> guesses;
};

JsonTypeGuess::JsonTypeGuess() = default;
JsonTypeGuess::~JsonTypeGuess() = default;
JsonTypeGuess::JsonTypeGuess(JsonTypeGuess&&) noexcept = default;
JsonTypeGuess& JsonTypeGuess::operator=(JsonTypeGuess&&) noexcept = default;

void JsonTypeGuess::Add(std::string_view value) {
  switch (KindOf(value)) {
    case JsonKind::kNull:
      return;
    case JsonKind::kBool:
      kinds_ |= kBool;
      return;
    case JsonKind::kNumber:
      kinds_ |= IsInt64(value) ? kInt : kFloat;
      return;
    case JsonKind::kString:
      kinds_ |= kString;
      return;
    case JsonKind::kArray: {
      kinds_ |= kArray;
      if (!item_) item_ = std::make_unique<JsonTypeGuess>();
      std::vector<std::string_view> elements;
      ListElements(value, &elements);
      for (const std::string_view element : elements) item_->Add(element);
      return;
    }
    case JsonKind::kObject:
      break;
  }
  kinds_ |= kObject;
  ++objects_;
  if (!members_) members_ = std::make_unique<Members>();
  TextArena arena;
  std::vector<JsonMember> list;
  ListMembers(value, &arena, &list);
  std::map<std::string_view, std::string_view> sorted;
  for (const JsonMember& member : list) sorted[member.key] = member.value;
  for (const auto& [key, member] : sorted) {
    auto found = members_->guesses.find(key);
    if (found == members_->guesses.end()) {
      members_->order.emplace_back(key);
      found = members_->guesses.try_emplace(std::string(key)).first;
    }
    found->second.Add(member);
  }
}

std::shared_ptr<arrow::Field> JsonTypeGuess::FieldOf(const std::string& name, int64_t times) const {
  switch (kinds_) {
    case 0:
    case kString:
      return GuessedField(name, arrow::utf8());
    case kBool:
      return GuessedField(name, arrow::boolean());
    case kInt:
      return GuessedField(name, arrow::int64());
    case kFloat:
    case kInt | kFloat:
      return GuessedField(name, arrow::float64());
    case kArray:
      // Lists of objects have no logical hash.
      if ((item_->kinds_ & kObject) != 0) return JsonTextField(name);
      return GuessedField(name, arrow::list(item_->FieldOf("item", 0)));
    case kObject: {
      // Nor have structs that are null in some rows.
      if (objects_ != times || members_->order.empty()) return JsonTextField(name);
      arrow::FieldVector fields;
      for (const std::string& key : members_->order)
        fields.push_back(members_->guesses.at(key).FieldOf(key, objects_));
      return GuessedField(name, arrow::struct_(std::move(fields)));
    }
    default:
      return JsonTextField(name);
  }
}

std::shared_ptr<arrow::Schema> JsonTypeGuess::schema() const {
  arrow::FieldVector fields;
  if (members_) {
    for (const std::string& key : members_->order)
      fields.push_back(members_->guesses.at(key).FieldOf(key, objects_));
  }
  return arrow::schema(std::move(fields));
}

}  // namespace sluice::read
