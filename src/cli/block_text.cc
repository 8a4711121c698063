#include "cli/block_text.h"

#include "odf/yaml.h"

namespace sluice::cli {
namespace {

class Printer {
 public:
  explicit Printer(bool color) : color_(color) {}

  void Line(int depth, std::string_view name, std::string_view value) {
    text_ += std::string(static_cast<size_t>(depth) * 2, ' ');
    text_ += color_ ? fmt::format("\x1b[36m{}\x1b[0m:", name) : fmt::format("{}:", name);
    if (!value.empty()) text_ += " " + std::string(value);
    text_ += '\n';
  }
  void Slice(const odf::DataSlice& slice) {
    Line(0, "NewData", "");
    Line(1, "Offset.Start", std::to_string(slice.offset_interval.start));
    Line(1, "Offset.End", std::to_string(slice.offset_interval.end));
    Line(1, "NumRecords", std::to_string(slice.offset_interval.end - slice.offset_interval.start + 1));
    Line(1, "LogicalHash", slice.logical_hash.ToString());
    Line(1, "PhysicalHash", slice.physical_hash.ToString());
    Line(1, "Size", std::to_string(slice.size));
  }
  void Checkpoint(const odf::Checkpoint& checkpoint) {
    Line(0, "NewCheckpoint", "");
    Line(1, "PhysicalHash", checkpoint.physical_hash.ToString());
    Line(1, "Size", std::to_string(checkpoint.size));
  }
  // Other events as their YAML fields, without envelope and kind.
  void Fields(const odf::MetadataEvent& event) {
    const std::string yaml = odf::ToYaml(event);
    size_t at = yaml.find("\n  kind:");
    if (at == std::string::npos) return;
    at = yaml.find('\n', at + 1);
    while (at != std::string::npos && at + 1 < yaml.size()) {
      const size_t end = yaml.find('\n', at + 1);
      std::string_view line(yaml.data() + at + 1, (end == std::string::npos ? yaml.size() : end) - at - 1);
      if (line.substr(0, 2) == "  ") line.remove_prefix(2);
      text_ += std::string(line) + '\n';
      at = end;
    }
  }
  std::string Take() { return std::move(text_); }

 private:
  bool color_;
  std::string text_;
};

template <class Event>
void DataEvent(const Event& data, Printer* out) {
  if (data.prev_checkpoint) out->Line(0, "PrevCheckpoint", data.prev_checkpoint->ToString());
  if (data.prev_offset) out->Line(0, "PrevOffset", std::to_string(*data.prev_offset));
  if (data.new_data) out->Slice(*data.new_data);
  if (data.new_checkpoint) out->Checkpoint(*data.new_checkpoint);
}

}  // namespace

std::string BlockText(const dataset::StoredBlock& block, bool color) {
  Printer out(color);
  out.Line(0, fmt::format("Block #{}", block.block.sequence_number), block.hash.ToString());
  out.Line(0, "SystemTime", FormatInstant(block.block.system_time));
  out.Line(0, "Kind", odf::KindNameOf(block.block.event));
  if (const auto* data = std::get_if<odf::AddData>(&block.block.event)) {
    DataEvent(*data, &out);
    if (data->new_source_state) {
      out.Line(0, "NewSourceState", "");
      out.Line(1, "SourceName", data->new_source_state->source_name);
      out.Line(1, "Kind", data->new_source_state->kind);
      out.Line(1, "Value", data->new_source_state->value);
    }
    if (data->new_watermark) out.Line(0, "NewWatermark", FormatInstant(*data->new_watermark));
    if (data->extra) out.Line(0, "Extra", *data->extra);
  } else if (const auto* run = std::get_if<odf::ExecuteTransform>(&block.block.event)) {
    for (const auto& input : run->query_inputs) {
      out.Line(0, "QueryInput", input.dataset_id.ToString());
      if (input.prev_block_hash) out.Line(1, "PrevBlockHash", input.prev_block_hash->ToString());
      if (input.new_block_hash) out.Line(1, "NewBlockHash", input.new_block_hash->ToString());
      if (input.prev_offset) out.Line(1, "PrevOffset", std::to_string(*input.prev_offset));
      if (input.new_offset) out.Line(1, "NewOffset", std::to_string(*input.new_offset));
    }
    DataEvent(*run, &out);
    if (run->new_watermark) out.Line(0, "NewWatermark", FormatInstant(*run->new_watermark));
  } else {
    out.Fields(block.block.event);
  }
  return out.Take();
}

}  // namespace sluice::cli
