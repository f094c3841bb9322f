// What a receiver's answer, or the lack of one, means for us. Pure, but for curl's date parser.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sink/sink.h"

namespace walspout {

// A complete answer with a status line.
struct HttpAnswer {
  long status = 0;
  std::string retry_after;  // header, as it came; empty if there was none
  std::string location;     // likewise
  std::string body;         // the beginning of it
};

// Success: accepted (2xx). Otherwise, with 0 as the event,
//
//   408 425 429 and 5xx             kRetry, not before Retry-After if it was given
//   401 403 407                     kRetry: credentials are mended at either end
//   300 302 303 307 304             kRetry: redirects are not followed
//   301 308                         kFatal: the url is another for good
//   410                             kFatal: the receiver wants no more events, whichever
//   400 404 413 422, other 4xx      kReject
//   anything else                   kRetry
[[nodiscard]] Delivery judge_answer(const HttpAnswer& answer, std::string_view where, int64_t now);

// Seconds that a Retry-After header asks for, which is a number of seconds or a date. nullopt if
// it is neither. A date that is over asks for none; more than a day is taken for a day.
[[nodiscard]] std::optional<std::chrono::seconds> parse_retry_after(std::string_view header,
                                                                    int64_t now);

// Scheme and host of a url. The rest is a secret often enough: a user and password, a token in the
// path or in the query.
[[nodiscard]] std::string printable_url(std::string_view url);

}  // namespace walspout
