#include "read/sniff.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <map>

#include "base/cancel.h"
#include "read/encoding.h"
#include "read/json_text.h"
#include "read/rejects.h"
#include "read/sniff_internal.h"

namespace sluice::read {
namespace {

constexpr int kMostTries = 40;

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

// The head in UTF-8, followed by padding.
Result<TextBlock> HeadText(const SniffInput& input, const std::string& encoding) {
  ASSIGN_OR_RETURN(auto source, Transcode(MakeMemorySource(input.head, input.name), encoding));
  std::string text;
  char buffer[64 << 10];
  for (;;) {
    auto n = source->Read(buffer, sizeof buffer);
    // The head of a longer text may end within a character.
    if (!n.ok() && !input.head_is_all && !text.empty()) break;
    if (!n.ok()) return std::move(n).error();
    if (*n == 0) break;
    text.append(buffer, *n);
  }
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
  if (!input.head_is_all) {
    const size_t end = text.rfind('\n');
    if (end != std::string::npos) text.resize(end + 1);
  }
  TextBlock block;
  block.size = text.size();
  block.data.reset(new char[text.size() + kBlockPadding]());
  std::memcpy(block.data.get(), text.data(), text.size());
  return block;
}

Status RefuseHtml(std::string_view text, const std::string& name) {
  const std::string start = Lower(text.substr(0, 256));
  const size_t first = start.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return {};
  const std::string_view rest = std::string_view(start).substr(first);
  if (!rest.starts_with("<!doctype html") && !rest.starts_with("<html") && !rest.starts_with("<?xml"))
    return {};
  const std::string_view line = text.substr(first, std::min(text.find('\n', first), text.size()) - first);
  return InvalidArgument("'{}' is a page of markup, not data: {}", name, Shortened(line));
}

// A walk through the start of a JSON document that may be cut off: which keys lead to the first array of
// objects.
class ArrayFinder {
 public:
  explicit ArrayFinder(std::string_view text) : p_(text.data()), end_(text.data() + text.size()) {}

  // Dotted keys; nothing when there is no such array.
  std::optional<std::string> Find() {
    if (Value(0)) return path_;
    return std::nullopt;
  }

 private:
  static constexpr int kMostKeys = 6;

  bool Value(int depth) {
    p_ = SkipJsonSpace(p_);
    if (p_ >= end_) return false;
    if (*p_ == '[') {
      const char* inside = SkipJsonSpace(p_ + 1);
      if (inside < end_ && *inside == '{') return true;
    }
    if (*p_ == '{' && depth < kMostKeys) return Members(depth);
    JsonError error;
    p_ = SkipJsonValue(p_, 0, &error);
    if (p_ == nullptr) p_ = end_;
    return false;
  }

  bool Members(int depth) {
    p_ = SkipJsonSpace(p_ + 1);
    while (p_ < end_ && *p_ == '"') {
      JsonError error;
      const char* key = p_;
      p_ = SkipJsonValue(p_, 0, &error);
      if (p_ == nullptr) return p_ = end_, false;
      TextArena arena;
      const std::string name(DecodeJsonString({key, static_cast<size_t>(p_ - key)}, &arena));
      p_ = SkipJsonSpace(p_);
      if (p_ >= end_ || *p_ != ':') return p_ = end_, false;
      ++p_;
      const size_t before = path_.size();
      path_ += (path_.empty() ? "" : ".") + name;
      // A key with a dot cannot be part of a path.
      if (Value(depth + 1) && name.find('.') == std::string::npos) return true;
      path_.resize(before);
      p_ = SkipJsonSpace(p_);
      if (p_ >= end_ || *p_ != ',') break;
      p_ = SkipJsonSpace(p_ + 1);
    }
    if (p_ < end_ && *p_ == '}') ++p_;
    return false;
  }

