#include "odf/schema.h"

#include <gtest/gtest.h>

#include "odf/events.h"
#include "odf/testing/vectors.h"

namespace sluice::odf {
namespace {

TEST(SchemaTest, NamesEveryKind) {
  EXPECT_EQ(NameOf(TypeKind::kBinary), "Binary");
  EXPECT_EQ(NameOf(TypeKind::kUInt64), "UInt64");
  EXPECT_EQ(NameOf(TypeKind::kString), "String");
  EXPECT_EQ(NameOf(ReadFormat::kNdGeoJson), "NdGeoJson");
  EXPECT_EQ(NameOf(MergeKind::kUpsertStream), "UpsertStream");
  EXPECT_EQ(KindNameOf(Seed{}), "Seed");
  EXPECT_EQ(KindNameOf(DisablePollingSource{}), "DisablePollingSource");
}

TEST(SchemaTest, PrintsTypes) {
  DataType decimal = DataType::Of(TypeKind::kDecimal);
  decimal.precision = 10;
  decimal.scale = 2;
  DataType time = DataType::Of(TypeKind::kTimestamp);
  EXPECT_EQ(ToString(time), "Timestamp");
  time.unit = TimeUnit::kMicrosecond;
  time.timezone = "UTC";
  EXPECT_EQ(ToString(time), "Timestamp(Microsecond, UTC)");
  EXPECT_EQ(ToString(DataType::Option(DataType::List(decimal))), "Option<List<Decimal(10, 2)>>");
  EXPECT_EQ(ToString(DataSchema{{{"a", decimal, {}}, {"b", time, {}}}, {}}),
            "a Decimal(10, 2)\nb Timestamp(Microsecond, UTC)\n");
}

TEST(SchemaTest, TreatsExplicitDefaultsAsAbsent) {
  const DataType absent = DataType::Of(TypeKind::kTimestamp);
  DataType explicit_defaults = absent;
  explicit_defaults.unit = TimeUnit::kMillisecond;
  explicit_defaults.timezone = "UTC";
  EXPECT_NE(absent, explicit_defaults);
  EXPECT_TRUE(EquivalentTypes(DataType::Option(absent), DataType::Option(explicit_defaults)));
  explicit_defaults.unit = TimeUnit::kSecond;
  EXPECT_FALSE(EquivalentTypes(absent, explicit_defaults));
  EXPECT_FALSE(EquivalentTypes(absent, DataType::Option(absent)));
}

TEST(SchemaTest, ComparesNestedFieldsByNameAndType) {
  DataType a = DataType::Of(TypeKind::kStruct);
  a.fields = {{"x", DataType::Of(TypeKind::kInt32), {}}};
  DataType b = a;
  b.fields[0].extra = R"({"a/b":1})";
  EXPECT_TRUE(EquivalentTypes(a, b));
  b.fields[0].name = "y";
  EXPECT_FALSE(EquivalentTypes(a, b));
}

}  // namespace
}  // namespace sluice::odf
