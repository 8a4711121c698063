#include <algorithm>
#include <cctype>

#include "read/sniff.h"

// The draft of a manifest, as text with comments.
namespace sluice::read {
namespace {

std::string Quoted(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

// As it is where YAML takes it for text, else quoted.
std::string Scalar(std::string_view text) {
  static constexpr std::string_view kWords[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
  const bool plain = !text.empty() && std::isalpha(static_cast<unsigned char>(text[0])) != 0 &&
                     std::all_of(text.begin(), text.end(), [](unsigned char c) {
                       return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.' || c == '/';
                     });
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const bool word = std::find(std::begin(kWords), std::end(kWords), lower) != std::end(kWords);
  return plain && !word ? std::string(text) : Quoted(text);
}

// A comment may not break its line.
std::string OneLine(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return out;
}

std::string ShortType(const odf::DataType& type) {
  switch (type.inner().kind) {
    case odf::TypeKind::kBool:
      return "Bool";
    case odf::TypeKind::kInt64:
      return "Int64";
    case odf::TypeKind::kFloat64:
      return "Float64";
    case odf::TypeKind::kDate:
      return "Date";
    case odf::TypeKind::kTimestamp:
      return "Timestamp";
    default:
      return "String";
  }
}

class Draft {
 public:
  Draft(const Sniffed& sniffed, const DraftOptions& options) : sniffed_(sniffed), options_(options) {}

  std::string Text() {
    Line(0, fmt::format("# Proposed for {}; edit it as you like.", OneLine(options_.origin)));
    Line(0, fmt::format("# {} records were looked at{}.", sniffed_.records,
                        sniffed_.complete ? ", all there are" : ", and there are more"));
    for (const std::string& note : sniffed_.notes) Line(0, "# " + OneLine(note));
    Line(0, "kind: DatasetSnapshot");
    Line(0, "version: 1");
    Line(0, "content:");
    Line(1, "name: " + Scalar(options_.dataset));
    Line(1, "kind: Root");
    Line(1, "metadata:");
    Source();
    if (!sniffed_.event_time.empty() && sniffed_.event_time != "event_time") {
      Line(2, "# The column that says when something happened.");
      Line(2, "- kind: SetVocab");
      Line(2, "  eventTimeColumn: " + Scalar(sniffed_.event_time));
    } else if (sniffed_.event_time.empty()) {
      Line(2, "# No column was found that says when something happened: rows get the time of ingestion.");
      Line(2, "# - kind: SetVocab");
      Line(2, "#   eventTimeColumn: name of a column of type Date or Timestamp");
    }
    Line(2, "- kind: SetInfo");
    Line(2, "  description: What these records are");
    Line(2, "  keywords: []");
    return std::move(out_);
  }

 private:
  void Line(int depth, std::string_view text) {
    out_.append(static_cast<size_t>(depth) * 2, ' ').append(text).append("\n");
  }

  void Source() {
    if (options_.url.empty()) {
      Line(2, "- kind: AddPushSource");
      Line(2, "  sourceName: default");
    } else {
      Line(2, "- kind: SetPollingSource");
      Line(2, "  fetch:");
      Line(2, "    kind: Url");
      Line(2, "    url: " + Scalar(options_.url));
      Prepare();
    }
    Read();
    Line(2, "  # Optional: reshape with SQL. The read columns are the table `input`.");
    Line(2, "  # preprocess:");
    Line(2, "  #   kind: Sql");
    Line(2, "  #   engine: datafusion");
    Line(2, "  #   query: select * from input");
    Merge();
  }

  void Prepare() {
    if (!sniffed_.prepare) return;
    Line(2, "  prepare:");
    if (const auto* unpack = std::get_if<odf::PrepDecompress>(&*sniffed_.prepare)) {
      Line(2, "    - kind: Decompress");
      Line(2,
           fmt::format("      format: {}", unpack->format == odf::CompressionFormat::kZip ? "Zip" : "Gzip"));
      if (unpack->sub_path) Line(2, "      subPath: " + Quoted(*unpack->sub_path));
      return;
    }
    std::string command;
    for (const std::string& word : std::get<odf::PrepPipe>(*sniffed_.prepare).command)
      command += (command.empty() ? "" : ", ") + Quoted(word);
    Line(2, "    - kind: Pipe");
    Line(2, fmt::format("      command: [{}]", command));
  }

  void Option(const char* name, const std::optional<std::string>& value) {
    if (value) Line(3, fmt::format("  {}: {}", name, Quoted(*value)));
  }

  void Read() {
    const odf::ReadStep& step = sniffed_.step;
    Line(2, "  read:");
    Line(3, fmt::format("  kind: {}", odf::NameOf(step.format)));
    Option("subPath", step.sub_path);
    Option("separator", step.separator);
    Option("quote", step.quote);
    Option("escape", step.escape);
    Option("encoding", step.encoding);
    Option("dateFormat", step.date_format);
    Option("timestampFormat", step.timestamp_format);
    if (step.header) Line(3, fmt::format("  header: {}", *step.header));
    if (step.infer_schema) Line(3, fmt::format("  inferSchema: {}", *step.infer_schema));
    if (!step.schema) {
      Line(3, "  # Columns and types are the input's own:");
      for (const SniffedColumn& column : sniffed_.columns)
        Line(3, fmt::format("  # {}{}{}", OneLine(column.name), column.type.empty() ? "" : " " + column.type,
                            Example(column)));
      return;
    }
    Line(3, "  schema:");
    Line(3, "    fields:");
    for (size_t i = 0; i < step.schema->fields.size(); ++i) {
      const odf::DataField& field = step.schema->fields[i];
      Line(3, fmt::format("      - name: {}{}", Scalar(field.name),
                          i < sniffed_.columns.size() ? Comment(sniffed_.columns[i]) : ""));
      const std::string type = ShortType(field.type);
      Line(3, "        type: " +
                  (field.type.is_option() ? fmt::format("{{kind: Option, inner: {}}}", type) : type));
    }
  }

  static std::string Example(const SniffedColumn& column) {
    return column.example.empty() ? std::string() : ", e.g. " + OneLine(column.example);
  }
  static std::string Comment(const SniffedColumn& column) {
    return column.example.empty() ? std::string("  # always empty") : "  # e.g. " + OneLine(column.example);
  }

  void Merge() {
    Line(2, "  merge:");
    if (sniffed_.primary_key.empty()) {
      Line(
          3,
          "  # Every record is added each time: no columns were found that tell records apart. With such a key,");
      Line(3,
           "  # Ledger adds each record once, and Snapshot records what changed from one state to the next.");
      Line(3, "  kind: Append");
      return;
    }
    std::string key;
    for (const std::string& column : sniffed_.primary_key) key += (key.empty() ? "" : ", ") + Scalar(column);
    const bool ledger = !sniffed_.event_time.empty();
    Line(3, fmt::format("  # {} told all records apart.", OneLine(key)));
    if (ledger) {
      Line(3,
           "  # Ledger adds each record once. If the input is the present state of things that change, take");
      Line(3, "  # Snapshot, which records what changed.");
    } else {
      Line(
          3,
          "  # Snapshot takes the input as the present state and records what changed. If the input is a list of");
      Line(3, "  # events that only grows, take Ledger, which adds each record once.");
    }
    Line(3, fmt::format("  kind: {}", ledger ? "Ledger" : "Snapshot"));
    Line(3, fmt::format("  primaryKey: [{}]", key));
  }

  const Sniffed& sniffed_;
  const DraftOptions& options_;
  std::string out_;
};

}  // namespace

Result<std::string> DraftManifest(const Sniffed& sniffed, const DraftOptions& options) {
  if (options.url.empty() && sniffed.prepare) {
    return Unsupported(
        "{} is packed, and what is pushed is not unpacked: make a polling source of it, or unpack it first",
        options.origin);
  }
  return Draft(sniffed, options).Text();
}

}  // namespace sluice::read
