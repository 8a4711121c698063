// Opening at a checkpoint is the same as reading the whole log.
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <thread>

#include "base/clock.h"
#include "base/testing/matchers.h"
#include "gateway/checkpoint_file.h"
#include "gateway/journal.h"
#include "storage/testing/temp_folder.h"

namespace sluice::gateway {
namespace {

namespace fs = std::filesystem;
using multiformats::DatasetId;
using multiformats::Multihash;
using multiformats::Sha3Multihash;

constexpr int kDatasets = 2;

Digest DigestOf(const std::string& text) {
  Digest digest{};
  std::copy_n(Sha3Multihash(text).digest().begin(), digest.size(), digest.begin());
  return digest;
}

// A chain of which blocks can be taken away and replaced, and what was journalled about it.
struct Chain {
  DatasetId id;
  std::vector<std::string> blocks = {"seed"};
  Multihash At(size_t sequence) const { return Sha3Multihash(blocks[sequence]); }
  Multihash head() const { return At(blocks.size() - 1); }
  bool Has(const Multihash& hash) const {
    return std::any_of(blocks.begin(), blocks.end(),
                       [&](const auto& name) { return Sha3Multihash(name) == hash; });
  }
};

class World {
 public:
  World() {
    for (int i = 0; i < kDatasets; ++i)
      chains_.push_back({DatasetId::FromSeed("dataset " + std::to_string(i))});
  }

  void Open(const std::string& folder) {
    journal_.reset();
    auto opened = Journal::Open(folder, options_);
    ASSERT_OK(opened);
    journal_ = std::move(*opened);
  }
  void Compare() {
    for (const auto& chain : chains_) {
      ASSERT_OK(journal_->CheckChain(chain.id, chain.head(), chain.blocks.size() - 1,
                                     [&](const Multihash& hash) -> Result<bool> { return chain.Has(hash); }));
    }
    for (auto& [place, queued] : journal_->TakePending())
      pending_.emplace(place.sequence, queued.batch.nonce);
  }

  std::string Enqueue(int dataset) {
    const std::string name = "n" + std::to_string(++names_);
    QueuedBatch batch;
    batch.dataset = chains_[dataset].id;
    batch.source = "s";
    batch.account = "kim";
    batch.nonce = name;
    batch.key = DigestOf(name);
    batch.payload = DigestOf("payload " + name);
    auto place = journal_->Enqueue(batch, "body of " + name);
    EXPECT_OK(place);
    EXPECT_OK(journal_->WaitFor(*place));
    queued_[dataset].emplace(place->sequence, name);
    known_.insert(name);
    receipts_.push_back(journal_->ReceiptOf(*place, name));
    return name;
  }

  enum class Fate { kConfirmed, kUndone, kOpen };
  void Commit(int dataset, Fate fate) {
    auto& chain = chains_[dataset];
    OutcomeRecord record;
    record.kind = OutcomeRecord::Kind::kCommit;
    record.dataset = chain.id;
    record.time = SystemClock().Now();
    record.old_head = chain.head();
    const std::string block = "block " + std::to_string(++names_);
    record.new_head = Sha3Multihash(block);
    record.sequence = chain.blocks.size();
    const std::string direct = "n" + std::to_string(++names_);
    known_.insert(direct);
    record.batches.push_back(Settled(direct, 0, record.sequence));
    for (const auto& [sequence, name] : queued_[dataset])
      record.batches.push_back(Settled(name, sequence, record.sequence));
    ASSERT_OK_AND_ASSIGN(const auto place, journal_->Append(record));
    if (fate == Fate::kConfirmed) {
      chain.blocks.push_back(block);
      journal_->Confirm(record, place);
      queued_[dataset].clear();
    } else if (fate == Fate::kUndone) {
      Write(dataset, OutcomeRecord::Kind::kUndone);
    }
  }
  void Write(int dataset, OutcomeRecord::Kind kind) {
    const auto& chain = chains_[dataset];
    OutcomeRecord record;
    record.kind = kind;
    record.dataset = chain.id;
    record.time = SystemClock().Now();
    record.new_head = chain.head();
    record.sequence = chain.blocks.size() - 1;
    ASSERT_OK_AND_ASSIGN(const auto place, journal_->Append(record));
    journal_->Confirm(record, place);
  }
  void Reset(int dataset) {
    auto& chain = chains_[dataset];
    if (chain.blocks.size() < 3) return;
    chain.blocks.resize(chain.blocks.size() - 2);
    Write(dataset, OutcomeRecord::Kind::kReset);
  }
  void Compact(int dataset) {
    auto& chain = chains_[dataset];
    if (chain.blocks.size() < 4) return;
    OutcomeRecord record;
    record.kind = OutcomeRecord::Kind::kReplaced;
    record.dataset = chain.id;
    record.time = SystemClock().Now();
    record.old_head = chain.head();
    std::vector<std::string> blocks = {"seed", "compacted " + std::to_string(++names_)};
    record.new_head = Sha3Multihash(blocks.back());
    record.sequence = 1;
    for (uint64_t i = 0; i < chain.blocks.size(); ++i) record.successors.emplace_back(i, i == 0 ? 0 : 1);
    ASSERT_OK_AND_ASSIGN(const auto place, journal_->Append(record));
    chain.blocks = std::move(blocks);
    journal_->Confirm(record, place);
  }

