#include "dataset/dataset.h"

#include <chrono>
#include <iostream>
#include <set>
#include <thread>

#include "base/testing/matchers.h"
#include "dataset/clock_check.h"
#include "dataset/testing/sample.h"
#include "dataset/verify.h"
#include "storage/testing/faulty_storage.h"
#include "storage/testing/temp_folder.h"

namespace sluice::dataset {
namespace {

using storage::FaultyStorage;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using namespace dataset::testing;  // NOLINT: the vocabulary of these tests

// A state file of the derived storage.
constexpr char kStateFile[] = "chain-state";
constexpr char kDurableFile[] = "durable-head";

std::unique_ptr<Dataset> Sample(const DatasetStores& stores) {
  auto dataset = CreateSample(stores);
  EXPECT_OK(dataset);
  return std::move(dataset).value();
}

std::unique_ptr<Dataset> Reopen(const DatasetStores& stores) {
  auto dataset = Dataset::Open(stores);
  EXPECT_OK(dataset);
  return std::move(dataset).value();
}

void ExpectHolds(const DatasetStores& stores) {
  ASSERT_OK_AND_ASSIGN(const VerifyReport report, Verify(stores, {}));
  for (const Violation& violation : report.violations) ADD_FAILURE() << violation.ToString();
}

// The derived storage that an open finds must not matter: same state with it and without.
void ExpectSameWithoutCache(const DatasetStores& stores) {
  const auto cached = Reopen(stores);
  const auto fresh = Reopen({stores.files, storage::MakeMemoryStorage()});
  EXPECT_EQ(cached->state(), fresh->state());
}

TEST(DatasetTest, IsNotFoundWithoutAHead) {
  EXPECT_THAT(Dataset::Open(MemoryStores()), IsError(ErrorCode::kNotFound, HasSubstr("no head")));
}

TEST(DatasetTest, CreatesOnceAndOpens) {
  const DatasetStores stores = MemoryStores();
  const auto dataset = Sample(stores);
  EXPECT_EQ(dataset->state().sequence, 1u);
  EXPECT_EQ(dataset->state().dataset_id, SampleSeed().dataset_id);
  EXPECT_THAT(CreateSample(stores), IsErrorCode(ErrorCode::kAlreadyExists));
  EXPECT_EQ(Reopen(stores)->state(), dataset->state());
  ASSERT_OK_AND_ASSIGN(const std::string head, stores.files->Get(kHeadName));
  EXPECT_EQ(head, dataset->head().ToString());
  ExpectHolds(stores);
}

TEST(DatasetTest, CommitsSeveralBlocksWithOneHeadMove) {
  const DatasetStores stores = MemoryStores();
  const auto dataset = Sample(stores);
  const Multihash before = dataset->head();
  CommitRequest request;
  request.system_time = SampleTime(5);
  for (uint64_t start : {0, 10}) {
    ASSERT_OK_AND_ASSIGN(auto written,
                         WriteSlice(*stores.files, SampleRows(start, 10, SampleTime(5)), start));
    odf::AddData data = NextData(dataset->state(), written.slice);
    if (start > 0) data.prev_offset = start - 1;
    request.events.push_back(data);
    request.slices.push_back(std::move(written.staged));
  }
  ASSERT_OK_AND_ASSIGN(const CommitResult result, dataset->Commit(std::move(request)));
  EXPECT_EQ(result.old_head, before);
  EXPECT_EQ(result.new_head, dataset->head());
  EXPECT_EQ(result.blocks.size(), 2u);
  EXPECT_EQ(result.sequence, 3u);
  EXPECT_EQ(dataset->state().data_records, 20u);
  EXPECT_EQ(dataset->state().system_time, SampleTime(5));
  ExpectHolds(stores);
  ExpectSameWithoutCache(stores);
}

TEST(DatasetTest, RaisesTheTimeOfACommitToThePreviousBlocks) {
  const auto dataset = Sample(MemoryStores());
  FixedClock clock(SampleTime(-100));
  EXPECT_EQ(dataset->NextSystemTime(clock), SampleTime(0));
  CommitRequest request{.events = {odf::SetInfo{}}, .slices = {}, .system_time = SampleTime(-100)};
  ASSERT_OK(dataset->Commit(std::move(request)));
  EXPECT_EQ(dataset->state().system_time, SampleTime(0));
  clock.Set(SampleTime(7));
  EXPECT_EQ(dataset->NextSystemTime(clock), SampleTime(7));
}

TEST(DatasetTest, TellsOfABlockFromTheFuture) {
  const auto dataset = Sample(MemoryStores());
  FixedClock clock(dataset->state().system_time);
  EXPECT_FALSE(DescribeClockAhead(dataset->state(), clock));
  Instant past = dataset->state().system_time;
  past.seconds -= 300;
  clock.Set(past);
  EXPECT_FALSE(DescribeClockAhead(dataset->state(), clock));
  --past.seconds;
  clock.Set(past);
  const auto text = DescribeClockAhead(dataset->state(), clock);
  ASSERT_TRUE(text);
  EXPECT_THAT(*text, HasSubstr(FormatInstant(past)));
}

TEST(DatasetTest, RefusesWhatBreaksARuleAndStaysAsItWas) {
  const DatasetStores stores = MemoryStores();
  const auto dataset = Sample(stores);
  const ChainState before = dataset->state();
  CommitRequest request{
      .events = {odf::SetInfo{}, odf::AddData{}}, .slices = {}, .system_time = SampleTime(1)};
  EXPECT_THAT(dataset->Commit(std::move(request)),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("NoOpEvent")));
  EXPECT_EQ(dataset->state(), before);
  EXPECT_EQ(Reopen(stores)->state(), before);
}

TEST(DatasetTest, RefusesDataThatIsNotThere) {
  const auto dataset = Sample(MemoryStores());
  ASSERT_OK_AND_ASSIGN(auto written, WriteSlice(dataset->files(), SampleRows(0, 3, SampleTime(1)), 0));
  CommitRequest request{
      .events = {NextData(dataset->state(), written.slice)}, .slices = {}, .system_time = SampleTime(1)};
  EXPECT_THAT(dataset->Commit(std::move(request)),
              IsError(ErrorCode::kInvalidArgument,
                      AllOf(HasSubstr("ObjectNotFound"), HasSubstr(DataName(written.slice.physical_hash)))));
}

TEST(DatasetTest, PreviewSaysWhatACommitWouldDo) {
  const DatasetStores stores = MemoryStores();
  const auto dataset = Sample(stores);
  odf::SetInfo info;
  info.description = "x";
  ASSERT_OK_AND_ASSIGN(const ChainState preview, dataset->Preview({info}, SampleTime(2)));
  EXPECT_EQ(Reopen(stores)->head(), dataset->head());
  ASSERT_OK(dataset->Commit({.events = {info}, .slices = {}, .system_time = SampleTime(2)}));
  EXPECT_EQ(dataset->state(), preview);
}

TEST(DatasetTest, ConflictsWhenAnotherObjectMovedTheHead) {
  const DatasetStores stores = MemoryStores();
  const auto first = Sample(stores);
  const auto second = Reopen(stores);
  ASSERT_OK(CommitRows(*first, 4));
  const Multihash before = second->head();
  EXPECT_THAT(CommitInfo(*second, "late"), IsErrorCode(ErrorCode::kConflict));
  EXPECT_EQ(second->head(), before);
  ASSERT_OK_AND_ASSIGN(bool moved, second->Refresh());
  EXPECT_TRUE(moved);
  EXPECT_EQ(second->state(), first->state());
  ASSERT_OK_AND_ASSIGN(moved, second->Refresh());
  EXPECT_FALSE(moved);
  EXPECT_OK(CommitInfo(*second, "in time"));
  ExpectHolds(stores);
}

TEST(DatasetTest, RefreshFollowsAResetAndADeletion) {
  const DatasetStores stores = MemoryStores();
  const auto first = Sample(stores);
  const Multihash seed_and_schema = first->head();
  const ChainState early = first->state();
  ASSERT_OK(CommitRows(*first, 4));
  const auto second = Reopen(stores);
  ASSERT_OK(first->Reset(seed_and_schema));
  ASSERT_OK(second->Refresh());
  EXPECT_EQ(second->state(), early);
  ASSERT_OK(stores.files->Delete(kHeadName));
  EXPECT_THAT(second->Refresh(), IsError(ErrorCode::kNotFound, HasSubstr("deleted")));
}

// --- the cache of the state ---

TEST(DatasetCacheTest, MayBeLostStaleOrDamaged) {
  const DatasetStores stores = MemoryStores();
  const auto dataset = Sample(stores);
  ASSERT_OK_AND_ASSIGN(const std::string stale, stores.derived->Get(kStateFile));
  for (int i = 0; i < 3; ++i) ASSERT_OK(CommitRows(*dataset, 2));
  const std::string current = dataset->state().Serialize();
  const auto other = Sample(MemoryStores());
  ASSERT_OK(CommitInfo(*other, "another chain"));

  std::string flipped = current;
  flipped[flipped.size() / 2] ^= 0x10;
  for (const std::string& cached : {stale, current, flipped, current.substr(0, current.size() / 2),
                                    std::string(), other->state().Serialize()}) {
    ASSERT_OK(stores.derived->Replace(kStateFile, cached));
    EXPECT_EQ(Reopen(stores)->state(), dataset->state());
    ASSERT_OK_AND_ASSIGN(const std::string renewed, stores.derived->Get(kStateFile));
    EXPECT_EQ(renewed, current);
  }
  ASSERT_OK(stores.derived->Delete(kStateFile));
  EXPECT_EQ(Reopen(stores)->state(), dataset->state());
}

// Replacing it costs as much as a commit; who opens the dataset derives the blocks since.
TEST(DatasetCacheTest, IsWrittenAFewTimesASecond) {
  const DatasetStores stores = MemoryStores();
  const auto dataset = Sample(stores);
  std::set<std::string> written;
  for (int i = 0; i < 20; ++i) {
    ASSERT_OK(CommitRows(*dataset, 1));
    ASSERT_OK_AND_ASSIGN(auto bytes, stores.derived->Get(kStateFile));
    written.insert(std::move(bytes));
  }
  EXPECT_LT(written.size(), 10u);
  EXPECT_EQ(Reopen(stores)->state(), dataset->state());
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  ASSERT_OK(CommitRows(*dataset, 1));
  ASSERT_OK_AND_ASSIGN(const std::string newest, stores.derived->Get(kStateFile));
  EXPECT_EQ(newest, dataset->state().Serialize());
}

TEST(DatasetCacheTest, ThatIsAheadAfterAResetIsNotBelieved) {
  const DatasetStores stores = MemoryStores();
  const auto dataset = Sample(stores);
  const Multihash target = dataset->head();
  ASSERT_OK(CommitRows(*dataset, 2));
  const std::string ahead = dataset->state().Serialize();
  ASSERT_OK(dataset->Reset(target));
  ASSERT_OK(stores.derived->Replace(kStateFile, ahead));
  EXPECT_EQ(Reopen(stores)->state(), dataset->state());
}

TEST(DatasetCacheTest, DoesNotHideADamagedHead) {
  const DatasetStores stores = MemoryStores();
  const auto dataset = Sample(stores);
  ASSERT_OK(stores.derived->Delete(kStateFile));
  ASSERT_OK_AND_ASSIGN(std::string bytes, stores.files->Get(BlockName(dataset->head())));
  bytes[40] ^= 1;
  ASSERT_OK(stores.files->Replace(BlockName(dataset->head()), bytes));
  EXPECT_THAT(Dataset::Open(stores), IsError(ErrorCode::kCorruption, HasSubstr(dataset->head().ToString())));
  ASSERT_OK(stores.files->Delete(BlockName(dataset->head())));
  EXPECT_THAT(Dataset::Open(stores), IsError(ErrorCode::kCorruption, HasSubstr("missing")));
}

TEST(DatasetCacheTest, IsNotNeededForAFolderThatCannotBeWritten) {
  const DatasetStores stores = MemoryStores();
  const auto dataset = Sample(stores);
  const auto broken = std::make_shared<FaultyStorage>(*stores.derived);
  broken->SetPlan({.at_call = 1, .fault = FaultyStorage::Fault::kHalt, .before = {}});
  const auto reopened = Reopen({stores.files, broken});
  EXPECT_OK(CommitRows(*reopened, 3));
  EXPECT_TRUE(broken->fired());
  ExpectSameWithoutCache(stores);
}

// --- history ---

TEST(DatasetHistoryTest, WalksBackFromTheHeadOrABlock) {
  const auto dataset = Sample(MemoryStores());
  ASSERT_OK_AND_ASSIGN(const CommitResult second, CommitRows(*dataset, 2));
  ASSERT_OK(CommitInfo(*dataset, "x"));
  std::vector<uint64_t> seen;
  const auto collect = [&](const StoredBlock& block) -> Result<bool> {
    seen.push_back(block.block.sequence_number);
    return true;
  };
  ASSERT_OK(dataset->WalkBack(collect));
  EXPECT_THAT(seen, ElementsAre(3, 2, 1, 0));
  seen.clear();
  ASSERT_OK(dataset->WalkBack(collect, second.new_head));
  EXPECT_THAT(seen, ElementsAre(2, 1, 0));
  seen.clear();
  ASSERT_OK(dataset->WalkBack([&](const StoredBlock& block) -> Result<bool> {
    seen.push_back(block.block.sequence_number);
    return block.block.sequence_number != 2;
  }));
  EXPECT_THAT(seen, ElementsAre(3, 2));
  EXPECT_THAT(dataset->WalkBack([](const StoredBlock&) -> Result<bool> { return InvalidArgument("enough"); }),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("enough")));
  EXPECT_THAT(dataset->ReadBlock(Multihash()), IsErrorCode(ErrorCode::kNotFound));
}

