#include "server/rows.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace sluice::server {
namespace {

using columnar::OutputFormat;

constexpr size_t kInMemory = 1 << 20;
constexpr size_t kPiece = 256 << 10;

struct MediaType {
  OutputFormat format;
  std::string_view name;
};
// The first of a format is the one we send.
constexpr std::array<MediaType, 8> kMediaTypes = {{
    {OutputFormat::kJson, "application/json"},
    {OutputFormat::kCsv, "text/csv"},
    {OutputFormat::kNdJson, "application/x-ndjson"},
    {OutputFormat::kNdJson, "application/ndjson"},
    {OutputFormat::kParquet, "application/vnd.apache.parquet"},
    {OutputFormat::kParquet, "application/x-parquet"},
    {OutputFormat::kJsonSoa, "application/json"},
    {OutputFormat::kJsonAoa, "application/json"},
}};

Result<int> OpenNameless(const std::string& folder) {
  int file = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
    std::string path = folder + "/rows-XXXXXX";
    file = ::mkostemp(path.data(), O_CLOEXEC);
    if (file >= 0) ::unlink(path.c_str());
  }
  if (file < 0) return FromErrno(errno, "cannot make a temporary file in '" + folder + "'");
  return file;
}

Status WriteAll(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FromErrno(errno, "cannot write a temporary file");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

// Reading what was just written hardly ever waits.
class FileBody final : public net::BodySource {
 public:
  FileBody(int file, uint64_t size) : file_(file), size_(size) {}
  ~FileBody() override { ::close(file_); }
  Result<std::string> Next() override {
    std::string piece(std::min<uint64_t>(kPiece, size_ - at_), '\0');
    if (piece.empty()) return piece;
    ssize_t read;
    do {
      read = ::pread(file_, piece.data(), piece.size(), static_cast<off_t>(at_));
    } while (read < 0 && errno == EINTR);
    if (read <= 0) return FromErrno(read < 0 ? errno : EIO, "cannot read a temporary file");
    piece.resize(static_cast<size_t>(read));
    at_ += piece.size();
    return piece;
  }

 private:
  const int file_;
  const uint64_t size_;
  uint64_t at_ = 0;
};

}  // namespace

Result<columnar::OutputFormat> RowFormat(const Call& call, const std::string& given) {
  const auto name = call.request.url.Parameter("format").value_or(given);
  if (!name.empty()) {
    ASSIGN_OR_RETURN(const auto format, columnar::ParseOutputFormat(name));
    if (format != OutputFormat::kTable) return format;
    return InvalidArgument(
        "format 'table' is for terminals; give csv, json, ndjson, json-soa, json-aoa or parquet");
  }
  const std::string accept = call.request.headers.Joined("Accept");
  for (size_t start = 0; start < accept.size();) {
    const size_t end = std::min(accept.find(',', start), accept.size());
    auto item = std::string_view(accept).substr(start, end - start);
    item = net::Trimmed(item.substr(0, item.find(';')));
    for (const auto& type : kMediaTypes)
      if (net::EqualsIgnoringCase(item, type.name)) return type.format;
    start = end + 1;
  }
  return OutputFormat::kJson;
}

std::string_view MediaTypeOf(columnar::OutputFormat format) {
  for (const auto& type : kMediaTypes)
    if (type.format == format) return type.name;
  return "application/octet-stream";
}

RowSpool::RowSpool(std::string folder, uint64_t max_bytes)
    : folder_(std::move(folder)), max_bytes_(max_bytes) {}

RowSpool::~RowSpool() {
  if (file_ >= 0) ::close(file_);
}

columnar::Sink RowSpool::sink() {
  return [this](std::string_view bytes) { return Append(bytes); };
}

Status RowSpool::Append(std::string_view bytes) {
  if (file_bytes_ + bytes_.size() + bytes.size() > max_bytes_) {
    return MakeError(ErrorCode::kTooLarge,
                     "these rows take more than {} bytes: aggregate, or ask for fewer with 'limit'",
                     max_bytes_);
  }
  bytes_.append(bytes);
  if (bytes_.size() <= kInMemory) return {};
  if (file_ < 0) {
    ASSIGN_OR_RETURN(file_, OpenNameless(folder_));
  }
  RETURN_IF_ERROR(WriteAll(file_, bytes_));
  file_bytes_ += bytes_.size();
  bytes_.clear();
  return {};
}

Result<net::HttpResponse> RowSpool::Finish(columnar::OutputFormat format) {
  net::HttpResponse response;
  response.headers.Set("Content-Type", std::string(MediaTypeOf(format)));
  if (file_ < 0) {
    response.body = std::move(bytes_);
    return response;
  }
  RETURN_IF_ERROR(WriteAll(file_, bytes_));
  file_bytes_ += bytes_.size();
  response.body = std::make_unique<FileBody>(std::exchange(file_, -1), file_bytes_);
  return response;
}

}  // namespace sluice::server
