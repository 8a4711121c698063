#include "read/json_columns.h"

#include <arrow/array/array_base.h>
#include <arrow/array/data.h>
#include <arrow/array/util.h>
#include <arrow/buffer.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>

#include <algorithm>
#include <limits>

#include "columnar/arrow_status.h"
#include "read/rejects.h"

namespace sluice::read {
namespace {

// Field metadata that says how a column takes its values.
constexpr char kMarkKey[] = "sluice.json";
constexpr char kTextMark[] = "text";
constexpr char kGuessMark[] = "guess";

enum class LeafKind { kInteger, kExactInteger, kReal, kBool, kString, kJsonText, kTime, kTimestamp, kDate };

std::shared_ptr<arrow::Buffer> BitmapOf(columnar::ValidityBytes* validity, int64_t* null_count) {
  auto bits = validity->TakeBitmap(null_count);
  return *null_count == 0 ? nullptr : arrow::Buffer::FromVector(std::move(bits));
}

// The whole part of a JSON number with fraction or exponent, cut off towards zero; empty when it has more
// than 40 digits.
std::string WholePart(std::string_view number) {
  const bool negative = number[0] == '-';
  if (negative) number.remove_prefix(1);
  const size_t e = number.find_first_of("eE");
  std::string_view mantissa = number.substr(0, e);
  int64_t exponent = 0;
  if (e != std::string_view::npos) {
    std::string_view text = number.substr(e + 1);
    const bool down = text[0] == '-';
    if (text[0] == '+' || down) text.remove_prefix(1);
    for (const char c : text) exponent = std::min<int64_t>(exponent * 10 + (c - '0'), 100000);
    if (down) exponent = -exponent;
  }
  const size_t dot = mantissa.find('.');
  std::string digits(mantissa.substr(0, dot));
  auto point = static_cast<int64_t>(digits.size()) + exponent;
  if (dot != std::string_view::npos) digits += mantissa.substr(dot + 1);
  if (digits.find_first_not_of('0') == std::string::npos || point <= 0) return "0";
  // Leading zeros do not count: 0.00001e6 is 10.
  const size_t zeros = digits.find_first_not_of('0');
  digits.erase(0, zeros);
  point -= static_cast<int64_t>(zeros);
  if (point <= 0) return "0";
  if (point > 40) return "";
  digits.resize(static_cast<size_t>(point), '0');
  return negative ? "-" + digits : digits;
}

bool IsInteger(std::string_view text) {
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

class LeafColumn final : public JsonColumn {
 public:
  LeafColumn(LeafKind kind, bool nullable, std::unique_ptr<columnar::TextCaster> caster)
      : kind_(kind), nullable_(nullable), caster_(std::move(caster)) {}

  Status Append(const std::string_view* cells, size_t stride, size_t count,
                std::vector<BadJson>* bad) override {
    texts_.resize(count);
    bad_.clear();
    arena_.Clear();
    for (size_t i = 0; i < count; ++i) {
      const std::string_view cell = cells[i * stride];
      texts_[i] = {};
      if (cell.data() == nullptr) {
        if (!nullable_) bad->push_back({i, "", "", std::string(columnar::kNullInRequired)});
        continue;
      }
      const char* expected = TextOf(cell, &texts_[i]);
      if (expected != nullptr) {
        texts_[i] = {};
        bad->push_back({i, "", Shortened(cell),
                        fmt::format("expected {}, found {}", expected, NameWithArticle(KindOf(cell)))});
      }
    }
    // Nulls were told above: the caster itself is one of a nullable column.
    RETURN_IF_ERROR(caster_->Append(texts_.data(), 1, count, &bad_));
    for (columnar::BadCell& b : bad_)
      bad->push_back({b.row, "", Shortened(cells[b.row * stride]), std::move(b.reason)});
    return {};
  }

  Result<std::shared_ptr<arrow::Array>> Finish() override { return caster_->Finish(); }

 private:
  // What the caster shall read, or what was expected instead.
  const char* TextOf(std::string_view cell, std::string_view* text) {
    const JsonKind kind = KindOf(cell);
    if (kind == JsonKind::kString) return StringOf(DecodeJsonString(cell, &arena_), text);
    *text = cell;
    switch (kind_) {
      case LeafKind::kInteger:
        if (kind != JsonKind::kNumber) return "a whole number";
        Truncate(cell, text);
        return nullptr;
      case LeafKind::kExactInteger:
        return kind == JsonKind::kNumber ? nullptr : "a whole number";
      case LeafKind::kReal:
        return kind == JsonKind::kNumber ? nullptr : "a number";
      case LeafKind::kBool:
        return kind == JsonKind::kBool ? nullptr : "true or false";
      case LeafKind::kString:
        return "a string";
      case LeafKind::kJsonText:
        *text = arena_.Copy(CanonicalJson(cell));
        return nullptr;
      case LeafKind::kDate:
        return "a date in a string";
      case LeafKind::kTime:
      case LeafKind::kTimestamp:
        if (kind != JsonKind::kNumber) return kind_ == LeafKind::kTime ? "a time of day" : "a timestamp";
        Truncate(cell, text);
        return nullptr;
    }
    return nullptr;
  }

  // A fraction is cut off; what is left may be too large, never rounded.
  void Truncate(std::string_view number, std::string_view* text) {
    if (number.find_first_of(".eE") != std::string_view::npos) *text = arena_.Copy(WholePart(number));
  }

  const char* StringOf(std::string_view decoded, std::string_view* text) {
    *text = decoded;
    if (kind_ == LeafKind::kBool) return "true or false";
    // Digits in a string are no instant; as a number they would be taken raw.
    if (kind_ == LeafKind::kTimestamp && IsInteger(decoded)) return "a timestamp";
    if (kind_ == LeafKind::kTime && IsInteger(decoded)) return "a time of day";
    return nullptr;
  }

  LeafKind kind_;
  bool nullable_;
  std::unique_ptr<columnar::TextCaster> caster_;
  std::vector<std::string_view> texts_;
  std::vector<columnar::BadCell> bad_;
  TextArena arena_;
};

class ListColumn final : public JsonColumn {
 public:
  ListColumn(std::shared_ptr<arrow::DataType> type, bool nullable, std::unique_ptr<JsonColumn> items)
      : type_(std::move(type)), nullable_(nullable), items_(std::move(items)) {}

  Status Append(const std::string_view* cells, size_t stride, size_t count,
                std::vector<BadJson>* bad) override {
    elements_.clear();
    ends_.clear();
    uint8_t* valid = validity_.Extend(count);
    for (size_t i = 0; i < count; ++i) {
      const std::string_view cell = cells[i * stride];
      if (cell.data() == nullptr) {
        valid[i] = 0;
        if (!nullable_) bad->push_back({i, "", "", std::string(columnar::kNullInRequired)});
      } else if (KindOf(cell) != JsonKind::kArray) {
        valid[i] = 0;
        bad->push_back({i, "", Shortened(cell),
                        fmt::format("expected an array, found {}", NameWithArticle(KindOf(cell)))});
      } else {
        ListElements(cell, &elements_);
      }
      if (fixed_size() > 0) FitToSize(cell, i, valid, bad);
      ends_.push_back(elements_.size());
      if (total_ + elements_.size() > std::numeric_limits<int32_t>::max()) {
        return Error(ErrorCode::kResourceExhausted, "more than 2 Gi list items in one batch of a column");
      }
      offsets_.push_back(static_cast<int32_t>(total_ + elements_.size()));
    }
    for (std::string_view& element : elements_) {
      if (element.data() != nullptr && KindOf(element) == JsonKind::kNull) element = {};
    }
    total_ += elements_.size();
    std::vector<BadJson> bad_items;
    RETURN_IF_ERROR(items_->Append(elements_.data(), 1, elements_.size(), &bad_items));
    for (BadJson& item : bad_items) {
      const auto owner = std::upper_bound(ends_.begin(), ends_.end(), item.row) - ends_.begin();
      if (valid[owner] == 0) continue;  // filler of a null list
      bad->push_back(
          {static_cast<size_t>(owner), "[]" + item.path, std::move(item.value), std::move(item.reason)});
    }
    return {};
  }

  Result<std::shared_ptr<arrow::Array>> Finish() override {
    ASSIGN_OR_RETURN(auto items, items_->Finish());
    const auto length = static_cast<int64_t>(validity_.size());
    int64_t null_count = 0;
    std::vector<std::shared_ptr<arrow::Buffer>> buffers = {BitmapOf(&validity_, &null_count)};
    if (fixed_size() == 0) buffers.push_back(arrow::Buffer::FromVector(std::exchange(offsets_, {0})));
    total_ = 0;
    return arrow::MakeArray(
        arrow::ArrayData::Make(type_, length, std::move(buffers), {items->data()}, null_count));
  }

 private:
  size_t fixed_size() const {
    if (type_->id() != arrow::Type::FIXED_SIZE_LIST) return 0;
    return static_cast<size_t>(static_cast<const arrow::FixedSizeListType&>(*type_).list_size());
  }

  // A list of fixed length takes as many items even where it is null.
  void FitToSize(std::string_view cell, size_t row, uint8_t* valid, std::vector<BadJson>* bad) {
    const size_t begin = ends_.empty() ? 0 : ends_.back();
    const size_t found = elements_.size() - begin;
    if (valid[row] != 0 && found != fixed_size()) {
      valid[row] = 0;
      bad->push_back(
          {row, "", Shortened(cell), fmt::format("expected {} items, found {}", fixed_size(), found)});
    }
    if (valid[row] == 0) elements_.resize(begin);
    elements_.resize(begin + fixed_size());
  }

  std::shared_ptr<arrow::DataType> type_;
  bool nullable_;
  std::unique_ptr<JsonColumn> items_;
  columnar::ValidityBytes validity_;
  std::vector<int32_t> offsets_ = {0};
  size_t total_ = 0;  // items of earlier calls
  std::vector<std::string_view> elements_;
  std::vector<size_t> ends_;
};

class StructColumn final : public JsonColumn {
 public:
  // `null_reason` says why a null is refused; empty where it is not.
  StructColumn(std::shared_ptr<arrow::DataType> type, std::string null_reason,
               std::vector<std::unique_ptr<JsonColumn>> children, std::vector<std::string> names)
      : type_(std::move(type)),
        null_reason_(std::move(null_reason)),
        children_(std::move(children)),
        slots_(std::move(names)) {}

  Status Append(const std::string_view* cells, size_t stride, size_t count,
                std::vector<BadJson>* bad) override {
    const size_t width = children_.size();
    values_.assign(width * count, {});
    uint8_t* valid = validity_.Extend(count);
    for (size_t i = 0; i < count; ++i) {
      const std::string_view cell = cells[i * stride];
      if (cell.data() == nullptr) {
        valid[i] = 0;
        if (!null_reason_.empty()) bad->push_back({i, "", "", null_reason_});
      } else if (KindOf(cell) != JsonKind::kObject) {
        valid[i] = 0;
        bad->push_back({i, "", Shortened(cell),
                        fmt::format("expected an object, found {}", NameWithArticle(KindOf(cell)))});
      } else {
        JsonError error;
        slots_.ReadObject(cell.data(), 0, values_.data() + i * width, nullptr, &error);
      }
    }
    for (size_t c = 0; c < width; ++c) {
      std::vector<BadJson> bad_children;
      RETURN_IF_ERROR(children_[c]->Append(values_.data() + c, width, count, &bad_children));
      for (BadJson& child : bad_children) {
        if (valid[child.row] == 0) continue;  // of a null struct, which has no fields
        bad->push_back(
            {child.row, "." + slots_.name(c) + child.path, std::move(child.value), std::move(child.reason)});
      }
    }
    return {};
  }

  Result<std::shared_ptr<arrow::Array>> Finish() override {
    const auto length = static_cast<int64_t>(validity_.size());
    int64_t null_count = 0;
    auto bitmap = BitmapOf(&validity_, &null_count);
    std::vector<std::shared_ptr<arrow::ArrayData>> fields;
    for (auto& child : children_) {
      ASSIGN_OR_RETURN(auto array, child->Finish());
      fields.push_back(array->data());
    }
    return arrow::MakeArray(arrow::ArrayData::Make(type_, length, {bitmap}, std::move(fields), null_count));
  }

 private:
  std::shared_ptr<arrow::DataType> type_;
  std::string null_reason_;
  std::vector<std::unique_ptr<JsonColumn>> children_;
  JsonSlots slots_;
  columnar::ValidityBytes validity_;
  std::vector<std::string_view> values_;
};

bool HasMark(const arrow::Field& field, std::string_view mark) {
  if (!field.metadata()) return false;
  const auto value = field.metadata()->Get(kMarkKey);
  return value.ok() && *value == mark;
}

LeafKind LeafKindOf(const arrow::Field& field) {
  switch (field.type()->id()) {
    case arrow::Type::BOOL:
      return LeafKind::kBool;
    case arrow::Type::HALF_FLOAT:
    case arrow::Type::FLOAT:
    case arrow::Type::DOUBLE:
    case arrow::Type::DECIMAL128:
    case arrow::Type::DECIMAL256:
      return LeafKind::kReal;
    case arrow::Type::DATE32:
    case arrow::Type::DATE64:
      return LeafKind::kDate;
    case arrow::Type::TIME32:
    case arrow::Type::TIME64:
      return LeafKind::kTime;
    case arrow::Type::TIMESTAMP:
      return LeafKind::kTimestamp;
    case arrow::Type::STRING:
      return HasMark(field, kTextMark) ? LeafKind::kJsonText : LeafKind::kString;
    default:
      return HasMark(field, kGuessMark) ? LeafKind::kExactInteger : LeafKind::kInteger;
  }
}

std::shared_ptr<arrow::Field> WithoutMarks(const arrow::Field& field) {
  std::shared_ptr<arrow::DataType> type = field.type();
  if (type->id() == arrow::Type::LIST) {
    type = arrow::list(WithoutMarks(*type->field(0)));
  } else if (type->id() == arrow::Type::STRUCT) {
    arrow::FieldVector children;
    for (const auto& child : type->fields()) children.push_back(WithoutMarks(*child));
    type = arrow::struct_(std::move(children));
  }
  auto clean = field.RemoveMetadata();
  return clean->WithType(std::move(type));
}

}  // namespace

Result<std::unique_ptr<JsonColumn>> JsonColumn::Make(const arrow::Field& field,
                                                     const columnar::CastOptions& options) {
  const auto& type = field.type();
  if (type->id() == arrow::Type::LIST || type->id() == arrow::Type::FIXED_SIZE_LIST) {
    ASSIGN_OR_RETURN(auto items, Make(*type->field(0), options));
    return std::make_unique<ListColumn>(type, field.nullable(), std::move(items));
  }
  if (type->id() == arrow::Type::STRUCT) {
    std::vector<std::unique_ptr<JsonColumn>> children;
    std::vector<std::string> names;
    for (const auto& child : type->fields()) {
      ASSIGN_OR_RETURN(auto column, Make(*child, options));
      children.push_back(std::move(column));
      names.push_back(child->name());
    }
    std::string null_reason;
    if (!field.nullable()) null_reason = columnar::kNullInRequired;
    if (HasMark(field, kGuessMark))
      null_reason = "no object, as the records that the schema was guessed from had";
    return std::make_unique<StructColumn>(type, std::move(null_reason), std::move(children),
                                          std::move(names));
  }
  columnar::CastOptions leaf = options;
  leaf.raw_times = true;
  ASSIGN_OR_RETURN(auto caster, columnar::TextCaster::Make(type, true, leaf));
  return std::make_unique<LeafColumn>(LeafKindOf(field), field.nullable(), std::move(caster));
}

Status CheckJsonSchema(const arrow::Schema& schema) {
  for (const auto& field : schema.fields()) {
    auto column = JsonColumn::Make(*field, {});
    if (!column.ok()) return std::move(column).error().With(fmt::format("column '{}'", field->name()));
  }
  return {};
}

std::shared_ptr<arrow::Field> JsonTextField(const std::string& name) {
  return arrow::field(name, arrow::utf8(), true, arrow::key_value_metadata({kMarkKey}, {kTextMark}));
}

std::shared_ptr<arrow::Field> GuessedField(const std::string& name, std::shared_ptr<arrow::DataType> type) {
  return arrow::field(name, std::move(type), true, arrow::key_value_metadata({kMarkKey}, {kGuessMark}));
}

std::shared_ptr<arrow::Schema> WithoutMarks(const std::shared_ptr<arrow::Schema>& schema) {
  const auto& given = schema->fields();
  if (!schema->metadata() && std::none_of(given.begin(), given.end(), [](const auto& field) {
        return field->metadata() != nullptr || field->type()->num_fields() > 0;
      })) {
    return schema;  // the same object: what follows is known for it already
  }
  arrow::FieldVector fields;
  for (const auto& field : given) fields.push_back(WithoutMarks(*field));
  return arrow::schema(std::move(fields));
}

}  // namespace sluice::read
