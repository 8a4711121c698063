#include "ingest/shape.h"

#include <arrow/array.h>
#include <arrow/array/builder_time.h>
#include <arrow/array/util.h>
#include <arrow/compute/cast.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>

#include <algorithm>
#include <limits>

#include "base/names.h"
#include "columnar/arrow_status.h"
#include "columnar/cast.h"
#include "columnar/json_text.h"
#include "columnar/logical_hash.h"
#include "columnar/plain_types.h"
#include "ingest/inner_values.h"
#include "odf/arrow_schema.h"

namespace sluice::ingest {
namespace {

std::shared_ptr<arrow::DataType> MillisUtc() { return arrow::timestamp(arrow::TimeUnit::MILLI, "UTC"); }

bool IsTimestamp(const arrow::DataType& type) { return type.id() == arrow::Type::TIMESTAMP; }

bool IsEventTimeType(const arrow::DataType& type) {
  return IsTimestamp(type) || type.id() == arrow::Type::DATE32 || type.id() == arrow::Type::DATE64;
}

bool IsEpochType(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::INT16:
    case arrow::Type::INT32:
    case arrow::Type::INT64:
    case arrow::Type::UINT16:
    case arrow::Type::UINT32:
    case arrow::Type::UINT64:
      return true;
    default:
      return false;
  }
}

bool IsText(const arrow::DataType& type) {
  return type.id() == arrow::Type::STRING || type.id() == arrow::Type::LARGE_STRING;
}

Status CheckSystemColumns(const ShapeSpec& spec, const arrow::Schema& frame) {
  std::vector<std::string> forbidden = {spec.vocabulary.offset, spec.vocabulary.system_time};
  if (spec.merge != odf::MergeKind::kChangelogStream && spec.merge != odf::MergeKind::kUpsertStream) {
    forbidden.push_back(spec.vocabulary.op);
  }
  for (const auto& name : forbidden) {
    if (frame.GetFieldIndex(name) >= 0) {
      return InvalidArgument(
          "BadInputSchema: column '{}' has the name of a system column; rename it in the preprocess query, or choose other system "
          "column names with SetVocab",
          name);
    }
  }
  for (int i = 0; i < frame.num_fields(); ++i) {
    for (int j = 0; j < i; ++j) {
      if (frame.field(i)->name() == frame.field(j)->name()) {
        return InvalidArgument("BadInputSchema: column '{}' occurs twice", frame.field(i)->name());
      }
    }
  }
  return {};
}

std::string Describe(const arrow::Field& field) {
  auto type = odf::FromArrow(*field.type());
  std::string text = type.ok() ? odf::ToString(*type) : field.type()->ToString();
  return field.nullable() ? "Option<" + text + ">" : text;
}

// The type as it comes back from the dataset's schema, which knows one kind of dates, one of decimals, and no
// time without a zone: a slice with another than that could not be continued.
Result<std::shared_ptr<arrow::DataType>> AsDeclared(const arrow::Field& field, const arrow::DataType& type) {
  const auto declared = odf::FromArrow(type);
  if (!declared.ok()) return Error(declared.error()).With(fmt::format("column '{}'", field.name()));
  return odf::ToArrow(*declared);
}

// True for an inferred struct that is null in some rows, now or when the dataset got its schema: those have
// no logical hash, and the column is one of JSON texts.
bool IsJsonText(const ShapeSpec& spec, const arrow::Field& field) {
  if (!spec.is_inferred || field.type()->id() != arrow::Type::STRUCT) return false;
  const auto& known = spec.dataset_schema ? spec.dataset_schema : spec.agreed_schema;
  if (!known) return spec.null_structs.contains(field.name());
  return std::any_of(known->fields.begin(), known->fields.end(), [&](const auto& column) {
    return column.name == field.name() && column.type.inner().kind == odf::TypeKind::kString;
  });
}

Error SchemaConflict(const std::vector<std::string>& differences, bool has_schema) {
  return MakeError(ErrorCode::kConflict,
                   "IncompatibleSchema: the data does not fit {}: {}; a source with another "
                   "schema or query may bring it to that, or take it into a new dataset",
                   has_schema ? "the dataset's schema" : "what the dataset's other sources give",
                   JoinNames(differences, "; "));
}

Result<std::shared_ptr<arrow::Array>> CastTo(const std::shared_ptr<arrow::Array>& array,
                                             const std::shared_ptr<arrow::DataType>& type) {
  arrow::compute::CastOptions options;
  options.to_type = type;
  options.allow_time_truncate = true;
  ASSIGN_OR_RETURN_ARROW(auto datum, arrow::compute::Cast(arrow::Datum(array), options));
  return datum.make_array();
}

// Seconds that no time in milliseconds can be are bad values, and NULL in the result.
Result<std::shared_ptr<arrow::Array>> FromEpochSeconds(const std::shared_ptr<arrow::Array>& array,
                                                       const std::string& column,
                                                       std::vector<BadValue>* bad) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max() / 1000;
  arrow::compute::CastOptions wrapped = arrow::compute::CastOptions::Unsafe(arrow::int64());
  ASSIGN_OR_RETURN_ARROW(auto datum, arrow::compute::Cast(arrow::Datum(array), wrapped));
  const auto plain = datum.make_array();
  const auto& seconds = static_cast<const arrow::Int64Array&>(*plain);
  const bool is_unsigned = array->type_id() == arrow::Type::UINT64;
  arrow::TimestampBuilder millis(MillisUtc(), arrow::default_memory_pool());
  RETURN_IF_ARROW_ERROR(millis.Reserve(seconds.length()));
  for (int64_t row = 0; row < seconds.length(); ++row) {
    const int64_t value = seconds.Value(row);
    if (seconds.IsNull(row)) {
      millis.UnsafeAppendNull();
    } else if (value > kMost || value < (is_unsigned ? 0 : -kMost)) {
      ASSIGN_OR_RETURN_ARROW(const auto scalar, array->GetScalar(row));
      bad->push_back({row, column, scalar->ToString(), "no time: so many seconds from 1970 on"});
      millis.UnsafeAppendNull();
    } else {
      millis.UnsafeAppend(value * 1000);
    }
  }
  ASSIGN_OR_RETURN_ARROW(auto finished, millis.Finish());
  return finished;
}

