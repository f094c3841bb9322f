#include <set>

#include "sink/common/keys.h"
#include "sink/http/http.h"
#include "sink/types.h"

namespace walspout {
namespace {

KeyTable<HttpConfig> batch_table() {
  KeyTable<HttpConfig> table;
  table
      .key("events", &HttpConfig::batch_events,
           "Events in a request, at most; more than one: the body is a JSON array")
      .between(1, 100'000)
      .key("bytes", &HttpConfig::batch_bytes, "Size of a request's body, at most")
      .bytes(1, 1u << 30);
  return table;
}

std::string wrong_code(const std::string& item) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const bool good =
      item.size() == 3 && item[0] >= '3' && item[0] <= '9' &&
      ((item[1] == 'x' && item[2] == 'x') || (is_digit(item[1]) && is_digit(item[2])));
  return good ? "" : "must hold codes from 300 on, such as 404, or classes of them, such as 4xx";
}

std::optional<KeyProblem> code_in_two_lists(HttpCodes& codes, const Section::Has&) {
  std::set<std::string> seen;
  for (const auto* list : {&codes.reject, &codes.suspect, &codes.retry, &codes.park}) {
    for (const std::string& code : std::set<std::string>(list->begin(), list->end())) {
      if (seen.insert(code).second) continue;
      return KeyProblem{"", "\"codes\" has " + code + " in two lists: leave it in one"};
    }
  }
  return std::nullopt;
}

KeyTable<HttpCodes> codes_table() {
  KeyTable<HttpCodes> table;
  table.key("reject", &HttpCodes::reject, "The event is at fault")
      .each(wrong_code)
      .key("suspect", &HttpCodes::suspect, "The event is at fault, unless others fail as well")
      .each(wrong_code)
      .key("retry", &HttpCodes::retry, "The receiver is at fault")
      .each(wrong_code)
      .key("park", &HttpCodes::park, "The configuration is at fault")
      .each(wrong_code)
      .rule(code_in_two_lists);
  return table;
}

KeyTable<HttpConfig> table() {
  KeyTable<HttpConfig> table;
  table.key("url", &HttpConfig::url, "`http://…` or `https://…`")
      .required()
      .key("secret", &HttpConfig::secrets,
           "`whsec_…`: signs each request, as Standard Webhooks "
           "says; a list while keys change")
      .set_default("unsigned")
      .key("headers", &HttpConfig::headers, "Headers of each request, by name")
      .section(
          "batch", [](HttpConfig& http) -> HttpConfig& { return http; }, batch_table(),
          "How many events a request has")
      .key("lanes", &HttpConfig::lanes, "Requests side by side; a key always has the same lane")
      .between(1, 256)
      .key("cloudevents", &HttpConfig::cloudevents, "Attributes of CloudEvents as `ce-` headers")
      .key("cloudevents_source", &HttpConfig::cloudevents_source,
           "Attribute `source` of CloudEvents")
      .set_default("/walspout/DATABASE")
      .key("redirects", &HttpConfig::redirects,
           "How many redirects are followed, to the same host only")
      .between(0, 10)
      .key("http2", &HttpConfig::http2, "HTTP/2, where TLS negotiates it")
      .key("proxy", &HttpConfig::proxy,
           "`[http|https|socks4|socks4a|socks5|socks5h]://[user:password@]host[:port]`. The "
           "environment's proxy is ignored")
      .set_default("none")
      .section("codes", &HttpConfig::codes, codes_table(),
               "What status codes mean if the default does not fit: codes, such as `404`, and "
               "classes, such as `4xx`")
      .key("retry_after_max", &HttpConfig::retry_after_max,
           "The longest pause that `Retry-After` may ask for")
      .section("tls", &HttpConfig::tls, tls_table(), "TLS; the URL says whether it is used")
      .key("connect_timeout", &HttpConfig::connect_timeout, "Time limit of connecting")
      .key("timeout", &HttpConfig::timeout,
           "Time limit of a request, at most `deliver_timeout`. No request starts that "
           "`deliver_timeout` would cut")
      .rule([](HttpConfig& http, const Section::Has& has) -> std::optional<KeyProblem> {
        if (!has("url") || http.url.starts_with("http://") || http.url.starts_with("https://")) {
          return std::nullopt;
        }
        return KeyProblem{"url", "\"url\" must begin with http:// or https://"};
      });
  return table;
}

// A request that deliver_timeout cuts is sent again, although the receiver may have taken it.
std::optional<KeyProblem> fit_timeout(SinkConfig& sink, const Section::Has& has) {
  auto& http = std::any_cast<HttpConfig&>(sink.options);
  if (http.timeout <= sink.deliver_timeout) return std::nullopt;
  http.timeout = sink.deliver_timeout;
  if (!has("timeout")) return std::nullopt;
  return KeyProblem{
      "timeout",
      "\"timeout\" of a request is longer than \"deliver_timeout\", which would end the "
      "request: raise deliver_timeout, or lower timeout"};
}

}  // namespace

SinkType http_type() {
  SinkType type =
      sink_type<HttpConfig>("http", "Sends a POST request to a webhook", table(),
                            [](const HttpConfig& config) { return HttpSink::create(config); });
  type.rule = fit_timeout;
  type.origin = [](std::any& options) { return &std::any_cast<HttpConfig&>(options).origin; };
  type.batch_bytes = [](const std::any& options) -> uint64_t {
    return std::any_cast<const HttpConfig&>(options).batch_bytes;
  };
  type.capabilities = {
      .order = Order::kKey,
      .becomes = "a POST, or a part of one",
      .delivered =
          "the request is sent and the headers of a 2xx are complete, whatever follows them",
      .repeated = "known by its `webhook-id`; in a batch, by its own `id`",
      .largest = "what the receiver takes"};
  type.needs_id = [](const std::any& options) {
    return std::any_cast<const HttpConfig&>(options).batch_events > 1;
  };
  return type;
}

}  // namespace walspout
