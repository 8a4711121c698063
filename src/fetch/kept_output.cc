#include "fetch/kept_output.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "fetch/savepoint.h"
#include "multiformats/multihash.h"

namespace sluice::fetch {
namespace {

constexpr uint64_t kLookBytes = 16 << 20;

// Nothing while the content is not known to its end.
std::optional<std::string> KeyOf(const KeepOptions& options, const std::string& steps) {
  if (options.folder.empty() || !options.identity) return std::nullopt;
  auto identity = options.identity();
  if (!identity.ok() || !*identity) return std::nullopt;
  return multiformats::Sha3Multihash(**identity + "\n" + steps).ToString();
}

class KeepingSource final : public read::ByteSource {
 public:
  KeepingSource(std::unique_ptr<read::ByteSource> made, KeepOptions options, std::string steps,
                std::string path)
      : made_(std::move(made)),
        options_(std::move(options)),
        steps_(std::move(steps)),
        path_(std::move(path)),
        part_(path_ + ".part") {
    std::error_code ignored;
    std::filesystem::create_directories(options_.folder, ignored);
    ::unlink(part_.c_str());  // of a pull that was killed
    fd_ = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  }
  ~KeepingSource() override { GiveUp(); }

  Result<size_t> Read(char* buffer, size_t size) override {
    ASSIGN_OR_RETURN(const size_t n, made_->Read(buffer, size));
    if (n > 0) Copy({buffer, n});
    if (n == 0) Finish();
    return n;
  }
  const std::string& name() const override { return made_->name(); }

 private:
  void GiveUp() {
    if (fd_ < 0) return;
    ::close(fd_);
    fd_ = -1;
    ::unlink(part_.c_str());
  }

  void Copy(std::string_view bytes) {
    if (fd_ < 0) return;
    hash_.Update(bytes);
    bytes_ += bytes.size();
    if (bytes_ >= next_look_) {
      next_look_ = bytes_ + kLookBytes;
      if (!IsRoomLeft()) return GiveUp();
    }
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return GiveUp();
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }

  // The dataset needs room too: what is kept takes less than it leaves.
  bool IsRoomLeft() const {
    struct statvfs disk{};
    return ::fstatvfs(fd_, &disk) == 0 && uint64_t{disk.f_bavail} * disk.f_frsize > bytes_;
  }

  void Finish() {
    if (fd_ < 0) return;
    // Only now: the content may have been coming until now.
    const auto key = KeyOf(options_, steps_);
    DownloadInfo info;
    info.key = key.value_or("");
    info.fetched_at = options_.clock->Now();
    info.total_bytes = bytes_;
    info.hash = hash_.Hex();
    const bool kept = key && DropInfo(path_) && std::rename(part_.c_str(), path_.c_str()) == 0 &&
                      SaveInfo(path_, info).ok();
    if (!kept) return GiveUp();
    ::close(fd_);
    fd_ = -1;
  }

  std::unique_ptr<read::ByteSource> made_;
  const KeepOptions options_;
  const std::string steps_, path_, part_;
  int fd_ = -1;  // -1: nothing is kept, or it is kept
  ContentHash hash_;
  uint64_t bytes_ = 0, next_look_ = 0;
};

}  // namespace

KeptOutput::KeptOutput(KeepOptions options, const std::string& input, std::string steps)
    : options_(std::move(options)),
      steps_(std::move(steps)),
      input_(input),
      path_(options_.folder + "/" + kPreparedPrefix +
            multiformats::Sha3Multihash(input + "\n" + steps_).ToString()) {}

Result<std::unique_ptr<read::ByteSource>> KeptOutput::Load() const {
  const auto key = KeyOf(options_, steps_);
  const auto info = key ? LoadWhole(path_, *key) : std::nullopt;
  if (!info) return std::unique_ptr<read::ByteSource>();
  if (options_.tell) {
    options_.tell(fmt::format("taking what the commands made at {}; 'sluice system gc' clears it",
                              FormatInstant(info->fetched_at)));
  }
  return read::OpenFileSource(path_, {}, input_);
}

std::unique_ptr<read::ByteSource> KeptOutput::Keep(std::unique_ptr<read::ByteSource> made) const {
  if (options_.folder.empty() || !options_.identity) return made;
  return std::make_unique<KeepingSource>(std::move(made), options_, steps_, path_);
}

}  // namespace sluice::fetch
