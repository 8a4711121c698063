#include "cli/standard_input.h"

#include <unistd.h>

#include "read/reader.h"

namespace sluice::cli {

Result<std::string> ReadStandardInput() {
  constexpr size_t kPieceBytes = 64 << 10;
  const auto source = read::MakeFdSource(STDIN_FILENO, "standard input");
  std::string text;
  for (;;) {
    const size_t before = text.size();
    text.resize(before + kPieceBytes);
    ASSIGN_OR_RETURN(const size_t got, source->Read(text.data() + before, kPieceBytes));
    text.resize(before + got);
    if (got == 0) return text;
  }
}

}  // namespace sluice::cli
