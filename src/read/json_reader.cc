#include "read/json_reader.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>

#include "base/cancel.h"
#include "read/blocks.h"
#include "read/csv_infer.h"
#include "read/encoding.h"
#include "read/json_infer.h"
#include "read/json_rows.h"
#include "read/text_options.h"

namespace sluice::read {
namespace {

constexpr std::string_view kFeatureCollection = "\"FeatureCollection\"";

// The last member of that name; nothing when absent.
std::string_view MemberOf(std::string_view object, std::string_view name) {
  TextArena arena;
  std::vector<JsonMember> members;
  ListMembers(object, &arena, &members);
  std::string_view found;
  for (const JsonMember& member : members) {
    if (member.key == name) found = member.value;
  }
  return found;
}

int64_t LineAt(std::string_view text, const char* p) { return std::count(text.data(), p, '\n') + 1; }

// Elements of an array inside one checked document, in batches.
class JsonDocumentReader final : public Reader {
 public:
  JsonDocumentReader(TextBlock document, uint64_t bytes, std::string_view array,
                     std::shared_ptr<const JsonRowsPlan> rows, const ReadOptions& options)
      : document_(std::move(document)),
        bytes_(bytes),
        rows_(std::move(rows)),
        batch_rows_(std::max<int64_t>(options.batch_rows, 1)),
        stop_(options.stop) {
    counted_ = document_.text().data();
    p_ = array.data() == nullptr ? nullptr : SkipJsonSpace(array.data() + 1);
    if (p_ != nullptr && *p_ == ']') p_ = nullptr;
  }

  std::shared_ptr<arrow::Schema> schema() const override {
    return rows_->schema && rows_->schema->num_fields() > 0 ? rows_->schema : nullptr;
  }
  uint64_t bytes_read() const override { return bytes_; }

  Result<std::optional<ReadBatch>> Next() override {
    RETURN_IF_ERROR(CheckCancelled(stop_));
    if (p_ == nullptr) return std::optional<ReadBatch>();
    ASSIGN_OR_RETURN(auto rows, JsonRows::Make(rows_));
    for (int64_t i = 0; i < batch_rows_ && p_ != nullptr; ++i) RETURN_IF_ERROR(ReadElement(rows.get()));
    ReadBatch batch;
    ASSIGN_OR_RETURN(batch.rows, rows->Finish());
    batch.rejects = rows->TakeRejects();
    return std::optional<ReadBatch>(std::move(batch));
  }

 private:
  Status ReadElement(JsonRows* rows) {
    line_ += CountLineFeeds(counted_, p_);
    counted_ = p_;
    JsonPlace place{{}, record_++, line_};
    JsonError error;
    const char* next;
    if (*p_ == '{') {
      ASSIGN_OR_RETURN(next, rows->AddObject(p_, place, nullptr, &error));
    } else {
      next = SkipJsonValue(p_, 0, &error);
    }
    if (next == nullptr) return Internal("JSON that was checked before: {}", error.reason);
    if (*p_ != '{') {
      place.raw = std::string_view(p_, static_cast<size_t>(next - p_));
      rows->Refuse(place, "", place.raw,
                   fmt::format("expected an object, found {}", NameWithArticle(KindOf(place.raw))));
    }
    next = SkipJsonSpace(next);
    p_ = *next == ',' ? SkipJsonSpace(next + 1) : nullptr;
    return {};
  }

