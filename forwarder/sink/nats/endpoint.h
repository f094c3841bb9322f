// The address of a NATS server, and our login there.
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
  bool tls = false;  // require TLS
  std::string user;
  Secret password;
  Secret token;

  // nats://[user:password@|token@]host[:port], tls://..., or without the scheme. Error: kFatal,
  // without the url in its text.
  [[nodiscard]] static Result<NatsServer> parse(const std::string& url);

  // For messages: without user, password and token.
  std::string name() const;

  SocketAddress address() const { return {host, port, name(), "server"}; }
};

// Our login to a server.
class NatsLogin {
 public:
  // Error: kFatal; names the key, without its value.
  [[nodiscard]] static Result<NatsLogin> create(const NatsConfig& config);

  // The JSON object of CONNECT. `nonce`: the text to sign for the server; empty: none. `tls`:
  // whether the connection uses TLS. Error: kFatal, the key cannot sign.
  [[nodiscard]] Result<std::string> connect(const NatsServer& server, const std::string& nonce,
                                            bool tls) const;

  // Such as "user \"me\"", for messages.
  std::string name(const NatsServer& server) const;

 private:
  std::string user_;
  Secret password_;
  Secret token_;
  Secret jwt_;              // from a credentials file
  Secret seed_;             // the signing seed
  std::string public_key_;  // of the seed, if there is no JWT
};

// The public key, U..., of a user's seed, SU.... Error: kFatal, the text is not a user's seed.
[[nodiscard]] Result<std::string> nats_public_key(const std::string& seed);

}  // namespace walspout
