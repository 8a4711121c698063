// Every kind of damage is found, and named by block, file and rule.
#include <arrow/array.h>
#include <arrow/array/util.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <random>

#include "base/testing/matchers.h"
#include "columnar/testing/batches.h"
#include "dataset/testing/sample.h"
#include "dataset/verify.h"
#include "odf/arrow_schema.h"

namespace sluice::dataset {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;
using namespace dataset::testing;  // NOLINT: the vocabulary of these tests

struct Named {
  std::string file;
  std::string rule;
  bool operator==(const Named&) const = default;
};
void PrintTo(const Named& named, std::ostream* out) { *out << named.file << ": " << named.rule; }

// Seed, schema, three slices of ten rows, a description.
class VerifyMutationTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto created = CreateSample(stores_);
    ASSERT_OK(created);
    dataset_ = std::move(created).value();
    for (int i = 0; i < 3; ++i) ASSERT_OK(CommitRows(*dataset_, 10));
    ASSERT_OK(CommitInfo(*dataset_, "sample"));
    ASSERT_OK(dataset_->WalkBack([&](const StoredBlock& block) -> Result<bool> {
      blocks_.insert(blocks_.begin(), block.hash);
      if (const auto* data = std::get_if<odf::AddData>(&block.block.event)) {
        slices_.insert(slices_.begin(), DataName(data->new_data->physical_hash));
      }
      return true;
    }));
  }

  storage::Storage& files() { return *stores_.files; }
  std::string Read(const std::string& name) { return files().Get(name).value(); }
  void Write(const std::string& name, const std::string& bytes) { ASSERT_OK(files().Replace(name, bytes)); }

  std::vector<Violation> Violations(VerifyOptions options = {}) {
    auto report = Verify(stores_, options);
    EXPECT_OK(report);
    return report.ok() ? report->violations : std::vector<Violation>();
  }
  std::vector<Named> Found() {
    std::vector<Named> found;
    for (const Violation& violation : Violations()) found.push_back({violation.file, violation.rule});
    return found;
  }

  // Appends a slice of `batch` as any program could that keeps the chain's rules and records the right
  // hashes.
  std::string AppendSlice(const std::shared_ptr<arrow::RecordBatch>& batch,
                          const std::function<void(odf::DataSlice*)>& change = {}) {
    const uint64_t start = *dataset_->state().last_offset() + 1;
    auto written = WriteSlice(files(), batch, start);
    EXPECT_OK(written);
    if (change) change(&written->slice);
    CommitRequest request;
    request.system_time = SampleTime(50);
    request.events.push_back(NextData(dataset_->state(), written->slice));
    const std::string name = DataName(written->staged.physical_hash);
    request.slices.push_back(std::move(written->staged));
    EXPECT_OK(dataset_->Commit(std::move(request)));
    return name;
  }
  // The rows that would be right after those of SetUp, with one column replaced.
  std::shared_ptr<arrow::RecordBatch> Rows() { return SampleRows(30, 10, SampleTime(50)); }
  std::shared_ptr<arrow::RecordBatch> RowsWith(int column, const std::string& values,
                                               std::shared_ptr<arrow::Field> field = nullptr) {
    if (!field) field = SampleColumns()->field(column);
    const auto one = columnar::testing::BatchFromJson(arrow::schema({field}), values);
    return Rows()->SetColumn(column, field, one->column(0)).ValueOrDie();
  }
  // Ten rows of one column, the same value but for row 3.
  static std::string Column(const std::string& usual, const std::string& odd) {
    std::string text = "[";
    for (int i = 0; i < 10; ++i) text += fmt::format("{}[{}]", i == 0 ? "" : ", ", i == 3 ? odd : usual);
    return text + "]";
  }
  void ExpectOnly(const std::string& file, const std::string& rule, const std::string& detail) {
    const auto violations = Violations();
    ASSERT_EQ(violations.size(), 1u) << (violations.size() > 1 ? violations[1].ToString()
                                                               : "nothing was found");
    EXPECT_EQ(violations[0].file, file);
    EXPECT_EQ(violations[0].rule, rule);
    EXPECT_THAT(violations[0].detail, HasSubstr(detail));
  }

  DatasetStores stores_ = MemoryStores();
  std::unique_ptr<Dataset> dataset_;
  std::vector<Multihash> blocks_;    // oldest first
  std::vector<std::string> slices_;  // oldest first
};

