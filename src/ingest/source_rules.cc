#include "ingest/source_rules.h"

#include <arrow/type.h>

#include <algorithm>

#include "base/names.h"
#include "columnar/keys.h"
#include "columnar/logical_hash.h"
#include "fetch/fetch.h"
#include "ingest/frame.h"
#include "merge/ops.h"
#include "odf/arrow_schema.h"
#include "odf/codec.h"
#include "odf/yaml.h"

namespace sluice::ingest {
namespace {

Status CheckColumns(const odf::MergeStrategy& merge, const arrow::Schema& schema,
                    const odf::Vocabulary& vocabulary) {
  std::vector<std::string> names;
  for (const auto& field : schema.fields()) names.push_back(field->name());
  auto check = [&](const std::string& column, std::string_view what) -> Status {
    if (schema.GetFieldIndex(column) >= 0) return {};
    const auto near = NearNames(column, names);
    return InvalidArgument("{} column '{}' is not among the source's columns: {}{}", what, column,
                           JoinNames(names), near.empty() ? "" : " (did you mean '" + near.front() + "'?)");
  };
  for (const auto& column : merge.primary_key) RETURN_IF_ERROR(check(column, "primary key"));
  if (merge.compare_columns) {
    for (const auto& column : *merge.compare_columns) RETURN_IF_ERROR(check(column, "compare"));
  }
  RETURN_IF_ERROR(columnar::KeyEncoder::Make(schema, merge.primary_key));
  const bool is_changelog = merge.kind == odf::MergeKind::kChangelogStream;
  if (is_changelog) RETURN_IF_ERROR(check(vocabulary.op, "operation type"));
  const bool has_op = schema.GetFieldIndex(vocabulary.op) >= 0;
  if (has_op && (is_changelog || merge.kind == odf::MergeKind::kUpsertStream))
    RETURN_IF_ERROR(merge::CheckOpColumn(schema, vocabulary.op));
  return {};
}

std::string Show(const arrow::Schema& schema) {
  std::vector<std::string> columns;
  for (const auto& field : schema.fields()) {
    auto type = odf::FromArrow(*field->type());
    columns.push_back(field->name() + " " + (type.ok() ? odf::ToString(*type) : field->type()->ToString()) +
                      (field->nullable() ? "?" : ""));
  }
  return JoinNames(columns);
}

// Same columns by name and type; order and optionality may differ (push-protocol.md 2).
Status CheckSameColumns(const arrow::Schema& a, const arrow::Schema& b, const std::string& other,
                        const odf::Vocabulary& vocabulary) {
  auto missing = [&](const arrow::Schema& from, const arrow::Schema& in) {
    std::vector<std::string> names;
    for (const auto& field : from.fields()) {
      if (field->name() == vocabulary.op || field->name() == vocabulary.event_time) continue;
      const auto same = in.GetFieldByName(field->name());
      if (!same ? !field->nullable() : !same->type()->Equals(*field->type())) names.push_back(field->name());
      if (!same && field->nullable() && &from == &a) names.push_back(field->name());
    }
    return names;
  };
  auto differing = missing(a, b);
  for (auto& name : missing(b, a)) {
    if (std::find(differing.begin(), differing.end(), name) == differing.end())
      differing.push_back(std::move(name));
  }
  if (differing.empty()) return {};
  return MakeError(
      ErrorCode::kConflict,
      "all sources of a dataset must give the same columns; of {}: [{}], of this one: [{}]: differing {}",
      other, Show(b), Show(a), JoinNames(differing));
}

Status CheckSource(const SourceDefinition& source, const odf::ChainState& state) {
  RETURN_IF_ERROR(read::CheckReadStep(source.read));
  if (source.preprocess) RETURN_IF_ERROR(sql::CheckTransform(ToSpec(*source.preprocess)));
  // Aligning with the dataset's schema, when there is one, is part of shaping.
  odf::ChainState judged = state;
  if (!judged.schema) judged.push_sources.clear();  // its own columns alone
  ASSIGN_OR_RETURN(auto schema, StaticFrameSchema(source, judged));
  if (!schema && !state.schema) return {};
  if (!schema) {
    // Only data can tell its columns, but they will have to be the dataset's.
    ASSIGN_OR_RETURN(schema, odf::ToArrow(odf::StripEncodings(*state.schema)));
    return CheckColumns(source.merge, *schema, state.vocabulary);
  }
  RETURN_IF_ERROR(CheckColumns(source.merge, *schema, state.vocabulary));
  for (const auto& field : schema->fields())
    RETURN_IF_ERROR(columnar::CheckHashable(field->name(), *field->type()));
  if (state.schema) return {};
  const auto others = JoinColumns(StaticSchemasOfOthers(state, source.name));
  if (!others) return {};
  std::vector<std::string> names;
  for (const auto& [name, other] : state.push_sources) {
    if (name != source.name) names.push_back("'" + name + "'");
  }
  return CheckSameColumns(*schema, *others, (names.size() == 1 ? "source " : "sources ") + JoinNames(names),
                          state.vocabulary);
}

// A vocabulary with other names than the data has would refuse every input from then on; one that calls
// another column an offset or an operation would write these into it.
Status CheckVocabulary(const odf::Vocabulary& before, const odf::Vocabulary& vocabulary,
                       const odf::DataSchema& schema) {
  std::vector<std::string> columns;
  for (const auto& field : schema.fields) columns.push_back(field.name);
  for (const auto& name : {vocabulary.offset, vocabulary.op, vocabulary.system_time, vocabulary.event_time}) {
    if (std::find(columns.begin(), columns.end(), name) == columns.end()) {
      return InvalidArgument("SetVocab: the dataset's data has no column '{}'; its columns are: {}", name,
                             JoinNames(columns));
    }
  }
  const auto stays = [&](const std::string& old, const std::string& now) {
    return old == now || std::find(columns.begin(), columns.end(), old) == columns.end();
  };
  if (!stays(before.offset, vocabulary.offset) || !stays(before.op, vocabulary.op) ||
      !stays(before.system_time, vocabulary.system_time)) {
    return InvalidArgument(
        "SetVocab: the dataset's schema has the system columns '{}', '{}' and '{}', which keep their names; only the "
        "event time column can still be another one",
        before.offset, before.op, before.system_time);
  }
  for (const auto& field : schema.fields) {
    const auto kind = field.type.inner().kind;
    if (field.name == vocabulary.event_time && kind != odf::TypeKind::kTimestamp &&
        kind != odf::TypeKind::kDate)
      return InvalidArgument("SetVocab: event time column '{}' should be either Date or Timestamp, not {}",
                             field.name, odf::ToString(field.type));
  }
  return {};
}

}  // namespace

Status CheckNewEvents(odf::ChainState state, const std::vector<odf::MetadataEvent>& events,
                      const SourceRuleOptions& options) {
  // Vocabulary and schema of the whole manifest count, wherever they stand in it.
  odf::ChainState last = state;
  for (const auto& event : events) {
    if (const auto* vocab = std::get_if<odf::SetVocab>(&event))
      last.vocabulary = odf::Vocabulary::From(*vocab);
    if (const auto* schema = std::get_if<odf::SetDataSchema>(&event); schema && schema->schema)
      last.schema = schema->schema;
  }
  if (state.schema && last.vocabulary != state.vocabulary)
    RETURN_IF_ERROR(CheckVocabulary(state.vocabulary, last.vocabulary, *last.schema));
  for (const auto& event : events) {
    RETURN_IF_ERROR(odf::CheckEvent(event));
    if (const auto* push = std::get_if<odf::AddPushSource>(&event)) {
      if (!options.shared_snapshot) RETURN_IF_ERROR(odf::CheckSharedSnapshot(last, *push));
      auto status = CheckSource(DefinitionOf(*push), last);
      if (!status.ok()) return std::move(status).error().With(fmt::format("source '{}'", push->source_name));
      last.push_sources[push->source_name].event = *push;
    } else if (const auto* polling = std::get_if<odf::SetPollingSource>(&event)) {
      auto status = fetch::CheckFetch(polling->fetch);
      if (status.ok()) {
        status = CheckSource(
            {std::string(odf::kPollingSourceName), polling->read, polling->preprocess, polling->merge}, last);
      }
      if (!status.ok()) return std::move(status).error().With("polling source");
    } else if (const auto* disable = std::get_if<odf::DisablePushSource>(&event)) {
      last.push_sources.erase(disable->source_name);
    }
  }
  return {};
}

std::vector<std::string> MissingSystemColumns(const odf::Vocabulary& vocabulary,
                                              const std::vector<odf::MetadataEvent>& events) {
  odf::Vocabulary names = vocabulary;
  const odf::DataSchema* schema = nullptr;
  for (const auto& event : events) {
    if (const auto* vocab = std::get_if<odf::SetVocab>(&event)) names = odf::Vocabulary::From(*vocab);
    if (const auto* set = std::get_if<odf::SetDataSchema>(&event); set && set->schema) schema = &*set->schema;
  }
  std::vector<std::string> missing;
  if (!schema) return missing;
  for (const auto& name : {names.offset, names.op, names.system_time, names.event_time}) {
    const bool is_there = std::any_of(schema->fields.begin(), schema->fields.end(),
                                      [&](const auto& field) { return field.name == name; });
    if (!is_there) missing.push_back(name);
  }
  return missing;
}

Status NormalizeEvents(std::vector<odf::MetadataEvent>* events) {
  for (auto& event : *events) {
    if (auto* push = std::get_if<odf::AddPushSource>(&event); push && push->preprocess) {
      RETURN_IF_ERROR(odf::NormalizeTransform(&*push->preprocess));
    } else if (auto* polling = std::get_if<odf::SetPollingSource>(&event); polling && polling->preprocess) {
      RETURN_IF_ERROR(odf::NormalizeTransform(&*polling->preprocess));
    } else if (auto* transform = std::get_if<odf::SetTransform>(&event)) {
      RETURN_IF_ERROR(odf::NormalizeTransform(&transform->transform));
    }
  }
  return {};
}

}  // namespace sluice::ingest
