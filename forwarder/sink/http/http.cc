#include "sink/http/http.h"

#include <strings.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>

#include "base/rfc3339.h"
#include "sink/http/answer.h"

namespace walspout {
namespace {

constexpr size_t kRounds = 8;  // a lane's requests per call; a slow lane delays few
constexpr Duration kLongestPoll = std::chrono::seconds(1);

int64_t unix_time() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

bool is_token(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || memchr("!#$%&'*+-.^_`|~", c, 15) != nullptr;
  });
}

// Text in a header, as CloudEvents requires: printable ASCII, other bytes percent-encoded.
std::string header_text(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  for (const unsigned char c : text) {
    if (c > ' ' && c < 0x7f && c != '"' && c != '%') {
      encoded += static_cast<char>(c);
    } else {
      encoded += '%';
      encoded += kHex[c >> 4];
      encoded += kHex[c & 15];
    }
  }
  return encoded;
}

// CloudEvents requires a reverse-DNS name. The op follows.
constexpr std::string_view kEventType = "io.walspout.";

std::string default_source(const Origin& origin) {
  return origin.database.empty() ? "/walspout" : "/walspout/" + header_text(origin.database);
}

// The id of a request: for several events the first id, the last one and a hash of all. Without a
// dot, which separates the parts of the signed text.
std::string id_of(const std::vector<std::string>& ids) {
  if (ids.size() == 1) return ids.front();
  uint64_t hash = 0xcbf29ce484222325u;
  for (const std::string& id : ids) {
    for (const char c : id + ",") {
      hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    }
  }
  std::array<char, 17> digits;
  snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(hash));
  return ids.front() + "_" + ids.back() + "_" + digits.data();
}

bool is_same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// Why the configuration may not set a header, and what to do; empty: it may.
std::string reserved(std::string_view name, const HttpConfig& config) {
  // These control the body's end and the connection.
  constexpr std::array<std::string_view, 9> kOfTheRequest = {
      "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection", "TE",
      "Trailer",        "Upgrade",           "Expect"};
  constexpr std::array<std::string_view, 3> kOfTheEvent = {"webhook-id", "webhook-timestamp",
                                                           "webhook-signature"};
  const auto is_one_of = [&](const auto& names) {
    return std::any_of(names.begin(), names.end(),
                       [&](std::string_view each) { return is_same_name(each, name); });
  };
  if (is_same_name(name, "Host")) return "is set from url: put the host there";
  if (is_one_of(kOfTheEvent)) return "is set for each request: leave it out";
  if (is_one_of(kOfTheRequest)) return "is set by HTTP itself: leave it out";
  if (is_same_name(name, "Proxy-Authorization")) {
    return "is not for the receiver: put user and password into proxy";
  }
  if (is_same_name(name, "Content-Encoding")) return "would be wrong: bodies are JSON as it is";
  if (config.cloudevents && is_same_name(name.substr(0, 3), "ce-")) {
    return "is one of cloudevents: leave it out, or set cloudevents: false";
  }
  return "";
}

Result<void> check_headers(const HttpConfig& config) {
  for (auto header = config.headers.begin(); header != config.headers.end(); ++header) {
    const std::string& name = header->first;
    if (!is_token(name)) return fatal("headers: \"" + name + "\" is not the name of a header");
    const std::string why = reserved(name, config);
    if (!why.empty()) return fatal("headers: \"" + name + "\" " + why);
    if (std::any_of(config.headers.begin(), header,
                    [&](const auto& other) { return is_same_name(other.first, name); })) {
      return fatal("headers: \"" + name + "\" is there twice: capitals make no other name");
    }
    const std::string& value = header->second.reveal();
    if (std::any_of(value.begin(), value.end(),
                    [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; })) {
      return fatal("headers: the value of \"" + name +
                   "\" has a line break or another control character in it");
    }
  }
  return {};
}

struct CleanUpUrl {
  void operator()(CURLU* parsed) const { curl_url_cleanup(parsed); }
};

