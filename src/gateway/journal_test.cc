#include "gateway/journal.h"

#include <filesystem>
#include <fstream>
#include <set>

#include "base/clock.h"
#include "base/testing/matchers.h"
#include "storage/testing/temp_folder.h"

namespace sluice::gateway {
namespace {

using multiformats::DatasetId;
using multiformats::Multihash;
using multiformats::Sha3Multihash;
using ::testing::HasSubstr;

const DatasetId kDataset = DatasetId::FromSeed("dataset");

Digest DigestOf(const std::string& text) {
  Digest digest{};
  std::copy_n(Sha3Multihash(text).digest().begin(), digest.size(), digest.begin());
  return digest;
}

QueuedBatch Queued(const std::string& name) {
  QueuedBatch batch;
  batch.dataset = kDataset;
  batch.source = "s";
  batch.account = "somebody";
  batch.nonce = "nonce" + name;
  batch.key = DigestOf(name);
  batch.payload = DigestOf("payload " + name);
  return batch;
}

// A batch that block `sequence` brought.
SettledBatch Settled(const std::string& name, uint64_t sequence, uint64_t queue_sequence = 0) {
  SettledBatch batch;
  batch.source = "s";
  batch.queue_sequence = queue_sequence;
  batch.account = "somebody";
  batch.nonce = "nonce" + name;
  batch.key = DigestOf(name);
  batch.payload = DigestOf("payload " + name);
  batch.outcome.block_hash = Sha3Multihash(std::to_string(sequence));
  batch.outcome.sequence = sequence;
  batch.outcome.state = State{"kind", "state " + name};
  return batch;
}

// Blocks are named by their numbers: the chain holds 1 to `head`, and what `forks` adds.
class JournalTest : public ::testing::Test {
 protected:
  static Multihash Block(uint64_t sequence) { return Sha3Multihash(std::to_string(sequence)); }

  void Open() {
    journal_.reset();
    auto opened = Journal::Open(folder_.path(), options_);
    ASSERT_OK(opened);
    journal_ = std::move(*opened);
  }
  // As after a kill: nothing is closed in order.
  void OpenAndCompare() {
    Open();
    ASSERT_OK(Compare());
  }
  Status Compare() {
    return journal_->CheckChain(kDataset, Block(head_), head_, [this](const Multihash& hash) -> Result<bool> {
      for (uint64_t i = 1; i <= head_; ++i) {
        if (hash == Block(i)) return true;
      }
      return false;
    });
  }
  Place Enqueue(const std::string& name) {
    auto place = journal_->Enqueue(Queued(name), "body of " + name);
    EXPECT_OK(place);
    EXPECT_OK(journal_->WaitFor(*place));
    return *place;
  }
  OutcomeRecord Commit(std::vector<SettledBatch> batches) const {
    OutcomeRecord record;
    record.kind = OutcomeRecord::Kind::kCommit;
    record.dataset = kDataset;
    record.time = SystemClock().Now();
    record.old_head = Block(head_);
    record.new_head = Block(head_ + 1);
    record.sequence = head_ + 1;
    record.batches = std::move(batches);
    return record;
  }
  OutcomeRecord UpToDate(std::vector<SettledBatch> batches) const {
    auto record = Commit(std::move(batches));
    record.kind = OutcomeRecord::Kind::kSettled;
    record.new_head.reset();
    record.sequence = head_;
    for (auto& batch : record.batches) batch.outcome.status = Outcome::Status::kUpToDate;
    return record;
  }
  void Write(const OutcomeRecord& record) {
    ASSERT_OK_AND_ASSIGN(const auto place, journal_->Append(record));
    journal_->Confirm(record, place);
    if (record.kind == OutcomeRecord::Kind::kCommit) ++head_;
  }
  bool HasKey(const std::string& name) {
    return journal_->FindKey(kDataset, "s", DigestOf(name)).has_value();
  }
  bool HasState(const std::string& name) {
    return journal_->FindState(kDataset, "s", {"kind", "state " + name}).has_value();
  }
  std::string Pending() {
    std::string names;
    for (const auto& [place, queued] : journal_->TakePending()) names += queued.batch.nonce.substr(5) + " ";
    return names;
  }
  std::string ReceiptOf(const Place& place, const std::string& name) const {
    return journal_->ReceiptOf(place, "nonce" + name);
  }
  std::string StatusOf(const std::string& receipt) const {
    auto found = journal_->FindReceipt(receipt);
    if (!found.ok()) return std::string(InfoOf(found.error().code()).name);
    return *found ? std::string(NameOf((*found)->outcome)) : "unknown";
  }