  // Everything that can be asked of the journal.
  std::string Answers() {
    std::string text = fmt::format("queued {}\n", journal_->stats().queued);
    for (const auto& chain : chains_) {
      for (const auto& name : known_) {
        if (auto first = journal_->FindKey(chain.id, "s", DigestOf(name)))
          text += "key " + name + " " + std::to_string(first->outcome.sequence.value_or(0)) + "\n";
      }
    }
    for (const auto& receipt : receipts_) {
      auto found = journal_->FindReceipt(receipt);
      text += receipt.substr(receipt.size() - 6) + " ";
      text += !found.ok() ? "gone" : !*found ? "none" : std::string(NameOf((*found)->outcome.status));
      text += "\n";
    }
    for (const auto& [sequence, nonce] : pending_) text += "pending " + nonce + "\n";
    return text;
  }

  std::set<std::string> States() {
    std::set<std::string> states;
    for (const auto& chain : chains_) {
      for (const auto& name : known_) {
        if (journal_->FindState(chain.id, "s", {"kind", "state " + name})) states.insert(name);
      }
    }
    return states;
  }

  // What `this` knows, asked of another copy of the files.
  World Other(const std::string& folder) const {
    World other;
    other.chains_ = chains_;
    other.known_ = known_;
    other.receipts_ = receipts_;
    other.options_ = options_;
    other.Open(folder);
    other.Compare();
    return other;
  }
  Journal& journal() { return *journal_; }
  JournalOptions& options() { return options_; }
  void Close() { journal_.reset(); }
  const std::map<uint64_t, std::string>& pending() const { return pending_; }
  void Requeue() {  // what a restart brought back waits again
    for (auto& line : queued_) line.clear();
    for (const auto& [sequence, nonce] : pending_) queued_[0].emplace(sequence, nonce);
    pending_.clear();
  }

 private:
  SettledBatch Settled(const std::string& name, uint64_t queue_sequence, uint64_t sequence) const {
    SettledBatch batch;
    batch.source = "s";
    batch.queue_sequence = queue_sequence;
    batch.account = "kim";
    batch.nonce = name;
    batch.key = DigestOf(name);
    batch.payload = DigestOf("payload " + name);
    batch.outcome.sequence = sequence;
    batch.outcome.state = State{"kind", "state " + name};
    return batch;
  }

  JournalOptions options_;
  std::unique_ptr<Journal> journal_;
  std::vector<Chain> chains_;
  std::map<uint64_t, std::string> queued_[kDatasets];
  std::map<uint64_t, std::string> pending_;
  std::set<std::string> known_;
  std::vector<std::string> receipts_;
  int names_ = 0;
};

std::string CheckpointOf(const std::string& folder) { return folder + "/log/checkpoint"; }

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}
void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// Of the space that segments reserve only what is used.
void Copy(const std::string& from, const std::string& to) {
  fs::remove_all(to);
  for (const auto& entry : fs::recursive_directory_iterator(from)) {
    const fs::path target = fs::path(to) / fs::relative(entry.path(), from);
    if (entry.is_directory()) {
      fs::create_directories(target);
      continue;
    }
    fs::create_directories(target.parent_path());
    const std::string bytes = ReadFile(entry.path());
    const auto last = bytes.find_last_not_of('\0');
    WriteFile(target, bytes.substr(0, last == std::string::npos ? 0 : last + 1));
    fs::resize_file(target, bytes.size());
  }
}

class JournalCheckpointTest : public ::testing::Test {
 protected:
  std::string live() const { return folder_.path() + "/live"; }
  void SetUp() override {
    fs::create_directories(live());
    world_.Open(live());
    world_.Compare();
  }
  // A copy as a crash would leave it now, opened at its checkpoint and without.
  void CheckCopy(bool began_at_checkpoint) {
    const std::string with = folder_.path() + "/with", without = folder_.path() + "/without";
    Copy(live(), with);
    Copy(live(), without);
    fs::remove(CheckpointOf(without));
    World at_checkpoint = world_.Other(with);
    World from_beginning = world_.Other(without);
    EXPECT_EQ(at_checkpoint.journal().stats().began_at_checkpoint, began_at_checkpoint);
    EXPECT_FALSE(from_beginning.journal().stats().began_at_checkpoint);
    ASSERT_EQ(at_checkpoint.Answers(), from_beginning.Answers());
    // Reading everything forgets the state before a commit that was undone; the checkpoint may know it.
    const auto states = at_checkpoint.States();
    for (const auto& state : from_beginning.States()) ASSERT_TRUE(states.contains(state)) << state;
  }