TEST_F(VerifyMutationTest, NothingIsFoundInWhatIsRight) {
  ASSERT_OK_AND_ASSIGN(const VerifyReport report, Verify(stores_, {}));
  EXPECT_THAT(report.violations, IsEmpty());
  EXPECT_EQ(report.blocks, 6u);
  EXPECT_EQ(report.slices, 3u);
  EXPECT_EQ(report.records, 30u);
  EXPECT_EQ(report.bytes, dataset_->state().data_bytes);
}

// --- bits ---

TEST_F(VerifyMutationTest, AFlippedBitInAnyFileIsFoundAndTheFileNamed) {
  std::mt19937 random(7);
  ASSERT_OK_AND_ASSIGN(const auto names, files().List(""));
  ASSERT_EQ(names.size(), 10u);
  for (const std::string& name : names) {
    const std::string original = Read(name);
    for (int trial = 0; trial < 12; ++trial) {
      const size_t at = random() % original.size();
      SCOPED_TRACE(fmt::format("{} byte {}", name, at));
      std::string bytes = original;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
      Write(name, bytes);
      bool named = false;
      for (const Violation& violation : Violations({.threads = 1, .stop = {}, .progress = {}})) {
        named |= violation.file == name || BlockName(violation.block) == name;
        // A head of another hash leads nowhere: that block is what is missing.
        named |= name == kHeadName && violation.ToString().find(bytes) != std::string::npos;
      }
      EXPECT_TRUE(named);
      if (HasFailure()) return;
    }
    Write(name, original);
  }
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(VerifyMutationTest, AFlippedBitInABlockIsABlockHash) {
  std::string bytes = Read(BlockName(blocks_[5]));
  const size_t at = bytes.find("sample");
  ASSERT_NE(at, std::string::npos);
  bytes[at] ^= 1;
  Write(BlockName(blocks_[5]), bytes);
  const auto violations = Violations();
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].rule, "block-hash");
  EXPECT_EQ(violations[0].block, blocks_[5]);
  EXPECT_EQ(violations[0].sequence, 5u);
  EXPECT_THAT(violations[0].ToString(),
              StartsWith(fmt::format("block {} (sequence 5): block-hash: its ", blocks_[5].ToString())));
}

TEST_F(VerifyMutationTest, ATruncatedOrLongerSliceHasAnotherSizeAndHash) {
  const std::string bytes = Read(slices_[1]);
  Write(slices_[1], bytes.substr(0, bytes.size() / 2));
  EXPECT_THAT(Found(), UnorderedElementsAre(Named{slices_[1], "size"}, Named{slices_[1], "physical-hash"},
                                            Named{slices_[1], "slice-format"}));
  Write(slices_[1], "");
  EXPECT_THAT(Found(), Contains(Named{slices_[1], "size"}));
  Write(slices_[1], bytes + "x");
  EXPECT_THAT(Found(),
              AllOf(Contains(Named{slices_[1], "size"}), Contains(Named{slices_[1], "physical-hash"})));
}

TEST_F(VerifyMutationTest, SwappedSlicesAreBothFound) {
  const std::string first = Read(slices_[0]);
  const std::string second = Read(slices_[1]);
  Write(slices_[0], second);
  Write(slices_[1], first);
  const auto found = Found();
  for (const std::string& name : {slices_[0], slices_[1]}) {
    for (const char* rule : {"physical-hash", "logical-hash", "offsets"}) {
      EXPECT_THAT(found, Contains(Named{name, rule}));
    }
  }
  EXPECT_THAT(found, Contains(Named{slices_[0], "system-time"})) << "its rows are later than its block";
}

TEST_F(VerifyMutationTest, AMissingSliceIsNamed) {
  ASSERT_OK(files().Delete(slices_[2]));
  ExpectOnly(slices_[2], "file-missing", "not there");
}

TEST_F(VerifyMutationTest, AMissingBlockIsNamedWithTheOneThatRefersToIt) {
  ASSERT_OK(files().Delete(BlockName(blocks_[2])));
  const auto violations = Violations();
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].rule, "block-missing");
  EXPECT_EQ(violations[0].block, blocks_[2]);
  EXPECT_EQ(violations[0].sequence, 2u);
  EXPECT_THAT(violations[0].detail, HasSubstr(blocks_[3].ToString()));
}

