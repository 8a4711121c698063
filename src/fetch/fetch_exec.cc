// `exec:NAME` URLs: what a command of the operator writes to its standard output (decisions.md 15). It is
// written out whole before it is read, so that it is known whether it is the same as last time.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "fetch/command.h"
#include "fetch/event_time.h"
#include "fetch/file_stamp.h"
#include "fetch/kinds_internal.h"
#include "fetch/savepoint.h"
#include "multiformats/multihash.h"

namespace sluice::fetch {
namespace {

constexpr size_t kCopyBytes = 1 << 20;

struct NamedCommand {
  std::string name;
  const std::vector<std::string>& words;
};

Result<NamedCommand> Find(const std::string& url, const FetchContext& context) {
  const std::string name = url.substr(url.find(':') + 1);
  if (!context.may.commands) {
    return MakeError(ErrorCode::kPermissionDenied,
                     "this source may not run '{}': its manifest came from elsewhere; 'sluice source trust' "
                     "allows it",
                     url);
  }
  const auto found = context.commands.find(name);
  if (found == context.commands.end()) {
    return NotFound("no command is called '{}': 'sluice config set source.exec.{} \"PROGRAM ARGUMENTS\"'",
                    name, name.empty() ? "NAME" : name);
  }
  return NamedCommand{name, found->second};
}

std::string KeyOf(const NamedCommand& command, const std::optional<odf::SourceState>& previous) {
  std::string text = "exec:" + command.name;
  auto add = [&](std::string_view part) { text += fmt::format("\n{}:{}", part.size(), part); };
  for (const auto& word : command.words) {
    add(word);
    if (const auto stamp = StampOf(word); stamp.ok()) add(Describe(*stamp));
  }
  if (previous) {
    add(previous->kind);
    add(previous->value);
  }
  return multiformats::Sha3Multihash(text).ToString();
}

// Runs it to its end. Nothing is kept of one that fails.
Result<DownloadInfo> Run(const NamedCommand& command, const Savepoint& savepoint, DownloadInfo info,
                         const FetchContext& context) {
  CommandSpec spec;
  spec.words = command.words;
  spec.folder = context.base_folder;
  spec.purpose = "exec:" + command.name;
  ASSIGN_OR_RETURN(auto output,
                   RunCommand(std::move(spec), read::MakeMemorySource("", command.name), context.stop));
  savepoint.DropPart();
  const std::string path = savepoint.part_path();
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return FromErrno(errno, "cannot make '" + path + "'");
  ContentHash hash;
  auto copy = [&]() -> Status {
    std::string buffer(kCopyBytes, '\0');
    while (true) {
      ASSIGN_OR_RETURN(const size_t n, output->Read(buffer.data(), buffer.size()));
      if (n == 0) return {};
      hash.Update({buffer.data(), n});
      for (size_t at = 0; at < n;) {
        const ssize_t written = ::write(fd, buffer.data() + at, n - at);
        if (written < 0 && errno != EINTR) return FromErrno(errno, "cannot write '" + path + "'");
        if (written > 0) at += static_cast<size_t>(written);
      }
      info.total_bytes += n;
      if (context.progress != nullptr) context.progress->OnFetched(info.total_bytes, 0);
    }
  };
  const auto status = copy();
  ::close(fd);
  if (!status.ok()) {
    savepoint.DropPart();
    return status.error();
  }
  info.hash = hash.Hex();
  info.fetched_at = context.clock->Now();
  RETURN_IF_ERROR(savepoint.Finish(info));
  return info;
}

Result<Fetched> FetchExec(const UrlCall& call, const FetchRequest& request, const FetchContext& context) {
  ASSIGN_OR_RETURN(const auto command, Find(call.url, context));
  Fetched fetched;
  ASSIGN_OR_RETURN(auto savepoint, Savepoint::Open(context.savepoint_folder));
  DownloadInfo wanted;
  wanted.key = KeyOf(command, request.previous);
  auto info = savepoint.LoadBody(wanted.key);
  if (info && info->refused) info.reset();
  if (info) {
    fetched.notes.push_back(fmt::format("taking what '{}' wrote at {}; 'sluice system gc' clears it",
                                        command.name, FormatInstant(info->fetched_at)));
  } else {
    ASSIGN_OR_RETURN(info, Run(command, savepoint, std::move(wanted), context));
  }
  const std::string value = fmt::format("{}:{}", info->total_bytes, info->hash);
  if (!request.force && request.previous && request.previous->kind == kContentStateKind &&
      request.previous->value == value) {
    fetched.notes.clear();
    return fetched;
  }
  FetchedInput input;
  input.name = call.redactor->Clean(call.url);
  ASSIGN_OR_RETURN(input.event_time, MetadataEventTime(call.step.event_time, std::nullopt));
  input.open = [path = savepoint.body_path(), name = input.name] {
    return read::OpenFileSource(path, {}, name);
  };
  input.state = [value]() -> Result<std::optional<odf::SourceState>> {
    return std::optional(odf::SourceState{"", kContentStateKind, value});
  };
  input.identity = [value]() -> Result<std::optional<std::string>> { return std::optional(value); };
  fetched.inputs.push_back(std::move(input));
  fetched.on_refused = [savepoint, refused = *info]() mutable {
    refused.refused = true;
    (void)savepoint.SaveBody(refused).ok();
  };
  return fetched;
}

}  // namespace

namespace kinds {
// A name that nothing has yet may be set later.
FetchKind exec() { return {.schemes = {"exec"}, .fetch_url = &FetchExec}; }
}  // namespace kinds

}  // namespace sluice::fetch
