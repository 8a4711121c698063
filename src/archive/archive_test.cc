#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "archive/decompress.h"
#include "archive/zip.h"

namespace sluice::archive {
namespace {

// Hands out `bytes` in pieces of `piece`.
ReadBytes From(std::string bytes, size_t piece) {
  auto at = std::make_shared<size_t>(0);
  return [bytes, piece, at](char* buffer, size_t size) -> Result<size_t> {
    const size_t n = std::min({size, piece, bytes.size() - *at});
    std::memcpy(buffer, bytes.data() + *at, n);
    *at += n;
    return n;
  };
}

std::string Gzip(const std::string& text) {
  z_stream z{};
  deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(compressBound(text.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(out.size() - z.avail_out);
  deflateEnd(&z);
  return out;
}

Result<std::string> ReadAll(Codec codec, const std::string& bytes, size_t piece, size_t room,
                            Limits limits = {}) {
  ASSIGN_OR_RETURN(auto stream, Decompress(codec, From(bytes, piece), "x", limits));
  std::string text, buffer(room, '\0');
  while (true) {
    ASSIGN_OR_RETURN(const size_t n, stream->Read(buffer.data(), buffer.size()));
    if (n == 0) return text;
    text.append(buffer, 0, n);
  }
}

TEST(GzipTest, ReadsAllMembersHoweverTheyAreCut) {
  const std::string text = "hello, hello, hello", both = Gzip(text) + Gzip("") + Gzip(" world");
  for (size_t piece : {1, 2, 7, 1000}) {
    for (size_t room : {1, 5, 1000})
      EXPECT_EQ(ReadAll(Codec::kGzip, both, piece, room).value(), text + " world") << piece << " " << room;
  }
  EXPECT_EQ(ReadAll(Codec::kGzip, both + std::string(512, '\0'), 100, 100).value(), text + " world");
}

TEST(GzipTest, RefusesEveryCutAndEveryChange) {
  const std::string whole = Gzip("hello, hello, hello");
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(ReadAll(Codec::kGzip, whole.substr(0, size), 5, 100).ok()) << size;
  int accepted = 0;
  for (size_t i = 10; i < whole.size(); ++i) {  // behind the header, all of it is checked
    auto changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 0x10);
    accepted += ReadAll(Codec::kGzip, changed, 100, 100).ok() ? 1 : 0;
  }
  EXPECT_EQ(accepted, 0);
  EXPECT_FALSE(ReadAll(Codec::kGzip, whole + "garbage", 100, 100).ok());
}

TEST(LimitsTest, StopBombs) {
  const std::string bomb = Gzip(std::string(4 << 20, '\0'));
  Limits ratio;
  ratio.ratio_from_bytes = 1 << 20;
  auto refused = ReadAll(Codec::kGzip, bomb, 1000, 1 << 16, ratio);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kTooLarge);
  Limits bytes;
  bytes.max_bytes = 1000;
  EXPECT_EQ(ReadAll(Codec::kGzip, Gzip(std::string(2000, 'x')), 1000, 100, bytes).error().code(),
            ErrorCode::kTooLarge);
}

TEST(DecompressTest, RefusesWhatIsNotCompressed) {
  for (Codec codec : {Codec::kGzip, Codec::kZstd, Codec::kXz, Codec::kBzip2}) {
    for (const auto& text : {std::string(), std::string("id,name\n1,a\n"), std::string(1000, '\0')})
      EXPECT_FALSE(ReadAll(codec, text, 100, 100).ok()) << NameOf(codec);
  }
}

TEST(GlobTest, NamesPathsOrLastParts) {
  EXPECT_TRUE(MatchesGlob("a/b.csv", "a/b.csv"));
  EXPECT_TRUE(MatchesGlob("*.csv", "a/b.csv"));
  EXPECT_TRUE(MatchesGlob("a/*.csv", "a/b.csv"));
  EXPECT_FALSE(MatchesGlob("a/*.csv", "a/b/c.csv"));
  EXPECT_FALSE(MatchesGlob("*.txt", "a/b.csv"));
}

TEST(ZipTest, RefusesWhatIsNone) {
  char path[] = "/tmp/sluice-zip-XXXXXX";
  const int fd = mkstemp(path);
  ASSERT_GE(fd, 0);
  close(fd);
  std::ofstream(path) << "id,name\n1,a\n";
  EXPECT_FALSE(ZipFile::Open(path, "x").ok());
  EXPECT_FALSE(ZipFile::Open(std::string(path) + ".none", "x").ok());
  unlink(path);
}

}  // namespace
}  // namespace sluice::archive
