#include "workspace/compact.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <stdlib.h>

#include <filesystem>

#include "base/testing/matchers.h"
#include "columnar/format.h"
#include "dataset/testing/sample.h"
#include "dataset/verify.h"
#include "workspace/query.h"

namespace sluice::workspace {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr uint64_t kAll = UINT64_MAX;

class CompactTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "sluice-compact-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    ASSERT_OK_AND_ASSIGN(workspace_, Workspace::Init(folder_, false));
    odf::DatasetSnapshot snapshot;
    snapshot.name = "a";
    snapshot.metadata.push_back(dataset::testing::SampleSchema());
    ASSERT_OK_AND_ASSIGN(entry_, workspace_->Create(snapshot, clock_));
  }
  void TearDown() override {
    workspace_.reset();
    fs::remove_all(folder_);
  }

  std::unique_ptr<dataset::Dataset> Open() {
    auto dataset = workspace_->Open(entry_);
    EXPECT_OK(dataset);
    return std::move(*dataset);
  }
  void Commit(std::initializer_list<int64_t> slices) {
    auto dataset = Open();
    for (const int64_t rows : slices) ASSERT_OK(dataset::testing::CommitRows(*dataset, rows));
  }
  // Adds a block that sets a source's state and brings no rows.
  void CommitState(const std::string& source, const std::string& kind, const std::string& value) {
    auto dataset = Open();
    odf::AddData data;
    data.prev_offset = dataset->state().last_offset();
    data.new_watermark = dataset->state().watermark();
    data.new_source_state = odf::SourceState{source, kind, value};
    dataset::CommitRequest request;
    request.events.push_back(std::move(data));
    request.system_time = dataset->NextSystemTime(clock_);
    ASSERT_OK(dataset->Commit(std::move(request)));
  }
  void AddSource(const std::string& name) {
    auto dataset = Open();
    odf::AddPushSource source;
    source.source_name = name;
    source.read.format = odf::ReadFormat::kNdJson;
    source.merge.kind = odf::MergeKind::kAppend;
    dataset::CommitRequest request;
    request.events.push_back(std::move(source));
    request.system_time = dataset->NextSystemTime(clock_);
    ASSERT_OK(dataset->Commit(std::move(request)));
  }
  std::string Rows() {
    std::string text;
    auto dataset = Open();
    std::unique_ptr<columnar::RowWriter> writer;
    EXPECT_OK(ReadRows(
        *dataset, 0, kAll,
        [&](const std::shared_ptr<arrow::Schema>& schema) -> Status {
          ASSIGN_OR_RETURN(writer, columnar::RowWriter::Make(columnar::OutputFormat::kCsv, schema,
                                                             [&](std::string_view part) -> Status {
                                                               text += part;
                                                               return {};
                                                             }));
          return {};
        },
        [&](const arrow::RecordBatch& rows) { return writer->Write(rows); }));
    EXPECT_OK(writer->Finish());
    return text;
  }
  size_t Count(const char* kind) const {
    size_t count = 0;
    for (const auto& file : fs::directory_iterator(workspace_->DatasetFolder(entry_.id) + "/" + kind))
      count += file.is_regular_file() ? 1 : 0;
    return count;
  }
  size_t Blocks() { return static_cast<size_t>(Open()->state().sequence) + 1; }
  void ExpectSound() {
    ASSERT_OK_AND_ASSIGN(auto stores, workspace_->StoresOf(entry_.id));
    ASSERT_OK_AND_ASSIGN(const auto report, dataset::Verify(stores, {}));
    for (const auto& violation : report.violations) ADD_FAILURE() << violation.ToString();
  }

  std::string folder_;
  FixedClock clock_{dataset::testing::SampleTime(0)};
  std::unique_ptr<Workspace> workspace_;
  Entry entry_;
};

TEST_F(CompactTest, MergesAdjacentSlicesAndKeepsEveryRow) {
  Commit({3, 2, 4});
  const std::string before = Rows();
  ASSERT_OK_AND_ASSIGN(const auto outcome, Compact(*workspace_, entry_, {}));
  EXPECT_TRUE(outcome.changed);
  EXPECT_FALSE(outcome.old_files_kept);
  EXPECT_EQ(Rows(), before);
  EXPECT_EQ(Count("data"), 1u);
  EXPECT_EQ(Blocks(), 3u);  // Seed, schema, data
  EXPECT_EQ(Count("blocks"), Blocks());
  ExpectSound();
}

