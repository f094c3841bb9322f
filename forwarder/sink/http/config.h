// The options of the sink for webhooks.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "base/tls.h"
#include "sink/common/route.h"

namespace walspout {

// What status codes mean if the default (sink/http/answer.h) does not fit. Each is a code, such as
// 404, or a class, such as 4xx. A code overrides its class.
struct HttpCodes {
  std::vector<std::string> reject;   // the event is at fault
  std::vector<std::string> suspect;  // the event is at fault, unless others fail as well
  std::vector<std::string> retry;    // the receiver is at fault
  std::vector<std::string> park;     // the configuration is at fault
};

struct HttpConfig {
  std::string url;
  std::vector<Secret> secrets;  // whsec_..., the current one first; each signs. Empty: unsigned
  std::vector<std::pair<std::string, Secret>> headers;
  size_t batch_events = 1;  // > 1: the body is a JSON array
  size_t batch_bytes = 1u << 20;
  size_t lanes = 1;
  bool cloudevents = false;        // binary mode: attributes as ce- headers
  std::string cloudevents_source;  // ce-source; empty: /walspout/DATABASE
  Origin origin{};
  size_t redirects = 0;  // how many are followed, to the same host only
  bool http2 = true;
  Secret proxy;  // [http|https|socks4|socks4a|socks5|socks5h]://[user:password@]host[:port]; empty:
                 // no proxy, also if the environment sets one
  HttpCodes codes;
  Milliseconds retry_after_max{300'000};  // the longest pause that Retry-After may ask for
  TlsConfig tls;
  Milliseconds connect_timeout{5'000};
  Milliseconds timeout{30'000};  // of a request
};

}  // namespace walspout
