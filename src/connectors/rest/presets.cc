#include "connectors/rest/presets.h"

#include "pipeline/tree.h"

namespace sluice::connectors::rest {
namespace {

// Discourse gives the 50 newest posts below a number; older versions those of the 50 numbers up to it.
// Asking for 49 numbers at a time is right for both.
constexpr char kDiscoursePosts[] = R"(
source_type: discourse
data: {from: [raw, cooked]}
data_id: {from: id}
metadata_type: discourse_post
created_at: {from: created_at}
updated_at: {from: updated_at}
)";

constexpr char kDiscourseTopics[] = R"(
source_type: discourse
data: {from: [title, fancy_title]}
data_id: {from: id}
metadata_type: discourse_topic
created_at: {from: created_at}
updated_at: {from: last_posted_at}
)";

constexpr char kGithubIssues[] = R"(
source_type: github
data: {join: [title, body]}
data_id: {from: number}
metadata_type: github_issue
created_at: {from: created_at}
updated_at: {from: updated_at}
)";

struct Known {
  const char* name;
  const char* path;
  const char* record;
  std::map<std::string, std::string> query;
  std::map<std::string, std::string> options;
};

const std::vector<Known>& AllKnown() {
  static const std::vector<Known> known = {
      {"discourse",
       "/posts.json",
       kDiscoursePosts,
       {},
       {{"items", "latest_posts"},
        {"pagination", "before"},
        {"page_parameter", "before"},
        {"page_size", "50"},
        {"mark", "number"},
        {"mark_path", "id"},
        {"settle", "10s"},
        {"requests_per_second", "2"}}},
      {"discourse_topics",
       "/latest.json",
       kDiscourseTopics,
       {{"order", "created"}},
       {{"items", "topic_list.topics"},
        {"pagination", "page"},
        {"page_parameter", "page"},
        {"first_page", "0"},
        {"mark", "number"},
        {"mark_path", "id"},
        {"order", "newest_first"},
        {"settle", "10s"},
        {"requests_per_second", "2"}}},
      {"github_issues",
       "",
       kGithubIssues,
       {{"state", "all"}, {"sort", "updated"}, {"direction", "asc"}, {"per_page", "100"}},
       {{"items", ""},
        {"pagination", "link"},
        {"mark", "time"},
        {"mark_path", "updated_at"},
        {"since_parameter", "since"},
        {"settle", "10s"},
        {"requests_per_second", "1"}}},
  };
  return known;
}

// `https://github.com/OWNER/REPOSITORY` as its API has it.
Result<std::string> GithubPath(const std::string& url, std::string* source) {
  constexpr std::string_view kSite = "https://github.com/";
  std::string path = url;
  while (path.ends_with('/')) path.pop_back();
  *source = path;
  if (path.starts_with(kSite)) path = "https://api.github.com/repos/" + path.substr(kSite.size());
  if (path.find("/repos/") == std::string::npos)
    return InvalidArgument("'{}' is no repository: https://github.com/OWNER/REPOSITORY", url);
  return path + "/issues";
}

}  // namespace

const std::vector<std::string>& PresetNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Known& known : AllKnown()) all.emplace_back(known.name);
    return all;
  }();
  return names;
}

Result<Preset> MakePreset(std::string_view name, const std::string& url) {
  for (const Known& known : AllKnown()) {
    if (known.name != name) continue;
    Preset preset;
    preset.query = known.query;
    preset.options = known.options;
    std::string source;
    if (name == "github_issues") {
      ASSIGN_OR_RETURN(preset.url, GithubPath(url, &source));
    } else {
      std::string base = url;
      while (base.ends_with('/')) base.pop_back();
      source = base.substr(base.find("//") + 2);
      preset.url = base + known.path;
    }
    ASSIGN_OR_RETURN(preset.record, pipeline::ReadTree(known.record, "preset",
                                                       [](std::string_view whole) -> Result<std::string> {
                                                         return std::string(whole);
                                                       }));
    pipeline::Tree text;
    text.kind = pipeline::Tree::Kind::kText;
    text.text = source;
    preset.record.members.emplace_back("source_id", text);
    return preset;
  }
  return InvalidArgument("there is no preset '{}'", name);
}

}  // namespace sluice::connectors::rest