Result<std::shared_ptr<arrow::Array>> FromText(const std::shared_ptr<arrow::Array>& array,
                                               const std::shared_ptr<const columnar::TimePattern>& pattern,
                                               const std::string& column, std::vector<BadValue>* bad) {
  ASSIGN_OR_RETURN(auto plain, CastTo(array, arrow::utf8()));
  const auto& texts = static_cast<const arrow::StringArray&>(*plain);
  std::vector<std::string_view> cells(static_cast<size_t>(texts.length()));
  for (int64_t i = 0; i < texts.length(); ++i) {
    if (texts.IsValid(i)) cells[static_cast<size_t>(i)] = texts.GetView(i);
  }
  ASSIGN_OR_RETURN(auto caster,
                   columnar::TextCaster::Make(MillisUtc(), true, {.timestamp_pattern = pattern}));
  std::vector<columnar::BadCell> bad_cells;
  RETURN_IF_ERROR(caster->Append(cells.data(), 1, cells.size(), &bad_cells));
  for (const auto& cell : bad_cells) {
    bad->push_back({static_cast<int64_t>(cell.row), column, std::string(cells[cell.row].substr(0, 200)),
                    std::string(cell.reason)});
  }
  return caster->Finish();
}

// Times that RFC 3339 can say: others could neither be printed nor queried.
constexpr int64_t kFirstMillis = -62'167'219'200'000;  // 0000-01-01
constexpr int64_t kLastMillis = 253'402'300'799'999;   // 9999-12-31

void CheckTimes(const arrow::Array& array, const std::string& column, std::vector<BadValue>* bad) {
  const auto& times = static_cast<const arrow::TimestampArray&>(array);
  const int64_t* values = times.raw_values();
  bool is_bad = false;
  for (int64_t row = 0; row < times.length(); ++row)
    is_bad |= values[row] < kFirstMillis || values[row] > kLastMillis;
  if (!is_bad) return;
  for (int64_t row = 0; row < times.length(); ++row) {
    if (times.IsNull(row) || (values[row] >= kFirstMillis && values[row] <= kLastMillis)) continue;
    bad->push_back({row, column, std::to_string(values[row]) + " ms", "outside the years 0000 to 9999"});
  }
}

}  // namespace

Result<std::shared_ptr<arrow::Array>> ToMillisUtc(const std::shared_ptr<arrow::Array>& array) {
  if (array->type()->Equals(*MillisUtc())) return array;
  const auto& type = static_cast<const arrow::TimestampType&>(*array->type());
  auto millis = array;
  if (type.unit() != arrow::TimeUnit::MILLI) {
    ASSIGN_OR_RETURN(millis, CastTo(array, arrow::timestamp(arrow::TimeUnit::MILLI, type.timezone())));
  }
  auto data = millis->data()->Copy();
  data->type = MillisUtc();  // the value is the instant already; only the label changes
  return arrow::MakeArray(data);
}

Result<Shaper> Shaper::Make(const ShapeSpec& spec, const std::shared_ptr<arrow::Schema>& frame) {
  columnar::EnsureArrowCompute();
  Shaper shaper;
  shaper.time_pattern_ = spec.time_pattern;
  RETURN_IF_ERROR(shaper.Plan(spec, *frame));
  const auto& schema = spec.dataset_schema ? spec.dataset_schema : spec.agreed_schema;
  if (schema) RETURN_IF_ERROR(shaper.AlignTo(*schema, spec));
  return shaper;
}

