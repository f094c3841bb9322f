// Standard Webhooks signatures. With them a receiver detects requests that are forged, changed, or
// replayed.
//
// The header webhook-signature holds, for each secret, "v1," and the base64 of the HMAC-SHA256 of
// "<webhook-id>.<webhook-timestamp>.<body>", separated by spaces. With several secrets, a receiver
// can change from one to the next. OpenSSL, which libcurl requires, computes the hashes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"

namespace walspout {

class HttpSigner {
 public:
  // A secret is "whsec_" and base64 of the key. A secret without the prefix is the key itself.
  // Error: kFatal; names the secret by its position, never by its text.
  [[nodiscard]] static Result<HttpSigner> create(std::span<const Secret> secrets);

  bool enabled() const { return !keys_.empty(); }

  // The value of webhook-signature. `body`: the pieces of the body, in order.
  std::string sign(std::string_view id, int64_t timestamp,
                   std::span<const std::string_view> body) const;

 private:
  std::vector<std::string> keys_;  // raw bytes
};

}  // namespace walspout