Result<void> check_url(const std::string& url) {
  if (!url.starts_with("http://") && !url.starts_with("https://")) {
    return fatal("url must begin with http:// or https://");
  }
  const std::unique_ptr<CURLU, CleanUpUrl> parsed(curl_url());
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) == CURLUE_OK) return {};
  return fatal(
      "url cannot be used: it looks like https://HOST[:PORT]/PATH; other characters than letters, "
      "digits and those with a meaning in a URL are percent-encoded");
}

// Whether curl can use the proxy: a scheme, a host, and nothing after the port.
Result<void> check_proxy(const Secret& proxy) {
  constexpr std::array kSchemes = {"http://",    "https://",  "socks4://",
                                   "socks4a://", "socks5://", "socks5h://"};
  const std::string& url = proxy.reveal();
  if (url.empty()) return {};
  const bool known = std::any_of(kSchemes.begin(), kSchemes.end(),
                                 [&](const char* scheme) { return url.starts_with(scheme); });
  const size_t host = url.find("://") + 3;
  const size_t end = std::min(url.find_first_of("/?#", host), url.size());
  const std::string_view authority = std::string_view(url).substr(host, end - host);
  const bool has_host = known && !authority.empty() && authority.back() != '@';
  if (has_host && end + 1 >= url.size()) return {};
  return fatal(
      "proxy is not one that can be used: it looks like http://[USER:PASSWORD@]HOST[:PORT], or "
      "begins with https://, socks4://, socks4a://, socks5:// or socks5h://; other characters than "
      "letters and digits in user and password are percent-encoded");
}

}  // namespace

HttpSink::HttpSink(const HttpConfig& config, HttpSigner signer)
    : config_(config),
      signer_(std::move(signer)),
      name_(http_where(config)),
      multi_(curl_multi_init()),
      window_(*this, {.order = Order::kKey,
                      .messages = SIZE_MAX,
                      .poll_every = SIZE_MAX,  // take all events before the first request
                      .pipelined = false,
                      .keeps = false}) {
  const auto ours = [&](std::string_view name) {
    return std::none_of(config.headers.begin(), config.headers.end(), [&](const auto& header) {
      return strcasecmp(header.first.c_str(), std::string(name).c_str()) == 0;
    });
  };
  mask_.hide_url(config.url);
  mask_.hide_url(config.proxy.reveal());
  for (const auto& [name, value] : config.headers) mask_.hide_header(value.reveal());
  for (const Secret& secret : config.secrets) mask_.hide(secret.reveal());
  if (ours("Content-Type")) fixed_headers_.push_back("Content-Type: application/json");
  fixed_headers_.push_back("Expect:");  // no waiting for 100 Continue
  for (const auto& [name, value] : config.headers) {
    // curl removes a header without a value; with a semicolon, curl sends an empty header.
    fixed_headers_.push_back(value.empty() ? name + ";" : name + ": " + value.reveal());
  }
  for (size_t i = 0; i < config.lanes; ++i) lanes_.push_back(std::make_unique<Lane>(config_));
  curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(config.lanes));
}

HttpSink::~HttpSink() {
  abandon();
}

Result<std::unique_ptr<Sink>> HttpSink::create(const HttpConfig& config) {
  if (auto good = check_url(config.url); !good) return tl::unexpected(good.error());
  if (config.lanes == 0 || config.batch_events == 0) {
    return fatal("lanes and batch.events must be at least 1");
  }
  if (config.cloudevents && config.batch_events > 1) {
    return fatal(
        "cloudevents puts one event into a request: take it out, or set batch.events to 1");
  }
  if (auto good = check_headers(config); !good) return tl::unexpected(good.error());
  if (auto good = check_proxy(config.proxy); !good) return tl::unexpected(good.error());
  auto signer = HttpSigner::create(config.secrets);
  if (!signer) return tl::unexpected(signer.error());
  return std::unique_ptr<Sink>(new HttpSink(config, std::move(*signer)));
}

