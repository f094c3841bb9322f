// Webhooks: what the sink needs.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "sink/common/tls.h"

namespace walspout {

struct HttpConfig {
  std::string url;
  std::vector<Secret> secrets;  // whsec_..., the current one first; each signs. Empty: unsigned
  std::vector<std::pair<std::string, Secret>> headers;
  size_t batch_events = 1;  // > 1: the body is a JSON array
  size_t batch_bytes = 1u << 20;
  size_t lanes = 1;
  bool cloudevents = false;        // binary mode: attributes as ce- headers
  std::string cloudevents_source;  // ce-source; empty: /walspout
  size_t redirects = 0;            // how many are followed, to the same host only
  bool http2 = true;
  TlsConfig tls;
  Milliseconds connect_timeout{5'000};
  Milliseconds timeout{30'000};  // of a request
};

}  // namespace walspout
