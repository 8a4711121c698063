#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <random>

#include "base/testing/matchers.h"
#include "read/blocks.h"
#include "read/csv_scan.h"
#include "read/json_text.h"
#include "read/ndjson_scan.h"
#include "read/testing/read_text.h"

// The scanners against slow and simple versions of themselves, on small random inputs cut at every place.
namespace sluice::read {
namespace {

using Cell = std::optional<std::string>;
using Record = std::vector<Cell>;

struct Scanned {
  std::vector<Record> rows;
  size_t bad = 0;
  size_t unterminated = 0;
};

// One character after the other.
Scanned NaiveCsv(const CsvDialect& d, const std::string& text, size_t columns) {
  Scanned out;
  Record record;
  std::string field;
  size_t record_begin = 0;
  bool in_quotes = false, start = true,
       plain_cr = false;  // the field's last character is a CR outside of quotes
  const auto end_field = [&](bool last) {
    if (last && plain_cr) field.pop_back();
    record.push_back(field == d.null_text ? Cell() : Cell(field));
    field.clear();
    start = true;
    plain_cr = false;
  };
  const auto end_record = [&](size_t end) {
    const std::string raw = text.substr(record_begin, end - record_begin);
    if (!raw.empty() && raw != "\r") {
      end_field(true);
      if (record.size() == columns) {
        out.rows.push_back(record);
      } else {
        ++out.bad;
      }
    }
    record.clear();
    field.clear();
    start = true;
    plain_cr = false;
    record_begin = end + 1;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool more = i + 1 < text.size();
    if (in_quotes) {
      if ((c == d.quote && more && text[i + 1] == c) || (c != d.quote && c == d.escape && more)) {
        field += text[++i];
      } else if (c == d.quote) {
        in_quotes = false;
      } else {
        field += c;
      }
    } else if (c == '\n') {
      end_record(i);
    } else if (c == d.separator) {
      end_field(false);
    } else if (c == d.quote && start) {
      in_quotes = true;
      start = false;
    } else {
      field += c;
      start = false;
      plain_cr = c == '\r';
    }
  }
  if (in_quotes) {
    ++out.bad;
    ++out.unterminated;
  } else if (record_begin < text.size()) {
    end_record(text.size());
  }
  return out;
}

Scanned Scan(const CsvDialect& d, const std::string& text, size_t columns, size_t block_bytes,
             size_t round_rows) {
  Scanned out;
  BlockSplitter splitter(testing::MakeDripSource(text, 3), block_bytes,
                         [&](std::string_view t) { return FindLastRecordEnd(d, t); }, {});
  for (;;) {
    auto block = splitter.Next();
    if (!block.ok() || !block->has_value()) break;
    CsvScanner scanner(d, (*block)->text(), columns);
    CsvRows rows;
    while (scanner.Fill(round_rows, &rows)) {
      for (size_t r = 0; r < rows.rows.size(); ++r) {
        Record record;
        for (size_t c = 0; c < columns; ++c) {
          const std::string_view cell = rows.cells[r * columns + c];
          record.push_back(cell.data() == nullptr ? Cell() : Cell(cell));
        }
        out.rows.push_back(std::move(record));
      }
      out.bad += rows.bad.size();
      for (const CsvBadRecord& bad : rows.bad) out.unterminated += bad.unterminated;
    }
  }
  return out;
}

TEST(CsvPropertyTest, AgreesWithOneCharacterAfterTheOther) {
  std::mt19937 random(7);
  const std::string alphabet = ",,\"\"\"\\\n\n\rab;'";
  for (int round = 0; round < 6000; ++round) {
    CsvDialect d;
    switch (round % 5) {
      case 1:
        d.escape = -1;
        break;
      case 2:
        d.quote = -1;
        break;
      case 3:
        d.escape = '"';
        break;
      case 4:
        d.separator = ';', d.quote = '\'', d.null_text = "a";
        break;
      default:
        break;
    }
    std::string text;
    // Some go over the 64 bytes that are looked at together.
    const size_t size = random() % (round % 7 == 0 ? 200 : 24);
    for (size_t i = 0; i < size; ++i) text += alphabet[random() % alphabet.size()];
    const size_t columns = 1 + random() % 3;
    const Scanned expected = NaiveCsv(d, text, columns);
    for (size_t block = 1; block <= std::min<size_t>(text.size() + 1, 40); ++block) {
      const Scanned found = Scan(d, text, columns, block, 1 + block % 4);
      ASSERT_EQ(found.rows, expected.rows)
          << "text " << ::testing::PrintToString(text) << " dialect " << round % 5 << " block " << block;
      ASSERT_EQ(found.bad, expected.bad) << "text " << ::testing::PrintToString(text) << " block " << block;
      ASSERT_EQ(found.unterminated, expected.unterminated) << ::testing::PrintToString(text);
    }
  }
}

nlohmann::json RandomJson(std::mt19937* random, int depth) {
  switch ((*random)() % (depth > 3 ? 6 : 8)) {
    case 0:
      return nullptr;
    case 1:
      return (*random)() % 2 == 0;
    case 2:
      return static_cast<int64_t>((*random)()) * ((*random)() % 2 == 0 ? 1 : -1);
    case 3:
      return static_cast<double>((*random)()) / 1024.0;
    case 4:
      return "text \n\t\"\\/ \x01 \xc3\xa9\xf0\x9f\x98\x80";
    case 5:
      return std::string((*random)() % 40, 'x');
    case 6: {
      nlohmann::json array = nlohmann::json::array();
      for (size_t i = (*random)() % 4; i > 0; --i) array.push_back(RandomJson(random, depth + 1));
      return array;
    }
    default: {
      nlohmann::json object = nlohmann::json::object();
      for (size_t i = (*random)() % 4; i > 0; --i)
        object["k" + std::to_string((*random)() % 5)] = RandomJson(random, depth + 1);
      return object;
    }
  }
}

std::string Padded(std::string text) { return text.append(kBlockPadding, '\0'); }

// The canonical form of all of `text`, nothing when it is not JSON.
std::optional<std::string> Canonical(const std::string& text) {
  const std::string padded = Padded(text);
  const char* start = SkipJsonSpace(padded.data());
  JsonError error;
  const char* end = SkipJsonValue(start, 0, &error);
  if (end == nullptr || SkipJsonSpace(end) != padded.data() + text.size()) return std::nullopt;
  return CanonicalJson({start, static_cast<size_t>(end - start)});
}

TEST(JsonPropertyTest, ReadsWhatAnotherLibraryWrites) {
  std::mt19937 random(11);
  for (int round = 0; round < 5000; ++round) {
    const nlohmann::json value = RandomJson(&random, 0);
    const std::string text = value.dump(round % 2 == 0 ? -1 : 2, ' ', round % 3 == 0);
    const auto canonical = Canonical(text);
    ASSERT_TRUE(canonical.has_value()) << text;
    ASSERT_EQ(nlohmann::json::parse(*canonical), value) << text;
    ASSERT_EQ(nlohmann::json::parse(*canonical).dump(), value.dump()) << text;
  }
}

TEST(JsonPropertyTest, RefusesWhatAnotherLibraryRefuses) {
  std::mt19937 random(13);
  const std::string alphabet = "{}[],:\"\\ue-+.019tfn \n";
  for (int round = 0; round < 40000; ++round) {
    std::string text = RandomJson(&random, 1).dump();
    if (text.size() > 200) continue;
    for (size_t changes = 1 + random() % 2; changes > 0; --changes) {
      const size_t at = random() % text.size();
      // Within a character of several bytes it would no longer be UTF-8, which is checked elsewhere.
      if (static_cast<unsigned char>(text[at]) >= 0x80) continue;
      if (random() % 2 == 0) {
        text[at] = alphabet[random() % alphabet.size()];
      } else {
        text.erase(at, 1);
      }
      if (text.empty()) text = " ";
    }
    if (!nlohmann::json::accept(text) && text.find_first_of("eE") != std::string::npos)
      continue;  // it refuses 1e999
    ASSERT_EQ(Canonical(text).has_value(), nlohmann::json::accept(text)) << text;
  }
}

TEST(JsonPropertyTest, FindsTheSameRecordsInBlocksOfAnySize) {
  std::mt19937 random(17);
  for (int round = 0; round < 400; ++round) {
    std::string text;
    std::vector<std::string> expected;
    for (size_t i = random() % 6; i > 0; --i) {
      nlohmann::json record = nlohmann::json::object();
      for (size_t k = random() % 3; k > 0; --k) record["k" + std::to_string(k)] = RandomJson(&random, 3);
      expected.push_back(record.dump());
      text += record.dump(random() % 3 == 0 ? 1 : -1) + (random() % 4 == 0   ? " "
                                                         : random() % 4 == 0 ? "\r\n\n"
                                                                             : "\n");
    }
    for (size_t block_bytes = 1; block_bytes <= std::min<size_t>(text.size() + 1, 64); ++block_bytes) {
      BlockSplitter splitter(testing::MakeDripSource(text, 5), block_bytes, FindLastJsonRecordEnd, {});
      std::vector<std::string> found;
      for (;;) {
        ASSERT_OK_AND_ASSIGN(auto block, splitter.Next());
        if (!block) break;
        NdJsonScanner scanner(block->text());
        std::string_view object;
        while (scanner.NextObject(&object)) found.push_back(nlohmann::json::parse(object).dump());
      }
      ASSERT_EQ(found, expected) << text << " block " << block_bytes;
    }
  }
}

}  // namespace
}  // namespace sluice::read
