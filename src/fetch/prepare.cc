#include "fetch/prepare.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "archive/zip.h"
#include "base/cancel.h"
#include "base/random.h"
#include "fetch/command.h"
#include "fetch/file_stamp.h"
#include "fetch/streams.h"

namespace sluice::fetch {
namespace {

using Source = std::unique_ptr<read::ByteSource>;

constexpr size_t kCopyBytes = 1 << 20;

// A pipe that is one of the usual decompressors.
struct InProcess {
  std::optional<archive::Codec> codec;
  bool tar = false;
  std::string pattern;  // of tar's files
};

bool IsOneOf(std::string_view text, std::initializer_list<std::string_view> choices) {
  for (auto choice : choices) {
    if (text == choice) return true;
  }
  return false;
}

// `-dc`, `--stdout`, ... of the gzip family; `decompresses` starts with whether the program's name says so.
bool ReadsStandardInput(const odf::Strings& command, bool decompresses) {
  for (size_t i = 1; i < command.size(); ++i) {
    const auto& word = command[i];
    if (word == "-") continue;
    if (IsOneOf(word, {"--decompress", "--uncompress"})) {
      decompresses = true;
    } else if (word.starts_with("--")) {
      if (!IsOneOf(word, {"--stdout", "--to-stdout", "--quiet", "--force", "--keep"})) return false;
    } else if (word.starts_with("-")) {
      for (char c : word.substr(1)) {
        if (c == 'd') decompresses = true;
        if (std::string_view("dcqfkT0").find(c) == std::string_view::npos) return false;
      }
    } else {
      return false;
    }
  }
  return decompresses;
}

std::optional<InProcess> ParseTar(const odf::Strings& command) {
  InProcess parsed;
  parsed.tar = true;
  bool extracts = false, to_stdout = false, files_follow = false;
  for (size_t i = 1; i < command.size(); ++i) {
    std::string word = command[i];
    if (word == "--to-stdout") {
      to_stdout = true;
    } else if (word == "--extract" || word == "--get") {
      extracts = true;
    } else if (word == "--zstd") {
      parsed.codec = archive::Codec::kZstd;
    } else if (word == "--gzip" || word == "--gunzip") {
      parsed.codec = archive::Codec::kGzip;
    } else if (word == "--xz") {
      parsed.codec = archive::Codec::kXz;
    } else if (word == "--bzip2") {
      parsed.codec = archive::Codec::kBzip2;
    } else if (word == "--wildcards") {
      continue;
    } else if (word.starts_with("--")) {
      return std::nullopt;
    } else if (word.starts_with("-") || i == 1) {
      if (word.starts_with("-")) word.erase(0, 1);
      for (char c : word) {
        if (c == 'x') extracts = true;
        if (c == 'O') to_stdout = true;
        if (c == 'z') parsed.codec = archive::Codec::kGzip;
        if (c == 'J') parsed.codec = archive::Codec::kXz;
        if (c == 'j') parsed.codec = archive::Codec::kBzip2;
        if (c == 'f') files_follow = true;
        if (std::string_view("xOzJjf").find(c) == std::string_view::npos) return std::nullopt;
      }
      if (files_follow) {  // only standard input is read here
        if (i + 1 >= command.size() || command[i + 1] != "-") return std::nullopt;
        files_follow = false;
        ++i;
      }
    } else if (parsed.pattern.empty()) {
      parsed.pattern = word;
    } else {
      return std::nullopt;
    }
  }
  return extracts && to_stdout ? std::optional(parsed) : std::nullopt;
}

std::optional<InProcess> ParseInProcess(const odf::Strings& command) {
  const std::string program = command.front().substr(command.front().rfind('/') + 1);
  if (program == "tar" || program == "bsdtar") return ParseTar(command);
  const struct {
    std::string_view name;
    bool decompresses;
    archive::Codec codec;
  } programs[] = {
      {"zstd", false, archive::Codec::kZstd},   {"unzstd", true, archive::Codec::kZstd},
      {"zstdcat", true, archive::Codec::kZstd}, {"xz", false, archive::Codec::kXz},
      {"unxz", true, archive::Codec::kXz},      {"xzcat", true, archive::Codec::kXz},
      {"bzip2", false, archive::Codec::kBzip2}, {"bunzip2", true, archive::Codec::kBzip2},
      {"bzcat", true, archive::Codec::kBzip2},  {"gzip", false, archive::Codec::kGzip},
      {"gunzip", true, archive::Codec::kGzip},  {"zcat", true, archive::Codec::kGzip},
  };
  for (const auto& known : programs) {
    if (known.name != program) continue;
    if (!ReadsStandardInput(command, known.decompresses)) return std::nullopt;
    return InProcess{known.codec, false, ""};
  }
  return std::nullopt;
}

Result<Source> RunInProcess(const InProcess& step, Source source, const PrepareOptions& options) {
  const std::string name = source->name();
  if (step.codec) {
    ASSIGN_OR_RETURN(source, DecodeStream(*step.codec, std::move(source), options.limits));
  }
  if (!step.tar) return source;
  ASSIGN_OR_RETURN(auto stream,
                   archive::ReadTar(ReadFrom(std::move(source)), step.pattern, name, options.limits));
  return SourceOf(std::move(stream), name);
}

// A zip archive is read from its end: a stream has to be on disk first.
class SpilledZip final : public archive::ByteStream {
 public:
  static Result<std::unique_ptr<archive::ByteStream>> Open(std::unique_ptr<read::ByteSource> source,
                                                           const std::string& sub_path,
                                                           const PrepareOptions& options) {
    std::unique_ptr<SpilledZip> opened(new SpilledZip());
    const std::string name = source->name();
    std::string path = source->local_path().value_or("");
    if (path.empty()) {
      opened->path_ = path = options.spill_folder + "/zip-" + RandomName(16);
      RETURN_IF_ERROR(Spill(*source, path, options));
    }
    ASSIGN_OR_RETURN(const auto zip, archive::ZipFile::Open(path, name, options.limits));
    ASSIGN_OR_RETURN(const size_t entry, zip->FindOne(sub_path));
    ASSIGN_OR_RETURN(opened->entry_, zip->OpenEntry(entry));
    return std::unique_ptr<archive::ByteStream>(std::move(opened));
  }
  ~SpilledZip() override {
    entry_.reset();
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  Result<size_t> Read(char* buffer, size_t size) override { return entry_->Read(buffer, size); }

 private:
  SpilledZip() = default;

  static Status Spill(read::ByteSource& source, const std::string& path, const PrepareOptions& options) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return FromErrno(errno, "cannot make '" + path + "'");
    auto copy = [&]() -> Status {
      std::string buffer(kCopyBytes, '\0');
      while (true) {
        RETURN_IF_ERROR(CheckCancelled(options.stop));
        ASSIGN_OR_RETURN(const size_t n, source.Read(buffer.data(), buffer.size()));
        if (n == 0) return {};
        for (size_t at = 0; at < n;) {
          const ssize_t written = ::write(fd, buffer.data() + at, n - at);
          if (written < 0 && errno != EINTR) return FromErrno(errno, "cannot write '" + path + "'");
          if (written > 0) at += static_cast<size_t>(written);
        }
      }
    };
    auto status = copy();
    ::close(fd);
    return status;
  }