  storage::TempFolder folder_;
  JournalOptions options_;
  uint64_t head_ = 5;
  std::unique_ptr<Journal> journal_;
};

TEST_F(JournalTest, KeepsWhatIsQueuedUntilItIsSettled) {
  Open();
  const auto a = Enqueue("a"), b = Enqueue("b");
  EXPECT_EQ(StatusOf(ReceiptOf(a, "a")), "queued");
  ASSERT_OK_AND_ASSIGN(const auto waiting, journal_->FindReceipt(ReceiptOf(a, "a")));
  EXPECT_EQ(waiting->dataset, kDataset);
  ASSERT_OK_AND_ASSIGN(auto queued, journal_->Read(b));
  EXPECT_EQ(queued.body, "body of b");
  EXPECT_EQ(queued.batch.source, "s");
  OpenAndCompare();
  EXPECT_EQ(Pending(), "a b ");
  EXPECT_EQ(StatusOf(ReceiptOf(b, "b")), "queued");
  Write(Commit({Settled("a", head_ + 1, a.sequence)}));
  EXPECT_EQ(StatusOf(ReceiptOf(a, "a")), "committed");
  OpenAndCompare();
  EXPECT_EQ(Pending(), "b ");
  EXPECT_EQ(StatusOf(ReceiptOf(a, "a")), "committed");
  auto answer = journal_->FindReceipt(ReceiptOf(a, "a"));
  ASSERT_OK(answer);
  EXPECT_EQ((*answer)->dataset, kDataset);
  EXPECT_EQ((*answer)->account, "somebody");
  EXPECT_EQ((*answer)->outcome.source, "s");
  EXPECT_EQ((*answer)->outcome.sequence, 6u);
}

TEST_F(JournalTest, FindsTheFirstAnswerByKeyAndByState) {
  for (const bool reopen : {false, true}) {
    Open();
    const std::string name = reopen ? "again" : "first";
    Write(Commit({Settled(name, head_ + 1)}));
    if (reopen) OpenAndCompare();
    auto by_key = journal_->FindKey(kDataset, "s", DigestOf(name));
    ASSERT_TRUE(by_key);
    EXPECT_EQ(by_key->payload, DigestOf("payload " + name));
    EXPECT_EQ(by_key->outcome.sequence, head_);
    EXPECT_TRUE(HasState(name));
    EXPECT_FALSE(journal_->FindKey(kDataset, "other", DigestOf(name)));
    EXPECT_FALSE(journal_->FindKey(DatasetId::FromSeed("other"), "s", DigestOf(name)));
    EXPECT_FALSE(journal_->FindState(kDataset, "s", {"other kind", "state " + name}));
  }
  EXPECT_FALSE(HasState("first")) << "the source has gone on";
}

TEST_F(JournalTest, NothingCountsBeforeItIsConfirmed) {
  Open();
  const auto a = Enqueue("a");
  ASSERT_OK(journal_->Append(Commit({Settled("a", head_ + 1, a.sequence)})));
  EXPECT_FALSE(HasKey("a"));
  EXPECT_FALSE(HasState("a"));
  EXPECT_EQ(StatusOf(ReceiptOf(a, "a")), "queued");
}

TEST_F(JournalTest, ACommitWhoseHeadDidNotMoveIsPendingAgain) {
  Open();
  Write(Commit({Settled("old", head_ + 1)}));
  const auto a = Enqueue("a");
  ASSERT_OK(journal_->Append(Commit({Settled("a", head_ + 1, a.sequence), Settled("waiting", head_ + 1)})));
  for (int starts = 0; starts < 3; ++starts) {
    OpenAndCompare();
    EXPECT_EQ(Pending(), "a ");
    EXPECT_EQ(StatusOf(ReceiptOf(a, "a")), "queued");
    EXPECT_FALSE(HasKey("a"));
    EXPECT_FALSE(HasKey("waiting"));
    EXPECT_TRUE(HasKey("old"));
    EXPECT_FALSE(HasState("a"));
  }
  Write(Commit({Settled("a", head_ + 1, a.sequence)}));
  OpenAndCompare();
  EXPECT_EQ(Pending(), "");
  EXPECT_EQ(StatusOf(ReceiptOf(a, "a")), "committed");
  EXPECT_FALSE(HasKey("waiting"));
}

TEST_F(JournalTest, ACommitWhoseHeadMovedIsNotPending) {
  Open();
  const auto a = Enqueue("a");
  ASSERT_OK(journal_->Append(Commit({Settled("a", head_ + 1, a.sequence)})));
  ++head_;  // the crash came right after
  OpenAndCompare();
  EXPECT_EQ(Pending(), "");
  EXPECT_TRUE(HasKey("a"));
  EXPECT_EQ(StatusOf(ReceiptOf(a, "a")), "committed");
}

TEST_F(JournalTest, WhatWasUndoneWhileRunningDoesNotCountLater) {
  Open();
  const auto a = Enqueue("a");
  ASSERT_OK(journal_->Append(Commit({Settled("a", head_ + 1, a.sequence), Settled("waiting", head_ + 1)})));
  OutcomeRecord undone;
  undone.kind = OutcomeRecord::Kind::kUndone;
  undone.dataset = kDataset;
  undone.time = SystemClock().Now();
  undone.new_head = Block(head_);
  undone.sequence = head_;
  Write(undone);
  EXPECT_EQ(StatusOf(ReceiptOf(a, "a")), "queued");
  Write(Commit({Settled("later", head_ + 1)}));
  OpenAndCompare();
  EXPECT_EQ(Pending(), "a ");
  EXPECT_FALSE(HasKey("waiting")) << "the repeat of a batch that was never committed would be lost";
  EXPECT_TRUE(HasKey("later"));
}

TEST_F(JournalTest, AResetWithdrawsAndDoesNotBringBack) {
  Open();
  const auto a = Enqueue("a"), b = Enqueue("b");
  Write(Commit({Settled("a", head_ + 1, a.sequence)}));
  Write(Commit({Settled("b", head_ + 1, b.sequence)}));
  ASSERT_OK(journal_->MarkSeen(kDataset));
  --head_;  // by another process, to the very block that the last commit started from
  for (int starts = 0; starts < 3; ++starts) {
    OpenAndCompare();
    EXPECT_EQ(Pending(), "");
    EXPECT_EQ(StatusOf(ReceiptOf(a, "a")), "committed");
    EXPECT_EQ(StatusOf(ReceiptOf(b, "b")), "withdrawn");
    EXPECT_TRUE(HasKey("a"));
    EXPECT_FALSE(HasKey("b"));
    EXPECT_FALSE(HasState("b"));
  }
  // Its block's number is taken by another one.
  Write(Commit({Settled("c", head_ + 1)}));
  OpenAndCompare();
  EXPECT_EQ(StatusOf(ReceiptOf(b, "b")), "withdrawn");
  EXPECT_TRUE(HasKey("c"));
  EXPECT_FALSE(HasKey("b"));
}

TEST_F(JournalTest, AResetIntoAGroupWithdrawsOnlyWhatIsBehindIt) {
  OpenAndCompare();
  auto group = Commit({Settled("a", 6), Settled("b", 7)});
  group.new_head = Block(7);
  group.sequence = 7;
  for (auto& batch : group.batches) {
    batch.outcome.old_head = group.old_head;
    batch.outcome.new_head = group.new_head;
  }
  Write(group);
  head_ = 6;  // of the group's two blocks the first stays
  OpenAndCompare();
  EXPECT_FALSE(HasKey("b"));
  const auto answer = journal_->FindKey(kDataset, "s", DigestOf("a"));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->outcome.block_hash, Block(6));
  EXPECT_EQ(answer->outcome.old_head, Block(5));
  EXPECT_EQ(answer->outcome.new_head, std::nullopt) << "it is not in the chain any more";
}

TEST_F(JournalTest, AResetAfterACompactionWithdrawsOnlyWhatIsBehindIt) {
  OpenAndCompare();
  Write(Commit({Settled("a", 6)}));
  auto second = Commit({Settled("b", 7)});
  second.batches[0].outcome.new_head = second.new_head;
  Write(second);
  OutcomeRecord replaced;
  replaced.kind = OutcomeRecord::Kind::kReplaced;
  replaced.dataset = kDataset;
  replaced.time = SystemClock().Now();
  replaced.old_head = Block(7);
  // Blocks 1 to 5 became one.
  for (uint64_t i = 0; i <= 3; ++i) {
    replaced.blocks.push_back(Sha3Multihash("new " + std::to_string(i)));
    replaced.successors.emplace_back(i == 0 ? 0 : i + 4, i);
  }
  replaced.new_head = replaced.blocks.back();
  replaced.sequence = 3;
  EXPECT_EQ(journal_->ReplacedUntil(kDataset), 0u);
  Write(replaced);
  EXPECT_EQ(journal_->ReplacedUntil(kDataset), 3u);
  for (const auto& answer : {journal_->FindKey(kDataset, "s", DigestOf("b")),
                             journal_->FindState(kDataset, "s", {"kind", "state b"})}) {
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->outcome.sequence, 3u);
    EXPECT_EQ(answer->outcome.block_hash, std::nullopt) << "that block is gone";
    EXPECT_EQ(answer->outcome.new_head, std::nullopt);
  }
  Open();
  const std::vector<Multihash> chain(replaced.blocks.begin(), replaced.blocks.begin() + 3);
  ASSERT_OK(journal_->CheckChain(kDataset, chain.back(), 2, [&](const Multihash& hash) -> Result<bool> {
    return std::find(chain.begin(), chain.end(), hash) != chain.end();
  }));
  EXPECT_TRUE(HasKey("a"));
  EXPECT_FALSE(HasKey("b"));
}

