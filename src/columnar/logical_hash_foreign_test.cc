// Logical hashes of Parquet files that another program wrote, against those its chains record. The files are
// not part of the source tree: the folder is named by SLUICE_SHARED, or lies beside the tree.
#include <arrow/record_batch.h>
#include <parquet/arrow/reader.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>

#include "base/testing/matchers.h"
#include "columnar/arrow_status.h"
#include "columnar/logical_hash.h"

namespace sluice::columnar {
namespace {

namespace fs = std::filesystem;
using multiformats::Multihash;

fs::path Fixtures() {
  const char* shared = std::getenv("SLUICE_SHARED");
  return (shared != nullptr ? fs::path(shared) : fs::path(SLUICE_SOURCE_DIR) / ".." / "shared") / "fixtures";
}

// All logical hashes in the dataset's blocks, found by the bytes that every one begins with.
std::set<std::string> RecordedHashes(const fs::path& dataset) {
  const std::string prefix = Multihash(multiformats::HashCode::kArrow0Sha3_256, {}).ToBytes().substr(0, 5);
  std::set<std::string> hashes;
  for (const auto& entry : fs::directory_iterator(dataset / "blocks")) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(file), {});
    for (size_t at = bytes.find(prefix); at != std::string::npos; at = bytes.find(prefix, at + 1)) {
      const auto hash = Multihash::FromBytes(std::string_view(bytes).substr(at, prefix.size() + 32));
      if (hash.ok()) hashes.insert(hash->ToString());
    }
  }
  return hashes;
}

Result<std::string> HashOfFile(const fs::path& path) {
  parquet::arrow::FileReaderBuilder builder;
  RETURN_IF_ARROW_ERROR(builder.OpenFile(path.string()));
  std::unique_ptr<parquet::arrow::FileReader> file;
  RETURN_IF_ARROW_ERROR(builder.Build(&file));
  ASSIGN_OR_RETURN_ARROW(const auto batches, file->GetRecordBatchReader());
  ASSIGN_OR_RETURN(LogicalHasher hasher, LogicalHasher::Make(batches->schema()));
  while (true) {
    std::shared_ptr<arrow::RecordBatch> batch;
    RETURN_IF_ARROW_ERROR(batches->ReadNext(&batch));
    if (batch == nullptr) break;
    RETURN_IF_ERROR(hasher.Update(*batch));
  }
  ASSIGN_OR_RETURN(const Multihash hash, hasher.Finish());
  return hash.ToString();
}

TEST(LogicalHashForeignTest, AgreesWithWhatTheChainsRecord) {
  if (!fs::exists(Fixtures())) {
    std::cout << "LogicalHashForeignTest.AgreesWithWhatTheChainsRecord is left out: there is no folder of "
                 "fixtures\n";
    return;
  }
  int files = 0;
  for (const char* dataset : {"kamu-v2-vessels.gps", "kamu-v3/ledger", "kamu-v3/changelog"}) {
    const std::set<std::string> recorded = RecordedHashes(Fixtures() / dataset);
    for (const auto& entry : fs::directory_iterator(Fixtures() / dataset / "data")) {
      ASSERT_OK_AND_ASSIGN(const std::string hash, HashOfFile(entry.path()));
      EXPECT_TRUE(recorded.contains(hash)) << entry.path() << " has " << hash;
      ++files;
    }
  }
  EXPECT_GE(files, 3);
  ASSERT_OK_AND_ASSIGN(const std::string vessels,
                       HashOfFile(Fixtures() / "kamu-v2-vessels.gps/data" /
                                  "f16208a51920c4c13476b55c4987a2224f35d21eda3593395a2eae010c99a7e32a3e4"));
  EXPECT_EQ(vessels, "f9680c00120130ebc2bc2cdf7958f829f8a59662ff4e9465e9d535f7474c1ef5d168a93a2fd");
}

}  // namespace
}  // namespace sluice::columnar
