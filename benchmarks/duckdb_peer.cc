// The peer of the benchmarks: runs SQL statements in DuckDB and prints the seconds that each took, and its
// first value.
//
//   sluice_bench_duckdb THREADS SQL...
#include <duckdb.h>

#include <chrono>
#include <cstdio>
#include <string>

namespace {

bool Run(duckdb_connection connection, const std::string& sql, bool report) {
  duckdb_result result;
  const auto start = std::chrono::steady_clock::now();
  const bool good = duckdb_query(connection, sql.c_str(), &result) == DuckDBSuccess;
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (!good) std::fprintf(stderr, "%s\n", duckdb_result_error(&result));
  if (good && report) {
    char* value = duckdb_value_varchar(&result, 0, 0);
    std::printf("%.6f %s\n", seconds.count(), value == nullptr ? "" : value);
    duckdb_free(value);
  }
  duckdb_destroy_result(&result);
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "usage: sluice_bench_duckdb THREADS SQL...\n"), 2;
  duckdb_database database;
  duckdb_connection connection;
  if (duckdb_open(nullptr, &database) != DuckDBSuccess ||
      duckdb_connect(database, &connection) != DuckDBSuccess)
    return 1;
  bool good = Run(connection, std::string("SET threads TO ") + argv[1], false);
  for (int i = 2; i < argc && good; ++i) good = Run(connection, argv[i], true);
  duckdb_disconnect(&connection);
  duckdb_close(&database);
  return good ? 0 : 1;
}
