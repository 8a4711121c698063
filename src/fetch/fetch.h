#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "archive/decompress.h"
#include "base/clock.h"
#include "base/result.h"
#include "fetch/template.h"
#include "odf/events.h"
#include "read/reader.h"

// The fetch step of a polling source: what is new upstream since a state, as inputs to be read (odf-ingest.md
// 5.2 - 5.6).
namespace sluice::fetch {

struct HttpSettings {
  std::string user_agent = "sluice";
  std::chrono::milliseconds connect_timeout{30'000};
  std::chrono::milliseconds stall_timeout{60'000};  // without a byte
  int max_redirects = 10;
  int retries = 3;  // in a row without a new byte
  std::chrono::milliseconds first_backoff{500};
  std::chrono::milliseconds longest_backoff{30'000};
  uint64_t max_bytes = 0;            // of a download; 0 = no limit
  std::optional<std::string> proxy;  // nothing = as the environment says, empty = none
  std::string ca_file;               // empty = the system's
};

// What a source may do besides reading public addresses; decided by where it came from (push-protocol.md 8).
struct Capabilities {
  bool files = true;              // `file:` and filesGlob
  bool commands = true;           // `exec:`, and pipes other than the usual decompressors
  bool environment = true;        // `env.NAME` beyond the dataset's own (asked by the Variables given)
  bool private_addresses = true;  // loopback, private and link-local ones
};

class Progress {
 public:
  virtual ~Progress() = default;
  // Bytes so far, and all of them (0 = not known). From any thread.
  virtual void OnFetched(uint64_t done, uint64_t total) = 0;
};

struct FetchContext {
  const Variables* variables = nullptr;
  const Clock* clock = nullptr;
  HttpSettings http;
  Capabilities may;
  std::map<std::string, std::vector<std::string>> commands;  // of `exec:NAME`, by name
  std::string base_folder;                                   // of relative paths; empty = the process's
  std::string savepoint_folder;  // of this source alone (odf-ingest.md 5.3); made when needed
  std::string taken_files_path;  // of the index of a filesGlob source; empty = none
  archive::Limits limits;
  Progress* progress = nullptr;  // may be null
  std::stop_token stop;
};

struct FetchRequest {
  odf::FetchStep step;
  std::optional<odf::SourceState> previous;  // of the source, in the chain
  bool polled_before = false;                // rows or a state were taken since the source was activated
  uint64_t rows = 0;                         // that the dataset has
  bool fetch_uncacheable = false;            // also what cannot be asked whether it changed
  bool force = false;                        // also what has not changed
  bool late = false;                 // filesGlob: files that came late or changed, instead of new ones
  std::set<std::string> late_taken;  // not again, although they go on changing
  size_t max_files = 1000;           // filesGlob: at once
};

// One thing to be read. Its functions may be called until the Fetched that holds it goes.
struct FetchedInput {
  std::string name;                                                 // for people
  std::optional<Instant> event_time;                                // of rows that have none
  std::function<Result<std::unique_ptr<read::ByteSource>>()> open;  // may be called again
  // The state after this input: asked when it was read to its end. Errors: kConflict when it changed
  // meanwhile.
  std::function<Result<std::optional<odf::SourceState>>()> state;
  // Whether the content began anew since it was opened last: reading has then failed with kConflict, and may
  // be tried again. Not given = it cannot.
  std::function<bool()> has_changed;
  // What the content is: the same text means the same bytes. Nothing while they are still coming; not given =
  // it cannot be said. Errors: it changed while it was read.
  std::function<Result<std::optional<std::string>>()> identity;
  std::shared_ptr<const Redactor> redactor;  // to be asked before people see a part of it; null = no secrets
  std::string media_type;                    // as the server says; empty = not known
  bool from_server = false;                  // an answer, which may be a page about an error
  bool decoded = false;                      // the server had compressed it on the way, which is undone
  bool with_next = false;                    // its state covers the next input too: one commit takes both
};

struct Fetched {
  std::vector<FetchedInput> inputs;  // in order; none = up to date
  bool has_more = false;             // another fetch after these brings more
  bool uncacheable = false;          // not asked: there is no way to tell whether it changed
  std::vector<std::string> notes;    // for people
  // To be called, where given: before a commit of the first so many inputs; after it, with the number of rows
  // that the dataset then had after each; and when inputs were refused by what came after, so that the same
  // bytes are asked for anew next time.
  std::function<Status(size_t inputs)> before_commit;
  std::function<Status(const std::vector<uint64_t>& rows_after)> on_committed;
  std::function<void()> on_refused;
};

// Asks the source. May return while a download is still running: reading waits for it. Confined to one
// thread. Errors (without secrets): kNotFound; kUnavailable; kTimeout; kPermissionDenied for what the source
// may not do; kUnsupported for other kinds of fetch, naming them; kInvalidArgument for templates and URLs.
Result<Fetched> Fetch(const FetchRequest& request, const FetchContext& context);

// What can be said of a fetch step when the source is added: templates, patterns, event-time options.
Status CheckFetch(const odf::FetchStep& step);

// Removes what commands of prepare steps made and what was kept of it: when it was refused, it is made anew.
void DropPrepared(const std::string& savepoint_folder);

// Removes what a committed or abandoned fetch left behind. A missing folder is a success.
Status DropSavepoints(const std::string& savepoint_folder);

// States that are ours: `bytes:hash` of content that came without a validator.
inline constexpr char kContentStateKind[] = "sluice/content";
inline constexpr char kEtagStateKind[] = "odf/etag";
inline constexpr char kLastModifiedStateKind[] = "odf/last-modified";

}  // namespace sluice::fetch
