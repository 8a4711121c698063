#pragma once

#include "base/result.h"
#include "columnar/cast.h"
#include "odf/events.h"
#include "read/csv_scan.h"

namespace sluice::read {

// `dateFormat` and `timestampFormat` of a step. Errors: kUnsupported naming the option and its value.
Result<columnar::CastOptions> CastOptionsOf(const odf::ReadStep& step);

// Everything that a Csv step says beyond its schema, defaults filled in (odf-ingest.md 1.5).
struct CsvOptions {
  CsvDialect dialect;
  bool header = false;
  bool infer = false;
  columnar::CastOptions cast;
};

// Errors: kUnsupported naming the option and its value.
Result<CsvOptions> CsvOptionsOf(const odf::ReadStep& step);

}  // namespace sluice::read
