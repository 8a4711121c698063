#include "storage/testing/conformance.h"

#include <atomic>
#include <filesystem>
#include <thread>

#include "base/testing/matchers.h"

namespace sluice::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Optional;
using testing::UnorderedElementsAre;

std::string Content(const Storage& storage, const std::string& name) {
  auto content = storage.Get(name);
  EXPECT_THAT(content, IsOk());
  return content.ok() ? *content : "(" + content.error().ToString() + ")";
}

void ReadsWhatWasPut(Storage& s, const Quirks&) {
  const std::string bytes("\0binary\n\xff", 9);
  ASSERT_OK(s.PutIfAbsent("blocks/a", bytes));
  ASSERT_OK(s.PutIfAbsent("empty", ""));
  EXPECT_EQ(Content(s, "blocks/a"), bytes);
  EXPECT_EQ(Content(s, "empty"), "");
  EXPECT_THAT(s.Size("blocks/a"), IsOk());
  EXPECT_EQ(s.Size("blocks/a").value_or(0), 9u);
  EXPECT_TRUE(s.Exists("blocks/a").value_or(false));
  EXPECT_FALSE(s.Exists("blocks/b").value_or(true));
  EXPECT_FALSE(s.Exists("blocks").value_or(true)) << "a folder is not a file";
}

void ReadsRanges(Storage& s, const Quirks&) {
  ASSERT_OK(s.PutIfAbsent("a", "0123456789"));
  EXPECT_EQ(s.GetRange("a", 2, 3).value_or("?"), "234");
  EXPECT_EQ(s.GetRange("a", 8, 100).value_or("?"), "89");
  EXPECT_EQ(s.GetRange("a", 10, 1).value_or("?"), "");
  EXPECT_EQ(s.GetRange("a", 1000, 1).value_or("?"), "");
  EXPECT_EQ(s.GetRange("a", 0, UINT64_MAX).value_or("?"), "0123456789");
}

void SaysNotFound(Storage& s, const Quirks&) {
  ASSERT_OK(s.PutIfAbsent("file", "x"));
  for (const std::string name : {"nothing", "no/folder", "file/below"}) {
    EXPECT_THAT(s.Get(name), IsError(ErrorCode::kNotFound, HasSubstr(name)));
    EXPECT_THAT(s.GetRange(name, 0, 1), IsErrorCode(ErrorCode::kNotFound));
    EXPECT_THAT(s.Size(name), IsErrorCode(ErrorCode::kNotFound));
    EXPECT_OK(s.Delete(name));
    EXPECT_THAT(s.Sync({name}), IsErrorCode(ErrorCode::kNotFound));
    EXPECT_FALSE(s.Exists(name).value_or(true));
  }
}