Result<Shaper> MakeRealigner(const odf::ChainState& state, const std::shared_ptr<arrow::Schema>& columns) {
  ShapeSpec spec;
  spec.vocabulary = state.vocabulary;
  spec.merge = odf::MergeKind::kUpsertStream;  // one of those whose rows may bring an operation
  spec.dataset_schema = state.schema;
  return Shaper::Make(spec, columns);
}

Result<std::shared_ptr<arrow::RecordBatch>> Realign(const Shaper& realigner, const arrow::RecordBatch& rows) {
  std::vector<BadValue> bad;
  ASSIGN_OR_RETURN(auto shaped, realigner.Apply(rows, &bad));
  if (!bad.empty()) {
    return MakeError(ErrorCode::kInvalidRecords, "column '{}': {}, in {} record(s)", bad.front().column,
                     bad.front().reason, bad.size());
  }
  return shaped;
}

Status Shaper::Plan(const ShapeSpec& spec, const arrow::Schema& frame) {
  const bool op_is_input =
      spec.merge == odf::MergeKind::kChangelogStream || spec.merge == odf::MergeKind::kUpsertStream;
  arrow::FieldVector fields;
  for (const auto& field : frame.fields()) {
    std::string name = field->name();
    if (spec.default_preprocess && (name == spec.vocabulary.offset || name == spec.vocabulary.system_time ||
                                    (!op_is_input && name == spec.vocabulary.op))) {
      name = "_" + name;
    }
    fields.push_back(arrow::field(name, field->type(), field->nullable()));
  }
  auto renamed = arrow::schema(fields);
  RETURN_IF_ERROR(CheckSystemColumns(spec, *renamed));

  // What a slice can hold; the chain, the file and the hash agree on it.
  const auto stored = columnar::StoredSchema(*renamed);
  arrow::FieldVector shaped;
  for (int i = 0; i < renamed->num_fields(); ++i) {
    const auto& field = renamed->field(i);
    Column column{i, Convert::kKeep};
    auto type = stored->field(i)->type();
    // What no manifest could declare, because it has no logical hash, becomes its JSON text (decisions.md 6).
    if (columnar::CheckHashable(field->name(), *type).ok() && !IsJsonText(spec, *field)) {
      ASSIGN_OR_RETURN(type, AsDeclared(*field, *type));
      if (!type->Equals(*field->type())) column.convert = Convert::kPlain;
    } else {
      column.convert = Convert::kJson;
      type = arrow::utf8();
    }
    if (field->name() == spec.vocabulary.event_time && !IsEventTimeType(*type)) {
      if (spec.default_preprocess && IsEpochType(*type)) {
        column.convert = Convert::kEpochSeconds;
        type = MillisUtc();
      } else if (spec.default_preprocess && IsText(*type)) {
        column.convert = Convert::kText;
        type = MillisUtc();
      } else {
        return InvalidArgument(
            "BadInputSchema: event time column '{}' should be either Date or Timestamp, not {}",
            field->name(), Describe(*arrow::field(field->name(), type, false)));
      }
    } else if (IsTimestamp(*type) && !type->Equals(*MillisUtc())) {
      column.convert = Convert::kMillisUtc;
      type = MillisUtc();
    }
    columns_.push_back(column);
    shaped.push_back(arrow::field(field->name(), type, field->nullable()));
  }
  if (renamed->GetFieldIndex(spec.vocabulary.event_time) < 0) {
    auto type = MillisUtc();
    if (const auto& known = spec.dataset_schema ? spec.dataset_schema : spec.agreed_schema) {
      for (const auto& field : known->fields) {
        if (field.name == spec.vocabulary.event_time) {
          ASSIGN_OR_RETURN(type, odf::ToArrow(field.type.inner()));
        }
      }
    }
    columns_.push_back({-1, Convert::kNull});
    shaped.push_back(arrow::field(spec.vocabulary.event_time, type, true));
  }
  schema_ = arrow::schema(shaped);
  return {};
}

