#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::multiformats {

inline constexpr size_t kSealKeyBytes = 32;

// `text` encrypted and authenticated (AES-256-GCM, a random nonce in front), bound to `context`. Errors:
// kInvalidArgument for a key of another size.
Result<std::string> Seal(std::string_view key, std::string_view text, std::string_view context);
// Errors: kPermissionDenied for another key or context, and for bytes that were changed.
Result<std::string> Unseal(std::string_view key, std::string_view sealed, std::string_view context);

}  // namespace sluice::multiformats
