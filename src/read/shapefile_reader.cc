#include "read/shapefile_reader.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <atomic>

#include "base/cancel.h"
#include "base/names.h"
#include "columnar/cast.h"
#include "read/dbf.h"
#include "read/json_text.h"
#include "read/ordered_workers.h"
#include "read/rejects.h"
#include "read/shp_file.h"
#include "read/shp_geometry.h"
#include "read/text_options.h"

namespace sluice::read {
namespace {

constexpr char kGeometry[] = "geometry";
constexpr size_t kMaxBlockRows = 16384;
constexpr size_t kCellsPerRound = 16384;
// Threads do not pay below.
constexpr uint64_t kSmallBytes = 1 << 20;

// Where a column's values come from.
struct ColumnPlan {
  enum class From : uint8_t { kNothing, kField, kShape };
  From from = From::kNothing;
  DbfField field;
  DbfTarget target = DbfTarget::kOther;
};

struct RowsPlan {
  std::shared_ptr<arrow::Schema> schema;
  std::vector<ColumnPlan> columns;
  DbfLayout table;
  columnar::CastOptions cast;
};

// Shapes and the records beside them.
struct Block {
  ShpBlock shapes;
  std::string records;
};

struct BlockRows {
  std::shared_ptr<arrow::RecordBatch> rows;
  std::vector<columnar::Reject> rejects;
};

// Texts grown into a String column without another copy.
class TextColumn {
 public:
  TextColumn() { offsets_.push_back(0); }
  std::string* text() { return &text_; }
  void EndValue(bool valid) {
    offsets_.push_back(static_cast<int32_t>(text_.size()));
    if (!valid)
      *validity_.Extend(1) = 0;
    else
      validity_.Extend(1);
  }
  std::shared_ptr<arrow::Array> Finish() {
    const auto length = static_cast<int64_t>(offsets_.size()) - 1;
    int64_t nulls = 0;
    std::vector<uint8_t> bitmap = validity_.TakeBitmap(&nulls);
    std::shared_ptr<arrow::Buffer> valid =
        bitmap.empty() ? nullptr : arrow::Buffer::FromVector(std::move(bitmap));
    return std::make_shared<arrow::StringArray>(length, arrow::Buffer::FromVector(std::move(offsets_)),
                                                arrow::Buffer::FromString(std::move(text_)), std::move(valid),
                                                nulls);
  }

 private:
  std::string text_;
  std::vector<int32_t> offsets_;
  columnar::ValidityBytes validity_;
};

// One block on its way to a batch. Confined to one thread.
class BlockCast {
 public:
  BlockCast(const RowsPlan& plan, const Block& block) : plan_(plan), block_(block) {}

  Result<BlockRows> Run() {
    ASSIGN_OR_RETURN(cells_, DbfCells::Make(plan_.table));
    FindRows();
    arrow::ArrayVector arrays;
    for (size_t c = 0; c < plan_.columns.size(); ++c) {
      ASSIGN_OR_RETURN(auto array, Column(c));
      arrays.push_back(std::move(array));
    }
    BlockRows out;
    auto batch =
        arrow::RecordBatch::Make(plan_.schema, static_cast<int64_t>(rows_.size()), std::move(arrays));
    ASSIGN_OR_RETURN(out.rows, DropRows(batch, rejects_.rows()));
    out.rejects = rejects_.Take();
    return out;
  }

 private:
  const char* RecordOf(size_t row) const {
    return block_.records.data() + rows_[row] * plan_.table.record_bytes;
  }

  void FindRows() {
    for (size_t i = 0; i < block_.shapes.shapes.size(); ++i) {
      if (block_.records[i * plan_.table.record_bytes] != '*') rows_.push_back(i);
    }
  }

  void Refuse(size_t row, const std::string& column, std::string_view value, std::string reason) {
    if (!rejects_.MarkRow(static_cast<int64_t>(row))) return;
    const std::string_view raw(RecordOf(row) + 1, plan_.table.record_bytes - 1);
    rejects_.Add(static_cast<int64_t>(block_.shapes.first + rows_[row]), -1, column, value, std::move(reason),
                 raw);
  }