TEST_F(VerifyMutationTest, DamageBelowDoesNotHideDamageAbove) {
  Write(BlockName(blocks_[1]), "nonsense");
  ASSERT_OK(files().Delete(slices_[2]));
  std::string bytes = Read(slices_[0]);
  bytes[bytes.size() / 2] ^= 1;
  Write(slices_[0], bytes);
  const auto found = Found();
  EXPECT_THAT(found, Contains(Named{"", "block-hash"}));
  EXPECT_THAT(found, Contains(Named{slices_[2], "file-missing"}));
  EXPECT_THAT(found, Contains(Named{slices_[0], "physical-hash"}));
}

// --- the head ---

TEST_F(VerifyMutationTest, AHeadThatIsNoHashIsNamed) {
  const std::string head = Read(kHeadName);
  for (const std::string& text : {head + "\n", head.substr(1), std::string(), std::string("f1620")}) {
    Write(kHeadName, text);
    ExpectOnly(kHeadName, "head", text.substr(0, 10));
  }
  ASSERT_OK(files().Delete(kHeadName));
  ExpectOnly(kHeadName, "head", "no head");
  Write(kHeadName, DataName(blocks_[0]).substr(5));
  EXPECT_THAT(Found(), IsEmpty()) << "an older head is a shorter history: that takes an anchor to notice";
  Write(kHeadName, Multihash().ToString());
  const auto violations = Violations();
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].rule, "block-missing");
  EXPECT_THAT(violations[0].detail, HasSubstr("head"));
}

// --- rules of the chain ---

TEST_F(VerifyMutationTest, BlocksThatBreakARuleAreNamedAndTheNextIsJudgedByItsOwn) {
  // Rewrites the last blocks with right hashes.
  std::optional<Multihash> previous = blocks_[3];
  const auto put = [&](odf::MetadataBlock block) {
    block.prev_block_hash = previous;
    const std::string bytes = *odf::EncodeBlock(block);
    previous = odf::HashBlock(bytes);
    Write(BlockName(*previous), bytes);
    return *previous;
  };
  const odf::SetInfo info;
  const Multihash gap = put({SampleTime(60), {}, 5, info});
  const Multihash good = put({SampleTime(61), {}, 6, info});
  const Multihash early = put({SampleTime(1), {}, 7, info});
  odf::AddData data;
  data.prev_offset = 19;
  data.new_watermark = SampleTime(50);
  const Multihash first = put({SampleTime(62), {}, 8, data});
  data.new_watermark = SampleTime(49);
  const Multihash backwards = put({SampleTime(63), {}, 9, data});
  data.new_watermark = SampleTime(51);
  data.prev_offset = 5;
  const Multihash wrong_offset = put({SampleTime(64), {}, 10, data});
  Write(kHeadName, previous->ToString());

  std::vector<std::pair<Multihash, std::string>> found;
  for (const Violation& violation : Violations()) {
    found.emplace_back(violation.block,
                       violation.rule + ": " + violation.detail.substr(0, violation.detail.find(':')));
  }
  using Pair = std::pair<Multihash, std::string>;
  EXPECT_THAT(found, ElementsAre(Pair{gap, "chain: SequenceIntegrity"},
                                 Pair{early, "chain: SystemTimeIsNotMonotonic"},
                                 Pair{backwards, "watermark: WatermarkIsNotMonotonic"},
                                 Pair{wrong_offset, "chain: InvalidEvent"}));
  EXPECT_NE(first, good);
}

TEST_F(VerifyMutationTest, ABlockThatCannotBeReadEndsTheChain) {
  const std::string bytes = "right hash, wrong content";
  const Multihash hash = odf::HashBlock(bytes);
  Write(BlockName(hash), bytes);
  Write(kHeadName, hash.ToString());
  const auto violations = Violations();
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].rule, "block-format");
}

// --- content of slices ---

