#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "odf/events.h"

namespace sluice::read {

struct SniffOptions {
  std::string name;          // what the input is called, for its extension and for messages; empty = path
  std::string spill_folder;  // as ReadOptions
  uint64_t max_bytes = uint64_t{256} << 20;  // read at most; what lies behind may have other values
  std::stop_token stop;
};

struct SniffedColumn {
  std::string name;
  std::string type;       // as a schema writes it; empty = nested, or the file's own
  bool required = false;  // no NULL anywhere in the input
  std::string example;
};

// What an input seems to be, and a read step that takes it.
struct Sniffed {
  odf::ReadStep step;                    // with a schema where one can be written
  std::optional<odf::PrepStep> prepare;  // how to unpack it
  std::vector<SniffedColumn> columns;    // in order
  std::string event_time;                // a column of type Date or Timestamp; empty = none
  std::vector<std::string> primary_key;  // columns whose values told all records apart; empty = none found
  int64_t records = 0;                   // looked at
  bool complete = false;                 // they are all there are
  std::vector<std::string> notes;        // what a person should check
};

// Looks at a file: format, compression, character set, separator, quotes, header, types, a likely event time
// and primary key. Then reads it with that step, and where values do not fit corrects the step, so that the
// file can be ingested as it is. Errors: kInvalidArgument for pages of HTML and for what no format fits;
// those of reading.
Result<Sniffed> SniffFile(const std::string& path, const SniffOptions& options);

struct DraftOptions {
  std::string dataset;
  std::string url;     // a polling source that fetches this; empty = a push source
  std::string origin;  // for the comment at the top
};

// A manifest for the input, with comments to edit by. Errors: kUnsupported when a push source cannot take it.
Result<std::string> DraftManifest(const Sniffed& sniffed, const DraftOptions& options);

}  // namespace sluice::read
