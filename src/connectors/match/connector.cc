#include "connectors/match/connector.h"

#include <arrow/api.h>

#include <algorithm>

#include "base/names.h"
#include "columnar/arrow_status.h"
#include "pipeline/columns.h"
#include "pipeline/condition.h"
#include "pipeline/field_path.h"
#include "pipeline/json_scan.h"
#include "pipeline/registry.h"
#include "pipeline/settings.h"

namespace sluice::connectors {
namespace {

using pipeline::Batch;
using pipeline::Column;
using pipeline::Condition;
using pipeline::FieldPath;
using pipeline::FieldReader;
using pipeline::Tree;
using pipeline::ValueKind;

// What a rule may set: all that is the record's own, but neither its identity nor its times.
constexpr Column kSettable[] = {Column::kSourceType, Column::kSourceId,     Column::kData, Column::kDataId,
                                Column::kMetadata,   Column::kMetadataType, Column::kLang, Column::kTenantId};

struct Assignment {
  Column column = Column::kLang;
  std::string text;               // a constant,
  std::optional<FieldPath> from;  // or what stands in the record
};

struct Rule {
  std::optional<Condition> when;
  std::vector<Assignment> set;
};

Result<Assignment> ParseAssignment(const std::string& field, const Tree& value) {
  Assignment assignment;
  std::vector<std::string> names;
  bool is_known = false;
  for (const Column column : kSettable) {
    names.emplace_back(pipeline::ColumnName(column));
    if (names.back() != field) continue;
    assignment.column = column;
    is_known = true;
  }
  if (!is_known)
    return value.Complain(fmt::format("'{}' cannot be set; what can is {}", field, JoinNames(names)));
  if (value.kind == Tree::Kind::kMap) {
    const Tree* from = value.Find("from");
    if (from == nullptr || value.members.size() != 1 || from->kind != Tree::Kind::kText)
      return value.Complain("a value is a text or {from: FIELD}");
    auto path = FieldPath::Parse(from->text);
    if (!path.ok()) return from->Complain(path.error().message());
    assignment.from = std::move(path).value();
    return assignment;
  }
  if (value.kind == Tree::Kind::kList) return value.Complain("a value is a text or {from: FIELD}");
  assignment.text = value.text;
  const bool is_json = assignment.column == Column::kMetadata;
  if (is_json && !value.text.empty()) {
    std::string why;
    if (!pipeline::IsJson(value.text, pipeline::ParseLimits().max_depth, &why))
      return value.Complain(fmt::format("'{}' is no JSON, as metadata is", value.text));
  }
  return assignment;
}

Result<std::vector<Rule>> ParseRules(const Tree& tree) {
  if (tree.kind != Tree::Kind::kList || tree.items.empty())
    return tree.Complain("'rules' is a list of {when: CONDITION, set: {FIELD: VALUE}}");
  std::vector<Rule> rules;
  for (const Tree& item : tree.items) {
    if (item.kind != Tree::Kind::kMap)
      return item.Complain("a rule is {when: CONDITION, set: {FIELD: VALUE}}");
    Rule rule;
    for (const auto& [name, value] : item.members) {
      if (name == "when") {
        ASSIGN_OR_RETURN(rule.when, Condition::Parse(value));
      } else if (name == "set") {
        if (value.kind != Tree::Kind::kMap) return value.Complain("'set' is {FIELD: VALUE}");
        for (const auto& [field, text] : value.members) {
          ASSIGN_OR_RETURN(Assignment assignment, ParseAssignment(field, text));
          rule.set.push_back(std::move(assignment));
        }
      } else {
        return value.Complain(fmt::format("'{}' is no part of a rule; those are when and set", name));
      }
    }
    if (rule.set.empty()) return item.Complain("the rule sets nothing");
    rules.push_back(std::move(rule));
  }
  return rules;
}

class MatchProcessor final : public pipeline::Processor {
 public:
  MatchProcessor(std::vector<Rule> rules, bool first_only)
      : rules_(std::move(rules)), first_only_(first_only) {}

  Result<Batch> Process(Batch batch, std::vector<Reject>*, std::stop_token) override {
    const auto rows = static_cast<size_t>(batch.rows());
    if (rows == 0) return batch;
    taken_.assign(rows, 0);
    for (Rule& rule : rules_) {
      if (rule.when) {
        rule.when->Evaluate(*batch.records, &holds_);
      } else {
        holds_.assign(rows, 1);
      }
      if (first_only_) {
        for (size_t row = 0; row < rows; ++row) {
          holds_[row] = static_cast<uint8_t>(holds_[row] & ~taken_[row] & 1);
          taken_[row] |= holds_[row];
        }
      }
      if (std::find(holds_.begin(), holds_.end(), 1) == holds_.end()) continue;
      for (const Assignment& assignment : rule.set) {
        ASSIGN_OR_RETURN(auto column, Assign(*batch.records, assignment));
        batch.records = pipeline::WithColumn(*batch.records, assignment.column, std::move(column));
      }
    }
    return batch;
  }

