#include "read/csv_scan.h"

#include <bit>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace sluice::read {
namespace {

#if defined(__SSE2__)
// Bit i is set where byte i of the 64 at `p` equals one of the four characters.
uint64_t MatchAny(const char* p, char a, char b, char c, char d) {
  const __m128i va = _mm_set1_epi8(a), vb = _mm_set1_epi8(b), vc = _mm_set1_epi8(c), vd = _mm_set1_epi8(d);
  uint64_t mask = 0;
  for (int i = 0; i < 4; ++i) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + i * 16));
    const __m128i ab = _mm_or_si128(_mm_cmpeq_epi8(v, va), _mm_cmpeq_epi8(v, vb));
    const __m128i cd = _mm_or_si128(_mm_cmpeq_epi8(v, vc), _mm_cmpeq_epi8(v, vd));
    const auto bits = static_cast<uint32_t>(_mm_movemask_epi8(_mm_or_si128(ab, cd)));
    mask |= static_cast<uint64_t>(bits) << (i * 16);
  }
  return mask;
}
#else
uint64_t MatchAny(const char* p, char a, char b, char c, char d) {
  uint64_t mask = 0;
  for (int i = 0; i < 64; ++i) {
    const bool match = p[i] == a || p[i] == b || p[i] == c || p[i] == d;
    mask |= static_cast<uint64_t>(match) << i;
  }
  return mask;
}
#endif

// The characters that matter besides separator and line feed; where there is none, line feed again.
char QuoteOrNone(const CsvDialect& d) { return d.quote < 0 ? '\n' : static_cast<char>(d.quote); }
char EscapeOrNone(const CsvDialect& d) {
  return d.quote < 0 || d.escape < 0 ? '\n' : static_cast<char>(d.escape);
}

}  // namespace

size_t FindLastRecordEnd(const CsvDialect& dialect, std::string_view text) {
  if (text.empty()) return 0;
  const char* data = text.data();
  if (dialect.quote < 0 || std::memchr(data, dialect.quote, text.size()) == nullptr) {
    const void* last = ::memrchr(data, '\n', text.size());
    return last == nullptr ? 0 : static_cast<size_t>(static_cast<const char*>(last) - data) + 1;
  }
  const char quote = static_cast<char>(dialect.quote), escape = EscapeOrNone(dialect);
  size_t end = 0;
  bool in_quotes = false;
  size_t i = 0;
  while (i < text.size()) {
    uint64_t mask = 0;
    size_t width = 64;
    if (i + 64 <= text.size()) {
      mask = MatchAny(data + i, '\n', quote, escape, quote);
    } else {
      char tail[64] = {};
      width = text.size() - i;
      std::memcpy(tail, data + i, width);
      mask = MatchAny(tail, '\n', quote, escape, quote);
    }
    size_t next = i + width;
    while (mask != 0) {
      const size_t p = i + static_cast<size_t>(std::countr_zero(mask));
      mask &= mask - 1;
      const char c = data[p];
      if (!in_quotes) {
        if (c == '\n') {
          end = p + 1;
        } else if (c == quote && (p == 0 || data[p - 1] == dialect.separator || data[p - 1] == '\n')) {
          in_quotes = true;
        }
        continue;
      }
      if (c == '\n') continue;
      const bool pair = c == quote ? p + 1 < text.size() && data[p + 1] == quote : true;
      // The second of a pair is not looked at; it may lie in the next word.
      if ((c == quote || c == escape) && pair) {
        if (p + 1 >= next) {
          next = p + 2;
        } else if (mask != 0 && i + static_cast<size_t>(std::countr_zero(mask)) == p + 1) {
          mask &= mask - 1;
        }
      } else {
        in_quotes = false;
      }
    }
    i = next;
  }
  return end;
}

struct CsvScanner::Cursor {
  size_t record = 0;  // begin of the record
  size_t field = 0;   // begin of the field
  size_t column = 0;
  size_t row_cells = 0;  // index of the row's first cell
  uint32_t first_line = 0;
  bool quoted = false;   // the field began with a quote
  bool complex = false;  // and has doubled or escaped characters, or text behind the closing quote
  size_t close = 0;      // where its quote was closed
};

CsvScanner::CsvScanner(const CsvDialect& dialect, std::string_view block, size_t columns)
    : dialect_(dialect), block_(block), columns_(columns) {}

inline uint64_t CsvScanner::Specials(size_t word) const {
  // May look into the padding, whose zeros are never special.
  return MatchAny(block_.data() + word, dialect_.separator, '\n', QuoteOrNone(dialect_),
                  EscapeOrNone(dialect_));
}

