#pragma once

#include <string>
#include <vector>

#include "odf/events.h"

// Metadata blocks whose bytes other programs agree on (odf-metadata.md 4.8, 9.1, 9.3, 9.4).
namespace sluice::odf::testing {

struct BlockVector {
  std::string name;
  MetadataBlock block;
  size_t v3_size;
  std::string v3_digest;  // hex of SHA3-256 over the block file
  size_t v2_size;         // 0 when only version 3 is known
  std::string v2_digest;
};

// Sections 9.1 and 9.3.
std::vector<BlockVector> SingleBlocks();
// Section 9.4: blocks 0 to 4, each pointing to the one before.
std::vector<BlockVector> ChainBlocks();

// "mh(x)" of the tables: SHA3-256 multihash of a text.
Multihash HashOf(std::string_view text);
// A block in the envelope that the tables share.
MetadataBlock InEnvelope(MetadataEvent event);
DataField Field(std::string name, DataType type);
DataType Of(TypeKind kind);
// offset, op, system_time, event_time, city, population.
SetDataSchema CitySchema();
// One field of every type.
SetDataSchema AllTypesSchema();

}  // namespace sluice::odf::testing