TEST_F(JournalTest, AResetThatTheNodeMadeIsRecorded) {
  Open();
  const auto a = Enqueue("a");
  Write(Commit({Settled("a", head_ + 1, a.sequence)}));
  OutcomeRecord reset;
  reset.kind = OutcomeRecord::Kind::kReset;
  reset.dataset = kDataset;
  reset.new_head = Block(5);
  reset.sequence = 5;
  Write(reset);
  head_ = 5;
  EXPECT_FALSE(HasKey("a"));
  EXPECT_EQ(StatusOf(ReceiptOf(a, "a")), "withdrawn");
  OpenAndCompare();
  EXPECT_EQ(Pending(), "");
  EXPECT_EQ(StatusOf(ReceiptOf(a, "a")), "withdrawn");
}

TEST_F(JournalTest, UpToDateCountsWhileItsBlockIsThere) {
  Open();
  Write(UpToDate({Settled("a", head_)}));
  OpenAndCompare();
  EXPECT_TRUE(HasKey("a"));
  --head_;  // what it was judged against is gone: the rows are not there any more
  OpenAndCompare();
  EXPECT_FALSE(HasKey("a"));
}

TEST_F(JournalTest, ATornTailLosesOnlyWhatWasNotAcknowledged) {
  const auto tear = [&](const std::string& stream, const Place& place, uint64_t keep) {
    for (const auto& file : std::filesystem::directory_iterator(folder_.path() + "/log/" + stream)) {
      if (!file.is_regular_file()) continue;
      std::fstream out(file.path(), std::ios::in | std::ios::out | std::ios::binary);
      out.seekp(static_cast<std::streamoff>(place.offset + keep));
      out << std::string(4096, '\0');
    }
  };
  for (const uint64_t keep : {0, 1, 7, 20, 60}) {
    SCOPED_TRACE(keep);
    storage::TempFolder fresh;
    std::filesystem::remove_all(folder_.path() + "/log");
    std::filesystem::remove(folder_.path() + "/log-id");
    head_ = 5;
    Open();
    const auto a = Enqueue("a"), b = Enqueue("b"), c = Enqueue("c");
    Write(Commit({Settled("a", head_ + 1, a.sequence)}));
    const auto record = Commit({Settled("b", head_ + 1, b.sequence)});
    ASSERT_OK_AND_ASSIGN(const auto last, journal_->Append(record));
    journal_.reset();
    tear("bodies", c, keep);
    tear("outcomes", last, keep);
    OpenAndCompare();
    EXPECT_EQ(Pending(), "b ");
    EXPECT_TRUE(HasKey("a"));
    EXPECT_FALSE(HasKey("b"));
    // And it goes on.
    const auto d = Enqueue("d");
    Write(Commit({Settled("b", head_ + 1, b.sequence)}));
    OpenAndCompare();
    EXPECT_EQ(Pending(), "d ");
    EXPECT_EQ(StatusOf(ReceiptOf(d, "d")), "queued");
    EXPECT_EQ(StatusOf(ReceiptOf(b, "b")), "committed");
  }
}