  Result<std::shared_ptr<arrow::Array>> Column(size_t c) {
    const arrow::Field& field = *plan_.schema->field(static_cast<int>(c));
    const ColumnPlan& column = plan_.columns[c];
    if (column.from == ColumnPlan::From::kShape && field.type()->id() == arrow::Type::STRING)
      return Shapes(field);
    ASSIGN_OR_RETURN(auto caster, columnar::TextCaster::Make(field.type(), field.nullable(), plan_.cast));
    std::vector<std::string_view> cells;
    std::vector<columnar::BadCell> bad;
    for (size_t begin = 0; begin < rows_.size(); begin += kCellsPerRound) {
      const size_t end = std::min(rows_.size(), begin + kCellsPerRound);
      cells.assign(end - begin, {});
      arena_.Clear();
      for (size_t row = begin; row < end; ++row) cells[row - begin] = Cell(column, field.name(), row);
      bad.clear();
      RETURN_IF_ERROR(caster->Append(cells.data(), 1, cells.size(), &bad));
      for (columnar::BadCell& b : bad) Refuse(begin + b.row, field.name(), cells[b.row], std::move(b.reason));
    }
    return caster->Finish();
  }

  std::string_view Cell(const ColumnPlan& column, const std::string& name, size_t row) {
    std::string reason;
    std::string_view value;
    if (column.from == ColumnPlan::From::kField) {
      value = cells_->Cell(column.field, RecordOf(row), column.target, &arena_, &reason);
    } else if (column.from == ColumnPlan::From::kShape) {
      scratch_.clear();
      if (AppendShape(row, &scratch_)) value = arena_.Copy(scratch_);
      return value;
    }
    if (reason.empty()) return value;
    Refuse(row, name, value, std::move(reason));
    return {};
  }

  // True when the row has a shape.
  bool AppendShape(size_t row, std::string* out) {
    const size_t before = out->size();
    const auto outcome = geometry_.Append(block_.shapes.content(rows_[row]), out);
    if (outcome == ShpGeometryWriter::Outcome::kGeometry) return true;
    out->resize(before);
    if (outcome == ShpGeometryWriter::Outcome::kBad) Refuse(row, kGeometry, "", geometry_.reason());
    return false;
  }

  Result<std::shared_ptr<arrow::Array>> Shapes(const arrow::Field& field) {
    TextColumn column;
    for (size_t row = 0; row < rows_.size(); ++row) {
      const bool valid = AppendShape(row, column.text());
      if (column.text()->size() > INT32_MAX)
        return Error(ErrorCode::kTooLarge, "shapes of one batch exceed 2 GiB of text");
      column.EndValue(valid);
      if (!valid && !field.nullable()) Refuse(row, kGeometry, "", std::string(columnar::kNullInRequired));
    }
    return column.Finish();
  }

  const RowsPlan& plan_;
  const Block& block_;
  std::unique_ptr<DbfCells> cells_;
  ShpGeometryWriter geometry_;
  std::vector<size_t> rows_;  // the records that are not deleted
  TextArena arena_;
  std::string scratch_;
  RejectList rejects_;
};

class ShapefileReader final : public Reader {
 public:
  ShapefileReader(ShapefileParts parts, std::unique_ptr<ShpShapes> shapes,
                  std::shared_ptr<const RowsPlan> plan, const ReadOptions& options)
      : parts_(std::move(parts)),
        shapes_(std::move(shapes)),
        plan_(std::move(plan)),
        block_rows_(static_cast<size_t>(std::clamp<int64_t>(options.batch_rows, 1, kMaxBlockRows))),
        stop_(options.stop),
        workers_(
            parts_.shp->size() < kSmallBytes ? 1 : options.threads, [this] { return NextBlock(); },
            [this](const Block& block) { return BlockCast(*plan_, block).Run(); }) {}

  std::shared_ptr<arrow::Schema> schema() const override { return plan_->schema; }
  std::string projection() const override { return parts_.prj; }
  uint64_t bytes_read() const override { return bytes_read_.load(std::memory_order_relaxed); }

  Result<std::optional<ReadBatch>> Next() override {
    RETURN_IF_ERROR(CheckCancelled(stop_));
    ASSIGN_OR_RETURN(std::optional<BlockRows> block, workers_.Next());
    if (!block) return std::optional<ReadBatch>();
    return std::optional<ReadBatch>(ReadBatch{std::move(block->rows), std::move(block->rejects)});
  }

