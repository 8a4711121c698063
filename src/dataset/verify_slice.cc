#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>

#include "columnar/logical_hash.h"
#include "columnar/slice.h"
#include "dataset/verify_internal.h"
#include "odf/arrow_schema.h"

namespace sluice::dataset {
namespace {

constexpr int64_t kLastOp = static_cast<int64_t>(odf::Op::kCorrectTo);

// Values that break a rule: the first one is told, the others are counted.
class Tally {
 public:
  void Add(int64_t row, std::string what) {
    if (count_++ == 0) first_ = fmt::format("row {}: {}", row, what);
  }
  bool empty() const { return count_ == 0; }
  std::string ToString() const {
    return count_ == 1 ? first_ : fmt::format("{} (and {} more rows)", first_, count_ - 1);
  }

 private:
  uint64_t count_ = 0;
  std::string first_;
};

// Calls `visit(row in batch, value)` for every row; value is absent for NULL.
template <class ArrayType, class Visit>
void VisitValues(const arrow::Array& column, const Visit& visit) {
  const auto& array = static_cast<const ArrayType&>(column);
  const auto* values = array.raw_values();
  for (int64_t i = 0; i < array.length(); ++i) {
    visit(i, array.IsNull(i) ? std::optional<int64_t>()
                             : std::optional<int64_t>(static_cast<int64_t>(values[i])));
  }
}

// False when the column's type is not an integer.
template <class Visit>
bool VisitIntegers(const arrow::Array& column, const Visit& visit) {
  switch (column.type_id()) {
    case arrow::Type::INT8:
      VisitValues<arrow::Int8Array>(column, visit);
      return true;
    case arrow::Type::INT16:
      VisitValues<arrow::Int16Array>(column, visit);
      return true;
    case arrow::Type::INT32:
      VisitValues<arrow::Int32Array>(column, visit);
      return true;
    case arrow::Type::INT64:
      VisitValues<arrow::Int64Array>(column, visit);
      return true;
    case arrow::Type::UINT8:
      VisitValues<arrow::UInt8Array>(column, visit);
      return true;
    case arrow::Type::UINT16:
      VisitValues<arrow::UInt16Array>(column, visit);
      return true;
    case arrow::Type::UINT32:
      VisitValues<arrow::UInt32Array>(column, visit);
      return true;
    case arrow::Type::UINT64:
      VisitValues<arrow::UInt64Array>(column, visit);
      return true;
    default:
      return false;
  }
}

// The last value of a time column's unit that is not after `limit`.
int64_t LastAllowed(Instant limit, arrow::TimeUnit::type unit) {
  const int64_t millis = limit.ToMillis();
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      return limit.seconds;
    case arrow::TimeUnit::MILLI:
      return millis;
    case arrow::TimeUnit::MICRO:
      return millis * 1'000 + 999;
    case arrow::TimeUnit::NANO:
      return millis * 1'000'000 + 999'999;
  }
  return millis;
}

class SliceChecker {
 public:
  SliceChecker(const FileClaim& file, Findings& findings)
      : file_(file),
        claim_(*file.slice),
        findings_(findings),
        links_(file, findings),
        next_offset_(claim_.offsets.start) {}

  Status Run(const storage::Storage& storage, const std::stop_token& stop,
             const std::function<void(uint64_t)>& done);

 private:
  void Report(std::string_view rule, std::string detail) { findings_.Add(file_, rule, std::move(detail)); }
  // True when the error is about the file and is now a finding.
  bool Absorb(std::string_view rule, const Error& error);
  void CheckColumns(const arrow::Schema& schema);
  void CheckRows(const arrow::RecordBatch& batch);
  void CheckOffsets(const arrow::Array& column);
  void CheckOps(const arrow::Array& column);
  void CheckSystemTimes(const arrow::Array& column);
  void CheckNulls(const arrow::RecordBatch& batch);
  void Conclude();

