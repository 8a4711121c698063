#include "columnar/json_text.h"

#include <arrow/array.h>
#include <arrow/builder.h>

#include "columnar/arrow_status.h"
#include "columnar/cell_text_internal.h"

namespace sluice::columnar {

Result<std::shared_ptr<arrow::Array>> ToJsonText(const arrow::Array& array) {
  CellColumn cells;
  RETURN_IF_ERROR(FormatCells(array, CellStyle::kJson, &cells));
  arrow::StringBuilder builder;
  for (int64_t row = 0; row < array.length(); ++row) {
    RETURN_IF_ARROW_ERROR(array.IsNull(row) ? builder.AppendNull()
                                            : builder.Append(cells[static_cast<size_t>(row)]));
  }
  ASSIGN_OR_RETURN_ARROW(auto texts, builder.Finish());
  return texts;
}

}  // namespace sluice::columnar
