#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "columnar/reject.h"
#include "odf/events.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

// Read steps: bytes in, Arrow record batches and rejects out (odf-ingest.md 1).
namespace sluice::read {

// Bytes of one input, front to back. Confined to one thread at a time.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Up to `size` bytes, 0 at the end.
  virtual Result<size_t> Read(char* buffer, size_t size) = 0;
  // How people know it: a path, `standard input`.
  virtual const std::string& name() const = 0;
  // Total bytes where known.
  virtual std::optional<uint64_t> size() const { return std::nullopt; }
  // A path on disk when the input is a regular file that may be opened again (Parquet needs one).
  virtual std::optional<std::string> local_path() const { return std::nullopt; }
};

// A wait for the other side of a pipe, a FIFO (also for its first writer) or a device ends with kCancelled
// once a stop is requested. `name` is how people know the file; empty = its path.
Result<std::unique_ptr<ByteSource>> OpenFileSource(const std::string& path, std::stop_token stop = {},
                                                   const std::string& name = {});
// File descriptor (not closed by us), such as standard input.
std::unique_ptr<ByteSource> MakeFdSource(int fd, std::string name, std::stop_token stop = {});
std::unique_ptr<ByteSource> MakeMemorySource(std::string bytes, std::string name);
std::unique_ptr<ByteSource> MakeSharedSource(std::shared_ptr<const std::string> bytes, std::string name);

struct ReadOptions {
  int64_t batch_rows = 64 << 10;
  int threads = 2;
  std::string spill_folder;  // for inputs that must be on disk first (Parquet from a pipe, JSON documents)
  bool strict_columns =
      false;  // fields or columns that the schema does not know: an error instead of dropped
  std::stop_token stop;
};

struct ReadBatch {
  std::shared_ptr<arrow::RecordBatch> rows;  // the good rows; may be empty
  std::vector<columnar::Reject> rejects;     // the bad ones, in input order
};

// One input through one read step. Confined to one thread (it may use others inside); bounded memory except
// for Json documents.
class Reader {
 public:
  virtual ~Reader() = default;
  // The frame's schema; null when the input is empty and nothing declares one: "no frame"
  // (odf-ingest.md 1.1, 4.6).
  virtual std::shared_ptr<arrow::Schema> schema() const = 0;
  // Nothing at the end. Record-level problems are rejects in the batch. Errors: kInvalidArgument for what
  // cannot be read at all (malformed document, wrong sub-path), naming input and line.
  virtual Result<std::optional<ReadBatch>> Next() = 0;
  // Bytes of the input consumed so far, for progress.
  virtual uint64_t bytes_read() const = 0;
  // The projection of the coordinates as the input tells it (well-known text), empty where it does not. The
  // coordinates are as they are in the input.
  virtual std::string projection() const { return {}; }
};

// A read step that was checked, and the schema that it declares; null: the data's own. Immutable.
struct ReadPlan {
  odf::ReadStep step;
  std::shared_ptr<arrow::Schema> schema;
};
// For many inputs of one source. Errors: those of CheckReadStep.
Result<std::shared_ptr<const ReadPlan>> PlanRead(const odf::ReadStep& step);

// Starts reading. Errors: as Next, and kUnsupported for formats and options that CheckReadStep refuses.
Result<std::unique_ptr<Reader>> OpenReader(const odf::ReadStep& step, std::unique_ptr<ByteSource> source,
                                           const ReadOptions& options);
Result<std::unique_ptr<Reader>> OpenReader(const ReadPlan& plan, std::unique_ptr<ByteSource> source,
                                           const ReadOptions& options);

// What can be said of a read step without data: every option's value. Run when a source is added
// (decisions.md 7).
Status CheckReadStep(const odf::ReadStep& step);

// The frame's schema when the step declares one, else null.
Result<std::shared_ptr<arrow::Schema>> StaticSchema(const odf::ReadStep& step);

// The format that a caller states for an input. A value.
struct InputFormat {
  odf::ReadFormat read;
  bool tabs = false;  // Csv separated by tabs

  InputFormat(odf::ReadFormat r, bool t = false) : read(r), tabs(t) {}  // NOLINT(google-explicit-constructor)
  auto operator<=>(const InputFormat&) const = default;
};
// As one byte that is not 0, for queues that keep it.
uint8_t CodeOf(InputFormat format);
InputFormat FormatOfCode(uint8_t code);

// The read step for an input in another format than the source's own: keeps the schema (odf-ingest.md 1.11;
// ddlSchema too).
odf::ReadStep OverrideFormat(const odf::ReadStep& step, InputFormat format);

// By CLI short name, media type (parameters tolerated) or file extension. Errors: kUnsupportedMedia listing
// the choices.
Result<InputFormat> FormatByName(std::string_view name);
Result<InputFormat> FormatByMediaType(std::string_view media_type);
std::optional<InputFormat> FormatByExtension(std::string_view path);
// `text/csv`.
std::string_view MediaTypeOf(InputFormat format);

}  // namespace sluice::read
