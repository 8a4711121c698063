#include <algorithm>

#include "pipeline/describe.h"

namespace sluice::pipeline {
namespace {

// The boxes from left to right; those of a column are alternatives or branches.
struct Stage {
  std::string title;
  std::vector<std::string> boxes;
};

// The options that tell one from another, in the order of preference.
std::string Label(const Settings& settings, const PipelineConfig& config) {
  for (const auto* option : {"path", "url", "listen", "queue_url", "table", "dataset", "query", "command"}) {
    if (settings.has(option) && !settings.text(option).empty()) {
      std::string value = HideSecrets(settings.text(option), config.secrets);
      value = value.substr(0, value.find('\n'));
      if (value.size() > 40) value = value.substr(0, 37) + "...";
      return fmt::format("{} {}", settings.type(), value);
    }
  }
  return settings.type();
}

// Those that get the records in the end: the branches of a fan_out, whatever it is a branch of.
void AddWriters(const Settings& writer, const PipelineConfig& config, bool is_best_effort,
                std::vector<std::string>* boxes) {
  const auto& branches = writer.writers("writers");
  if (branches.empty()) boxes->push_back(Label(writer, config) + (is_best_effort ? " (best effort)" : ""));
  for (const auto& branch : branches)
    AddWriters(branch, config, is_best_effort || branch.text("branch.policy") == "best_effort", boxes);
}

std::vector<Stage> Columns(const PipelineConfig& config) {
  std::vector<Stage> columns(1);
  columns[0].title = "ingestors";
  for (const auto& one : config.ingestors) columns[0].boxes.push_back(Label(one, config));
  if (config.spool) columns.push_back({"spool", {config.spool->path}});
  for (size_t i = 0; i < config.processors.size(); ++i) {
    const auto& step = config.processors[i];
    columns.push_back(
        {fmt::format("processor {}", i + 1),
         {Label(step.settings, config) + (step.when.kind == Tree::Kind::kNull ? "" : " (when)")}});
  }
  Stage writers{config.writer.writers("writers").empty() ? "writer" : "writers", {}};
  AddWriters(config.writer, config, /*is_best_effort=*/false, &writers.boxes);
  columns.push_back(std::move(writers));
  return columns;
}

std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

}  // namespace

std::string DrawAsText(const PipelineConfig& config) {
  std::string text = config.name + "\n";
  std::string indent = "  ";
  for (const auto& column : Columns(config)) {
    for (const auto& label : column.boxes)
      text += fmt::format("{}{}{}\n", indent, indent == "  " ? "" : "-> ", label);
    indent += "  ";
  }
  if (config.dead_letter && !config.keeps_rejects)
    text += fmt::format("  rejected -> {}\n", Label(*config.dead_letter, config));
  return text;
}

std::string DrawAsSvg(const PipelineConfig& config) {
  constexpr int kWidth = 230, kHeight = 40, kGapX = 60, kGapY = 20, kTop = 60, kLeft = 20;
  auto columns = Columns(config);
  size_t tallest = 1;
  for (const auto& column : columns) tallest = std::max(tallest, column.boxes.size());
  const int dead_rows = config.dead_letter && !config.keeps_rejects ? 1 : 0;
  const int height =
      kTop + static_cast<int>(tallest + static_cast<size_t>(dead_rows)) * (kHeight + kGapY) + 10;
  const int width = 2 * kLeft + static_cast<int>(columns.size()) * (kWidth + kGapX) - kGapX;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {} {}\" "
      "font-family=\"sans-serif\" font-size=\"13\">\n"
      "<title>{}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
      "<text x=\"{}\" y=\"24\" font-size=\"16\" font-weight=\"bold\" fill=\"#1a2b3c\">{}</text>\n",
      width, height, width, height, Escaped(config.name), kLeft, Escaped(config.name));
  const auto top_of = [&](const Stage& column, size_t row) {
    const int free = static_cast<int>(tallest - column.boxes.size()) * (kHeight + kGapY) / 2;
    return kTop + free + static_cast<int>(row) * (kHeight + kGapY);
  };
  const auto box = [&](int x, int y, const std::string& label, const char* colour) {
    svg += fmt::format(
        "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"6\" fill=\"{}\" stroke=\"#4a6078\"/>\n"
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#1a2b3c\" textLength=\"{}\" "
        "lengthAdjust=\"spacingAndGlyphs\">{}</text>\n",
        x, y, kWidth, kHeight, colour, x + kWidth / 2, y + kHeight / 2 + 5,
        std::min<int>(kWidth - 16, static_cast<int>(label.size()) * 7), Escaped(label));
  };
  for (size_t i = 0; i < columns.size(); ++i) {
    const int x = kLeft + static_cast<int>(i) * (kWidth + kGapX);
    svg += fmt::format("<text x=\"{}\" y=\"{}\" font-size=\"11\" fill=\"#5a6b7c\">{}</text>\n", x, kTop - 8,
                       Escaped(columns[i].title));
    for (size_t row = 0; row < columns[i].boxes.size(); ++row) {
      const int y = top_of(columns[i], row);
      box(x, y, columns[i].boxes[row], i == 0 ? "#e4f0fa" : i + 1 == columns.size() ? "#e6f5e6" : "#f6f1e0");
      if (i + 1 == columns.size()) continue;
      for (size_t next = 0; next < columns[i + 1].boxes.size(); ++next) {
        svg += fmt::format("<path d=\"M{} {} C{} {} {} {} {} {}\" fill=\"none\" stroke=\"#4a6078\"/>\n",
                           x + kWidth, y + kHeight / 2, x + kWidth + kGapX / 2, y + kHeight / 2,
                           x + kWidth + kGapX / 2, top_of(columns[i + 1], next) + kHeight / 2,
                           x + kWidth + kGapX, top_of(columns[i + 1], next) + kHeight / 2);
      }
    }
  }
  if (dead_rows > 0) {
    const int x = kLeft + static_cast<int>(columns.size() - 1) * (kWidth + kGapX);
    box(x, kTop + static_cast<int>(tallest) * (kHeight + kGapY),
        "rejected: " + Label(*config.dead_letter, config), "#fae4e4");
  }
  return svg + "</svg>\n";
}

}  // namespace sluice::pipeline
