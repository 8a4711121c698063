#include <arrow/type.h>

#include <algorithm>

#include "columnar/plain_types.h"
#include "dataset/verify_internal.h"
#include "odf/arrow_schema.h"

namespace sluice::dataset {
namespace {

using odf::DataField;
using odf::DataSchema;
using odf::DataType;
using odf::TypeKind;

// The schema as a slice can hold it: explicit, without encodings, and with the units that Parquet has.
DataSchema AsStored(const DataSchema& schema) {
  const DataSchema plain = odf::StripEncodings(schema);
  auto arrow = odf::ToArrow(plain);
  if (!arrow.ok()) return plain;
  auto stored = odf::FromArrow(*columnar::StoredSchema(**arrow));
  return stored.ok() ? *std::move(stored) : plain;
}

bool IsUtc(const std::optional<std::string>& timezone) {
  static constexpr std::string_view kNames[] = {"UTC", "Etc/UTC", "+00:00", "+0000", "Z", "GMT"};
  return !timezone || std::find(std::begin(kNames), std::end(kNames), *timezone) != std::end(kNames);
}

// One name for UTC, because writers have several.
DataType WithUtc(DataType type) {
  if (type.kind == TypeKind::kTimestamp && IsUtc(type.timezone)) type.timezone = "UTC";
  return type;
}

// True when values of `slice` are values of `schema`. An optional column may be stored as one without NULLs,
// not the reverse.
bool Fits(const DataType& schema, const DataType& slice) {
  if (slice.is_option() && !schema.is_option()) return false;
  const DataType a = WithUtc(schema.inner());
  const DataType b = WithUtc(slice.inner());
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case TypeKind::kStruct:
      if (a.fields.size() != b.fields.size()) return false;
      for (size_t i = 0; i < a.fields.size(); ++i) {
        if (a.fields[i].name != b.fields[i].name || !Fits(a.fields[i].type, b.fields[i].type)) return false;
      }
      return true;
    case TypeKind::kList:
      // A file without an Arrow schema of its own cannot say that a list has a fixed length.
      if (b.fixed_length && a.fixed_length != b.fixed_length) return false;
      return Fits(a.children[0], b.children[0]);
    default:
      return odf::EquivalentTypes(a, b);
  }
}

// Slices of older writers leave columns optional that the schema has as required, and legacy schemas are
// vague about it: then it counts whether there are NULLs, which is seen while the rows are read.
bool FitsColumn(const DataField& schema, const DataType& slice, const ColumnsInForce& in_force) {
  if (Fits(schema.type, slice)) return true;
  const odf::Vocabulary& names = in_force.vocabulary;
  const bool lenient = in_force.is_legacy || schema.name == names.offset || schema.name == names.event_time;
  return lenient && Fits(DataType::Option(schema.type.inner()), slice);
}

bool IsInteger(TypeKind kind) { return kind >= TypeKind::kInt8 && kind <= TypeKind::kUInt64; }
bool IsMillisUtc(const DataType& type) {
  return type.kind == TypeKind::kTimestamp &&
         type.unit.value_or(odf::TimeUnit::kMillisecond) == odf::TimeUnit::kMillisecond &&
         IsUtc(type.timezone);
}

struct SystemColumn {
  std::string name;
  std::string_view expected;
  std::function<bool(const DataType&)> accepts;
};

std::vector<SystemColumn> SystemColumnsOf(const odf::Vocabulary& names) {
  return {
      {names.offset, "Int64", [](const DataType& t) { return t.kind == TypeKind::kInt64; }},
      {names.op, "an integer", [](const DataType& t) { return IsInteger(t.kind); }},
      {names.system_time, "Timestamp(Millisecond, UTC)", IsMillisUtc},
      {names.event_time, "Timestamp(Millisecond, UTC) or Date",
       [](const DataType& t) { return IsMillisUtc(t) || t.kind == TypeKind::kDate; }},
  };
}

const DataField* Find(const DataSchema& schema, const std::string& name) {
  const auto it = std::find_if(schema.fields.begin(), schema.fields.end(),
                               [&](const DataField& field) { return field.name == name; });
  return it == schema.fields.end() ? nullptr : &*it;
}

void CompareSystemColumns(const ColumnsInForce& in_force, const DataSchema& slice,
                          std::vector<std::string>* out) {
  for (const SystemColumn& column : SystemColumnsOf(in_force.vocabulary)) {
    const DataField* declared = in_force.schema ? Find(*in_force.schema, column.name) : nullptr;
    const DataField* found = Find(slice, column.name);
    if (!found) {
      // Chains from before a column was invented have it neither in the schema nor in the data; offsets were
      // always there.
      const bool needed = declared || column.name == in_force.vocabulary.offset;
      if (needed) out->push_back(fmt::format("system column '{}' is missing", column.name));
      continue;
    }
    // A schema that was accepted with another type for the column is followed.
    if (column.accepts(found->type.inner()) || (declared && Fits(declared->type, found->type))) continue;
    out->push_back(fmt::format("system column '{}' is {} where {} is expected", column.name,
                               ToString(found->type), column.expected));
  }
}

}  // namespace

std::vector<std::string> CompareColumns(const ColumnsInForce& in_force, const DataSchema& slice) {
  std::vector<std::string> differences;
  CompareSystemColumns(in_force, slice, &differences);
  if (!in_force.schema) return differences;
  const DataSchema expected = AsStored(*in_force.schema);
  const size_t common = std::min(expected.fields.size(), slice.fields.size());
  for (size_t i = 0; i < common; ++i) {
    const DataField& a = expected.fields[i];
    const DataField& b = slice.fields[i];
    if (a.name != b.name) {
      differences.push_back(
          fmt::format("column {} is '{}' where the schema has '{}'", i + 1, b.name, a.name));
    } else if (!FitsColumn(a, b.type, in_force)) {
      differences.push_back(fmt::format("column '{}' is {} where the schema has {}", a.name, ToString(b.type),
                                        ToString(a.type)));
    }
  }
  for (size_t i = common; i < slice.fields.size(); ++i) {
    differences.push_back(fmt::format("column '{}' is not in the schema", slice.fields[i].name));
  }
  for (size_t i = common; i < expected.fields.size(); ++i) {
    const DataField& field = expected.fields[i];
    if (in_force.is_legacy && field.type.is_option())
      continue;  // older slices end with the columns that they know
    differences.push_back(fmt::format("column '{}' of the schema is missing", field.name));
  }
  return differences;
}

}  // namespace sluice::dataset
