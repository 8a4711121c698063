#pragma once

#include <memory>
#include <optional>
#include <string>

#include "archive/decompress.h"
#include "read/reader.h"

namespace sluice::fetch {

// The codec of an HTTP `Content-Encoding`; nothing for none. Errors: kUnsupported for others than we ask for.
Result<std::optional<archive::Codec>> CodecOfContentEncoding(const std::string& encoding);

// The bytes of `source`, decompressed while they are read.
Result<std::unique_ptr<read::ByteSource>> DecodeStream(archive::Codec codec,
                                                       std::unique_ptr<read::ByteSource> source,
                                                       const archive::Limits& limits = {});

// A source as the archive module reads it; keeps it alive.
archive::ReadBytes ReadFrom(std::shared_ptr<read::ByteSource> source);
std::unique_ptr<read::ByteSource> SourceOf(std::unique_ptr<archive::ByteStream> stream, std::string name);

// Gives `head`, which was read from `rest` already, once more before the rest.
std::unique_ptr<read::ByteSource> PutBack(std::string head, std::unique_ptr<read::ByteSource> rest);
// Up to `size` bytes from the beginning.
Result<std::string> ReadHead(read::ByteSource& source, size_t size);

}  // namespace sluice::fetch