TEST(DatasetHistoryTest, GivesSlicesAfterABlockOldestFirst) {
  const auto dataset = Sample(MemoryStores());
  const Multihash start = dataset->head();
  ASSERT_OK_AND_ASSIGN(const CommitResult first, CommitRows(*dataset, 2));
  ASSERT_OK(CommitInfo(*dataset, "between"));
  ASSERT_OK_AND_ASSIGN(const CommitResult second, CommitRows(*dataset, 3));
  const auto offsets = [&](const std::optional<Multihash>& after) {
    auto slices = dataset->SlicesAfter(after);
    std::vector<uint64_t> ends;
    EXPECT_OK(slices);
    EXPECT_TRUE(slices->has_value());
    for (const auto& ref : **slices) ends.push_back(ref.slice.offset_interval.end);
    return ends;
  };
  EXPECT_THAT(offsets(std::nullopt), ElementsAre(1, 4));
  EXPECT_THAT(offsets(start), ElementsAre(1, 4));
  EXPECT_THAT(offsets(first.new_head), ElementsAre(4));
  EXPECT_THAT(offsets(second.new_head), IsEmpty());
  ASSERT_OK_AND_ASSIGN(const auto unknown, dataset->SlicesAfter(Multihash()));
  EXPECT_FALSE(unknown.has_value());
}

