#include "auth/token_store.h"

#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/testing/matchers.h"
#include "storage/testing/temp_folder.h"

namespace sluice::auth {
namespace {

using testing::HasSubstr;
using testing::Not;

class TokenStoreTest : public testing::Test {
 protected:
  std::unique_ptr<TokenStore> Open() {
    auto store = TokenStore::Open(root());
    EXPECT_THAT(store, IsOk());
    return std::move(*store);
  }
  std::string root() const { return folder_.path(); }
  std::string File() const {
    std::ostringstream text;
    text << std::ifstream(root() + "/tokens").rdbuf();
    return text.str();
  }
  NewToken Make(TokenStore& store, std::optional<std::chrono::seconds> lifetime = std::nullopt) {
    auto token = store.Create({"kim", {ParseScope("push:gauges").value()}, lifetime}, clock_);
    EXPECT_THAT(token, IsOk());
    return *token;
  }

  storage::TempFolder folder_;
  FixedClock clock_{Instant{1'800'000'000, 0}};
};

TEST_F(TokenStoreTest, LetsInWhomItGaveAToken) {
  auto store = Open();
  const NewToken token = Make(*store);
  ASSERT_OK_AND_ASSIGN(const Principal principal, store->Check(token.text, clock_.Now()));
  EXPECT_EQ(principal.account, "kim");
  EXPECT_EQ(principal.token_id, token.info.id);
  EXPECT_TRUE(principal.MayPush("gauges", "north"));
  EXPECT_THAT(Open()->Check(token.text, clock_.Now()), IsOk()) << "another process";
}

TEST_F(TokenStoreTest, KeepsNoSecret) {
  auto store = Open();
  const NewToken token = Make(*store);
  struct stat info{};
  ASSERT_EQ(stat((root() + "/tokens").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const std::string secret = token.text.substr(token.text.rfind('_') + 1);
  EXPECT_EQ(secret.size(), 43u);
  EXPECT_THAT(File(), Not(HasSubstr(secret)));
  EXPECT_THAT(File(), HasSubstr(token.info.id));
}

TEST_F(TokenStoreTest, RefusesOthers) {
  auto store = Open();
  const NewToken token = Make(*store);
  std::string wrong = token.text;
  wrong.back() = wrong.back() == 'a' ? 'b' : 'a';
  for (const std::string& text :
       {std::string(), std::string("sluice_"), wrong, token.text + "x", token.text.substr(1),
        std::string("sluice_0123456789_") + std::string(43, 'a')}) {
    EXPECT_THAT(store->Check(text, clock_.Now()), IsErrorCode(ErrorCode::kUnauthenticated)) << text;
  }
}

TEST_F(TokenStoreTest, EndsTokensInTime) {
  auto store = Open();
  const NewToken token = Make(*store, std::chrono::seconds(60));
  EXPECT_THAT(store->Check(token.text, Instant{1'800'000'059, 0}), IsOk());
  EXPECT_THAT(store->Check(token.text, Instant{1'800'000'060, 0}),
              IsError(ErrorCode::kUnauthenticated, HasSubstr("expired")));
}

TEST_F(TokenStoreTest, SeesWithinASecondWhatAnotherRevoked) {
  auto node = Open();
  auto other = Open();
  const NewToken token = Make(*other), kept = Make(*other);
  EXPECT_THAT(node->Check(token.text, clock_.Now()), IsOk());
  EXPECT_THAT(other->Revoke(token.info.id), IsOk());
  EXPECT_THAT(other->Revoke(token.info.id), IsErrorCode(ErrorCode::kNotFound));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_THAT(node->Check(token.text, clock_.Now()), IsErrorCode(ErrorCode::kUnauthenticated));
  EXPECT_THAT(node->Check(kept.text, clock_.Now()), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto tokens, node->List());
  ASSERT_EQ(tokens.size(), 1u);
  EXPECT_EQ(tokens[0].id, kept.info.id);
}

TEST_F(TokenStoreTest, SeesAtOnceWhatAnotherMade) {
  auto node = Open();
  auto other = Open();
  const NewToken first = Make(*other);
  EXPECT_THAT(node->Check(first.text, clock_.Now()), IsOk());  // looks at the file
  const NewToken second = Make(*other);
  EXPECT_THAT(node->Check(second.text, clock_.Now()), IsOk());
}

TEST_F(TokenStoreTest, LosesNoTokenToAnotherWriter) {
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] {
      auto store = Open();
      for (int j = 0; j < 5; ++j) Make(*store);
    });
  }
  threads.clear();
  ASSERT_OK_AND_ASSIGN(const auto tokens, Open()->List());
  EXPECT_EQ(tokens.size(), 20u);
}

TEST_F(TokenStoreTest, LetsNobodyInByABrokenFile) {
  auto store = Open();
  const NewToken token = Make(*store);
  for (
      const std::string text :
      {"", "{", "[]", R"({"version":2,"tokens":[]})", R"({"version":1,"tokens":[{}]})",
       R"({"version":1,"tokens":[{"id":"a","account":"b","created":"2026-01-01T00:00:00Z","sha256":"00","scopes":["admin"]}]})"}) {
    std::ofstream(root() + "/tokens") << text;
    EXPECT_THAT(TokenStore::Open(root()), IsErrorCode(ErrorCode::kCorruption)) << text;
    std::this_thread::sleep_for(std::chrono::milliseconds(210));
    EXPECT_THAT(store->Check(token.text, clock_.Now()), IsErrorCode(ErrorCode::kUnavailable)) << text;
  }
  std::filesystem::remove(root() + "/tokens");
  Make(*store);
  ASSERT_EQ(chmod((root() + "/tokens").c_str(), 0666), 0);
  EXPECT_THAT(TokenStore::Open(root()), IsErrorCode(ErrorCode::kPermissionDenied));
}

TEST_F(TokenStoreTest, RefusesTokensThatMakeNoSense) {
  auto store = Open();
  EXPECT_THAT(store->Create({"kim", {}, std::nullopt}, clock_), IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_THAT(store->Create({"", {Scope{}}, std::nullopt}, clock_), IsErrorCode(ErrorCode::kInvalidArgument));
  EXPECT_FALSE(std::filesystem::exists(root() + "/tokens"));
}

TEST(LifetimeTest, ReadsUnits) {
  EXPECT_EQ(ParseLifetime("30d").value().count(), 30 * 86400);
  EXPECT_EQ(ParseLifetime("12h").value().count(), 12 * 3600);
  EXPECT_EQ(ParseLifetime("90m").value().count(), 5400);
  EXPECT_EQ(ParseLifetime("45s").value().count(), 45);
  for (const std::string text : {"", "30", "d", "0d", "-1d", "1.5d", "1w", "99999999999999999999d", "36501d"})
    EXPECT_THAT(ParseLifetime(text), IsErrorCode(ErrorCode::kInvalidArgument)) << text;
}

}  // namespace
}  // namespace sluice::auth
