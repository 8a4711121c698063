// Rows that link to objects in the data folder.
#include <arrow/array/builder_binary.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "base/testing/matchers.h"
#include "dataset/testing/sample.h"
#include "dataset/verify.h"
#include "multiformats/sha3.h"
#include "odf/object_links.h"

namespace sluice::dataset {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kLinkType[] =
    R"({"opendatafabric.org/type":{"kind":"ObjectLink","linkType":{"kind":"Multihash"}}})";

Multihash HashOf(std::string_view bytes) {
  return Multihash(multiformats::HashCode::kSha3_256, multiformats::Sha3(bytes));
}

class VerifyLinksTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto schema = testing::SampleSchema();
    for (auto& field : schema.schema->fields) {
      if (field.name == "city") field.extra = kLinkType;
    }
    ASSERT_OK_AND_ASSIGN(dataset_,
                         Dataset::Create(stores_, testing::SampleSeed(), {schema}, testing::SampleTime(0)));
  }

  // A block with one row for each text.
  void Commit(const std::vector<std::string>& links, std::optional<odf::LinkedObjectCounts> counts) {
    const Instant time = testing::SampleTime(1);
    auto rows = testing::SampleRows(0, static_cast<int64_t>(links.size()), time);
    arrow::StringBuilder builder;
    ASSERT_TRUE(builder.AppendValues(links).ok());
    const int city = rows->schema()->GetFieldIndex("city");
    rows = rows->SetColumn(city, rows->schema()->field(city), builder.Finish().ValueOrDie()).ValueOrDie();
    CommitRequest request;
    request.system_time = time;
    ASSERT_OK_AND_ASSIGN(auto written, testing::WriteSlice(dataset_->files(), rows, 0));
    auto data = testing::NextData(dataset_->state(), written.slice);
    if (counts) data.extra = odf::ToExtra(*counts);
    request.events.push_back(std::move(data));
    request.slices.push_back(std::move(written.staged));
    ASSERT_OK(dataset_->Commit(std::move(request)));
  }
  std::string Store(const std::string& bytes) {
    EXPECT_OK(stores_.files->PutIfAbsent(DataName(HashOf(bytes)), bytes));
    return HashOf(bytes).ToString();
  }
  std::vector<std::string> Violations() {
    auto report = Verify(stores_, {});
    EXPECT_OK(report);
    std::vector<std::string> texts;
    for (const auto& violation : report->violations) texts.push_back(violation.ToString());
    return texts;
  }

  DatasetStores stores_ = testing::MemoryStores();
  std::unique_ptr<Dataset> dataset_;
};

TEST_F(VerifyLinksTest, HoldsWhenObjectsAreThere) {
  const std::string a = Store("one"), b = Store("three");
  Commit({a, b, a}, odf::LinkedObjectCounts{3, 11});
  EXPECT_THAT(Violations(), IsEmpty());
}

TEST_F(VerifyLinksTest, NamesAnObjectThatIsNotThere) {
  const std::string gone = HashOf("gone").ToString();
  Commit({Store("one"), gone}, std::nullopt);
  EXPECT_THAT(Violations(), ElementsAre(AllOf(HasSubstr("linked-object"), HasSubstr(gone))));
}

TEST_F(VerifyLinksTest, NamesAnObjectThatWasChanged) {
  const std::string a = Store("one");
  Commit({a}, std::nullopt);
  ASSERT_OK(stores_.files->Replace(DataName(HashOf("one")), "two"));
  EXPECT_THAT(Violations(), ElementsAre(AllOf(HasSubstr("physical-hash"), HasSubstr("data/" + a))));
}

TEST_F(VerifyLinksTest, NamesALinkThatIsNoHash) {
  Commit({Store("one"), "not-a-multihash"}, std::nullopt);
  EXPECT_THAT(Violations(), ElementsAre(AllOf(HasSubstr("row 1"), HasSubstr("'not-a-multihash'"))));
}

TEST_F(VerifyLinksTest, ComparesWithWhatTheBlockRecords) {
  Commit({Store("one")}, odf::LinkedObjectCounts{2, 6});
  EXPECT_THAT(Violations(),
              ElementsAre(HasSubstr("1 linked objects of 3 bytes where the block records 2 of 6")));
}

}  // namespace
}  // namespace sluice::dataset
