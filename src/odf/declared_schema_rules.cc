// Types that a source or a SetDataSchema may declare: those that can be stored and hashed
// (odf-metadata.md 8.2, decisions.md 6), found when they are declared instead of when the first data arrives.
#include <limits>
#include <set>

#include "columnar/text_parse.h"
#include "odf/chain_rules_internal.h"

namespace sluice::odf {
namespace {

constexpr uint32_t kMaxPrecision = 76;       // Decimal256
constexpr uint32_t kMaxQueryPrecision = 38;  // what the SQL engine has
constexpr uint64_t kMaxFixedLength = std::numeric_limits<int32_t>::max();

class TypeCheck {
 public:
  TypeCheck(std::string_view what, bool has_query) : what_(what), has_query_(has_query) {}

  Status Fields(const std::string& parent, const std::vector<DataField>& fields) const {
    std::set<std::string_view> seen;
    for (const DataField& field : fields) {
      const std::string path = parent + field.name;
      if (field.name.empty()) return InvalidArgument("{}: a column of '{}' has no name", what_, parent);
      if (!seen.insert(field.name).second)
        return InvalidArgument("{}: column '{}' is declared twice", what_, path);
      RETURN_IF_ERROR(Type(path, field.type));
    }
    return OkStatus();
  }

 private:
  Status Type(const std::string& path, const DataType& type) const {
    switch (type.kind) {
      case TypeKind::kMap:
      case TypeKind::kDuration:
      case TypeKind::kNull:
        return NoHash(path, NameOf(type.kind));
      case TypeKind::kOption:
        if (type.inner().is_option())
          return InvalidArgument("{}: column '{}' is an Option of Option", what_, path);
        if (type.inner().kind == TypeKind::kStruct) return NoHash(path, "nullable Struct");
        return Type(path, type.inner());
      case TypeKind::kList:
        return List(path, type);
      case TypeKind::kStruct:
        if (type.fields.empty())
          return InvalidArgument("{}: column '{}' is a Struct without fields", what_, path);
        return Fields(path + ".", type.fields);
      case TypeKind::kBinary:
        return FixedLength(path, type);
      case TypeKind::kDecimal:
        return Decimal(path, type);
      case TypeKind::kTimestamp:
        return TimeZone(path, type);
      case TypeKind::kFloat16:
        if (has_query_) return NotInQuery(path, type);
        return OkStatus();
      default:
        return OkStatus();
    }
  }

  Status List(const std::string& path, const DataType& type) const {
    RETURN_IF_ERROR(FixedLength(path, type));
    const DataType& item = type.children[0];
    if (item.inner().kind == TypeKind::kStruct) return NoHash(path, "List of Struct");
    return Type(path + "[]", item);
  }

  Status TimeZone(const std::string& path, const DataType& type) const {
    constexpr int64_t kNoon = 43'200;  // of 1970-01-01, a time that no zone left out
    int64_t ignored;
    if (!type.timezone || columnar::ParseZone(*type.timezone, kNoon, &ignored)) return OkStatus();
    return InvalidArgument(
        "{}: column '{}' has the time zone '{}', which does not exist; use UTC, an offset as +02:00, or a name as "
        "Europe/Vienna",
        what_, path, *type.timezone);
  }

  Status FixedLength(const std::string& path, const DataType& type) const {
    if (!type.fixed_length || (*type.fixed_length > 0 && *type.fixed_length <= kMaxFixedLength))
      return OkStatus();
    return InvalidArgument("{}: column '{}' has fixedLength {}, allowed are 1 to {}", what_, path,
                           *type.fixed_length, kMaxFixedLength);
  }

  Status Decimal(const std::string& path, const DataType& type) const {
    if (type.precision < 1 || type.precision > kMaxPrecision) {
      return InvalidArgument("{}: column '{}' has precision {}, allowed are 1 to {}", what_, path,
                             type.precision, kMaxPrecision);
    }
    if (type.scale < 0) {
      return Unsupported("{}: column '{}' has the negative scale {}, which Parquet cannot store", what_, path,
                         type.scale);
    }
    if (static_cast<uint32_t>(type.scale) > type.precision) {
      return InvalidArgument("{}: column '{}' has scale {} above its precision {}", what_, path, type.scale,
                             type.precision);
    }
    if (has_query_ && type.precision > kMaxQueryPrecision) return NotInQuery(path, type);
    return OkStatus();
  }

  Error NoHash(const std::string& path, std::string_view type) const {
    return Unsupported("{}: column '{}' is a {}, a type without a logical hash", what_, path, type);
  }
  Error NotInQuery(const std::string& path, const DataType& type) const {
    return Unsupported("{}: column '{}' is {}, which a preprocess query cannot read", what_, path,
                       ToString(type));
  }

  std::string_view what_;
  bool has_query_;
};

}  // namespace

Status CheckDeclaredSchema(const DataSchema& schema, std::string_view what, bool has_query) {
  if (schema.fields.empty()) return InvalidArgument("{}: no columns are declared", what);
  return TypeCheck(what, has_query).Fields("", schema.fields);
}

}  // namespace sluice::odf
