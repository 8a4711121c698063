#pragma once

#include <functional>
#include <memory>
#include <stop_token>

#include "pipeline/connector.h"
#include "pipeline/feeder.h"

namespace sluice::pipeline {

// What an ingestor that reads on a thread of its own has to say; the rest is the same for all. Confined: Open
// first, then Read on the thread.
class FeedSource {
 public:
  virtual ~FeedSource() = default;
  // What fails for good at the start: a missing file, rights.
  virtual Status Open(const Places& from) { return {}; }
  // Feeds until the input's end, or until stopped. `tell` says how it goes meanwhile. An error ends the
  // input, but not by being stopped.
  virtual Status Read(Feeder& feeder, const std::function<void(Status)>& tell,
                      const std::stop_token& stop) = 0;
  // As Ingestor::Reread.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Reread(std::string_view text) const {
    return ParseAll(text);
  }
};

// Finished when everything that was read has its outcome, also where an error ended the reading: health()
// says so then. `name` stands before the error in the operator's line.
std::unique_ptr<Ingestor> MakeFeedingIngestor(std::string name, std::unique_ptr<FeedSource> source,
                                              std::function<void(const std::string&)> note);

}  // namespace sluice::pipeline
