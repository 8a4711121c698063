#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::pipeline {

enum class ConnectorKind : uint8_t { kIngestor, kProcessor, kWriter };
enum class Tier : uint8_t { kStable, kBeta, kExperimental };

// What the conformance suite proves.
enum class Guarantee : uint8_t {
  kNone,         // at most once: records may be lost in a crash
  kAtLeastOnce,  // acknowledged after the outcome; a crash may repeat
  kIdempotent,   // a writer: repeats have no effect
  kExactlyOnce,  // positions are kept in the same commit as the data
};

enum class OptionType : uint8_t {
  kText,
  kInteger,
  kNumber,
  kBoolean,
  kDuration,  // `200ms`, `30s`, `5m`, `1h`
  kBytes,     // `64KiB`, `1GiB`, `1000`
  kTexts,     // list of texts
  kTextMap,   // names -> texts
  kTree,      // the connector checks it by itself, with line numbers (rules of `match`, conditions)
  kWriter,    // another writer, with its own options
  kWriters,
};

// One option of a connector, as data: the strict check of configurations, `connectors show`, the redaction of
// secrets and docs/connectors come from it.
struct Option {
  std::string name;
  OptionType type = OptionType::kText;
  std::string description;  // one sentence, with the unit
  bool is_required = false;
  std::string default_text;          // as it would be written; empty = none
  std::vector<std::string> allowed;  // of kText; empty = anything
  bool is_sensitive = false;
  bool may_name_fields = false;  // `${{ record.FIELD }}` is allowed in the value
};

struct Declaration {
  ConnectorKind kind = ConnectorKind::kWriter;
  std::string type;     // `sqs`
  std::string summary;  // one line
  Tier tier = Tier::kBeta;
  Guarantee guarantee = Guarantee::kAtLeastOnce;
  std::string guarantee_text;  // what holds, and what would weaken it, in one or two sentences
  bool has_positions = false;  // an ingestor whose upstream can be read again from a Place
  std::vector<Option> options;
  std::string example;  // YAML of this entry alone
};

}  // namespace sluice::pipeline
