#include "sql/projection.h"

#include <dlfcn.h>
#include <proj.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <type_traits>

namespace sluice::sql {
namespace {

// The library, loaded when it is first needed: with what it brings it takes 10 ms to start.
struct Proj {
  decltype(&proj_context_create) context_create;
  decltype(&proj_context_destroy) context_destroy;
  decltype(&proj_context_set_enable_network) context_set_enable_network;
  decltype(&proj_context_get_database_path) context_get_database_path;
  decltype(&proj_log_level) log_level;
  decltype(&proj_create) create;
  decltype(&proj_create_crs_to_crs) create_crs_to_crs;
  decltype(&proj_normalize_for_visualization) normalize_for_visualization;
  decltype(&proj_destroy) destroy;
  decltype(&proj_errno_reset) errno_reset;
  decltype(&proj_trans_generic) trans_generic;
};

Result<Proj> Load() {
  void* library = ::dlopen(SLUICE_PROJ_LIBRARY, RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr)
    return MakeError(ErrorCode::kUnavailable, "the projection library cannot be loaded: {}", ::dlerror());
  const char* missing = nullptr;
  auto find = [&](const char* name, auto* function) {
    void* found = ::dlsym(library, name);
    if (found == nullptr) missing = name;
    *function = reinterpret_cast<std::remove_pointer_t<decltype(function)>>(found);
  };
  Proj proj{};
  find("proj_context_create", &proj.context_create);
  find("proj_context_destroy", &proj.context_destroy);
  find("proj_context_set_enable_network", &proj.context_set_enable_network);
  find("proj_context_get_database_path", &proj.context_get_database_path);
  find("proj_log_level", &proj.log_level);
  find("proj_create", &proj.create);
  find("proj_create_crs_to_crs", &proj.create_crs_to_crs);
  find("proj_normalize_for_visualization", &proj.normalize_for_visualization);
  find("proj_destroy", &proj.destroy);
  find("proj_errno_reset", &proj.errno_reset);
  find("proj_trans_generic", &proj.trans_generic);
  if (missing != nullptr)
    return MakeError(ErrorCode::kUnavailable, "the projection library has no '{}'", missing);
  return proj;
}

const Result<Proj>& TheLibrary() {
  static const Result<Proj> kLibrary = Load();
  return kLibrary;
}

// What is freed was made by it.
struct FreeContext {
  void operator()(PJ_CONTEXT* context) const { TheLibrary()->context_destroy(context); }
};
struct FreeProjection {
  void operator()(PJ* projection) const { TheLibrary()->destroy(projection); }
};
using Context = std::unique_ptr<PJ_CONTEXT, FreeContext>;
using Projection = std::unique_ptr<PJ, FreeProjection>;

constexpr std::array<std::string_view, 4> kAuthorities = {"EPSG", "ESRI", "OGC", "IGNF"};

// `AUTHORITY:CODE`. The library would also take definitions, and those may name files.
Result<std::string> CodeOf(std::string_view text) {
  std::string code(text);
  for (char& c : code) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  const size_t colon = code.find(':');
  const bool known =
      colon != std::string::npos && std::find(kAuthorities.begin(), kAuthorities.end(),
                                              std::string_view(code).substr(0, colon)) != kAuthorities.end();
  const bool plain = known && colon + 1 < code.size() && code.size() < 64 &&
                     std::all_of(
                         code.begin() + static_cast<std::ptrdiff_t>(colon) + 1, code.end(),
                         [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '.'; });
  if (!plain)
    return InvalidArgument("'{}' is no code of a coordinate system, like 'epsg:4326'", text.substr(0, 64));
  return code;
}

class ProjTransformer final : public Transformer {
 public:
  ProjTransformer(const Proj& proj, Context context, Projection projection)
      : proj_(proj), context_(std::move(context)), projection_(std::move(projection)) {}

  void Apply(std::span<double> xs, std::span<double> ys) override {
    proj_.errno_reset(projection_.get());
    proj_.trans_generic(projection_.get(), PJ_FWD, xs.data(), sizeof(double), xs.size(), ys.data(),
                        sizeof(double), ys.size(), nullptr, 0, 0, nullptr, 0, 0);
  }

 private:
  const Proj& proj_;
  Context context_;  // must outlive the projection
  Projection projection_;
};

}  // namespace

Result<std::unique_ptr<Transformer>> Transformer::Make(std::string_view from, std::string_view to) {
  ASSIGN_OR_RETURN(const std::string from_code, CodeOf(from));
  ASSIGN_OR_RETURN(const std::string to_code, CodeOf(to));
  if (!TheLibrary().ok()) return TheLibrary().error();
  const Proj& proj = *TheLibrary();
  Context context(proj.context_create());
  if (context == nullptr) return Internal("the projection library does not start");
  proj.log_level(context.get(), PJ_LOG_NONE);
  proj.context_set_enable_network(context.get(), 0);
  for (const std::string& code : {from_code, to_code}) {
    const Projection system(proj.create(context.get(), code.c_str()));
    if (system != nullptr) continue;
    if (proj.context_get_database_path(context.get()) == nullptr) {
      return Error(ErrorCode::kUnavailable,
                   "the database of coordinate systems (proj.db, Debian's proj-data) is not installed");
    }
    return InvalidArgument("no coordinate system '{}'", code);
  }
  const Projection chosen(proj.create_crs_to_crs(context.get(), from_code.c_str(), to_code.c_str(), nullptr));
  if (chosen == nullptr)
    return InvalidArgument("coordinates of '{}' cannot become those of '{}'", from_code, to_code);
  // Without this the axes would come in each system's own order, latitude first in EPSG:4326.
  Projection projection(proj.normalize_for_visualization(context.get(), chosen.get()));
  if (projection == nullptr)
    return InvalidArgument("coordinates of '{}' cannot become those of '{}'", from_code, to_code);
  return std::make_unique<ProjTransformer>(proj, std::move(context), std::move(projection));
}

Result<std::unique_ptr<Transformer>> TransformerPool::Take(std::string_view from, std::string_view to) {
  {
    MutexLock lock(mutex_);
    auto found = idle_.find({std::string(from), std::string(to)});
    if (found != idle_.end() && !found->second.empty()) {
      auto transformer = std::move(found->second.back());
      found->second.pop_back();
      return transformer;
    }
  }
  return Transformer::Make(from, to);
}

void TransformerPool::Give(std::string_view from, std::string_view to,
                           std::unique_ptr<Transformer> transformer) {
  constexpr size_t kMostPairs = 64;  // systems that come from the data could be many
  MutexLock lock(mutex_);
  if (idle_.size() >= kMostPairs) idle_.clear();
  idle_[{std::string(from), std::string(to)}].push_back(std::move(transformer));
}

}  // namespace sluice::sql