TEST_F(VerifyMutationTest, ARightSliceMayBeAppended) {
  AppendSlice(Rows());
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(VerifyMutationTest, WrongOffsetsAreNamedByRow) {
  ExpectOnly(AppendSlice(RowsWith(0, "[[30],[31],[32],[34],[33],[35],[36],[37],[38],[39]]")), "offsets",
             "row 3: offset 34 where 33 should be (and 1 more rows)");
}

TEST_F(VerifyMutationTest, AMissingOffsetIsNamed) {
  const auto field = arrow::field("offset", arrow::int64(), true);
  const auto name = AppendSlice(RowsWith(0, "[[30],[31],[32],[null],[34],[35],[36],[37],[38],[39]]", field));
  EXPECT_THAT(Found(), UnorderedElementsAre(Named{name, "offsets"}, Named{name, "schema"}));
}

TEST_F(VerifyMutationTest, OptionalSystemColumnsOfOlderWritersHold) {
  AppendSlice(RowsWith(0, "[[30],[31],[32],[33],[34],[35],[36],[37],[38],[39]]",
                       arrow::field("offset", arrow::int64(), true)));
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(VerifyMutationTest, OptionalColumnsMayBeStoredAsRequired) {
  AppendSlice(RowsWith(4, Column("\"a\"", "\"b\""), arrow::field("city", arrow::utf8(), false)));
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(VerifyMutationTest, UnknownOperationCodesAreNamed) {
  ExpectOnly(AppendSlice(RowsWith(1, Column("0", "4"))), "op",
             "row 3: operation code 4 is not one of 0 to 3");
}

TEST_F(VerifyMutationTest, NegativeOperationCodesAreNamed) {
  ExpectOnly(AppendSlice(RowsWith(1, Column("-1", "3"))), "op",
             "row 0: operation code -1 is not one of 0 to 3 (and 8");
}

TEST_F(VerifyMutationTest, OperationCodesOfAnotherIntegerTypeHoldWhereTheSchemaHasIt) {
  const auto name = AppendSlice(RowsWith(1, Column("0", "1"), arrow::field("op", arrow::uint8(), false)));
  ExpectOnly(name, "schema", "column 'op' is UInt8 where the schema has Int32");
}

TEST_F(VerifyMutationTest, RowsLaterThanTheirBlockAreNamed) {
  const int64_t block = SampleTime(50).ToMillis();
  ExpectOnly(AppendSlice(RowsWith(2, Column(std::to_string(block), std::to_string(block + 1)))),
             "system-time", "row 3: system time");
}

TEST_F(VerifyMutationTest, AnotherTypeIsNamed) {
  ExpectOnly(AppendSlice(RowsWith(5, Column("\"a\"", "\"b\""), arrow::field("population", arrow::utf8()))),
             "schema", "column 'population' is Option<String> where the schema has Option<Int64>");
}

TEST_F(VerifyMutationTest, AnotherNameIsNamed) {
  ExpectOnly(AppendSlice(RowsWith(5, Column("1", "2"), arrow::field("people", arrow::int64()))), "schema",
             "column 6 is 'people' where the schema has 'population'");
}

TEST_F(VerifyMutationTest, MissingAndExtraColumnsAreNamed) {
  const auto shorter = Rows()->RemoveColumn(5).ValueOrDie();
  ExpectOnly(AppendSlice(shorter), "schema", "column 'population' of the schema is missing");
}

TEST_F(VerifyMutationTest, AnExtraColumnIsNamed) {
  const auto rows = Rows();
  const auto longer = rows->AddColumn(6, arrow::field("extra", arrow::int64()), rows->column(0)).ValueOrDie();
  ExpectOnly(AppendSlice(longer), "schema", "column 'extra' is not in the schema");
}

TEST_F(VerifyMutationTest, AMissingSystemColumnIsNamed) {
  const auto name = AppendSlice(Rows()->RemoveColumn(3).ValueOrDie());
  EXPECT_THAT(Violations(), Contains(Field(&Violation::detail, "system column 'event_time' is missing")));
  for (const Named& found : Found()) EXPECT_EQ(found, (Named{name, "schema"}));
}

TEST_F(VerifyMutationTest, AnotherNumberOfRowsIsNamed) {
  const auto name = AppendSlice(Rows(), [](odf::DataSlice* slice) { slice->offset_interval.end += 2; });
  ExpectOnly(name, "rows", "10 rows where the block records offsets 30 to 41, which are 12");
}

TEST_F(VerifyMutationTest, AnotherLogicalHashIsNamed) {
  const auto name = AppendSlice(Rows(), [](odf::DataSlice* slice) {
    slice->logical_hash = Multihash(multiformats::HashCode::kArrow0Sha3_256, {});
  });
  ExpectOnly(name, "logical-hash", "where the block records");
}

TEST_F(VerifyMutationTest, AnotherSizeIsNamed) {
  ExpectOnly(AppendSlice(Rows(), [](odf::DataSlice* slice) { slice->size += 1; }), "size",
             "bytes where the block records");
}

TEST_F(VerifyMutationTest, AFileThatIsNotParquetIsNamed) {
  ASSERT_OK_AND_ASSIGN(auto file, files().Stage("data"));
  ASSERT_OK(file->Append("no parquet"));
  const Multihash hash = multiformats::Sha3Multihash("no parquet");
  CommitRequest request;
  request.system_time = SampleTime(50);
  request.events.push_back(NextData(dataset_->state(), {Multihash(), hash, {30, 39}, 10}));
  request.slices.push_back({std::move(file), hash});
  ASSERT_OK(dataset_->Commit(std::move(request)));
  ExpectOnly(DataName(hash), "slice-format", "parquet");
}

TEST_F(VerifyMutationTest, CheckpointsAreCheckedToo) {
  odf::AddData data;
  data.prev_offset = 29;
  data.new_checkpoint = odf::Checkpoint{multiformats::Sha3Multihash("checkpoint"), 10};
  ASSERT_OK(dataset_->Commit({.events = {data}, .slices = {}, .system_time = SampleTime(50)}));
  const std::string name = CheckpointName(data.new_checkpoint->physical_hash);
  ExpectOnly(name, "file-missing", "not there");
  Write(name, "checkpoint");
  EXPECT_THAT(Found(), IsEmpty());
  Write(name, "Checkpoint");
  ExpectOnly(name, "physical-hash", "hashes to");
}

// --- schemas over time ---

TEST_F(VerifyMutationTest, SlicesAreJudgedByTheSchemaOfTheirTime) {
  odf::SetDataSchema wider = SampleSchema();
  wider.schema->fields.push_back(
      {"note", odf::DataType::Option(odf::DataType::Of(odf::TypeKind::kString)), std::nullopt});
  ASSERT_OK(dataset_->Commit({.events = {wider}, .slices = {}, .system_time = SampleTime(50)}));
  EXPECT_THAT(Found(), IsEmpty()) << "older slices need not have the column";
  ExpectOnly(AppendSlice(Rows()), "schema", "column 'note' of the schema is missing");
}

// --- running ---

TEST_F(VerifyMutationTest, ThreadsDoNotChangeWhatIsFound) {
  for (int i = 0; i < 20; ++i) ASSERT_OK(CommitRows(*dataset_, 3));
  ASSERT_OK(files().Delete(slices_[1]));
  Write(slices_[0], Read(slices_[2]));
  std::vector<std::string> expected;
  for (const int threads : {1, 2, 7, 0}) {
    std::vector<std::string> found;
    for (const auto& violation : Violations({.threads = threads, .stop = {}, .progress = {}})) {
      found.push_back(violation.ToString());
    }
    std::sort(found.begin(), found.end());
    if (expected.empty()) expected = found;
    EXPECT_EQ(found, expected);
  }
  EXPECT_GE(expected.size(), 4u);
}

TEST_F(VerifyMutationTest, MetadataAloneReadsNoSlice) {
  ASSERT_OK(files().Delete(slices_[1]));
  EXPECT_THAT(Violations({.data = false, .stop = {}, .progress = {}}), IsEmpty());
}

TEST_F(VerifyMutationTest, ProgressEndsAtTheTotal) {
  uint64_t last = 0;
  uint64_t total = 0;
  VerifyOptions options;
  options.progress = [&](uint64_t done, uint64_t of) {
    EXPECT_GE(done, last);
    last = done;
    total = of;
  };
  EXPECT_THAT(Violations(options), IsEmpty());
  EXPECT_EQ(last, total);
  EXPECT_EQ(total, 6 + dataset_->state().data_bytes);
}

TEST_F(VerifyMutationTest, StopsWhenAsked) {
  std::stop_source source;
  source.request_stop();
  EXPECT_THAT(Verify(stores_, {.stop = source.get_token(), .progress = {}}),
              IsErrorCode(ErrorCode::kCancelled));
}

}  // namespace
}  // namespace sluice::dataset