BatchLimits HttpSink::limits() const {
  BatchLimits limits;
  limits.events = config_.lanes * config_.batch_events * kRounds;
  // Each lane must be able to fill a request.
  limits.bytes = std::max(limits.bytes, config_.lanes * config_.batch_bytes);
  return limits;
}

Result<void> HttpSink::check(const SourceState&, TimePoint deadline) {
  HttpLane probe(config_);
  const Delivery outcome = probe.look(deadline, unix_time());
  if (outcome) return {};
  Error error = outcome.error().error;
  error.what = mask_.apply(std::move(error.what));
  return tl::unexpected(std::move(error));
}

std::vector<std::string_view> HttpSink::body_of(const Batch& batch) const {
  if (config_.batch_events == 1) return {batch.front().event->document};
  std::vector<std::string_view> body;
  for (const Post& post : batch) {
    body.push_back(body.empty() ? "[" : ",");
    body.push_back(post.event->document);
  }
  body.push_back("]");
  return body;
}

void HttpSink::add_cloudevent(const Event& event, std::vector<std::string>& headers) const {
  headers.push_back("ce-specversion: 1.0");
  headers.push_back("ce-id: " + std::string(EventId(event).view()));
  headers.push_back("ce-source: " + (config_.cloudevents_source.empty()
                                         ? default_source(config_.origin)
                                         : header_text(config_.cloudevents_source)));
  headers.push_back("ce-type: " + std::string(kEventType) + event.op);
  if (event.table != nullptr) {
    headers.push_back("ce-subject: " + header_text(event.schema()) + "." +
                      header_text(event.table_name()));
  }
  if (event.commit_time != 0) headers.push_back("ce-time: " + rfc3339(event.commit_time));
}

std::vector<std::string> HttpSink::headers_for(const Batch& batch,
                                               const std::vector<std::string_view>& body) const {
  std::vector<std::string> headers = fixed_headers_;
  std::vector<std::string> ids;
  for (const Post& post : batch) ids.emplace_back(EventId(*post.event).view());
  const std::string id = id_of(ids);
  const int64_t now = unix_time();
  headers.push_back("webhook-id: " + id);
  headers.push_back("webhook-timestamp: " + std::to_string(now));
  if (signer_.enabled()) headers.push_back("webhook-signature: " + signer_.sign(id, now, body));
  if (config_.cloudevents) add_cloudevent(*batch.front().event, headers);
  return headers;
}

void HttpSink::begin(TimePoint deadline) {
  deadline_ = deadline;
  for (const auto& lane : lanes_) lane->used = false;
}

Result<bool> HttpSink::submit(uint64_t number, const Event& event) {
  lanes_[event.lane(lanes_.size())]->waiting.push_back({number, &event});
  return true;
}

void HttpSink::withdraw(Flight& flight) {
  for (const auto& lane : lanes_) {
    for (const Post& post : lane->waiting) flight.undone(post.number);
    lane->waiting.clear();
  }
}

// A request that the deadline cuts is sent again, although the receiver may have taken it. So a
// request starts only if its whole time is left. A lane's first request always starts, because no
// later call has more time.
bool HttpSink::may_start(const Lane& lane) const {
  if (lane.waiting.empty() || !lane.under_way.empty()) return false;
  const Milliseconds most = config_.timeout * static_cast<int64_t>(1 + config_.redirects);
  return !lane.used || Clock::now() + most <= deadline_;
}

void HttpSink::start(Lane& lane) {
  lane.used = true;
  size_t bytes = 0;
  while (!lane.waiting.empty() && lane.under_way.size() < config_.batch_events) {
    bytes += lane.waiting.front().event->document.size();
    if (!lane.under_way.empty() && bytes > config_.batch_bytes) break;
    lane.under_way.push_back(lane.waiting.front());
    lane.waiting.pop_front();
  }
  auto body = body_of(lane.under_way);
  const auto headers = headers_for(lane.under_way, body);
  lane.http.prepare(std::move(body), headers, deadline_);
  curl_multi_add_handle(multi_.get(), lane.http.handle());
  ++busy_;
}