  TextBlock document_;
  const uint64_t bytes_;
  std::shared_ptr<const JsonRowsPlan> rows_;
  const int64_t batch_rows_;
  const std::stop_token stop_;
  const char* p_ = nullptr;  // the next element, null at the end
  const char* counted_ = nullptr;
  int64_t record_ = 0, line_ = 0;
};

Result<std::string_view> CheckDocument(const TextBlock& document, const std::string& input) {
  const std::string_view text = document.text();
  if (!IsUtf8(text)) return InvalidArgument("'{}' is not valid UTF-8{}", input, AdviceAbout(text));
  const char* start = SkipJsonSpace(text.data());
  JsonError error;
  const char* end = SkipJsonValue(start, 0, &error);
  if (end != nullptr && SkipJsonSpace(end) != text.data() + text.size())
    error = {SkipJsonSpace(end), "text after the document"};
  if (error.reason != nullptr) {
    return InvalidArgument("malformed JSON in line {} of '{}': {}", LineAt(text, error.at), input,
                           error.reason);
  }
  return std::string_view(start, static_cast<size_t>(end - start));
}

// The array at `sub_path`, or the root.
Result<std::string_view> ArrayAt(std::string_view root, const std::string& sub_path) {
  std::string_view value = root;
  size_t begin = 0;
  while (begin < sub_path.size()) {
    const size_t dot = std::min(sub_path.find('.', begin), sub_path.size());
    const std::string_view key = std::string_view(sub_path).substr(begin, dot - begin);
    if (KindOf(value) == JsonKind::kObject) {
      value = MemberOf(value, key);
    } else {
      value = {};
    }
    if (value.data() == nullptr || KindOf(value) == JsonKind::kNull) {
      return InvalidArgument("Sub-path not found: {}", sub_path.substr(0, dot));
    }
    begin = dot + 1;
  }
  if (KindOf(value) != JsonKind::kArray) {
    return InvalidArgument("Sub-path does not specify an array: {}", sub_path.empty() ? "." : sub_path);
  }
  return value;
}

Result<std::string_view> FeaturesOf(std::string_view root) {
  if (KindOf(root) != JsonKind::kObject) {
    return InvalidArgument("expected a FeatureCollection, found {}", NameWithArticle(KindOf(root)));
  }
  const std::string_view type = MemberOf(root, "type");
  if (type != kFeatureCollection) {
    return InvalidArgument("expected a FeatureCollection, found {}",
                           type.data() == nullptr ? "no type" : "type " + Shortened(type));
  }
  const std::string_view features = MemberOf(root, "features");
  if (features.data() == nullptr || KindOf(features) != JsonKind::kArray) {
    return InvalidArgument("the FeatureCollection has no array 'features'");
  }
  return features;
}

Result<std::shared_ptr<arrow::Schema>> Guess(std::string_view array, bool features,
                                             const std::string& input) {
  JsonTypeGuess guess;
  size_t seen = 0;
  TextArena arena;
  std::vector<std::string_view> elements;
  ListElements(array, &elements);
  for (const std::string_view element : elements) {
    if (seen == kInferenceRecords) break;
    if (KindOf(element) != JsonKind::kObject) continue;
    if (!features) {
      guess.Add(element);
    } else {
      auto record = RecordOfFeature(element, &arena);
      if (!record.ok()) continue;
      guess.Add(*record);
    }
    ++seen;
  }
  auto schema = guess.schema();
  if (seen > 0 && schema->num_fields() == 0)
    return InvalidArgument("none of the first {} records of '{}' has a field", seen, input);
  return schema;
}

}  // namespace

Result<std::unique_ptr<Reader>> OpenJsonDocument(const odf::ReadStep& step,
                                                 std::shared_ptr<arrow::Schema> declared,
                                                 std::unique_ptr<ByteSource> source,
                                                 const ReadOptions& options) {
  auto rows = std::make_shared<JsonRowsPlan>();
  ASSIGN_OR_RETURN(rows->cast, CastOptionsOf(step));
  rows->strict = options.strict_columns;
  rows->features = step.format == odf::ReadFormat::kGeoJson;
  rows->fields = std::move(declared);
  ASSIGN_OR_RETURN(source, Transcode(std::move(source), step.encoding.value_or("")));
  const std::string input = source->name();
  ASSIGN_OR_RETURN(TextBlock document, ReadAll(source.get(), options.stop));
  const uint64_t bytes = document.size;
  std::string_view array;
  if (SkipJsonSpace(document.data.get()) < document.data.get() + document.size) {
    ASSIGN_OR_RETURN(const std::string_view root, CheckDocument(document, input));
    auto found = rows->features ? FeaturesOf(root) : ArrayAt(root, step.sub_path.value_or(""));
    if (!found.ok()) return std::move(found).error().With(fmt::format("'{}'", input));
    array = *found;
    if (!rows->fields) {
      ASSIGN_OR_RETURN(rows->fields, Guess(array, rows->features, input));
    }
  }
  if (!rows->fields) rows->fields = arrow::schema(arrow::FieldVector{});
  rows->schema = WithoutMarks(rows->fields);
  return std::make_unique<JsonDocumentReader>(std::move(document), bytes, array, std::move(rows), options);
}

}  // namespace sluice::read
