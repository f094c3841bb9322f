#include "sink/http/lane.h"

#include <poll.h>
#include <strings.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/tls.h"
#include "base/version.h"

namespace walspout {
namespace {

constexpr size_t kKeptBody = 1024;  // bytes of an answer that messages show
// Limits on reading an answer's body, so that the connection can be used again. Beyond these limits
// the connection is closed.
constexpr size_t kReceivedBody = 256 * 1024;
constexpr Milliseconds kBodyTime{500};
// How long to wait for a TLS alert after the handshake.
constexpr Milliseconds kLateAlert{300};
// Seconds to cache host names: few, to find a moved receiver soon; enough for a burst of
// connections.
constexpr long kNamesAreKept = 2;

size_t length_of(const std::vector<std::string_view>& pieces) {
  size_t length = 0;
  for (const std::string_view piece : pieces) length += piece.size();
  return length;
}

// The value, if the line is this header.
bool header_value(std::string_view line, std::string_view name, std::string& value) {
  if (line.size() <= name.size() || line[name.size()] != ':' ||
      strncasecmp(line.data(), name.data(), name.size()) != 0) {
    return false;
  }
  line.remove_prefix(name.size() + 1);
  const size_t begin = line.find_first_not_of(" \t");
  const size_t end = line.find_last_not_of(" \t\r\n");
  value = begin == std::string_view::npos || end < begin ? "" : line.substr(begin, end - begin + 1);
  return true;
}

template <typename Value>
void set(CURL* handle, CURLoption option, Value value) {
  curl_easy_setopt(handle, option, value);
}

struct FreeUrl {
  void operator()(CURLU* parsed) const { curl_url_cleanup(parsed); }
  void operator()(char* text) const { curl_free(text); }
};
using Url = std::unique_ptr<CURLU, FreeUrl>;

std::string part_of(const Url& url, CURLUPart part) {
  char* text = nullptr;
  curl_url_get(url.get(), part, &text, CURLU_DEFAULT_PORT);
  const std::unique_ptr<char, FreeUrl> owned(text);
  return text == nullptr ? "" : text;
}

// Scheme, host and port, which a redirect must not change.
std::string origin_of(const std::string& url) {
  const Url parsed(curl_url());
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return "";
  std::string origin;
  for (const CURLUPart part : {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT}) {
    origin += part_of(parsed, part) + " ";
  }
  return origin;
}

std::string in_words(Milliseconds time) {
  const auto count = time.count();
  return count % 1000 == 0 ? std::to_string(count / 1000) + "s" : std::to_string(count) + "ms";
}

}  // namespace

HttpLane::HttpLane(const HttpConfig& config) : config_(config), handle_(curl_easy_init()) {
  CURL* curl = handle_.get();
  why_.resize(CURL_ERROR_SIZE);
  set(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  set(curl, CURLOPT_FOLLOWLOCATION, 0L);
  set(curl, CURLOPT_NOSIGNAL, 1L);
  set(curl, CURLOPT_POST, 1L);
  const bool secure = config.url.starts_with("https");
  set(curl, CURLOPT_HTTP_VERSION,
      static_cast<long>(config.http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
  // With HTTP/2 the lanes share one connection: wait for it instead of opening one each.
  set(curl, CURLOPT_PIPEWAIT, secure && config.http2 ? 1L : 0L);
  set(curl, CURLOPT_TCP_KEEPALIVE, 1L);
  set(curl, CURLOPT_USERAGENT, (std::string("walspout/") + kVersion).c_str());
  set(curl, CURLOPT_DNS_CACHE_TIMEOUT, kNamesAreKept);
#if LIBCURL_VERSION_NUM >= 0x075700
  // At the deadline, do not wait for a thread that asks a silent name server.
  set(curl, CURLOPT_QUICK_EXIT, 1L);
#endif
  // The environment must not redirect events: an empty text disables its proxies.
  set(curl, CURLOPT_PROXY, config.proxy.reveal().c_str());
  set(curl, CURLOPT_NOPROXY, "");
  // curl 8 ends a request at the header of an encoding that it did not ask for. With this option
  // curl fails only at the body, when the answer already counts. prepare() prevents that curl asks.
  set(curl, CURLOPT_TRANSFER_ENCODING, 1L);
  // A proxy's 200 for the tunnel is not an answer of the receiver.
  set(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set_tls();
  set(curl, CURLOPT_ERRORBUFFER, why_.data());
  set(curl, CURLOPT_READFUNCTION, &HttpLane::read);
  set(curl, CURLOPT_READDATA, this);
  set(curl, CURLOPT_SEEKFUNCTION, &HttpLane::seek);
  set(curl, CURLOPT_SEEKDATA, this);
  set(curl, CURLOPT_WRITEFUNCTION, &HttpLane::write);
  set(curl, CURLOPT_WRITEDATA, this);
  set(curl, CURLOPT_HEADERFUNCTION, &HttpLane::header);
  set(curl, CURLOPT_HEADERDATA, this);
}

void HttpLane::set_tls() {
  CURL* curl = handle_.get();
  const TlsConfig& tls = config_.tls;
  set(curl, CURLOPT_SSL_VERIFYPEER, tls.verify ? 1L : 0L);
  set(curl, CURLOPT_SSL_VERIFYHOST, tls.verify ? 2L : 0L);
  if (!tls.ca_file.empty()) {
    set(curl, CURLOPT_CAINFO, tls.ca_file.c_str());
    // Trust only the file, not also the system's folder.
    set(curl, CURLOPT_CAPATH, static_cast<const char*>(nullptr));
#if LIBCURL_VERSION_NUM >= 0x075700
    // curl would cache the file for a day.
    set(curl, CURLOPT_CA_CACHE_TIMEOUT, 0L);
#endif
  }
  if (!config_.proxy.empty()) {
    // For a proxy that uses TLS itself.
    set(curl, CURLOPT_PROXY_SSL_VERIFYPEER, tls.verify ? 1L : 0L);
    set(curl, CURLOPT_PROXY_SSL_VERIFYHOST, tls.verify ? 2L : 0L);
    if (!tls.ca_file.empty()) {
      set(curl, CURLOPT_PROXY_CAINFO, tls.ca_file.c_str());
      set(curl, CURLOPT_PROXY_CAPATH, static_cast<const char*>(nullptr));
    }
  }
  if (!tls.cert_file.empty()) set(curl, CURLOPT_SSLCERT, tls.cert_file.c_str());
  if (!tls.key_file.empty()) set(curl, CURLOPT_SSLKEY, tls.key_file.c_str());
}

void HttpLane::rewind(TimePoint deadline) {
  piece_ = offset_ = received_ = 0;
  answer_ = {};
  in_headers_ = answered_ = false;
  counts_since_ = {};
  why_[0] = '\0';
  left_ = std::max(std::chrono::ceil<Milliseconds>(deadline - Clock::now()), Milliseconds(1));
  set(handle_.get(), CURLOPT_TIMEOUT_MS,
      static_cast<long>(std::min(left_, config_.timeout).count()));
  set(handle_.get(), CURLOPT_CONNECTTIMEOUT_MS,
      static_cast<long>(std::min(left_, config_.connect_timeout).count()));
}

void HttpLane::prepare(std::vector<std::string_view> body, const std::vector<std::string>& headers,
                       TimePoint deadline) {
  CURL* curl = handle_.get();
  body_ = std::move(body);
  redirects_ = 0;
  set(curl, CURLOPT_URL, config_.url.c_str());
  // Without a value: curl sends no header of this name.
  headers_.reset(curl_slist_append(nullptr, "TE:"));
  for (const std::string& line : headers) {
    headers_.reset(curl_slist_append(headers_.release(), line.c_str()));
  }
  set(curl, CURLOPT_HTTPHEADER, headers_.get());
  set(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(length_of(body_)));
  // curl sends one piece with the headers, without a copy, and reads several pieces by read().
  set(curl, CURLOPT_POSTFIELDS, body_.size() == 1 ? body_.front().data() : nullptr);
  rewind(deadline);
}

// A receiver that requires a client certificate reports only after the handshake that it is
// missing.
Delivery HttpLane::look(TimePoint deadline, int64_t now) {
  prepare({std::string_view("")}, {}, deadline);
  CURL* curl = handle_.get();
  set(curl, CURLOPT_CONNECT_ONLY, 1L);
  // curl_easy_recv() crashes where HTTP/2 was negotiated.
  set(curl, CURLOPT_SSL_ENABLE_ALPN, 0L);
  set(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  CURLcode code = curl_easy_perform(curl);
  if (code != CURLE_OK) return outcome(code, now);
  curl_socket_t socket = CURL_SOCKET_BAD;
  curl_easy_getinfo(curl, CURLINFO_ACTIVESOCKET, &socket);
  if (!config_.url.starts_with("https") || socket == CURL_SOCKET_BAD) return {};
  const TimePoint until = std::min(deadline, Clock::now() + kLateAlert);
  for (;;) {
    const auto left = std::chrono::ceil<Milliseconds>(until - Clock::now()).count();
    pollfd waiting{socket, POLLIN, 0};
    if (left <= 0 || poll(&waiting, 1, static_cast<int>(left)) <= 0) return {};
    char byte = 0;
    size_t received = 0;
    code = curl_easy_recv(curl, &byte, 1, &received);
    if (code != CURLE_OK && code != CURLE_AGAIN) return outcome(code, now);
    if (code == CURLE_OK) return {};  // the receiver sends something, or closes the idle connection
  }
}

// Where the answer redirects; empty: nowhere. curl reports that only for complete answers.
std::string HttpLane::redirect_target() const {
  if (!answered_ || answer_.status / 100 != 3 || answer_.location.empty()) return "";
  char* here = nullptr;
  curl_easy_getinfo(handle_.get(), CURLINFO_EFFECTIVE_URL, &here);
  const Url url(curl_url());
  if (here == nullptr || curl_url_set(url.get(), CURLUPART_URL, here, 0) != CURLUE_OK ||
      curl_url_set(url.get(), CURLUPART_URL, answer_.location.c_str(), CURLU_URLENCODE) !=
          CURLUE_OK) {
    return "";
  }
  return part_of(url, CURLUPART_URL);
}

bool HttpLane::follow(CURLcode code, TimePoint deadline) {
  answered_ = answered_ || is_refused(code);
  if (redirects_ >= config_.redirects) return false;
  const std::string url = redirect_target();
  if (url.empty() || origin_of(url) != origin_of(config_.url)) return false;
  ++redirects_;
  set(handle_.get(), CURLOPT_URL, url.c_str());
  rewind(deadline);
  return true;
}

size_t HttpLane::read(char* buffer, size_t size, size_t count, void* lane) {
  HttpLane& self = *static_cast<HttpLane*>(lane);
  size_t copied = 0;
  while (copied < size * count && self.piece_ < self.body_.size()) {
    const std::string_view rest = self.body_[self.piece_].substr(self.offset_);
    const size_t now = std::min(rest.size(), size * count - copied);
    memcpy(buffer + copied, rest.data(), now);
    copied += now;
    self.offset_ += now;
    if (now == rest.size()) {
      ++self.piece_;
      self.offset_ = 0;
    }
  }
  return copied;
}

int HttpLane::seek(void* lane, curl_off_t offset, int origin) {
  HttpLane& self = *static_cast<HttpLane*>(lane);
  if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  self.piece_ = 0;
  size_t left = static_cast<size_t>(offset);
  while (self.piece_ < self.body_.size() && left >= self.body_[self.piece_].size()) {
    left -= self.body_[self.piece_++].size();
  }
  self.offset_ = left;
  return CURL_SEEKFUNC_OK;
}

size_t HttpLane::write(char* data, size_t size, size_t count, void* lane) {
  HttpLane& self = *static_cast<HttpLane*>(lane);
  const size_t length = size * count;
  const size_t kept = std::min(length, kKeptBody - std::min(kKeptBody, self.answer_.body.size()));
  self.answer_.body.append(data, kept);
  self.received_ += length;
  return self.received_ > kReceivedBody ? 0 : length;
}

size_t HttpLane::header(char* data, size_t size, size_t count, void* lane) {
  HttpLane& self = *static_cast<HttpLane*>(lane);
  const std::string_view line(data, size * count);
  if (self.answered_) return size * count;  // trailers
  if (!self.in_headers_) {
    self.begin_answer(line);
  } else if (line == "\r\n" || line == "\n") {
    // Informational answers precede the final one.
    self.in_headers_ = false;
    self.answered_ = self.answer_.status >= 200;
  } else if (!header_value(line, "retry-after", self.answer_.retry_after)) {
    header_value(line, "location", self.answer_.location);
  }
  return size * count;
}

// "HTTP/1.1 200 OK"
void HttpLane::begin_answer(std::string_view line) {
  answer_ = {};
  in_headers_ = true;
  const size_t space = std::min(line.find(' '), line.size());
  const size_t digits = std::min(line.find_first_not_of(' ', space), line.size());
  std::from_chars(line.data() + digits, line.data() + line.size(), answer_.status);
}

bool HttpLane::is_sent() const {
  curl_off_t sent = 0;
  curl_easy_getinfo(handle_.get(), CURLINFO_SIZE_UPLOAD_T, &sent);
  return static_cast<size_t>(sent) >= length_of(body_);
}

// Whether curl ended the request because of a header, after the receiver sent its status.
bool HttpLane::is_refused(CURLcode code) const {
  return in_headers_ && answer_.status >= 200 &&
         (code == CURLE_BAD_CONTENT_ENCODING || code == CURLE_WEIRD_SERVER_REPLY);
}

bool HttpLane::counts() const {
  return answered_ && (answer_.status / 100 != 2 || is_sent());
}

TimePoint HttpLane::stop_reading_at() {
  if (!counts()) return TimePoint::max();
  if (counts_since_ == TimePoint{}) counts_since_ = Clock::now();
  return counts_since_ + kBodyTime;
}

// Which limit has ended the request, by the key that an operator can change.
std::string HttpLane::why_late() const {
  curl_off_t connected = 0;
  curl_easy_getinfo(handle_.get(), CURLINFO_PRETRANSFER_TIME_T, &connected);
  const bool connecting = connected == 0 && config_.connect_timeout < config_.timeout;
  const Milliseconds ours = connecting ? config_.connect_timeout : config_.timeout;
  std::string what = connected == 0 ? "no connection" : "the receiver did not answer";
  if (left_ < ours) {
    return what + " within the " + in_words(left_) +
           " that were left of deliver_timeout, or of drain while the forwarder stops";
  }
  return what + " within " + (connecting ? "connect_timeout" : "timeout") + ", " + in_words(ours);
}

Delivery HttpLane::outcome(CURLcode code, int64_t now) const {
  const std::string where = http_where(config_);
  if (counts()) return judge_answer(answer_, config_, now);
  long tunnel = 0;
  curl_easy_getinfo(handle_.get(), CURLINFO_HTTP_CONNECTCODE, &tunnel);
  if (code != CURLE_OK && tunnel >= 300) return judge_tunnel(tunnel, config_);
  // curl stops sending when the answer is complete and the connection will be closed.
  if (answered_ && code == CURLE_OK) {
    return undelivered(ErrorKind::kRetry,
                       "request failed: the receiver answered " + std::to_string(answer_.status) +
                           " before the request was sent, and closed the connection",
                       where);
  }
  // curl reports success for a connection that is closed within the headers.
  if (code == CURLE_OK) {
    return undelivered(ErrorKind::kRetry,
                       "request failed: the connection was closed within the answer's headers",
                       where);
  }
  if (code == CURLE_OPERATION_TIMEDOUT) {
    return undelivered(ErrorKind::kRetry, "request failed: " + why_late(), where);
  }
  const std::string said = why_[0] != '\0' ? why_.c_str() : curl_easy_strerror(code);
  const std::string what = "request failed: " + said;
  switch (code) {
    case CURLE_URL_MALFORMAT:
      return undelivered(ErrorKind::kFatal, what + ". url must be one of http or https", where);
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
      return undelivered(
          ErrorKind::kFatal,
          what + ". ca_file, cert_file and key_file must be PEM files that this process may read",
          where);
    default:
      return undelivered(ErrorKind::kRetry, what + tls_remedy(said, config_.tls), where);
  }
}

}  // namespace walspout
