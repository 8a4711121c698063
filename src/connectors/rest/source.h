#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <unordered_set>

#include "connectors/rest/client.h"
#include "connectors/rest/progress.h"
#include "pipeline/feeding_ingestor.h"

namespace sluice::pipeline {
class Environment;
}

namespace sluice::connectors::rest {

// Reads a list of an API, again and again, and feeds what is new. Confined.
//
//   oldest first   page by page from the one reached, what is new of each at once
//   newest first   page by page until one has nothing new, then all of it in order
//   before         the newest page; then spans of numbers upwards from the one reached
class RestSource final : public pipeline::FeedSource {
 public:
  RestSource(RestOptions options, pipeline::Environment& environment);
  // Errors: kInvalidArgument naming the option.
  Status MakeClient();

  // Asks once, to find out now what will not work at all.
  Status Open(const pipeline::Places& from) override;
  Status Read(pipeline::Feeder& feeder, const std::function<void(Status)>& tell,
              const std::stop_token& stop) override;
  // An item of the list, as the mapping makes a record of it now.
  Result<std::shared_ptr<arrow::RecordBatch>> Reread(std::string_view item) const override;

 private:
  struct Page {
    Answer answer;
    std::vector<std::string_view> items;  // in `answer`
  };
  // What a sweep over the list needs.
  struct Sweep {
    pipeline::Feeder& feeder;
    const std::function<void(Status)>& tell;
    const std::stop_token& stop;
    int64_t start = 0;                       // what was new when it began
    std::unordered_set<size_t> pages = {};   // hashes of addresses that were followed
    std::unordered_set<int64_t> marks = {};  // that were delivered
    size_t last_body = 0;                    // hash of the answer before
  };

  // With Mark::kTime: new items of the last moment seen, of which there may be more on the next page. They
  // are delivered together, as their order among themselves is not the list's.
  struct Held {
    std::vector<std::shared_ptr<Page>> pages;  // that the entries point into
    std::vector<Entry> entries;
    PageRef first;  // of these pages
    uint64_t bytes = 0;
  };

  // Until the end of the list, or of what is old enough.
  Status SweepList(Sweep& sweep);
  Status OldestFirst(Sweep& sweep);
  Status NewestFirst(Sweep& sweep);
  Status Spans(Sweep& sweep);
  PageRef PageReached() const;
  // Of what is held and `entries`, which are of `got`, what can be delivered; with `is_all` all of it.
  Status DeliverRipe(Sweep& sweep, Held* held, std::vector<Entry> entries, const std::shared_ptr<Page>& got,
                     const PageRef& page, bool is_all);
  Status CheckBacklog(uint64_t bytes) const;
  // A list whose items are known by their place may not have become shorter.
  Status CheckGrown(const std::string& url, int64_t count) const;
  // Errors: kCorruption for a page that is the one before once more.
  Status CheckMoves(Sweep& sweep, const std::string& url, const Page& got) const;
  // Errors: kCorruption for pages in a circle.
  Result<std::optional<PageRef>> Next(Sweep& sweep, const PageRef& page, const std::string& url,
                                      const Page& got) const;
  Status CheckOrder(const Sweep& sweep, const std::vector<std::string_view>& items, int64_t base) const;
  // A page that is not full while another one follows it.
  Status CheckFull(Sweep& sweep, const PageRef& page, int64_t count);
  // Takes away what is too young, and everything behind it; whether that was anything.
  bool HoldBack(std::vector<Entry>* entries, int64_t server_seconds) const;

  // Tries a few times.
  Result<std::shared_ptr<Page>> Fetch(Sweep& sweep, const std::string& url);
  Result<std::shared_ptr<Page>> Ask(const std::string& url, std::chrono::milliseconds timeout,
                                    const std::function<void(std::chrono::milliseconds)>& limited,
                                    const std::stop_token& stop);
  std::string Since() const;
  void NoteOnce(const Error& error);
  void Idle(pipeline::Feeder& feeder, std::chrono::milliseconds pause, const std::stop_token& stop);

  const RestOptions options_;
  pipeline::Environment& environment_;
  std::unique_ptr<Client> client_;
  Progress progress_;
  std::optional<std::pair<std::string, std::shared_ptr<Page>>> opened_;  // what Open was answered
  std::string noted_;                                                    // the last trouble
};

}  // namespace sluice::connectors::rest