TEST(DatasetHistoryTest, KnowsItsAncestors) {
  const DatasetStores stores = MemoryStores();
  const auto dataset = Sample(stores);
  const Multihash start = dataset->head();
  ASSERT_OK_AND_ASSIGN(const CommitResult withdrawn, CommitRows(*dataset, 2));
  const auto is_ancestor = [&](const Multihash& hash) {
    auto result = dataset->IsAncestor(hash);
    EXPECT_OK(result);
    return *result;
  };
  EXPECT_TRUE(is_ancestor(start));
  EXPECT_TRUE(is_ancestor(withdrawn.new_head));
  EXPECT_FALSE(is_ancestor(Multihash()));
  ASSERT_OK(dataset->Reset(start));
  ASSERT_OK(CommitInfo(*dataset, "another way"));
  ASSERT_OK(CommitInfo(*dataset, "and on"));
  EXPECT_TRUE(is_ancestor(start));
  EXPECT_FALSE(is_ancestor(withdrawn.new_head)) << "it is stored, but not in the chain any more";
}

TEST(DatasetHistoryTest, ResetsToAnAncestorOnly) {
  const DatasetStores stores = MemoryStores();
  const auto dataset = Sample(stores);
  const ChainState early = dataset->state();
  ASSERT_OK_AND_ASSIGN(const CommitResult later, CommitRows(*dataset, 2));
  EXPECT_THAT(dataset->Reset(Multihash()), IsErrorCode(ErrorCode::kNotFound));
  ASSERT_OK(dataset->Reset(later.new_head));
  EXPECT_EQ(dataset->head(), later.new_head);
  ASSERT_OK(dataset->Reset(*early.head));
  EXPECT_EQ(dataset->state(), early);
  ExpectSameWithoutCache(stores);
  EXPECT_THAT(dataset->Reset(later.new_head), IsErrorCode(ErrorCode::kNotFound));
  ASSERT_OK(CommitRows(*dataset, 5));
  ExpectHolds(stores);
}