  const FileClaim& file_;
  const SliceClaim& claim_;
  Findings& findings_;
  LinkChecker links_;
  int64_t row_ = 0;  // of the batch at hand
  uint64_t next_offset_;
  int offset_ = -1, op_ = -1, system_time_ = -1;
  std::vector<int> required_;  // columns that may not hold NULL and could
  Tally offsets_, ops_, system_times_, nulls_;
};

bool SliceChecker::Absorb(std::string_view rule, const Error& error) {
  switch (error.code()) {
    case ErrorCode::kCorruption:
    case ErrorCode::kUnsupported:
    case ErrorCode::kInvalidArgument:
      Report(rule, error.ToString());
      return true;
    default:
      return false;
  }
}

void SliceChecker::CheckColumns(const arrow::Schema& schema) {
  const ColumnsInForce& in_force = *claim_.columns;
  offset_ = schema.GetFieldIndex(in_force.vocabulary.offset);
  op_ = schema.GetFieldIndex(in_force.vocabulary.op);
  system_time_ = schema.GetFieldIndex(in_force.vocabulary.system_time);
  auto columns = odf::FromArrow(schema);
  if (!columns.ok()) return Report(rule::kSchema, columns.error().ToString());
  for (std::string& difference : CompareColumns(in_force, *columns))
    Report(rule::kSchema, std::move(difference));
  if (!in_force.schema) return;
  const auto& fields = in_force.schema->fields;
  for (int i = 0; i < schema.num_fields() && static_cast<size_t>(i) < fields.size(); ++i) {
    if (schema.field(i)->nullable() && !fields[static_cast<size_t>(i)].type.is_option())
      required_.push_back(i);
  }
}

void SliceChecker::CheckOffsets(const arrow::Array& column) {
  if (column.type_id() != arrow::Type::INT64) return;  // said by the schema's check
  const auto& array = static_cast<const arrow::Int64Array&>(column);
  const int64_t* values = array.raw_values();
  const bool has_nulls = array.null_count() > 0;
  for (int64_t i = 0; i < array.length(); ++i, ++next_offset_) {
    if (has_nulls && array.IsNull(i)) {
      offsets_.Add(row_ + i, fmt::format("no offset where {} should be", next_offset_));
    } else if (static_cast<uint64_t>(values[i]) != next_offset_) {
      offsets_.Add(row_ + i, fmt::format("offset {} where {} should be", values[i], next_offset_));
    }
  }
}

void SliceChecker::CheckOps(const arrow::Array& column) {
  VisitIntegers(column, [&](int64_t i, std::optional<int64_t> op) {
    if (!op) {
      ops_.Add(row_ + i, "no operation code");
    } else if (*op < 0 || *op > kLastOp) {
      ops_.Add(row_ + i, fmt::format("operation code {} is not one of 0 to {}", *op, kLastOp));
    }
  });
}

void SliceChecker::CheckSystemTimes(const arrow::Array& column) {
  if (column.type_id() != arrow::Type::TIMESTAMP) return;
  const auto unit = static_cast<const arrow::TimestampType&>(*column.type()).unit();
  const int64_t last = LastAllowed(claim_.system_time, unit);
  VisitValues<arrow::TimestampArray>(column, [&](int64_t i, std::optional<int64_t> time) {
    if (!time) {
      system_times_.Add(row_ + i, "no system time");
    } else if (*time > last) {
      system_times_.Add(row_ + i, fmt::format("system time {} is later than the block's {}", *time,
                                              FormatInstant(claim_.system_time)));
    }
  });
}

void SliceChecker::CheckNulls(const arrow::RecordBatch& batch) {
  for (int column : required_) {
    if (batch.column(column)->null_count() == 0) continue;
    int64_t row = 0;
    while (batch.column(column)->IsValid(row)) ++row;
    nulls_.Add(row_ + row, fmt::format("column '{}' holds NULL, which the schema does not allow",
                                       batch.column_name(column)));
  }
}

void SliceChecker::CheckRows(const arrow::RecordBatch& batch) {
  if (offset_ >= 0) CheckOffsets(*batch.column(offset_));
  if (op_ >= 0) CheckOps(*batch.column(op_));
  if (system_time_ >= 0) CheckSystemTimes(*batch.column(system_time_));
  CheckNulls(batch);
  links_.CheckRows(batch, row_);
  row_ += batch.num_rows();
}

void SliceChecker::Conclude() {
  if (!offsets_.empty()) Report(rule::kOffsets, offsets_.ToString());
  if (!ops_.empty()) Report(rule::kOp, ops_.ToString());
  if (!system_times_.empty()) Report(rule::kSystemTime, system_times_.ToString());
  if (!nulls_.empty()) Report(rule::kSchema, nulls_.ToString());
}

Status SliceChecker::Run(const storage::Storage& storage, const std::stop_token& stop,
                         const std::function<void(uint64_t)>& done) {
  auto reader = columnar::SliceReader::Open(storage, file_.name);
  if (!reader.ok()) {
    if (Absorb(rule::kSliceFormat, reader.error())) return {};
    return std::move(reader).error();
  }
  CheckColumns(*(*reader)->schema());
  const uint64_t claimed = claim_.offsets.end - claim_.offsets.start + 1;
  const auto rows = static_cast<uint64_t>((*reader)->rows());
  if (rows != claimed) {
    Report(rule::kRows, fmt::format("{} rows where the block records offsets {} to {}, which are {}", rows,
                                    claim_.offsets.start, claim_.offsets.end, claimed));
  }
  std::optional<columnar::LogicalHasher> hasher;
  if (auto made = columnar::LogicalHasher::Make((*reader)->schema()); made.ok()) {
    hasher.emplace(*std::move(made));
  } else if (!Absorb(rule::kLogicalHash, made.error())) {
    return std::move(made).error();
  }
  uint64_t told = 0;
  while (true) {
    if (stop.stop_requested()) return MakeError(ErrorCode::kCancelled, "verification was stopped");
    auto batch = (*reader)->Next();
    if (!batch.ok()) {
      if (!Absorb(rule::kSliceFormat, batch.error())) return std::move(batch).error();
      Conclude();
      return {};
    }
    if (*batch == nullptr) break;
    if (hasher) {
      if (const auto status = hasher->Update(**batch); !status.ok()) {
        if (!Absorb(rule::kLogicalHash, status.error())) return status;
        hasher.reset();
      }
    }
    CheckRows(**batch);
    const auto share = static_cast<double>(row_) / static_cast<double>(std::max<uint64_t>(1, rows));
    const auto so_far = static_cast<uint64_t>(share * static_cast<double>(file_.size));
    done(so_far - told);
    told = so_far;
  }
  Conclude();
  RETURN_IF_ERROR(links_.Finish(storage));
  if (!hasher) return {};
  ASSIGN_OR_RETURN(const Multihash actual, hasher->Finish());
  if (actual != claim_.logical_hash) {
    Report(rule::kLogicalHash, fmt::format("the rows hash to {} where the block records {}",
                                           actual.ToString(), claim_.logical_hash.ToString()));
  }
  return {};
}

}  // namespace

Status CheckSlice(const storage::Storage& storage, const FileClaim& file, const std::stop_token& stop,
                  const std::function<void(uint64_t bytes)>& done, Findings& findings) {
  return SliceChecker(file, findings).Run(storage, stop, done);
}

}  // namespace sluice::dataset
