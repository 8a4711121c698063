#include "storage/testing/temp_folder.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace sluice::storage {

TempFolder::TempFolder() : path_(std::filesystem::temp_directory_path() / "sluice-test-XXXXXX") {
  if (mkdtemp(path_.data()) == nullptr) {
    std::perror("mkdtemp");
    std::abort();
  }
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace sluice::storage
