#include "columnar/logical_hash.h"

#include <arrow/array.h>
#include <arrow/extension_type.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "columnar/logical_hash_internal.h"
#include "columnar/value_bytes_internal.h"
#include "multiformats/sha3.h"

namespace sluice::columnar {
namespace {

using multiformats::HashCode;
using multiformats::Multihash;
using multiformats::Sha3Digest;
using multiformats::Sha3Hasher;
using multiformats::Sha3Lanes;

// Rows that all columns encode before the lanes run: their bytes stay in the second-level cache.
constexpr int64_t kWindowRows = 4096;
// A column with longer values takes fewer rows at once.
constexpr size_t kMaxWindowBytes = 1 << 20;

// A column that has a stream of its own: a field, or a field of a struct.
struct Leaf {
  std::string name;  // path with dots, for messages
  std::string type_bytes;
  std::shared_ptr<arrow::DataType> seen_type;  // last type that was found to have these type bytes
};

// Memory of one column for the bytes of a window.
class Scratch {
 public:
  uint8_t* Reserve(size_t bytes) {
    if (bytes > capacity_) {
      capacity_ = std::max(bytes, 2 * capacity_);
      memory_ = std::make_unique_for_overwrite<uint8_t[]>(capacity_);
    }
    return memory_.get();
  }

 private:
  std::unique_ptr<uint8_t[]> memory_;
  size_t capacity_ = 0;
};

const arrow::DataType& StorageOf(const arrow::DataType& type) {
  if (type.id() != arrow::Type::EXTENSION) return type;
  return StorageOf(*static_cast<const arrow::ExtensionType&>(type).storage_type());
}

bool IsStruct(const arrow::DataType& type) { return StorageOf(type).id() == arrow::Type::STRUCT; }

Error AtColumn(const std::string& column, const Error& error) {
  return Error(error.code(), fmt::format("column '{}': {}", column, error.message()));
}

Result<std::string> TypeBytesOf(const std::string& column, const arrow::DataType& type) {
  auto bytes = TypeBytes(type);
  if (!bytes.ok()) return AtColumn(column, bytes.error());
  return bytes;
}

void AppendLength(uint64_t value, std::string* out) {
  for (int i = 0; i < 8; ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}

// Walks the fields depth first: what the record's stream begins with, and the leaves.
Status Walk(const arrow::FieldVector& fields, const std::string& path, uint64_t level,
            std::string* schema_bytes, std::vector<Leaf>* leaves) {
  for (const auto& field : fields) {
    AppendLength(field->name().size(), schema_bytes);
    *schema_bytes += field->name();
    AppendLength(level, schema_bytes);
    const std::string name = path + field->name();
    if (IsStruct(*field->type())) {
      RETURN_IF_ERROR(Walk(StorageOf(*field->type()).fields(), name + ".", level + 1, schema_bytes, leaves));
      continue;
    }
    ASSIGN_OR_RETURN(std::string type_bytes, TypeBytesOf(name, *field->type()));
    leaves->push_back({name, std::move(type_bytes), field->type()});
  }
  return OkStatus();
}

std::string_view Text(const uint8_t* begin, const uint8_t* end) {
  return {reinterpret_cast<const char*>(begin), static_cast<size_t>(end - begin)};
}

std::string_view Text(const Sha3Digest& digest) { return Text(digest.data(), digest.data() + digest.size()); }

}  // namespace

struct LogicalHasher::Impl {
  explicit Impl(size_t columns) : lanes(columns), scratch(columns), inputs(columns) {}

  Status AddColumn(const std::string& name, const arrow::DataType& type, const arrow::ArrayData& data,
                   std::vector<ColumnView>* views);
  Status CheckType(Leaf* leaf, const std::shared_ptr<arrow::DataType>& type);
  int64_t WindowRows(const std::vector<ColumnView>& views, int64_t begin, int64_t rows);
  void Absorb(const std::vector<ColumnView>& views, int64_t begin, int64_t rows);

