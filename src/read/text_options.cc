#include "read/text_options.h"

#include "columnar/time_pattern.h"

namespace sluice::read {
namespace {

Result<std::shared_ptr<const columnar::TimePattern>> PatternOf(std::string_view option,
                                                               const std::optional<std::string>& value) {
  if (!value || value->empty() || *value == "rfc3339" || *value == "RFC3339") {
    return std::shared_ptr<const columnar::TimePattern>();
  }
  auto pattern = columnar::TimePattern::Parse(*value);
  if (!pattern.ok()) return Unsupported("{} '{}': {}", option, *value, pattern.error().message());
  return pattern;
}

// One byte, or `none` where the option is empty and may be.
Result<int> ByteOf(std::string_view option, const std::optional<std::string>& value, char fallback,
                   bool may_be_empty) {
  if (!value) return static_cast<int>(fallback);
  if (value->empty() && may_be_empty) return -1;
  if (value->size() != 1) {
    return Unsupported("{} '{}' is not supported: it must be exactly one byte{}", option, *value,
                       may_be_empty ? ", or empty for none" : "");
  }
  const char byte = (*value)[0];
  if (byte == '\n' || byte == '\r' || byte == '\0') {
    return Unsupported("{} is not supported: a line end or NUL cannot be one", option);
  }
  if (static_cast<unsigned char>(byte) >= 0x80)
    return Unsupported("{} '{}' is not supported: not an ASCII character", option, *value);
  return static_cast<int>(byte);
}

}  // namespace

Result<columnar::CastOptions> CastOptionsOf(const odf::ReadStep& step) {
  columnar::CastOptions options;
  ASSIGN_OR_RETURN(options.date_pattern, PatternOf("dateFormat", step.date_format));
  ASSIGN_OR_RETURN(options.timestamp_pattern, PatternOf("timestampFormat", step.timestamp_format));
  return options;
}

Result<CsvOptions> CsvOptionsOf(const odf::ReadStep& step) {
  CsvOptions options;
  ASSIGN_OR_RETURN(const int separator, ByteOf("separator", step.separator, ',', false));
  ASSIGN_OR_RETURN(options.dialect.quote, ByteOf("quote", step.quote, '"', true));
  ASSIGN_OR_RETURN(options.dialect.escape, ByteOf("escape", step.escape, '\\', true));
  options.dialect.separator = static_cast<char>(separator);
  if (separator == options.dialect.quote || separator == options.dialect.escape) {
    return Unsupported("separator '{}' is not supported: it is also quote or escape",
                       static_cast<char>(separator));
  }
  options.dialect.null_text = step.null_value.value_or("");
  options.header = step.header.value_or(false);
  options.infer = step.infer_schema.value_or(false);
  ASSIGN_OR_RETURN(options.cast, CastOptionsOf(step));
  return options;
}

}  // namespace sluice::read
