#include "sink/http/answer.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

namespace walspout {
namespace {

constexpr int64_t kDay = 24 * 60 * 60;
constexpr size_t kShownBody = 200;

// The beginning of a receiver's text, fit for one line of a log.
std::string shown(std::string_view body) {
  std::string text(body.substr(0, kShownBody));
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }, ' ');
  if (body.size() > kShownBody) text += "...";
  return text;
}

struct Verdict {
  ErrorKind kind;
  Scope scope;
};

constexpr Verdict kRejected{ErrorKind::kReject, Scope::kEvent};
constexpr Verdict kSuspected{ErrorKind::kRetry, Scope::kEvent};
constexpr Verdict kOutage{ErrorKind::kRetry, Scope::kDestination};
constexpr Verdict kMisconfigured{ErrorKind::kFatal, Scope::kConfiguration};

struct Listed {
  const std::vector<std::string>& codes;
  Verdict verdict;
};

std::array<Listed, 4> lists_of(const HttpCodes& codes) {
  return {Listed{codes.reject, kRejected}, Listed{codes.suspect, kSuspected},
          Listed{codes.retry, kOutage}, Listed{codes.park, kMisconfigured}};
}

bool has(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

// The verdict that the configuration gives for a code.
std::optional<Verdict> configured(const HttpCodes& codes, long status) {
  const std::string code = std::to_string(status);
  for (const std::string& item : {code, code.substr(0, 1) + "xx"}) {
    for (const Listed& list : lists_of(codes)) {
      if (has(list.codes, item)) return list.verdict;
    }
  }
  return std::nullopt;
}

Verdict verdict_on(long status) {
  switch (status) {
    case 301:
    case 308:
    case 401:
    case 402:
    case 403:
    case 405:
    case 406:
    case 407:
    case 410:
    case 411:
    case 414:  // the url is the same for all events, and so is the type of the content
    case 415:
    case 426:
      return kMisconfigured;
    case 404:
    case 408:
    case 421:
    case 425:
    case 429:
      return kOutage;
    case 500:
      return kSuspected;
    case 400:
    case 409:
    case 413:
    case 422:
      return kRejected;
    default:
      // Other codes may not be about the event; whether other events fail shows it.
      if (status >= 400 && status < 500) return kSuspected;
      return kOutage;
  }
}

constexpr const char* kProxyLogin =
    ". A proxy asks who we are: give user and password in proxy, or correct them";

std::string remedy(const HttpAnswer& answer) {
  switch (answer.status) {
    case 407:
      return kProxyLogin;
    case 401:
    case 403:
      return ". Check the secret, and user or token in url and headers";
    case 404:
      return ". The receiver has nothing at this url now: correct url, unless a deployment is "
             "under way";
    case 405:
      return ". The receiver takes no POST at this url: correct url";
    case 410:
      return ". The receiver wants no more events here: take the sink out of the configuration, "
             "or correct url";
    case 413:
      return ". The event is too long for the receiver: raise its limit, or set max_value_bytes "
             "in the source";
    case 429:
      return ". The receiver asks for fewer requests: lower lanes, or raise batch.events";
    default:
      break;
  }
  if (answer.status >= 300 && answer.status < 400) {
    return ". Redirects are not followed: if " + shown(printable_url(answer.location)) +
           " is the right place, set url to it";
  }
  return "";
}

}  // namespace

std::string printable_url(std::string_view url) {
  const size_t scheme = url.find("://");
  const size_t begin = scheme == std::string_view::npos ? 0 : scheme + 3;
  const size_t end = std::min(url.find_first_of("/?#", begin), url.size());
  const size_t at = url.substr(0, end).rfind('@');
  const size_t host = at != std::string_view::npos && at >= begin ? at + 1 : begin;
  std::string text(url.substr(0, begin));
  text += url.substr(host, end - host);
  if (url.size() > end + 1) text += "/...";
  return text;
}

std::optional<std::chrono::seconds> parse_retry_after(std::string_view header, int64_t now) {
  int64_t seconds = 0;
  const char* end = header.data() + header.size();
  const auto parsed = std::from_chars(header.data(), end, seconds);
  if (header.empty()) return std::nullopt;
  if (parsed.ptr == end && parsed.ec == std::errc::result_out_of_range) {
    seconds = header.front() == '-' ? 0 : kDay;
  } else if (parsed.ptr != end) {
    const int64_t date = curl_getdate(std::string(header).c_str(), nullptr);
    if (date < 0) return std::nullopt;
    seconds = date - now;
  }
  return std::chrono::seconds(std::clamp<int64_t>(seconds, 0, kDay));
}

std::string http_where(const HttpConfig& config) {
  std::string where = printable_url(config.url);
  if (!config.proxy.empty()) {
    where += " through the proxy " + printable_url(config.proxy.reveal());
  }
  return where;
}

Delivery judge_tunnel(long status, const HttpConfig& config) {
  const bool login = status == 407;
  return undelivered(
      login ? ErrorKind::kFatal : ErrorKind::kRetry,
      "request failed: the proxy answered " + std::to_string(status) + " to CONNECT" +
          (login ? kProxyLogin : ". Let the proxy reach the receiver, or correct proxy"),
      http_where(config));
}

Delivery judge_answer(const HttpAnswer& answer, const HttpConfig& config, int64_t now) {
  if (answer.status >= 200 && answer.status < 300) return {};
  const Verdict verdict =
      configured(config.codes, answer.status).value_or(verdict_on(answer.status));
  const std::string_view who = config.proxy.empty() || config.url.starts_with("https")
                                   ? "the receiver"
                                   : "the receiver, or the proxy,";
  std::string what =
      std::string(who) + " answered " + std::to_string(answer.status) + remedy(answer);
  if (!answer.body.empty()) what += ". It says: " + shown(answer.body);
  DeliveryError error{
      {verdict.kind, std::move(what), http_where(config), verdict.scope}, 0, std::nullopt};
  if (verdict.kind == ErrorKind::kRetry) {
    error.retry_after = parse_retry_after(answer.retry_after, now);
    if (error.retry_after) error.retry_after = std::min(*error.retry_after, config.retry_after_max);
  }
  return tl::unexpected(std::move(error));
}

}  // namespace walspout
