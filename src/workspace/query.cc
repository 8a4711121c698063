#include "workspace/query.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <cctype>
#include <fstream>

#include "base/names.h"
#include "columnar/conform.h"
#include "columnar/slice.h"
#include "multiformats/sha3.h"
#include "odf/arrow_schema.h"

namespace sluice::workspace {
namespace {

bool IsSame(char a, char b) {
  return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
}

bool IsSameName(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), IsSame);
}

bool IsPartOfName(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c < 0; }

// Whether the whole name occurs, be it as a table or as something else: what is not looked at cannot fail.
bool Mentions(std::string_view statement, std::string_view name) {
  for (auto at = statement.begin(); at != statement.end(); ++at) {
    at = std::search(at, statement.end(), name.begin(), name.end(), IsSame);
    if (at == statement.end()) return false;
    const auto end = at + static_cast<std::ptrdiff_t>(name.size());
    const bool starts = at == statement.begin() || !IsPartOfName(*(at - 1));
    if (starts && (end == statement.end() || !IsPartOfName(*end))) return true;
  }
  return false;
}

// Says which datasets there are to somebody whose query names a table that is none.
Error ExplainMissingTable(Error error, const std::vector<Entry>& entries,
                          const std::vector<std::string>& without_schema) {
  constexpr std::string_view kLead = "table with name ";
  const std::string& message = error.message();
  const auto at = message.find(kLead);
  if (at == std::string::npos || message.find("does not exist", at) == std::string::npos) return error;
  const auto start = at + kLead.size();
  const std::string name = message.substr(start, message.find_first_of(" (", start) - start);
  for (const auto& alias : without_schema) {
    if (IsSameName(name, alias))
      return InvalidArgument("dataset '{}' has no columns yet: it gets them with its first data", alias);
  }
  std::vector<std::string> aliases;
  for (const auto& entry : entries) aliases.push_back(entry.alias);
  const auto near = NearNames(name, aliases);
  return InvalidArgument(
      "no dataset '{}'{}", name,
      near.empty() ? "; 'sluice list' shows them" : fmt::format("; did you mean '{}'?", near.front()));
}

// Why a query over these datasets could not begin, if a slice of one is not there.
std::optional<Error> FindMissingSlice(const Workspace& workspace, const std::vector<Entry>& entries,
                                      std::string_view statement) {
  for (const auto& entry : entries) {
    if (!Mentions(statement, entry.alias)) continue;
    const auto dataset = workspace.Open(entry);
    if (!dataset.ok()) continue;
    const auto slices = (*dataset)->SlicesAfter(std::nullopt);
    if (!slices.ok()) continue;
    for (const auto& ref : **slices) {
      const std::string name = dataset::DataName(ref.slice.physical_hash);
      const auto is_there = (*dataset)->files().Exists(name);
      if (is_there.ok() && !*is_there)
        return Corruption("dataset '{}': slice '{}' is missing; 'sluice verify {}' tells what else is",
                          entry.alias, name, entry.alias);
    }
  }
  return std::nullopt;
}

// A slice that a query reads, and whose it is.
struct QueriedSlice {
  std::string alias, path;
  multiformats::Multihash hash;
};

// What the engine says of bytes that are not what was written depends on where they lie in the file: an error
// that no query of sound data gives has the files looked at.
bool MayBeDamage(const Error& error) {
  const std::string& message = error.message();
  return error.code() == ErrorCode::kInternal || error.code() == ErrorCode::kUnavailable ||
         error.code() == ErrorCode::kCorruption || message.find("could not convert") != std::string::npos ||
         message.find("failed to read") != std::string::npos;
}

Result<bool> IsAsWritten(const QueriedSlice& slice) {
  std::ifstream file(slice.path, std::ios::binary);
  multiformats::Sha3Hasher hasher;
  std::vector<char> buffer(size_t{1} << 20);
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || file.gcount() > 0)
    hasher.Update(buffer.data(), static_cast<size_t>(file.gcount()));
  if (file.bad()) return MakeError(ErrorCode::kUnavailable, "cannot read '{}'", slice.path);
  return hasher.Finish() == slice.hash.digest();
}

Error ExplainDamage(Error error, const std::vector<QueriedSlice>& slices) {
  if (!MayBeDamage(error)) return error;
  for (const auto& slice : slices) {
    const auto sound = IsAsWritten(slice);
    if (sound.ok() && *sound) continue;
    return Corruption("dataset '{}': slice '{}' is damaged; 'sluice verify {}' tells more", slice.alias,
                      dataset::DataName(slice.hash), slice.alias);
  }
  return error;
}

// Damage shows itself when its rows are read.
class ExplainedResult final : public sql::QueryResult {
 public:
  ExplainedResult(std::unique_ptr<sql::QueryResult> result, std::vector<QueriedSlice> slices)
      : result_(std::move(result)), slices_(std::move(slices)) {}

  std::shared_ptr<arrow::Schema> schema() const override { return result_->schema(); }
  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    auto batch = result_->Next();
    if (!batch.ok()) return ExplainDamage(std::move(batch).error(), slices_);
    return batch;
  }

 private:
  std::unique_ptr<sql::QueryResult> result_;
  std::vector<QueriedSlice> slices_;
};

}  // namespace

