// What can be said against an event before there is data: asked when a source is added, so that a mistake
// does not wait for the first ingest (decisions.md 7). Values of read options are judged by the reader that
// owns them.
#include <algorithm>
#include <set>
#include <vector>

#include "base/names.h"
#include "odf/chain_rules_internal.h"
#include "odf/yaml.h"

namespace sluice::odf {
namespace {

// --- fetch and prepare ---

Status CheckNotBlank(std::string_view text, std::string_view what) {
  return text.empty() ? Status(InvalidArgument("{} is empty", what)) : OkStatus();
}

struct FetchCheck {
  Status operator()(const FetchUrl& fetch) const {
    RETURN_IF_ERROR(CheckNotBlank(fetch.url, "fetch: url"));
    if (!fetch.headers) return OkStatus();
    for (const RequestHeader& header : *fetch.headers) {
      RETURN_IF_ERROR(CheckNotBlank(header.name, "fetch: the name of a header"));
    }
    return CheckEventTime(fetch.event_time);
  }
  Status operator()(const FetchFilesGlob& fetch) const {
    RETURN_IF_ERROR(CheckNotBlank(fetch.path, "fetch: path"));
    return CheckEventTime(fetch.event_time);
  }
  Status operator()(const FetchContainer& fetch) const {
    RETURN_IF_ERROR(CheckNotBlank(fetch.image, "fetch: image"));
    if (!fetch.env) return OkStatus();
    for (const EnvVar& variable : *fetch.env) {
      RETURN_IF_ERROR(CheckNotBlank(variable.name, "fetch: the name of an environment variable"));
    }
    return OkStatus();
  }
  Status operator()(const FetchMqtt& fetch) const {
    RETURN_IF_ERROR(CheckNotBlank(fetch.host, "fetch: host"));
    if (fetch.port < 1 || fetch.port > 65535) {
      return InvalidArgument("fetch: port {} is not between 1 and 65535", fetch.port);
    }
    if (fetch.topics.empty()) return InvalidArgument("fetch: topics is empty");
    for (const MqttTopicSubscription& topic : fetch.topics) {
      RETURN_IF_ERROR(CheckNotBlank(topic.path, "fetch: the path of a topic"));
    }
    return OkStatus();
  }
  Status operator()(const FetchEthereumLogs&) const { return OkStatus(); }

