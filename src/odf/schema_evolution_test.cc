#include "base/testing/matchers.h"
#include "odf/testing/chain_builder.h"

namespace sluice::odf {
namespace {

using namespace odf::testing;

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

using Fields = std::vector<DataField>;

DataType StructOf(Fields fields) {
  DataType type = DataType::Of(TypeKind::kStruct);
  type.fields = std::move(fields);
  return type;
}
DataField Typed(std::string name, DataType type) {
  return {.name = std::move(name), .type = std::move(type)};
}

Status Evolve(Fields before, Fields after, bool allow_optionality = false) {
  return CheckSchemaEvolution({.fields = std::move(before)}, {.fields = std::move(after)}, allow_optionality);
}
auto Refused(std::string_view detail) {
  return IsError(ErrorCode::kInvalidArgument,
                 AllOf(StartsWith("InvalidEvent: the schema cannot evolve like this: "),
                       HasSubstr(std::string(detail))));
}
auto Identical() { return IsError(ErrorCode::kInvalidArgument, StartsWith("NoOpEvent: ")); }

const DataField kA = Column("a", TypeKind::kInt64);
const DataField kB = Column("b", TypeKind::kString);
const DataField kOptionA = OptionalColumn("a", TypeKind::kInt64);
const DataField kWideA = Column("a", TypeKind::kInt32);

TEST(SchemaEvolutionTest, IdenticalIsNoEvent) {
  EXPECT_THAT(Evolve({kA, kB}, {kA, kB}), Identical());
  DataField implicit = Column("t", TypeKind::kTimestamp);
  DataField explicit_default = implicit;
  explicit_default.type.unit = TimeUnit::kMillisecond;
  explicit_default.type.timezone = "UTC";
  EXPECT_THAT(Evolve({implicit}, {explicit_default}), Identical());
  EXPECT_THAT(Evolve({Typed("l", DataType::List(implicit.type))},
                     {Typed("l", DataType::List(explicit_default.type))}),
              Identical());
}

TEST(SchemaEvolutionTest, AttributesMayChangeAtEveryLevel) {
  DataField described = kA;
  described.extra = R"({"opendatafabric.org/description":"x"})";
  EXPECT_OK(Evolve({kA}, {described}));
  EXPECT_OK(Evolve({described}, {kA}));
  EXPECT_OK(Evolve({Typed("s", StructOf({kA}))}, {Typed("s", StructOf({described}))}));
  EXPECT_OK(CheckSchemaEvolution({.fields = {kA}}, {.fields = {kA}, .extra = "{\"a\":1}"}, false));
}

TEST(SchemaEvolutionTest, OrderMayChange) { EXPECT_OK(Evolve({kA, kB}, {kB, kA})); }

TEST(SchemaEvolutionTest, OnlyOptionalColumnsAreAdded) {
  EXPECT_OK(Evolve({kB}, {kOptionA, kB}));
  EXPECT_THAT(Evolve({kB}, {kB, kA}),
              Refused("column 'a' was added as Int64, an added column has to be an Option"));
}

TEST(SchemaEvolutionTest, NothingIsRemovedOrRenamed) {
  EXPECT_THAT(Evolve({kA, kB}, {kB}), Refused("column 'a' was removed"));
  EXPECT_THAT(Evolve({kA}, {OptionalColumn("c", TypeKind::kInt64)}), Refused("column 'a' was removed"));
}

TEST(SchemaEvolutionTest, TypesStay) {
  EXPECT_THAT(Evolve({kA}, {kWideA}), Refused("column 'a' changed from Int64 to Int32"));
  DataField seconds = Column("t", TypeKind::kTimestamp);
  seconds.type.unit = TimeUnit::kSecond;
  EXPECT_THAT(Evolve({Column("t", TypeKind::kTimestamp)}, {seconds}), Refused("column 't' changed from"));
  DataType decimal = DataType::Of(TypeKind::kDecimal);
  decimal.precision = 10;
  decimal.scale = 2;
  DataType wider = decimal;
  wider.scale = 3;
  EXPECT_THAT(Evolve({Typed("d", decimal)}, {Typed("d", wider)}), Refused("column 'd' changed from"));
}

TEST(SchemaEvolutionTest, OptionalityStaysExceptAfterALegacySchema) {
  EXPECT_THAT(Evolve({kA}, {kOptionA}), Refused("column 'a' changed from Int64 to Option<Int64>"));
  EXPECT_THAT(Evolve({kOptionA}, {kA}), Refused("column 'a' changed from Option<Int64> to Int64"));
  EXPECT_OK(Evolve({kA}, {kOptionA}, true));
  EXPECT_OK(Evolve({kOptionA}, {kA}, true));
  EXPECT_THAT(Evolve({kOptionA}, {kWideA}, true), Refused("column 'a' changed from Option<Int64> to Int32"));
}

TEST(SchemaEvolutionTest, TypesAreComparedWhateverElseDiffers) {
  EXPECT_THAT(Evolve({kA, kB}, {kB, kWideA}), Refused("column 'a' changed from Int64 to Int32"))
      << "reordered";
  EXPECT_THAT(Evolve({kA}, {kWideA, OptionalColumn("c", TypeKind::kString)}), Refused("column 'a' changed"))
      << "with an added column";
  EXPECT_THAT(Evolve({kA, kB}, {kWideA}),
              AllOf(Refused("column 'a' changed"), Refused("column 'b' was removed")));
}

TEST(SchemaEvolutionTest, StructsAndListsFollowTheSameRules) {
  const auto in_struct = [](Fields fields) { return Fields{Typed("s", StructOf(std::move(fields)))}; };
  EXPECT_OK(Evolve(in_struct({kA}), in_struct({kA, OptionalColumn("c", TypeKind::kString)})));
  EXPECT_OK(Evolve(in_struct({kA, kB}), in_struct({kB, kA})));
  EXPECT_THAT(Evolve(in_struct({kB}), in_struct({kB, kA})), Refused("column 's.a' was added as Int64"));
  EXPECT_THAT(Evolve(in_struct({kA, kB}), in_struct({kB})), Refused("column 's.a' was removed"));
  EXPECT_THAT(Evolve(in_struct({kA, kB}), in_struct({kB, kWideA})),
              Refused("column 's.a' changed from Int64 to Int32"));

  const auto in_list = [](DataType item) { return Fields{Typed("l", DataType::List(std::move(item)))}; };
  EXPECT_THAT(Evolve(in_list(kA.type), in_list(kWideA.type)),
              Refused("column 'l[]' changed from Int64 to Int32"));
  EXPECT_THAT(Evolve(in_list(kA.type), in_list(kOptionA.type)), Refused("column 'l[]' changed"));
  EXPECT_OK(Evolve(in_list(StructOf({kA})), in_list(StructOf({kA, OptionalColumn("c", TypeKind::kString)}))));
  EXPECT_THAT(Evolve(in_list(StructOf({kA, kB})), in_list(StructOf({kB}))),
              Refused("column 'l[].a' was removed"));
  Fields fixed = in_list(kA.type);
  fixed[0].type.fixed_length = 3;
  EXPECT_THAT(Evolve(in_list(kA.type), fixed), Refused("column 'l' changed"));
}

TEST(SchemaEvolutionTest, MapsStayAsTheyAre) {
  const auto map = [](DataType value) {
    DataType type = DataType::Of(TypeKind::kMap);
    type.children = {DataType::Of(TypeKind::kString), std::move(value)};
    return Fields{Typed("m", type)};
  };
  EXPECT_THAT(Evolve(map(kA.type), map(kWideA.type)), Refused("column 'm' changed"));
  EXPECT_THAT(Evolve(map(StructOf({kA})), map(StructOf({kA, OptionalColumn("c", TypeKind::kString)}))),
              Refused("column 'm' changed"));
}

// --- SetDataSchema in a chain ---

TEST(SetDataSchemaTest, HoldsExactlyOneForm) {
  ChainBuilder chain;
  EXPECT_THAT(chain.Append(SetDataSchema{}),
              IsError(ErrorCode::kInvalidArgument, StartsWith("InvalidEvent: SetDataSchema has neither")));
  SetDataSchema both = TestSchema();
  both.raw_arrow_schema = "x";
  EXPECT_THAT(chain.Append(both),
              IsError(ErrorCode::kInvalidArgument, StartsWith("InvalidEvent: SetDataSchema has both")));
  EXPECT_THAT(
      chain.Append(SetDataSchema{.raw_arrow_schema = "x"}),
      IsError(ErrorCode::kInvalidArgument, StartsWith("InvalidEvent: rawArrowSchema cannot be read: ")));
}

TEST(SetDataSchemaTest, EvolvesAndRefuses) {
  ChainBuilder chain;
  EXPECT_OK(chain.Append(TestSchema({kA})));
  EXPECT_FALSE(chain.state().schema_is_legacy);
  EXPECT_THAT(chain.Append(TestSchema({kA})), Identical());
  EXPECT_THAT(chain.Append(TestSchema({kWideA})), Refused("column 'a' changed from Int64 to Int32"));
  EXPECT_THAT(chain.Append(TestSchema({kOptionA})),
              Refused("column 'a' changed from Int64 to Option<Int64>"));
  EXPECT_OK(chain.Append(TestSchema({kA, OptionalColumn("c", TypeKind::kString)})));
  EXPECT_EQ(chain.state().schema->fields.size(), 6u);
}

TEST(SetDataSchemaTest, ReplayTakesTheReferencesDefect) {
  ChainBuilder chain;
  EXPECT_OK(chain.Append(TestSchema({kA, kB})));
  EXPECT_THAT(chain.Append(TestSchema({kWideA, kB}), Judging::kReplay), Refused("column 'a' changed"));
  EXPECT_THAT(chain.Append(TestSchema({kB}), Judging::kReplay), Refused("column 'a' was removed"));
  EXPECT_THAT(chain.Append(TestSchema({kB, kWideA})), Refused("column 'a' changed"));
  EXPECT_OK(chain.Append(TestSchema({kB, kWideA}), Judging::kReplay));
}

TEST(SetDataSchemaTest, SystemColumnsHaveTheirTypes) {
  const auto with = [](size_t index, DataType type) {
    SetDataSchema event = TestSchema();
    event.schema->fields[index].type = std::move(type);
    return event;
  };
  const auto wrong = [](std::string_view detail) {
    return IsError(ErrorCode::kInvalidArgument,
                   AllOf(StartsWith("InvalidEvent: system column "), HasSubstr(std::string(detail))));
  };
  DataType seconds = DataType::Of(TypeKind::kTimestamp);
  seconds.unit = TimeUnit::kSecond;
  EXPECT_THAT(ChainBuilder().Append(with(0, DataType::Of(TypeKind::kUInt64))),
              wrong("'offset' has to be Int64, not UInt64"));
  EXPECT_THAT(ChainBuilder().Append(with(1, DataType::Of(TypeKind::kString))),
              wrong("'op' has to be Int32, not String"));
  EXPECT_THAT(ChainBuilder().Append(with(2, DataType::Of(TypeKind::kDate))),
              wrong("'system_time' has to be Timestamp"));
  EXPECT_THAT(ChainBuilder().Append(with(2, seconds)),
              wrong("'system_time' has to be Timestamp(Millisecond, UTC)"));
  EXPECT_THAT(ChainBuilder().Append(with(3, DataType::Of(TypeKind::kInt64))),
              wrong("'event_time' has to be Timestamp(Millisecond, UTC) or Date"));
  EXPECT_OK(ChainBuilder().Append(with(0, DataType::Of(TypeKind::kUInt64)), Judging::kReplay));
  EXPECT_OK(ChainBuilder().Append(with(0, DataType::Option(DataType::Of(TypeKind::kInt64)))))
      << "as in older slices";
  EXPECT_OK(ChainBuilder().Append(with(1, DataType::Of(TypeKind::kUInt8))))
      << "as a changelog may declare it";
  EXPECT_OK(ChainBuilder().Append(with(3, DataType::Of(TypeKind::kDate))));
  EXPECT_OK(ChainBuilder().Append(SetDataSchema{.schema = DataSchema{.fields = {kA}}}))
      << "missing ones are added later";
}

TEST(SetDataSchemaTest, SystemColumnsAreThoseOfTheVocabulary) {
  ChainBuilder chain;
  EXPECT_OK(chain.Append(SetVocab{.event_time_column = "when"}));
  EXPECT_THAT(chain.Append(TestSchema({Column("when", TypeKind::kString)})),
              IsError(ErrorCode::kInvalidArgument, HasSubstr("system column 'when'")));
  SetDataSchema event = TestSchema({Column("when", TypeKind::kDate)});
  event.schema->fields[3].type = DataType::Of(TypeKind::kString);
  EXPECT_OK(chain.Append(event)) << "event_time is an ordinary column now";
}

TEST(SetDataSchemaTest, ASystemColumnThatIsThereKeepsItsType) {
  SetDataSchema odd = TestSchema();
  odd.schema->fields[0].type = DataType::Of(TypeKind::kUInt64);
  ChainBuilder chain;
  EXPECT_OK(chain.Append(odd, Judging::kReplay));
  odd.schema->fields.push_back(kOptionA);
  EXPECT_OK(chain.Append(odd));
}

}  // namespace
}  // namespace sluice::odf