  const char* p_;
  const char* end_;
  std::string path_;
};

Status SniffJson(const SniffInput& input, const TextBlock& head, odf::ReadStep* step) {
  const std::string_view text = head.text();
  const char* start = SkipJsonSpace(text.data());
  if (*start == '[') {
    step->format = odf::ReadFormat::kJson;
    return {};
  }
  JsonError error;
  const char* end = SkipJsonValue(start, 0, &error);
  const auto type_is = [](std::string_view object, std::string_view wanted) {
    TextArena arena;
    std::vector<JsonMember> members;
    ListMembers(object, &arena, &members);
    return std::any_of(members.begin(), members.end(), [&](const JsonMember& member) {
      return member.key == "type" && member.value == wanted;
    });
  };
  const std::string extension = Lower(input.inner_name);
  if (end != nullptr) {
    const std::string_view object(start, static_cast<size_t>(end - start));
    const bool alone = SkipJsonSpace(end) >= text.data() + text.size();
    const bool lines = !alone || extension.ends_with("ndjson") || extension.ends_with("jsonl");
    if (type_is(object, "\"FeatureCollection\"")) {
      step->format = odf::ReadFormat::kGeoJson;
      return {};
    }
    if (lines || !ArrayFinder(text).Find()) {
      const bool feature = type_is(object, "\"Feature\"");
      step->format = feature ? odf::ReadFormat::kNdGeoJson : odf::ReadFormat::kNdJson;
      return {};
    }
  }
  // One document, perhaps cut off.
  if (text.substr(0, 4096).find("\"FeatureCollection\"") != std::string_view::npos) {
    step->format = odf::ReadFormat::kGeoJson;
    return {};
  }
  step->format = odf::ReadFormat::kJson;
  const auto path = ArrayFinder(text).Find();
  if (!path) return InvalidArgument("'{}' is JSON without an array of objects at its start", input.name);
  if (!path->empty()) step->sub_path = *path;
  return {};
}

Status SniffFormat(const SniffInput& input, Sniffed* out) {
  odf::ReadStep& step = out->step;
  if (input.is_shapefile) {
    step.format = odf::ReadFormat::kEsriShapefile;
    if (!input.shapes.empty()) step.sub_path = input.shapes;
    return {};
  }
  if (input.head.starts_with("PAR1")) {
    step.format = odf::ReadFormat::kParquet;
    return {};
  }
  const std::string encoding = SniffEncoding(input, &out->notes);
  ASSIGN_OR_RETURN(const TextBlock head, HeadText(input, encoding));
  RETURN_IF_ERROR(RefuseHtml(head.text(), input.name));
  const char* start = SkipJsonSpace(head.text().data());
  if (*start == '{' || *start == '[') {
    RETURN_IF_ERROR(SniffJson(input, head, &step));
  } else {
    if (head.text().find('\0') != std::string_view::npos)
      return InvalidArgument("'{}' is neither text nor of a known format", input.name);
    SniffCsv(head, &step, &out->notes);
  }
  const bool takes_encoding =
      step.format != odf::ReadFormat::kGeoJson && step.format != odf::ReadFormat::kNdGeoJson;
  if (!encoding.empty() && !takes_encoding)
    return Unsupported("'{}' is {} in {}; convert it to UTF-8", input.name, odf::NameOf(step.format),
                       encoding);
  if (!encoding.empty()) step.encoding = encoding;
  return {};
}

// The type a schema writes, empty for those that a person does not write by hand.
std::string TypeName(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::BOOL:
      return "Bool";
    case arrow::Type::INT64:
      return "Int64";
    case arrow::Type::DOUBLE:
      return "Float64";
    case arrow::Type::STRING:
      return "String";
    case arrow::Type::DATE32:
      return "Date";
    case arrow::Type::TIMESTAMP:
      return "Timestamp";
    default:
      return {};
  }
}

odf::DataType TypeOfName(const std::string& name) {
  using odf::TypeKind;
  for (const auto& [text, kind] : {std::pair{"Bool", TypeKind::kBool},
                                   {"Int64", TypeKind::kInt64},
                                   {"Float64", TypeKind::kFloat64},
                                   {"Date", TypeKind::kDate},
                                   {"Timestamp", TypeKind::kTimestamp}}) {
    if (name == text) return odf::DataType::Of(kind);
  }
  return odf::DataType::Of(TypeKind::kString);
}

// Which columns of this schema can be event times, the likeliest first.
std::vector<size_t> EventTimes(const arrow::Schema& schema) {
  static constexpr std::string_view kWords[] = {"event_time", "event",   "timestamp", "datetime",
                                                "time",       "date",    "reported",  "created",
                                                "occurred",   "updated", "modified"};
  std::vector<std::pair<size_t, size_t>> ranked;
  for (int c = 0; c < schema.num_fields(); ++c) {
    const auto id = schema.field(c)->type()->id();
    if (id != arrow::Type::DATE32 && id != arrow::Type::TIMESTAMP) continue;
    const std::string name = Lower(schema.field(c)->name());
    size_t rank = 0;
    while (rank < std::size(kWords) && name.find(kWords[rank]) == std::string::npos) ++rank;
    ranked.emplace_back(rank, static_cast<size_t>(c));
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<size_t> columns;
  for (const auto& [rank, column] : ranked) columns.push_back(column);
  return columns;
}

// How much a column's name says that it is a key; smaller is more.
int KeyRank(const std::string& name) {
  const std::string lower = Lower(name);
  if (lower == "id" || lower == "uuid" || lower == "guid" || lower == "key") return 0;
  if (lower.ends_with("_id") || lower.ends_with("id")) return 1;
  for (const std::string_view word : {"key", "code", "number", "hash", "no", "name"}) {
    if (lower == word || lower.ends_with("_" + std::string(word))) return 2;
  }
  return 3;
}

void ChooseKey(const arrow::Schema& schema, const ColumnFacts& facts, std::optional<size_t> event_time,
               Sniffed* out) {
  std::optional<size_t> best;
  for (size_t c = 0; c < out->columns.size(); ++c) {
    const std::string& name = schema.field(static_cast<int>(c))->name();
    if (!facts.is_unique(c) || name == "geometry") continue;
    if (!best || KeyRank(name) < KeyRank(schema.field(static_cast<int>(*best))->name())) best = c;
  }
  if (best) {
    out->primary_key = {out->columns[*best].name};
    return;
  }
  if (!event_time) return;
  for (size_t c = 0; c < out->columns.size(); ++c) {
    if (c == *event_time || out->columns[c].name == "geometry" || !facts.is_unique(*event_time, c)) continue;
    if (!best || KeyRank(out->columns[c].name) < KeyRank(out->columns[*best].name)) best = c;
  }
  if (best) out->primary_key = {out->columns[*event_time].name, out->columns[*best].name};
}

// Reads the input with the step it has. True when it needed no correction.
class Trial {
 public:
  Trial(const SniffInput& input, const SniffOptions& options, Sniffed* out)
      : input_(input), options_(options), out_(out) {}

  Result<bool> Run() {
    ReadOptions read;
    read.spill_folder = options_.spill_folder;
    read.stop = options_.stop;
    ASSIGN_OR_RETURN(auto source, input_.open());
    auto opened = OpenReader(out_->step, std::move(source), read);
    if (!opened.ok()) return std::move(opened).error();
    const auto reader = std::move(*opened);
    const auto schema = reader->schema();
    if (schema == nullptr) return InvalidArgument("'{}' has no records", input_.name);
    ColumnFacts facts(*schema);
    const auto times = EventTimes(*schema);
    if (!times.empty()) facts.PairWith(times[0]);
    out_->complete = false;
    std::map<std::string, std::string> misfits;  // column -> a value
    int64_t bad = 0;
    while (reader->bytes_read() <= options_.max_bytes) {
      RETURN_IF_ERROR(CheckCancelled(options_.stop));
      ASSIGN_OR_RETURN(auto batch, reader->Next());
      if (!batch) {
        out_->complete = true;
        break;
      }
      for (const columnar::Reject& reject : batch->rejects) {
        ++bad;
        if (!reject.column.empty()) misfits.emplace(reject.column, reject.value);
      }
      facts.Add(*batch->rows);
    }
    if (!misfits.empty() && Correct(*schema, misfits)) return false;
    // JSON says its types itself; written down they may be too narrow where values are mixed.
    if (IsJson() && !out_->step.schema && !no_schema_ && WriteSchema(*schema)) return false;
    if (bad > 0) {
      out_->notes.push_back(
          fmt::format("{} records do not fit; `sluice ingest --on-error skip --rejects FILE` puts them "
                      "aside with reasons",
                      bad));
    }
    NoteProjection(reader->projection());
    Describe(*schema, facts, times);
    return true;
  }

 private:
  // Well-known text begins with its kind and, in quotes, its name.
  void NoteProjection(const std::string& text) {
    const size_t begin = text.find('"');
    const size_t end = begin == std::string::npos ? begin : text.find('"', begin + 1);
    if (end == std::string::npos) return;
    std::string note =
        fmt::format("coordinates are in '{}'", Shortened(text.substr(begin + 1, end - begin - 1)));
    if (text.starts_with("PROJCS"))
      note += "; ST_Transform of engine spark makes longitude and latitude of them";
    out_->notes.push_back(std::move(note));
  }

  // A wider type for each column that has values that do not fit. False when none can be changed.
  bool Correct(const arrow::Schema& schema, const std::map<std::string, std::string>& misfits) {
    odf::ReadStep& step = out_->step;
    if (step.format == odf::ReadFormat::kEsriShapefile || step.format == odf::ReadFormat::kParquet)
      return false;
    if (!step.schema && (no_schema_ || !WriteSchema(schema))) return false;
    bool changed = false;
    for (odf::DataField& field : step.schema->fields) {
      const auto found = misfits.find(field.name);
      if (found == misfits.end()) continue;
      const odf::TypeKind kind = field.type.inner().kind;
      if (kind == odf::TypeKind::kString && !IsJson()) continue;
      const bool number = found->second.find_first_not_of("0123456789.eE+-") == std::string::npos;
      const auto wider =
          kind == odf::TypeKind::kInt64 && number ? odf::TypeKind::kFloat64 : odf::TypeKind::kString;
      if (IsJson() && wider == odf::TypeKind::kString) {
        // No type takes numbers as well as text, but the guesses of a source without a schema do.
        out_->notes.push_back(
            fmt::format("there is no schema because column '{}' has values of several kinds", field.name));
        step.schema.reset();
        return no_schema_ = true;
      }
      field.type = odf::DataType::Option(odf::DataType::Of(wider));
      changed = true;
    }
    return changed;
  }

  // Everything optional; false when a type cannot be written.
  bool WriteSchema(const arrow::Schema& schema) {
    odf::DataSchema written;
    for (const auto& field : schema.fields()) {
      const std::string name = TypeName(*field->type());
      if (name.empty()) return false;
      written.fields.push_back({field->name(), odf::DataType::Option(TypeOfName(name)), std::nullopt});
    }
    out_->step.schema = std::move(written);
    return true;
  }

  void Describe(const arrow::Schema& schema, const ColumnFacts& facts, const std::vector<size_t>& times) {
    out_->records = facts.records();
    out_->columns.clear();
    for (int c = 0; c < schema.num_fields(); ++c) {
      const auto at = static_cast<size_t>(c);
      out_->columns.push_back({schema.field(c)->name(), TypeName(*schema.field(c)->type()),
                               out_->complete && out_->records > 0 && !facts.has_nulls(at),
                               facts.example(at)});
    }
    std::optional<size_t> event_time;
    if (!times.empty() && !facts.has_nulls(times[0])) event_time = times[0];
    if (event_time) out_->event_time = out_->columns[*event_time].name;
    ChooseKey(schema, facts, event_time, out_);
    FinishSchema();
  }

  // Formats that carry no types get a schema; names that are the system's own are better left to the
  // defaults.
  void FinishSchema() {
    odf::ReadStep& step = out_->step;
    if (!step.schema) return;
    for (size_t c = 0; c < step.schema->fields.size(); ++c) {
      odf::DataField& field = step.schema->fields[c];
      const bool system = field.name == "offset" || field.name == "op" || field.name == "system_time";
      const bool no_time = field.name == "event_time" && field.name != out_->event_time;
      if (system || no_time) {
        out_->notes.push_back(
            fmt::format("there is no schema because of column '{}', which Sluice has, too", field.name));
        step.schema.reset();
        if (step.format == odf::ReadFormat::kCsv) step.infer_schema = true;
        for (const SniffedColumn& column : out_->columns) {
          // The defaults rename it.
          if (column.name == field.name) out_->primary_key.clear();
        }
        return;
      }
      const bool key = std::find(out_->primary_key.begin(), out_->primary_key.end(), field.name) !=
                       out_->primary_key.end();
      const bool required = out_->columns[c].required && (key || field.name == out_->event_time);
      if (required && field.type.is_option()) field.type = odf::DataType(field.type.inner());
    }
  }

  bool IsJson() const {
    const odf::ReadFormat format = out_->step.format;
    return format == odf::ReadFormat::kJson || format == odf::ReadFormat::kNdJson ||
           format == odf::ReadFormat::kGeoJson || format == odf::ReadFormat::kNdGeoJson;
  }

  const SniffInput& input_;
  const SniffOptions& options_;
  Sniffed* out_;
  bool no_schema_ = false;
};

}  // namespace

Result<Sniffed> SniffFile(const std::string& path, const SniffOptions& options) {
  Sniffed out;
  ASSIGN_OR_RETURN(const SniffInput input, OpenSniffInput(path, options, &out.notes));
  out.prepare = input.prepare;
  RETURN_IF_ERROR(SniffFormat(input, &out));
  Trial trial(input, options, &out);
  for (int tries = 0; tries < kMostTries; ++tries) {
    ASSIGN_OR_RETURN(const bool fits, trial.Run());
    if (fits) return out;
  }
  return InvalidArgument("no types were found that fit all of '{}'", input.name);
}

}  // namespace sluice::read