  static Status CheckEventTime(const std::optional<EventTimeSource>& event_time) {
    if (!event_time || event_time->kind != EventTimeSource::Kind::kFromPath) return OkStatus();
    return CheckNotBlank(event_time->pattern, "fetch: eventTime: pattern");
  }
};

Status CheckPrepare(const std::optional<std::vector<PrepStep>>& prepare) {
  if (!prepare) return OkStatus();
  for (const PrepStep& step : *prepare) {
    const auto* pipe = std::get_if<PrepPipe>(&step);
    if (pipe && (pipe->command.empty() || pipe->command[0].empty())) {
      return InvalidArgument("prepare: Pipe has no command");
    }
  }
  return OkStatus();
}

// --- read ---

constexpr unsigned FormatBit(ReadFormat format) { return 1u << static_cast<unsigned>(format); }
constexpr unsigned kCsv = FormatBit(ReadFormat::kCsv);
constexpr unsigned kText = kCsv | FormatBit(ReadFormat::kJson) | FormatBit(ReadFormat::kNdJson);
constexpr unsigned kNested = FormatBit(ReadFormat::kJson) | FormatBit(ReadFormat::kEsriShapefile);

// An option that its format does not have would be lost when the block is written.
Status CheckOptionsOfFormat(const ReadStep& read) {
  const struct {
    std::string_view name;
    bool present;
    unsigned formats;
  } options[] = {
      {"subPath", read.sub_path.has_value(), kNested},
      {"separator", read.separator.has_value(), kCsv},
      {"quote", read.quote.has_value(), kCsv},
      {"escape", read.escape.has_value(), kCsv},
      {"header", read.header.has_value(), kCsv},
      {"inferSchema", read.infer_schema.has_value(), kCsv},
      {"nullValue", read.null_value.has_value(), kCsv},
      {"encoding", read.encoding.has_value(), kText},
      {"dateFormat", read.date_format.has_value(), kText},
      {"timestampFormat", read.timestamp_format.has_value(), kText},
  };
  for (const auto& option : options) {
    if (!option.present || (option.formats & FormatBit(read.format))) continue;
    return InvalidArgument("read: format {} has no option '{}'", NameOf(read.format), option.name);
  }
  return OkStatus();
}

// --- preprocess ---

Status CheckQueries(const TransformSql& transform, std::string_view field) {
  RETURN_IF_ERROR(CheckNormalized(transform, field));
  if (transform.engine.empty()) return InvalidArgument("{}: engine is empty", field);
  std::set<std::string_view> aliases;
  for (const SqlQueryStep& step : *transform.queries) {
    if (step.query.find_first_not_of(" \t\r\n") == std::string::npos) {
      return InvalidArgument("{}: query '{}' is empty", field, step.alias.value_or(""));
    }
    if (!step.alias) continue;
    if (step.alias->empty()) return InvalidArgument("{}: the alias of a query is empty", field);
    if (!aliases.insert(*step.alias).second) {
      return InvalidArgument("{}: two queries have the alias '{}'", field, *step.alias);
    }
  }
  return OkStatus();
}

// --- merge ---

Status CheckNames(const Strings& names, std::string_view what) {
  std::set<std::string_view> seen;
  for (const std::string& name : names) {
    if (name.empty()) return InvalidArgument("merge: {} names a column without a name", what);
    if (!seen.insert(name).second) return InvalidArgument("merge: {} names column '{}' twice", what, name);
  }
  return OkStatus();
}

Status CheckMergeAlone(const MergeStrategy& merge) {
  const std::string_view kind = NameOf(merge.kind);
  if (merge.kind == MergeKind::kAppend) {
    if (!merge.primary_key.empty()) return InvalidArgument("merge: {} has no primaryKey", kind);
  } else if (merge.primary_key.empty()) {
    return InvalidArgument("merge: the primaryKey of {} is empty", kind);
  }
  RETURN_IF_ERROR(CheckNames(merge.primary_key, "primaryKey"));
  if (!merge.compare_columns) return OkStatus();
  if (merge.kind != MergeKind::kSnapshot) return InvalidArgument("merge: {} has no compareColumns", kind);
  if (merge.compare_columns->empty()) {
    return InvalidArgument("merge: compareColumns is empty, leave it out to compare all columns");
  }
  RETURN_IF_ERROR(CheckNames(*merge.compare_columns, "compareColumns"));
  for (const std::string& name : *merge.compare_columns) {
    if (std::ranges::find(merge.primary_key, name) == merge.primary_key.end()) continue;
    return InvalidArgument("merge: compareColumns names '{}', which is part of the primaryKey", name);
  }
  return OkStatus();
}

// Columns that a strategy names have to be declared when no query stands between. Columns of a DDL schema
// that are named like system columns get an underscore in front (odf-ingest.md 2.2).
Status CheckStrategyColumns(const Strings& names, std::string_view what, const DataSchema& declared,
                            bool from_ddl) {
  Strings known;
  for (const DataField& field : declared.fields) known.push_back(field.name);
  const auto is_known = [&](const std::string& name) {
    return std::ranges::find(known, name) != known.end();
  };
  for (const std::string& name : names) {
    if (is_known(name) || (from_ddl && name.starts_with('_') && is_known(name.substr(1)))) continue;
    return InvalidArgument("merge: {} names column '{}', which is not declared; columns are: {}", what, name,
                           JoinNames(known));
  }
  return OkStatus();
}

Status CheckSource(const ReadStep& read, const std::optional<TransformSql>& preprocess,
                   const MergeStrategy& merge) {
  RETURN_IF_ERROR(CheckOptionsOfFormat(read));
  if (preprocess) RETURN_IF_ERROR(CheckQueries(*preprocess, "preprocess"));
  RETURN_IF_ERROR(CheckMergeAlone(merge));
  ASSIGN_OR_RETURN(const std::optional<DataSchema> declared, DeclaredSchema(read));
  if (!declared) return OkStatus();
  const bool from_ddl = read.ddl_schema.has_value();
  RETURN_IF_ERROR(
      CheckDeclaredSchema(*declared, from_ddl ? "read: ddlSchema" : "read: schema", preprocess.has_value()));
  if (preprocess) return OkStatus();
  RETURN_IF_ERROR(CheckStrategyColumns(merge.primary_key, "primaryKey", *declared, from_ddl));
  if (!merge.compare_columns) return OkStatus();
  return CheckStrategyColumns(*merge.compare_columns, "compareColumns", *declared, from_ddl);
}

// --- vocabulary ---

Status CheckVocabulary(const SetVocab& event) {
  const Vocabulary names = Vocabulary::From(event);
  std::set<std::string_view> seen;
  for (const std::string* name : {&names.offset, &names.op, &names.system_time, &names.event_time}) {
    if (name->empty()) return InvalidArgument("SetVocab: the name of a system column is empty");
    if (!seen.insert(*name).second)
      return InvalidArgument("SetVocab: two system columns are called '{}'", *name);
  }
  return OkStatus();
}

struct EventCheck {
  Status operator()(const AddPushSource& event) const {
    return CheckSource(event.read, event.preprocess, event.merge);
  }
  Status operator()(const SetPollingSource& event) const {
    RETURN_IF_ERROR(std::visit(FetchCheck(), event.fetch));
    RETURN_IF_ERROR(CheckPrepare(event.prepare));
    return CheckSource(event.read, event.preprocess, event.merge);
  }
  Status operator()(const SetTransform& event) const { return CheckQueries(event.transform, "transform"); }
  Status operator()(const SetVocab& event) const { return CheckVocabulary(event); }
  Status operator()(const SetDataSchema& event) const {
    return event.schema ? CheckDeclaredSchema(*event.schema, "SetDataSchema", false) : OkStatus();
  }
  template <class Other>
  Status operator()(const Other&) const {
    return OkStatus();
  }
};

}  // namespace

Status CheckEvent(const MetadataEvent& event) {
  RETURN_IF_ERROR(CheckEventAlone(event, Judging::kAppend));
  return std::visit(EventCheck(), event);
}

}  // namespace sluice::odf