TEST(DatasetHistoryTest, ReplacesTheChain) {
  const DatasetStores stores = MemoryStores();
  const auto dataset = Sample(stores);
  ASSERT_OK(CommitRows(*dataset, 2));
  ASSERT_OK(CommitInfo(*dataset, "dropped"));
  ASSERT_OK(CommitRows(*dataset, 3));
  const Multihash old_head = dataset->head();
  std::vector<odf::MetadataBlock> blocks;
  ASSERT_OK(dataset->WalkBack([&](const StoredBlock& block) -> Result<bool> {
    const bool keep = !std::holds_alternative<odf::SetInfo>(block.block.event);
    if (keep) blocks.insert(blocks.begin(), block.block);
    return true;
  }));
  ASSERT_EQ(blocks.size(), 4u);
  std::vector<odf::MetadataBlock> other = blocks;
  other[0].event = odf::Seed{multiformats::DatasetId::FromSeed("other"), odf::DatasetKind::kRoot};
  EXPECT_THAT(dataset->ReplaceChain(other, {}), IsError(ErrorCode::kInvalidArgument, HasSubstr("Seed")));
  EXPECT_THAT(dataset->ReplaceChain({}, {}), IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_EQ(dataset->head(), old_head);

  ASSERT_OK_AND_ASSIGN(const Multihash new_head, dataset->ReplaceChain(blocks, {}));
  EXPECT_EQ(dataset->head(), new_head);
  EXPECT_EQ(dataset->state().sequence, 3u);
  EXPECT_EQ(dataset->state().data_records, 5u);
  ASSERT_OK_AND_ASSIGN(const bool kept, dataset->IsAncestor(old_head));
  EXPECT_FALSE(kept);
  ExpectHolds(stores);
  ExpectSameWithoutCache(stores);
}

// --- durability ---

struct Watched {
  std::unique_ptr<storage::Storage> inner = storage::MakeMemoryStorage();
  std::shared_ptr<FaultyStorage> files = std::make_shared<FaultyStorage>(*inner);
  DatasetStores stores{files, storage::MakeMemoryStorage()};

  void Forget() { files->SetPlan({}); }
  std::vector<std::string> Synced() const {
    std::vector<std::string> names;
    for (const auto& call : files->Calls()) {
      if (call.step == FaultyStorage::Step::kSyncFile) names.push_back(call.name);
      if (call.step == FaultyStorage::Step::kSyncFolder) names.push_back(call.name + "/");
    }
    return names;
  }
};

TEST(DatasetDurableTest, CostsNothingAfterOnesOwnCommit) {
  Watched watched;
  const auto dataset = Sample(watched.stores);
  watched.Forget();
  EXPECT_OK(dataset->EnsureDurable());
  EXPECT_THAT(watched.Synced(), IsEmpty());
  EXPECT_THAT(watched.files->NotDurable(), IsEmpty());
  // Nor in another process, which finds the note.
  EXPECT_OK(Reopen(watched.stores)->EnsureDurable());
  EXPECT_THAT(watched.Synced(), IsEmpty());
}

TEST(DatasetDurableTest, SyncsEverythingWhenNothingIsKnown) {
  Watched watched;
  Sample(watched.stores);
  for (const char* note : {"", "f1620", "nonsense"}) {
    ASSERT_OK(watched.stores.derived->Replace(kDurableFile, note));
    watched.Forget();
    const auto dataset = Reopen(watched.stores);
    EXPECT_OK(dataset->EnsureDurable());
    EXPECT_THAT(watched.Synced(), ElementsAre("/"));
    EXPECT_OK(dataset->EnsureDurable());
    EXPECT_EQ(watched.Synced().size(), 1u) << "known from now on";
  }
}

TEST(DatasetDurableTest, SyncsWhatAnotherProcessLeftUnsynced) {
  Watched watched;
  const auto dataset = Sample(watched.stores);
  // Another process that was killed before it could leave a note.
  const auto other = Reopen({watched.files, storage::MakeMemoryStorage()});
  ASSERT_OK(CommitRows(*other, 2));
  ASSERT_OK(CommitInfo(*other, "x"));
  std::vector<std::string> expected;
  ASSERT_OK(other->WalkBack([&](const StoredBlock& block) -> Result<bool> {
    if (block.hash == dataset->head()) return false;
    expected.push_back(BlockName(block.hash));
    if (const auto* data = std::get_if<odf::AddData>(&block.block.event)) {
      expected.push_back(DataName(data->new_data->physical_hash));
    }
    return true;
  }));
  watched.Forget();
  ASSERT_OK(dataset->Refresh());
  EXPECT_THAT(watched.Synced(), IsEmpty()) << "reading acknowledges nothing";
  ASSERT_OK(dataset->EnsureDurable());
  const auto synced = watched.Synced();
  for (const std::string& name : expected) EXPECT_THAT(synced, Contains(name));
  for (const char* name : {kHeadName, "blocks/", "data/", "refs/"}) EXPECT_THAT(synced, Contains(name));
  EXPECT_THAT(synced, Not(Contains("/")));
}

TEST(DatasetDurableTest, AnswersNothingAfterAFailedSync) {
  Watched watched;
  const auto dataset = Sample(watched.stores);
  const auto other = Reopen({watched.files, storage::MakeMemoryStorage()});
  ASSERT_OK(CommitInfo(*other, "x"));
  ASSERT_OK(dataset->Refresh());
  const Multihash head = dataset->head();
  watched.files->SetPlan({.at_call = 1, .before = {}});
  EXPECT_THAT(dataset->EnsureDurable(), IsErrorCode(ErrorCode::kUnavailable));
  watched.files->SetPlan({.at_call = 1, .before = {}});
  EXPECT_THAT(CommitInfo(*dataset, "y"), IsErrorCode(ErrorCode::kUnavailable))
      << "nothing is built on it either";
  ASSERT_OK_AND_ASSIGN(const std::string stored, watched.files->Get(kHeadName));
  EXPECT_EQ(stored, head.ToString());
}

TEST(DatasetDurableTest, EveryObjectKnowsOfAFailedSync) {
  Watched watched;
  watched.stores.failures = std::make_shared<SyncFailures>();
  const auto dataset = Sample(watched.stores);
  const auto other = Reopen({watched.files, storage::MakeMemoryStorage()});
  ASSERT_OK(CommitInfo(*other, "x"));
  ASSERT_OK(dataset->Refresh());
  watched.files->SetPlan({.at_call = 1, .before = {}});
  EXPECT_THAT(dataset->EnsureDurable(), IsErrorCode(ErrorCode::kUnavailable));
  // Whoever opens it now, and whatever was built on it since by a process that knows nothing of it.
  ASSERT_OK(CommitInfo(*Reopen({watched.files, storage::MakeMemoryStorage()}), "y"));
  watched.Forget();
  const auto opened = Reopen(watched.stores);
  EXPECT_TRUE(opened->MustBeWrittenAnew());
  ASSERT_OK(opened->EnsureDurable());
  std::vector<std::string> replaced;
  for (const auto& call : watched.files->Calls())
    if (call.step == FaultyStorage::Step::kRename) replaced.push_back(call.name);
  EXPECT_THAT(replaced, ElementsAre(BlockName(opened->head()), BlockName(dataset->head()), kHeadName));
  EXPECT_FALSE(opened->MustBeWrittenAnew());
  // Once only, and for all of them.
  watched.Forget();
  ASSERT_OK(dataset->Refresh());
  EXPECT_FALSE(dataset->MustBeWrittenAnew());
  ASSERT_OK(dataset->EnsureDurable());
  EXPECT_THAT(watched.Synced(), IsEmpty());
}

// --- long chains ---

double Millis(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - since).count();
}