Status Shaper::AlignTo(const odf::DataSchema& dataset, const ShapeSpec& spec) {
  std::vector<std::string> differences;
  std::vector<Column> columns;
  arrow::FieldVector fields;
  std::vector<bool> used(columns_.size(), false);
  for (const auto& wanted : dataset.fields) {
    if (wanted.name == spec.vocabulary.offset || wanted.name == spec.vocabulary.system_time) continue;
    const int index = schema_->GetFieldIndex(wanted.name);
    if (wanted.name == spec.vocabulary.op) {
      if (index < 0) continue;  // given by the merge
    }
    ASSIGN_OR_RETURN(auto target, odf::ToArrow(odf::StripEncodings(odf::DataSchema{{wanted}, {}}).fields[0]));
    if (index < 0) {
      if (!target->nullable()) {
        differences.push_back(
            fmt::format("required column '{}' {} is missing", wanted.name, odf::ToString(wanted.type)));
        continue;
      }
      columns.push_back({-1, Convert::kNull});
      fields.push_back(target);
      continue;
    }
    used[index] = true;
    const auto& have = schema_->field(index);
    // The event time and the op are filled or checked later; their columns may hold nulls here.
    const bool may_be_null = wanted.name == spec.vocabulary.event_time || wanted.name == spec.vocabulary.op;
    // Operations are cast to the dataset's type when they are written.
    const bool castable = wanted.name == spec.vocabulary.op && arrow::is_integer(have->type()->id());
    if (!castable && !have->type()->Equals(*target->type())) {
      differences.push_back(fmt::format("column '{}' is {} in the data and {} in the dataset", wanted.name,
                                        Describe(*have), odf::ToString(wanted.type)));
      continue;
    }
    columns.push_back(columns_[index]);
    fields.push_back(may_be_null ? have->WithNullable(true) : target);
  }
  for (const auto& name : {spec.vocabulary.offset, spec.vocabulary.op, spec.vocabulary.system_time,
                           spec.vocabulary.event_time}) {
    const bool there = std::any_of(dataset.fields.begin(), dataset.fields.end(),
                                   [&](const auto& f) { return f.name == name; });
    if (!there)
      differences.push_back(fmt::format("system column '{}' is missing in the dataset's schema", name));
  }
  for (size_t i = 0; i < used.size(); ++i) {
    if (!used[i] && columns_[i].from >= 0) {
      differences.push_back(fmt::format("column '{}' {} is not in the dataset",
                                        schema_->field(static_cast<int>(i))->name(),
                                        Describe(*schema_->field(static_cast<int>(i)))));
    }
  }
  if (!differences.empty()) {
    return SchemaConflict(differences, spec.dataset_schema.has_value())
        .With(fmt::format(
            "dataset schema [{}], data schema [{}]",
            [&] {
              std::vector<std::string> names;
              for (const auto& f : dataset.fields) names.push_back(f.name + " " + odf::ToString(f.type));
              return JoinNames(names);
            }(),
            [&] {
              std::vector<std::string> names;
              for (const auto& f : schema_->fields()) names.push_back(f->name() + " " + Describe(*f));
              return JoinNames(names);
            }()));
  }
  columns_ = std::move(columns);
  schema_ = arrow::schema(fields);
  return {};
}

Result<std::shared_ptr<arrow::RecordBatch>> Shaper::Apply(const arrow::RecordBatch& batch,
                                                          std::vector<BadValue>* bad) const {
  arrow::ArrayVector arrays;
  for (size_t i = 0; i < columns_.size(); ++i) {
    const auto& field = schema_->field(static_cast<int>(i));
    std::shared_ptr<arrow::Array> array;
    if (columns_[i].from >= 0) array = batch.column(columns_[i].from);
    switch (columns_[i].convert) {
      case Convert::kKeep:
        break;
      case Convert::kNull: {
        ASSIGN_OR_RETURN_ARROW(array, arrow::MakeArrayOfNull(field->type(), batch.num_rows()));
        break;
      }
      case Convert::kMillisUtc: {
        ASSIGN_OR_RETURN(array, ToMillisUtc(array));
        break;
      }
      case Convert::kPlain: {
        ASSIGN_OR_RETURN(array, CastTo(array, field->type()));
        break;
      }
      case Convert::kJson: {
        ASSIGN_OR_RETURN(array, columnar::ToJsonText(*array));
        break;
      }
      case Convert::kEpochSeconds: {
        ASSIGN_OR_RETURN(array, FromEpochSeconds(array, field->name(), bad));
        break;
      }
      case Convert::kText: {
        ASSIGN_OR_RETURN(array, FromText(array, time_pattern_, field->name(), bad));
        break;
      }
    }
    if (field->type()->Equals(*MillisUtc())) CheckTimes(*array, field->name(), bad);
    FindBadInnerValues(*array, field->name(), bad);
    if (!field->nullable() && array->null_count() > 0) {
      for (int64_t row = 0; row < array->length(); ++row) {
        if (array->IsNull(row))
          bad->push_back({row, field->name(), "", std::string(columnar::kNullInRequired)});
      }
    }
    arrays.push_back(std::move(array));
  }
  std::stable_sort(bad->begin(), bad->end(),
                   [](const BadValue& a, const BadValue& b) { return a.row < b.row; });
  return arrow::RecordBatch::Make(schema_, batch.num_rows(), std::move(arrays));
}

}  // namespace sluice::ingest
