// The options of the sink for NATS JetStream.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/keys.h"
#include "base/secret.h"
#include "base/tls.h"
#include "sink/common/route.h"

namespace walspout {

// A stream to make if it is missing. For missing options the server's defaults apply.
struct NatsStreamConfig {
  std::string name;
  std::vector<std::string> subjects{};  // empty: all that `subject` can make
  std::string storage{"file"};          // file, memory
  std::string retention{"limits"};      // limits, interest, workqueue
  std::string discard{"old"};           // old, new
  uint64_t replicas = 1;
  std::optional<uint64_t> max_bytes{};
  std::optional<uint64_t> max_messages{};
  std::optional<uint64_t> max_message_size{};
  std::optional<Milliseconds> max_age{};
  Milliseconds duplicate_window{600'000};
};

struct NatsConfig {
  // The characters that a subject's token cannot have, and %.
  static constexpr std::string_view kEscape =
      "%.*> \x7f"
      "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"
      "\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f";

  SecretList servers;  // nats://[user:password@|token@]host[:port], or tls://
  Route subject{{}, "walspout.{schema}.{table}", Unmapped::kError, {}, kEscape};
  std::string id_prefix;  // prefix of message ids, for sources that share a stream
  std::string user;       // overrides the URL's, as do the next ones
  Secret password;
  Secret token;
  Secret credentials;  // the content of a credentials file: a JWT and a seed
  Secret nkey;         // a user's seed, SU...
  std::string domain;  // JetStream's domain; empty: the server's
  std::string inbox_prefix{"_INBOX"};
  std::optional<NatsStreamConfig> create_stream;
  size_t unconfirmed = 4096;  // messages without an acknowledgement, at most
  Milliseconds ack_timeout{30'000};
  std::chrono::seconds heartbeat{10};
  TlsConfig tls;
  Milliseconds connect_timeout{5'000};
};

}  // namespace walspout
