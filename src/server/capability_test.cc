#include "server/capability.h"

#include <gtest/gtest.h>

namespace sluice::server {
namespace {

std::set<Capability> NeedsOfUrl(const std::string& url) {
  odf::FetchUrl fetch;
  fetch.url = url;
  odf::SetPollingSource source;
  source.fetch = fetch;
  return NeededCapabilities({odf::MetadataEvent(source)});
}

TEST(CapabilityTest, AnAddressTellsByItsScheme) {
  using Set = std::set<Capability>;
  EXPECT_EQ(NeedsOfUrl("https://example.com/a?b=${c}"), Set());
  EXPECT_EQ(NeedsOfUrl("file:///etc/passwd"), Set{Capability::kFile});
  EXPECT_EQ(NeedsOfUrl("FILE:/etc/passwd"), Set{Capability::kFile});
  EXPECT_EQ(NeedsOfUrl(" file:///etc/passwd"), Set{Capability::kFile});
  EXPECT_EQ(NeedsOfUrl("\tfi\nle:///etc/passwd"), Set{Capability::kFile});
  EXPECT_EQ(NeedsOfUrl("/etc/passwd"), Set{Capability::kFile});
  EXPECT_EQ(NeedsOfUrl("exec:steal"), Set{Capability::kExec});
  EXPECT_EQ(NeedsOfUrl("sftp://host/a"), Set{Capability::kSsh});
  EXPECT_EQ(NeedsOfUrl("https://example.com/${{ env.HOME }}"), Set{Capability::kEnv});
  EXPECT_EQ(NeedsOfUrl("https://example.com/${{env.HOME}}"), Set{Capability::kEnv});
}

// What a template turns out to be is known when it is too late.
TEST(CapabilityTest, ASchemeThatIsATemplateNeedsAllThatSchemesCanNeed) {
  const auto needed = NeedsOfUrl("${{ env.SCHEME }}:///etc/passwd");
  for (const auto one : {Capability::kExec, Capability::kFile, Capability::kSsh, Capability::kEnv})
    EXPECT_TRUE(needed.contains(one)) << NameOf(one);
}

TEST(CapabilityTest, StepsTellToo) {
  odf::SetPollingSource source;
  source.fetch = odf::FetchFilesGlob{};
  EXPECT_EQ(NeededCapabilities({odf::MetadataEvent(source)}), std::set{Capability::kFilesGlob});
  source.fetch = odf::FetchContainer{};
  EXPECT_EQ(NeededCapabilities({odf::MetadataEvent(source)}), std::set{Capability::kContainer});
  odf::FetchUrl url;
  url.url = "https://example.com";
  source.fetch = url;
  source.prepare = std::vector<odf::PrepStep>{odf::PrepPipe{}};
  EXPECT_EQ(NeededCapabilities({odf::MetadataEvent(source)}), std::set{Capability::kPipe});
}

TEST(CapabilityTest, WhatIsNotGrantedIsNamed) {
  odf::SetPollingSource source;
  source.fetch = odf::FetchFilesGlob{};
  const std::vector<odf::MetadataEvent> events = {odf::MetadataEvent(source)};
  EXPECT_TRUE(CheckCapabilities(events, {Capability::kFilesGlob}).ok());
  const auto refused = CheckCapabilities(events, {Capability::kPipe});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kPermissionDenied);
  EXPECT_NE(refused.error().message().find("may not use filesGlob"), std::string::npos);
}

TEST(CapabilityTest, NamesAreReadAsTheyAreWritten) {
  for (const auto capability : AllCapabilities()) {
    const auto read = ParseCapability(NameOf(capability));
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(*read, capability);
  }
  EXPECT_FALSE(ParseCapability("pipes").ok());
}

}  // namespace
}  // namespace sluice::server