  std::string path_;  // of the spilled copy
  std::unique_ptr<archive::ByteStream> entry_;
};

std::optional<archive::Codec> CodecOf(const odf::PrepStep& step) {
  if (const auto* decompress = std::get_if<odf::PrepDecompress>(&step)) {
    return decompress->format == odf::CompressionFormat::kGzip ? std::optional(archive::Codec::kGzip)
                                                               : std::nullopt;
  }
  const auto known = ParseInProcess(std::get<odf::PrepPipe>(step).command);
  return known && !known->tar ? known->codec : std::nullopt;
}

// Whether `source` (given back as it was) begins like content of this kind; true for kinds that servers do
// not use on the way.
Result<bool> LooksCompressed(archive::Codec codec, Source* source) {
  std::string_view magic;
  if (codec == archive::Codec::kGzip) magic = "\x1f\x8b";
  if (codec == archive::Codec::kZstd) magic = "\x28\xb5\x2f\xfd";
  ASSIGN_OR_RETURN(auto head, ReadHead(**source, magic.size()));
  const bool looks = head == magic;
  *source = PutBack(std::move(head), std::move(*source));
  return looks;
}

Result<Source> Apply(const odf::PrepStep& step, Source source, const PrepareOptions& options) {
  const std::string name = source->name();
  if (const auto* decompress = std::get_if<odf::PrepDecompress>(&step)) {
    if (decompress->format == odf::CompressionFormat::kGzip)
      return DecodeStream(archive::Codec::kGzip, std::move(source), options.limits);
    ASSIGN_OR_RETURN(auto stream,
                     SpilledZip::Open(std::move(source), decompress->sub_path.value_or(""), options));
    return SourceOf(std::move(stream), name);
  }
  const auto& command = std::get<odf::PrepPipe>(step).command;
  if (const auto known = ParseInProcess(command)) return RunInProcess(*known, std::move(source), options);
  if (!options.may_run_commands) {
    return MakeError(
        ErrorCode::kPermissionDenied,
        "this source may not run '{}': its manifest came from elsewhere; 'sluice source trust' allows it",
        command.front());
  }
  return RunPipe(command, std::move(source), options.base_folder, options.stop);
}

// The number of steps up to the last one that runs a command; 0 = none does.
size_t CommandsEnd(const std::vector<odf::PrepStep>& steps) {
  for (size_t i = steps.size(); i > 0; --i) {
    const auto* pipe = std::get_if<odf::PrepPipe>(&steps[i - 1]);
    if (pipe != nullptr && !ParseInProcess(pipe->command)) return i;
  }
  return 0;
}

// All that decides what the first `count` steps make of some content, as far as can be known: scripts and
// other files that commands name are known by their stamps.
std::string DescribeSteps(const std::vector<odf::PrepStep>& steps, size_t count,
                          const PrepareOptions& options) {
  std::string text = options.decoded ? "decoded" : "";
  auto add = [&text](std::string_view part) { text += fmt::format("\n{}:{}", part.size(), part); };
  for (size_t i = 0; i < count; ++i) {
    if (const auto* decompress = std::get_if<odf::PrepDecompress>(&steps[i])) {
      add(decompress->format == odf::CompressionFormat::kGzip ? "gzip" : "zip");
      add(decompress->sub_path.value_or(""));
      continue;
    }
    const auto& command = std::get<odf::PrepPipe>(steps[i]).command;
    add(fmt::format("pipe of {}", command.size()));
    for (const auto& word : command) {
      add(word);
      const bool relative = !word.starts_with('/') && !options.base_folder.empty();
      const auto stamp = StampOf(relative ? options.base_folder + "/" + word : word);
      if (stamp.ok()) add(Describe(*stamp));
    }
  }
  return text;
}

Result<Source> ApplySteps(const std::vector<odf::PrepStep>& steps, size_t from, size_t to, Source source,
                          const PrepareOptions& options) {
  for (size_t i = from; i < to; ++i) {
    if (options.decoded && i == 0) {
      if (const auto codec = CodecOf(steps[i])) {
        ASSIGN_OR_RETURN(const bool compressed, LooksCompressed(*codec, &source));
        if (!compressed) continue;
      }
    }
    ASSIGN_OR_RETURN(source, Apply(steps[i], std::move(source), options));
  }
  return source;
}

}  // namespace

Result<Source> Prepare(const std::optional<std::vector<odf::PrepStep>>& steps, Source source,
                       const PrepareOptions& options) {
  if (!steps) return source;
  const size_t commands_end = options.may_run_commands ? CommandsEnd(*steps) : 0;
  if (commands_end > 0) {
    const KeptOutput kept(options.keep, source->name(), DescribeSteps(*steps, commands_end, options));
    ASSIGN_OR_RETURN(auto made, kept.Load());
    if (!made) {
      ASSIGN_OR_RETURN(made, ApplySteps(*steps, 0, commands_end, std::move(source), options));
      made = kept.Keep(std::move(made));
    }
    source = std::move(made);
  }
  return ApplySteps(*steps, commands_end, steps->size(), std::move(source), options);
}

}  // namespace sluice::fetch
