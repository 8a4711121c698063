#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

// Events of Ethereum contracts: their signatures as Solidity writes them, and logs decoded by the contract
// ABI. Pure functions.
namespace sluice::sql {

struct EthType {
  enum class Kind : uint8_t {
    kUint,
    kInt,
    kAddress,
    kBool,
    kFixedBytes,
    kBytes,
    kString,
    kArray,
    kList,
    kTuple
  };
  Kind kind = Kind::kUint;
  int bits = 256;                  // kUint, kInt
  size_t size = 0;                 // bytes of kFixedBytes, items of kArray
  std::vector<EthType> parts;      // the item of kArray and kList, the members of kTuple
  std::vector<std::string> names;  // of members; empty where they have none
};

struct EthParameter {
  std::string name;
  EthType type;
  bool indexed = false;
};

struct EthEvent {
  std::string name;
  std::vector<EthParameter> parameters;

  // `Transfer(address indexed from, address indexed to, uint256 value)`, `event` in front and `;` behind
  // allowed. Errors: kInvalidArgument with the place.
  static Result<EthEvent> Parse(std::string_view signature);
  // `Transfer(address,address,uint256)`.
  std::string Canonical() const;
  // Keccak-256 of that: what topic 0 of such a log is.
  std::string Selector() const;
};

// A log as JSON, keys sorted: `name` and the parameters by name. Integers up to 64 bits are numbers, wider
// ones text in decimal digits; addresses and bytes hexadecimal text without a prefix; indexed parameters of
// dynamic types are the hash that the topic is. Errors: kInvalidArgument for logs of another event, and for
// data that is too short.
Result<std::string> DecodeEthEvent(const EthEvent& event,
                                   std::span<const std::optional<std::string_view>> topics,
                                   std::string_view data);

}  // namespace sluice::sql
