#include "pipeline/record.h"

#include <arrow/api.h>
#include <arrow/util/utf8.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/instant.h"
#include "base/random.h"
#include "columnar/arrow_status.h"
#include "multiformats/multibase.h"
#include "pipeline/json_scan.h"

namespace sluice::pipeline {
namespace {

constexpr std::array<std::string_view, kColumns> kNames = {
    "uuid",          "source_type", "source_id", "data",       "data_id",    "metadata",
    "metadata_type", "lang",        "tenant_id", "created_at", "updated_at", "extra"};

constexpr std::string_view kNoTime = "0001-01-01T00:00:00Z";

bool IsTime(Column column) { return column == Column::kCreatedAt || column == Column::kUpdatedAt; }

// Puts the commas and, when pretty, the line ends.
class FieldWriter {
 public:
  FieldWriter(bool pretty, std::string* out) : pretty_(pretty), out_(out) { *out_ += '{'; }
  void Name(std::string_view name) {
    Separate();
    AppendJsonText(name, out_);
    *out_ += pretty_ ? ": " : ":";
  }
  void Separate() {
    if (!is_first_) *out_ += ',';
    if (pretty_) *out_ += "\n  ";
    is_first_ = false;
  }
  void End() { *out_ += pretty_ && !is_first_ ? "\n}" : "}"; }