  Sha3Lanes lanes;
  std::vector<Scratch> scratch;
  std::vector<std::string_view> inputs;
  std::vector<size_t> bounds;  // of the window at hand
  std::vector<Leaf> leaves;
  Sha3Hasher record;
  std::shared_ptr<arrow::Schema> schema;
};

Status LogicalHasher::Impl::CheckType(Leaf* leaf, const std::shared_ptr<arrow::DataType>& type) {
  if (type == leaf->seen_type) return OkStatus();
  const auto bytes = TypeBytes(*type);
  if (!bytes.ok() || *bytes != leaf->type_bytes) {
    return InvalidArgument("column '{}' has the type {} where the schema says {}", leaf->name,
                           type->ToString(), leaf->seen_type->ToString());
  }
  leaf->seen_type = type;
  return OkStatus();
}

// Appends the views of the leaves under the field `name`; views->size() says which leaf is next.
Status LogicalHasher::Impl::AddColumn(const std::string& name, const arrow::DataType& type,
                                      const arrow::ArrayData& data, std::vector<ColumnView>* views) {
  if (!IsStruct(type)) {
    RETURN_IF_ERROR(CheckType(&leaves[views->size()], data.type));
    views->push_back(ViewOf(data));
    return OkStatus();
  }
  const auto& fields = StorageOf(type).fields();
  if (!IsStruct(*data.type) || data.child_data.size() != fields.size()) {
    return InvalidArgument("column '{}' has the type {} where the schema says {}", name,
                           data.type->ToString(), type.ToString());
  }
  if (data.GetNullCount() > 0) {
    return Unsupported("column '{}': a struct with null rows has no logical hash", name);
  }
  for (size_t i = 0; i < fields.size(); ++i) {
    RETURN_IF_ERROR(AddColumn(name + "." + fields[i]->name(), *fields[i]->type(),
                              *data.child_data[i]->Slice(data.offset, data.length), views));
  }
  return OkStatus();
}

// How many of `rows` keep every column within kMaxWindowBytes; sets `bounds`.
int64_t LogicalHasher::Impl::WindowRows(const std::vector<ColumnView>& views, int64_t begin, int64_t rows) {
  rows = std::min(rows, kWindowRows);
  while (true) {
    size_t longest = 0;
    bounds.clear();
    for (const ColumnView& view : views) {
      bounds.push_back(view.is_direct() ? 0 : EncodedBound(view, begin, rows));
      longest = std::max(longest, bounds.back());
    }
    if (longest <= kMaxWindowBytes || rows == 1) return rows;
    rows = std::max<int64_t>(1, rows / 2);
  }
}

void LogicalHasher::Impl::Absorb(const std::vector<ColumnView>& views, int64_t begin, int64_t rows) {
  for (size_t i = 0; i < views.size(); ++i) {
    const ColumnView& view = views[i];
    if (view.is_direct()) {
      inputs[i] = Text(view.direct(begin), view.direct(begin + rows));
      continue;
    }
    uint8_t* out = scratch[i].Reserve(bounds[i]);
    inputs[i] = Text(out, EncodeValues(view, begin, rows, out));
  }
  lanes.Update(inputs);
}

LogicalHasher::LogicalHasher(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LogicalHasher::LogicalHasher(LogicalHasher&&) noexcept = default;
LogicalHasher& LogicalHasher::operator=(LogicalHasher&&) noexcept = default;
LogicalHasher::~LogicalHasher() = default;

Result<LogicalHasher> LogicalHasher::Make(const std::shared_ptr<arrow::Schema>& schema) {
  std::string schema_bytes;
  std::vector<Leaf> leaves;
  RETURN_IF_ERROR(Walk(schema->fields(), "", 0, &schema_bytes, &leaves));
  auto impl = std::make_unique<Impl>(leaves.size());
  impl->schema = schema;
  impl->record.Update(schema_bytes);
  for (size_t i = 0; i < leaves.size(); ++i) impl->inputs[i] = leaves[i].type_bytes;
  impl->lanes.Update(impl->inputs);
  impl->leaves = std::move(leaves);
  return LogicalHasher(std::move(impl));
}

Status LogicalHasher::Update(const arrow::RecordBatch& batch) {
  const arrow::Schema& schema = *impl_->schema;
  if (batch.num_columns() != schema.num_fields()) {
    return InvalidArgument("batch has {} columns where the schema has {}", batch.num_columns(),
                           schema.num_fields());
  }
  std::vector<ColumnView> views;
  views.reserve(impl_->leaves.size());
  for (int i = 0; i < schema.num_fields(); ++i) {
    RETURN_IF_ERROR(
        impl_->AddColumn(schema.field(i)->name(), *schema.field(i)->type(), *batch.column_data(i), &views));
  }
  for (int64_t begin = 0; begin < batch.num_rows();) {
    const int64_t rows = impl_->WindowRows(views, begin, batch.num_rows() - begin);
    impl_->Absorb(views, begin, rows);
    begin += rows;
  }
  return OkStatus();
}

Result<Multihash> LogicalHasher::Finish() {
  for (const Sha3Digest& digest : impl_->lanes.Finish()) impl_->record.Update(Text(digest));
  return Multihash(HashCode::kArrow0Sha3_256, impl_->record.Finish());
}

Status CheckHashable(const std::string& column, const arrow::DataType& type) {
  if (!IsStruct(type)) {
    RETURN_IF_ERROR(TypeBytesOf(column, type));
    return OkStatus();
  }
  for (const auto& field : StorageOf(type).fields()) {
    RETURN_IF_ERROR(CheckHashable(column + "." + field->name(), *field->type()));
  }
  return OkStatus();
}

Result<std::string> ArrayStream(const arrow::Array& array) {
  ASSIGN_OR_RETURN(std::string stream, TypeBytes(*array.type()));
  const ColumnView view = ViewOf(*array.data());
  Scratch scratch;
  uint8_t* out = scratch.Reserve(EncodedBound(view, 0, array.length()));
  stream += Text(out, EncodeValues(view, 0, array.length(), out));
  return stream;
}

Result<Sha3Digest> ArrayDigest(const arrow::Array& array) {
  ASSIGN_OR_RETURN(const std::string stream, ArrayStream(array));
  return multiformats::Sha3(stream);
}

}  // namespace sluice::columnar