// Writes `count` blocks with one head move.
void Extend(Dataset& dataset, int count) {
  CommitRequest request;
  request.system_time = SampleTime(1);
  for (int i = 0; i < count; ++i) {
    odf::SetInfo info;
    info.description = fmt::format("description {}", i);
    request.events.push_back(std::move(info));
  }
  ASSERT_OK(dataset.Commit(std::move(request)));
}

TEST(DatasetLongChainTest, OpensAndAcceptsTheNextBlockAtOnce) {
  storage::TempFolder folder;
  DatasetStores stores = MemoryStores();
  ASSERT_OK_AND_ASSIGN(stores.derived, storage::OpenLocalStorage(folder / "derived"));
  Extend(*Sample(stores), 100'000);

  auto start = std::chrono::steady_clock::now();
  ASSERT_OK_AND_ASSIGN(const auto dataset, Dataset::Open(stores));
  const double opened = Millis(start);
  ASSERT_OK(CommitInfo(*dataset, "next"));
  const double both = Millis(start);
  std::cout << fmt::format("100,000 blocks: open {:.2f} ms, open and commit {:.2f} ms\n", opened, both);
  EXPECT_LT(both, 500);
  EXPECT_EQ(dataset->state().sequence, 100'002u);
}

TEST(DatasetLongChainTest, ReadsALongChainWithoutACache) {
  const DatasetStores stores = MemoryStores();
  Extend(*Sample(stores), 10'000);
  const auto start = std::chrono::steady_clock::now();
  const auto fresh = Reopen({stores.files, storage::MakeMemoryStorage()});
  std::cout << fmt::format("10,000 blocks without a cache: open {:.0f} ms\n", Millis(start));
  EXPECT_EQ(fresh->state(), Reopen(stores)->state());
}

}  // namespace
}  // namespace sluice::dataset
