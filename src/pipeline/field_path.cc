#include "pipeline/field_path.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <simdjson.h>

#include <charconv>

#include "base/instant.h"
#include "base/names.h"

namespace sluice::pipeline {
namespace {

namespace dom = simdjson::dom;

std::vector<std::string> FieldNames() {
  std::vector<std::string> names;
  for (int i = 0; i < kColumns; ++i) names.emplace_back(ColumnName(static_cast<Column>(i)));
  return names;
}

Error NoPath(std::string_view text, std::string_view why) {
  return InvalidArgument("'{}' is no place in a record: {}", text, why);
}

// One step at `*at`: `.key`, `."key"` or `[3]`.
Result<FieldPath::Step> ReadStep(std::string_view text, size_t* at) {
  if (text[*at] == '[') {
    const size_t end = text.find(']', *at);
    if (end == std::string_view::npos) return NoPath(text, "a bracket is not closed");
    size_t index = 0;
    const char* begin = text.data() + *at + 1;
    const auto [stop, error] = std::from_chars(begin, text.data() + end, index);
    if (error != std::errc() || stop != text.data() + end)
      return NoPath(text, "between brackets stands a number, counted from 0");
    *at = end + 1;
    return FieldPath::Step(index);
  }
  if (text[*at] != '.') return NoPath(text, "after a value comes '.' or '['");
  size_t begin = *at + 1;
  size_t end = 0;
  if (begin < text.size() && text[begin] == '"') {
    ++begin;
    end = text.find('"', begin);
    if (end == std::string_view::npos) return NoPath(text, "a quote is not closed");
    *at = end + 1;
  } else {
    end = std::min(text.find_first_of(".[", begin), text.size());
    *at = end;
  }
  if (end == begin) return NoPath(text, "a name is empty");
  return FieldPath::Step(std::string(text.substr(begin, end - begin)));
}

}  // namespace

Result<FieldPath> FieldPath::Parse(std::string_view text) {
  FieldPath path;
  path.text = text;
  size_t at = std::min(text.find_first_of(".["), text.size());
  const std::string_view name = text.substr(0, at);
  const std::vector<std::string> names = FieldNames();
  size_t column = 0;
  while (column < names.size() && names[column] != name) ++column;
  if (column == names.size()) {
    const std::vector<std::string> near = NearNames(name, names, 1);
    return InvalidArgument(
        "'{}' is no field of a record{}; the fields are {}, and unknown ones are extra.NAME", name,
        near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near[0]), JoinNames(names));
  }
  path.column = static_cast<Column>(column);
  if (at < text.size() && path.column != Column::kMetadata && path.column != Column::kExtra)
    return NoPath(text, fmt::format("'{}' has no inside; metadata and extra have", name));
  while (at < text.size()) {
    ASSIGN_OR_RETURN(Step step, ReadStep(text, &at));
    path.steps.push_back(std::move(step));
  }
  return path;
}

struct FieldReader::Impl {
  dom::parser parser;
  std::string text;
  std::vector<std::string> elements;

  // False when there is nothing at the path.
  bool Find(std::string_view json, const FieldPath& path, dom::element* found) {
    if (parser.parse(json.data(), json.size()).get(*found) != simdjson::SUCCESS) return false;
    for (const FieldPath::Step& step : path.steps) {
      if (const auto* key = std::get_if<std::string>(&step)) {
        dom::object object;
        if (found->get_object().get(object) != simdjson::SUCCESS ||
            object.at_key(*key).get(*found) != simdjson::SUCCESS)
          return false;
      } else {
        dom::array array;
        if (found->get_array().get(array) != simdjson::SUCCESS ||
            array.at(std::get<size_t>(step)).get(*found) != simdjson::SUCCESS)
          return false;
      }
    }
    return true;
  }

  // The value as a text; true when it is no list or object.
  static bool ScalarText(const dom::element& element, std::string* out) {
    if (element.is_array() || element.is_object()) return false;
    std::string_view view;
    if (element.get_string().get(view) == simdjson::SUCCESS) {
      *out = view;
    } else {
      *out = simdjson::minify(element);
    }
    return true;
  }

  FieldValue ValueOf(const dom::element& element) {
    FieldValue value;
    switch (element.type()) {
      case dom::element_type::NULL_VALUE:
        return {};
      case dom::element_type::STRING:
        value.kind = ValueKind::kText;
        value.text = element.get_string().value_unsafe();
        return value;
      case dom::element_type::BOOL:
        value.kind = ValueKind::kBoolean;
        value.text = element.get_bool().value_unsafe() ? "true" : "false";
        return value;
      case dom::element_type::ARRAY: {
        value.kind = ValueKind::kList;
        elements.clear();
        const dom::array items = element.get_array().value_unsafe();
        for (const dom::element item : items) {
          std::string item_text;
          if (ScalarText(item, &item_text)) elements.push_back(std::move(item_text));
        }
        value.elements = &elements;
        break;
      }
      case dom::element_type::OBJECT:
        value.kind = ValueKind::kObject;
        break;
      default:
        value.kind = ValueKind::kNumber;
    }
    text = simdjson::minify(element);
    value.text = text;
    return value;
  }

  FieldValue TimeOf(const arrow::Array& column, int64_t row) {
    const int64_t micros = static_cast<const arrow::TimestampArray&>(column).Value(row);
    const int64_t seconds = micros / 1'000'000 - (micros % 1'000'000 < 0 ? 1 : 0);
    text = FormatInstant({seconds, static_cast<uint32_t>((micros - seconds * 1'000'000) * 1000)});
    return {ValueKind::kText, text, nullptr};
  }
};

FieldReader::FieldReader() : impl_(std::make_unique<Impl>()) {}
FieldReader::~FieldReader() = default;
FieldReader::FieldReader(FieldReader&&) noexcept = default;
FieldReader& FieldReader::operator=(FieldReader&&) noexcept = default;

FieldValue FieldReader::Read(const arrow::RecordBatch& records, int64_t row, const FieldPath& path) {
  const arrow::Array& column = *records.column(static_cast<int>(path.column));
  if (column.IsNull(row)) return {};
  if (path.column == Column::kCreatedAt || path.column == Column::kUpdatedAt)
    return impl_->TimeOf(column, row);
  const std::string_view text = static_cast<const arrow::StringArray&>(column).GetView(row);
  const bool is_json = path.column == Column::kMetadata || path.column == Column::kExtra;
  if (!is_json) return text.empty() ? FieldValue{} : FieldValue{ValueKind::kText, text, nullptr};
  dom::element element;
  if (!impl_->Find(text, path, &element)) return {};
  return impl_->ValueOf(element);
}

}  // namespace sluice::pipeline