std::string_view CsvScanner::Decode(const char* begin, const char* end) {
  if (!decoded_) decoded_.reset(new char[block_.size()]);
  char* const out = decoded_.get() + decoded_size_;
  char* o = out;
  bool in_quotes = true;
  for (const char* p = begin + 1; p < end; ++p) {
    if (in_quotes && *p == dialect_.quote) {
      if (p + 1 < end && p[1] == *p) {
        *o++ = *p++;
      } else {
        in_quotes = false;
      }
    } else if (in_quotes && *p == dialect_.escape && p + 1 < end) {
      *o++ = *++p;
    } else {
      *o++ = *p;
    }
  }
  decoded_size_ += static_cast<size_t>(o - out);
  return {out, static_cast<size_t>(o - out)};
}

inline std::string_view CsvScanner::CellOf(const Cursor& cursor, size_t end) {
  const char* data = block_.data();
  std::string_view cell;
  if (!cursor.quoted) {
    cell = {data + cursor.field, end - cursor.field};
  } else if (!cursor.complex && cursor.close + 1 == end) {
    cell = {data + cursor.field + 1, end - cursor.field - 2};
  } else {
    cell = Decode(data + cursor.field, data + end);
  }
  if (cell == dialect_.null_text) return {};
  return cell;
}

inline void CsvScanner::EndField(Cursor* cursor, size_t end, CsvRows* out) {
  if (cursor->column < columns_) out->cells[cursor->row_cells + cursor->column] = CellOf(*cursor, end);
  ++cursor->column;
  cursor->quoted = cursor->complex = false;
}

void CsvScanner::EndRecord(Cursor* cursor, size_t end, CsvRows* out) {
  const size_t next = end + 1;
  if (end > cursor->field && block_[end - 1] == '\r') --end;
  const bool blank = end == cursor->record;
  if (!blank) {
    EndField(cursor, end, out);
    const CsvRow row{static_cast<uint32_t>(cursor->record), static_cast<uint32_t>(end), records_,
                     cursor->first_line};
    ++records_;
    if (cursor->column == columns_) {
      out->rows.push_back(row);
      cursor->row_cells += columns_;
    } else {
      out->bad.push_back({row, cursor->column, false});
    }
  }
  cursor->record = cursor->field = position_ = next;
  cursor->column = 0;
  cursor->first_line = lines_;
}

bool CsvScanner::Fill(size_t max_rows, CsvRows* out) {
  out->rows.clear();
  out->bad.clear();
  out->cells.resize(max_rows * columns_);
  decoded_size_ = 0;
  if (position_ >= block_.size()) return false;

  const char* data = block_.data();
  const char separator = dialect_.separator;
  const char quote = QuoteOrNone(dialect_), escape = EscapeOrNone(dialect_);
  Cursor cursor;
  cursor.record = cursor.field = position_;
  cursor.first_line = lines_;
  bool in_quotes = false;
  size_t skip_until = 0;
  size_t word = position_ & ~static_cast<size_t>(63);
  uint64_t mask = Specials(word) & (~0ULL << (position_ - word));
  // A row's worth of bad records must not grow without bound either.
  const auto full = [&] { return out->rows.size() == max_rows || out->bad.size() == max_rows; };
  for (;;) {
    while (mask == 0) {
      word += 64;
      if (word >= block_.size()) break;
      mask = Specials(word);
    }
    if (mask == 0) break;
    const size_t p = word + static_cast<size_t>(std::countr_zero(mask));
    mask &= mask - 1;
    const char c = data[p];
    if (!in_quotes) [[likely]] {
      if (c == separator) {
        EndField(&cursor, p, out);
        cursor.field = p + 1;
      } else if (c == '\n') {
        ++lines_;
        EndRecord(&cursor, p, out);
        if (full()) return true;
      } else if (c == quote && p == cursor.field) {
        in_quotes = cursor.quoted = true;
      }
      continue;
    }
    if (p < skip_until) {
      lines_ += c == '\n';
    } else if (c == quote) {
      if (data[p + 1] == quote) {
        cursor.complex = true;
        skip_until = p + 2;
      } else {
        in_quotes = false;
        cursor.close = p;
      }
    } else if (c == '\n') {
      ++lines_;
    } else if (c == escape) {
      cursor.complex = true;
      skip_until = p + 2;
    }
  }
  if (cursor.record < block_.size()) {
    const size_t end = block_.size();
    if (in_quotes) {
      const CsvRow row{static_cast<uint32_t>(cursor.record), static_cast<uint32_t>(end), records_++,
                       cursor.first_line};
      out->bad.push_back({row, cursor.column + 1, true});
      position_ = end;
    } else {
      ++lines_;
      EndRecord(&cursor, end, out);
    }
  }
  position_ = block_.size();
  return !out->rows.empty() || !out->bad.empty();
}

}  // namespace sluice::read
