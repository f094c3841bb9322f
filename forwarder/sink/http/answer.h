// What a receiver's answer, or the lack of one, means for us. Pure, but for curl's date parser.
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
  std::string retry_after;  // header, as it came; empty if there was none
  std::string location;     // likewise
  std::string body;         // the beginning of it
};

// Success: accepted (2xx). Otherwise, with 0 as the event, and as if the request had one event:
//
//   400 413 422, other 4xx          kReject, the event's fault
//   500                             kRetry, the event's fault, until other events fail as well
//   401 403 405 407 410 301 308     kFatal, the configuration's: credentials or url
//   404 408 421 425 429             kRetry, the destination's: a deployment answers 404
//   other 5xx, other 3xx            kRetry, the destination's; redirects are not followed
//   anything else                   kRetry, the destination's
//
// The configuration's `codes` come before that. kRetry honours Retry-After, up to
// `retry_after_max`.
[[nodiscard]] Delivery judge_answer(const HttpAnswer& answer, const HttpConfig& config,
                                    int64_t now);

// What a proxy's refusal to open a tunnel means.
[[nodiscard]] Delivery judge_tunnel(long status, const HttpConfig& config);

// Seconds that a Retry-After header asks for, which is a number of seconds or a date. nullopt if
// it is neither. A date in the past asks for no pause; more than a day is taken for a day.
[[nodiscard]] std::optional<std::chrono::seconds> parse_retry_after(std::string_view header,
                                                                    int64_t now);

// Scheme and host of a url. The rest is a secret often enough: a user and password, a token in the
// path or in the query.
[[nodiscard]] std::string printable_url(std::string_view url);

// The receiver for people, and the proxy on the way there if there is one.
[[nodiscard]] std::string http_where(const HttpConfig& config);

}  // namespace walspout