 private:
  const bool pretty_;
  std::string* out_;
  bool is_first_ = true;
};

void AppendTime(const arrow::Array& column, int64_t row, std::string* out) {
  const int64_t micros = static_cast<const arrow::TimestampArray&>(column).Value(row);
  Instant instant;
  instant.seconds = micros / 1'000'000 - (micros % 1'000'000 < 0 ? 1 : 0);
  instant.nanoseconds = static_cast<uint32_t>((micros - instant.seconds * 1'000'000) * 1000);
  *out += '"';
  *out += FormatInstant(instant);
  *out += '"';
}

constexpr size_t kUuidBytes = 16;

// Version 7 of random bytes: the time in front, so that later ones sort behind.
std::string MakeUuid(std::string_view random, uint64_t millis) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  text.reserve(36);
  for (size_t i = 0; i < kUuidBytes; ++i) {
    auto byte = static_cast<unsigned char>(random[i]);
    if (i < 6) byte = static_cast<unsigned char>(millis >> (8 * (5 - i)));
    if (i == 6) byte = static_cast<unsigned char>((byte & 0x0f) | 0x70);
    if (i == 8) byte = static_cast<unsigned char>((byte & 0x3f) | 0x80);
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return text;
}

constexpr char kRawBytesField[] = "data_base64";

// Without bytes that are no UTF-8. Which of them are the bad ones is of no use to anybody.
std::string Legible(std::string_view given) {
  arrow::util::InitializeUTF8();
  if (arrow::util::ValidateUTF8(given)) return std::string(given);
  std::string text;
  for (const char c : given) {
    if (static_cast<unsigned char>(c) < 0x80) {
      text += c;
    } else {
      text += "\xef\xbf\xbd";
    }
  }
  return text;
}

}  // namespace

const std::shared_ptr<arrow::Schema>& RecordSchema() {
  static const std::shared_ptr<arrow::Schema> schema = [] {
    arrow::FieldVector fields;
    for (int i = 0; i < kColumns; ++i) {
      const auto column = static_cast<Column>(i);
      const bool nullable = IsTime(column) || column == Column::kMetadata || column == Column::kExtra;
      fields.push_back(arrow::field(
          std::string(ColumnName(column)),
          IsTime(column) ? arrow::timestamp(arrow::TimeUnit::MICRO, "UTC") : arrow::utf8(), nullable));
    }
    return arrow::schema(std::move(fields));
  }();
  return schema;
}

std::string_view ColumnName(Column column) { return kNames[static_cast<size_t>(column)]; }

void AppendRecord(const arrow::RecordBatch& records, int64_t row, const WireOptions& options,
                  std::string* out) {
  FieldWriter fields(options.pretty, out);
  for (int i = 0; i < static_cast<int>(Column::kExtra); ++i) {
    const auto column = static_cast<Column>(i);
    const arrow::Array& array = *records.column(i);
    const bool is_empty =
        array.IsNull(row) ||
        (!IsTime(column) && static_cast<const arrow::StringArray&>(array).value_length(row) == 0);
    if (is_empty && !options.write_empty) continue;
    fields.Name(ColumnName(column));
    if (column == Column::kMetadata) {
      *out += is_empty ? "null" : static_cast<const arrow::StringArray&>(array).GetView(row);
    } else if (!IsTime(column)) {
      AppendJsonText(is_empty ? "" : static_cast<const arrow::StringArray&>(array).GetView(row), out);
    } else if (is_empty) {
      AppendJsonText(kNoTime, out);
    } else {
      AppendTime(array, row, out);
    }
  }
  const auto& extra =
      static_cast<const arrow::StringArray&>(*records.column(static_cast<int>(Column::kExtra)));
  if (extra.IsValid(row)) {
    // Its own brackets go; what is between them stays as it is.
    std::string_view text = extra.GetView(row);
    const size_t open = text.find('{');
    const size_t close = text.rfind('}');
    if (open != std::string_view::npos && close > open &&
        SkipSpace(text.substr(0, close), open + 1) < close) {
      fields.Separate();
      *out += text.substr(open + 1, close - open - 1);
    }
  }
  fields.End();
}

void AppendNdJson(const arrow::RecordBatch& records, std::string* out) {
  for (int64_t row = 0; row < records.num_rows(); ++row) {
    AppendRecord(records, row, {}, out);
    *out += '\n';
  }
}

std::shared_ptr<arrow::RecordBatch> NoRecords() {
  static const auto none = arrow::RecordBatch::MakeEmpty(RecordSchema()).ValueOrDie();
  return none;
}

std::shared_ptr<arrow::RecordBatch> RawRecord(std::string_view given) {
  const std::string text = Legible(given);
  auto columns = NoRecords()->columns();
  for (int i = 0; i < kColumns; ++i) {
    auto& column = columns[static_cast<size_t>(i)];
    if (!RecordSchema()->field(i)->nullable()) {
      column = *arrow::MakeArrayFromScalar(
          arrow::StringScalar(static_cast<Column>(i) == Column::kData ? text : std::string()), 1);
    } else {
      column = *arrow::MakeArrayOfNull(column->type(), 1);
    }
  }
  if (text != given) {
    nlohmann::json extra;
    extra[kRawBytesField] = multiformats::EncodeBase64(given);
    columns[static_cast<size_t>(Column::kExtra)] =
        *arrow::MakeArrayFromScalar(arrow::StringScalar(extra.dump()), 1);
  }
  return arrow::RecordBatch::Make(RecordSchema(), 1, std::move(columns));
}

std::string RawTextOf(const arrow::RecordBatch& records, int64_t row) {
  const auto text_at = [&](Column column) {
    const auto& texts = static_cast<const arrow::StringArray&>(*records.column(static_cast<int>(column)));
    return texts.IsNull(row) ? std::string() : texts.GetString(row);
  };
  std::string text = text_at(Column::kData);
  const auto extra = nlohmann::json::parse(text_at(Column::kExtra), nullptr, /*allow_exceptions=*/false);
  if (!extra.is_object()) return text;
  const auto kept = extra.find(kRawBytesField);
  if (kept == extra.end() || !kept->is_string()) return text;
  auto bytes = multiformats::DecodeBase64(kept->get<std::string>());
  return bytes.ok() && Legible(*bytes) == text ? *std::move(bytes) : text;
}

Result<std::shared_ptr<arrow::RecordBatch>> FillUuids(const std::shared_ptr<arrow::RecordBatch>& records) {
  constexpr int kUuid = static_cast<int>(Column::kUuid);
  const auto& given = static_cast<const arrow::StringArray&>(*records->column(kUuid));
  bool is_missing = false;
  for (int64_t row = 0; row < given.length() && !is_missing; ++row) is_missing = given.value_length(row) == 0;
  if (!is_missing) return records;
  arrow::StringBuilder builder;
  RETURN_IF_ARROW_ERROR(builder.Reserve(given.length()));
  RETURN_IF_ARROW_ERROR(builder.ReserveData(given.length() * 36));
  const std::string random = RandomBytes(static_cast<size_t>(given.length()) * kUuidBytes);
  const auto millis = static_cast<uint64_t>(SystemClock().Now().ToMillis());
  for (int64_t row = 0; row < given.length(); ++row) {
    const auto* bytes = random.data() + static_cast<size_t>(row) * kUuidBytes;
    RETURN_IF_ARROW_ERROR(given.value_length(row) == 0 ? builder.Append(MakeUuid({bytes, kUuidBytes}, millis))
                                                       : builder.Append(given.GetView(row)));
  }
  std::shared_ptr<arrow::Array> uuids;
  RETURN_IF_ARROW_ERROR(builder.Finish(&uuids));
  ASSIGN_OR_RETURN_ARROW(auto filled,
                         records->SetColumn(kUuid, RecordSchema()->field(kUuid), std::move(uuids)));
  return filled;
}

}  // namespace sluice::pipeline
