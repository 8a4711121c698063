#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"

namespace arrow {
class RecordBatch;
}

namespace sluice::pipeline {

struct Tree;

// A `when:` of a configuration (pipelines.md 5): which records are meant.
//   {field: data, contains: product1}
//   {field: metadata.author.name, in: [ada, grace]}
//   {all: [{field: metadata_type, equals: discourse}, {not: {field: lang, exists: true}}]}
// A field is a FieldPath. Exactly one of equals, in, contains, starts_with, ends_with, matches (an RE2
// expression found anywhere), exists (true or false), before, after (times). `contains` of a list: one of its
// elements is the text; a list of texts means any of them. `ignore_case: true` beside any of the text ones,
// for letters of all scripts. What is absent, null or empty fulfils `exists: false` and nothing
// else. A number equals a number of the same value. `all` and `any` take lists, `not` one condition; a list
// where a condition is expected is an `all`.
// Confined: keeps buffers for reading JSON.
class Condition {
 public:
  // Errors: kInvalidArgument with file and line.
  static Result<Condition> Parse(const Tree& tree);
  Condition(Condition&&) noexcept;
  Condition& operator=(Condition&&) noexcept;
  ~Condition();

  // (*holds)[row] = 1 where it holds, else 0, for every row. No allocation for a row on fields of the record
  // itself.
  void Evaluate(const arrow::RecordBatch& records, std::vector<uint8_t>* holds) const;

 private:
  struct Node;
  explicit Condition(std::unique_ptr<Node> node);
  static Result<std::unique_ptr<Node>> ParseNode(const Tree& tree, int depth);
  static Result<std::unique_ptr<Node>> ParseTest(const Tree& tree);
  static Result<std::vector<std::unique_ptr<Node>>> ParseList(const Tree& tree, int depth);

  std::unique_ptr<Node> node_;
};

}  // namespace sluice::pipeline