  storage::TempFolder folder_;
  World world_;
};

TEST_F(JournalCheckpointTest, OpensAtTheCheckpointAndReadsOnlyWhatFollows) {
  for (int i = 0; i < 200; ++i) {
    world_.Enqueue(i % kDatasets);
    world_.Commit(i % kDatasets, World::Fate::kConfirmed);
  }
  ASSERT_OK(world_.journal().WriteCheckpoint());
  world_.Enqueue(0);
  world_.Commit(1, World::Fate::kConfirmed);
  CheckCopy(true);
  World other = world_.Other(folder_.path() + "/with");
  EXPECT_LE(other.journal().stats().records_read, 6U);
  EXPECT_EQ(other.journal().stats().keys, 401U);
}

TEST_F(JournalCheckpointTest, IsTheSameAsReadingEverythingWhateverHappened) {
  for (unsigned seed = 0; seed < 3; ++seed) {
    fs::remove_all(live());
    fs::create_directories(live());
    world_ = World();
    world_.Open(live());
    world_.Compare();
    std::mt19937 random(seed);
    bool has_checkpoint = false;
    for (int step = 0; step < 60; ++step) {
      const int dataset = static_cast<int>(random() % kDatasets);
      switch (random() % 12) {
        case 0:
        case 1:
        case 2:
          world_.Enqueue(dataset);
          break;
        case 3:
        case 4:
        case 5:
          world_.Commit(dataset, World::Fate::kConfirmed);
          break;
        case 6:
          world_.Commit(dataset, World::Fate::kUndone);
          break;
        case 7:
          world_.Reset(dataset);
          break;
        case 8:
          world_.Compact(dataset);
          break;
        case 9:
          ASSERT_OK(world_.journal().MarkSeen(DatasetId::FromSeed("dataset " + std::to_string(dataset))));
          break;
        case 10:
          ASSERT_OK(world_.journal().WriteCheckpoint());
          has_checkpoint = true;
          break;
        default:
          if (step > 40) {  // a crash between the journal and the head
            world_.Commit(dataset, World::Fate::kOpen);
            if (random() % 2 == 0) {
              ASSERT_OK(world_.journal().WriteCheckpoint());
            }
            has_checkpoint = fs::exists(CheckpointOf(live()));
            ASSERT_NO_FATAL_FAILURE(CheckCopy(has_checkpoint)) << seed << " " << step;
            world_.Write(dataset, OutcomeRecord::Kind::kUndone);
          }
          break;
      }
      if (step % 20 != 0) continue;
      ASSERT_NO_FATAL_FAILURE(CheckCopy(has_checkpoint)) << seed << " " << step;
    }
    ASSERT_NO_FATAL_FAILURE(CheckCopy(has_checkpoint)) << seed;
  }
}

TEST_F(JournalCheckpointTest, ASecondStartBuildsOnTheFirstOnesCheckpoint) {
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 20; ++i) world_.Commit(0, World::Fate::kConfirmed);
    world_.Enqueue(0);
    ASSERT_OK(world_.journal().WriteCheckpoint());
    world_.Commit(0, World::Fate::kOpen);  // undone by the next start
    world_.Open(live());
    EXPECT_TRUE(world_.journal().stats().began_at_checkpoint);
    world_.Compare();
    EXPECT_EQ(world_.pending().size(), static_cast<size_t>(1));
    world_.Requeue();
    world_.Commit(0, World::Fate::kConfirmed);
    ASSERT_NO_FATAL_FAILURE(CheckCopy(true));
  }
}

