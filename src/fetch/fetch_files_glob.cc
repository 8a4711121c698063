// Files that a glob names, each taken once, in order (odf-ingest.md 5.6, decisions.md 15).
#include <algorithm>

#include "base/cancel.h"
#include "fetch/event_time.h"
#include "fetch/file_list.h"
#include "fetch/file_stamp.h"
#include "fetch/kinds_internal.h"
#include "fetch/taken_files.h"
#include "read/rejects.h"

namespace sluice::fetch {
namespace {

struct Candidate {
  std::string path;
  std::string base_name;
  std::optional<Instant> event_time;  // by which they are ordered, if so

  // Errors: kInvalidArgument for a name that could not be kept as a state, or has no event time.
  static Result<Candidate> Make(const odf::FetchFilesGlob& step, std::string path) {
    Candidate made;
    made.base_name = path.substr(path.rfind('/') + 1);
    if (!read::IsUtf8(made.base_name)) {
      return InvalidArgument("the name of the file '{}' is not UTF-8, which the source's state is: rename it",
                             read::Printable(path));
    }
    made.path = std::move(path);
    if (step.order == odf::SourceOrdering::kByEventTime) {
      ASSIGN_OR_RETURN(made.event_time, PathEventTime(*step.event_time, made.base_name));
    }
    return made;
  }
};

// By event time if that is the order, then by base name.
int Compare(const Candidate& a, const Candidate& b) {
  if (a.event_time != b.event_time) return a.event_time < b.event_time ? -1 : 1;
  return CompareNaturally(a.base_name, b.base_name);
}

struct Found {
  std::vector<Candidate> fresh;    // after the state, in order
  std::vector<Candidate> settled;  // up to it
};

Result<Found> FindFiles(const odf::FetchFilesGlob& step, const FetchRequest& request,
                        const FetchContext& context) {
  ASSIGN_OR_RETURN(auto paths, ListGlob(step.path, context.base_folder));
  std::optional<Candidate> last;
  if (request.previous && request.previous->kind == kEtagStateKind) {
    ASSIGN_OR_RETURN(last, Candidate::Make(step, request.previous->value));
  }
  Found found;
  for (auto& path : paths) {
    ASSIGN_OR_RETURN(auto candidate, Candidate::Make(step, std::move(path)));
    const bool fresh = !last || Compare(candidate, *last) > 0;
    (fresh ? found.fresh : found.settled).push_back(std::move(candidate));
  }
  for (auto* list : {&found.fresh, &found.settled}) {
    std::sort(list->begin(), list->end(), [](const Candidate& a, const Candidate& b) {
      const int order = Compare(a, b);
      return order != 0 ? order < 0 : a.path < b.path;
    });
  }
  return found;
}

Result<FetchedInput> InputOf(const odf::FetchFilesGlob& step, const Candidate& file,
                             const odf::SourceState& state_after) {
  FetchedInput input;
  input.name = file.path;
  ASSIGN_OR_RETURN(const auto stamp, StampOf(file.path));
  if (step.event_time && step.event_time->kind == odf::EventTimeSource::Kind::kFromPath) {
    ASSIGN_OR_RETURN(input.event_time, PathEventTime(*step.event_time, file.base_name));
  }
  input.open = [path = file.path] { return read::OpenFileSource(path); };
  input.state = [path = file.path, stamp, state_after]() -> Result<std::optional<odf::SourceState>> {
    RETURN_IF_ERROR(CheckStamp(path, stamp));
    return std::optional(state_after);
  };
  input.identity = [path = file.path, stamp] { return IdentityOf(path, stamp); };
  return input;
}

std::string Examples(const std::vector<Candidate>& files) {
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(files.size(), 3); ++i) text += (i ? ", " : "") + files[i].path;
  return text + (files.size() > 3 ? ", ..." : "");
}

Status CheckGlob(const odf::FetchStep& step) {
  const auto& glob = std::get<odf::FetchFilesGlob>(step);
  const bool from_path = glob.event_time && glob.event_time->kind == odf::EventTimeSource::Kind::kFromPath;
  if (glob.order == odf::SourceOrdering::kByEventTime && !from_path)
    return InvalidArgument("order: byEventTime needs eventTime: fromPath");
  return CheckEventTime(glob.event_time, true, false);
}

Result<Fetched> FetchFilesGlob(const FetchRequest& request, const FetchContext& context) {
  const auto& step = std::get<odf::FetchFilesGlob>(request.step);
  if (!context.may.files)
    return Error(ErrorCode::kPermissionDenied, "this source may not read files (filesGlob)");
  RETURN_IF_ERROR(CheckGlob(request.step));
  ASSIGN_OR_RETURN(auto found, FindFiles(step, request, context));
  Fetched fetched;
  if (IsUncacheable(request, request.previous && request.previous->kind == kEtagStateKind)) {
    fetched.uncacheable = true;
    return fetched;
  }
  if (found.fresh.empty() && !request.previous && !request.polled_before)
    return NotFound("no file matches '{}'", step.path);

  ASSIGN_OR_RETURN(auto index,
                   TakenFiles::Load(context.taken_files_path, request.previous.has_value(), request.rows));
  std::vector<Candidate> late;
  std::vector<std::string> first_seen;
  if (step.cache == odf::SourceCaching::kForever) found.settled.clear();  // never looked at again
  for (auto& file : found.settled) {
    auto stamp = StampOf(file.path);
    if (!stamp.ok()) continue;
    if (index->is_new()) {
      first_seen.push_back(file.path);  // nothing is known of what was taken: all of it, then
    } else if (!index->Has(file.path, *stamp) && !request.late_taken.contains(file.path)) {
      late.push_back(std::move(file));
    }
  }
  if (!first_seen.empty()) RETURN_IF_ERROR(index->Record(first_seen));
  const bool take_late = request.late && !late.empty();
  if (!late.empty() && !take_late) {
    fetched.notes.push_back(
        fmt::format("{} file(s) came late or were changed after they were taken: {}; --late takes them",
                    late.size(), Examples(late)));
  }
  auto& files = take_late ? late : found.fresh;
  size_t count = std::min<size_t>(files.size(), std::max<size_t>(1, request.max_files));
  // The state tells base names only: files of one name stay together.
  while (!take_late && count < files.size() && Compare(files[count - 1], files[count]) == 0) ++count;
  fetched.has_more = take_late || count < files.size();
  std::vector<std::string> paths;
  for (size_t i = 0; i < count; ++i) {
    RETURN_IF_ERROR(CheckCancelled(context.stop));
    const auto state =
        take_late ? *request.previous : odf::SourceState{"", kEtagStateKind, files[i].base_name};
    ASSIGN_OR_RETURN(auto input, InputOf(step, files[i], state));
    input.with_next = !take_late && i + 1 < count && Compare(files[i], files[i + 1]) == 0;
    fetched.inputs.push_back(std::move(input));
    paths.push_back(files[i].path);
  }
  const std::shared_ptr<TakenFiles> shared_index = std::move(index);
  fetched.before_commit = [shared_index, paths](size_t inputs) {
    return shared_index->Announce({paths.begin(), paths.begin() + static_cast<std::ptrdiff_t>(inputs)});
  };
  fetched.on_committed = [shared_index](const std::vector<uint64_t>& rows_after) {
    return shared_index->Confirm(rows_after);
  };
  return fetched;
}

}  // namespace

namespace kinds {
FetchKind files_glob() {
  return {.step = "filesGlob", .check_step = &CheckGlob, .fetch_step = &FetchFilesGlob};
}
}  // namespace kinds

}  // namespace sluice::fetch