TEST_F(JournalTest, TheKeyWindowIsBoundedInCountAndTime) {
  options_.keys_per_source = 3;
  Open();
  for (const char* name : {"1", "2", "3", "4", "5"}) Write(Commit({Settled(name, head_ + 1)}));
  for (int starts = 0; starts < 2; ++starts) {
    EXPECT_FALSE(HasKey("1"));
    EXPECT_FALSE(HasKey("2"));
    EXPECT_TRUE(HasKey("3"));
    EXPECT_TRUE(HasKey("5"));
    EXPECT_EQ(journal_->stats().keys, 3u);
    OpenAndCompare();
  }
  options_ = {};
  auto old = Commit({Settled("old", head_ + 1)});
  old.time = Instant::FromMillis(SystemClock().Now().ToMillis() - (options_.key_window.count() + 5) * 1000);
  Write(old);
  EXPECT_FALSE(HasKey("old"));
  Write(Commit({Settled("new", head_ + 1)}));
  EXPECT_TRUE(HasKey("new"));
  OpenAndCompare();
  EXPECT_FALSE(HasKey("old"));
  EXPECT_TRUE(HasKey("new"));
}

TEST_F(JournalTest, AKeyUsedAgainAfterItsWindowIsTheNewOne) {
  Open();
  auto old = Commit({Settled("k", head_ + 1)});
  old.time = Instant::FromMillis(SystemClock().Now().ToMillis() - (options_.key_window.count() + 5) * 1000);
  Write(old);
  Write(Commit({Settled("k", head_ + 1)}));
  EXPECT_TRUE(HasKey("k"));
  Write(Commit({Settled("other", head_ + 1)}));
  EXPECT_TRUE(HasKey("k")) << "its old place in the order took it away";
  OpenAndCompare();
  EXPECT_TRUE(HasKey("k"));
}

