// Datasets of other programs hold.
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "base/testing/matchers.h"
#include "dataset/verify.h"

namespace sluice::dataset {
namespace {

namespace fs = std::filesystem;

DatasetStores StoresAt(const fs::path& folder) {
  auto files = storage::OpenLocalStorage(folder.string());
  EXPECT_OK(files);
  return {std::move(files).value(), storage::MakeMemoryStorage()};
}

void ExpectHolds(const fs::path& folder) {
  SCOPED_TRACE(folder);
  ASSERT_OK_AND_ASSIGN(const VerifyReport report, Verify(StoresAt(folder), {}));
  for (const Violation& violation : report.violations) ADD_FAILURE() << violation.ToString();
  EXPECT_GT(report.blocks, 0u);
}

TEST(VerifyForeignTest, ChainsOfTheReferenceHold) {
  const fs::path vectors = fs::path(SLUICE_SOURCE_DIR) / "tests/vectors/kamu-v3";
  ExpectHolds(vectors / "ledger");
  ExpectHolds(vectors / "changelog");
}

TEST(VerifyForeignTest, ChainsOfVersion2Hold) {
  const char* shared = std::getenv("SLUICE_SHARED");
  const fs::path root = (shared ? fs::path(shared) : fs::path(SLUICE_SOURCE_DIR) / "../shared") / "fixtures";
  for (const char* name : {"kamu-v2-gps", "kamu-v2-vessels.gps"}) {
    if (!fs::exists(root / name)) {
      std::cout << "VerifyForeignTest.ChainsOfVersion2Hold is left out for " << name << ": it is not there\n";
      continue;
    }
    ExpectHolds(root / name);
  }
}

}  // namespace
}  // namespace sluice::dataset