void RefusesBadNames(Storage& s, const Quirks&) {
  for (const std::string& name :
       {std::string(), std::string("/a"), std::string("a/"), std::string("a//b"), std::string(".."),
        std::string("../a"), std::string("a/../b"), std::string("./a"), std::string("a\0b", 3),
        std::string(".pending-0123456789abcdef"), std::string("a/.pending-x"), std::string(300, 'x')}) {
    SCOPED_TRACE(name);
    EXPECT_THAT(s.Get(name), IsErrorCode(ErrorCode::kInvalidArgument));
    EXPECT_THAT(s.PutIfAbsent(name, "x"), IsErrorCode(ErrorCode::kInvalidArgument));
    EXPECT_THAT(s.PutAllIfAbsent({{"fine", "x"}, {name, "x"}}), IsErrorCode(ErrorCode::kInvalidArgument));
    EXPECT_THAT(s.Replace(name, "x"), IsErrorCode(ErrorCode::kInvalidArgument));
    EXPECT_THAT(s.CompareAndSwap(name, std::nullopt, "x"), IsErrorCode(ErrorCode::kInvalidArgument));
    EXPECT_THAT(s.Delete(name), IsErrorCode(ErrorCode::kInvalidArgument));
  }
  EXPECT_THAT(s.List("../x"), IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_THAT(s.Stage("/tmp"), IsErrorCode(ErrorCode::kInvalidArgument));
  ASSERT_OK_AND_ASSIGN(auto names, s.List(""));
  EXPECT_THAT(names, IsEmpty()) << "a refused call leaves nothing";
}

void KeepsTheFirstOfAName(Storage& s, const Quirks&) {
  ASSERT_OK(s.PutIfAbsent("a", "first"));
  ASSERT_OK(s.PutIfAbsent("a", "second"));
  ASSERT_OK(s.PutAllIfAbsent({{"a", "third"}, {"b", "fourth"}, {"b", "fifth"}}));
  EXPECT_EQ(Content(s, "a"), "first");
  EXPECT_EQ(Content(s, "b"), "fourth");
}

void PutsSeveral(Storage& s, const Quirks&) {
  ASSERT_OK(s.PutAllIfAbsent({}));
  ASSERT_OK(s.PutAllIfAbsent({{"blocks/a", "1"}, {"data/b", "2"}, {"blocks/c", "3"}, {"top", "4"}}));
  EXPECT_EQ(Content(s, "data/b"), "2");
  EXPECT_EQ(Content(s, "top"), "4");
  EXPECT_OK(s.Sync({"blocks/a", "data/b", "blocks/c", "top"}));
}

void ListsFoldersWithoutTemporaryFiles(Storage& s, const Quirks&) {
  ASSERT_OK_AND_ASSIGN(auto none, s.List("blocks"));
  EXPECT_THAT(none, IsEmpty());
  ASSERT_OK(
      s.PutAllIfAbsent({{"blocks/a", "1"}, {"blocks/sub/b", "2"}, {"blocksmith", "3"}, {"data/c", "4"}}));
  ASSERT_OK_AND_ASSIGN(auto staged, s.Stage("blocks"));
  ASSERT_OK(staged->Append("not yet"));
  ASSERT_OK_AND_ASSIGN(auto blocks, s.List("blocks"));
  EXPECT_THAT(blocks, UnorderedElementsAre("blocks/a", "blocks/sub/b"));
  ASSERT_OK_AND_ASSIGN(auto all, s.List(""));
  EXPECT_THAT(all, UnorderedElementsAre("blocks/a", "blocks/sub/b", "blocksmith", "data/c"));
}

void ReplacesAndDeletes(Storage& s, const Quirks&) {
  ASSERT_OK(s.Replace("refs/head", "one"));
  ASSERT_OK(s.Replace("refs/head", "a longer text"));
  EXPECT_EQ(Content(s, "refs/head"), "a longer text");
  ASSERT_OK(s.ReplaceUnsynced("refs/head", "short"));
  EXPECT_EQ(Content(s, "refs/head"), "short");
  ASSERT_OK(s.SyncAll());
  ASSERT_OK(s.Replace("refs/head", ""));
  EXPECT_EQ(Content(s, "refs/head"), "");
  ASSERT_OK(s.Delete("refs/head"));
  EXPECT_FALSE(s.Exists("refs/head").value_or(true));
  ASSERT_OK(s.PutIfAbsent("refs/head", "again"));
  EXPECT_EQ(Content(s, "refs/head"), "again");
}

void ComparesAndSwaps(Storage& s, const Quirks&) {
  EXPECT_THAT(s.CompareAndSwap("refs/head", "x", "y"),
              IsError(ErrorCode::kConflict, HasSubstr("holds nothing, expected 'x'")));
  ASSERT_OK(s.CompareAndSwap("refs/head", std::nullopt, "one"));
  EXPECT_THAT(s.CompareAndSwap("refs/head", std::nullopt, "two"),
              IsError(ErrorCode::kConflict, HasSubstr("holds 'one', expected nothing")));
  EXPECT_THAT(s.CompareAndSwap("refs/head", "one\n", "two"), IsErrorCode(ErrorCode::kConflict))
      << "exact bytes";
  EXPECT_EQ(Content(s, "refs/head"), "one");
  ASSERT_OK(s.CompareAndSwap("refs/head", "one", "two"));
  EXPECT_EQ(Content(s, "refs/head"), "two");
}

void StagesAFile(Storage& s, const Quirks& quirks) {
  ASSERT_OK_AND_ASSIGN(auto staged, s.Stage("data"));
  ASSERT_OK(staged->Append("hello "));
  ASSERT_OK(staged->Append(""));
  ASSERT_OK(staged->Append("world"));
  EXPECT_EQ(staged->size(), 11u);
  EXPECT_EQ(staged->ReadAt(6, 5).value_or("?"), "world");
  EXPECT_EQ(staged->ReadAt(6, 500).value_or("?"), "world");
  EXPECT_EQ(staged->ReadAt(60, 5).value_or("?"), "");
  ASSERT_OK(staged->Append("!"));
  EXPECT_EQ(quirks.has_local_path, !staged->local_path().empty());
  EXPECT_FALSE(s.Exists("data/x").value_or(true)) << "not before Commit";
  ASSERT_OK(staged->Commit("data/x"));
  EXPECT_EQ(Content(s, "data/x"), "hello world!");
}

void StagedFilesKeepTheFirstOfAName(Storage& s, const Quirks&) {
  ASSERT_OK(s.PutIfAbsent("data/x", "first"));
  ASSERT_OK_AND_ASSIGN(auto staged, s.Stage("data"));
  ASSERT_OK(staged->Append("second"));
  ASSERT_OK(staged->Commit("data/x"));
  EXPECT_EQ(Content(s, "data/x"), "first");
}

void StagedFilesMayBeLarge(Storage& s, const Quirks&) {
  std::string expected;
  ASSERT_OK_AND_ASSIGN(auto staged, s.Stage(""));
  for (int i = 0; i < 40; ++i) {
    // Small and big pieces in turn, across every buffer's edge.
    const std::string piece(i % 3 == 0 ? (1 << 20) + i : 100'000 + i, static_cast<char>('a' + i % 26));
    ASSERT_OK(staged->Append(piece));
    expected += piece;
  }
  EXPECT_EQ(staged->size(), expected.size());
  ASSERT_OK(staged->Commit("big"));
  EXPECT_TRUE(Content(s, "big") == expected);
}

void AbandonedFilesVanish(Storage& s, const Quirks& quirks) {
  std::string path;
  {
    ASSERT_OK_AND_ASSIGN(auto staged, s.Stage("data"));
    ASSERT_OK(staged->Append("x"));
    path = staged->local_path();
    EXPECT_THAT(staged->Commit("elsewhere/x"), IsErrorCode(ErrorCode::kInvalidArgument));
    EXPECT_THAT(staged->Commit("../x"), IsErrorCode(ErrorCode::kInvalidArgument));
  }
  EXPECT_FALSE(quirks.has_local_path && std::filesystem::exists(path));
  ASSERT_OK_AND_ASSIGN(auto names, s.List(""));
  EXPECT_THAT(names, IsEmpty());
}

void KnowsLocalPaths(Storage& s, const Quirks& quirks) {
  ASSERT_OK(s.PutIfAbsent("data/x", "content"));
  const std::optional<std::string> path = s.LocalPath("data/x");
  EXPECT_EQ(path.has_value(), quirks.has_local_path);
  EXPECT_TRUE(!path || std::filesystem::file_size(*path) == 7u);
}

void PutsFromManyThreads(Storage& s, const Quirks&) {
  std::atomic<int> failures = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 10; ++i) {
          const std::string name = fmt::format("blocks/{}", i);
          if (!s.PutIfAbsent(name, name).ok()) ++failures;
          if (!s.Replace(fmt::format("own/{}", t), name).ok()) ++failures;
          if (s.Get(name).value_or("") != name) ++failures;
        }
      });
    }
  }
  EXPECT_EQ(failures, 0);
  ASSERT_OK_AND_ASSIGN(auto names, s.List("blocks"));
  EXPECT_EQ(names.size(), 10u);
}

