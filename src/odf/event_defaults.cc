#include <utility>

#include "odf/chain_rules_internal.h"

namespace sluice::odf {
namespace {

template <class T>
void Fill(std::optional<T>& option, T value) {
  if (!option) option = std::move(value);
}

}  // namespace

DataType WithDefaults(DataType type) {
  if (type.kind == TypeKind::kDuration || type.kind == TypeKind::kTime || type.kind == TypeKind::kTimestamp) {
    Fill(type.unit, TimeUnit::kMillisecond);
  }
  if (type.kind == TypeKind::kTimestamp) Fill<std::string>(type.timezone, "UTC");
  if (type.kind == TypeKind::kMap) Fill(type.keys_sorted, false);
  for (DataType& child : type.children) child = WithDefaults(std::move(child));
  for (DataField& field : type.fields) field.type = WithDefaults(std::move(field.type));
  return type;
}

DataSchema WithDefaults(DataSchema schema) {
  for (DataField& field : schema.fields) field.type = WithDefaults(std::move(field.type));
  return schema;
}

ReadStep WithDefaults(ReadStep read) {
  const bool csv = read.format == ReadFormat::kCsv;
  if (csv) {
    Fill<std::string>(read.separator, ",");
    Fill<std::string>(read.quote, "\"");
    Fill<std::string>(read.escape, "\\");
    Fill(read.header, false);
    Fill(read.infer_schema, false);
    Fill<std::string>(read.null_value, "");
  }
  if (csv || read.format == ReadFormat::kJson || read.format == ReadFormat::kNdJson) {
    Fill<std::string>(read.encoding, "utf8");
    Fill<std::string>(read.date_format, "rfc3339");
    Fill<std::string>(read.timestamp_format, "rfc3339");
  }
  if (read.schema) read.schema = WithDefaults(*std::move(read.schema));
  return read;
}

FetchStep WithDefaults(FetchStep fetch) {
  if (auto* mqtt = std::get_if<FetchMqtt>(&fetch)) {
    for (MqttTopicSubscription& topic : mqtt->topics) Fill(topic.qos, MqttQos::kAtMostOnce);
  }
  return fetch;
}

AddPushSource WithDefaults(AddPushSource event) {
  event.read = WithDefaults(std::move(event.read));
  return event;
}

}  // namespace sluice::odf
