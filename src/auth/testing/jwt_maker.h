#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace sluice::auth {

// A key pair of an identity provider, for tests. `kind` is RS256, ES256 or EdDSA.
class JwtMaker {
 public:
  JwtMaker(std::string kind, std::string key_id);
  ~JwtMaker();

  // The public key, as an entry of a key set.
  nlohmann::json PublicKey() const;
  // Signed; the header says `alg` (this key's when empty) and `kid`.
  std::string Sign(const nlohmann::json& claims, const std::string& algorithm = "") const;
  std::string SignRaw(const std::string& header, const std::string& payload) const;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

// `{"keys": [...]}`.
std::string KeySetOf(std::initializer_list<const JwtMaker*> makers);

}  // namespace sluice::auth
