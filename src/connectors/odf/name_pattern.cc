#include <arrow/array.h>
#include <arrow/record_batch.h>

#include <algorithm>
#include <cctype>

#include "base/names.h"
#include "connectors/odf/odf_internal.h"

namespace sluice::connectors::odf {
namespace {

constexpr std::string_view kOpen = "${{";
constexpr std::string_view kClose = "}}";
constexpr std::string_view kRecord = "record.";

bool IsNameCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// The text columns; times and JSON make no names.
std::vector<std::string> FieldNames() {
  using pipeline::Column;
  std::vector<std::string> names;
  for (const Column column : {Column::kUuid, Column::kSourceType, Column::kSourceId, Column::kDataId,
                              Column::kMetadataType, Column::kLang, Column::kTenantId})
    names.emplace_back(pipeline::ColumnName(column));
  return names;
}

Result<int> ColumnOf(std::string_view field) {
  const auto names = FieldNames();
  if (std::find(names.begin(), names.end(), field) != names.end()) {
    for (int i = 0; i < pipeline::kColumns; ++i) {
      if (pipeline::ColumnName(static_cast<pipeline::Column>(i)) == field) return i;
    }
  }
  return InvalidArgument("'{}' is no field that makes a name: those are {}", field, JoinNames(names));
}

}  // namespace

Result<NamePattern> NamePattern::Parse(std::string_view text) {
  NamePattern pattern;
  while (true) {
    const size_t open = text.find(kOpen);
    Part part{.text = std::string(text.substr(0, open))};
    if (open == std::string_view::npos) {
      pattern.parts_.push_back(std::move(part));
      return pattern;
    }
    const size_t close = text.find(kClose, open);
    if (close == std::string_view::npos) return InvalidArgument("the template '{}' has no end", text);
    const auto inside = Trimmed(text.substr(open + kOpen.size(), close - open - kOpen.size()));
    if (!inside.starts_with(kRecord))
      return InvalidArgument("'{}' is no field of the record, such as record.tenant_id", inside);
    part.field = inside.substr(kRecord.size());
    ASSIGN_OR_RETURN(part.column, ColumnOf(part.field));
    pattern.parts_.push_back(std::move(part));
    text.remove_prefix(close + kClose.size());
  }
}

Result<std::string> NamePattern::NameOf(const arrow::RecordBatch& records, int64_t row) const {
  std::string name;
  for (const auto& part : parts_) {
    name += part.text;
    if (part.column < 0) continue;
    const auto& column = static_cast<const arrow::StringArray&>(*records.column(part.column));
    const std::string_view value = column.IsNull(row) ? std::string_view() : column.GetView(row);
    if (value.empty() || !std::all_of(value.begin(), value.end(), IsNameCharacter)) {
      return MakeError(ErrorCode::kInvalidRecords,
                       "{} '{}' makes no dataset's name: letters, digits, '-', '_' and '.' do", part.field,
                       value.substr(0, 100));
    }
    name += value;
  }
  return name;
}

bool NamePattern::Matches(std::string_view name) const {
  size_t at = 0;
  for (size_t i = 0; i < parts_.size(); ++i) {
    const std::string& text = parts_[i].text;
    const bool is_last = i + 1 == parts_.size();
    if (i == 0) {
      if (!name.starts_with(text)) return false;
      at = text.size();
    } else if (is_last) {
      // What stands between is the field.
      if (name.size() < at + 1 + text.size() || !name.ends_with(text)) return false;
      return std::all_of(name.begin() + static_cast<ptrdiff_t>(at),
                         name.end() - static_cast<ptrdiff_t>(text.size()),
                         [](char c) { return IsNameCharacter(c); });
    } else {
      const size_t found = name.find(text, at + 1);
      if (found == std::string_view::npos) return false;
      at = found + text.size();
    }
  }
  return at == name.size();
}

}  // namespace sluice::connectors::odf
