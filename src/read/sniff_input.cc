#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <utility>

#include "archive/zip.h"
#include "base/names.h"
#include "read/rejects.h"
#include "read/sniff_internal.h"

// Unpacking for a look.
namespace sluice::read {
namespace {

class StreamSource final : public ByteSource {
 public:
  StreamSource(std::unique_ptr<archive::ByteStream> stream, std::string name, std::shared_ptr<void> keep)
      : keep_(std::move(keep)), stream_(std::move(stream)), name_(std::move(name)) {}
  Result<size_t> Read(char* buffer, size_t size) override { return stream_->Read(buffer, size); }
  const std::string& name() const override { return name_; }

 private:
  std::shared_ptr<void> keep_;  // what the stream reads from
  std::unique_ptr<archive::ByteStream> stream_;
  std::string name_;
};

struct Packing {
  std::string_view magic;
  archive::Codec codec;
  std::string_view ending;
  std::array<std::string_view, 2> command;  // empty for those that the format knows by name
};
constexpr std::string_view kXzMagic(
    "\xfd"
    "7zXZ\0",
    6);
constexpr Packing kPackings[] = {
    {"\x1f\x8b", archive::Codec::kGzip, ".gz", {}},
    {"\x28\xb5\x2f\xfd", archive::Codec::kZstd, ".zst", {"zstd", "-dc"}},
    {kXzMagic, archive::Codec::kXz, ".xz", {"xz", "-dc"}},
    {"BZh", archive::Codec::kBzip2, ".bz2", {"bzip2", "-dc"}},
};

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

Result<std::string> ReadHead(ByteSource& source, size_t size, bool* is_all) {
  std::string head(size, '\0');
  size_t filled = 0;
  while (filled < size) {
    ASSIGN_OR_RETURN(const size_t n, source.Read(head.data() + filled, size - filled));
    if (n == 0) break;
    filled += n;
  }
  *is_all = filled < size;
  head.resize(filled);
  return head;
}

Status OpenZip(SniffInput* input, std::vector<std::string>* notes) {
  ASSIGN_OR_RETURN(auto opened, archive::ZipFile::Open(input->path, input->name));
  const std::shared_ptr<archive::ZipFile> zip = std::move(opened);
  std::vector<std::string> shapes;
  size_t chosen = zip->entries().size();
  for (size_t i = 0; i < zip->entries().size(); ++i) {
    const archive::ZipEntry& entry = zip->entries()[i];
    if (Lower(entry.path).ends_with(".shp")) shapes.push_back(entry.path);
    const bool known = FormatByExtension(entry.path).has_value();
    const auto rank = [&](size_t at) {
      return std::pair(FormatByExtension(zip->entries()[at].path).has_value(), zip->entries()[at].bytes);
    };
    if (chosen == zip->entries().size() || std::pair(known, entry.bytes) > rank(chosen)) chosen = i;
  }
  if (!shapes.empty()) {
    input->is_shapefile = true;
    if (shapes.size() > 1) {
      input->shapes = shapes[0];
      notes->push_back(fmt::format("check `subPath`: the archive has {} shapefiles: {}", shapes.size(),
                                   JoinNames(shapes)));
    }
    return {};
  }
  if (zip->entries().empty()) return InvalidArgument("'{}' has no files inside", input->name);
  odf::PrepDecompress step;
  step.format = odf::CompressionFormat::kZip;
  input->inner_name = zip->entries()[chosen].path;
  if (zip->entries().size() > 1) {
    step.sub_path = input->inner_name;
    notes->push_back(fmt::format("check `subPath`: the archive has {} files", zip->entries().size()));
  }
  input->prepare = step;
  input->open = [zip, chosen, name = input->name]() -> Result<std::unique_ptr<ByteSource>> {
    ASSIGN_OR_RETURN(auto stream, zip->OpenEntry(chosen));
    return std::make_unique<StreamSource>(std::move(stream), name, zip);
  };
  return {};
}

void OpenPacked(const Packing& packing, SniffInput* input) {
  if (packing.command[0].empty()) {
    input->prepare = odf::PrepDecompress{odf::CompressionFormat::kGzip, std::nullopt};
  } else {
    input->prepare = odf::PrepPipe{{std::string(packing.command[0]), std::string(packing.command[1])}};
  }
  if (Lower(input->inner_name).ends_with(packing.ending))
    input->inner_name.resize(input->inner_name.size() - packing.ending.size());
  input->open = [path = input->path, name = input->name,
                 codec = packing.codec]() -> Result<std::unique_ptr<ByteSource>> {
    ASSIGN_OR_RETURN(auto file, OpenFileSource(path));
    const std::shared_ptr<ByteSource> shared = std::move(file);
    ASSIGN_OR_RETURN(
        auto stream,
        archive::Decompress(
            codec, [shared](char* buffer, size_t size) { return shared->Read(buffer, size); }, name));
    return std::make_unique<StreamSource>(std::move(stream), name, shared);
  };
}

constexpr size_t kTarBlock = 512;
constexpr size_t kMostListed = 10;

bool IsTar(std::string_view head) { return head.size() >= kTarBlock && head.substr(257, 5) == "ustar"; }

// Up to the first NUL.
std::string TarText(std::string_view field) { return std::string(field.substr(0, field.find('\0'))); }

struct TarFiles {
  std::vector<std::string> names;  // of regular files whose header is in the head
  bool are_all = false;
};

TarFiles ListTar(std::string_view head) {
  TarFiles files;
  std::string long_name;  // of the next file
  for (size_t at = 0; at + kTarBlock <= head.size();) {
    const auto header = head.substr(at, kTarBlock);
    if (header[0] == '\0') {
      files.are_all = true;
      break;
    }
    if (header.substr(257, 5) != "ustar") break;
    const auto prefix = TarText(header.substr(345, 155));
    const auto size = std::strtoull(TarText(header.substr(124, 12)).c_str(), nullptr, 8);
    const char type = header[156];
    // Posix archives have the prefix, those of GNU have something else there.
    const bool has_prefix = header[262] == '\0' && !prefix.empty();
    const auto content = head.substr(at + kTarBlock, size);
    if (type == 'x') {
      const size_t path = content.find(" path=");
      if (path != std::string_view::npos)
        long_name = content.substr(path + 6, content.find('\n', path) - path - 6);
    } else if (type == 'L') {
      long_name = TarText(content);
    } else {
      auto name = (has_prefix ? prefix + "/" : "") + TarText(header.substr(0, 100));
      if (!long_name.empty()) name = std::exchange(long_name, "");
      if (type == '0' || type == '\0') files.names.push_back(std::move(name));
    }
    at += kTarBlock + (size + kTarBlock - 1) / kTarBlock * kTarBlock;
    if (size > head.size()) break;
  }
  return files;
}

// The command that unpacks it, with the option for what it is packed in.
odf::PrepPipe TarCommand(const std::optional<odf::PrepStep>& around) {
  odf::PrepPipe step{{"tar", "-xO"}};
  if (!around) return step;
  if (std::holds_alternative<odf::PrepDecompress>(*around)) {
    step.command[1] = "-xzO";
    return step;
  }
  const auto& program = std::get<odf::PrepPipe>(*around).command.front();
  if (program == "xz") step.command[1] = "-xJO";
  if (program == "bzip2") step.command[1] = "-xjO";
  if (program == "zstd") step.command.insert(step.command.begin() + 1, "--zstd");
  return step;
}

Status OpenTar(SniffInput* input, std::vector<std::string>* notes) {
  const auto files = ListTar(input->head);
  if (files.names.empty()) return InvalidArgument("'{}' has no files inside", input->name);
  const auto known = std::find_if(files.names.begin(), files.names.end(), [](const std::string& name) {
    return FormatByExtension(name).has_value();
  });
  input->inner_name = known == files.names.end() ? files.names.front() : *known;
  auto step = TarCommand(input->prepare);
  std::string pattern;
  if (files.names.size() > 1 || !files.are_all) {
    step.command.push_back(pattern = input->inner_name);
    if (files.names.size() > 1) {
      auto first = files.names;
      if (first.size() > kMostListed) first.resize(kMostListed);
      notes->push_back(
          fmt::format("check the file that `tar` unpacks: the archive begins with {}", JoinNames(first)));
    }
  }
  input->prepare = step;
  input->open = [outer = input->open, pattern, name = input->name]() -> Result<std::unique_ptr<ByteSource>> {
    ASSIGN_OR_RETURN(auto source, outer());
    const std::shared_ptr<ByteSource> shared = std::move(source);
    ASSIGN_OR_RETURN(
        auto stream,
        archive::ReadTar([shared](char* buffer, size_t size) { return shared->Read(buffer, size); }, pattern,
                         name));
    return std::make_unique<StreamSource>(std::move(stream), name, shared);
  };
  ASSIGN_OR_RETURN(auto source, input->open());
  ASSIGN_OR_RETURN(input->head, ReadHead(*source, kSniffHeadBytes, &input->head_is_all));
  return {};
}

}  // namespace

Result<SniffInput> OpenSniffInput(const std::string& path, const SniffOptions& options,
                                  std::vector<std::string>* notes) {
  SniffInput input;
  input.path = path;
  input.name = options.name.empty() ? path : options.name;
  input.inner_name = input.name;
  input.open = [path] { return OpenFileSource(path); };
  ASSIGN_OR_RETURN(auto file, input.open());
  bool all = false;
  ASSIGN_OR_RETURN(const std::string start, ReadHead(*file, 8, &all));
  if (start.empty()) return InvalidArgument("'{}' is empty: there is nothing to go by", input.name);
  if (start.starts_with(std::string_view("\0\0\x27\x0a", 4))) {
    input.is_shapefile = true;
    return input;
  }
  if (start.starts_with("PK\x03\x04")) {
    RETURN_IF_ERROR(OpenZip(&input, notes));
    if (input.is_shapefile) return input;
  }
  for (const Packing& packing : kPackings) {
    if (start.starts_with(packing.magic)) OpenPacked(packing, &input);
  }
  ASSIGN_OR_RETURN(auto source, input.open());
  ASSIGN_OR_RETURN(input.head, ReadHead(*source, kSniffHeadBytes, &input.head_is_all));
  const bool in_zip = input.prepare && start.starts_with("PK");
  if (IsTar(input.head) && !in_zip) RETURN_IF_ERROR(OpenTar(&input, notes));
  if (input.head.empty()) return InvalidArgument("'{}' has nothing inside", input.name);
  return input;
}

std::string SniffEncoding(const SniffInput& input, std::vector<std::string>* notes) {
  const std::string& head = input.head;
  if (head.starts_with("\xff\xfe") || head.starts_with("\xfe\xff")) return "utf-16";
  // Text of two bytes a character has a zero in every other one.
  size_t zeros[2] = {0, 0};
  const size_t looked = std::min<size_t>(head.size(), 4096);
  for (size_t i = 0; i < looked; ++i) zeros[i % 2] += head[i] == '\0' ? 1 : 0;
  if (zeros[1] > looked / 4 && zeros[0] == 0) return "utf-16le";
  if (zeros[0] > looked / 4 && zeros[1] == 0) return "utf-16be";
  std::string_view text = head;
  // The head may end within a character.
  for (int cut = 0; cut < 4 && !text.empty() && !input.head_is_all; ++cut) {
    if (IsUtf8(text)) return {};
    text.remove_suffix(1);
  }
  if (IsUtf8(text)) return {};
  notes->push_back("check `encoding`: the text is not UTF-8, and Windows-1252 is a guess");
  return "windows-1252";
}

}  // namespace sluice::read