 private:
  Result<std::optional<Block>> NextBlock() {
    const DbfLayout& table = plan_->table;
    ASSIGN_OR_RETURN(std::optional<ShpBlock> shapes, shapes_->Next(block_rows_));
    if (!shapes) {
      if (seen_ != table.records) return OtherCount(seen_);
      return std::optional<Block>();
    }
    Block block;
    block.shapes = std::move(*shapes);
    const size_t count = block.shapes.shapes.size();
    if (count > table.records - seen_) return OtherCount(seen_ + count);
    block.records.resize(count * table.record_bytes);
    RETURN_IF_ERROR(parts_.dbf->ReadAt(table.header_bytes + seen_ * table.record_bytes, block.records.data(),
                                       block.records.size()));
    seen_ += count;
    bytes_read_ += block.shapes.bytes.size() + block.records.size();
    return std::optional<Block>(std::move(block));
  }

  Error OtherCount(uint64_t shapes) const {
    return InvalidArgument("'{}' has {}{} shapes and '{}' has {} records", parts_.shp->name(),
                           shapes > plan_->table.records ? "at least " : "", shapes, parts_.dbf->name(),
                           plan_->table.records);
  }

  ShapefileParts parts_;
  std::unique_ptr<ShpShapes> shapes_;
  std::shared_ptr<const RowsPlan> plan_;
  const size_t block_rows_;
  const std::stop_token stop_;
  uint64_t seen_ = 0;
  std::atomic<uint64_t> bytes_read_ = 0;
  OrderedWorkers<Block, BlockRows> workers_;  // last: its threads use the rest
};

// Columns without a schema, in alphabetical order.
std::shared_ptr<arrow::Schema> GuessSchema(const DbfLayout& table) {
  arrow::FieldVector fields = {arrow::field(kGeometry, arrow::utf8())};
  for (const DbfField& field : table.fields) {
    if (field.name != kGeometry) fields.push_back(arrow::field(field.name, TypeOfDbfField(field)));
  }
  std::sort(fields.begin(), fields.end(), [](const auto& a, const auto& b) { return a->name() < b->name(); });
  return arrow::schema(std::move(fields));
}

Status PlanColumns(bool strict, const std::string& input, RowsPlan* plan) {
  std::vector<std::string> names = {kGeometry};
  for (const DbfField& field : plan->table.fields) {
    names.push_back(field.name);
    if (strict && field.name != kGeometry && plan->schema->GetFieldIndex(field.name) < 0)
      return InvalidArgument("'{}': field '{}' is not in the schema", input, field.name);
  }
  for (const auto& field : plan->schema->fields()) {
    ColumnPlan column;
    const auto found = std::find_if(plan->table.fields.begin(), plan->table.fields.end(),
                                    [&](const DbfField& known) { return known.name == field->name(); });
    if (field->name() == kGeometry) {
      column.from = ColumnPlan::From::kShape;
    } else if (found != plan->table.fields.end()) {
      column.from = ColumnPlan::From::kField;
      column.field = *found;
      column.target = DbfTargetOf(*field->type());
    } else if (!field->nullable()) {
      return InvalidArgument("'{}' has no field '{}', which is non-nullable; its fields: {}", input,
                             field->name(), JoinNames(names));
    }
    plan->columns.push_back(std::move(column));
  }
  return {};
}

}  // namespace

Status CheckShapefileSchema(const arrow::Schema& schema) {
  for (const auto& field : schema.fields()) {
    auto caster = columnar::TextCaster::Make(field->type(), field->nullable());
    if (!caster.ok()) return std::move(caster).error().With(fmt::format("column '{}'", field->name()));
  }
  return {};
}

Result<std::unique_ptr<Reader>> OpenShapefileParts(const odf::ReadStep& step,
                                                   std::shared_ptr<arrow::Schema> declared,
                                                   ShapefileParts parts, const ReadOptions& options) {
  auto plan = std::make_shared<RowsPlan>();
  ASSIGN_OR_RETURN(plan->cast, CastOptionsOf(step));
  ASSIGN_OR_RETURN(plan->table, ReadDbfLayout(*parts.dbf, parts.cpg));
  plan->schema = declared ? std::move(declared) : GuessSchema(plan->table);
  RETURN_IF_ERROR(PlanColumns(options.strict_columns, parts.dbf->name(), plan.get()));
  ASSIGN_OR_RETURN(auto shapes, ShpShapes::Open(*parts.shp, parts.shx.get()));
  if (const auto count = shapes->count(); count && *count != plan->table.records) {
    return InvalidArgument("'{}' has {} shapes and '{}' has {} records", parts.shp->name(), *count,
                           parts.dbf->name(), plan->table.records);
  }
  return std::make_unique<ShapefileReader>(std::move(parts), std::move(shapes), std::move(plan), options);
}

}  // namespace sluice::read
