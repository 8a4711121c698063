// Makes the input of the whole-run benchmarks: the same rows on every machine.
//
//   sluice_bench_data ROWS FILE [FIRST_ID]
//
// Seven columns, about 113 bytes a row: a unique key, times in order, a station of 5,000, a note of words,
// two floats, a count.
#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>

namespace {

constexpr const char* kWords[] = {"steady", "rising",   "falling", "calibrated", "north",  "south",
                                  "filter", "sensor",   "quiet",   "storm",      "cloudy", "maintenance",
                                  "dry",    "humidity", "valley",  "ridge"};
constexpr int64_t kFirstMillis = 1700000000000;
constexpr int64_t kMillisPerDay = 86400000;

// splitmix64: good enough, and the same everywhere.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

struct Date {
  int64_t year;
  unsigned month, day;
};

// Days since 1970 to a date of the Gregorian calendar.
Date ToDate(int64_t days) {
  days += 719468;
  const int64_t era = days / 146097;
  const auto of_era = static_cast<unsigned>(days - era * 146097);
  const unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  const unsigned day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const unsigned shifted = (5 * day_of_year + 2) / 153;
  const unsigned month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {static_cast<int64_t>(year_of_era) + era * 400 + (month <= 2 ? 1 : 0), month,
          day_of_year - (153 * shifted + 2) / 5 + 1};
}

void AppendRow(int64_t id, fmt::memory_buffer* out) {
  const uint64_t a = Mix(static_cast<uint64_t>(id)), b = Mix(a), c = Mix(b);
  const int64_t millis = kFirstMillis + id * 250;
  const Date date = ToDate(millis / kMillisPerDay);
  const int64_t of_day = millis % kMillisPerDay;
  fmt::format_to(std::back_inserter(*out), "{},{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z,station-{:05},", id,
                 date.year, date.month, date.day, of_day / 3600000, of_day / 60000 % 60, of_day / 1000 % 60,
                 of_day % 1000, a % 5000);
  for (int i = 0; i < 5; ++i)
    fmt::format_to(std::back_inserter(*out), "{}{}", i == 0 ? "" : " ", kWords[b >> (8 * i) & 15]);
  fmt::format_to(std::back_inserter(*out), " {},{:.3f},{:.6f},{}\n", c % 1000000,
                 static_cast<double>(c >> 20 & 0xffff) / 997.0 - 20,
                 static_cast<double>(c >> 36) / 268435.456, a >> 32 & 0xffff);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "usage: sluice_bench_data ROWS FILE [FIRST_ID]\n"), 2;
  const int64_t rows = std::atoll(argv[1]);
  const int64_t first = argc > 3 ? std::atoll(argv[3]) : 0;
  std::FILE* file = std::fopen(argv[2], "wb");
  if (file == nullptr) return std::perror(argv[2]), 1;
  fmt::memory_buffer buffer;
  auto flush = [&] {
    const bool written = std::fwrite(buffer.data(), 1, buffer.size(), file) == buffer.size();
    buffer.clear();
    return written;
  };
  fmt::format_to(std::back_inserter(buffer), "id,event_time,station,note,temperature,pressure,count\n");
  bool good = true;
  for (int64_t i = 0; i < rows && good; ++i) {
    AppendRow(first + i, &buffer);
    if (buffer.size() > (1 << 20)) good = flush();
  }
  good = good && flush();
  if (std::fclose(file) != 0 || !good) return std::perror(argv[2]), 1;
  return 0;
}