void OneOfManySwapsWins(Storage& s, const Quirks& quirks) {
  if (quirks.swap_needs_lock) return;
  ASSERT_OK(s.Replace("head", "old"));
  std::atomic<int> won = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] { won += s.CompareAndSwap("head", "old", fmt::format("new {}", t)).ok(); });
    }
  }
  EXPECT_EQ(won, 1);
}

using Check = void (*)(Storage&, const Quirks&);
constexpr std::pair<const char*, Check> kChecks[] = {
    {"reads what was put", ReadsWhatWasPut},
    {"reads ranges", ReadsRanges},
    {"says not found", SaysNotFound},
    {"refuses bad names", RefusesBadNames},
    {"keeps the first of a name", KeepsTheFirstOfAName},
    {"puts several", PutsSeveral},
    {"lists folders without temporary files", ListsFoldersWithoutTemporaryFiles},
    {"replaces and deletes", ReplacesAndDeletes},
    {"compares and swaps", ComparesAndSwaps},
    {"stages a file", StagesAFile},
    {"staged files keep the first of a name", StagedFilesKeepTheFirstOfAName},
    {"staged files may be large", StagedFilesMayBeLarge},
    {"abandoned files vanish", AbandonedFilesVanish},
    {"knows local paths", KnowsLocalPaths},
    {"puts from many threads", PutsFromManyThreads},
    {"one of many swaps wins", OneOfManySwapsWins},
};

}  // namespace

void CheckStorage(const std::function<std::unique_ptr<Storage>()>& make_empty, const Quirks& quirks) {
  for (const auto& [name, check] : kChecks) {
    SCOPED_TRACE(name);
    std::unique_ptr<Storage> storage = make_empty();
    ASSERT_NE(storage, nullptr);
    check(*storage, quirks);
  }
}

}  // namespace sluice::storage