void HttpSink::settle(Lane& lane, Delivery outcome, Flight& flight) {
  if (outcome) {
    for (const Post& post : lane.under_way) flight.done(post.number);
  } else {
    DeliveryError error = std::move(outcome.error());
    const size_t size = lane.under_way.size();
    // The answer does not say which event is at fault.
    if (error.error.scope() == Scope::kEvent && size > 1) error.error.blamed = Scope::kBatch;
    error.error.what = mask_.apply(std::move(error.error.what));
    const bool together = error.error.scope() == Scope::kBatch;
    flight.failed_together(lane.under_way.front().number, together ? size : 1,
                           std::move(error.error), error.retry_after);
    for (const Post& post : lane.under_way) flight.undone(post.number);
  }
  lane.under_way.clear();
}

void HttpSink::finish(Lane& lane, CURLcode code, Flight& flight) {
  curl_multi_remove_handle(multi_.get(), lane.http.handle());
  if (lane.http.follow(code, deadline_)) {
    curl_multi_add_handle(multi_.get(), lane.http.handle());
    return;
  }
  --busy_;
  settle(lane, lane.http.outcome(code, unix_time()), flight);
}

void HttpSink::collect(Flight& flight) {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    const auto lane =
        std::find_if(lanes_.begin(), lanes_.end(), [&](const std::unique_ptr<Lane>& candidate) {
          return candidate->http.handle() == message->easy_handle;
        });
    finish(**lane, code, flight);
  }
}

void HttpSink::cut(Flight& flight) {
  const TimePoint now = Clock::now();
  for (const auto& lane : lanes_) {
    if (lane->under_way.empty()) continue;
    const TimePoint enough = lane->http.stop_reading_at();
    if (enough <= now || (enough != TimePoint::max() && deadline_ <= now)) {
      finish(*lane, CURLE_OPERATION_TIMEDOUT, flight);
    }
  }
}

TimePoint HttpSink::wait_until(TimePoint until) const {
  until = std::min(until, Clock::now() + kLongestPoll);
  for (const auto& lane : lanes_) {
    if (!lane->under_way.empty()) until = std::min(until, lane->http.stop_reading_at());
  }
  return until;
}

void HttpSink::abandon() {
  for (const auto& lane : lanes_) {
    if (!lane->under_way.empty()) curl_multi_remove_handle(multi_.get(), lane->http.handle());
    lane->under_way.clear();
    lane->waiting.clear();
  }
  busy_ = 0;
}

tl::expected<void, Broken> HttpSink::poll(TimePoint until, Flight& flight) {
  for (const auto& lane : lanes_) {
    if (may_start(*lane) && flight.may_continue()) start(*lane);
  }
  if (busy_ == 0) {
    withdraw(flight);
    return {};
  }
  const size_t pending = flight.pending();
  const bool running = transfer(flight);
  if (flight.pending() < pending || !running || busy_ == 0) return {};
  const auto wait = std::chrono::ceil<Milliseconds>(wait_until(until) - Clock::now()).count();
  if (wait <= 0) return {};
  curl_multi_poll(multi_.get(), nullptr, 0, static_cast<int>(wait), nullptr);
  transfer(flight);
  return {};
}

// Sends and reads what is possible now. Returns whether a request is in flight.
bool HttpSink::transfer(Flight& flight) {
  int running = 0;
  curl_multi_perform(multi_.get(), &running);
  collect(flight);
  cut(flight);
  return running > 0;
}

Error HttpSink::late(const Flight& /*flight*/) const {
  return {ErrorKind::kRetry,
          "the receiver did not answer before the time of the delivery was over: deliver_timeout, "
          "or drain while the forwarder stops",
          name_};
}

}  // namespace walspout
