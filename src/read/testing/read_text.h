#pragma once

#include <memory>
#include <string>
#include <vector>

#include "odf/events.h"
#include "read/reader.h"

// A whole input through a read step, as text that a test can compare.
namespace sluice::read::testing {

struct ReadOutcome {
  std::string schema;  // `name type`, comma-separated, `!` behind what is required; "none" = no frame
  std::vector<std::string> rows;  // values separated by `|`, null as `·`
  std::vector<columnar::Reject> rejects;
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
};

Result<ReadOutcome> ReadText(const odf::ReadStep& step, const std::string& text, ReadOptions options = {});
Result<ReadOutcome> ReadSource(const odf::ReadStep& step, std::unique_ptr<ByteSource> source,
                               ReadOptions options = {});

// What is left in a reader.
Result<ReadOutcome> Drain(Reader& reader);

// Parts of a read step.
odf::DataField Field(const std::string& name, odf::TypeKind kind, bool optional = true);
odf::ReadStep Step(odf::ReadFormat format, std::vector<odf::DataField> fields = {});

// A source that hands out at most `piece` bytes at a time, of unknown size.
std::unique_ptr<ByteSource> MakeDripSource(std::string bytes, size_t piece);

}  // namespace sluice::read::testing