TEST_F(CompactTest, ChangesNothingWhereThereIsNothingToMerge) {
  Commit({3});
  const auto head = Open()->head();
  ASSERT_OK_AND_ASSIGN(const auto outcome, Compact(*workspace_, entry_, {}));
  EXPECT_FALSE(outcome.changed);
  EXPECT_EQ(Open()->head(), head);
}

TEST_F(CompactTest, StaysWithinTheLimitsOfASlice) {
  Commit({3, 2, 4, 4, 1});
  const std::string before = Rows();
  ASSERT_OK(Compact(*workspace_, entry_, {.max_slice_records = 5}));
  EXPECT_EQ(Count("data"), 3u);  // 3 + 2, 4, 4 + 1
  EXPECT_EQ(Rows(), before);
  ExpectSound();
}

TEST_F(CompactTest, LeavesOtherEventsWhereTheyAre) {
  Commit({3, 2});
  ASSERT_OK(dataset::testing::CommitInfo(*Open(), "in between"));
  Commit({4, 4});
  const std::string before = Rows();
  ASSERT_OK(Compact(*workspace_, entry_, {}));
  EXPECT_EQ(Count("data"), 2u);
  EXPECT_EQ(Blocks(), 5u);
  EXPECT_EQ(Rows(), before);
  ExpectSound();
}

TEST_F(CompactTest, KeepsTheNewestStatesOfEachSource) {
  AddSource("one");
  AddSource("two");
  Commit({2});
  CommitState("one", "sluice/token", "old");
  CommitState("two", "sluice/token", "of two");
  CommitState("one", "sluice/file", "1:2:abc");
  CommitState("one", "sluice/token", "new");
  Commit({2});
  ASSERT_OK(Compact(*workspace_, entry_, {}));
  const auto dataset = Open();
  const auto& sources = dataset->state().push_sources;
  EXPECT_EQ(sources.at("one").state->value, "new");
  EXPECT_EQ(sources.at("one").file_state->value, "1:2:abc");
  EXPECT_EQ(sources.at("two").state->value, "of two");
  ExpectSound();
}

TEST_F(CompactTest, CanDropAllData) {
  AddSource("one");
  Commit({2, 2});
  CommitState("one", "sluice/token", "t");
  ASSERT_OK(Compact(*workspace_, entry_, {.keep_metadata_only = true}));
  EXPECT_FALSE(Open()->state().last_offset());
  EXPECT_FALSE(Open()->state().push_sources.at("one").state);
  EXPECT_EQ(Count("data"), 0u);
  ExpectSound();
}

TEST_F(CompactTest, LeavesFilesThatAReaderHolds) {
  workspace_->set_lock_timeout(std::chrono::milliseconds(10));
  Commit({3, 2, 4});
  ASSERT_OK_AND_ASSIGN(auto hold, workspace_->HoldFiles(entry_.id));
  const auto reader = Open();
  ASSERT_OK_AND_ASSIGN(auto outcome, Compact(*workspace_, entry_, {}));
  EXPECT_TRUE(outcome.changed);
  EXPECT_TRUE(outcome.old_files_kept);
  int64_t rows = 0;
  EXPECT_OK(ReadRows(
      *reader, 0, kAll, [](const auto&) { return OkStatus(); },
      [&](const arrow::RecordBatch& batch) -> Status {
        rows += batch.num_rows();
        return {};
      }));
  EXPECT_EQ(rows, 9);
  hold.reset();
  ASSERT_OK_AND_ASSIGN(outcome, Compact(*workspace_, entry_, {}));
  EXPECT_FALSE(outcome.changed);
  EXPECT_FALSE(outcome.old_files_kept);
  EXPECT_EQ(Count("data"), 1u);
  EXPECT_EQ(Count("blocks"), Blocks());
}

TEST_F(CompactTest, RefusesWhatDoesNotVerify) {
  Commit({3, 2});
  for (const auto& file : fs::directory_iterator(workspace_->DatasetFolder(entry_.id) + "/data")) {
    fs::resize_file(file.path(), fs::file_size(file.path()) - 1);
    break;
  }
  EXPECT_THAT(Compact(*workspace_, entry_, {.verify_first = true}),
              IsError(ErrorCode::kCorruption, HasSubstr("size")));
}

}  // namespace
}  // namespace sluice::workspace
