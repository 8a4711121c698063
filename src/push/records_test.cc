#include "push/records_internal.h"

#include <string>
#include <vector>

#include "base/testing/matchers.h"

namespace sluice::push {
namespace {

using testing::ElementsAre;

// Cut with the bytes arriving `piece` at a time.
std::vector<std::string> Cut(RecordFormat format, const std::string& text, size_t piece) {
  RecordScanner scanner(format);
  std::vector<std::string> records;
  std::string held;
  size_t scanned = 0;
  for (size_t at = 0; at < text.size(); at += piece) {
    held += text.substr(at, piece);
    for (size_t end = 0; (end = scanner.FindEnd(held, scanned)) != std::string::npos;) {
      records.push_back(held.substr(0, end));
      held.erase(0, end);
      scanned = 0;
      scanner.Reset();
    }
    scanned = held.size();
  }
  if (!held.empty()) records.push_back(held);
  return records;
}

TEST(RecordsTest, CutsLines) {
  for (const size_t piece : {1, 2, 3, 100}) {
    EXPECT_THAT(Cut(RecordFormat::kLines, "{\"a\":\"x\"}\n\n{\"b\"\nrest", piece),
                ElementsAre("{\"a\":\"x\"}\n", "\n", "{\"b\"\n", "rest"));
  }
}

TEST(RecordsTest, KeepsQuotedLineEndsInTheirRecord) {
  const std::string text =
      "a,b\r\n1,\"two\nlines\"\n2,\"say \"\"yes\"\"\nno\"\n3,5\" pipe\n\"\",\"\"\n\"x\ny\"\tz\n";
  for (const size_t piece : {1, 2, 3, 5, 100}) {
    EXPECT_THAT(Cut(RecordFormat::kCsv, text, piece),
                ElementsAre("a,b\r\n", "1,\"two\nlines\"\n", "2,\"say \"\"yes\"\"\nno\"\n", "3,5\" pipe\n",
                            "\"\",\"\"\n", "\"x\ny\"\tz\n"));
  }
}

TEST(RecordsTest, KnowsBlanks) {
  EXPECT_TRUE(IsBlank(""));
  EXPECT_TRUE(IsBlank(" \t\r\n"));
  EXPECT_FALSE(IsBlank("x\n"));
}

}  // namespace
}  // namespace sluice::push
