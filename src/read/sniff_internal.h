#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "read/blocks.h"
#include "read/reader.h"
#include "read/sniff.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

// Parts of sniff.cc.
namespace sluice::read {

// An input that can be opened again and again, unpacked.
struct SniffInput {
  std::string path;  // on disk, as it is
  std::string name;
  std::string inner_name;  // with the endings of compression gone, or that of the archive's entry
  std::optional<odf::PrepStep> prepare;
  std::function<Result<std::unique_ptr<ByteSource>>()> open;
  std::string head;  // the first kHeadBytes, unpacked
  bool head_is_all = false;
  bool is_shapefile = false;
  std::string shapes;  // the .shp to choose in an archive of several
};
inline constexpr size_t kSniffHeadBytes = 512 << 10;

Result<SniffInput> OpenSniffInput(const std::string& path, const SniffOptions& options,
                                  std::vector<std::string>* notes);

// The character set of the head: empty = UTF-8.
std::string SniffEncoding(const SniffInput& input, std::vector<std::string>* notes);

// Separator, quotes, header, formats of dates and types for a table of text in UTF-8. `text` ends with a
// whole record.
void SniffCsv(const TextBlock& text, odf::ReadStep* step, std::vector<std::string>* notes);

// Which columns tell records apart, have NULLs, and an example of each. Confined to one thread.
class ColumnFacts {
 public:
  explicit ColumnFacts(const arrow::Schema& schema);
  ~ColumnFacts();
  void Add(const arrow::RecordBatch& batch);

  int64_t records() const { return records_; }
  bool has_nulls(size_t column) const;
  const std::string& example(size_t column) const;
  // Columns that are no float and have another value in every record, in order.
  bool is_unique(size_t column) const;
  // Whether two columns together do.
  bool is_unique(size_t first, size_t second) const;
  // Pairs with `first` are only counted when it was named before the first Add.
  void PairWith(size_t first);

 private:
  struct Column;
  std::vector<Column> columns_;
  std::optional<size_t> pair_;
  int64_t records_ = 0;
};

}  // namespace sluice::read
