#include "ingest/testing/push_fixture.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

#include "base/testing/matchers.h"
#include "columnar/slice.h"
#include "dataset/verify.h"
#include "ingest/source_rules.h"
#include "odf/yaml.h"

namespace sluice::ingest::testing {
namespace {

// Locks nothing: these tests have one writer at a time.
class UnlockedIndex final : public index::GuardedIndex {
 public:
  explicit UnlockedIndex(std::string folder) : folder_(std::move(folder)) {}
  ~UnlockedIndex() override {
    if (index_) (void)index_->Close().ok();
  }
  Result<index::KeyIndex*> Index() override {
    if (!index_) {
      ASSIGN_OR_RETURN(index_, index::KeyIndex::Open(folder_));
    }
    return index_.get();
  }

 private:
  std::string folder_;
  std::unique_ptr<index::KeyIndex> index_;
};

class SourceWithEnd final : public read::ByteSource {
 public:
  SourceWithEnd(std::unique_ptr<read::ByteSource> inner, std::function<void()> at_end)
      : inner_(std::move(inner)), at_end_(std::move(at_end)) {}
  Result<size_t> Read(char* buffer, size_t size) override {
    ASSIGN_OR_RETURN(size_t n, inner_->Read(buffer, size));
    if (n == 0 && at_end_) std::exchange(at_end_, nullptr)();
    return n;
  }
  const std::string& name() const override { return inner_->name(); }

 private:
  std::unique_ptr<read::ByteSource> inner_;
  std::function<void()> at_end_;
};

}  // namespace

TempFolder::TempFolder() {
  // In memory where that can be: nothing here is about what a disk keeps.
  const std::filesystem::path memory = "/dev/shm";
  const auto base = ::access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
  std::string name = (base / "sluice-ingest-XXXXXX").string();
  path_ = ::mkdtemp(name.data());
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

PushFixture::PushFixture()
    : inner(storage::MakeMemoryStorage()),
      files(std::make_shared<storage::FaultyStorage>(*inner)),
      derived(storage::MakeMemoryStorage()),
      clock(ParseInstant("2024-01-01T00:00:00Z").value()),
      rejects(RejectLog::Open(OnError::kFail, "").value()) {}

void PushFixture::Create(const std::vector<std::string>& events) {
  std::vector<odf::MetadataEvent> parsed;
  for (const auto& text : events) {
    auto event = odf::ParseEvent(text, "test");
    ASSERT_OK(event);
    parsed.push_back(std::move(*event));
  }
  ASSERT_OK(NormalizeEvents(&parsed));
  ASSERT_OK(CheckNewEvents(odf::ChainState(), parsed, {.shared_snapshot = true}));
  auto created = dataset::Dataset::Create(
      {files, derived}, odf::Seed{odf::DatasetId::FromSeed("test"), odf::DatasetKind::kRoot}, parsed,
      clock.Now());
  ASSERT_OK(created);
  dataset = std::move(*created);
}

std::unique_ptr<dataset::Dataset> PushFixture::OpenAnother() {
  auto opened = dataset::Dataset::Open({files, storage::MakeMemoryStorage()});
  EXPECT_OK(opened);
  return opened.ok() ? std::move(*opened) : nullptr;
}

void PushFixture::Reopen() { dataset = OpenAnother(); }

IngestInput PushFixture::Text(const std::string& text) { return TextThen(text, nullptr); }

IngestInput PushFixture::TextThen(const std::string& text, std::function<void()> before_end) {
  IngestInput input;
  input.open = [text, before_end]() -> Result<std::unique_ptr<read::ByteSource>> {
    return std::make_unique<SourceWithEnd>(read::MakeMemorySource(text, "memory"), before_end);
  };
  return input;
}

IngestContext PushFixture::Context() {
  auto begin = [this]() -> Result<std::unique_ptr<index::GuardedIndex>> {
    return std::make_unique<UnlockedIndex>(folder.path() + "/index");
  };
  return {dataset.get(), begin, &clock, folder.path()};
}

Result<std::vector<IngestOutcome>> PushFixture::Push(std::vector<IngestInput> inputs,
                                                     const IngestOptions& options) {
  return Ingest(Context(), std::move(inputs), *rejects, options);
}

Result<IngestOutcome> PushFixture::PushText(const std::string& text, const IngestOptions& options) {
  std::vector<IngestInput> inputs;
  inputs.push_back(Text(text));
  ASSIGN_OR_RETURN(auto outcomes, Push(std::move(inputs), options));
  return outcomes.front();
}

std::string PushFixture::Rows(const std::vector<std::string>& columns) {
  std::string text;
  auto slices = dataset->SlicesAfter(std::nullopt);
  EXPECT_OK(slices);
  if (!slices.ok()) return "";
  for (const auto& ref : **slices) {
    auto reader = columnar::SliceReader::Open(dataset->files(), dataset::DataName(ref.slice.physical_hash));
    EXPECT_OK(reader);
    while (true) {
      auto batch = (*reader)->Next();
      EXPECT_OK(batch);
      if (!batch.ok() || !*batch) break;
      for (int64_t row = 0; row < (*batch)->num_rows(); ++row) {
        if (!text.empty()) text += ", ";
        for (size_t c = 0; c < columns.size(); ++c) {
          const auto column = (*batch)->GetColumnByName(columns[c]);
          text +=
              (c ? " " : "") + (column->IsNull(row) ? "-" : column->GetScalar(row).ValueOrDie()->ToString());
        }
      }
    }
  }
  return text;
}

std::string PushFixture::Violations() {
  auto report = dataset::Verify({files, derived}, {.threads = 1, .stop = {}, .progress = {}});
  if (!report.ok()) return report.error().ToString();
  std::string text;
  for (const auto& violation : report->violations) text += violation.ToString() + "\n";
  return text;
}

std::string CsvSource(const std::string& merge, const std::string& schema_fields, const std::string& name) {
  const std::string schema = schema_fields.empty() ? "" : ", schema: {fields: [" + schema_fields + "]}";
  return "kind: AddPushSource\nsourceName: " + name + "\nread: {kind: Csv, header: true" + schema +
         "}\nmerge: " + merge + "\n";
}

}  // namespace sluice::ingest::testing