Result<std::shared_ptr<arrow::Schema>> ArrowSchemaOf(const dataset::Dataset& dataset) {
  if (!dataset.state().schema) return std::shared_ptr<arrow::Schema>();
  return odf::ToArrow(odf::StripEncodings(*dataset.state().schema));
}

Status ReadRows(const dataset::Dataset& dataset, uint64_t first_offset, uint64_t last_offset,
                const std::function<Status(const std::shared_ptr<arrow::Schema>&)>& start,
                const BatchVisitor& visit) {
  ASSIGN_OR_RETURN(auto schema, ArrowSchemaOf(dataset));
  RETURN_IF_ERROR(start(schema));
  if (!schema || !dataset.state().last_offset()) return {};

  // Newest first until the first wanted offset: a tail costs its own slices, not the history.
  std::vector<odf::DataSlice> slices;
  RETURN_IF_ERROR(dataset.WalkBack([&](const dataset::StoredBlock& block) -> Result<bool> {
    const std::optional<odf::DataSlice>* slice = nullptr;
    if (const auto* add = std::get_if<odf::AddData>(&block.block.event)) slice = &add->new_data;
    if (const auto* run = std::get_if<odf::ExecuteTransform>(&block.block.event)) slice = &run->new_data;
    if (!slice || !*slice) return true;
    if ((*slice)->offset_interval.start <= last_offset) slices.push_back(**slice);
    return (*slice)->offset_interval.start > first_offset;
  }));
  std::reverse(slices.begin(), slices.end());
  for (const auto& slice : slices) {
    if (slice.offset_interval.end < first_offset) continue;
    const std::string name = dataset::DataName(slice.physical_hash);
    auto opened = columnar::SliceReader::Open(dataset.files(), name);
    if (!opened.ok() && opened.error().code() == ErrorCode::kNotFound)
      return Corruption("slice '{}' is missing; 'sluice verify' tells what else is", name);
    ASSIGN_OR_RETURN(auto reader, std::move(opened));
    uint64_t offset = slice.offset_interval.start;
    while (true) {
      ASSIGN_OR_RETURN(auto batch, reader->Next());
      if (!batch) break;
      const uint64_t batch_first = offset;
      offset += static_cast<uint64_t>(batch->num_rows());
      if (batch->num_rows() == 0 || offset <= first_offset || batch_first > last_offset) continue;
      const uint64_t skip = first_offset > batch_first ? first_offset - batch_first : 0;
      const uint64_t end = std::min<uint64_t>(offset - 1, last_offset);
      auto part =
          batch->Slice(static_cast<int64_t>(skip), static_cast<int64_t>(end - batch_first - skip + 1));
      ASSIGN_OR_RETURN(auto rows, columnar::ConformBatch(part, schema));
      RETURN_IF_ERROR(visit(*rows));
    }
  }
  return {};
}

Result<QuerySession> RunQuery(const Workspace& workspace, const std::string& statement,
                              const QueryOptions& options) {
  ASSIGN_OR_RETURN(auto entries, workspace.List());
  return RunQueryOver(workspace, entries, statement, options);
}

Result<QuerySession> RunQueryOver(const Workspace& workspace, const std::vector<Entry>& entries,
                                  const std::string& statement, const QueryOptions& options) {
  QuerySession session;
  std::vector<std::string> without_schema;
  std::vector<QueriedSlice> queried;
  ASSIGN_OR_RETURN(session.engine, sql::Engine::OpenFenced(options.limits, options.dialect));
  for (const auto& entry : entries) {
    if (!Mentions(statement, entry.alias)) continue;
    ASSIGN_OR_RETURN(auto hold, workspace.HoldFiles(entry.id));
    session.holds.push_back(std::move(hold));
    ASSIGN_OR_RETURN(auto dataset, workspace.Open(entry));
    ASSIGN_OR_RETURN(auto schema, ArrowSchemaOf(*dataset));
    if (!schema) {
      without_schema.push_back(entry.alias);
      continue;
    }
    ASSIGN_OR_RETURN(auto slices, dataset->SlicesAfter(std::nullopt));
    std::vector<std::string> paths;
    for (const auto& ref : *slices) {
      auto path = dataset->files().LocalPath(dataset::DataName(ref.slice.physical_hash));
      if (!path) continue;
      queried.push_back({entry.alias, *path, ref.slice.physical_hash});
      paths.push_back(*path);
    }
    auto registered = session.engine->RegisterParquet(entry.alias, schema, std::move(paths));
    if (!registered.ok()) {
      if (auto missing = FindMissingSlice(workspace, entries, statement)) return *std::move(missing);
      return ExplainDamage(std::move(registered).error(), queried);
    }
  }
  auto result = session.engine->Query(statement, options.stop);
  if (!result.ok()) {
    if (auto missing = FindMissingSlice(workspace, entries, statement)) return *std::move(missing);
    return ExplainDamage(ExplainMissingTable(std::move(result).error(), entries, without_schema), queried);
  }
  session.result = std::make_unique<ExplainedResult>(std::move(*result), std::move(queried));
  return session;
}

}  // namespace sluice::workspace
