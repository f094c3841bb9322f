// Where a NATS server is, and who we are there.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"
#include "sink/common/socket.h"
#include "sink/nats/config.h"

namespace walspout {

// One of `servers`.
struct NatsServer {
  std::string host;
  int port = 4222;
  bool tls = false;  // insist on it
  std::string user;
  Secret password;
  Secret token;

  // nats://[user:password@|token@]host[:port], tls://..., or without the scheme. Error: kFatal; it
  // does not repeat the url.
  [[nodiscard]] static Result<NatsServer> parse(const std::string& url);

  // For people: without user, password and token.
  std::string name() const;

  SocketAddress address() const { return {host, port, name(), "server"}; }
};

// What we show to a server to be let in.
class NatsLogin {
 public:
  // Error: kFatal; it names the key, and shows nothing of its value.
  [[nodiscard]] static Result<NatsLogin> create(const NatsConfig& config);

  // The JSON object of CONNECT. `nonce` is what the server wants to have signed; empty: nothing.
  // `tls`: whether the connection has it. Error: kFatal, the key cannot sign.
  [[nodiscard]] Result<std::string> connect(const NatsServer& server, const std::string& nonce,
                                            bool tls) const;

  // "user \"me\"", for people.
  std::string name(const NatsServer& server) const;

 private:
  std::string user_;
  Secret password_;
  Secret token_;
  Secret jwt_;              // of a file of credentials
  Secret seed_;             // that signs
  std::string public_key_;  // of the seed, if there is no JWT
};

// The public key, U..., of a user's seed, SU.... Error: kFatal, the text is no seed of a user.
[[nodiscard]] Result<std::string> nats_public_key(const std::string& seed);

}  // namespace walspout