TEST_F(JournalTest, ALostLogIsRefusedUntilItIsAccepted) {
  Open();
  const auto a = Enqueue("a");
  const std::string receipt = ReceiptOf(a, "a");
  ASSERT_OK(journal_->Close());
  journal_.reset();
  for (const char* stream : {"/log/bodies", "/log/outcomes"}) {
    const std::string path = folder_.path() + stream;
    std::filesystem::rename(path, path + ".away");
    EXPECT_THAT(Journal::Open(folder_.path(), {}),
                IsError(ErrorCode::kPrecondition, HasSubstr("--accept-new-log")));
    std::filesystem::remove_all(path);
    std::filesystem::rename(path + ".away", path);
  }
  Open();
  EXPECT_EQ(Pending(), "a ");
  journal_.reset();
  std::filesystem::remove_all(folder_.path() + "/log");
  options_.accept_new_log = true;
  Open();
  EXPECT_EQ(StatusOf(receipt), "not-found") << "410";
  options_.accept_new_log = false;
  Open();  // it is the one that the workspace knows now
}

TEST_F(JournalTest, TextThatIsNoReceipt) {
  Open();
  const auto a = Enqueue("a");
  const std::string good = ReceiptOf(a, "a");
  EXPECT_EQ(StatusOf(good), "queued");
  EXPECT_EQ(StatusOf(good + "x"), "unknown");
  EXPECT_EQ(StatusOf(ReceiptOf({0, 0, a.sequence + 7}, "a")), "unknown");
  for (const char* text : {"", "-", "--", "a-b-c", "---------", "\xff-1-x"})
    EXPECT_EQ(StatusOf(text), "unknown");
  EXPECT_EQ(StatusOf(good.substr(0, good.find("nonce")) + "other"), "unknown");
}

TEST_F(JournalTest, AFullQueueRefuses) {
  options_.max_queue_bytes = 64 << 20;  // one file
  Open();
  std::string big(40 << 20, 'x');
  ASSERT_OK_AND_ASSIGN(const auto first, journal_->Enqueue(Queued("a"), big));
  ASSERT_OK(journal_->WaitFor(first));
  EXPECT_THAT(journal_->Enqueue(Queued("b"), big), IsErrorCode(ErrorCode::kResourceExhausted));
  EXPECT_OK(journal_->health());
  Write(Commit({Settled("a", head_ + 1, first.sequence)}));
  EXPECT_TRUE(HasKey("a"));
}

}  // namespace
}  // namespace sluice::gateway
