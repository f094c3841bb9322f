// Nkeys and JWTs of NATS like those of nsc, for tests of authentication.
#pragma once

#include <string>

namespace walspout::test {

// A new key pair of a kind: 'O' operator, 'A' account, 'U' user.
struct NatsKey {
  explicit NatsKey(char kind);

  std::string secret;  // 32 bytes
  std::string seed;    // as text
  std::string open;    // the public key, as text
};

// A token on `subject`, signed by `issuer`; `claims` are the members of its object "nats".
std::string make_nats_jwt(const NatsKey& issuer, const std::string& subject,
                          const std::string& claims);

}  // namespace walspout::test
