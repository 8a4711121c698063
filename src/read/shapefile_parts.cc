#include <algorithm>
#include <cctype>
#include <filesystem>
#include <system_error>

#include "archive/zip.h"
#include "base/cancel.h"
#include "base/names.h"
#include "read/local_input.h"
#include "read/shapefile_reader.h"

namespace sluice::read {
namespace {

namespace fs = std::filesystem;

// Texts beside the shapes are short; what is longer is none.
constexpr uint64_t kMaxTextBytes = 1 << 20;
// Of one unpacked part in memory.
constexpr size_t kMemoryBytes = 16 << 20;

bool SameLetters(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// The file beside `shp` with that extension in any case, empty when there is none.
fs::path Neighbour(const fs::path& shp, std::string_view extension) {
  fs::path exact = shp;
  exact.replace_extension(extension);
  std::error_code error;
  if (fs::exists(exact, error)) return exact;
  const fs::path folder = shp.parent_path().empty() ? fs::path(".") : shp.parent_path();
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().stem() == shp.stem() && SameLetters(entry.path().extension().string(), extension))
      return entry.path();
  }
  return {};
}

Result<std::unique_ptr<RandomFile>> OpenNeighbour(const fs::path& shp, std::string_view extension) {
  const fs::path path = Neighbour(shp, extension);
  if (path.empty()) return std::unique_ptr<RandomFile>();
  return OpenRandomFile(path.string(), path.string());
}

Result<std::string> TextOf(const RandomFile& file) {
  if (file.size() > kMaxTextBytes)
    return InvalidArgument("'{}' has {} bytes; a text is expected", file.name(), file.size());
  std::string text(file.size(), '\0');
  RETURN_IF_ERROR(file.ReadAt(0, text.data(), text.size()));
  return text;
}

Result<std::string> TextBeside(const fs::path& shp, std::string_view extension) {
  ASSIGN_OR_RETURN(const auto file, OpenNeighbour(shp, extension));
  if (file == nullptr) return std::string();
  return TextOf(*file);
}

// What an input without bytes gives.
class EmptyReader final : public Reader {
 public:
  explicit EmptyReader(std::shared_ptr<arrow::Schema> schema) : schema_(std::move(schema)) {}
  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  Result<std::optional<ReadBatch>> Next() override { return std::optional<ReadBatch>(); }
  uint64_t bytes_read() const override { return 0; }

 private:
  std::shared_ptr<arrow::Schema> schema_;
};

// A .shp file and what lies beside it.
Result<ShapefileParts> PartsBeside(const fs::path& shp) {
  ShapefileParts parts;
  ASSIGN_OR_RETURN(parts.shp, OpenRandomFile(shp.string(), shp.string()));
  ASSIGN_OR_RETURN(parts.dbf, OpenNeighbour(shp, ".dbf"));
  if (parts.dbf == nullptr) {
    return InvalidArgument("there is no '{}' beside '{}': a shapefile is a .shp and a .dbf of the same name",
                           shp.stem().string() + ".dbf", shp.string());
  }
  ASSIGN_OR_RETURN(parts.shx, OpenNeighbour(shp, ".shx"));
  ASSIGN_OR_RETURN(parts.cpg, TextBeside(shp, ".cpg"));
  ASSIGN_OR_RETURN(parts.prj, TextBeside(shp, ".prj"));
  return parts;
}

bool HasExtension(std::string_view path, std::string_view extension) {
  return path.size() > extension.size() &&
         SameLetters(path.substr(path.size() - extension.size()), extension);
}

// Shapes of an archive, and what lies beside them there.
class ArchivedParts {
 public:
  ArchivedParts(std::unique_ptr<archive::ZipFile> zip, std::string input, const ReadOptions& options)
      : zip_(std::move(zip)), input_(std::move(input)), options_(options) {}

  Result<ShapefileParts> Find(const std::string& sub_path) {
    ASSIGN_OR_RETURN(const size_t shp, FindShapes(sub_path));
    stem_ = zip_->entries()[shp].path;
    stem_.resize(stem_.size() - std::string_view(".shp").size());
    ShapefileParts parts;
    ASSIGN_OR_RETURN(parts.shp, Unpack(shp));
    ASSIGN_OR_RETURN(parts.dbf, UnpackBeside(".dbf"));
    if (parts.dbf == nullptr) {
      return InvalidArgument(
          "'{}' has no '{}.dbf' beside '{}': a shapefile is a .shp and a .dbf of the same name", input_,
          stem_, zip_->entries()[shp].path);
    }
    ASSIGN_OR_RETURN(parts.shx, UnpackBeside(".shx"));
    ASSIGN_OR_RETURN(parts.cpg, TextBeside(".cpg"));
    ASSIGN_OR_RETURN(parts.prj, TextBeside(".prj"));
    parts.keep = std::make_shared<std::vector<std::unique_ptr<SpillFile>>>(std::move(spills_));
    return parts;
  }