TEST_F(JournalCheckpointTest, ADamagedOrTornOneIsPassedOver) {
  for (int i = 0; i < 10; ++i) {
    world_.Enqueue(0);
    world_.Commit(0, World::Fate::kConfirmed);
  }
  world_.Enqueue(1);
  ASSERT_OK(world_.journal().WriteCheckpoint());
  const std::string whole = ReadFile(CheckpointOf(live()));
  ASSERT_GT(whole.size(), 100U);
  CheckCopy(true);
  for (size_t at = 0; at < whole.size(); at += 1 + whole.size() / 6) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    if (at >= 12 && at < 16) continue;  // reserved
    WriteFile(CheckpointOf(live()), damaged);
    ASSERT_NO_FATAL_FAILURE(CheckCopy((at >= 20 && at < 24))) << at;
    WriteFile(CheckpointOf(live()), whole.substr(0, at));
    ASSERT_NO_FATAL_FAILURE(CheckCopy(false)) << at;
  }
  WriteFile(CheckpointOf(live()), whole + "x");
  CheckCopy(false);
  // What a crash left of a new one does not matter.
  WriteFile(CheckpointOf(live()), whole);
  WriteFile(CheckpointOf(live()) + ".new", whole.substr(0, 50));
  CheckCopy(true);
}

TEST_F(JournalCheckpointTest, OneOfAnotherLogIsPassedOver) {
  world_.Commit(0, World::Fate::kConfirmed);
  const std::string early = folder_.path() + "/early";
  Copy(live(), early);
  for (int i = 0; i < 5; ++i) world_.Commit(0, World::Fate::kConfirmed);
  ASSERT_OK(world_.journal().WriteCheckpoint());
  // The log was put back from a copy, the checkpoint was not: it is ahead of the log.
  fs::copy_file(CheckpointOf(live()), CheckpointOf(early), fs::copy_options::overwrite_existing);
  World restored = world_.Other(early);
  EXPECT_FALSE(restored.journal().stats().began_at_checkpoint);
  // And went on with other records of the same number and size.
  World other;
  Copy(early, folder_.path() + "/diverged");
  fs::remove(CheckpointOf(folder_.path() + "/diverged"));
  other.Open(folder_.path() + "/diverged");
  other.Compare();
  for (int i = 0; i < 8; ++i) other.Commit(1, World::Fate::kConfirmed);
  other.Close();
  fs::copy_file(CheckpointOf(live()), CheckpointOf(folder_.path() + "/diverged"),
                fs::copy_options::overwrite_existing);
  other.Open(folder_.path() + "/diverged");
  EXPECT_FALSE(other.journal().stats().began_at_checkpoint);
}

TEST_F(JournalCheckpointTest, IsWrittenByItself) {
  world_.options().checkpoint_batches = 50;
  world_.Open(live());
  world_.Compare();
  for (int i = 0; i < 200; ++i) world_.Commit(0, World::Fate::kConfirmed);
  for (int i = 0; i < 500 && world_.journal().stats().checkpoints == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_GE(world_.journal().stats().checkpoints, 1U);
  // At the end too.
  ASSERT_OK(world_.journal().Close());
  World other = world_.Other(live());
  EXPECT_TRUE(other.journal().stats().began_at_checkpoint);
  EXPECT_LE(other.journal().stats().records_read, 2U);
}

TEST_F(JournalCheckpointTest, MayBeWrittenWhileOthersWrite) {
  std::atomic<bool> is_done = false;
  std::thread checkpoints([&] {
    while (!is_done) EXPECT_OK(world_.journal().WriteCheckpoint());
  });
  // Queued by others while this thread commits.
  std::vector<std::thread> writers;
  std::atomic<int> queued = 0;
  for (int t = 0; t < 2; ++t) {
    writers.emplace_back([&, t] {
      for (int i = 0; i < 300; ++i) {
        QueuedBatch batch;
        batch.dataset = DatasetId::FromSeed("dataset 0");
        batch.source = "s";
        batch.nonce = fmt::format("t{}-{}", t, i);
        EXPECT_OK(world_.journal().Enqueue(batch, "body"));
        ++queued;
      }
    });
  }
  for (int i = 0; i < 200; ++i) world_.Commit(1, World::Fate::kConfirmed);
  for (auto& writer : writers) writer.join();
  is_done = true;
  checkpoints.join();
  ASSERT_OK(world_.journal().WriteCheckpoint());
  EXPECT_EQ(world_.journal().stats().queued, 600U);
  CheckCopy(true);
}

TEST_F(JournalCheckpointTest, AnExpiredKeyIsNotTakenUp) {
  for (int i = 0; i < 5; ++i) world_.Commit(0, World::Fate::kConfirmed);
  ASSERT_OK(world_.journal().WriteCheckpoint());
  world_.options().key_window = std::chrono::seconds(0);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  World other = world_.Other(live());
  EXPECT_EQ(other.journal().stats().keys, 0U);
}

}  // namespace
}  // namespace sluice::gateway
