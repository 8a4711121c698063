#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "odf/events.h"

// Metadata blocks as FlatBuffers (odf-metadata.md 4): the bytes that are hashed.
namespace sluice::odf {

inline constexpr int kBlockVersion = 3;
inline constexpr size_t kMaxBlockBytes = 64 << 20;

// Canonical bytes of a block in version 3: children first, fields in slot order, no sharing. They are read
// back before they are given out, because a block that nobody can read makes a dataset useless. Errors:
// kInvalidArgument for what DecodeBlock would refuse, such as text that is not UTF-8.
Result<std::string> EncodeBlock(const MetadataBlock& block);

// The same in the layout of version 2, for tests against old chains. Never written to a dataset.
std::string EncodeBlockV2(const MetadataBlock& block);

// Reads versions 2 and 3, checking every offset against the bounds; slots that this program does not know are
// skipped. Errors: kCorruption for bytes that are no block; kUnsupported for version 1, versions above 3 and
// unknown kinds of event (naming the discriminant).
Result<MetadataBlock> DecodeBlock(std::string_view bytes);

// Multihash of a stored block.
inline Multihash HashBlock(std::string_view bytes) { return multiformats::Sha3Multihash(bytes); }

}  // namespace sluice::odf
