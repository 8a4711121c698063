// How a dataset's schema may change (odf-metadata.md 6.5): columns may be added when optional, reordered and
// described anew; nothing else. The types of common columns are compared at every level whatever else differs
// there.
#include <set>
#include <vector>

#include "base/names.h"
#include "odf/chain_rules_internal.h"

namespace sluice::odf {
namespace {

struct Tolerance {
  // `T` and `Option<T>` count as the same: the schema before was a legacy one.
  bool optionality = false;
  // The reference does not compare types at a level where the number, names or order of fields differ.
  bool reference_defect = false;
};

class Comparison {
 public:
  explicit Comparison(Tolerance tolerance) : tolerance_(tolerance) {}

  void Fields(const std::string& parent, const std::vector<DataField>& before,
              const std::vector<DataField>& after) {
    const bool same_names = SameNames(before, after);
    for (const DataField& field : before) {
      const std::string path = parent + field.name;
      const DataField* now = Find(after, field.name);
      if (!now) {
        Refuse("column '{}' was removed", path);
      } else if (same_names || !tolerance_.reference_defect) {
        Type(path, field.type, now->type);
      }
    }
    for (const DataField& field : after) {
      if (Find(before, field.name) || field.type.is_option()) continue;
      Refuse("column '{}' was added as {}, an added column has to be an Option", parent + field.name,
             ToString(field.type));
    }
  }

  const std::vector<std::string>& refusals() const { return refusals_; }

 private:
  static const DataField* Find(const std::vector<DataField>& fields, const std::string& name) {
    for (const DataField& field : fields) {
      if (field.name == name) return &field;
    }
    return nullptr;
  }

  static bool SameNames(const std::vector<DataField>& a, const std::vector<DataField>& b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i].name != b[i].name) return false;
    }
    return true;
  }

  void Type(const std::string& path, const DataType& before, const DataType& after) {
    if (before.is_option() != after.is_option() && !tolerance_.optionality)
      return RefuseChange(path, before, after);
    const DataType& a = before.inner();
    const DataType& b = after.inner();
    if (a.kind != b.kind) return RefuseChange(path, before, after);
    switch (a.kind) {
      case TypeKind::kStruct:
        return Fields(path + ".", a.fields, b.fields);
      case TypeKind::kList:
        if (a.fixed_length != b.fixed_length) return RefuseChange(path, before, after);
        return Type(path + "[]", a.children[0], b.children[0]);
      default:
        if (!EquivalentTypes(a, b)) RefuseChange(path, before, after);
    }
  }

  void RefuseChange(const std::string& path, const DataType& before, const DataType& after) {
    Refuse("column '{}' changed from {} to {}", path, ToString(before), ToString(after));
  }

  template <class... Args>
  void Refuse(fmt::format_string<Args...> format, Args&&... args) {
    refusals_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  const Tolerance tolerance_;
  std::vector<std::string> refusals_;
};

Status Compare(const DataSchema& before, const DataSchema& after, Tolerance tolerance) {
  if (WithDefaults(before) == WithDefaults(after)) {
    return BrokenRule(rule::kNoOp, "the schema is identical to the current one");
  }
  Comparison comparison(tolerance);
  comparison.Fields("", before.fields, after.fields);
  if (comparison.refusals().empty()) return OkStatus();
  return BrokenRule(rule::kInvalid, "the schema cannot evolve like this: {}",
                    JoinNames(comparison.refusals(), "; "));
}

bool IsInteger(TypeKind kind) { return kind >= TypeKind::kInt8 && kind <= TypeKind::kUInt64; }

bool IsMilliTimestamp(const DataType& type) {
  return EquivalentTypes(type, DataType::Of(TypeKind::kTimestamp));
}

// A system column's type must be one that the writer produces, or the one that the column has already.
Status CheckSystemColumns(const ChainState& state, const DataSchema& schema) {
  const Vocabulary& names = state.vocabulary;
  for (const DataField& field : schema.fields) {
    const DataType& type = field.type.inner();
    std::string_view expected;
    if (field.name == names.offset && type.kind != TypeKind::kInt64) {
      expected = "Int64";
    } else if (field.name == names.op && !IsInteger(type.kind)) {
      expected = "Int32";
    } else if (field.name == names.system_time && !IsMilliTimestamp(type)) {
      expected = "Timestamp(Millisecond, UTC)";
    } else if (field.name == names.event_time && !IsMilliTimestamp(type) && type.kind != TypeKind::kDate) {
      expected = "Timestamp(Millisecond, UTC) or Date";
    }
    if (expected.empty()) continue;
    bool has_it_already = false;
    if (state.schema) {
      for (const DataField& current : state.schema->fields) {
        has_it_already |= current.name == field.name && EquivalentTypes(current.type.inner(), type);
      }
    }
    if (has_it_already) continue;
    return BrokenRule(rule::kInvalid, "system column '{}' has to be {}, not {}", field.name, expected,
                      ToString(field.type));
  }
  return OkStatus();
}

}  // namespace

Status CheckSchemaEvolution(const DataSchema& before, const DataSchema& after, bool allow_optionality) {
  return Compare(before, after, {.optionality = allow_optionality});
}

Status CheckSetDataSchema(const ChainState& state, const SetDataSchema& event, Judging judging) {
  if (!event.schema) return OkStatus();
  const bool replay = judging == Judging::kReplay;
  if (!replay) RETURN_IF_ERROR(CheckSystemColumns(state, *event.schema));
  if (!state.schema) return OkStatus();
  return Compare(*state.schema, *event.schema,
                 {.optionality = state.schema_is_legacy, .reference_defect = replay});
}

}  // namespace sluice::odf