 private:
  // The column with the value where `holds_`.
  Result<std::shared_ptr<arrow::Array>> Assign(const arrow::RecordBatch& records,
                                               const Assignment& assignment) {
    const arrow::StringArray& old = pipeline::Texts(records, assignment.column);
    const bool is_json = assignment.column == Column::kMetadata;
    int64_t bytes = 0;
    for (int64_t row = 0; row < old.length(); ++row) {
      bytes += holds_[static_cast<size_t>(row)] ? static_cast<int64_t>(assignment.text.size())
                                                : old.value_length(row);
    }
    arrow::StringBuilder builder;
    RETURN_IF_ARROW_ERROR(builder.Reserve(old.length()));
    RETURN_IF_ARROW_ERROR(builder.ReserveData(bytes));
    for (int64_t row = 0; row < old.length(); ++row) {
      std::optional<std::string_view> value;
      if (holds_[static_cast<size_t>(row)]) value = ValueOf(records, row, assignment);
      if (!value && old.IsValid(row)) value = old.GetView(row);
      if (!value || (value->empty() && is_json)) {
        RETURN_IF_ARROW_ERROR(builder.AppendNull());
      } else {
        RETURN_IF_ARROW_ERROR(builder.Append(*value));
      }
    }
    std::shared_ptr<arrow::Array> out;
    RETURN_IF_ARROW_ERROR(builder.Finish(&out));
    return out;
  }

  // Nothing when what it comes from is absent: then the field stays as it is.
  std::optional<std::string_view> ValueOf(const arrow::RecordBatch& records, int64_t row,
                                          const Assignment& assignment) {
    if (!assignment.from) return assignment.text;
    const pipeline::FieldValue found = reader_.Read(records, row, *assignment.from);
    if (found.kind == ValueKind::kAbsent) return std::nullopt;
    // The columns of JSON hold a text with its quotes; what stands in a text anywhere else has none.
    const bool has_quotes = !assignment.from->is_inside() && (assignment.from->column == Column::kMetadata ||
                                                              assignment.from->column == Column::kExtra);
    if (assignment.column != Column::kMetadata || found.kind != ValueKind::kText || has_quotes)
      return found.text;
    quoted_.clear();
    pipeline::AppendJsonText(found.text, &quoted_);
    return quoted_;
  }

  std::vector<Rule> rules_;
  const bool first_only_;
  FieldReader reader_;
  std::string quoted_;
  std::vector<uint8_t> holds_, taken_;
};

}  // namespace

void RegisterMatch(pipeline::Registry& registry) {
  pipeline::Declaration d;
  d.kind = pipeline::ConnectorKind::kProcessor;
  d.type = "match";
  d.summary = "Sets fields of the records that fulfil a condition";
  d.tier = pipeline::Tier::kStable;
  d.guarantee_text = "Decides by the record alone: the same record always gets the same fields.";
  d.options = {
      {.name = "rules",
       .type = pipeline::OptionType::kTree,
       .description =
           "List of {when: CONDITION, set: {FIELD: VALUE}}, in order, each seeing what those before it "
           "set; a value is a text or {from: FIELD}, which changes nothing where that is absent; a rule without `when` holds for all",
       .is_required = true},
      {.name = "first_only",
       .type = pipeline::OptionType::kBoolean,
       .description = "Whether only the first rule that holds for a record is followed",
       .default_text = "false"},
  };
  d.example =
      "type: match\nrules:\n  - when: {field: data, contains: product1}\n    set: {source_id: product1}\n"
      "  - when: {field: metadata.author.name, exists: true}\n    set: {data_id: {from: metadata.id}}\n";
  registry.Add(std::move(d),
               [](const pipeline::Settings& settings,
                  pipeline::Environment&) -> Result<std::unique_ptr<pipeline::Processor>> {
                 ASSIGN_OR_RETURN(std::vector<Rule> rules, ParseRules(settings.tree("rules")));
                 return std::unique_ptr<pipeline::Processor>(
                     std::make_unique<MatchProcessor>(std::move(rules), settings.boolean("first_only")));
               });
}

}  // namespace sluice::connectors
