// The meaning of a receiver's answer, or of a missing one. Pure, except for curl's date parser.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sink/http/config.h"
#include "stream/sink.h"

namespace walspout {

// A complete answer with a status line.
struct HttpAnswer {
  long status = 0;
  std::string retry_after;  // the header as received; empty: none
  std::string location;     // likewise
  std::string body;         // its beginning
};

// Success: 2xx. Otherwise the error is for event 0, as if the request had one event:
//
//   400 413 422, other 4xx          kReject, the event's fault
//   500                             kRetry, the event's fault, until other events fail as well
//   401 403 405 407 410 301 308     kFatal, the configuration's: credentials or url
//   404 408 421 425 429             kRetry, the destination's: a deployment answers 404
//   other 5xx, other 3xx            kRetry, the destination's; redirects are not followed
//   anything else                   kRetry, the destination's
//
// The configuration's `codes` override this table. kRetry honours Retry-After, up to
// `retry_after_max`.
[[nodiscard]] Delivery judge_answer(const HttpAnswer& answer, const HttpConfig& config,
                                    int64_t now);

// The error if a proxy refuses to open a tunnel.
[[nodiscard]] Delivery judge_tunnel(long status, const HttpConfig& config);

// The pause that a Retry-After header asks for: a number of seconds or a date; nullopt if neither.
// A date in the past means no pause; more than a day means a day.
[[nodiscard]] std::optional<std::chrono::seconds> parse_retry_after(std::string_view header,
                                                                    int64_t now);

// Scheme and host of a url. The rest may be secret: user and password, or a token in path or query.
[[nodiscard]] std::string printable_url(std::string_view url);

// The receiver's name for messages, with the proxy if there is one.
[[nodiscard]] std::string http_where(const HttpConfig& config);

}  // namespace walspout