 private:
  Result<size_t> FindShapes(const std::string& sub_path) const {
    std::vector<std::string> all;
    std::vector<size_t> found;
    for (size_t i = 0; i < zip_->entries().size(); ++i) {
      const std::string& path = zip_->entries()[i].path;
      if (!HasExtension(path, ".shp")) continue;
      all.push_back(path);
      if (sub_path.empty() || path == sub_path || archive::MatchesGlob(sub_path, path)) found.push_back(i);
    }
    if (found.size() == 1) return found[0];
    if (all.empty()) return InvalidArgument("'{}' has no .shp inside", input_);
    if (sub_path.empty()) {
      return InvalidArgument("'{}' has {} .shp files; choose one with `subPath`: {}", input_, all.size(),
                             JoinNames(all));
    }
    return InvalidArgument("subPath '{}' selects {} of the .shp files in '{}': {}", sub_path,
                           found.empty() ? "none" : "several", input_, JoinNames(all));
  }

  // Paths in one archive mostly have the same letters; Windows does not insist.
  std::optional<size_t> Beside(std::string_view extension) const {
    std::optional<size_t> found;
    for (size_t i = 0; i < zip_->entries().size(); ++i) {
      const std::string& path = zip_->entries()[i].path;
      if (path.size() != stem_.size() + extension.size() ||
          !SameLetters(path, stem_ + std::string(extension)))
        continue;
      if (!found || path.starts_with(stem_)) found = i;
    }
    return found;
  }

  Result<std::unique_ptr<RandomFile>> UnpackBeside(std::string_view extension) {
    const auto index = Beside(extension);
    if (!index) return std::unique_ptr<RandomFile>();
    return Unpack(*index);
  }

  // Small parts stay in memory, others go to a file.
  Result<std::unique_ptr<RandomFile>> Unpack(size_t index) {
    const std::string name = fmt::format("{}/{}", input_, zip_->entries()[index].path);
    ASSIGN_OR_RETURN(auto stream, zip_->OpenEntry(index));
    std::string bytes;
    SpillFile* spill = nullptr;
    std::vector<char> buffer(1 << 20);
    for (;;) {
      RETURN_IF_ERROR(CheckCancelled(options_.stop));
      ASSIGN_OR_RETURN(const size_t n, stream->Read(buffer.data(), buffer.size()));
      if (n == 0) break;
      if (spill == nullptr && bytes.size() + n > kMemoryBytes) {
        spills_.emplace_back();
        ASSIGN_OR_RETURN(spills_.back(), SpillFile::Make(options_.spill_folder));
        spill = spills_.back().get();
        RETURN_IF_ERROR(spill->Write(bytes.data(), bytes.size()));
        bytes = {};
      }
      if (spill == nullptr) {
        bytes.append(buffer.data(), n);
      } else {
        RETURN_IF_ERROR(spill->Write(buffer.data(), n));
      }
    }
    if (spill == nullptr) return MakeRandomMemory(std::move(bytes), name);
    return OpenRandomFile(spill->path(), name);
  }

  Result<std::string> TextBeside(std::string_view extension) {
    const auto index = Beside(extension);
    if (!index) return std::string();
    ASSIGN_OR_RETURN(const auto file, Unpack(*index));
    return TextOf(*file);
  }

  std::unique_ptr<archive::ZipFile> zip_;
  const std::string input_;
  const ReadOptions& options_;
  std::string stem_;
  std::vector<std::unique_ptr<SpillFile>> spills_;
};

// A shapefile's own first bytes.
bool LooksLikeShapes(const std::string& path) {
  char head[4] = {};
  const auto file = OpenRandomFile(path, path);
  return file.ok() && (*file)->ReadAt(0, head, sizeof head).ok() &&
         std::string_view(head, sizeof head) == std::string_view("\0\0\x27\x0a", 4);
}

}  // namespace

Result<std::unique_ptr<Reader>> OpenShapefile(const odf::ReadStep& step,
                                              std::shared_ptr<arrow::Schema> declared,
                                              std::unique_ptr<ByteSource> source,
                                              const ReadOptions& options) {
  const auto path = source->local_path();
  if (path && HasExtension(*path, ".shp")) {
    if (step.sub_path) return InvalidArgument("'{}' is not an archive, but the source has a subPath", *path);
    ASSIGN_OR_RETURN(ShapefileParts parts, PartsBeside(*path));
    return OpenShapefileParts(step, std::move(declared), std::move(parts), options);
  }
  const std::string name = source->name();
  ASSIGN_OR_RETURN(const LocalInput input, MakeLocal(source.get(), options.spill_folder, options.stop));
  // No bytes: no rows, and no frame where nothing declares one.
  if (input.bytes == 0) return std::make_unique<EmptyReader>(std::move(declared));
  if (LooksLikeShapes(input.path)) {
    return InvalidArgument(
        "'{}' is a .shp file without its neighbours: give a path that ends in .shp, or a zip archive of all of them",
        name);
  }
  ASSIGN_OR_RETURN(auto zip, archive::ZipFile::Open(input.path, name));
  ArchivedParts archived(std::move(zip), name, options);
  ASSIGN_OR_RETURN(ShapefileParts parts, archived.Find(step.sub_path.value_or("")));
  return OpenShapefileParts(step, std::move(declared), std::move(parts), options);
}

}  // namespace sluice::read
