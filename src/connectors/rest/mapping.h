#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "connectors/rest/json_slice.h"
#include "pipeline/record.h"

namespace sluice::pipeline {
struct Tree;
}

namespace sluice::connectors::rest {

// How an item becomes a record: for each field a text, or where in the item it stands. Immutable.
class Mapping {
 public:
  // `{data: {from: [raw, cooked]}, source_type: discourse, ...}`: `from` one place, or several of which the
  // first counts that is there; `join` several places, joined by an empty line. What `tree` does not set is
  // set by `defaults`, in the same form; then, `metadata` is the whole item. Errors: kInvalidArgument with
  // file and line.
  static Result<Mapping> Parse(const pipeline::Tree* tree, const pipeline::Tree& defaults);

  // Appends the record of an item, one line of NDJSON. An item that is no object is appended as it is, so
  // that it is refused as what it is. Errors: kInvalidRecords naming the field.
  Status Append(std::string_view item, std::string* out) const;
  bool Sets(pipeline::Column column) const;
  // What the field is in the record; empty when it is not there.
  std::string ValueOf(std::string_view item, pipeline::Column column) const;

 private:
  struct Value {
    std::string text;  // a constant, if there are no places
    std::vector<JsonPath> places;
    bool joins = false;
  };
  static Result<Value> ParseValue(pipeline::Column column, const pipeline::Tree& tree);
  // As JSON for metadata, else as text; nothing when it is not there.
  static Result<std::optional<std::string>> Find(const Value& value, pipeline::Column column,
                                                 std::string_view item);

  std::vector<std::pair<pipeline::Column, Value>> fields_;
};

}  // namespace sluice::connectors::rest
