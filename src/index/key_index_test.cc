#include "index/key_index.h"

#include <arrow/api.h>
#include <arrow/json/from_string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <random>

#include "base/testing/matchers.h"
#include "index/catalog.h"
#include "index/sorted_files.h"

namespace sluice::index {
namespace {

namespace fs = std::filesystem;
using multiformats::DatasetId;
using multiformats::HashCode;
using multiformats::Multihash;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

Multihash Head(uint8_t number) {
  Multihash::Digest digest{};
  digest[0] = number;
  return Multihash(HashCode::kSha3_256, digest);
}

DatasetId Dataset(uint8_t number) {
  DatasetId::Key key{};
  key[0] = number;
  return DatasetId(key);
}

class KeyIndexTest : public testing::Test {
 protected:
  KeyIndexTest() {
    std::string name = (fs::temp_directory_path() / "sluice-index-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    Reopen();
  }
  ~KeyIndexTest() override {
    index_.reset();
    fs::remove_all(folder_);
  }

  void Reopen() {
    index_.reset();
    auto opened = KeyIndex::Open(folder_ + "/index");
    EXPECT_OK(opened);
    index_ = std::move(*opened);
  }

  std::vector<bool> Seen(const KeySet& set, const std::vector<std::string_view>& keys) {
    std::vector<bool> seen;
    auto found = index_->Find(set, nullptr, keys);
    EXPECT_OK(found);
    if (found.ok()) {
      for (const Found& answer : *found) seen.push_back(answer.seen);
    }
    return seen;
  }

  std::vector<std::pair<std::string, std::string>> All(const KeySet& set,
                                                       std::shared_ptr<arrow::Schema> schema = nullptr) {
    std::vector<std::pair<std::string, std::string>> rows;
    EXPECT_OK(index_->Scan(set, schema, [&](std::string_view key, std::string_view row) {
      rows.emplace_back(key, row);
      return OkStatus();
    }));
    return rows;
  }

  const KeySet keys_{Dataset(1), {"city", "year"}, false};
  const KeySet rows_{Dataset(1), {"city"}, true};
  const std::shared_ptr<arrow::Schema> schema_ = arrow::schema({arrow::field("v", arrow::utf8())});
  std::string folder_;
  std::unique_ptr<KeyIndex> index_;
};

TEST_F(KeyIndexTest, RemembersKeysAndTheHeadTheyBelongTo) {
  EXPECT_THAT(index_->head(keys_).value(), testing::Eq(std::nullopt));
  ASSERT_OK(index_->Apply(keys_, nullptr, {{"a"}, {"b"}}, Head(1)));
  for (int opening = 0; opening < 3; ++opening) {
    EXPECT_EQ(index_->head(keys_).value(), Head(1));
    EXPECT_THAT(Seen(keys_, {"a", "c", "b", ""}), ElementsAre(true, false, true, false));
    Reopen();
  }
  ASSERT_OK(index_->SetHead(keys_, Head(2)));
  Reopen();
  EXPECT_EQ(index_->head(keys_).value(), Head(2));
  EXPECT_THAT(Seen(keys_, {"a"}), ElementsAre(true));
}

TEST_F(KeyIndexTest, KeepsTheLatestRowThroughCorrectionsAndRetractions) {
  ASSERT_OK(index_->Apply(rows_, schema_,
                          {{.key = "k", .row = "1"},
                           {.key = "r", .row = "2"},
                           {.key = "x", .row = "3"},
                           {.key = "k", .row = "1", .skip = true},
                           {.key = "k", .row = "9"},
                           {.key = "r", .row = "2", .retract = true}},
                          Head(1)));
  ASSERT_OK_AND_ASSIGN(const auto found, index_->Find(rows_, schema_, {"k", "r", "x", "y"}));
  EXPECT_EQ(found[0].row, "9");
  EXPECT_TRUE(found[1].seen);
  EXPECT_EQ(found[1].row, std::nullopt);
  EXPECT_EQ(found[2].row, "3");
  EXPECT_FALSE(found[3].seen);
  EXPECT_THAT(All(rows_, schema_), ElementsAre(Pair("k", "9"), Pair("x", "3")));
}

TEST_F(KeyIndexTest, GivesTheSameWhenACommitIsAppliedTwice) {
  const std::vector<IndexRow> commit = {
      {.key = "a", .row = "1"}, {.key = "b", .row = "2"}, {.key = "a", .row = "1", .retract = true}};
  ASSERT_OK(index_->Apply(rows_, schema_, commit, Head(1)));
  const auto once = All(rows_, schema_);
  ASSERT_OK(index_->Apply(rows_, schema_, commit, Head(1)));
  EXPECT_EQ(All(rows_, schema_), once);
}

TEST_F(KeyIndexTest, KeepsSetsApart) {
  const KeySet other{Dataset(2), {"city", "year"}, false};
  const KeySet fewer{Dataset(1), {"city"}, false};
  ASSERT_OK(index_->Apply(keys_, nullptr, {{"a"}}, Head(1)));
  ASSERT_OK(index_->Apply(other, nullptr, {{"b"}}, Head(2)));
  ASSERT_OK(index_->Apply(fewer, nullptr, {{"c"}}, Head(3)));
  EXPECT_THAT(Seen(keys_, {"a", "b", "c"}), ElementsAre(true, false, false));
  EXPECT_THAT(Seen(other, {"a", "b", "c"}), ElementsAre(false, true, false));
  EXPECT_THAT(index_->ListSets(Dataset(1)).value(), testing::UnorderedElementsAre(keys_, fewer));
  EXPECT_THAT(index_->ListSets(Dataset(3)).value(), IsEmpty());
  EXPECT_THAT(All(other), ElementsAre(Pair("b", "")));
}

TEST_F(KeyIndexTest, ForgetsADroppedDatasetForGood) {
  const KeySet other{Dataset(2), {"id"}, false};
  ASSERT_OK(index_->Apply(keys_, nullptr, {{"a"}}, Head(1)));
  ASSERT_OK(index_->Apply(rows_, schema_, {{.key = "a", .row = "1"}}, Head(1)));
  ASSERT_OK(index_->Apply(other, nullptr, {{"a"}}, Head(1)));
  ASSERT_OK(index_->DropDataset(Dataset(1)));
  ASSERT_OK(index_->DropDataset(Dataset(1)));
  for (int opening = 0; opening < 2; ++opening) {
    EXPECT_THAT(index_->ListSets(Dataset(1)).value(), IsEmpty());
    EXPECT_EQ(index_->head(keys_).value(), std::nullopt);
    EXPECT_THAT(index_->Find(keys_, nullptr, {"a"}), IsErrorCode(ErrorCode::kNotFound));
    Reopen();
  }
  ASSERT_OK(index_->Apply(keys_, nullptr, {{"b"}}, Head(2)));
  EXPECT_THAT(Seen(keys_, {"a", "b"}), ElementsAre(false, true));
  EXPECT_THAT(Seen(other, {"a"}), ElementsAre(true));
}

TEST_F(KeyIndexTest, WillNotTagWhatItDoesNotHave) {
  EXPECT_THAT(index_->SetHead(keys_, Head(1)), IsErrorCode(ErrorCode::kNotFound));
  EXPECT_THAT(index_->Scan(keys_, nullptr, nullptr), IsErrorCode(ErrorCode::kNotFound));
}

std::string Row(const std::shared_ptr<arrow::Schema>& schema, const std::string& json) {
  auto batch = arrow::json::ChunkedArrayFromJSONString(arrow::struct_(schema->fields()), {"[" + json + "]"})
                   .ValueOrDie();
  auto table = arrow::RecordBatch::FromStructArray(batch->chunk(0)).ValueOrDie();
  columnar::PackedBytes rows;
  EXPECT_OK(columnar::RowCodec::Make(schema)->Encode(*table, &rows));
  return std::string(rows[0]);
}

TEST_F(KeyIndexTest, ReadsRowsOfAnOlderSchemaWithAddedColumnsNull) {
  const auto first = arrow::schema({arrow::field("v", arrow::utf8()), arrow::field("n", arrow::int64())});
  const auto second = arrow::schema({arrow::field("n", arrow::int64()), arrow::field("url", arrow::utf8()),
                                     arrow::field("v", arrow::large_utf8())});
  const std::string old_row = Row(first, R"({"v": "x", "n": 7})");
  const std::string new_row = Row(second, R"({"n": 8, "url": "u", "v": "y"})");
  const std::string expected = Row(second, R"({"n": 7, "url": null, "v": "x"})");
  ASSERT_OK(
      index_->Apply(rows_, first, {{.key = "a", .row = old_row}, {.key = "c", .row = old_row}}, Head(1)));
  ASSERT_OK(index_->Apply(rows_, second, {{.key = "b", .row = new_row}}, Head(2)));
  for (int opening = 0; opening < 2; ++opening) {
    ASSERT_OK_AND_ASSIGN(const auto found, index_->Find(rows_, second, {"b", "a", "z"}));
    EXPECT_EQ(found[0].row, new_row);
    EXPECT_EQ(found[1].row, expected);
    EXPECT_THAT(All(rows_, second),
                ElementsAre(Pair("a", expected), Pair("b", new_row), Pair("c", expected)));
    Reopen();
  }
  // Nullability and metadata make no new schema.
  const auto required =
      arrow::schema({arrow::field("v", arrow::utf8(), false), arrow::field("n", arrow::int64(), false)});
  EXPECT_EQ(index_->Find(rows_, required, {"a"}).value()[0].row, old_row);
}

TEST_F(KeyIndexTest, RefusesASchemaThatStoredRowsDoNotFit) {
  const auto other = arrow::schema({arrow::field("v", arrow::int64())});
  ASSERT_OK(index_->Apply(rows_, schema_, {{.key = "a", .row = Row(schema_, R"({"v": "x"})")}}, Head(1)));
  EXPECT_THAT(index_->Find(rows_, other, {"a"}), IsError(ErrorCode::kConflict, HasSubstr("column 'v'")));
}

TEST_F(KeyIndexTest, LoadsAHistoryInPlaceOfWhatWasThere) {
  ASSERT_OK(index_->Apply(rows_, schema_, {{.key = "old", .row = "0"}}, Head(1)));
  ASSERT_OK_AND_ASSIGN(auto loader, index_->StartLoad(rows_, schema_, Head(5)));
  EXPECT_EQ(index_->head(rows_).value(), std::nullopt);
  EXPECT_EQ(index_->loading(rows_).value(), Head(5));
  EXPECT_THAT(index_->Find(rows_, schema_, {"old"}), IsError(ErrorCode::kConflict, HasSubstr("cut short")));
  EXPECT_THAT(index_->Apply(rows_, schema_, {}, Head(6)), IsErrorCode(ErrorCode::kConflict));
  ASSERT_OK(loader->Add({{.key = "b", .row = "1"}, {.key = "a", .row = "2"}}));
  ASSERT_OK(loader->Add({{.key = "b", .row = "1", .skip = true},
                         {.key = "b", .row = "3"},
                         {.key = "c", .row = "4"},
                         {.key = "c", .row = "4", .retract = true}}));
  ASSERT_OK(loader->Finish(Head(5)));
  loader.reset();
  for (int opening = 0; opening < 2; ++opening) {
    EXPECT_EQ(index_->head(rows_).value(), Head(5));
    EXPECT_EQ(index_->loading(rows_).value(), std::nullopt);
    EXPECT_THAT(All(rows_, schema_), ElementsAre(Pair("a", "2"), Pair("b", "3")));
    EXPECT_EQ(index_->Find(rows_, schema_, {"c"}).value()[0].seen, true);
    EXPECT_EQ(index_->Find(rows_, schema_, {"old"}).value()[0].seen, false);
    Reopen();
  }
  ASSERT_OK(index_->Apply(rows_, schema_, {{.key = "a", .row = "7"}}, Head(6)));
  EXPECT_THAT(All(rows_, schema_), ElementsAre(Pair("a", "7"), Pair("b", "3")));
}

TEST_F(KeyIndexTest, LoadsAnEmptyHistory) {
  ASSERT_OK_AND_ASSIGN(auto loader, index_->StartLoad(keys_, nullptr, Head(1)));
  ASSERT_OK(loader->Finish(Head(1)));
  EXPECT_EQ(index_->head(keys_).value(), Head(1));
  EXPECT_THAT(All(keys_), IsEmpty());
}

TEST_F(KeyIndexTest, KnowsALoadThatWasAbandoned) {
  ASSERT_OK(index_->Apply(keys_, nullptr, {{"a"}}, Head(1)));
  ASSERT_OK_AND_ASSIGN(auto loader, index_->StartLoad(keys_, nullptr, Head(2)));
  ASSERT_OK(loader->Add({{"b"}}));
  loader.reset();
  Reopen();
  EXPECT_EQ(index_->head(keys_).value(), std::nullopt);
  EXPECT_EQ(index_->loading(keys_).value(), Head(2));
  ASSERT_OK_AND_ASSIGN(loader, index_->StartLoad(keys_, nullptr, Head(3)));
  ASSERT_OK(loader->Add({{"c"}}));
  ASSERT_OK(loader->Finish(Head(3)));
  EXPECT_THAT(All(keys_), ElementsAre(Pair("c", "")));
}

// A process that dies in the middle: nothing is closed, nothing is written on the way out.
void DieAfter(const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    work();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(KeyIndexTest, SurvivesDeathDuringALoadAndAfterACommit) {
  index_.reset();  // nothing of the database's threads in the child
  const std::string folder = folder_ + "/index";
  DieAfter([&] {
    auto index = KeyIndex::Open(folder).value();
    (void)index->Apply(keys_, nullptr, {{"a"}}, Head(1));
    (void)index->Apply(rows_, schema_, {{.key = "a", .row = "1"}}, Head(1));
    auto loader = index->StartLoad(keys_, nullptr, Head(2)).value();
    (void)loader->Add({{"b"}});
    (void)loader->Prepare();
    (void)loader.release();
    (void)index.release();
  });
  EXPECT_TRUE(fs::exists(folder + "/load-0"));
  Reopen();
  EXPECT_EQ(index_->loading(keys_).value(), Head(2));
  EXPECT_EQ(index_->head(keys_).value(), std::nullopt);
  EXPECT_EQ(index_->head(rows_).value(), Head(1));
  EXPECT_THAT(All(rows_, schema_), ElementsAre(Pair("a", "1")));
  EXPECT_FALSE(fs::exists(folder + "/load-0"));
}

TEST_F(KeyIndexTest, TakesManyRowsAsFilesWithTheSameOutcome) {
  ASSERT_OK(
      index_->Apply(rows_, schema_, {{.key = "000010", .row = "old"}, {.key = "zz", .row = "old"}}, Head(1)));
  std::vector<std::string> keys;
  for (int i = 0; i < 250'000; ++i) keys.push_back(fmt::format("{:06}", (i * 7919L) % 240'000));
  std::vector<IndexRow> rows;
  for (size_t i = 0; i < keys.size(); ++i)
    rows.push_back({.key = keys[i], .row = keys[i], .retract = i % 10 == 0});
  ASSERT_OK(index_->Apply(rows_, schema_, rows, Head(2)));
  EXPECT_EQ(index_->head(rows_).value(), Head(2));
  std::map<std::string, bool> live{{"zz", true}};
  for (size_t i = 0; i < keys.size(); ++i) live[keys[i]] = i % 10 != 0;
  std::erase_if(live, [](const auto& entry) { return !entry.second; });
  const auto all = All(rows_, schema_);
  ASSERT_EQ(all.size(), live.size());
  size_t i = 0;
  for (const auto& [key, ignored] : live) ASSERT_EQ(all[i++].first, key);
  Reopen();
  EXPECT_EQ(All(rows_, schema_).size(), live.size());
}

TEST_F(KeyIndexTest, ChangesNothingWhenABulkApplyIsDropped) {
  ASSERT_OK(index_->Apply(keys_, nullptr, {{"a"}}, Head(1)));
  ASSERT_OK_AND_ASSIGN(auto loader, index_->StartApply(keys_, nullptr));
  ASSERT_OK(loader->Add({{"b"}}));
  ASSERT_OK(loader->Prepare());
  loader.reset();
  EXPECT_EQ(index_->head(keys_).value(), Head(1));
  EXPECT_THAT(Seen(keys_, {"a", "b"}), ElementsAre(true, false));
  EXPECT_FALSE(fs::exists(folder_ + "/index/load-0"));
}

TEST_F(KeyIndexTest, AppliesInBulkToASetThatChangedMeanwhile) {
  ASSERT_OK_AND_ASSIGN(auto loader, index_->StartApply(keys_, nullptr));
  ASSERT_OK(loader->Add({{"b"}}));
  ASSERT_OK(index_->Apply(keys_, nullptr, {{"a"}}, Head(1)));
  ASSERT_OK(loader->Finish(Head(2)));
  EXPECT_EQ(index_->head(keys_).value(), Head(2));
  EXPECT_THAT(Seen(keys_, {"a", "b"}), ElementsAre(true, true));

  ASSERT_OK_AND_ASSIGN(loader, index_->StartApply(keys_, nullptr));
  ASSERT_OK(index_->Drop(keys_));
  EXPECT_THAT(loader->Finish(Head(3)), IsErrorCode(ErrorCode::kConflict));
}

TEST_F(KeyIndexTest, SaysWhenAnotherProcessHoldsIt) {
  ASSERT_OK(index_->Apply(keys_, nullptr, {{"a"}}, Head(1)));
  ASSERT_OK_AND_ASSIGN(const auto second, KeyIndex::Open(folder_ + "/index"));
  EXPECT_THAT(second->head(keys_), IsErrorCode(ErrorCode::kUnavailable));
  ASSERT_OK(index_->Close());
  ASSERT_OK(index_->Close());
  EXPECT_EQ(second->head(keys_).value(), Head(1));
}

TEST_F(KeyIndexTest, SaysWhenItIsDamaged) {
  ASSERT_OK(index_->Apply(keys_, nullptr, {{"a"}}, Head(1)));
  ASSERT_OK(index_->Close());
  fs::resize_file(folder_ + "/index/CURRENT", 3);
  EXPECT_THAT(index_->head(keys_), IsError(ErrorCode::kCorruption, HasSubstr("can be deleted")));
}

TEST(SortedFilesTest, MergesSpilledRunsWithTheLastEntryWinning) {
  std::string name = (fs::temp_directory_path() / "sluice-sorted-XXXXXX").string();
  const std::string folder = ::mkdtemp(name.data());
  const std::string index_folder = folder + "/index";
  {
    SortedFiles files(
        {.folder = folder + "/files", .prefix = "p", .run_bytes = 20'000, .file_bytes = 10'000});
    std::mt19937 random(5);
    std::map<std::string, std::string> expected;
    for (int i = 0; i < 20'000; ++i) {
      const std::string key = fmt::format("{}", random() % 5'000);
      expected[key] = fmt::format("v{}", i);
      ASSERT_OK(files.Add(key, "v", fmt::format("{}", i)));
    }
    ASSERT_OK(files.Finish());
    EXPECT_GT(files.files().size(), 3u);
    for (const std::string& file : files.files()) EXPECT_TRUE(fs::exists(file));
  }
  EXPECT_FALSE(fs::exists(folder + "/files"));
  fs::remove_all(folder);
}

TEST(CatalogTest, BringsKeysAndStatesBack) {
  const KeySet set{Dataset(9), {"a", std::string("b\0c", 3), ""}, true};
  EXPECT_EQ(ParseCatalogKey(CatalogKey(set)).value(), set);
  for (const SetState& state :
       {SetState{1, std::nullopt, std::nullopt}, SetState{0xfffffffe, Head(1), std::nullopt},
        SetState{7, Head(1), Head(2)}, SetState{7, std::nullopt, Head(2)}}) {
    ASSERT_OK_AND_ASSIGN(const SetState back, DecodeState(EncodeState(state)));
    EXPECT_EQ(back.number, state.number);
    EXPECT_EQ(back.head, state.head);
    EXPECT_EQ(back.loading, state.loading);
    EXPECT_THAT(DecodeState(EncodeState(state) + "x"), IsErrorCode(ErrorCode::kCorruption));
    EXPECT_THAT(DecodeState(EncodeState(state).substr(0, 4)), IsErrorCode(ErrorCode::kCorruption));
  }
  EXPECT_EQ(PrefixEnd(std::string("d\0\0\0\xff", 5)), std::string("d\0\0\x01", 4));
}

}  // namespace
}  // namespace sluice::index
