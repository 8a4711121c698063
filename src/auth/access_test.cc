#include "auth/access.h"

#include "base/testing/matchers.h"

namespace sluice::auth {
namespace {

using testing::HasSubstr;

Principal With(const std::vector<std::string>& scopes) {
  Principal principal{.account = "kim"};
  for (const std::string& scope : scopes) principal.scopes.push_back(ParseScope(scope).value());
  return principal;
}

TEST(AccessTest, ScopesComeBack) {
  for (const std::string text : {"admin", "read", "push", "push:river.gauges", "push:river.gauges/north/1"}) {
    ASSERT_OK_AND_ASSIGN(const Scope scope, ParseScope(text));
    EXPECT_EQ(ToString(scope), text);
  }
}

TEST(AccessTest, RefusesOtherScopes) {
  for (const std::string text :
       {"", "Admin", "write", "push:", "push:/s", "push:d/", "push:a b", "admin:x", "push:d\n"}) {
    EXPECT_THAT(ParseScope(text), IsError(ErrorCode::kInvalidArgument, HasSubstr("push:DATASET"))) << text;
  }
}

TEST(AccessTest, PushesOnlyWhereAllowed) {
  const Principal one = With({"push:gauges/north"});
  EXPECT_TRUE(one.MayPush("gauges", "north"));
  EXPECT_TRUE(one.MayPush("Gauges", "north")) << "names are the same without case";
  EXPECT_TRUE(one.MayPush("kim/gauges", "north"));
  EXPECT_TRUE(one.MayPush("gauges", std::nullopt)) << "to some source";
  EXPECT_FALSE(one.MayPush("gauges", "south"));
  EXPECT_FALSE(one.MayPush("gauges", "North")) << "sources differ by case";
  EXPECT_FALSE(one.MayPush("other", "north"));
  EXPECT_FALSE(one.MayPush("lee/gauges", "north"));
  EXPECT_TRUE(With({"push:gauges"}).MayPush("gauges", "south"));
  EXPECT_TRUE(With({"push"}).MayPush("any", "source"));
  EXPECT_TRUE(With({"admin"}).MayPush("any", "source"));
  EXPECT_FALSE(With({"read"}).MayPush("any", "source"));
  EXPECT_FALSE(With({}).MayPush("any", "source"));
}

TEST(AccessTest, ReadsStatesOfWhatItPushesTo) {
  const Principal one = With({"push:gauges/north"});
  EXPECT_TRUE(one.MayRead("gauges", "north"));
  EXPECT_FALSE(one.MayRead("gauges", "south"));
  EXPECT_FALSE(one.MayRead("gauges", std::nullopt));
  EXPECT_TRUE(With({"read"}).MayRead("gauges", std::nullopt));
  EXPECT_FALSE(With({"push"}).MayAdminister());
  EXPECT_TRUE(With({"read", "admin"}).MayAdminister());
}

TEST(AccessTest, ChecksAccounts) {
  EXPECT_THAT(CheckAccount("kim-1.x_y"), IsOk());
  for (const std::string name : {"", "a/b", "a b", "ä"})
    EXPECT_THAT(CheckAccount(name), IsErrorCode(ErrorCode::kInvalidArgument)) << name;
  EXPECT_THAT(CheckAccount(std::string(101, 'a')), IsErrorCode(ErrorCode::kInvalidArgument));
}

}  // namespace
}  // namespace sluice::auth
